"""Detects whether images are pairs side by side or single pictures.

If two pictures show the same thing, their edges are at the same places, whatever their colours. The
left and right half of a single picture have edges at different places or, if it is symmetric, at
mirrored places.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError
from img2img.images import eight_bit, read_picture, resized

# So many images tell of all.
LOOKED_AT = 24
# Side of the thumbnails that halves are compared as.
_SIDE = 32
# The least correlation of halves, of many images, and by how much more a single one has to show.
_ALIKE, _OF_ONE = 0.14, 0.2
# From so many images on it may be as low as this, if those of different images are so many standard
# errors lower.
_ENOUGH, _LEAST, _BEYOND_CHANCE = 6, 0.08, 6.0
# By how much halves may be more alike when one is mirrored: things are symmetric in themselves.
_MIRRORED = 0.05

_Edges = npt.NDArray[np.float64]


def look_like_pairs(files: Sequence[Path]) -> bool:
    """Whether the two halves of most images show the same thing.

    True if no image can be read; that problem is reported elsewhere.

    Args:
        files: images, of which a few are examined.
    """
    step = max(1, len(files) // LOOKED_AT)
    return _look_like_pairs(tuple((file, file.stat().st_mtime_ns) for file in files[::step]))


@lru_cache(maxsize=16)
def _look_like_pairs(files: tuple[tuple[Path, int], ...]) -> bool:
    with ThreadPoolExecutor(2) as pool:  # each may hold a large picture
        looked_at = [each for each in pool.map(_halves, (file for file, _ in files)) if each]
    even = [halves for halves in looked_at if len(halves) == 2]
    if len(even) < len(looked_at) / 2:
        return False
    if not even:
        return True
    alike = np.array([[np.sum(left * right) for _, right in even] for left, _ in even])
    own = float(np.median(np.diag(alike)))
    mirrored = float(np.median([np.sum(left * right[:, ::-1]) for left, right in even]))
    count = len(even)
    if own < mirrored - _MIRRORED:
        return False
    if own >= _ALIKE + _OF_ONE / count**0.5:
        return True
    others = alike[~np.eye(count, dtype=bool)]
    return (
        count >= _ENOUGH
        and own >= _LEAST
        and own - others.mean() >= _BEYOND_CHANCE * others.std() / count**0.5
    )


def _halves(file: Path) -> tuple[_Edges, ...]:
    """The edges of both halves; one item if the width is odd, none if the file cannot be read."""
    try:
        pixels = eight_bit(read_picture(file).composited())
    except ImageError:
        return ()
    middle, odd = divmod(pixels.shape[1], 2)
    halves = (pixels[:, :middle], pixels[:, middle:])[: 1 if odd else 2]
    return tuple(_edges(half) for half in halves if half.size)


def _edges(half: npt.NDArray[np.uint8]) -> _Edges:
    """The strength of edges in a grid, with mean 0 in each row and length 1; 0 for a flat image.

    Row means are removed because the halves of a single picture share them: sky above, ground
    below.
    """
    thumbnail = resized(half, (_SIDE, _SIDE)).astype(float).mean(2)
    along, down = (np.diff(thumbnail, axis=axis, append=0) for axis in (1, 0))
    along[:, -1] = down[-1] = 0
    # The logarithm: faint ones, as by night, count, too.
    edges: _Edges = np.log1p(np.hypot(along, down) / 4)
    edges -= edges.mean(1, keepdims=True)
    length = float(np.linalg.norm(edges))
    return edges / length if length > 1e-6 else edges * 0
