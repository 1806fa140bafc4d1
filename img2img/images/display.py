"""Images of any channels as 8-bit RGB, for people to look at.

Three channels are red, green and blue, two are red and green, one is grey or of a colour map: those
of the view, else those named so, else the first. RGB and 8-bit images are shown over their whole
range; of others, black and white are the 2nd and the 98th percentile of each channel, in the images
that a model was trained on, or in the picture if it is of no domain. Label maps have the colours of
their classes. Where there is no data there
are stripes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from img2img.errors import ConfigError
from img2img.images.depths import Pixels, eight_bit, of_depth
from img2img.images.domain import Domain
from img2img.images.labels import ClassNumbers
from img2img.images.picture import Picture, Size, View
from img2img.images.tensors import nearest, resized, to_pixels

# Percentiles that are black and white.
STRETCH = (2.0, 98.0)
GREY = "grey"
# Width of the stripes in pixels, and their two greys.
_STRIPE, _STRIPES = 4, (96, 160)
# The last are bands of Sentinel-2.
_RGB_NAMES = (("red", "r", "b04"), ("green", "g", "b03"), ("blue", "b", "b02"))
# One is grey or has a colour map, two are red and green, three are RGB.
_MOST = 3


@cache
def colormaps() -> dict[str, int]:
    """OpenCV's colour maps by name."""
    begin = "COLORMAP_"
    return {
        name.removeprefix(begin).lower(): getattr(cv2, name)
        for name in dir(cv2)
        if name.startswith(begin)
    }


def channels_shown(names: Sequence[str]) -> tuple[int, ...]:
    """Which channels are shown unless a view says otherwise: their numbers, from 1."""
    lower = [name.lower() for name in names]
    found = [next((lower.index(n) + 1 for n in each if n in lower), 0) for each in _RGB_NAMES]
    return tuple(found) if all(found) else tuple(range(1, min(len(names), _MOST) + 1))


def viewed(text: str, names: Sequence[str], base: View | None = None) -> View:
    """The view that a text such as `4,3,2`, `nir,red,green`, `1:viridis` or `:viridis` asks for.

    Args:
        names: the channels that there are.
        base: a view of the same channels, whose black and white are kept.

    Raises:
        ValueError: there are no such channels, more than three, or no such colour map.
    """
    listed, _, colormap = text.partition(":")
    wanted = [each.strip() for each in listed.split(",") if each.strip()]
    numbers = tuple(_number(each, names) for each in wanted)
    if not numbers:
        numbers = (1,) if colormap else channels_shown(names)
    if len(numbers) > _MOST:
        raise ValueError(f"{text}: one to three channels can be shown, not {len(numbers)}")
    if colormap not in {"", GREY, *colormaps()}:
        raise ValueError(
            f"{text}: no colour map {colormap!r}; choose from {GREY}, {', '.join(colormaps())}"
        )
    if colormap and len(numbers) > 1:
        raise ValueError(f"{text}: a colour map is for one channel, not for {len(numbers)}")
    return replace(base or View(), channels=numbers, colormap=colormap or GREY)


def with_views(domains: Mapping[str, Domain], wanted: Sequence[str]) -> dict[str, Domain]:
    """The domains, shown as texts say: `A=4,3,2` that of A, `4,3,2` all that have such channels.

    Raises:
        ConfigError: none has.
    """
    changed = dict(domains)
    for text in wanted:
        side, named, channels = text.rpartition("=")
        sides = [side] if named else [*domains]
        reason = "" if {*sides} <= {*domains} else f"no domain {side}; there are A and B"
        done = False
        for each in sides if not reason else ():
            try:
                view = viewed(channels, domains[each].channels, domains[each].view)
            except ValueError as error:
                reason = reason or str(error)
                continue
            changed[each] = changed[each].model_copy(update={"view": view})
            done = True
        if not done:
            raise ConfigError(f"`show`: {reason}")
    return changed


def shown_of(domains: Mapping[str, Domain]) -> str:
    """A line on what is shown of images of these domains, such as `nir, red, green, from the 2nd to
    the 98th percentile`; empty if all of them are RGB or grey, over their whole range."""
    texts = {name: _shown_of(domain) for name, domain in domains.items()}
    if len({*texts.values()}) == 1:
        return next(iter(texts.values()))
    named = (f"{name}: {text or ', '.join(domains[name].channels)}" for name, text in texts.items())
    return "; ".join(named)


def _shown_of(domain: Domain) -> str:
    if domain.kind == "labels":
        return "colours of the classes"
    if domain.view is None and len(domain.channels) in {1, _MOST}:
        return ""
    view = domain.view or View()
    numbers = view.channels or channels_shown(domain.channels)
    text = ", ".join(domain.channels[number - 1] for number in numbers)
    if view.colormap != GREY:
        text += f" in {view.colormap}"
    if not view.low:
        return text
    low, high = (f"{percent:g}{'nd' if percent == 2 else 'th'}" for percent in STRETCH)
    return f"{text}, from the {low} to the {high} percentile"


