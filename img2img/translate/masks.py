"""The masks of a call: which file each image has, and results that stay as they were outside."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

from img2img.data.layouts import images_by_name, name_of
from img2img.engine.values import ValueConversion
from img2img.errors import DataError, ImageError, Img2ImgError, counted, nearest_path
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
from img2img.translate.sequences import sequence
from img2img.video import Frame, is_video
from img2img.video.convert import FrameTransform
from img2img.video.footage import Footage
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
        if is_video(path):
            raise DataError.of(
                path, "a video, but masks are images: give a folder with one for each frame"
            )
        masks = cls(path, options.feather)
        _ = masks._by_name if path.is_dir() else masks._single
        return masks

    @cached_property
    def _by_name(self) -> Mapping[str, list[Path]]:
        return images_by_name(self.path) if self.path and self.path.is_dir() else {}

    @property
    def files(self) -> Sequence[Path]:
        """All of them."""
        if self._by_name:
            return [file for files in self._by_name.values() for file in files]
        return [] if self.path is None else [self.path]

    @cached_property
    def _single(self) -> Image:
        assert self.path is not None
        return read_native(self.path)

    def files_of(self, name: str, frames: Sequence[Path] | None = None) -> Sequence[Path]:
        """The mask of an image by its name below the folder of the inputs; none: its transparency.

        Of a video, an animation or a sequence, a mask of its name is that of all frames. Else there
        is one for each, in a folder of that name or in the folder of masks itself: those of a
        sequence have the names of its pictures, those of a video are numbered.

        Args:
            frames: None: a single picture; else the pictures of a sequence, or empty: a video.

        Raises:
            ImageError: it has none, or more than one.
            DataError: there are masks for its frames, but they are not numbered one by one.
        """
        if self.path is None:
            return ()
        if not self._by_name:
            return (self.path,)
        # A folder, as a sequence is, has no suffix.
        one = self._by_name.get(name_of(Path(name))) or self._by_name.get(normalize("NFC", name))
        if one or frames is None:
            return (self._only(name, one or ()),)
        for prefix in f"{name_of(Path(name))}/", f"{normalize('NFC', name)}/", "":
            there = {
                key.removeprefix(prefix): files
                for key, files in self._by_name.items()
                if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
            }
            if any(name_of(Path(frame.name)) in there for frame in frames):
                named = ((frame.name, there.get(name_of(Path(frame.name)), ())) for frame in frames)
                return [self._only(*each) for each in named]
            if not frames and any(re.search("[0-9]", key) for key in there):
                files = [file for several in there.values() for file in several]
                return sequence(files, "`mask`") if len(files) > 1 else files
        raise ImageError(
            f"no mask in {self.path} of this name, nor a folder with one for each frame"
        )

    def _only(self, name: str, files: Sequence[Path]) -> Path:
        if len(files) == 1:
            return files[0]
        if files:
            raise ImageError(f"several masks: {' and '.join(map(str, files))}")
        first = next(iter(self._by_name.values()))[0]
        raise ImageError(
            f"no mask of {name} in {self.path}, where one has the path and name of its image (there"
            f" is {first.relative_to(self.path or '')})"
        )

    def place_of(self, name: str, frames: Sequence[Path]) -> Path | Literal["alpha"]:
        """The option `mask` that has the masks of these frames alone; see `files_of`."""
        files = self.files_of(name, frames)
        if not files:
            return ALPHA
        return files[0] if len(files) == 1 else files[0].parent

    def identity(self, name: str, frames: Sequence[Path] | None = None) -> list[Any]:
        """What differs between masks with which results may differ; see `files_of`."""
        # A picture may turn out to be an animation.
        for each in [None, ()] if frames is None else [frames]:
            with suppress(Img2ImgError, OSError):
                states = [*map(file_state, self.files_of(name, each))]
                sizes, times = zip(*states, strict=True) if states else ((), ())
                return ["mask", len(states), sum(sizes), max(times, default=0), self.feather]
        return ["no mask"]

    def weights(self, name: str, image: Image) -> list[Weights]:
        """How much of its result is taken at each pixel of each picture in an image.

        Raises:
            ImageError: the image has no mask, or one of another size.
        """
        frames = frames_of(image)
        files = self.files_of(name, None if len(frames) == 1 else ())
        if not files:
            return [weights_of(ALPHA, frame, self.feather) for frame in frames]
        if len(files) > 1:
            check_count(files, len(frames), name)
            pairs = zip(files, frames, strict=True)
            return [self.weights_of(*pair)[0] for pair in pairs]
        return self.weights_of(files[0], image)

    def weights_of(self, file: Path, image: Image) -> list[Weights]:
        """The same, of the file of its mask, or of the masks of its frames."""
        frames = frames_of(image)
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
        files = self.files_of(name)
        if not files:
            yield WeightRows(ALPHA, image, self.feather)
            return
        with open_rows(files[0]) as mask:
            try:
                rows = WeightRows(mask, image, self.feather)
            except ImageError as error:
                raise ImageError.of(files[0], error.reason) from None
            yield rows


class MaskedFrames(FrameTransform):
    """Another transform, of which only what is inside of a mask is taken.

    Raises:
        ImageError: the frames have no mask.
        DataError: there are other masks than frames.
    """

    def __init__(self, transform: FrameTransform, masks: Masks, footage: Footage) -> None:
        self._transform, self._masks = transform, masks
        self._files = masks.files_of(*of_footage(footage))
        if len(self._files) > 1:
            check_count(self._files, footage.count(), footage.info.path.name)
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
        before, files, weights = Picture(frame.pixels, frame.alpha), self._files, self._weights
        if not files:
            weights = weights_of(ALPHA, before, self._masks.feather)
        elif weights is None:
            (weights,) = self._masks.weights_of(files[frame.number % len(files)], before)
        if len(files) == 1:
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


def check_count(masks: Sequence[Path], frames: int, name: str) -> None:
    """Raises DataError if there is not one mask for each frame."""
    if len(masks) != frames:
        raise DataError.of(
            masks[0].parent,
            f"{counted(len(masks), 'mask')}, but {name} has {counted(frames, 'frame')}",
        )


def of_footage(footage: Footage) -> tuple[str, Sequence[Path]]:
    """Its name, and if it is a sequence its pictures."""
    files = footage.files
    return footage.info.path.name, files if len(files) > 1 else ()
