"""Feature maps of frozen classifiers at several scales, with gradients."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.features import efficientnet
from img2img.features.weights import Supply, load_weights, not_installed, read_weights

PyramidName = Literal["efficientnet-lite0", "alexnet", "vgg16"]
# Pixels a side of the smallest image that leaves each network a map of one pixel.
MIN_SIDE = 32


class FeaturePyramid:
    """A frozen network's feature maps of images, from the finest to the coarsest.

    It is not a module, so that networks that contain it do not train, save or convert it. Its
    normalisation always uses its own running averages, and it computes in float32 on the device of
    the images.

    Args:
        name: `efficientnet-lite0`: the outputs of the last block of each size, at 1/4 to 1/32 of
            the image's size, without an activation. `alexnet`, `vgg16`: the activations that LPIPS
            compares (Zhang et al. 2018).
        supply: the source of its weights.

    Attributes:
        channels: number of channels of each map.

    Raises:
        MissingFeatures: it is not available.
        ModelFileError: its file does not hold its weights.
    """

    def __init__(self, name: PyramidName, supply: Supply) -> None:
        parts = _NETWORKS[name](supply.find(name))
        self.name = name
        self.channels = parts.channels
        self._stages = nn.ModuleList([_Standardized(parts.mean, parts.deviation), *parts.stages])
        # That layout halves the time on a CPU.
        self._stages.requires_grad_(False).eval().to(memory_format=torch.channels_last)
        self._device = torch.device("cpu")

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The maps, float32 [N, channels, h, w] each, of images [N, 3, H, W] in [-1, 1].

        Raises:
            ConfigError: the images are smaller than `MIN_SIDE`.
        """
        if min(images.shape[2:]) < MIN_SIDE:
            raise ConfigError(
                f"{self.name} needs images of at least {MIN_SIDE} pixels per side; these have"
                f" {images.shape[3]} x {images.shape[2]} (data.crop_size)"
            )
        if images.device != self._device:
            self._stages.to(images.device)
            self._device = images.device
        x, maps = images.float(), []
        with torch.autocast(images.device.type, enabled=False):
            for stage in self._stages:
                x = stage(x)
                maps.append(x)
        return maps[1:]


class _Standardized(nn.Module):
    """Converts images in [-1, 1] to the range that a network was trained on."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values, device="cpu")[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class _Parts(NamedTuple):
    """A network in stages that each return a map, with the mean and deviation of its images."""

    stages: list[nn.Sequential]
    channels: list[int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def _efficientnet(file: Path) -> _Parts:
    stem, blocks = efficientnet.stem_and_blocks(file)
    first = nn.Sequential(*stem, *blocks[:3])
    stages = [first, *(nn.Sequential(*blocks[a:b]) for a, b in pairwise((3, 5, 11, 16)))]
    # Its own are (grey level - 127) / 128.
    return _Parts(stages, [24, 40, 112, 320], (-0.5 / 127.5,) * 3, (128 / 127.5,) * 3)


def _alexnet(file: Path) -> _Parts:
    return _torchvision("alexnet", (0, 2, 5, 8, 10, 12), [64, 192, 384, 256, 256], file)


def _vgg16(file: Path) -> _Parts:
    return _torchvision("vgg16", (0, 4, 9, 16, 23, 30), [64, 128, 256, 512, 512], file)


def _torchvision(name: str, ends: tuple[int, ...], channels: list[int], file: Path) -> _Parts:
    try:
        import torchvision
    except ImportError:
        raise not_installed() from None
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None)
    load_weights(network, read_weights(file), file)
    stages = [network.features[a:b] for a, b in pairwise(ends)]
    # Those of ImageNet in [0, 1], (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), on [-1, 1].
    return _Parts(stages, channels, (-0.03, -0.088, -0.188), (0.458, 0.448, 0.45))


_NETWORKS: dict[PyramidName, Callable[[Path], _Parts]] = {
    "efficientnet-lite0": _efficientnet,
    "alexnet": _alexnet,
    "vgg16": _vgg16,
}
