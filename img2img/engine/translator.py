"""The public inference object: a generator that takes pictures and gives pictures."""

import copy
import warnings
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, get_args

from img2img.engine.backends import BACKENDS
from img2img.engine.batching import Engine
from img2img.engine.bench import Measurement, bench
from img2img.engine.exported import ExportedGenerator
from img2img.engine.loading import Options, check_choice, opened
from img2img.engine.memory import Budget, memory_share
from img2img.engine.runner import Runner
from img2img.engine.sizing import AppliedScale, Scale, Size, Sizing, pad_to_fit
from img2img.engine.splitting import Splitter, Tile, TileNorm
from img2img.engine.strips import OnPart
from img2img.engine.transfer import Transfer
from img2img.engine.values import Values
from img2img.errors import ConfigError, ImageError, Img2ImgError
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
from img2img.runtime.devices import DTYPES, PrecisionName, resolve_device
from img2img.runtime.pipeline import ahead

K = TypeVar("K")
AnyImage = TypeVar("AnyImage", bound=ImageLike)


@dataclass(frozen=True)
class _Job(Generic[K]):
    """A picture on its way."""

    key: K
    picture: Picture
    seen: Size
    """The size at which it is translated, before padding."""


class Translator:
    """Translates pictures of any size with a trained generator; for one thread at a time.

    Args:
        generator: set up for inference, in float32; it is left as it is.
        spec: what the generator needs and expects.
        device: where to compute; several share the pictures between them.
        precision: `auto`: the fastest that the device has units for. The first pictures are then
            computed in float32 too, which is gone back to if they differ. Pictures of more than 8
            bits are computed in float32.
        backend: a name from `img2img list backends`; `auto`: the fastest that is here.
        batch: pictures of one size to run together; None: what suits their size. Each comes out as
            if it were alone.
        scale: the size at which pictures are translated. `native`: their own. `trained`: they
            are resized as the training images were, translated, and resized back. `auto`: `trained`
            where that reduces the sides more than 1.5 times, or enlarges them and training did so
            too; else `native`.
        resize: height and width of all results; None: each picture's own.
        max_side: the most that height or width of a result may be; larger pictures are reduced.
        truncate: round colours down, as the reference implementation does, not to the nearest.
        tile: how pictures are cut that are too large for memory: `auto`; `off`, never; or a number
            of pixels, for all that are larger. Strips through a network like the ResNet give what
            the whole picture gives; tiles through any other approximate that.
        tile_norm: `local`: tiles that overlap, each with statistics of its own, to compare with.
        smooth: for the frames of one video, in their order: normalisation statistics are averages
            over about so many of them, at least 1, which `smoothing` holds. They then run one at a
            time, in eager PyTorch on one device; those translated in parts have their own.
        even: `max_side` reduces to even sizes, as most encoders of video want.
        max_memory: what to take of the machine's memory, beside the model: a size such as `4GB`, or
            a share of what is free, such as `50%`; None: half of it. Pictures that need more for
            their maps are translated in parts; a GPU's memory is another matter.
        progress: called with (parts done, parts) while a picture is translated in parts.
        say: told, in a sentence, what a person might want to know; None: they are warnings.

    Attributes:
        budget: the memory that may be taken.
        values: what the values of pictures are to the model.
        smoothing: what `smooth` remembers of the frames up to the last that `translate` has given;
            None without.

    Raises:
        ConfigError: no such device or backend, or one that cannot do that.
    """

    def __init__(
        self,
        generator: Generator,
        spec: ModelSpec,
        *,
        device: str | Sequence[str] = "auto",
        precision: Literal["auto"] | PrecisionName = "auto",
        backend: str = "auto",
        batch: int | None = None,
        scale: Scale = "auto",
        resize: Size | None = None,
        max_side: int | None = None,
        truncate: bool = False,
        tile: Tile = "auto",
        tile_norm: TileNorm = "whole",
        smooth: float | None = None,
        even: bool = False,
        max_memory: str | None = None,
        progress: OnPart | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.spec = spec
        self._options: Options = {
            "device": device,
            "precision": precision,
            "backend": backend,
            "batch": batch,
            "scale": scale,
            "resize": resize,
            "max_side": max_side,
            "truncate": truncate,
            "tile": tile,
            "tile_norm": tile_norm,
            "max_memory": max_memory,
            "progress": progress,
            "say": say,
        }
        check_choice("scale", scale, ("auto", *get_args(AppliedScale)))
        check_choice("tile_norm", tile_norm, get_args(TileNorm))
        check_choice("precision", precision, ("auto", *DTYPES))
        if not isinstance(tile, int):
            check_choice("tile", tile, ("auto", "off"))
        for name, number in (("batch", batch), ("max_side", max_side), ("tile", tile)):
            if isinstance(number, int) and number < 1:
                raise ConfigError(f"{name}: {number} is not a number of at least 1")
        if resize and not (min(resize) > 0 and resize[0] * resize[1] <= MAX_PIXELS):
            raise ConfigError(f"resize: {resize[1]} x {resize[0]} pixels are not 1 to {MAX_PIXELS}")
        self.values, self._say = Values.of(spec), say or _warn
        self._has_remarked = False
        self.budget = Budget(memory_share(max_memory))
        self._sizing = Sizing(scale, resize, max_side, even)
        devices = [device] if isinstance(device, str) else device
        if not devices:
            raise ConfigError("device: none is named")
        self.smoothing: Smoothing | None = None
        if smooth is not None:
            if smooth < 1:
                raise ConfigError(f"smooth: {smooth} is not a number of at least 1")
            if backend not in ("auto", "eager") or len(devices) > 1:
                raise ConfigError("smooth: frames run in eager PyTorch on one device")
            backend, batch, generator = "eager", 1, copy.deepcopy(generator)
            self.smoothing = Smoothing(generator, smooth)
        self._generator = generator
        self._runners = [
            Runner(
                generator,
                resolve_device(name),
                precision=precision,
                backend=backend,
                say=self._say,
            )
            for name in devices
        ]
        splitter = Splitter(
            tile,
            tile_norm,
            multiple=spec.size_multiple,
            truncate=truncate,
            budget=self.budget,
            say=self._say,
            progress=progress,
        )
        self._engine = Engine(self._runners, splitter, batch=batch, truncate=truncate)
        self._settings = (
            scale,
            resize,
            max_side,
            truncate,
            precision,
            tile,
            tile_norm,
            smooth,
            even,
        )

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        direction: Literal["AtoB", "BtoA"] | None = None,
        statistics: Literal["image", "running"] | None = None,
        reference_exact: bool = False,
        **options: Unpack[Options],
    ) -> Self:
        """Open a model file, the model of a run folder, or an exported model (ONNX, OpenVINO).

        An exported model runs on the CPU, in the precision and with the statistics it has.

        Args:
            direction: which generator to take, where the file holds both ways.
            statistics: where normalisation takes mean and variance from: each image, or the
                averages of training; None: as the file says.
            reference_exact: as the reference implementation's test script does it: colours are
                rounded down, all is float32, and dropout stays on where the model was trained with
                it (of an imported one: where `import` was told so), so that no two results are
                alike. With running statistics as by its `--eval`, where dropout is off.

        Raises:
            ModelFileError: there is no model, or it cannot be rebuilt.
            ConfigError: the model does not translate in that direction, or no such device.
        """
        generator, spec, options = opened(
            Path(path), direction, statistics, reference_exact, options, options.get("say") or _warn
        )
        return cls(generator, spec, **options)

    def for_video(self, smooth: float | None = None) -> Self:
        """Another with this generator, or this one, for the frames of one video in their order.

        Dropout is off in it, and pictures are reduced to even sizes.

        Args:
            smooth: as in the class; of several devices it then takes the first.
        """
        options, spec, generator = self._options.copy(), self.spec, self._generator
        if not (smooth or spec.dropout or options["max_side"]):
            return self
        if spec.dropout:
            generator = copy.deepcopy(generator).eval()
            spec = spec.model_copy(update={"dropout": False})
        device = options["device"]
        if smooth and not isinstance(device, str):
            options["device"] = device[0]
        options["even"], options["smooth"] = True, smooth
        if smooth:
            options["backend"] = "eager"
        return type(self)(generator, spec, **options)

    @cached_property
    def identity(self) -> str:
        """A short text that differs where results could: by weights, and by settings."""
        checksum = zlib.crc32(self.spec.model_dump_json(exclude_none=True).encode())
        for name, tensor in sorted(self._generator.state_dict().items()):
            checksum = zlib.crc32(name.encode(), checksum)
            checksum = zlib.crc32(tensor.contiguous().numpy().data, checksum)
        runner = self._runners[0]
        settings = (*self._settings, runner.backend, runner.precision)
        return f"{checksum:08x} {' '.join(map(str, settings))}"

    def result_size(self, size: Size) -> Size:
        """Height and width of what becomes of a picture of a size."""
        return self._sizing.result_size(size)

    @property
    def scale(self) -> Scale:
        """As it was asked for; `applied_scale` says what is done with a picture."""
        return self._sizing.scale

    def applied_scale(self, size: Size) -> AppliedScale:
        """Whether a picture of this height and width is resized as training images were."""
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

    def expect(self, pictures: int) -> None:
        """Say how many pictures are to come, so that a long job can be prepared for."""
        for runner in self._runners:
            runner.expect(pictures // len(self._runners))

    def translate(self, image: AnyImage) -> AnyImage:
        """Translate one image.

        Args:
            image: a `Picture`, a Pillow image, an array or a tensor, as `img2img.as_picture` has
                it.

        Returns:
            The same kind of image, of the same size, bit depth, alpha and metadata. (Grey becomes
            RGB.) Where the model was trained on targets with a range of their own, such as 12 bits
            in 16, or of another depth than the inputs, it has those numbers, and their bit depth.

        Raises:
            ImageError: it is no image, or there is not enough memory for one of this size.
        """
        return self.translate_batch([image])[0]

    def translate_batch(self, images: Sequence[AnyImage]) -> list[AnyImage]:
        """Translate several images, of any kinds and sizes, each as if it were alone."""
        results: list[Any] = []
        for given, result in self._each((image, as_picture(image)) for image in images):
            if isinstance(result, Img2ImgError):
                raise result
            results.append(like(result, given))
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
        yield from self._each(items)
        self.remark()

    def _each(
        self, items: Iterable[tuple[K, Picture]]
    ) -> Iterator[tuple[K, Picture | Img2ImgError]]:
        prepared = ahead(self._prepared, items, workers=1, bound=2)
        yield from ahead(self._restored, self._engine.each(prepared), workers=1, bound=2)

    def remark(self) -> None:
        """Say what a person should know of the values of pictures since the last time."""
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
        if isinstance(self._generator, ExportedGenerator):
            raise ConfigError("bench: an exported model has one backend; give the model file")
        device = self._runners[0].device
        _, pixels = self._prepared((None, picture))
        if isinstance(pixels, ImageError):
            raise pixels
        names = [name for name in ([backend] if backend else BACKENDS.names()) if name not in skip]
        x = Transfer(device).send([pixels] * batch)
        return bench(self._generator, device, x, names)

    @property
    def device(self) -> str:
        """Where it computes."""
        return ", ".join(str(runner.device) for runner in self._runners)

    def _prepared(self, item: tuple[K, Picture]) -> tuple[_Job[K], Pixels | ImageError]:
        """What the network is given of a picture."""
        key, picture = item
        height, width = seen = self._sizing.network_size(picture.size, self.spec)
        job = _Job(key, picture, seen)
        if height * width > MAX_PIXELS:
            return job, ImageError(f"at {width} x {height} it would be larger than {MAX_PIXELS}")
        try:
            pixels = resized(self.values.network_pixels(picture), seen)
            return job, pad_to_fit(pixels, self.spec.size_multiple, self.spec.min_size)
        except MemoryError:
            return job, _too_large(seen)

    def _restored(
        self, item: tuple[_Job[K], Pixels | ImageError]
    ) -> tuple[K, Picture | Img2ImgError]:
        """A picture with the pixels that came of it."""
        job, pixels = item
        if isinstance(pixels, ImageError):
            return job.key, pixels
        height, width = job.seen
        picture, size = job.picture, self._sizing.result_size(job.picture.size)
        try:
            translated = resized(pixels[:height, :width], size)
            return job.key, self.values.restored(picture, translated)
        except MemoryError:
            return job.key, _too_large(size)


def _too_large(size: Size) -> ImageError:
    height, width = size
    return ImageError(f"not enough memory for {width} x {height} pixels")


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)
