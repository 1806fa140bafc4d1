"""From a video to a video; interrupted, killed, and gone on with."""

import hashlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from img2img.errors import (
    DataError,
    TranslationInterrupted,
    TranslationStopped,
    VideoError,
)
from img2img.video import Encoding, Frame, Span, frames, probe
from img2img.video.convert import Converted, FrameTransform, convert
from img2img.video.footage import Film
from img2img.video.journal import State, work_folder
from tests.video.clips import Sound, frame_times, make_clip, packets, picture, pixels, same_packets
from tests.video.conftest import MakeClip

REAL = Path(__file__).parents[3] / "shared" / "data" / "video"
# Of all of x264's presets this is the one that gives the same bits each time on all processors.
FAST = Encoding(preset="ultrafast")
UNEVEN = [0, 1, 4, 9, 10, 11, 20, 31, 33, 40, 41]


class Trail(FrameTransform):
    """Each frame with a trace of those before it; reads two frames ahead.

    Args:
        at: called with the number of each frame.
    """

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        self._last: Any = None
        self._at = at
        self._numbers = itertools.count()

    def __call__(self, there: Iterator[Frame], /) -> Iterator[Frame]:
        held: list[Frame] = []
        for frame in itertools.chain(there, [None, None]):
            held += [frame] if frame else []
            if held and (len(held) == 3 or frame is None):
                self._at(next(self._numbers))
                yield self._with_trace(held.pop(0))

    def _with_trace(self, frame: Frame) -> Frame:
        if self._last is None:
            self._last = frame.pixels
        self._last = (self._last // 2 + frame.pixels // 2).astype(frame.pixels.dtype)
        return replace(frame, pixels=self._last)

    def state(self) -> State:
        return {"last": self._last}

    def restore(self, state: State, /) -> None:
        self._last = state["last"]


class Same(FrameTransform):
    """The frames as they are; remembers nothing."""

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        self._at = at
        self._numbers = itertools.count()

    def __call__(self, there: Iterator[Frame], /) -> Iterator[Frame]:
        for frame in there:
            self._at(next(self._numbers))
            yield frame

    def restore(self, state: State, /) -> None:
        raise AssertionError("nothing was remembered")


def run(source: Path, target: Path, transform: Any = None, **options: Any) -> Converted:
    given: Any = {"encoding": FAST, "settings": "any", "segment_seconds": 0.2} | options
    return convert(Film(source), target, transform or Same(), **given)


def interrupted(number: int) -> Callable[[int], None]:
    """Ctrl-C at a frame."""

    def at(this: int) -> None:
        if this == number:
            raise KeyboardInterrupt

    return at


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    sounds = [Sound(), Sound("ac3", "deu", "Deutsch")]
    return make_clip(tmp_path / "a.mp4", times=range(40), sounds=sounds)


@pytest.mark.parametrize(
    ("times", "target"),
    [(range(30), "b.mp4"), (UNEVEN, "b.mp4"), (UNEVEN, "b.mkv"), ([0], "b.mp4"), ([7], "b.mkv")],
)
def test_every_frame_at_its_time(tmp_path: Path, times: list[int], target: str) -> None:
    source = make_clip(tmp_path / "a.mp4", times=times, sounds=[Sound("flac")])
    told: list[tuple[int, int | None]] = []
    made = run(source, tmp_path / target, progress=lambda *counts: told.append(counts))
    assert made.target == tmp_path / target
    assert (made.frames, made.concealed, made.resumed, made.notes) == (len(times), 0, 0, ())
    assert frame_times(made.target) == pytest.approx(frame_times(source), abs=0.001)
    same_packets(packets(made.target, "audio"), packets(source, "audio"))
    assert told == [(number, len(times)) for number in range(len(times) + 1)]
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", target}
    if target == "b.mp4" and times != UNEVEN:  # where reordering makes the source's too short
        assert probe(made.target).duration == probe(source).duration


def test_webm(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", times=range(12), sounds=[Sound("libopus")])
    made = run(source, tmp_path / "b.webm", encoding=Encoding("vp9"))
    assert frame_times(made.target) == pytest.approx(frame_times(source), abs=0.001)
    same_packets(packets(made.target, "audio"), packets(source, "audio"))


@pytest.mark.parametrize("target", ["b.m4v", "b.mkv"])
def test_hevc(tmp_path: Path, target: str) -> None:
    source = make_clip(tmp_path / "a.mp4", times=range(9))
    made = run(source, tmp_path / target, encoding=Encoding("hevc", preset="ultrafast"))
    assert made.target.name == target
    assert frame_times(made.target) == pytest.approx(frame_times(source), abs=0.001)


def test_a_part_and_every_third_frame(tmp_path: Path, clip: Path) -> None:
    made = run(clip, tmp_path / "b.mp4", span=Span(every=3))
    assert frame_times(made.target) == pytest.approx([n / 25 for n in range(0, 40, 3)])
    same_packets(packets(made.target, "audio"), packets(clip, "audio"))
    made = run(clip, tmp_path / "c.mp4", span=Span(0.4, 1.2, 2))
    assert frame_times(made.target) == pytest.approx([n / 25 for n in range(0, 20, 2)])
    heard = [(time, data) for time, data in packets(clip, "audio") if 0.4 <= time < 1.2]
    same_packets(packets(made.target, "audio"), heard, later=-0.4)
    with pytest.raises(VideoError, match="no frames"):
        run(clip, tmp_path / "d.mp4", span=Span(99.0))
    assert not [*tmp_path.glob(".*")]


# Processes of their own are begun anew: to fork one that has threads may hang.
SPAWNED = multiprocessing.get_context("spawn")
posix = pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")


def told_in(source: Path, target: Path, done: Any) -> None:
    def progress(frames: int, _: int | None) -> None:
        done.value = frames

    run(source, target, Trail(), progress=progress)


@posix
def test_killed_five_times(tmp_path: Path) -> None:
    """The result is that of a call that was never interrupted, to the last bit of its frames."""
    source = make_clip(tmp_path / "a.mp4", times=[n + n // 7 for n in range(60)], sounds=[Sound()])
    whole = run(source, tmp_path / "whole.mp4", Trail()).target
    done = SPAWNED.Value("i", 0)
    chance = random.Random(0)
    for kill in range(5):
        process = SPAWNED.Process(target=told_in, args=(source, tmp_path / "b.mp4", done))
        process.start()
        limit = 10 * kill + chance.randrange(8, 20)
        while done.value < limit and process.is_alive():
            time.sleep(0.001)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not (tmp_path / "b.mp4").exists()
    made = run(source, tmp_path / "b.mp4", Trail())
    assert made.resumed > 20
    assert made.frames == 60
    assert frame_times(made.target) == frame_times(whole) == frame_times(source)
    assert np.array_equal(pixels(made.target), pixels(whole))
    assert packets(made.target, "audio") == packets(whole, "audio") == packets(source, "audio")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "whole.mp4", "b.mp4"}


@pytest.mark.parametrize("at", [0, 13, 39])
def test_ctrl_c_leaves_what_can_be_gone_on_with(tmp_path: Path, clip: Path, at: int) -> None:
    whole = run(clip, tmp_path / "whole.mp4", Trail()).target
    with pytest.raises(TranslationInterrupted, match=r"b\.mp4") as caught:
        run(clip, tmp_path / "b.mp4", Trail(interrupted(at)))
    assert caught.value.resumable
    assert ("no part of b.mp4 is finished yet" in str(caught.value)) == (at < 5)
    assert not (tmp_path / "b.mp4").exists()
    said: list[str] = []
    made = run(clip, tmp_path / "b.mp4", Trail(), say=said.append)
    assert made.resumed == at // 5 * 5  # segments are of five frames
    assert bool(said) == bool(made.resumed)
    assert np.array_equal(pixels(made.target), pixels(whole))


def test_sigterm(tmp_path: Path, clip: Path) -> None:
    def at(number: int) -> None:
        if number == 13:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TranslationStopped, match="SIGTERM"):
        run(clip, tmp_path / "b.mp4", Same(at))
    assert signal.getsignal(signal.SIGTERM) == before
    assert run(clip, tmp_path / "b.mp4").resumed == 10


def test_sigterm_between_two_pieces_of_work(tmp_path: Path, clip: Path) -> None:
    """It is not taken for Ctrl-C."""
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Same(interrupted(32)))
    with pytest.raises(TranslationStopped, match="SIGTERM"):
        run(clip, tmp_path / "b.mp4", say=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert run(clip, tmp_path / "b.mp4").resumed == 30


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limit")
@pytest.mark.parametrize("room", [4_000, 40_000])
def test_no_room(tmp_path: Path, room: int) -> None:
    """Neither for a segment nor for the file that they are joined to."""
    import resource

    source = make_clip(tmp_path / "a.mp4", times=range(40), sounds=[Sound("flac")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(TranslationStopped):
            run(source, tmp_path / "b.mp4", segment_seconds=0.4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    made = run(source, tmp_path / "b.mp4", segment_seconds=0.4)
    assert (made.frames, made.resumed) == (40, 0 if room == 4_000 else 40)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [Path.unlink, spoil])
def test_a_segment_that_is_damaged_is_made_again(
    tmp_path: Path, clip: Path, harm: Callable[[Path], None]
) -> None:
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Same(interrupted(32)))
    harm(tmp_path / ".b.mp4.img2img" / "000002.nut")
    said: list[str] = []
    made = run(clip, tmp_path / "b.mp4", say=said.append)
    assert (made.frames, made.resumed) == (40, 10)
    assert "000002.nut" in said[0]
    assert frame_times(made.target) == frame_times(clip)


def test_a_state_that_is_damaged(tmp_path: Path, clip: Path) -> None:
    whole = run(clip, tmp_path / "whole.mp4", Trail()).target
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Trail(interrupted(32)))
    spoil(tmp_path / ".b.mp4.img2img" / "000005.npz")
    made = run(clip, tmp_path / "b.mp4", Trail())
    assert made.resumed == 25
    assert np.array_equal(pixels(made.target), pixels(whole))


def test_what_a_process_leaves_that_is_killed_while_it_joins(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Same(interrupted(39)))
    half = tmp_path / ".b.mp4.img2img" / ".img2img-part-xyz"
    half.mkdir()
    (half / "b.mp4").write_bytes(b"half a file")
    assert run(clip, tmp_path / "b.mp4").resumed == 35
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4"}


def test_half_a_line_does_not_count(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Same(interrupted(32)))
    journal = tmp_path / ".b.mp4.img2img" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert run(clip, tmp_path / "b.mp4").resumed == 25


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file", "../mine.nut"),
        ("file", 5),
        ("file", "000000.nut"),
        ("state", "../mine.npz"),
        ("state", ["000004.npz"]),
        ("frames", "5"),
        ("last", None),
        ("size", 1.5),
        ("colour", "red"),
    ],
)
def test_a_line_that_the_journal_has_not_written(
    tmp_path: Path, clip: Path, key: str, value: object
) -> None:
    """Neither it nor what follows counts, and nothing outside of the folder is touched."""
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Trail(interrupted(32)))
    for name in ("mine.nut", "mine.npz"):
        (tmp_path / name).write_text("mine")
    journal = tmp_path / ".b.mp4.img2img" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[6][key] = value  # of the sixth segment; the state of the fifth is there
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = run(clip, tmp_path / "b.mp4", Trail())
    assert (made.resumed, made.frames) == (25, 40)
    assert (tmp_path / "mine.nut").read_text() == (tmp_path / "mine.npz").read_text() == "mine"


