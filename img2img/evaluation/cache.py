"""A cache of image features, by the content of files."""

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from img2img.data.sources import ImageSource
from img2img.errors import StorageError
from img2img.features import FeatureNetwork, Features
from img2img.runtime.files import atomic_write, cache_folder

# Bytes of all features that are kept; those not used for longest are deleted first.
MOST = 2**29


class FeatureCache:
    """A network's features of some images, by the content of their files and of its weights."""

    def __init__(self, network: FeatureNetwork, images: Sequence[ImageSource]) -> None:
        self._count, self._dimensions = len(images), network.dimensions
        key = sha256(f"{network.name} {network.resize} {_content(network.file)}".encode())
        for image in images:
            own = image.domain is not None and not image.domain.whole
            seen_as = f" {image.domain}" if own else ""
            key.update(f"{image.half} {_content(image.path)}{seen_as}".encode())
        self._path = cache_folder("features") / f"{key.hexdigest()}.safetensors"

    def load(self) -> Features | None:
        """The cached features; None if there are none or the file is damaged."""
        with suppress(OSError, SafetensorError, KeyError):
            tensors = load_file(self._path)
            os.utime(self._path)
            known = Features(tensors["features"], tensors["logits"])
            if known.features.shape == (self._count, self._dimensions):
                return known
        return None

    def save(self, features: Features) -> None:
        """Cache features; errors in writing are ignored."""
        with suppress(StorageError, OSError):
            with atomic_write(self._path) as temporary:
                save_file(features._asdict(), temporary)
            files = [(file.stat(), file) for file in self._path.parent.glob("*.safetensors")]
            held = 0
            for state, file in sorted(files, key=lambda entry: -entry[0].st_mtime):
                held += state.st_size
                if held > MOST:
                    file.unlink(missing_ok=True)


def _content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
