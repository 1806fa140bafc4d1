"""The public inference object: a generator that takes pictures and gives pictures."""

import copy
import warnings
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from img2img.engine.backends import BACKENDS
from img2img.engine.batching import Batching
from img2img.engine.bench import Measurement, bench
from img2img.engine.exported import ExportedModel
from img2img.engine.loading import load_for_inference
from img2img.engine.memory import Budget, memory_share
from img2img.engine.options import TranslatorOptions
from img2img.engine.runner import Runner
from img2img.engine.sizing import AppliedScale, Scale, Size, Sizing, pad_to_fit
from img2img.engine.splitting import Splitter
from img2img.engine.transfer import Transfer
from img2img.engine.values import Values
from img2img.errors import ConfigError, ImageError, Img2ImgError, ModelFileError
from img2img.images import (
    MAX_PIXELS,
    ImageLike,
    Picture,
    Pixels,
    as_picture,
    like,
    resized,
)
from img2img.models.spec import ModelSpec
from img2img.networks import Generator
from img2img.networks.smoothing import Smoothing
from img2img.runtime.devices import resolve_device

K = TypeVar("K")
AnyImage = TypeVar("AnyImage", bound=ImageLike)


class Translator:
    """Translates pictures of any size with a trained generator; for one thread at a time.

    Args:
        generator: set up for inference, in float32; it is left as it is. Or an exported model.
        spec: what the generator needs and expects.
        options: how to translate; None: the defaults.
        changes: single options by name, such as `batch=4`; see `TranslatorOptions`.

    Attributes:
        options: how it translates.
        budget: the memory that may be taken.
        values: what the values of pictures mean to the model.
        smoothing: the running statistics of the option `smooth`, up to the last frame that
            `translate` has given; None without.

    Raises:
        ConfigError: no such device or backend, or one that cannot do that.
        TypeError: no such option.
    """

    def __init__(
        self,
        generator: Generator | ExportedModel,
        spec: ModelSpec,
        options: TranslatorOptions | None = None,
        **changes: Any,
    ) -> None:
        options = replace(options or TranslatorOptions(), **changes)
        for name in ("direction", "statistics", "reference_exact"):
            if getattr(options, name):
                raise ConfigError(f"{name}: is for a model that is loaded from a file")
        self.spec, self.options = spec, options
        self.values, self._say = Values.of(spec), options.say or _warn
        self._has_remarked = False
        self.budget = Budget(memory_share(options.max_memory))
        self._sizing = Sizing(options.scale, options.resize, options.max_side, options.even)
        self._model = generator
        network = generator if isinstance(generator, Generator) else generator.layout
        batch, backend = options.batch, options.backend
        self.smoothing: Smoothing | None = None
        if options.smooth is not None:
            backend, batch, network = "eager", 1, copy.deepcopy(network)
            self.smoothing = Smoothing(network, options.smooth)
        self._network = network
        self._runners = [
            Runner(
                network,
                resolve_device(name),
                precision=options.precision,
                backend=backend if isinstance(generator, Generator) else generator,
                say=self._say,
            )
            for name in options.devices
        ]
        splitter = Splitter(
            options.tile,
            options.tile_norm,
            channels=(spec.in_channels, spec.out_channels),
            multiple=spec.size_multiple,
            truncate=options.truncate,
            budget=self.budget,
            say=self._say,
            progress=options.progress,
        )
        self._batching = Batching(
            self._runners,
            splitter,
            prepare=self._prepare,
            restore=self._restore,
            batch=batch,
            truncate=options.truncate,
        )

    @classmethod
    def load(
        cls, path: Path | str, options: TranslatorOptions | None = None, **changes: Any
    ) -> Self:
        """Open a model file, the model of a run folder, or an exported model (ONNX, OpenVINO).

        An exported model runs on the CPU, in the precision and with the statistics of its file.

        Args:
            options: how to translate; None: the defaults.
            changes: single options by name, such as `precision="fp32"`; see `TranslatorOptions`.

        Raises:
            ModelFileError: there is no model, or it cannot be rebuilt.
            ConfigError: the model does not translate in that direction, or no such device.
            TypeError: no such option.
        """
        options = replace(options or TranslatorOptions(), **changes)
        return cls(*load_for_inference(Path(path), replace(options, say=options.say or _warn)))

    def for_video(self, smooth: float | None = None) -> Self:
        """Another with this generator, or this one, for the frames of one video in their order.

        Dropout is off in it, and pictures are reduced to even sizes.

        Args:
            smooth: as in `TranslatorOptions`; of several devices it then takes the first.
        """
        options, spec, generator = self.options, self.spec, self._model
        if not (smooth or spec.dropout or options.max_side):
            return self
        if spec.dropout:
            generator = copy.deepcopy(self._network).eval()
            spec = spec.model_copy(update={"dropout": False})
        options = replace(options, even=True, smooth=None)
        if smooth:
            options = replace(options, smooth=smooth, backend="eager", device=options.devices[0])
        return type(self)(generator, spec, options)

    @cached_property
    def identity(self) -> str:
        """A short text that differs where results could: by weights, and by settings."""
        checksum = zlib.crc32(self.spec.model_dump_json(exclude_none=True).encode())
        if isinstance(self._model, ExportedModel):
            checksum = zlib.crc32(str(self._model.checksum).encode(), checksum)
        else:
            for name, tensor in sorted(self._network.state_dict().items()):
                checksum = zlib.crc32(name.encode(), checksum)
                checksum = zlib.crc32(tensor.contiguous().numpy().data, checksum)
        runner = self._runners[0]
        settings = (*self.options.settings, runner.backend, runner.precision)
        return f"{checksum:08x} {' '.join(map(str, settings))}"

    def result_size(self, size: Size) -> Size:
        """Height and width of the result for a picture of this size."""
        return self._sizing.result_size(size)

    @property
    def scale(self) -> Scale:
        """The option; `applied_scale` says what is done with a picture."""
        return self._sizing.scale

    def applied_scale(self, size: Size) -> AppliedScale:
        """Whether a picture of this size is resized as training images were, or keeps its size."""
        return self._sizing.applied_scale(size, self.spec)

    def network_size(self, size: Size) -> Size:
        """Height and width at which a picture of this size is translated."""
        return self._sizing.network_size(size, self.spec)

    def describe_scale(self, size: Size) -> str:
        """A line on the size at which pictures of this size are translated."""
        (from_h, from_w), (height, width) = size, self.network_size(size)
        if self.applied_scale(size) == "native":
            return f"scale {self.scale}: translated at {width} x {height}"
        resized = f"{from_w} x {from_h} are translated at {width} x {height}, as in training"
        return f"scale {self.scale}: {resized}"

    def require_rgb(self) -> None:
        """Refuse to translate files, which have three channels here, with another kind of model.

        Raises:
            ModelFileError: the model takes or gives something other than RGB images.
        """
        domains = self.spec.input, self.spec.output
        if any(not domain.is_rgb or domain.nodata is not None for domain in domains):
            raise ModelFileError(
                f"the model translates {self.spec.in_channels} channels to"
                f" {self.spec.out_channels}, but files are read and written as RGB, without"
                " `nodata`; give arrays or tensors to `Translator.translate`"
            )

    def expect(self, pictures: int) -> None:
        """Announce how many pictures will come, so that a long job can be prepared for."""
        for runner in self._runners:
            runner.expect(pictures // len(self._runners))

    def translate(self, image: AnyImage) -> AnyImage:
        """Translate one image.

        Args:
            image: a `Picture`, a Pillow image, an array or a tensor, with the channels that the
                model takes; see `img2img.as_picture`.

        Returns:
            The same kind of image, of the same size, bit depth, alpha and metadata, with the
            channels of the model's output. Where the model was trained on targets with a range of
            their own, such as 12 bits in 16, or of another depth than the inputs, it has those
            numbers, and their bit depth.

        Raises:
            ImageError: it is no image, or there is not enough memory for one of this size.
        """
        return self.translate_batch([image])[0]

    def translate_batch(self, images: Sequence[AnyImage]) -> list[AnyImage]:
        """Translate several images of any kinds and sizes; none influences another."""
        results: list[Any] = []
        pictures = ((image, as_picture(image, self.spec.in_channels)) for image in images)
        for image, result in self._batching.each(pictures):
            if isinstance(result, Img2ImgError):
                raise result
            results.append(like(result, image))
        remarks = [*self.values.remarks()]
        for remark in remarks if not self._has_remarked else ():  # not of each image again
            self._say(remark)
        self._has_remarked |= bool(remarks)
        return results

    def stream(self, images: Iterable[AnyImage]) -> Iterator[AnyImage]:
        """Translate images one after the other, in order, each as it is asked for."""
        for image in images:
            yield self.translate(image)

    def translate_each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        """Translate pictures as they come, each with a key of the caller's, in order.

        Several are taken before the first is given, and run together or at the same time. A
        picture that cannot be translated gives the error in its place.
        """
        yield from self._batching.each(items)
        self.remark()

    def remark(self) -> None:
        """Report pictures, since the last call, whose values do not suit the model."""
        for remark in self.values.remarks():
            self._say(remark)

    def bench(
        self, picture: Picture, batch: int, backend: str | None = None, skip: Container[str] = ()
    ) -> Iterator[Measurement]:
        """Measure what every backend, or this one, gives on this machine.

        Yields:
            Each when it is begun, when it is ready, and when it has ended.

        Args:
            batch: copies of the picture to run together.
            skip: backends to leave out.
        """
        if isinstance(self._model, ExportedModel):
            raise ConfigError("bench: an exported model has only one backend; use the model file")
        device = self._runners[0].device
        pixels = self._prepare(picture)
        names = [name for name in ([backend] if backend else BACKENDS.names()) if name not in skip]
        x = Transfer(device).send([pixels] * batch)
        return bench(self._network, device, x, names)

    @property
    def device(self) -> str:
        """Where it computes."""
        return ", ".join(str(runner.device) for runner in self._runners)

    def _prepare(self, picture: Picture) -> Pixels:
        """What the network is given of a picture."""
        height, width = size = self.network_size(picture.size)
        channels = picture.pixels.shape[2]
        if channels != self.spec.in_channels:
            raise ImageError(
                f"it has {channels} channels, but the model takes {self.spec.in_channels}"
            )
        if height * width > MAX_PIXELS:
            raise ImageError(f"at {width} x {height} it would be larger than {MAX_PIXELS}")
        try:
            pixels = resized(self.values.network_pixels(picture), size)
            return pad_to_fit(pixels, self.spec.size_multiple, self.spec.min_size)
        except MemoryError:
            raise _too_large(size) from None

    def _restore(self, picture: Picture, pixels: Pixels) -> Picture:
        """A picture with the pixels that the network made of it, without their padding."""
        (height, width), size = self.network_size(picture.size), self.result_size(picture.size)
        try:
            return self.values.restored(picture, resized(pixels[:height, :width], size))
        except MemoryError:
            raise _too_large(size) from None


def _too_large(size: Size) -> ImageError:
    height, width = size
    return ImageError(f"not enough memory for {width} x {height} pixels")


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)
