"""Frozen classifiers by name, and how images are resized for them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from img2img.errors import ConfigError, unknown
from img2img.features import efficientnet
from img2img.features.weights import (
    MissingFeatures,
    Supply,
    not_installed,
    read_weights,
    unfitting,
)
from img2img.images import Pixels, resized

RESIZE = "PIL bicubic, antialiased, in float"
# Images of a batch.
BATCH = 16


class Features(NamedTuple):
    """A network's output for N images: float32 features [N, d] and class logits [N, c]."""

    features: Tensor
    logits: Tensor

    def of(self, chosen: Tensor) -> "Features":
        """The output for some of the images, by index or by mask."""
        return Features(self.features[chosen], self.logits[chosen])


class FeatureNetwork:
    """A frozen classifier that computes features of images.

    Attributes:
        name: a name from `WEIGHTS`.
        resize: how images are resized for it, as text.
        dimensions: number of features.
    """

    def __init__(self, name: str, supply: Supply, device: torch.device) -> None:
        loaders = {"inception": _inception, "efficientnet-lite0": _efficientnet}
        load = loaders.get(name)
        if load is None:
            raise ConfigError(f"features: {unknown('network', name, [*loaders])}")
        self.name = name
        self.file = supply.find(name)
        parts = load(self.file)
        self.size = parts.size
        self.resize = f"{RESIZE}, to {parts.size} x {parts.size}"
        self.dimensions = parts.head.in_features
        self._parts = parts
        self._device = device
        for module in (parts.body, parts.head):
            module.requires_grad_(False).eval().to(device)

    def prepared(self, pixels: Pixels) -> Tensor:
        """An image as the network gets it, float32 (3, size, size) in grey levels of 255.

        It is resized as in clean-fid (Parmar et al. 2022): antialiased, and not rounded to whole
        levels.

        Args:
            pixels: uint8 or uint16, (height, width, 3); or float32, already in grey levels.
        """
        levels = pixels.astype(np.float32)
        if pixels.dtype == np.uint16:
            levels /= np.float32(257)
        levels = resized(levels, (self.size, self.size)).clip(0, 255)
        return torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1)))

    @torch.no_grad()
    def extract(self, images: Sequence[Tensor]) -> Features:
        """The features of prepared images, on the CPU."""
        parts = self._parts
        x = torch.stack([*images]).to(self._device).sub(parts.middle).div(128)
        features = parts.body(x)
        return Features(features.cpu(), nn.functional.linear(features, parts.head.weight).cpu())


class FeatureExtractor:
    """Collects images one by one, runs the network on batches, and returns the features of all."""

    def __init__(self, network: FeatureNetwork) -> None:
        self._network = network
        self._waiting: list[Tensor] = []
        self._extracted: list[Features] = []

    def add(self, pixels: Pixels) -> None:
        """Add an image; see `FeatureNetwork.prepared`."""
        self._waiting.append(self._network.prepared(pixels))
        if len(self._waiting) == BATCH:
            self._extract()

    def features(self) -> Features:
        """The features of all images, in order."""
        if self._waiting:
            self._extract()
        return Features(*(torch.cat(each) for each in zip(*self._extracted, strict=True)))

    def _extract(self) -> None:
        self._extracted.append(self._network.extract(self._waiting))
        self._waiting = []


def feature_network(name: str, supply: Supply, device: torch.device) -> FeatureNetwork:
    """A network by name; `auto`: inception if its weights are here, otherwise efficientnet-lite0.

    Raises:
        MissingFeatures: it is not available.
        ConfigError: there is no network of that name.
        ModelFileError: its file does not hold its weights.
    """
    if name != "auto":
        return FeatureNetwork(name, supply, device)
    try:
        return FeatureNetwork("inception", replace(supply, download=False), device)
    except MissingFeatures as missing:
        network = FeatureNetwork("efficientnet-lite0", supply, device)
        supply.say(
            "features come from efficientnet-lite0: the figures can be compared with each other,"
            f" but not with published ones, which use inception ({missing}, or"
            " `features=inception` downloads it)"
        )
        return network


class _Parts(NamedTuple):
    """A classifier in two parts: (grey levels - `middle`) / 128 -> features -> logits."""

    body: nn.Module
    head: nn.Linear
    size: int
    middle: int


def _inception(file: Path) -> _Parts:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise not_installed() from None
    read_weights(file)  # refuses what its own loader would run
    try:
        network = FeatureExtractorInceptionV3(
            "inception", ["2048"], feature_extractor_weights_path=str(file)
        )
    except RuntimeError as error:
        raise unfitting(file, error) from None
    # One after the other, since its own `forward` takes whole grey levels only.
    *body, head = network.children()
    assert isinstance(head, nn.Linear)
    return _Parts(nn.Sequential(*body, nn.Flatten()), head, 299, 128)


def _efficientnet(file: Path) -> _Parts:
    body, head = efficientnet.classifier(file)
    return _Parts(body, head, 224, 127)
