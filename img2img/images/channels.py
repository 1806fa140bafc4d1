"""The channels of pictures: their names, and those that are wanted."""

from dataclasses import replace

import numpy as np

from img2img.errors import ChannelsError
from img2img.images.depths import bands, of_depth, type_range
from img2img.images.picture import Picture

RGB = ("R", "G", "B")
RGBA = (*RGB, "alpha")


def channel_names(count: int) -> tuple[str, ...]:
    """Names for channels of which only the number is known."""
    known = {1: ("grey",), 3: RGB}
    return known.get(count) or tuple(str(n + 1) for n in range(count))


def counted_channels(count: int) -> str:
    """Such as `3 channels`."""
    return f"{count} channel{'s' if count != 1 else ''}"


def with_channels(picture: Picture, wanted: tuple[str, ...]) -> Picture:
    """The picture with the channels of these names.

    They are chosen and put into order by name; where names say nothing, there have to be as
    many. Grey becomes RGB, RGB of equal channels grey, and opacity a last channel `alpha`.

    Raises:
        ChannelsError: it has other channels.
    """
    count = picture.pixels.shape[2]
    names = picture.channels
    if names and names != wanted and {*wanted} <= {*names}:
        chosen = [names.index(name) for name in wanted]
        return replace(picture, pixels=picture.pixels[..., chosen], channels=wanted)
    if len(wanted) == count + 1 and wanted[-1] == RGBA[-1]:
        dtype = picture.pixels.dtype
        opacity = np.full(picture.size, type_range(dtype.name)[1], dtype)
        if picture.alpha is not None:
            opacity = of_depth(picture.alpha, dtype)
        return replace(picture, pixels=np.dstack([picture.pixels, opacity]), alpha=None)
    if count == len(wanted):
        return picture
    if count == 1 and wanted == RGB:
        return replace(picture, pixels=np.repeat(picture.pixels, 3, axis=2), channels=None)
    if count == len(RGB) and len(wanted) == 1 and is_grey(picture):
        grey = np.ascontiguousarray(picture.pixels[..., :1])
        return replace(picture, pixels=grey, channels=None)
    there, expected = counted_channels(count), counted_channels(len(wanted))
    raise ChannelsError(f"{there}, but {expected} expected ({', '.join(wanted)})")


def is_grey(picture: Picture) -> bool:
    """Whether all channels are equal, as of a grey image that was saved in colour."""
    pixels = picture.pixels
    return all(
        bool((pixels[rows][..., 1:] == pixels[rows][..., :1]).all())
        for rows in bands(*picture.size)
    )


def with_alpha_apart(picture: Picture, channels: tuple[str, ...]) -> Picture:
    """The picture with its opacity apart, if that is the last of these channels, which it has."""
    if channels[-1] != RGBA[-1]:
        return picture
    return replace(picture, pixels=picture.pixels[..., :-1], alpha=picture.pixels[..., -1])
