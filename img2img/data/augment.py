"""Resizing, augmentation and cropping of images. Only this module uses Albumentations.

The two images of a pair share their geometry, but colour changes apply only to the input. These are
therefore two compositions, because a single one of Albumentations would change both images. All
random choices for a sample follow from the seed and the position of the sample.
"""

import inspect
import warnings
from collections.abc import Collection, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from img2img.config import AugmentConfig, Component, DataConfig, nearest
from img2img.data.raster import Raster
from img2img.data.sizes import HeightWidth
from img2img.errors import ConfigError
from img2img.images import Pixels
from img2img.runtime.scoped import environment

# Its import asks the package index for a newer version, unless told not to.
with environment(NO_ALBUMENTATIONS_UPDATE="1"):
    import albumentations
    from albumentations.augmentations.dropout.transforms import BaseDropout

# Keeps the random numbers of samples apart from other uses of the same seed.
_SAMPLE = 1


# What Albumentations calls the images of a sample, and what goes with them.
Examples = Sequence[tuple[int, int, int]]
_IMAGES = ("image", "target")
_MASKS = ("mask", "mask2", "mask3", "mask4")


class Transform:
    """Resizes, augments and crops images as the section `data` says.

    In training, `prepare` is applied to each image, then `pair` to the two of a pair, or `single`
    to an image without a partner; `center` is for held-out images. Objects of this class can be
    pickled.

    Args:
        load_size: (height, width) to which images are resized; see `resolve_sizes`.
        crop_size: (height, width) of the result.
        channels: the numbers of channels that images have; label maps do not count.
        colored: the same for the images that `color` changes; None: all of them.

    Raises:
        ConfigError: a transform or an argument is unknown, or a value is invalid.
    """

    def __init__(
        self,
        data: DataConfig,
        load_size: HeightWidth,
        crop_size: HeightWidth,
        channels: Collection[int] = (3,),
        colored: Collection[int] | None = None,
    ) -> None:
        self.resize = data.resize
        self.load_size = load_size
        self.crop_size = crop_size
        augment = data.augment
        self.color_on = augment.color_on
        example = crop_size if data.resize == "none" else load_size
        examples = [(*example, count) for count in channels]
        self.geometry = _Composition(augment.geometry, "data.augment.geometry", examples)
        examples = [(*crop_size, count) for count in (channels if colored is None else colored)]
        self.color = _Composition(augment.color, "data.augment.color", examples)
        for index, transform in enumerate(self.color.transforms):
            _refuse_movement(transform, f"data.augment.color.{index}")

    def prepare(self, image: Raster) -> Raster:
        """The deterministic part, which can be cached: resize, and pad to the crop size."""
        return self._padded(self._resized(image, self.load_size))

    def pair(self, A: Raster, B: Raster, seed: int, position: int) -> tuple[Raster, Raster]:
        """Apply the same geometry and crop to two prepared images, then colour to the input `A`.

        The result depends only on the images, the seed and the position.
        """
        seeds = self._seeds(seed, _SAMPLE, position)
        colored = 2 if self.color_on == "both" else 1
        A, B = self._random([A, B], seeds, colored)
        return A, B

    def single(self, image: Raster, seed: int, position: int, domain: int) -> Raster:
        """Apply geometry, crop and colour to an image without a partner.

        The result depends only on the image, the seed, the position and the domain.

        Args:
            domain: 0 for A, the input; 1 for B.
        """
        seeds = self._seeds(seed, _SAMPLE, position, 1 + domain)
        colored = 1 if self.color_on == "both" or domain == 0 else 0
        return self._random([image], seeds, colored)[0]

    def _seeds(self, *entropy: int) -> list[int]:
        count = len(self.geometry) + len(self.color) + 2
        return [int(word) for word in np.random.SeedSequence(entropy).generate_state(count)]

    def _random(self, images: list[Raster], seeds: list[int], colored: int) -> list[Raster]:
        """Apply one geometry and crop to all images, one colour change to the first `colored`."""
        kinds = [image.pixels.dtype for image in images]
        changes = bool(len(self.geometry) or (len(self.color) and colored))
        if changes:
            images = [_workable(image) for image in images]
        if len(self.geometry):
            images = self.geometry.apply(images, seeds[2:])
        height, width = self.crop_size
        images = [self._padded(image) for image in images]
        top = seeds[0] % (images[0].size[0] - height + 1)
        left = seeds[1] % (images[0].size[1] - width + 1)
        images = [
            image.moved(lambda pixels: pixels[top : top + height, left : left + width])
            for image in images
        ]
        if len(self.color) and colored:
            seeds = seeds[2 + len(self.geometry) :]
            images = [*self.color.apply(images[:colored], seeds), *images[colored:]]
        if changes:
            images = [_as(image, kind) for image, kind in zip(images, kinds, strict=True)]
        return [image.moved(np.ascontiguousarray) for image in images]

    def center(self, image: Raster) -> Raster:
        """The image at crop size without randomness: with `stretch` all of it, else the centre."""
        whole = self._padded(self._resized(image, self.crop_size))
        return whole.moved(lambda pixels: center_crop(pixels, self.crop_size))

    def _padded(self, image: Raster) -> Raster:
        return image.moved(lambda pixels: padded(pixels, self.crop_size))

    def _resized(self, image: Raster, size: HeightWidth) -> Raster:
        if self.resize == "none":
            return image
        if self.resize == "fit":  # cover `size` with the aspect kept
            height, width = image.size
            scale = max(size[0] / height, size[1] / width)
            size = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
        return image.resized(size)


