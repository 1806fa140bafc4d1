"""A video through a transform: read, changed, encoded in closed segments, joined.

What takes hours must survive a crash. So the video is encoded as segments; each is noted in a
journal when it is whole, and the same call goes on behind the last one. A segment ends after some
time of work, or sooner after some seconds of film: what a crash costs is work. Each is encoded by
itself, and what the encoder is given does not depend on where they end: the result has the frames
and times of a call that was never interrupted. What it makes of a frame depends on it a little, as
each segment begins with a key frame; and on some processors x264 decides otherwise each time that
it runs, in all presets but the fastest.
"""

import errno
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from types import FrameType
from typing import Protocol

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

# Samples of the frames decoded ahead, and of those that wait for the encoder: 200 MB of 8-bit RGB
# each. At least two frames, at most 16.
_SAMPLES_AHEAD = 200 * 10**6
# How long a segment is at most: seconds of film, the distance of key frames that x264 keeps by
# itself at 25 frames a second; and seconds of work, of which a crash costs the last.
FILM, WORK = 10.0, 30.0
# The ways in which a system says that there is no room.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Progress = Callable[[int, int | None], None]


class Transform(Protocol):
    """What is done to the frames."""

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]:
        """As many frames with the same times, in the same order, all of one size.

        Called once a segment. It may read ahead within it.
        """

    def size(self, size: tuple[int, int], /) -> tuple[int, int]:
        """Height and width of what it makes of frames of a size."""

    def state(self) -> State:
        """What it remembers after the last frame given out; empty: nothing."""

    def restore(self, state: State, /) -> None:
        """Go on from what `state` has returned."""


@dataclass(frozen=True)
class Converted:
    """What has become of a video.

    Attributes:
        target: the file that was written.
        size: height and width of a frame, upright.
        frames: how many it has.
        concealed: how many of them stand for one that could not be decoded.
        resumed: how many an earlier call had made.
        seconds: that this call took.
        notes: a line on everything that is not as in the source.
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
    transform: Transform,
    *,
    encoding: Encoding,
    settings: str,
    start: float | None = None,
    end: float | None = None,
    every: int = 1,
    segment_seconds: float = FILM,
    work_seconds: float = WORK,
    elsewhere: Callable[[Path], Path] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Convert a video, or pictures that become one.

    Times, sound, subtitles, chapters and metadata stay as they are.

    Of the metadata, when the file was made is left out: this one is another.

    Decoding, the transform and encoding work at the same time, a bounded number of frames apart.

    Args:
        target: the file to write, or its namesake `.mkv` where its container has no place for the
            sound or the subtitles. It is replaced when the new one is whole; not so the namesake.
        transform: made anew for each call; its state is restored.
        settings: what decides what the transform does, as text. Work that was begun with others is
            not gone on with.
        start, end: the part to convert, in seconds after the first frame.
        every: take every n-th frame of it.
        segment_seconds: a segment has frames of so many seconds of the video at most,
        work_seconds: and ends after so many that work on it took: that is lost at most when the
            process dies, and what is between the transform's beginning and the encoder's end.
        elsewhere: what to write in place of the namesake, as `check_container` has it.
        progress: called with (frames done, frames), those of an earlier call included; None where
            the file does not say how many there are.
        say: hears at once of what is not as one might expect.

    Raises:
        ConfigError: the encoding or the container are not to be had, or the namesake is there.
        DataError: another process makes the same file, or what is kept of it cannot be used.
        VideoError: the source cannot be read, or has no frames there.
        StorageError: nothing can be written beside the target.
        TranslationInterrupted: Ctrl-C. What is done is kept, as it is if the process is killed, and
            the same call goes on.
        TranslationStopped: the same by SIGTERM, or because the disk is full.
    """
    begun = time.monotonic()
    info = source.info
    plan = check_container(info, target, elsewhere, encoding)
    height, width = transform.size(info.upright_size)
    coded = (width, height) if info.rotation % 180 == 90 else (height, width)
    filled = check_encoding(encoding, plan.target.suffix, info, coded)
    chosen = encoding.pixel_format is not None
    said = info.remarks + plan.notes + losses(filled, info, coded, chosen=chosen)
    plan = replace(plan, notes=said)
    for note in plan.notes:
        say(note)
    # The library's version, too: two versions' segments may not fit together.
    whole = [settings, asdict(filled), start, end, every, av.__version__]
    journal = Journal(plan.target, source.files, json.dumps(whole))
    with terminated_as_stopped(plan.target), journal.opened(say):
        resumed = _frames_in(journal)
        if resumed:
            seconds = float((journal.segments[-1].last - info.start) * info.time_base)
            say(f"{plan.target.name}: going on at {seconds:.1f} s, where it was stopped before")
        try:
            told: list[str] = []
            there = source.frames(
                start=start,
                end=end,
                every=every,
                after=journal.segments[-1].last if resumed else None,
            )
            work = _Work(journal, info, filled, progress, _total(info, start, end, every))
            work.do(transform, with_sizes(there, info, told, say), segment_seconds, work_seconds)
            if not journal.segments:
                raise VideoError(f"{info.path}: no frames between the given times")
            notes = join(
                journal.paths,
                info,
                plan,
                span=(start or 0.0, end),
                last_duration=journal.segments[-1].duration * every,
            )
        except (KeyboardInterrupt, _Terminated, StorageError, OSError) as error:
            stopped = _stopped(error, plan.target, _frames_in(journal))
            if stopped is None:
                raise
            raise stopped from error
        if info.cut_off and info.frames and (end, every) == (None, 1):
            notes += (f"the file ends early: {_frames_in(journal)} of {info.frames} frames",)
        for note in notes:
            say(note)
        made = Converted(
            target=plan.target,
            size=probe(plan.target).upright_size,
            frames=_frames_in(journal),
            concealed=sum(segment.concealed for segment in journal.segments),
            resumed=resumed,
            seconds=time.monotonic() - begun,
            notes=(*plan.notes, *told, *notes),
        )
        journal.remove()
    return made


