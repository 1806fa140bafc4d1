"""An exponential moving average of weights."""

import copy
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """Averages of networks, kept in float32 beside the networks themselves.

    Args:
        networks: the networks to average; the averages start as copies.
        half_life: number of images after which a weight's contribution has halved. Early on it is
            limited to a twentieth of the images seen, so that the first random weights are soon
            forgotten (Karras et al. 2020, arXiv 2006.06676, appendix C). None: no averages; the
            networks themselves are used.
    """

    WARM_UP = 0.05

    def __init__(self, networks: Mapping[str, nn.Module], half_life: float | None) -> None:
        self.networks = networks
        self.half_life = half_life
        self.average = dict(networks)
        """The averaged networks; without averaging, the networks themselves."""
        if half_life is not None:
            self.average = copy.deepcopy(self.average)
        self._modules = nn.ModuleDict(self.average)

    @torch.no_grad()
    def update(self, images: int, batch_size: int) -> None:
        """Update the averages after a step, when `images` have been seen in total."""
        if self.half_life is None:
            return
        half_life = max(min(self.half_life, self.WARM_UP * images), 1e-8)
        decay = 0.5 ** (batch_size / half_life)
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        for name, network in self.networks.items():
            mine = self.average[name]
            if averages := [*mine.parameters()]:
                average(averages, [*network.parameters()], None)
            for kept, buffer in zip(mine.buffers(), network.buffers(), strict=True):
                kept.copy_(buffer)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {} if self.half_life is None else self._modules.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        if self.half_life is None:
            return
        # A run that kept no average before starts one from its weights.
        self._modules.load_state_dict(state or nn.ModuleDict(dict(self.networks)).state_dict())