def padded(pixels: Pixels, size: HeightWidth) -> Pixels:
    """Pad the image to at least `size` by reflection at the borders."""
    missing = [max(0, wanted - there) for wanted, there in zip(size, pixels.shape, strict=False)]
    if not any(missing):
        return pixels
    borders = [(m // 2, m - m // 2) for m in missing]
    borders += [(0, 0)] * (pixels.ndim - 2)
    return np.asarray(np.pad(pixels, borders, mode="reflect"))


def center_crop(pixels: Pixels, size: HeightWidth) -> Pixels:
    """The centre of an image that is at least `size`."""
    top, left = ((there - wanted) // 2 for wanted, there in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


class _Composition:
    """Albumentations transforms in order, each seeded again for every call."""

    def __init__(self, sections: Sequence[Component], path: str, examples: Examples) -> None:
        self.transforms = [_build(s, f"{path}.{i}", examples) for i, s in enumerate(sections)]
        also = dict.fromkeys(_IMAGES[1:], "image") | dict.fromkeys(_MASKS, "mask")
        self._compose = albumentations.Compose(self.transforms, additional_targets=also)

    def __len__(self) -> int:
        return len(self.transforms)

    def apply(self, images: Sequence[Raster], seeds: Sequence[int]) -> list[Raster]:
        """Apply the same change to one image, or to two of the same size."""
        self._set(seeds)
        # Labels and validity are masks to Albumentations, which it never mixes of several pixels.
        pictures = [image.pixels for image in images if not image.classes]
        if not pictures:  # it needs one
            pictures = [np.zeros((*images[0].size, 1), np.uint8)]
        masks = [image.pixels for image in images if image.classes]
        masks += [image.valid.astype(np.uint8) for image in images if image.valid is not None]
        given = dict(zip(_IMAGES, pictures, strict=False)) | dict(zip(_MASKS, masks, strict=False))
        found = self._compose(**given)
        made, labels = (
            iter([np.asarray(found[name]) for name in names if name in given])
            for names in (_IMAGES, _MASKS)
        )
        changed = []
        for image in images:
            pixels = next(labels if image.classes else made)
            if pixels.ndim == 2:
                pixels = pixels[..., None]
            changed.append(image._replace(pixels=pixels))
        return [
            image if image.valid is None else image._replace(valid=next(labels) > 0)
            for image in changed
        ]

    def _set(self, seeds: Sequence[int]) -> None:
        # Compose.set_random_seed would give every transform the same numbers: two flips with
        # p = 0.5 would then always come together.
        for transform, seed in zip(self.transforms, seeds, strict=False):
            transform.set_random_seed(seed)


def _arguments(transform_class: type) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(transform_class).parameters
    return {name: p for name, p in parameters.items() if name != "self"}


def _catalogue() -> dict[str, Any]:
    """All transforms of Albumentations that can be instantiated, by name."""
    bases = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    return {
        name: found
        for name, found in vars(albumentations).items()
        if name not in bases
        and inspect.isclass(found)
        and issubclass(found, albumentations.BasicTransform)
    }


def check_names(augment: AugmentConfig) -> None:
    """Check the names of all transforms and arguments in a configuration.

    Raises:
        ConfigError: Albumentations has no such transform or argument.
    """
    for path in ("geometry", "color"):
        for index, section in enumerate(getattr(augment, path)):
            _find(section, f"data.augment.{path}.{index}")


def _find(section: Component, path: str) -> type:
    """The class of a transform; its arguments are checked."""
    catalogue = _catalogue()
    if section.name not in catalogue:
        raise ConfigError(
            f"{path}.name: Albumentations has no transform {section.name!r}"
            f"{nearest(section.name, catalogue)}"
        )
    transform_class: type = catalogue[section.name]
    known = _arguments(transform_class)
    for argument in section.arguments:
        if argument not in known:
            raise ConfigError(
                f"{path}.{argument}: {section.name} has no such argument"
                f"{nearest(argument, known)}; it takes: {', '.join(known)}"
            )
    return transform_class


def _build(section: Component, path: str, examples: Examples) -> Any:
    """Build a transform, and try it once on images of the shapes that it will get."""
    transform_class = _find(section, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # advice to name another transform
            # Unless strict, a class that has a schema goes on with defaults where it fails to
            # check a value.
            strict = {"strict": True} if "InitSchema" in vars(transform_class) else {}
            transform = transform_class(**strict, **section.arguments)
    except Exception as error:
        raise ConfigError(_explain(error, section, path)) from None
    for shape, dtype in product(examples, (np.uint8, np.float32)):
        height, width, channels = shape
        what = f"a {height} x {width} image" if channels == 3 else f"images of {channels} channels"
        try:
            image = np.zeros(shape, dtype)
            changed = transform(image=image, force_apply=True)["image"]
        except Exception as error:
            raise ConfigError(f"{path}: {section.name} fails on {what}: {error}") from None
        if not isinstance(changed, np.ndarray) or changed.dtype != dtype:
            raise ConfigError(
                f"{path}: {section.name} changes the data type of the image, which only the"
                " loader may do; remove it"
            )
        if changed.shape[2:] != (channels,):
            raise ConfigError(f"{path}: {section.name} changes how many channels {what} has")
    return transform


def _explain(error: Exception, section: Component, path: str) -> str:
    """The library's reason, with the key of the argument if it names one."""
    if not isinstance(error.__cause__, ValidationError):
        return f"{path}: {section.name}: {error}"
    reasons: dict[str, list[str]] = {}
    for detail in error.__cause__.errors():
        key = f"{path}.{detail['loc'][0]}" if detail["loc"] else path
        reasons.setdefault(key, []).append(detail["msg"].removeprefix("Value error, "))
    return "; ".join(f"{key}: {', or '.join(dict.fromkeys(r))}" for key, r in reasons.items())


def _refuse_movement(transform: Any, path: str) -> None:
    """Refuse a colour transform that moves pixels, as it may change only one image of a pair."""
    stays = (albumentations.ImageOnlyTransform, BaseDropout, albumentations.PixelDropout)
    if not isinstance(transform, stays):
        raise ConfigError(
            f"{path}.name: {type(transform).__name__} moves pixels, so the two images of a pair"
            " would no longer match; list it under data.augment.geometry"
        )


def _workable(image: Raster) -> Raster:
    """The pixels as uint8, or float32 in [0, 1], because many transforms fail on uint16."""
    pixels = image.pixels
    if image.classes or pixels.dtype == np.uint8:
        return image
    if pixels.dtype == np.uint16:
        return image._replace(pixels=pixels.astype(np.float32) / np.float32(65535))
    return image._replace(pixels=(pixels + 1) / 2)


def _as(image: Raster, dtype: npt.DTypeLike) -> Raster:
    """The pixels in the type that they had before `_workable` changed it."""
    pixels = image.pixels
    if dtype == np.float32 and not image.classes:
        pixels = pixels * 2 - 1
    elif pixels.dtype != dtype:
        pixels = np.rint(pixels.clip(0, 1) * 65535).astype(dtype)
    return image._replace(pixels=pixels)
