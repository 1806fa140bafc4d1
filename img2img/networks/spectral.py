"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957).

A network that is normalised so has the parametrisations of `torch.nn.utils.parametrize`: what a
layer computes with as its `weight` comes from what is trained. Model files hold what it computes
with, as those of any other network, and inference knows nothing of it.
"""

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrize import ParametrizationList

# Iterations from vectors that know nothing of the weight, as torch's own does.
_FROM_SCRATCH = 15


class SpectralNorm(nn.Module):
    """A weight over its largest singular value, as a matrix of a row an output (equation 8).

    The singular vectors are followed by one step of the power method an update of the weight, as in
    algorithm 1, and not one a forward: all forwards between two updates then compute with the same
    weights, on which recomputed activations, penalties and joined batches rely.

    Args:
        weight: of a convolution or linear layer; not all 0, which has no largest direction.
        rows: its axis of outputs.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, rows: int) -> None:
        super().__init__()
        self._rows = rows
        matrix = self._matrix(weight)
        self.register_buffer("u", torch.randn_like(matrix[:, 0]))
        self.register_buffer("v", torch.zeros_like(matrix[0]))
        self.iterate(weight, _FROM_SCRATCH)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            sigma = self.u @ (self._matrix(weight) @ self.v)
        return weight / sigma

    @torch.no_grad()
    def iterate(self, weight: Tensor, times: int = 1) -> None:
        """Bring the vectors nearer to the singular ones of the largest value."""
        matrix = self._matrix(weight)
        for _ in range(times):
            # New tensors: a graph that waits for its backward pass keeps the old ones.
            self.v = F.normalize(self.u @ matrix, dim=0)
            self.u = F.normalize(matrix @ self.v, dim=0)

    def _matrix(self, weight: Tensor) -> Tensor:
        # With the columns as they lie in channels_last, so that there nothing is copied.
        return weight.movedim(self._rows, 0).movedim(1, -1).flatten(1)


def normalize_spectra(network: nn.Module) -> None:
    """Normalise the weights of all convolutions and linear layers, which are initialised already.

    Whoever updates the weights calls `iterate` afterwards. A network without storage, which is
    about to be loaded from a model file, stays plain.
    """
    if any(weight.is_meta for weight in network.parameters()):
        return
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            rows = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            norm = SpectralNorm(layer.weight.detach(), rows)
            parametrize.register_parametrization(layer, "weight", norm)


def normalized_weights(network: nn.Module) -> list[ParametrizationList]:
    """The weights of a network that are normalised; what is trained is their `original`."""
    return [module for module in network.modules() if isinstance(module, ParametrizationList)]


def iterate(weight: ParametrizationList, times: int = 1) -> None:
    """Have the normalisation of a weight follow its update."""
    cast(SpectralNorm, weight[0]).iterate(weight.original, times)


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """The state_dict with which a plain network computes what this one does."""
    state: dict[str, Tensor] = dict(network.state_dict())
    for name, layer in network.named_modules():
        if parametrize.is_parametrized(layer):
            for key in [key for key in state if key.startswith(f"{name}.parametrizations.")]:
                del state[key]
            state[f"{name}.weight"] = cast(Tensor, layer.weight).detach()
    return state


def load_plain(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load what there is of a plain network's state_dict; it is normalised from here on."""
    names = {
        f"{name}.weight": f"{name}.parametrizations.weight.original"
        for name, layer in network.named_modules()
        if parametrize.is_parametrized(layer)
    }
    network.load_state_dict({names.get(key, key): state[key] for key in state}, strict=False)
    for weight in normalized_weights(network):
        iterate(weight, _FROM_SCRATCH)


class InDtype(nn.Module):
    """A weight that is normalised in float32 and computed with in another type."""

    def __init__(self, weight: ParametrizationList, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.dtype = weight, dtype

    def forward(self) -> Tensor:
        normalized: Tensor = self.weight()
        return normalized.to(self.dtype)


def compute_in(network: nn.Module, dtype: torch.dtype) -> None:
    """Have a network compute in `dtype` with weights that it shares with one in float32."""
    for layer in list(network.modules()):
        if parametrize.is_parametrized(layer):
            shared = cast(nn.ModuleDict, layer.parametrizations)
            shared["weight"] = InDtype(cast(ParametrizationList, shared["weight"]), dtype)
