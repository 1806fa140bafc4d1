"""Normalisation layers, and the one seam through which they get their statistics.

A layer normally takes mean and variance as it was trained to. `use_statistics` gives all layers of
a network another source: each image's own statistics, running averages, or any other
`StatisticsSource`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormName = Literal["batch", "instance", "instance_affine", "none"]

# Pixels whose statistics are taken at once: torch sums them in float32 one after the other, which
# over a million of them would lose two digits.
_PIXELS_AT_ONCE = 4096


class StatisticsSource(Protocol):
    """Where a normalisation layer takes its mean and variance from."""

    def normalize(self, x: Tensor, layer: "NormLayer") -> Tensor:
        """Normalise [N, C, H, W] and apply the layer's own scale and shift, if it has them."""
        ...


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm (Ioffe & Szegedy 2015) whose statistics can come from elsewhere."""

    source: StatisticsSource | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.source is not None:
            return self.source.normalize(x, self)
        y = super().forward(x)
        return _given_whole_gradients(y) if _on_cpu_channels_last(y) else y


class InstanceNorm2d(nn.InstanceNorm2d):
    """InstanceNorm (Ulyanov et al. 2016) whose statistics can come from elsewhere."""

    source: StatisticsSource | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.source is not None:
            return self.source.normalize(x, self)
        plain = self.running_mean is not None or not _on_cpu_channels_last(x)
        return super().forward(x) if plain else self._channels_last(x)

    def _channels_last(self, x: Tensor) -> Tensor:
        """The same, keeping the layout: one image's BatchNorm is its InstanceNorm.

        `F.instance_norm` leaves the layout, and the backward of `F.group_norm` is slow in it.
        """
        images = [
            F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for image in x.chunk(len(x))
        ]
        return _given_whole_gradients(images[0] if len(images) == 1 else torch.cat(images))


class SyncBatchNorm2d(nn.SyncBatchNorm):
    """BatchNorm over the batches of all processes, for CUDA; weights have `BatchNorm2d`'s names."""

    source: StatisticsSource | None = None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.source is None else self.source.normalize(x, self)


NormLayer = BatchNorm2d | InstanceNorm2d | SyncBatchNorm2d


def keeps_averages(network: nn.Module) -> bool:
    """Whether a network has running averages of what it sees, as BatchNorm does."""
    layers = (layer for layer in network.modules() if isinstance(layer, NormLayer))
    return any(layer.running_mean is not None for layer in layers)


def _on_cpu_channels_last(x: Tensor) -> bool:
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return channels_last and x.device.type == "cpu"


def _given_whole_gradients(y: Tensor) -> Tensor:
    """Have the gradient of `y` come in one piece of memory, which the backward wants.

    What a `torch.cat` of channels hands back is a part of a larger map; on such a one BatchNorm's
    backward takes up to thirty times as long.
    """
    if y.requires_grad:
        y.register_hook(_in_channels_last)  # type: ignore[no-untyped-call]
    return y


def _in_channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class ImageStatistics:
    """Each image's own mean and (biased) variance, whatever else is in the batch.

    For a BatchNorm this is what training at batch size 1 computes.
    """

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        if x.dtype.itemsize >= 4 and _on_cpu_channels_last(x):
            images = [self._exactly(image, layer) for image in x.chunk(len(x))]
            return images[0] if len(images) == 1 else torch.cat(images)
        # One group a channel is instance normalisation, and unlike F.instance_norm it keeps
        # channels_last and takes a map of one pixel.
        return F.group_norm(x, x.shape[1], layer.weight, layer.bias, layer.eps)

    def _exactly(self, image: Tensor, layer: NormLayer) -> Tensor:
        """In this layout group_norm sums one after the other, which costs float32 three digits."""
        moments = Moments()
        moments.add(image)
        return moments.statistics().normalize(image, layer)


class RunningStatistics:
    """The averages collected in training; InstanceNorm keeps none and uses the image's own."""

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        if layer.running_mean is None:
            return ImageStatistics().normalize(x, layer)
        return F.batch_norm(
            x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps
        )


