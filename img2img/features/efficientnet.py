"""EfficientNet-Lite0 from `efficientnet_lite_pytorch`.

The package has private names for the parts of its network. Only this module uses them.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from img2img.features.weights import load_weights, not_installed, read_weights


class PooledFeatures(nn.Module):
    """The features of the last layer, averaged over the image: [N, 1280]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.network.extract_features(x)
        return features.mean((2, 3))


def classifier(file: Path) -> tuple[PooledFeatures, nn.Linear]:
    """The network in two parts: the one that computes features, and the layer that classifies them.

    Raises:
        MissingFeatures: the package is not installed.
        ModelFileError: the file does not hold its weights.
    """
    network = _load(file)
    return PooledFeatures(network), network._fc


def stem_and_blocks(file: Path) -> tuple[nn.Sequential, list[nn.Module]]:
    """The first layers and the 16 blocks, with each BatchNorm merged into its convolution.

    Raises:
        MissingFeatures, ModelFileError: as for `classifier`.
    """
    network = _load(file).eval()
    _fuse(network, "_conv_stem", "_bn0")
    for block in network._blocks:
        for index, name in enumerate(("_expand_conv", "_depthwise_conv", "_project_conv")):
            if hasattr(block, name):  # the first block has nothing to expand
                _fuse(block, name, f"_bn{index}")
    return nn.Sequential(network._conv_stem, network._swish), [*network._blocks]


def _load(file: Path) -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise not_installed() from None
    with torch.device("meta"):  # drawing weights, which are about to be replaced, takes time
        network = EfficientNet.from_name("efficientnet-lite0")
    load_weights(network, read_weights(file), file)
    return network


def _fuse(owner: nn.Module, convolution: str, norm: str) -> None:
    """Merge a BatchNorm into the convolution before it, which saves a third of the time."""
    fused = fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm))
    setattr(owner, convolution, fused)
    setattr(owner, norm, nn.Identity())
