"""The public interface for inference: a generator that translates pictures."""

import copy
import warnings
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from img2img.engine.backends import BACKENDS
from img2img.engine.batching import Batching
from img2img.engine.bench import Measurement, bench
from img2img.engine.exported import ExportedModel
from img2img.engine.loading import load_for_inference
from img2img.engine.memory import Budget, memory_share
from img2img.engine.options import TranslatorOptions
from img2img.engine.rows import translate_rows
from img2img.engine.runner import Runner
from img2img.engine.sizing import AppliedScale, Scale, Size, Sizing, pad_to_fit
from img2img.engine.splitting import Splitter
from img2img.engine.transfer import Transfer
from img2img.engine.values import ValueConversion
from img2img.errors import ConfigError, ImageError, Img2ImgError, ModelFileError, counted
from img2img.images import (
    MAX_PIXELS,
    Domain,
    Frames,
    ImageLike,
    Mask,
    Picture,
    Pixels,
    Reader,
    as_label_map,
    as_picture,
    blended,
    like,
    weights_of,
)
from img2img.models.spec import ModelSpec
from img2img.networks import Generator
from img2img.networks.smoothing import Smoothing
from img2img.runtime.devices import resolve_device

# Bytes that a picture translated by rows takes at most, besides the decoded rows.
_ROWS_MEMORY = 3 * 2**30

K = TypeVar("K")
AnyImage = TypeVar("AnyImage", bound=ImageLike)


