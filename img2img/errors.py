"""The one family of errors that a person caused and can mend.

Every message names the file, parameter or key, and says what to do. Parameters of Python and keys
of the configuration stand in backticks, with a value where one is meant: `overwrite`,
`data.resize=none`. The command line shows its own options instead.
"""

import difflib
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self


class Img2ImgError(Exception):
    """Base of the family: wrong use or input.

    Attributes:
        path: the file or folder that it is about.
        reason: the message, without the path that `of` has put before it.
        key: the key of the configuration that a value, name or argument in it does not fit; None
            of several, and of other errors.
        resumable: whether the work was begun and can go on from where it is; of a training,
            `path` is then the run folder.
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
        """An error whose message begins with the path that it is about."""
        error = cls(f"{path}: {reason}", path=path)
        error.reason = reason
        return error


class ConfigError(Img2ImgError):
    """A key of the configuration is unknown, of the wrong type or out of range."""

    @classmethod
    def of_key(cls, key: str, reason: str) -> Self:
        """An error whose message begins with the key that it is about."""
        return cls(f"{key}: {reason}", key=key)


class DataError(Img2ImgError):
    """A folder of images cannot be used as it is."""


class DataProblems(DataError):
    """Files or pairs of a data set cannot be used.

    Attributes:
        problems: a sentence on each.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ImageError(Img2ImgError):
    """A file cannot be read as an image, or cannot be written."""


class VideoError(Img2ImgError):
    """A file cannot be read as a video, or its frames cannot be encoded."""


class ModelFileError(Img2ImgError):
    """A file is not a model, or not one that this version can rebuild."""


class StorageError(Img2ImgError):
    """The disk refused a write: full, read-only or without permission."""


class TrainingDiverged(Img2ImgError):
    """A loss is not a finite number any more."""


class ExportFailed(Img2ImgError):
    """An exported model does not do what the model does, and is not kept."""


class Stopped(Img2ImgError):
    """Work ended early, and can go on from where it is."""

    resumable = True


class LoadingFailed(Stopped):
    """Images stopped coming: what loads them was killed, does not answer or has no memory."""


class TrainingStopped(Stopped):
    """Training ended before its length but can go on from a saved state."""


class ProcessLost(TrainingStopped):
    """One of several processes has ended; the others can go on from the last saved state."""


class TrainingInterrupted(TrainingStopped):
    """Training was ended by Ctrl-C and can go on from a saved state."""


class TranslationStopped(Stopped):
    """Not all is translated. What is written stays, and the same call can go on.

    Attributes:
        cause: what ended it, such as `SIGTERM` or what the disk said.
        done: how many files are done; or frames, of a single video.
        total: of how many files; None, of a video.
        video: the video that was being made, whose frames are counted; None: files are.
        report: what became of the files until then, as `translate_folder` returns it.
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
            how = f"{self.done} of {self.total} files are done"
            return f"stopped: {self.cause}; {how}; `skip_existing` goes on from there"
        if self.done:
            how = f"{self.done} frames of {self.video.name} are done"
            return f"stopped: {self.cause}; {how}; the next call goes on from there"
        return f"stopped: {self.cause}; no part of {self.video.name} is done yet"


class TranslationInterrupted(TranslationStopped):
    """Translation was ended by Ctrl-C and can go on."""


def shortened(text: str, most: int = 300) -> str:
    """The beginning of a text that somebody else has written."""
    return text if len(text) <= most else f"{text[:most]} ..."


class _Brief(reprlib.Repr):
    """A value's beginning, however much it has in it or stands for."""

    maxlevel, maxlist, maxtuple, maxdict, maxset = 3, 6, 6, 6, 6
    maxstring = maxother = maxlong = 200

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write numbers out that take it long.
        return super().repr_int(x, level) if x.bit_length() < 2**13 else "a huge number"


def brief(value: object) -> str:
    """`repr` for messages: of bounded length and time, whatever somebody has written there."""
    return _Brief().repr(value)


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean 'x'?)` where something is near, else nothing."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


def nearest_path(path: Path) -> str:
    """The same of a path that is not there, from what lies beside it."""
    beside = {each.name: str(each) for each in path.parent.glob("[!.]*")}
    found = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    return f" (did you mean {beside[found[0]]!r}?)" if found else ""


def some_names(names: Sequence[str], most: int = 10) -> str:
    """`a, b, c (3)`: the first names and how many there are, for a message of bounded length."""
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:most])
    more = ", ..." if len(names) > most else ""
    return f"{shown}{more} ({len(names)})"