def shown_as(view: View) -> str:
    """The text that `viewed` makes the view of."""
    channels = ",".join(map(str, view.channels))
    return channels if view.colormap == GREY else f"{channels}:{view.colormap}"


def _number(wanted: str, names: Sequence[str]) -> int:
    if wanted in names:
        return names.index(wanted) + 1
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted)
    numbered = [str(n + 1) for n in range(len(names))]
    known = f"1 to {len(names)}" + ("" if [*names] == numbered else f", or {', '.join(names)}")
    raise ValueError(f"no channel {wanted}; there are {known}")


def visible(picture: Picture, size: Size | None = None) -> NDArray[np.uint8]:
    """8-bit RGB of a picture, by the rule above.

    Args:
        size: (height, width) to resize to.
    """
    if picture.colours and (
        picture.pixels.shape[2] == 1 or isinstance(picture.colours, ClassNumbers)
    ):
        pixels = picture.colours.of(picture.pixels[..., :1])
    else:
        pixels = _coloured(_stretched(picture), picture.view)
    if size is not None:
        pixels = resized(pixels, size)
    if picture.valid is not None:
        pixels = _striped(pixels, nearest(picture.valid, pixels.shape[:2]))
    return pixels


def tensor_shown(
    image: Tensor, domain: Domain | None = None, valid: Tensor | None = None
) -> NDArray[np.uint8]:
    """The same of a tensor (channels, height, width) in [-1, 1]; of labels, the best class.

    Args:
        domain: that it belongs to; ignored if it has another number of channels.
        valid: (1, height, width), 0 where there is no data.
    """
    domain = domain if domain is not None and len(domain.channels) == len(image) else None
    view = domain.view if domain is not None else None
    mask = None if valid is None else valid[0].cpu().numpy() > 0
    if domain is not None and domain.classes:
        numbers = image[: domain.classes].argmax(0).cpu().numpy()[..., None].astype(np.uint8)
        colours = ClassNumbers(tuple(domain.table.shown))
        return visible(Picture(numbers, valid=mask, colours=colours))
    pixels = to_pixels(image, np.float32)
    return visible(Picture(pixels, normalized=True, view=view, valid=mask))


def _stretched(picture: Picture) -> NDArray[np.uint8]:
    """The channels that are shown, with 8 bits."""
    count, view = picture.pixels.shape[2], picture.view or View()
    numbers = view.channels or channels_shown(picture.channels or [""] * count)
    chosen = [number - 1 for number in numbers]
    if chosen != [*range(count)]:
        values = picture.values
        if values is not None and isinstance(values[0], tuple) and isinstance(values[1], tuple):
            low, high = values
            values = tuple(low[n] for n in chosen), tuple(high[n] for n in chosen)
        pixels = np.ascontiguousarray(picture.pixels[..., chosen])
        picture = replace(picture, pixels=pixels, values=values)
    known = picture.values is not None or picture.normalized
    if not known and picture.pixels.dtype not in (np.uint8, np.uint16):
        picture = _with_percentiles(picture)
    levels = picture.composited()
    if view.low:
        black, white = (np.array(end, np.float32)[chosen] for end in (view.low, view.high))
        levels = (of_depth(levels, np.float32) - black) * (2 / (white - black)) - 1
    return eight_bit(levels)


def _with_percentiles(picture: Picture) -> Picture:
    """With the percentiles of each channel for its range."""
    seen = picture.pixels if picture.valid is None else picture.pixels[picture.valid]
    flat = seen.reshape(-1, seen.shape[-1]).astype(np.float64)
    if not len(flat):
        return picture
    low, high = np.percentile(flat, STRETCH, axis=0)
    high = np.where(high > low, high, low + 1)
    return replace(picture, values=(tuple(low.tolist()), tuple(high.tolist())))


def _coloured(pixels: Pixels, view: View | None) -> NDArray[np.uint8]:
    count = pixels.shape[2]
    if count == 1 and view is not None and view.colormap != GREY:
        bgr = cv2.applyColorMap(np.ascontiguousarray(pixels), colormaps()[view.colormap])
        return np.ascontiguousarray(bgr[..., ::-1])
    if count == 1:
        return np.repeat(pixels, 3, axis=2)
    if count == 2:
        return np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    return pixels


def _striped(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if valid.all():
        return pixels
    height, width = valid.shape
    diagonals = np.arange(height)[:, None] + np.arange(width)
    stripes = np.array(_STRIPES, np.uint8)[diagonals // _STRIPE % 2]
    return np.where(valid[..., None], pixels, stripes[..., None])
