"""Resizing, augmentation and cropping of images. Only this module uses Albumentations.

The two images of a pair share their geometry, but colour changes apply only to the input. These are
therefore two compositions, because a single one of Albumentations would change both images. All
random choices for a sample follow from the seed and the position of the sample.
"""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from img2img.config import AugmentConfig, Component, DataConfig, nearest
from img2img.data.sizes import HeightWidth
from img2img.errors import ConfigError
from img2img.images import Pixels, resized
from img2img.runtime.scoped import environment

# Its import asks the package index for a newer version, unless told not to.
with environment(NO_ALBUMENTATIONS_UPDATE="1"):
    import albumentations
    from albumentations.augmentations.dropout.transforms import BaseDropout

# Keeps the random numbers of samples apart from other uses of the same seed.
_SAMPLE = 1


class Transform:
    """Resizes, augments and crops images as the section `data` says.

    In training, `prepare` is applied to each image, then `pair` to the two of a pair, or `single`
    to an image without a partner; `center` is for held-out images. All of them take and return
    pixels (height, width, 3) of uint8 or uint16. Objects of this class can be pickled.

    Args:
        load_size: (height, width) to which images are resized; see `resolve_sizes`.
        crop_size: (height, width) of the result.

    Raises:
        ConfigError: a transform or an argument is unknown, or a value is invalid.
    """

    def __init__(self, data: DataConfig, load_size: HeightWidth, crop_size: HeightWidth) -> None:
        self.resize = data.resize
        self.load_size = load_size
        self.crop_size = crop_size
        augment = data.augment
        self.color_on = augment.color_on
        example = crop_size if data.resize == "none" else load_size
        self.geometry = _Composition(augment.geometry, "data.augment.geometry", example)
        self.color = _Composition(augment.color, "data.augment.color", crop_size)
        for index, transform in enumerate(self.color.transforms):
            _refuse_movement(transform, f"data.augment.color.{index}")

    def prepare(self, pixels: Pixels) -> Pixels:
        """The deterministic part, which can be cached: resize, and pad to at least the crop
        size."""
        return padded(self._resized(pixels, self.load_size), self.crop_size)

    def pair(self, A: Pixels, B: Pixels, seed: int, position: int) -> tuple[Pixels, Pixels]:
        """Apply the same geometry and crop to two prepared images, then colour to the input `A`.

        The result depends only on the images, the seed and the position.
        """
        seeds = self._seeds(seed, _SAMPLE, position)
        colored = 2 if self.color_on == "both" else 1
        A, B = self._random([A, B], seeds, colored)
        return A, B

    def single(self, image: Pixels, seed: int, position: int, domain: int) -> Pixels:
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

    def _random(self, images: list[Pixels], seeds: list[int], colored: int) -> list[Pixels]:
        """Apply one geometry and crop to all images, and one colour change to the first
        `colored`."""
        kinds = [image.dtype for image in images]
        if len(self.geometry):
            images = self.geometry.apply([_workable(image) for image in images], seeds[2:])
        height, width = self.crop_size
        images = [padded(image, self.crop_size) for image in images]
        top = seeds[0] % (images[0].shape[0] - height + 1)
        left = seeds[1] % (images[0].shape[1] - width + 1)
        images = [image[top : top + height, left : left + width] for image in images]
        if len(self.color) and colored:
            seeds = seeds[2 + len(self.geometry) :]
            changed = self.color.apply([_workable(image) for image in images[:colored]], seeds)
            images = [*changed, *images[colored:]]
        return [_as(image, kind) for image, kind in zip(images, kinds, strict=True)]

    def center(self, pixels: Pixels) -> Pixels:
        """The image at crop size without randomness: with `stretch` all of it, otherwise the
        centre."""
        return center_crop(
            padded(self._resized(pixels, self.crop_size), self.crop_size), self.crop_size
        )

    def _resized(self, pixels: Pixels, size: HeightWidth) -> Pixels:
        if self.resize == "none":
            return pixels
        if self.resize == "fit":  # cover `size` with the aspect kept
            height, width = pixels.shape[:2]
            scale = max(size[0] / height, size[1] / width)
            size = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
        return resized(pixels, size)


def padded(pixels: Pixels, size: HeightWidth) -> Pixels:
    """Pad the image to at least `size` by reflection at the borders."""
    missing = [max(0, wanted - there) for wanted, there in zip(size, pixels.shape, strict=False)]
    if not any(missing):
        return pixels
    borders = [*((m // 2, m - m // 2) for m in missing), (0, 0)]
    return np.asarray(np.pad(pixels, borders, mode="reflect"))


def center_crop(pixels: Pixels, size: HeightWidth) -> Pixels:
    """The centre of an image that is at least `size`."""
    top, left = ((there - wanted) // 2 for wanted, there in zip(size, pixels.shape, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


class _Composition:
    """Albumentations transforms in order, each seeded again for every call."""

    def __init__(self, sections: Sequence[Component], path: str, example: HeightWidth) -> None:
        self.transforms = [_build(s, f"{path}.{i}", example) for i, s in enumerate(sections)]
        self._compose = albumentations.Compose(
            self.transforms, additional_targets={"target": "image"}
        )

    def __len__(self) -> int:
        return len(self.transforms)

    def apply(self, images: Sequence[Pixels], seeds: Sequence[int]) -> list[Pixels]:
        """Apply the same change to one image, or to two of the same size."""
        self._set(seeds)
        targets = ("image", "target")[: len(images)]
        found = self._compose(**dict(zip(targets, images, strict=True)))
        return [np.asarray(found[target]) for target in targets]

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


def _build(section: Component, path: str, example: HeightWidth) -> Any:
    """Build a transform, and try it once on an image of the size that it will get."""
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
    for dtype in (np.uint8, np.float32):
        try:
            image = np.zeros((*example, 3), dtype)
            changed = transform(image=image, force_apply=True)["image"]
        except Exception as error:
            raise ConfigError(
                f"{path}: {section.name} fails on a {example[0]} x {example[1]} image: {error}"
            ) from None
        if not isinstance(changed, np.ndarray) or changed.dtype != dtype or changed.ndim != 3:
            raise ConfigError(
                f"{path}: {section.name} changes the data type of the image, which only the"
                " loader may do; remove it"
            )
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


def _workable(image: Pixels) -> Pixels:
    """The pixels as uint8, or float32 in [0, 1], because many transforms fail on uint16."""
    return image.astype(np.float32) / np.float32(65535) if image.dtype == np.uint16 else image


def _as(image: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """The pixels in their original type, and contiguous again after a crop or flip."""
    if image.dtype != dtype:
        image = np.rint(image.clip(0, 1) * 65535)
    return np.ascontiguousarray(image, dtype=dtype)
