"""Image files with one picture or several."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from img2img.images import Domain, Frames, Picture, keeps_depth, of_depth, resized, suffix_of
from img2img.images.display import visible

# As they are written by default.
_LOSSY = {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".avif", ".gif"}
# The quality at which WebP keeps pixels exactly.
LOSSLESS = 100
# The content of an image file.
Image = Picture | Frames


def frames_of(image: Image) -> Sequence[Picture]:
    """The pictures in an image, at least one."""
    return image.frames if isinstance(image, Frames) else (image,)


def with_frames(image: Image, frames: Sequence[Picture]) -> Image:
    """A copy of `image` with other pictures."""
    return replace(image, frames=tuple(frames)) if isinstance(image, Frames) else frames[0]


def held_by(image: Image) -> int:
    """Bytes that the pixels take in memory."""
    arrays = [array for frame in frames_of(image) for array in (frame.pixels, frame.alpha)]
    return sum(array.nbytes for array in arrays if array is not None)


def side_by_side(left: Image, right: Image) -> Image:
    """One image with each input picture next to its result, at the size of the result."""
    pairs = zip(frames_of(left), frames_of(right), strict=True)
    return with_frames(right, [_beside(*pair) for pair in pairs])


def shallow(output: Domain, targets: Iterable[Path]) -> str | None:
    """A remark if the results have a value range that 8-bit files cannot hold, else None."""
    suffixes = {each for each in map(suffix_of, targets) if not keeps_depth(each)}
    if output.whole or output.dtype == "uint8" or not suffixes:
        return None
    return (
        f"results have the value range {output.range}, which {', '.join(sorted(suffixes))} cannot"
        " hold, so it is scaled to 0..255 (`image_format=png` or `image_format=tif` keeps it)"
    )


def lossy(files: Iterable[Path], quality: int = 0) -> str:
    """The suffixes of files that do not keep pixels exactly, as text; empty if all keep them."""
    suffixes = {suffix_of(file) for file in files} & _LOSSY
    if quality == LOSSLESS:
        suffixes -= {".webp"}
    return ", ".join(sorted(suffixes))


def is_shown(left: Image, right: Image) -> bool:
    """Whether a comparison shows the images instead of holding their values: not if both are RGB,
    or of one channel."""
    pairs = zip(frames_of(left), frames_of(right), strict=True)
    return any(_needs_view(*pair) for pair in pairs)


def _needs_view(left: Picture, right: Picture) -> bool:
    return bool(left.view or right.view) or left.pixels.shape[2] != right.pixels.shape[2]


def _beside(left: Picture, right: Picture) -> Picture:
    if _needs_view(left, right):
        return Picture(np.hstack([visible(each, right.size) for each in (left, right)]))
    levels = left.levels, right.levels
    dtype = max((each.dtype for each in levels), key=lambda dtype: dtype.itemsize)
    sides = [resized(of_depth(each, dtype), right.size) for each in levels]
    alpha = None
    if left.alpha is not None and right.alpha is not None:
        both = (of_depth(each, dtype) for each in (left.alpha, right.alpha))
        alpha = np.hstack([resized(each, right.size) for each in both])
    return replace(right, pixels=np.hstack(sides), alpha=alpha, values=None)
