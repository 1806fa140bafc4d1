"""Refusing files that cannot hold weights, at once and without torch."""

from pathlib import Path

from img2img.archives.described import dictionaries, looks_like_pth, read_description
from img2img.archives.pickles import Array
from img2img.archives.safetensors import MOST_HEADER, OURS
from img2img.errors import ModelFileError
from img2img.runtime.files import parse_json

# Read by other programs' runtimes, and bounded there.
_EXPORTED = {".onnx", ".xml", ".pt2"}
# Axes of a convolution's weights.
_AXES = 4


def refuse_impossible(path: Path) -> None:
    """Refuse a file that cannot be a generator: it holds no convolution, or asks for too much.

    Folders, exported models, and files that are not there or empty are left to those who read them.

    Raises:
        ModelFileError: it is none.
    """
    if not path.is_file() or path.stat().st_size == 0 or path.suffix.lower() in _EXPORTED:
        return
    shapes = _shapes_of_pth(path) if looks_like_pth(path) else _shapes_of_safetensors(path)
    if shapes is not None and not any(len(shape) == _AXES for shape in shapes):
        raise ModelFileError.of(path, "not a generator: it has no convolution weights")


def _shapes_of_pth(path: Path) -> list[tuple[int, ...]]:
    trees = dictionaries(read_description(path).tree)
    return [each.shape for _, tree in trees for each in tree.values() if isinstance(each, Array)]


def _shapes_of_safetensors(path: Path) -> list[list[int]] | None:
    """None of a model of ours, whose shapes are held against its networks where it is read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, path.stat().st_size):
            raise ModelFileError.of(path, "not a readable safetensors file")
        try:
            header = parse_json(file.read(length))
            if OURS in header.get("__metadata__", {}):
                return None
            return [[*entry["shape"]] for entry in header.values() if "shape" in entry]
        except (ValueError, TypeError, AttributeError):
            raise ModelFileError.of(path, "not a readable safetensors file") from None
