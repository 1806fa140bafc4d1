"""Pillow's images as pictures, and back."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from img2img.errors import ImageError
from img2img.images.depths import Pixels, bands, eight_bit
from img2img.images.metadata import colour_space, metadata, orientation, upright
from img2img.images.picture import Colours, Picture


def from_pillow(image: Image.Image, *, indices: bool = False) -> Picture:
    """An image of any of Pillow's modes, upright, with its metadata: grey or RGB.

    16 bits are kept where Pillow has them, which is in grey images alone.

    Args:
        indices: of a palette, the indices rather than the colours.

    Raises:
        ImageError: samples of 32 bits that do not fit into 16.
    """
    image.load()  # before its metadata are asked for: PNG may have text behind the pixels
    turn = orientation(image)
    if indices and (palette := palette_of(image)):
        numbers = upright(np.array(image)[..., None], turn)
        return Picture(numbers, colours=Colours(palette), **metadata(image, turn))
    pixels, alpha = _pixels(image)
    return Picture(
        upright(pixels, turn),
        None if alpha is None else upright(alpha, turn),
        **metadata(image, turn),
    )


def palette_of(image: Image.Image) -> tuple[tuple[int, int, int], ...] | None:
    """The colours of an image's palette, where it has one."""
    if image.mode != "P":
        return None
    flat = image.getpalette() or []
    return tuple((flat[at], flat[at + 1], flat[at + 2]) for at in range(0, len(flat) - 2, 3))


def to_pillow(picture: Picture) -> Image.Image:
    """A picture as 8-bit grey or RGB, with its alpha. Metadata are in `info`.

    Pillow has no colour of 16 bits.
    """
    pixels = eight_bit(picture.levels)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(eight_bit(picture.alpha)))
    known = {"icc_profile": picture.icc, "exif": picture.exif, "xmp": picture.xmp}
    image.info = {key: value for key, value in {**known, "dpi": picture.dpi}.items() if value}
    return image


def _pixels(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    if image.mode == "F":
        return np.array(image)[..., None], None
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError("32-bit samples are not supported: convert to 8 or 16 bits")
        return grey.astype(np.uint16)[..., None], None
    if image.mode in {"1", "L"} and not image.has_transparency_data:
        return np.array(image.convert("L"))[..., None], None
    to_rgb = _conversion(image)
    # Band by band: Pillow converts, and hands its pixels over, in whole copies.
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    alpha = np.empty((image.height, image.width), np.uint8) if image.has_transparency_data else None
    parts = [*bands(image.height, image.width)]
    for rows in parts:
        part = image.crop((0, rows.start, image.width, rows.stop)) if len(parts) > 1 else image
        band = np.asarray(to_rgb(part))
        pixels[rows] = band[..., :3]
        if alpha is not None:
            alpha[rows] = band[..., 3]
    return np.ascontiguousarray(pixels[..., :1]) if is_grey(image) else pixels, alpha


def is_grey(image: Image.Image) -> bool:
    """Whether it has one channel, besides alpha."""
    return image.mode in {"1", "L", "LA", "La", "F"} or image.mode.startswith("I")


def _conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes RGB, or RGBA, of a part of the image; CMYK goes through its profile."""
    icc = image.info.get("icc_profile")
    if image.mode == "CMYK" and icc and colour_space(icc) == b"CMYK":
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            srgb = ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(profile, srgb, "CMYK", "RGB")
            return transform.apply
        except ImageCms.PyCMSError:  # a broken profile; the ink values themselves are still there
            pass
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode == mode:
        return lambda part: part
    # La, RGBa: colours multiplied by their opacity
    between = {"La": "LA"}.get(image.mode)
    return lambda part: (part.convert(between) if between else part).convert(mode)