@pytest.mark.parametrize("kind", ["objects", "text", "empty", "half a zip"])
def test_a_state_that_cannot_be_read(tmp_path: Path, clip: Path, kind: str) -> None:
    """Even where the journal says that it is whole, it is as good as missing."""
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Trail(interrupted(32)))
    set_state(
        tmp_path / ".b.mp4.img2img",
        {
            "objects": lambda path: np.savez(path, last=np.array([print], dtype=object)),
            "text": lambda path: path.write_text("no state"),
            "empty": lambda path: path.write_bytes(b""),
            "half a zip": lambda path: path.write_bytes(path.read_bytes()[:99]),
        }[kind],
    )
    assert run(clip, tmp_path / "b.mp4", Trail()).resumed == 25


def test_a_state_of_something_else(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(TranslationInterrupted):
        run(clip, tmp_path / "b.mp4", Trail(interrupted(32)))
    set_state(tmp_path / ".b.mp4.img2img", lambda path: np.savez(path, other=np.zeros(3)))
    with pytest.raises(DataError, match=r"\.b\.mp4\.img2img.*remove this folder"):
        run(clip, tmp_path / "b.mp4", Trail())


def set_state(folder: Path, write: Callable[[Path], object]) -> None:
    """Write the newest state anew, and its checksum."""
    journal = folder / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    path = folder / lines[-1]["state"]
    write(path)
    lines[-1]["state_checksum"] = hashlib.sha256(path.read_bytes()).hexdigest()
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_the_pictures_lose_is_said(tmp_path: Path, make_clip: MakeClip) -> None:
    mastering = (
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    )
    hdr = {"x265-params": f"log-level=none:hdr10=1:master-display={mastering}"}
    interlaced = {"x264-params": "tff=1:interlaced=1"}
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"codec": "ffv1", "form": "yuva420p"}, "transparency is replaced", "yuv420p"),
        ({"options": interlaced}, "interlaced", "yuv420p"),
        (
            {"codec": "libx265", "form": "yuv420p10le", "options": hdr},
            "HDR mastering metadata",
            "yuv420p10le",
        ),
        ({"codec": "ffv1", "form": "yuv420p12le"}, "12 bits per channel become 10", "yuv420p10le"),
        ({"form": "yuv420p10le"}, "10 bits per channel become 8", "yuv420p"),
        ({}, "", "yuv420p"),
    ]
    for options, word, form in cases:
        source = make_clip("a.mkv", **options)
        said: list[str] = []
        encoding = replace(FAST, pixel_format=form)
        made = run(source, tmp_path / "b.mkv", encoding=encoding, say=said.append)
        assert made.notes == tuple(said)
        assert len(said) == bool(word)
        assert word in "".join(said)


