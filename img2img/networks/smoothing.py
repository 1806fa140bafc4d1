"""Normalisation with statistics that are averaged over the frames of a video."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from img2img.networks.norms import (
    GivenStatistics,
    ImageStatistics,
    Moments,
    NormLayer,
    measures_its_input,
)


class SmoothedStatistics:
    """An exponential moving average, over frames, of one layer's image statistics.

    From the newest to the oldest, frames weigh 1, 1 - 1/n, (1 - 1/n)^2 and so on, over the sum of
    that: the first frame is normalised by its own statistics. A batch is of frames in their order.

    Args:
        frames: n, about how many frames it remembers, at least 1.
    """

    def __init__(self, frames: float) -> None:
        self._decay = 1 - 1 / frames
        self.paused = False
        """Use each image's own statistics, and do not include them in the average."""
        self.reset()

    def reset(self) -> None:
        """Forget the frames: the next one is the first."""
        self.weight = 0.0
        self.mean = self.variance = torch.zeros(())

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        if self.paused:
            return ImageStatistics().normalize(x, layer)
        return torch.cat([self._with(frame).normalize(frame, layer) for frame in x.chunk(len(x))])

    def _with(self, frame: Tensor) -> GivenStatistics:
        """The average that ends with this frame."""
        moments = Moments()
        moments.add(frame)
        own = moments.statistics()
        self.weight = 1 + self._decay * self.weight
        # Written so, frames that are alike leave it as it is, to the bit.
        mean, variance = self.mean.to(own.mean), self.variance.to(own.variance)
        self.mean = mean + (own.mean - mean) / self.weight
        self.variance = variance + (own.variance - variance) / self.weight
        return GivenStatistics(self.mean, self.variance)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: copies of a network that take turns at the frames share what they remember."""
        return self


class Smoothing:
    """Makes all layers that normalise with their input's statistics average them over frames.

    Args:
        network: set up for inference; layers with running averages are not changed.
        frames: see `SmoothedStatistics`.
    """

    def __init__(self, network: nn.Module, frames: float) -> None:
        self._sources: dict[str, SmoothedStatistics] = {}
        for name, layer in network.named_modules():
            if isinstance(layer, NormLayer) and measures_its_input(layer):
                layer.source = self._sources[name] = SmoothedStatistics(frames)

    def reset(self) -> None:
        """Forget the frames, as at a cut."""
        for source in self._sources.values():
            source.reset()

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frames depend on; empty before the first frame."""
        return {
            f"{name}.{part}": np.array(value)
            for name, source in self._sources.items()
            if source.weight
            for part, value in (
                ("weight", source.weight),
                ("mean", source.mean.cpu().numpy()),
                ("variance", source.variance.cpu().numpy()),
            )
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a `state`."""
        self.reset()
        for name, source in self._sources.items():
            if f"{name}.weight" in state:
                source.weight = float(state[f"{name}.weight"])
                source.mean, source.variance = (
                    torch.from_numpy(state[f"{name}.{part}"].copy())
                    for part in ("mean", "variance")
                )


@contextmanager
def unsmoothed(network: nn.Module) -> Iterator[None]:
    """Run a network and its copies on images that are not frames of the video."""
    layers = (layer for layer in network.modules() if isinstance(layer, NormLayer))
    sources = [layer.source for layer in layers if isinstance(layer.source, SmoothedStatistics)]
    for source in sources:
        source.paused = True
    try:
        yield
    finally:
        for source in sources:
            source.paused = False
