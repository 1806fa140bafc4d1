"""Errors that the user can correct.

Every message names the file, parameter or key, and says what to do. Python parameters and
configuration keys are in backticks, if necessary with a value: `overwrite`, `data.resize=none`. The
command line shows its own options instead.
"""

import difflib
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self


class Img2ImgError(Exception):
    """Base class: wrong use or input.

    Attributes:
        path: the file or folder that the error is about.
        reason: the message without the path that `of` puts before it.
        key: the configuration key with a wrong value, name or argument; None if there are several,
            and for other errors.
        resumable: whether the work has begun and can be resumed; in training, `path` is then the
            run folder.
    """

    resumable: bool = False

    def __init__(
        self,
        message: str,
        *,
        path: Path | None = None,
        key: str | None = None,
        resumable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = message
        self.path = path
        self.key = key
        if resumable is not None:
            self.resumable = resumable

    @classmethod
    def of(cls, path: Path, reason: str) -> Self:
        """An error whose message begins with a path."""
        error = cls(f"{path}: {reason}", path=path)
        error.reason = reason
        return error


class ConfigError(Img2ImgError):
    """A configuration key or a parameter is unknown, of the wrong type or out of range."""

    @classmethod
    def of_key(cls, key: str, reason: str) -> Self:
        """An error whose message begins with a key."""
        return cls(f"{key}: {reason}", key=key)


class DataError(Img2ImgError):
    """A folder of images cannot be used."""


class DataProblems(DataError):
    """Files or pairs of a data set cannot be used.

    Attributes:
        problems: a sentence for each.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ImageError(Img2ImgError):
    """A file cannot be read as an image, or cannot be written."""


class ChannelsError(ImageError):
    """An image has another number of channels than expected."""


class VideoError(Img2ImgError):
    """A file cannot be read as a video, or its frames cannot be encoded."""


class ModelFileError(Img2ImgError):
    """A file is not a model, or this version cannot rebuild it."""


class StorageError(Img2ImgError):
    """Writing to disk failed: it is full, read-only, or permission is missing."""


class TrainingDiverged(Img2ImgError):
    """A loss or gradient is no longer finite."""


class ExportFailed(Img2ImgError):
    """The results of an exported model differ from those of the model; it is not kept."""


class Stopped(Img2ImgError):
    """Work stopped early and can be resumed."""

    resumable = True


class LoadingFailed(Stopped):
    """Loading images failed: a process was killed, does not answer or has no memory."""


class TrainingStopped(Stopped):
    """Training stopped before its end and can be resumed from a saved state."""


class ProcessLost(TrainingStopped):
    """One of several processes has ended; the run can be resumed from the last saved state."""


class TrainingInterrupted(TrainingStopped):
    """Training was stopped by Ctrl-C and can be resumed from a saved state."""


class TranslationStopped(Stopped):
    """Translation stopped early. Finished results are kept, and the same call resumes.

    Attributes:
        cause: what stopped it, such as `SIGTERM` or an error of the disk.
        done: number of finished files; for a single video, of finished frames.
        total: number of files; None for a single video.
        video: the video whose frames `done` counts; None if it counts files.
        report: the results so far, as `translate_folder` returns them.
    """

    def __init__(
        self,
        cause: str,
        done: int = 0,
        total: int | None = None,
        *,
        video: Path | None = None,
        report: Any = None,
    ) -> None:
        super().__init__(cause)
        self.cause, self.done, self.total = cause, done, total
        self.video, self.report = video, report

    def __str__(self) -> str:
        if self.video is None:
            how = f"{self.done} of {counted(self.total or 0, 'file')} done"
            return f"stopped: {self.cause}; {how}; `skip_existing` continues from there"
        if self.done:
            how = f"{counted(self.done, 'frame')} of {self.video.name} done"
            return f"stopped: {self.cause}; {how}; the next call continues from there"
        return f"stopped: {self.cause}; no part of {self.video.name} is finished yet"


class TranslationInterrupted(TranslationStopped):
    """Translation was stopped by Ctrl-C and can be resumed."""


def shortened(text: str, most: int = 300) -> str:
    """The beginning of a text that may be long."""
    return text if len(text) <= most else f"{text[:most]} ..."


class _Brief(reprlib.Repr):
    """The beginning of a value's `repr`, however large the value is."""

    maxlevel, maxlist, maxtuple, maxdict, maxset = 3, 6, 6, 6, 6
    maxstring = maxother = maxlong = 200

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write numbers out that take it long.
        return super().repr_int(x, level) if x.bit_length() < 2**13 else "a huge number"


def brief(value: object) -> str:
    """`repr` for messages, limited in length and time."""
    return _Brief().repr(value)


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean 'x'?)` if one of the words is similar; otherwise empty."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


def nearest_path(path: Path) -> str:
    """The same for a path that does not exist, from the files beside it."""
    beside = {each.name: str(each) for each in path.parent.glob("[!.]*")}
    found = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    return f" (did you mean {beside[found[0]]!r}?)" if found else ""


def unknown(kind: str, name: object, known: Sequence[str]) -> str:
    """`unknown measure 'x' (did you mean 'y'?); choose from: y, z`."""
    return (
        f"unknown {kind} {brief(name)}{nearest(str(name), known)}; choose from: {', '.join(known)}"
    )


def counted(count: int, noun: str) -> str:
    """`1 entry`, `2 entries`: a number with its noun."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count} {noun}"


def some_names(names: Sequence[str], most: int = 10) -> str:
    """`a, b, c (3)`: the first names and their number, for a message of limited length."""
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:most])
    more = ", ..." if len(names) > most else ""
    return f"{shown}{more} ({len(names)})"
