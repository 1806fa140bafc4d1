"""What a network is given of image files: slices of volumes, and several images side by side.

A volume is a file of several pictures: slices, points in time, or pages. Each is a picture of its
own, of which the channels of its neighbours, and of other images, can be channels too.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from img2img.config import Unequal
from img2img.data.sizes import brought_to
from img2img.errors import ChannelsError, ImageError, counted
from img2img.images import (
    Animation,
    Axis,
    Domain,
    FileFacts,
    Frames,
    Pages,
    Picture,
    Pixels,
    holds_several,
    of_depth,
    probe,
    read_native,
    with_instances,
)
from img2img.runtime.devices import free_memory

# The content of an image file.
Image = Picture | Frames
# Share of free memory that a process keeps volumes in.
_KEPT = 16


@dataclass(frozen=True)
class Slice:
    """Which picture of a volume it is; of the whole volume, `index` is None."""

    axis: Axis
    count: int
    index: int | None = None


def slices_in(path: Path, axis: Axis, pages: Pages = "auto") -> Slice | None:
    """The slices of a file along an axis; None: it holds a single picture, or cannot be read."""
    facts = facts_of(path, pages)
    if facts is None or facts.pictures == 1 or facts.axis in {None, "frame"}:
        return None
    return Slice(axis, {"z": facts.pictures, "y": facts.size[0], "x": facts.size[1]}[axis])


def facts_of(path: Path, pages: Pages) -> FileFacts | None:
    """What a file holds that may hold several pictures; None: it does not, or cannot be read."""
    if not holds_several(path):
        return None
    try:
        stat = path.stat()
        return _facts(path, stat.st_mtime_ns, stat.st_size, pages)
    except (ImageError, OSError):  # which decoding will report
        return None


@lru_cache(2**16)
def _facts(path: Path, time: int, size: int, pages: Pages) -> FileFacts:
    return probe(path, pages=pages)


def count_slices(image: Image, axis: Axis) -> int:
    """How many pictures there are along an axis; one of an image that is no volume."""
    if not isinstance(image, Frames):
        return 1
    height, width = image.frames[0].size
    return {"z": len(image.frames), "y": height, "x": width}[axis]


def slice_of(image: Image, axis: Axis, index: int) -> Picture:
    """One picture of an image.

    Raises:
        ImageError: its pictures differ in size, so that there are no others than these.
    """
    if not isinstance(image, Frames):
        return image
    if axis == "z" or isinstance(image, Animation):
        return image.frames[index]
    cut = np.s_[index] if axis == "y" else np.s_[:, index]
    return _stacked(image.frames, cut)


def assembled(slices: Sequence[Picture], image: Image, axis: Axis) -> Image:
    """An image of the same kind from all its slices, which may have other channels."""
    if not isinstance(image, Frames):
        return slices[0]
    if axis == "z" or isinstance(image, Animation):
        sizes = image.frames[0].size, slices[0].size
        header = image.header
        if header is not None and sizes[0] != sizes[1]:
            header = header.resized(*sizes)
        return replace(image, frames=tuple(slices), header=header)
    # The rows of all slices together are a slice of the volume along z.
    across = 0 if axis == "y" else 1
    made = (_stacked(slices, np.s_[row], across) for row in range(len(slices[0].pixels)))
    return replace(image, frames=tuple(made))


def _stacked(pictures: Sequence[Picture], cut: Any, across: int = 0) -> Picture:
    """A picture of one row, or one column, of each of several."""
    first = pictures[0]
    if any(each.pixels.shape != first.pixels.shape for each in pictures):
        raise ImageError("its slices differ in size, so they can only be taken along z")

    def stacked(arrays: Iterable[Pixels]) -> Pixels:
        return np.stack([array[cut] for array in arrays], across)

    alphas = [each.alpha for each in pictures if each.alpha is not None]
    valid = None
    if any(each.valid is not None for each in pictures):
        everywhere = np.ones(first.size, bool)
        valid = stacked(everywhere if each.valid is None else each.valid for each in pictures)
    pixels = stacked(each.pixels for each in pictures)
    alpha = stacked(alphas) if len(alphas) == len(pictures) else None
    return replace(first, pixels=pixels, alpha=alpha, valid=valid)


def seen_by(
    domain: Domain,
    images: Sequence[Image],
    index: int = 0,
    *,
    names: Sequence[Path] = (),
    unequal: Unequal = "refuse",
    look: Callable[[Picture], None] = lambda picture: None,
) -> Picture:
    """A picture as a network of the domain is given it: a slice of an image, or of several.

    With neighbours, or several images, the channels of all are beside each other, over their whole
    range; there is data where the slice itself, of all images, has some.

    Args:
        index: of the slice.
        names: of the images, for errors.
        unequal: what to do if images differ in shape; they are brought to the size of the first.
        look: is shown each picture of a slice by itself, if there are several.

    Raises:
        ImageError: an image does not have what its domain has.
    """
    if domain.is_plain:
        try:
            return domain.seen(slice_of(images[0], domain.axis, index))
        except ImageError as error:
            raise _of(names, 0, error, domain) from None
    inputs = domain.by_input
    if domain.instances and len(images) == len(inputs):
        return _with_instances(domain, images, names)
    if len(images) != len(inputs):
        reason = f"{counted(len(images), 'image')}, but the inputs are {', '.join(inputs)}"
        raise _of(names, 0, ImageError(reason))
    parts: list[Picture] = []
    middles: list[Picture] = []
    for number, (part, image) in enumerate(zip(inputs.values(), images, strict=True)):
        last, around = count_slices(image, part.axis) - 1, part.neighbours
        try:
            found = [
                part.alone.seen(slice_of(image, part.axis, min(max(index + n, 0), last)))
                for n in range(-around, around + 1)
            ]
            size = (middles or found)[0].size
            brought = [brought_to(each, size, unequal) for each in found]
            slices = [each for each in brought if each is not None]
            if len(slices) < len(found):
                there = _shape(found[0].size)
                raise ImageError(f"{there} pixels, but the first input has {_shape(size)}")
        except ImageError as error:
            raise _of(names, number, error, part) from None
        look(slices[around])
        middles.append(slices[around])
        parts += slices
    levels = [each.composited() for each in parts]
    kinds = {each.dtype.type for each in levels}
    integers: list[type[np.unsignedinteger[Any]]] = [np.uint8, np.uint16]
    dtype = next((each for each in integers if kinds <= {np.uint8, each}), None)
    valid = [each.valid for each in middles if each.valid is not None]
    return replace(
        middles[0],
        pixels=np.concatenate([of_depth(each, dtype or np.float32) for each in levels], axis=2),
        alpha=None,
        values=(0, int(np.iinfo(dtype).max)) if dtype else (-1, 1),
        valid=np.logical_and.reduce(valid) if valid else None,
        clip=True,
        view=domain.view,
        channels=domain.channels,
    )


def _with_instances(domain: Domain, images: Sequence[Image], names: Sequence[Path]) -> Picture:
    """A label map and its instances, as `images.with_instances` has them."""
    number = 0
    try:
        labels, instances = (slice_of(image, domain.axis, 0) for image in images)
        numbered = domain.seen(labels)
        number = 1
        return with_instances(numbered, instances)
    except ImageError as error:
        raise _of(names, number, error) from None


@dataclass(frozen=True)
class Views(Sequence[Picture]):
    """All slices of an image, or of several, as a network of a domain is given them.

    Each is made when it is asked for: together they may take much more memory than the image.

    Attributes:
        names: of the images, for errors; `look` as in `seen_by`.

    Raises:
        ImageError: an image does not have what its domain has, or other slices than the first.
    """

    domain: Domain
    images: Sequence[Image]
    names: Sequence[Path] = ()
    look: Callable[[Picture], None] = lambda picture: None

    def __post_init__(self) -> None:
        for number, image in enumerate(self.images):
            count = count_slices(image, self.axis)
            if count != len(self):
                reason = f"{counted(count, 'slice')}, but the first input has {len(self)}"
                raise _of(self.names, number, ImageError(reason))
            frames = image.frames if isinstance(image, Frames) else (image,)
            if len({(each.pixels.shape, each.pixels.dtype) for each in frames}) > 1:
                raise _of(self.names, number, ImageError("its slices differ in size or type"))
        _ = seen_by(self.domain, self.images, names=self.names)  # the others are like it

    @property
    def axis(self) -> Axis:
        """The axis that slices are taken along."""
        return next(iter(self.domain.by_input.values())).axis

    def __len__(self) -> int:
        return count_slices(self.images[0], self.axis)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return seen_by(self.domain, self.images, index, names=self.names, look=self.look)


def _of(
    names: Sequence[Path], number: int, error: ImageError, domain: Domain | None = None
) -> ImageError:
    return explained(error, names[number], domain) if names else error


def explained(error: ImageError, path: Path, domain: Domain | None) -> ImageError:
    """An error of a file, with what was decided of its pages if it has other channels for that."""
    reason = error.reason
    if domain is not None and isinstance(error, ChannelsError):
        facts = facts_of(path, domain.pages)
        reason += f": {facts.decided}" if facts and facts.decided else ""
    return ImageError.of(path, reason)


def _shape(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


class Volumes:
    """Volumes that have been decoded, so that not every slice decodes its volume again.

    The last ones are kept, as many as fit into a share of free memory.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, Pages], tuple[Image, int]] = OrderedDict()
        self._lock = threading.Lock()

    @cached_property
    def most(self) -> int:
        """Bytes of pixels to keep."""
        return free_memory(torch.device("cpu")) // _KEPT

    def read(self, path: Path, pages: Pages = "auto") -> Image:
        """A file with all its pictures.

        Raises:
            ImageError: it cannot be decoded.
        """
        key = path, path.stat().st_mtime_ns if path.exists() else 0, pages
        with self._lock:
            if key not in self._kept:
                image = read_native(path, pages=pages)
                frames = image.frames if isinstance(image, Frames) else (image,)
                self._kept[key] = image, sum(each.pixels.nbytes for each in frames)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(held for _, held in self._kept.values()) > self.most:
                self._kept.popitem(last=False)
            return self._kept[key][0]


VOLUMES = Volumes()
