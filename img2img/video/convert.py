"""Converting a video: read, transformed, encoded in closed segments, joined.

Hours of work must survive a crash. Therefore the video is encoded in segments; a journal records
each complete one, and the same call resumes after the last. A segment ends after some time of work
or some seconds of video, so that a crash costs little work. Segments are encoded independently, and
the encoder's input does not depend on where they end: the result has the same frames and times as
that of an uninterrupted call. The encoded bits differ slightly, because each segment begins with a
key frame, and because on some processors x264 decides differently on each run.

A frame goes through `reading.frames` (decoded, RGB, upright), the transform,
`encoding.SegmentWriter` and `joining.join`. Reading and encoding each run in a thread of their own,
a bounded number of frames ahead of and behind the transform.
"""

import errno
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from types import FrameType

import av

from img2img.errors import (
    DataError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
    VideoError,
)
from img2img.runtime.pipeline import ahead
from img2img.video.codecs import Encoding, check_encoding, losses
from img2img.video.containers import check_container
from img2img.video.encoding import SegmentWriter
from img2img.video.footage import Footage, with_sizes
from img2img.video.joining import join
from img2img.video.journal import Journal, Shot, State
from img2img.video.probing import VideoInfo, probe
from img2img.video.reading import Frame
from img2img.video.span import WHOLE, Span

# Maximum samples decoded ahead, and waiting for the encoder: 200 MB of 8-bit RGB each. At least two
# frames, at most 16.
_SAMPLES_AHEAD = 200 * 10**6
# Maximum length of a segment: in seconds of video, x264's distance of key frames at 25 frames per
# second; and in seconds of work, which is what a crash costs.
FILM, WORK = 10.0, 30.0
# Errors of the system if there is no space left.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

OnProgress = Callable[[int, int | None], None]
"""Called with (frames done, total); the total is None if it is unknown."""


class FrameTransform:
    """What is done to the frames of a video. This base class leaves them as they are."""

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        """The transformed frames: the same number, times and order, and all of one size.

        Called once for each segment. It may read ahead within the segment.
        """
        return frames

    def size(self, size: tuple[int, int], /) -> tuple[int, int]:
        """Height and width of the result for frames of a size."""
        return size

    def state(self) -> State:
        """Everything that the frames after the last one yielded depend on; empty if nothing."""
        return {}

    def restore(self, state: State, /) -> None:
        """Continue from a `state`."""


class Notes:
    """Collects lines on everything that differs from the source, and reports each at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.lines: list[str] = []

    def __call__(self, *lines: str) -> None:
        self.lines += lines
        for line in lines:
            self._say(line)


@dataclass(frozen=True)
class Converted:
    """A video that has been written.

    Attributes:
        target: the file.
        size: height and width of a frame, upright.
        frames: number of frames.
        concealed: number of frames that replace one that could not be decoded.
        resumed: number of frames that an earlier call had made.
        seconds: duration of this call.
        notes: a line on everything that differs from the source.
    """

    target: Path
    size: tuple[int, int]
    frames: int
    concealed: int
    resumed: int
    seconds: float
    notes: tuple[str, ...]


def convert(
    source: Footage,
    target: Path,
    transform: FrameTransform,
    *,
    encoding: Encoding,
    settings: str,
    span: Span = WHOLE,
    segment_seconds: float = FILM,
    work_seconds: float = WORK,
    elsewhere: Callable[[Path], Path] | None = None,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Convert a video, or pictures that become a video.

    Times, sound, subtitles, chapters and metadata are kept, except for the creation time.

    Args:
        target: the file to write; or, if its container cannot hold the sound or the subtitles, the
            file of the same name with the suffix `.mkv`. An existing target is replaced once the
            new file is complete; an existing `.mkv` file is not.
        transform: a new object for each call; its state is restored.
        settings: everything that the results of the transform depend on, as text. Work that was
            begun with other settings is not resumed.
        span: which frames to convert.
        segment_seconds: maximum length of a segment, in seconds of the video.
        work_seconds: maximum time spent on a segment: this is what a crash costs, in addition to
            the frames being processed.
        elsewhere: see `check_container`.
        progress: called with (frames done, total), including frames of an earlier call.
        say: called with a line on anything unexpected, as soon as it is known.

    Raises:
        ConfigError: the encoding or the container is not available, or the `.mkv` file exists.
        DataError: another process is making the same file, or its saved state cannot be used.
        VideoError: the source cannot be read, or has no frames in `span`.
        StorageError: the folder of the target cannot be written to.
        TranslationInterrupted: Ctrl-C. As after a crash, the same call resumes the work.
        TranslationStopped: SIGTERM, or the disk is full; the same call resumes the work.
    """
    begun = time.monotonic()
    info = source.info
    muxing = check_container(info, target, elsewhere, encoding)
    height, width = transform.size(info.upright_size)
    coded = (width, height) if info.rotation % 180 == 90 else (height, width)
    filled = check_encoding(encoding, muxing.target.suffix, info, coded)
    note = Notes(say)
    note(*info.remarks, *muxing.notes)
    note(*losses(filled, info, coded, chosen=encoding.pixel_format is not None))
    # Including PyAV's version: segments of two versions may not fit together.
    whole = [settings, asdict(filled), *asdict(span).values(), av.__version__]
    journal = Journal(muxing.target, source.files, json.dumps(whole))
    opened = False
    try:
        with _sigterm_raised(), journal.opened(say):
            opened = True
            resumed = journal.frames
            last = journal.segments[-1].last if resumed else None
            if last is not None:
                seconds = float((last - info.start) * info.time_base)
                say(f"resuming at {seconds:.1f} s")
            there = with_sizes(source.frames(span, after=last), info, note)
            work = _Segments(journal, info, filled, progress, _total(info, span))
            work.make(transform, there, segment_seconds, work_seconds)
            if not journal.segments:
                raise VideoError.of(info.path, "no frames between `start` and `end`")
            last_duration = journal.segments[-1].duration * span.every
            note(*join(journal.paths, info, muxing, span=span, last_duration=last_duration))
            if info.cut_off and info.frames and (span.end, span.every) == (None, 1):
                note(f"the file ends early: {journal.frames} of {info.frames} frames")
            made = Converted(
                target=muxing.target,
                size=probe(muxing.target).upright_size,
                frames=journal.frames,
                concealed=sum(segment.concealed for segment in journal.segments),
                resumed=resumed,
                seconds=time.monotonic() - begun,
                notes=tuple(note.lines),
            )
            journal.remove()
            return made
    except KeyboardInterrupt as error:
        raise TranslationInterrupted("Ctrl-C", journal.frames, video=muxing.target) from error
    except _Terminated as error:
        raise TranslationStopped("SIGTERM", journal.frames, video=muxing.target) from error
    except (StorageError, OSError) as error:
        cause = str(error)
        if isinstance(error, OSError):
            if error.errno not in _NO_ROOM:
                raise
            cause = f"cannot write {muxing.target}: {error.strerror}"
        if not opened:
            raise
        raise TranslationStopped(cause, journal.frames, video=muxing.target) from error


