"""Finds the masks of images."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from img2img.config import DataConfig
from img2img.data.layouts import images_by_name, name_of
from img2img.data.mistaken import no_folder
from img2img.data.sources import Side
from img2img.errors import ConfigError
from img2img.images import ALPHA

MaskFile = Path | Literal["alpha"] | None


def masks_of(
    data: DataConfig, images: Iterable[tuple[Side, Path]]
) -> Callable[[Side, Path], MaskFile]:
    """A function that returns the mask of an image of a domain; None: it needs none.

    The path of a mask in its folder is that of the image in the data set, or the end of that, with
    or without `A/` or `B/` in front; the longest that exists is taken. In a domain of which some
    images have masks, the others get the path of a file that is missing.

    Raises:
        ConfigError: no image has a mask.
        DataError: there is no mask in the folder.
    """
    if data.mask is None or data.mask == ALPHA:
        return lambda side, path: data.mask
    return _found_in(Path(data.mask), data, images, "data.mask", "a mask")


def instances_of(
    data: DataConfig, images: Iterable[tuple[Side, Path]]
) -> Callable[[Side, Path], Path | None]:
    """The same for the instance maps of label maps."""
    side: Side = data.direction[0]  # type: ignore[assignment]
    folder = getattr(data, side).instances
    if folder is None:
        return lambda side, path: None
    inputs = [(s, path) for s, path in images if s == side]
    return _found_in(folder, data, inputs, f"data.{side}.instances", "an instance map")


def _found_in(
    folder: Path, data: DataConfig, images: Iterable[tuple[Side, Path]], key: str, what: str
) -> Callable[[Side, Path], Path | None]:
    if not folder.is_dir():
        raise ConfigError.of_key(key, no_folder(folder))
    known = images_by_name(folder)
    holdout = data.holdout if isinstance(data.holdout, Path) else None
    roots = [root for root in (data.root, data.root_a, data.root_b, holdout) if root is not None]

    def names(side: Side, path: Path) -> Iterator[str]:
        root = next((each for each in roots if each in path.parents), path.parent)
        below = name_of(path.relative_to(root))
        while below:
            yield from (below, f"{side}/{below}")
            below = below.partition("/")[2]

    def find(side: Side, path: Path) -> Path | None:
        return next((known[name][0] for name in names(side, path) if name in known), None)

    masked = {side for side, path in images if find(side, path) is not None}
    if not masked:
        first = next(iter(known.values()))[0].relative_to(folder)
        raise ConfigError.of_key(
            key,
            f"no image has {what} in {folder}, where one has the path and name of its image (there"
            f" is {first})",
        )

    def mask_of(side: Side, path: Path) -> Path | None:
        return (find(side, path) or folder / path.name) if side in masked else None

    return mask_of
