"""The public inference object: a generator that takes pictures and gives pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2img.checkpoint import ModelSpec, load_model
from img2img.devices import is_out_of_memory, resolve_device
from img2img.errors import ConfigError, ImageError, Img2ImgError, ModelFileError
from img2img.images import Picture, resized, to_pixels, to_tensor
from img2img.networks import Generator

Scale = Literal["native", "trained"]
K = TypeVar("K")


class Translator:
    """Translates pictures of any size with a trained generator.

    Args:
        generator: set up for inference.
        spec: what the generator needs and expects.
        device: where to compute; in float32.
        scale: the size at which pictures are translated. `native`: their own. `trained`: they
            are resized as the training images were, translated, and resized back.
    """

    def __init__(
        self,
        generator: Generator,
        spec: ModelSpec,
        device: torch.device | str = "cpu",
        scale: Scale = "native",
    ) -> None:
        self.spec = spec
        self._factor = spec.scale if scale == "trained" else 1.0
        self.device = torch.device(device)
        self._generator = generator.to(self.device)

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        device: str = "auto",
        direction: Literal["AtoB", "BtoA"] | None = None,
        scale: Scale = "native",
    ) -> Self:
        """Open a model file, or the model of a run folder.

        Args:
            direction: which generator to take, where the file holds both ways.

        Raises:
            ModelFileError: there is no model, or it cannot be rebuilt.
            ConfigError: the model does not translate in that direction, or no such device.
        """
        model = load_model(Path(path))
        found = {spec.direction: name for name, spec in model.specs.items()}
        chosen = direction or ("AtoB" if "AtoB" in found else next(iter(found)))
        if chosen not in found:
            raise ConfigError(f"direction: {path} translates {' and '.join(found)}, not {chosen}")
        name = found[chosen]
        channels = model.specs[name].in_channels, model.specs[name].out_channels
        if channels != (3, 3):
            raise ModelFileError(
                f"{path}: translates {channels[0]} channels to {channels[1]}; pictures have 3"
            )
        return cls(model.generator(name), model.specs[name], resolve_device(device), scale)

    def translate(self, picture: Picture) -> Picture:
        """Translate one picture; the result has its size, bit depth, alpha and metadata.

        Raises:
            ImageError: there is not enough memory for a picture of this size.
        """
        return self.translate_batch([picture])[0]

    def translate_batch(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Translate several pictures, of any sizes, each as if it were alone."""
        return [replace(picture, pixels=self._run(picture.composited())) for picture in pictures]

    def translate_each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        """Translate pictures as they come, each with a key of the caller's, in order.

        A picture that cannot be translated gives the error in its place.
        """
        for key, picture in items:
            try:
                yield key, self.translate(picture)
            except Img2ImgError as error:
                yield key, error

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Translate pictures one after the other, in order, as they are asked for."""
        for picture in pictures:
            yield self.translate(picture)

    @torch.inference_mode()
    def _run(self, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.generic]:
        size: tuple[int, int] = pixels.shape[:2]
        height, width = (max(1, round(self._factor * side)) for side in size)
        try:
            seen = resized(pixels, (height, width))
            padded = pad_to_fit(seen, self.spec.size_multiple, self.spec.min_size)
            x = to_tensor(padded).unsqueeze(0).to(self.device)
            y: Tensor = self._generator(x)[0, :, :height, :width]
            return resized(to_pixels(y.cpu(), pixels.dtype), size)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            raise ImageError(f"not enough memory for {width} x {height} pixels") from None


def pad_to_fit(pixels: NDArray[np.generic], multiple: int, least: int) -> NDArray[np.generic]:
    """Enlarge [H, W, C] at the right and bottom to the next size that a network takes.

    By reflection, repeated where the image is smaller than the padding; one row is repeated as it
    is. Never further than needed: a larger canvas changes the statistics of normalisation.
    """
    padding = [(0, _up_to(max(size, least), multiple) - size) for size in pixels.shape[:2]]
    return np.pad(pixels, [*padding, (0, 0)], mode="reflect")


def _up_to(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
