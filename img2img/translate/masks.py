"""The masks of a call: which file each image has, and results that stay as they were outside."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from img2img.data.layouts import images_by_name
from img2img.engine.values import ValueConversion
from img2img.errors import DataError, ImageError, nearest_path
from img2img.images import (
    ALPHA,
    Picture,
    Reader,
    WeightRows,
    Weights,
    blended,
    open_rows,
    read_native,
    weights_of,
)
from img2img.translate.manifest import file_state
from img2img.translate.options import VideoOptions
from img2img.translate.pictures import Image, frames_of, with_frames
from img2img.video import Frame
from img2img.video.convert import FrameTransform
from img2img.video.journal import State


@dataclass(frozen=True)
class Masks:
    """Where results replace their inputs.

    Attributes:
        path: a file, the mask of all images; a folder, in which a mask has the path of its image,
            whatever the suffix; None: the transparency of each image.
        feather: see `img2img.images.weights_of`.
    """

    path: Path | None
    feather: float

    @classmethod
    def of(cls, options: VideoOptions) -> "Masks | None":
        """As the options have them; None: results are whole.

        Raises:
            DataError: there is no such file or folder, or a folder is empty.
            ImageError: the file cannot be read.
        """
        if options.mask is None:
            return None
        if options.mask == ALPHA:
            return cls(None, options.feather)
        path = Path(options.mask)
        if not path.exists():
            raise DataError.of(path, f"no such mask, nor a folder of masks{nearest_path(path)}")
        masks = cls(path, options.feather)
        _ = masks._by_name if path.is_dir() else masks._single
        return masks

    @cached_property
    def _by_name(self) -> Mapping[str, list[Path]]:
        return images_by_name(self.path) if self.path and self.path.is_dir() else {}

    @cached_property
    def _single(self) -> Image:
        assert self.path is not None
        return read_native(self.path)

    def file_of(self, name: str) -> Path | None:
        """The mask of an image by its name below the folder of the inputs; None: its transparency.

        Raises:
            ImageError: it has none, or more than one.
        """
        if self.path is None or not self._by_name:
            return self.path
        files = self._by_name.get(normalize("NFC", Path(name).with_suffix("").as_posix()), [])
        if not files:
            files = self._by_name.get(normalize("NFC", name), [])  # a folder, as a sequence is
        if len(files) == 1:
            return files[0]
        if files:
            raise ImageError(f"several masks: {' and '.join(map(str, files))}")
        first = next(iter(self._by_name.values()))[0]
        raise ImageError(
            f"no mask in {self.path}, where one has the path and name of its image (there is"
            f" {first.relative_to(self.path)})"
        )

    def identity(self, name: str) -> list[Any]:
        """What differs between masks of an image with which results may differ."""
        try:
            file = self.file_of(name)
            return ["mask", file and file_state(file), self.feather]
        except (ImageError, OSError):
            return ["no mask"]

    def of_one(self, name: str) -> "Masks":
        """The mask of one image.

        Raises:
            ImageError: it has none, or more than one.
        """
        return replace(self, path=self.file_of(name))

    def weights(self, name: str, image: Image) -> list[Weights]:
        """How much of its result is taken at each pixel of each picture in an image.

        Raises:
            ImageError: the image has no mask, or one of another size.
        """
        file = self.file_of(name)
        frames = frames_of(image)
        if file is None:
            return [weights_of(ALPHA, frame, self.feather) for frame in frames]
        masks = frames_of(self._single if file == self.path else read_native(file))
        if len(masks) not in {1, len(frames)}:
            raise ImageError.of(file, f"{len(masks)} masks, but the image has {len(frames)} frames")
        each = masks if len(masks) == len(frames) else [*masks] * len(frames)
        try:
            return [weights_of(*both, self.feather) for both in zip(each, frames, strict=True)]
        except ImageError as error:
            raise ImageError.of(file, error.reason) from None

    @contextmanager
    def rows(self, name: str, image: Reader) -> Iterator[WeightRows]:
        """The same of an image that is read by rows.

        Raises:
            ImageError: as `weights`.
        """
        file = self.file_of(name)
        if file is None:
            yield WeightRows(ALPHA, image, self.feather)
            return
        with open_rows(file) as reader:
            try:
                rows = WeightRows(reader, image, self.feather)
            except ImageError as error:
                raise ImageError.of(file, error.reason) from None
            yield rows


class MaskedFrames(FrameTransform):
    """Another transform, of which only what is inside of a mask is taken."""

    def __init__(self, transform: FrameTransform, masks: Masks, name: str) -> None:
        self._transform, self._masks, self._name = transform, masks, name
        self._weights: Weights | None = None

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        given: deque[Frame] = deque()

        def passing() -> Iterator[Frame]:
            for frame in frames:
                given.append(frame)
                yield frame

        for made in self._transform(passing()):
            yield self._masked(given.popleft(), made)

    def _masked(self, frame: Frame, made: Frame) -> Frame:
        before = Picture(frame.pixels, frame.alpha)
        weights = self._weights
        if weights is None:
            (weights,) = self._masks.weights(self._name, before)
        if self._masks.path is not None:  # the same for all frames
            self._weights = weights
        whole = blended(before, Picture(made.pixels, made.alpha), weights)
        return replace(made, pixels=whole.pixels)

    def size(self, size: tuple[int, int], /) -> tuple[int, int]:
        return self._transform.size(size)

    def state(self) -> State:
        return self._transform.state()

    def restore(self, state: State, /) -> None:
        self._transform.restore(state)


def masked(given: Image, made: Image, weights: list[Weights], values: ValueConversion) -> Image:
    """A result that is its input outside of its mask."""
    each = zip(map(values.unchanged, frames_of(given)), frames_of(made), weights, strict=True)
    return with_frames(made, [blended(*one) for one in each])
