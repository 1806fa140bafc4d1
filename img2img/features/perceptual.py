"""Perceptual distance: how different two images are to a frozen network."""

from pathlib import Path

import torch
from torch import Tensor

from img2img.features.pyramid import FeaturePyramid, PyramidName
from img2img.features.weights import Supply, read_weights

# Files of torchmetrics with what was learned on top of each network: weights of channels.
LEARNED = {"alexnet": "alex.pth", "vgg16": "vgg.pth"}


class PerceptualDistance:
    """Perceptual distance (Zhang et al. 2018, arXiv 1801.03924, equation 1), differentiable.

    A network's feature maps of both images are normalised to length 1 at each place. Their squared
    differences, times a weight for each channel, are summed over channels, averaged over places and
    summed over maps. For `alexnet` and `vgg16` the weights are the learned ones of LPIPS; for
    `efficientnet-lite0` there are no learned weights, and all are 1.

    Args:
        network: the name of the network.
        supply: the source of its weights.

    Raises:
        MissingFeatures, ModelFileError: see `FeaturePyramid`.
    """

    def __init__(self, network: PyramidName, supply: Supply) -> None:
        self._pyramid = FeaturePyramid(network, supply)
        if network in LEARNED:
            self._weights = _learned(LEARNED[network])
        else:
            self._weights = [torch.ones(channels) for channels in self._pyramid.channels]

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """The distances, float32 [N], of images [N, 3, H, W] in [-1, 1], at least `MIN_SIDE` a
        side."""
        self._weights = [weights.to(output.device) for weights in self._weights]
        maps = zip(self._pyramid(output), self._pyramid(target), self._weights, strict=True)
        return torch.stack([_difference(x, y, weights) for x, y, weights in maps]).sum(0)


def _difference(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """The mean over places of weighted squared differences of maps [N, C, h, w], as [N]."""
    squares = (_unit(x) - _unit(y)).square()
    return (squares * weights[:, None, None]).sum(1).mean((1, 2))


def _unit(x: Tensor) -> Tensor:
    # As LPIPS does: where a map is about 0, so is the result, and its slope has a bound.
    return x * (x.square().sum(1, keepdim=True) + 1e-8).rsqrt()


def _learned(file: str) -> list[Tensor]:
    """The weights of the channels of each map, [C] each."""
    from torchmetrics.functional.image import lpips

    tensors = read_weights(Path(lpips.__file__).parent / "lpips_models" / file)
    return [tensors[f"lin{index}.model.1.weight"].flatten() for index in range(len(tensors))]