def test_another_file_than_the_namesake(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", times=range(9), sounds=[Sound("libopus")])
    (tmp_path / "b.mkv").write_text("mine")
    made = run(source, tmp_path / "b.mov", elsewhere=lambda path: path.with_stem("b (2)"))
    assert made.target == tmp_path / "b (2).mkv"
    assert len(frame_times(made.target)) == 9
    assert (tmp_path / "b.mkv").read_text() == "mine"


def test_other_work_is_not_gone_on_with(tmp_path: Path, clip: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", times=range(40))
    for options, source, word in (
        ({"settings": "others"}, clip, "the settings changed"),
        ({"encoding": Encoding(crf=30, preset="ultrafast")}, clip, "the settings changed"),
        ({"span": Span(every=2)}, clip, "the settings changed"),
        ({}, other, "the input changed"),
    ):
        with pytest.raises(TranslationInterrupted):
            run(clip, tmp_path / "b.mp4", Same(interrupted(32)))
        said: list[str] = []
        made = run(source, tmp_path / "b.mp4", **options, say=said.append)
        assert made.resumed == 0
        assert word in said[0]


def test_what_is_in_the_way_stays(tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / ".b.mp4.img2img"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "000000.nut").write_text("mine")
    folder.symlink_to(mine)
    with pytest.raises(DataError, match="unfinished work on"):
        run(clip, tmp_path / "b.mp4")
    folder.unlink()
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="unfinished work on"):
        run(clip, tmp_path / "b.mp4")
    assert (mine / "000000.nut").read_text() == (folder / "letter.txt").read_text() == "mine"


def test_two_at_once(tmp_path: Path, clip: Path) -> None:
    def at(number: int) -> None:
        if number == 7:
            with pytest.raises(DataError, match="another process"):
                run(clip, tmp_path / "b.mp4")

    assert run(clip, tmp_path / "b.mp4", Same(at)).frames == 40


def test_what_stood_there_stays_until_the_new_is_whole(tmp_path: Path, clip: Path) -> None:
    target = tmp_path / "b.mp4"
    target.write_text("old")
    with pytest.raises(TranslationInterrupted):
        run(clip, target, Same(interrupted(32)))
    assert target.read_text() == "old"
    run(clip, target)
    assert len(frame_times(target)) == 40


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not there")
@pytest.mark.parametrize(("name", "target"), [("bigbuckbunny", "b.mkv"), ("bikes", "b.mp4")])
def test_real_clips(tmp_path: Path, name: str, target: str) -> None:
    source = REAL / f"{name}.mp4"
    made = run(source, tmp_path / target, span=Span(every=10), segment_seconds=2.0)
    there = frame_times(source)[::10]
    assert frame_times(made.target) == pytest.approx(there, abs=0.001)
    with av.open(str(source)) as before, av.open(str(made.target)) as after:
        assert len(before.streams.audio) == len(after.streams.audio)
        for track in range(len(before.streams.audio)):
            same_packets(packets(made.target, "audio", track), packets(source, "audio", track))
    first = next(iter(frames(probe(source)))).pixels.astype(float)
    assert np.abs(first - pixels(made.target)[0]).mean() < 4


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    peaks = []
    for seconds in (5, 60):
        source = make_clip(
            tmp_path / "a.mp4", times=range(25 * seconds), size=(240, 320), sounds=[Sound()]
        )
        used: list[int] = []
        run(
            source,
            tmp_path / "b.mp4",
            segment_seconds=10.0,
            progress=lambda *_: used.append(psutil.Process().memory_info().rss),  # noqa: B023
        )
        peaks.append(max(used))
    assert peaks[1] - peaks[0] < 100 * 2**20


def killed_at(number: int, source: Path, target: Path, options: dict[str, Any]) -> None:
    def fatal(this: int) -> None:
        if this == number:
            os.kill(os.getpid(), signal.SIGKILL)

    run(source, target, Trail(fatal), **options)


@posix
@pytest.mark.parametrize("at", [1, 8, 23])
def test_killed_where_work_is_slow(tmp_path: Path, at: int) -> None:
    """However few seconds of film there are, what is done stays; and where cuts are is not seen."""
    source = make_clip(tmp_path / "a.mp4", times=range(30))
    lossless: dict[str, Any] = {"encoding": Encoding("ffv1"), "segment_seconds": 10.0}
    whole = run(source, tmp_path / "whole.mkv", Trail(), **lossless).target
    # Each frame takes longer than a segment may.
    slow = lossless | {"work_seconds": 0.0}

    process = SPAWNED.Process(target=killed_at, args=(at, source, tmp_path / "b.mkv", slow))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    made = run(source, tmp_path / "b.mkv", Trail(), **slow)
    assert made.resumed == at
    assert frame_times(made.target) == frame_times(whole)
    assert np.array_equal(pixels(made.target), pixels(whole))


def test_long_names(tmp_path: Path) -> None:
    """The folder of the work has a name that a file system takes, and another for each video."""
    clip = make_clip(tmp_path / "a.mp4", times=range(10))
    names = [f"{'字' * 83}.mp4", f"{'字' * 82}z.mp4", f"{'x' * 251}.mp4"]
    folders = {work_folder(tmp_path / name).name for name in names}
    assert len(folders) == 3
    assert max(len(os.fsencode(folder)) for folder in folders) <= 255
    for name in names:
        with pytest.raises(TranslationInterrupted):
            run(clip, tmp_path / name, Same(interrupted(8)))
        assert run(clip, tmp_path / name).resumed == 5


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
def test_a_second_video_track_is_left_out(tmp_path: Path, target: str) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(picture(0), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode(None)])
    made = run(source, tmp_path / target)
    (note,) = made.notes
    assert note.startswith("video track 1 (mpeg4) is left out, because only one")
    with av.open(str(made.target)) as container:
        assert len(container.streams.video) == 1