class GivenStatistics:
    """Mean and (biased) variance, [C] each, that were found elsewhere; in float32 at least."""

    def __init__(self, mean: Tensor, variance: Tensor) -> None:
        self.mean, self.variance = mean, variance

    def normalize(self, x: Tensor, layer: NormLayer) -> Tensor:
        # torch wants the scale and shift of a layer that is in bfloat16 in the statistics' type.
        weight, bias = (
            None if own is None else own.to(self.mean.dtype) for own in (layer.weight, layer.bias)
        )
        return F.batch_norm(x, self.mean, self.variance, weight, bias, eps=layer.eps)


class Moments:
    """Mean and variance of each channel, merged from parts as Chan et al. (1979) do."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []
        """Unbiased ones, as BatchNorm collects them; they and the means in float32 at least."""

    def add(self, strip: Tensor) -> None:
        """Take in [1, C, rows, W]."""
        _, channels, _, width = strip.shape
        for part in torch.split(strip, max(1, _PIXELS_AT_ONCE // width), dim=2):
            count = part.shape[2] * width
            mean = part.new_zeros(channels, dtype=torch.promote_types(part.dtype, torch.float32))
            variance = torch.ones_like(mean)
            if count > 1:
                # With all the momentum the averages are those of this part.
                F.batch_norm(part, mean, variance, training=True, momentum=1.0)
            else:
                mean.copy_(part.flatten())
            self.counts.append(count)
            self.means.append(mean)
            self.variances.append(variance)

    def statistics(self) -> GivenStatistics:
        """Those of all that has been taken in."""
        dtype, device = self.means[0].dtype, self.means[0].device
        wide = torch.float32 if device.type == "mps" else torch.float64  # it has none
        counts = torch.tensor(self.counts, dtype=wide, device=device).unsqueeze(1)
        means, variances = (torch.stack(each).to(wide) for each in (self.means, self.variances))
        mean = (counts * means).sum(0) / counts.sum()
        squares = (counts - 1) * variances + counts * (means - mean) ** 2
        return GivenStatistics(mean.to(dtype), (squares.sum(0) / counts.sum()).to(dtype))


def measures_its_input(layer: NormLayer) -> bool:
    """Whether mean and variance are those of the map itself, so that parts of it go astray."""
    if layer.running_mean is None:
        return True
    if layer.source is None:
        return layer.training
    return not isinstance(layer.source, RunningStatistics)


def use_statistics(network: nn.Module, source: StatisticsSource | None) -> None:
    """Give every normalisation layer of `network` this source; None: as it was trained."""
    for layer in network.modules():
        if isinstance(layer, NormLayer):
            layer.source = source


def synchronize_batch_norm(network: nn.Module) -> None:
    """Replace every BatchNorm below `network` by one that spans the processes, weights and all."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, BatchNorm2d):
                synchronized = SyncBatchNorm2d(
                    layer.num_features, layer.eps, layer.momentum, layer.affine
                )
                synchronized.load_state_dict(layer.state_dict())
                setattr(parent, name, synchronized.to(layer.weight.device))


def freeze_idle_biases(network: nn.Module) -> None:
    """Exempt from training the biases that an InstanceNorm behind them takes out again.

    Their gradients are rounding errors, which Adam would blow up to full steps: two runs that agree
    in all that matters would differ in them. Networks must list their layers as they run.
    """
    layers = [layer for layer in network.modules() if not any(layer.children())]
    for layer, following in pairwise(layers):
        bias = getattr(layer, "bias", None)
        if isinstance(following, InstanceNorm2d) and bias is not None:
            bias.requires_grad_(False)


def norm_layer(name: NormName) -> Callable[[int], nn.Module]:
    """What makes a layer of this kind for a number of channels."""
    layers: dict[str, Callable[[int], nn.Module]] = {
        "batch": BatchNorm2d,
        "instance": InstanceNorm2d,
        "instance_affine": partial(InstanceNorm2d, affine=True),
        "none": nn.Identity,
    }
    return layers[name]


def needs_bias(name: NormName) -> bool:
    """Whether a convolution in front of the norm has a bias.

    BatchNorm shifts by itself. (A bias before InstanceNorm cancels, but published files have it;
    see `freeze_idle_biases`.)
    """
    return name != "batch"