class _Part:
    """The frames of a segment: as many as are asked for until it has gone on for long enough.

    Attributes:
        following: the first frame behind it, when all have been taken; None: there is none.
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


class _Work:
    """The chain from frames to closed segments in a journal."""

    def __init__(
        self,
        journal: Journal,
        info: VideoInfo,
        encoding: Encoding,
        progress: Progress | None,
        total: int | None,
    ) -> None:
        self._journal, self._info, self._encoding = journal, info, encoding
        self._progress, self._total = progress, total
        self._done = _frames_in(journal)

    def do(
        self, transform: Transform, source: Iterator[Frame], film_seconds: float, seconds: float
    ) -> None:
        """Make segments of the frames that the journal has not got yet.

        Args:
            film_seconds: the most that a segment has, in seconds of the video.
            seconds: after which a segment that is being made ends.
        """
        info = self._info
        if state := self._journal.state():
            try:
                transform.restore(state)
            except (LookupError, ValueError, TypeError, RuntimeError) as error:
                raise DataError(
                    f"{self._journal.folder}: what is kept there of earlier work cannot be used:"
                    " remove the folder, to start anew"
                ) from error
        decoded = ahead(lambda _: next(source, None), repeat(None), workers=1, bound=_bound(info))
        self._moved(0)
        length = Fraction(film_seconds).limit_denominator(1000) / info.time_base
        with closing(decoded):
            first = next(decoded, None)
            while first is not None:
                part = _Part(first, decoded, length, seconds)
                self._segment(transform, iter(part))
                first = part.following

    def _segment(self, transform: Transform, part: Iterator[Frame]) -> None:
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
    """How many frames may wait."""
    height, width = info.size
    return max(2, min(16, _SAMPLES_AHEAD // (3 * height * width)))


def _total(info: VideoInfo, start: float | None, end: float | None, every: int) -> int | None:
    """How many frames there will be, about."""
    if info.frames is None or not info.duration:
        return info.frames if (start, end, every) == (None, None, 1) else None
    part = min(end or info.duration, info.duration) - (start or 0.0)
    return max(1, round(info.frames * part / info.duration / every))


def _frames_in(journal: Journal) -> int:
    return sum(segment.frames for segment in journal.segments)


def _stopped(error: BaseException, target: Path, done: int) -> TranslationStopped | None:
    """What to raise where the same call can go on; None: it is an error of another kind."""
    how = f"{done} frames of {target.name} are done, and the same command goes on from there"
    if not done:
        how = f"no part of {target.name} is done yet, and the same command begins anew"
    if isinstance(error, _Terminated):
        return TranslationStopped(f"stopped: SIGTERM; {how}")
    if isinstance(error, KeyboardInterrupt):
        return TranslationInterrupted(f"stopped: Ctrl-C; {how}")
    if isinstance(error, StorageError):
        return TranslationStopped(f"stopped: {error}; {how}")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return TranslationStopped(f"stopped: cannot write {target}: {error.strerror}; {how}")
    return None


class _Terminated(BaseException):
    """SIGTERM, raised where Ctrl-C would raise KeyboardInterrupt."""


@contextmanager
def terminated_as_stopped(target: Path) -> Iterator[None]:
    """Have SIGTERM tidy up as Ctrl-C does, where signals can be handled.

    Raises:
        TranslationStopped: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one must not break off the tidying up
        raise _Terminated

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    except _Terminated as error:
        raise TranslationStopped(
            f"stopped: SIGTERM while {target.name} was made; give the same command again"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)
