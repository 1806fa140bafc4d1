"""How large images are resized and cropped, where the configuration leaves it open."""

from img2img.config import DataConfig
from img2img.errors import ConfigError

HeightWidth = tuple[int, int]

PUBLISHED_LOAD = 286
PUBLISHED_CROP = 256


def resolve_sizes(data: DataConfig, smallest: HeightWidth) -> tuple[HeightWidth, HeightWidth]:
    """The size to resize to and the size to crop, each (height, width).

    `auto` is the published 286 and 256 for images of 256 pixels and up; below, the crop is the
    largest power of two that fits, and the load size stays 286/256 of the crop. With only one of
    the two given, the other follows from it. Where `data.resize` is `none` the load size is unused.

    Args:
        smallest: the smallest height and the smallest width among the images.

    Raises:
        ConfigError: the crop is larger than what it is to be cut from.
    """
    load, crop = data.load_size, data.crop_size
    if crop == "auto":
        resized = data.resize != "none" and load != "auto"
        side = _square_crop(min(load if resized and load != "auto" else smallest))
        crop = (side, side)
    if load == "auto":
        load = (_load_for(crop[0]), _load_for(crop[1]))
    if data.resize != "none" and (crop[0] > load[0] or crop[1] > load[1]):
        raise ConfigError(
            f"data.crop_size: {crop[0]} x {crop[1]} (height x width) does not fit into"
            f" data.load_size {load[0]} x {load[1]}; make load_size larger, or auto"
        )
    return load, crop


def _square_crop(side: int) -> int:
    return min(PUBLISHED_CROP, 1 << (side.bit_length() - 1))


def _load_for(crop: int) -> int:
    return round(crop * PUBLISHED_LOAD / PUBLISHED_CROP)