class Translator:
    """Translates pictures of any size with a trained generator. Use it from one thread at a time.

    Args:
        generator: set up for inference, in float32; it is not changed. Or an exported model.
        spec: the specification of the generator.
        options: how to translate; None: the defaults.
        changes: single options by name, such as `batch=4`; see `TranslatorOptions`.

    Attributes:
        options: how it translates.
        budget: the memory that it may use.
        values: converts between the values of files and those of the model.
        smoothing: the statistics of the option `smooth`, including the last frame that `translate`
            has returned; None without that option.

    Raises:
        ConfigError: a device or backend is unknown, not available, or does not support an option.
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
                raise ConfigError(f"`{name}`: only `Translator.load` takes this option")
        self.spec, self.options = (spec := spec.shown(options.show)), options
        self.values, self._say = ValueConversion.of(spec), options.say or _warn
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
        """A translator with the same generator for the frames of one video, in order.

        It has dropout off and reduces pictures to even sizes. If nothing differs, it is this one.

        Args:
            smooth: see `TranslatorOptions`; if it is set, only the first device is used.
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
        """A short text that differs between translators whose weights or settings differ."""
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
        """The option `scale`; `applied_scale` gives the scale used for a picture."""
        return self._sizing.scale

    def applied_scale(self, size: Size) -> AppliedScale:
        """The scale used for a picture of this size: its own, or that of the training images."""
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
        """Refuse a model that does not translate RGB to RGB, for what is always in colour: videos.

        Raises:
            ModelFileError: the model's input or output is not RGB.
        """
        if not (self.spec.input.is_rgb and self.spec.output.is_rgb):
            raise ModelFileError(
                f"videos are RGB, but the model translates {self.spec.in_channels} channels to"
                f" {self.spec.out_channels}"
            )

    def require_same_domain(self) -> None:
        """Refuse a model or options whose results cannot stay as their inputs outside of a mask.

        Raises:
            ConfigError: the model gives other channels or another type of values than it takes, or
                results have a size of their own.
        """
        given, made = self.spec.input.alone, self.spec.output.alone
        if given.kind == "labels":
            raise ConfigError("`mask`: is for images, but the model translates label maps")
        if (given.kind, given.channels, given.dtype) != (made.kind, made.channels, made.dtype):
            raise ConfigError(
                f"`mask`: outside of it results are their inputs, but the model makes"
                f" {made.described} of {given.described}"
            )
        if self.options.resize:
            raise ConfigError(
                "`mask`: outside of it results are their inputs, so they have their size: it"
                " excludes `resize`"
            )

    def expect(self, pictures: int) -> None:
        """Announce how many pictures will come, so that a faster backend is prepared for many."""
        for runner in self._runners:
            runner.expect(pictures // len(self._runners))

    @overload
    def translate(
        self, image: AnyImage, mask: Mask | None = None, feather: float = 0
    ) -> AnyImage: ...
    @overload
    def translate(self, image: Frames) -> Frames: ...
    @overload
    def translate(self, image: Sequence[AnyImage]) -> AnyImage: ...
    def translate(self, image: Any, mask: Mask | None = None, feather: float = 0) -> Any:
        """Translate one image, or a volume slice by slice.

        Args:
            image: a `Picture`, a Pillow image, an array or a tensor with the model's number of
                input channels; see `img2img.as_picture`. Or `Frames`, as `read_native` gives a
                volume; or for a model with several inputs, a list with an image for each. A label
                map is no tensor; see `images.as_label_map`.
            mask: where the image changes; elsewhere it stays as it is. A grey picture or an array
                (height, width), 0 outside; or `alpha`: where the image is not fully transparent.
            feather: pixels over which the result fades in, inwards from the border of the mask.

        Returns:
            The same kind of image, with the same size, bit depth, alpha and metadata, and with the
            channels of the model's output. If the model was trained on targets with another bit
            depth than its inputs, or with a range of their own such as 12 bits in 16, the result
            has their bit depth and range.

        Raises:
            ImageError: it is not an image, or there is not enough memory for its size; or the mask
                has another size.
            ConfigError: there is a mask, but results cannot stay as their inputs outside of it.
        """
        if isinstance(image, list | tuple | Frames):
            if mask is not None:
                raise ConfigError("`mask`: is of a single image, not of a volume or several inputs")
            return self._translate_slices([image] if isinstance(image, Frames) else image)
        if mask is None:
            return self.translate_batch([image])[0]
        self.require_same_domain()
        picture = self._picture(image)
        given = self.values.unchanged(picture)
        weights = weights_of(mask, given, feather)
        return like(blended(given, self.translate_batch([picture])[0], weights), image)

    def _translate_slices(self, given: Sequence[Any]) -> Any:
        """Translate a volume, or an image or a volume for each input."""
        domains = [*self.spec.input.by_input.values()]
        if len(given) != len(domains):
            raise ImageError(f"{counted(len(given), 'image')}, but the model takes {len(domains)}")
        pictures = [
            each
            if isinstance(each, Frames)
            else as_label_map(each)
            if domain.classes
            else _as_picture(each, domain.alone)
            for each, domain in zip(given, domains, strict=True)
        ]
        slices = self.translate_batch(self.values.views(pictures))
        made = self.values.assembled(slices, pictures[0])
        return made if isinstance(made, Frames) else like(made, given[0])

    def translate_batch(self, images: Sequence[AnyImage]) -> list[AnyImage]:
        """Translate several images of any kind and size. They do not influence each other."""
        results: list[Any] = []
        pictures = ((image, self._picture(image)) for image in images)
        for image, result in self._batching.each(pictures):
            if isinstance(result, Img2ImgError):
                raise result
            results.append(like(result, image))
        remarks = [*self.values.remarks()]
        for remark in remarks if not self._has_remarked else ():  # not again in later calls
            self._say(remark)
        self._has_remarked |= bool(remarks)
        return results

    def _picture(self, image: ImageLike) -> Picture:
        if self.spec.input.kind == "labels":
            return as_label_map(image)
        return self.values.with_range(_as_picture(image, self.spec.input))

    def stream(self, images: Iterable[AnyImage]) -> Iterator[AnyImage]:
        """Translate images one by one, in order, each when it is requested."""
        for image in images:
            yield self.translate(image)

    def translate_each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        """Translate pictures, each with a key of the caller's, as they come and in order.

        Several are read ahead and run in batches. If a picture fails, its error takes the place of
        the result.
        """
        yield from self._batching.each(items)
        self.remark()

    def takes_rows(self, size: Size) -> bool:
        """Whether a picture of this size, however large, can be translated by `translate_rows`."""
        options = self.options
        return (
            self._network.local
            and not isinstance(self._model, ExportedModel)
            and self.smoothing is None
            and (options.tile, options.tile_norm) == ("auto", "whole")
            and self.network_size(size) == self.result_size(size) == size
        )

    def translate_rows(
        self, reader: Reader, write: Callable[[Picture, Picture], None], folder: Path
    ) -> None:
        """Translate the picture of an open file, which is read and written by rows.

        In float32 it is identical to the result of `translate`, up to rounding.

        Args:
            reader: the file; see `img2img.images.open_rows`.
            write: takes rows of the picture and of its result, in order.
            folder: where temporary files may be, as large as a few maps of the network.

        Raises:
            ImageError: the file cannot be decoded, or has other channels than the model takes.
            StorageError: there is no room for the temporary files.
        """
        translate_rows(
            self._runners[0].network(True),
            reader,
            write,
            values=self.values,
            memory=min(self.budget.total // 2, _ROWS_MEMORY),
            folder=folder,
            truncate=self.options.truncate,
            progress=self.options.progress,
        )

    def remark(self) -> None:
        """Report pictures since the last call whose values do not suit the model."""
        for remark in self.values.remarks():
            self._say(remark)

    def bench(
        self, picture: Picture, batch: int, backend: str | None = None, skip: Container[str] = ()
    ) -> Iterator[Measurement]:
        """Measure how fast each backend is on this machine.

        Yields:
            Each measurement when it starts, when the backend is ready, and when it ends.

        Args:
            batch: number of copies of the picture in a batch.
            backend: measure only this one.
            skip: backends to leave out.
        """
        if isinstance(self._model, ExportedModel):
            raise ConfigError(
                "an exported model has only one backend, so there is nothing to compare; use the"
                " model file"
            )
        device = self._runners[0].device
        pixels = self._prepare(picture)
        names = [name for name in ([backend] if backend else BACKENDS.names()) if name not in skip]
        x = Transfer(device).send([pixels] * batch)
        return bench(self._network, device, x, names)

    @property
    def device(self) -> str:
        """The devices that it computes on."""
        return ", ".join(str(runner.device) for runner in self._runners)

    def _prepare(self, picture: Picture) -> Pixels:
        """The network's input for a picture."""
        height, width = size = self.network_size(picture.size)
        if height * width > MAX_PIXELS:
            raise ImageError(
                f"it would be translated at {width} x {height}, but the limit is {MAX_PIXELS}"
                " pixels; set another `scale` or `max_side`"
            )
        try:
            pixels = self.values.network_pixels(picture, size)
            return pad_to_fit(pixels, self.spec.size_multiple, self.spec.min_size)
        except MemoryError:
            raise _too_large(size) from None

    def _restore(self, picture: Picture, pixels: Pixels) -> Picture:
        """A picture with the network's output, without padding."""
        (height, width), size = self.network_size(picture.size), self.result_size(picture.size)
        try:
            return self.values.restored(picture, pixels[:height, :width], size)
        except MemoryError:
            raise _too_large(size) from None


def _as_picture(image: ImageLike, domain: Domain) -> Picture:
    return as_picture(image, len(domain.channels), domain.dtype)


def _too_large(size: Size) -> ImageError:
    height, width = size
    return ImageError(f"not enough memory for {width} x {height} pixels; reduce the picture")


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)