class _Part:
    """The frames of one segment, until it is long enough.

    Attributes:
        following: once all have been read, the first frame after them; None if there is none.
    """

    def __init__(
        self, first: Frame, others: Iterator[Frame | None], length: Fraction, seconds: float
    ) -> None:
        self._others, self._last = others, first.pts + length
        self._until = time.monotonic() + seconds
        self.following: Frame | None = first

    def __iter__(self) -> Iterator[Frame]:
        begun = False
        while self.following is not None:
            over = self.following.pts >= self._last or time.monotonic() >= self._until
            if begun and over:
                return
            begun = True
            yield self.following
            self.following = next(self._others)


class _Segments:
    """Encodes frames as closed segments, and records them in a journal."""

    def __init__(
        self,
        journal: Journal,
        info: VideoInfo,
        encoding: Encoding,
        progress: OnProgress | None,
        total: int | None,
    ) -> None:
        self._journal, self._info, self._encoding = journal, info, encoding
        self._progress, self._total = progress, total
        self._done = journal.frames

    def make(
        self,
        transform: FrameTransform,
        source: Iterator[Frame],
        film_seconds: float,
        seconds: float,
    ) -> None:
        """Make segments from the frames that are not in the journal yet.

        Args:
            film_seconds: maximum length of a segment, in seconds of the video.
            seconds: maximum time spent on a segment.
        """
        info = self._info
        if state := self._journal.state():
            try:
                transform.restore(state)
            except (LookupError, ValueError, TypeError, RuntimeError) as error:
                raise DataError.of(
                    self._journal.folder,
                    "the saved state of an earlier call cannot be used; remove this folder to"
                    " start from the beginning",
                ) from error
        decoded = ahead(lambda _: next(source, None), repeat(None), workers=1, bound=_bound(info))
        self._moved(0)
        length = Fraction(film_seconds).limit_denominator(1000) / info.time_base
        with closing(decoded):
            first = next(decoded, None)
            while first is not None:
                part = _Part(first, decoded, length, seconds)
                self._make_one(transform, iter(part))
                first = part.following

    def _make_one(self, transform: FrameTransform, part: Iterator[Frame]) -> None:
        path = self._journal.next_path()
        shots: list[Shot] = []

        def noted() -> Iterator[Frame]:
            for frame in part:
                shots.append(Shot(frame.pts, frame.duration, frame.concealed))
                yield frame

        changed = iter(transform(noted()))
        first = next(changed)
        height, width = first.pixels.shape[:2]
        writer = SegmentWriter(path, self._info, (height, width), self._encoding)
        written = ahead(writer.write, chain([first], changed), workers=1, bound=_bound(self._info))
        with closing(written):
            for _ in written:
                self._moved(1)
        writer.close()
        self._journal.add(path, shots, transform.state())

    def _moved(self, frames: int) -> None:
        self._done += frames
        if self._progress:
            self._progress(self._done, self._total)


def _bound(info: VideoInfo) -> int:
    """Maximum number of frames that wait."""
    height, width = info.size
    return max(2, min(16, _SAMPLES_AHEAD // (3 * height * width)))


def _total(info: VideoInfo, span: Span) -> int | None:
    """The approximate number of frames; None if unknown."""
    if info.frames is None or not info.duration:
        return info.frames if span == WHOLE else None
    part = min(span.end or info.duration, info.duration) - (span.start or 0.0)
    return max(1, round(info.frames * part / info.duration / span.every))


class _Terminated(BaseException):
    """Raised on SIGTERM, as KeyboardInterrupt is on Ctrl-C."""


@contextmanager
def _sigterm_raised() -> Iterator[None]:
    """Let SIGTERM raise `_Terminated`, in a thread that can handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the clean-up
        raise _Terminated

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
