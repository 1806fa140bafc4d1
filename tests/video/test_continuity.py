"""Files that are not what they say: cut off, joined by `cat`, of sizes that change."""

from pathlib import Path

import av
import numpy as np
import pytest

from img2img.errors import VideoError
from img2img.video import Encoding, Span, frames, probe
from tests.video.clips import Sound, frame_times, make_clip, packets, picture
from tests.video.test_convert import run


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm"])
def test_a_file_that_is_cut_off_is_said_to_be(tmp_path: Path, name: str) -> None:
    codec = "libvpx" if name == "a.webm" else "mpeg4"
    whole = make_clip(tmp_path / name, times=range(30), codec=codec)
    assert not probe(whole).cut_off
    if name in {"a.mp4", "a.mov"}:  # with the index first, as without it there is nothing
        whole = run(whole, tmp_path / f"first{whole.suffix}").target
    data = whole.read_bytes()
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(data[: len(data) * 7 // 10])
    made = run(cut, tmp_path / "b.mkv", encoding=Encoding("ffv1"))
    assert 0 < made.frames < 30
    assert "truncated" in made.notes[0]
    if name != "a.webm":  # which does not say how many there were
        assert made.notes[-1] == f"the file ends early: {made.frames} of 30 frames"


def joined(tmp_path: Path, *parts: tuple[int, int]) -> Path:
    """Transport streams, one behind the other: of so many frames, that begin at such a time."""
    data = b""
    for frames_in, begin in parts:
        times, sound = range(begin, begin + frames_in), Sound("mp2", begin=begin / 25)
        part = make_clip(tmp_path / "part.ts", times=times, sounds=[sound])
        data += part.read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "parts", [[(25, 0), (25, 0)], [(25, 3000), (20, 0), (15, 0)], [(20, 0), (25, 5000)]]
)
def test_recordings_that_are_joined_follow_one_another(
    tmp_path: Path, parts: list[tuple[int, int]]
) -> None:
    source = joined(tmp_path, *parts)
    total = sum(count for count, _ in parts)
    info = probe(source)
    assert info.frames == total
    assert info.duration == pytest.approx(total / 25)
    assert f"{len(parts)} joined recordings" in info.remarks[0]
    made = run(source, tmp_path / "b.mp4")
    assert made.frames == total
    times = frame_times(made.target)
    assert np.diff(times) == pytest.approx([0.04] * (total - 1), abs=0.001)
    # Sound and picture of the last part stay together.
    heard = [time for time, _ in packets(made.target, "audio")]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(times[-1], abs=0.3)


def test_going_on_within_a_later_recording(tmp_path: Path) -> None:
    info = probe(joined(tmp_path, (25, 0), (25, 0)))
    all_times = [frame.pts for frame in frames(info)]
    assert [frame.pts for frame in frames(info, after=all_times[29])] == all_times[30:]
    assert len(list(frames(info, Span(1.0, 1.4)))) == 10


def test_a_long_pause_is_no_jump_where_times_do_not_jump(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", times=[0, 1, 500, 501])
    made = run(source, tmp_path / "b.mkv")
    assert frame_times(made.target) == pytest.approx([0, 0.04, 20, 20.04], abs=0.001)
    assert made.notes == ()


def test_a_change_of_size_keeps_the_shape_and_is_said(tmp_path: Path) -> None:
    """Wide frames behind others of 4 : 3, as broadcasts have them."""
    data = b""
    for size in ((48, 64), (48, 96)):
        with av.open(str(tmp_path / "part.ts"), "w") as clip:
            video = clip.add_stream("mpeg2video", rate=25)
            video.height, video.width, video.pix_fmt = *size, "yuv420p"
            for number in range(10):
                shown = np.full_like(picture(number, size), 200)
                clip.mux(video.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            clip.mux(video.encode(None))
        data += (tmp_path / "part.ts").read_bytes()
    source = tmp_path / "a.ts"
    source.write_bytes(data)
    made = run(source, tmp_path / "b.mkv", encoding=Encoding("ffv1"))
    assert [note for note in made.notes if "96 x 48; they are scaled to fit into 64 x 48" in note]
    last = [*frames(probe(made.target))][-1].pixels
    assert last.shape[:2] == (48, 64)
    assert last[24].min() > 180  # 64 x 32 of it in the middle
    assert max(last[:6].max(), last[-6:].max()) < 20


def test_videos_that_hold_nothing(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts"):
        path = make_clip(tmp_path / "full.mkv", times=range(3))
        with av.open(str(path)) as full, av.open(str(tmp_path / name), "w") as empty:
            empty.add_stream_from_template(full.streams.video[0])
            empty.start_encoding()
        with pytest.raises(VideoError, match="a\\."):
            run(tmp_path / name, tmp_path / "b.mkv")


def test_a_recording_that_begins_within_a_group_of_pictures(tmp_path: Path) -> None:
    """What comes before the first key frame is not there; sound and picture stay together."""
    whole = make_clip(tmp_path / "a.ts", times=range(50), codec="mpeg2video", sounds=[Sound("mp2")])
    data = whole.read_bytes()
    cut = tmp_path / "late.ts"
    cut.write_bytes(data[188 * (len(data) // 188 // 3) :])
    info = probe(cut)
    shown = [float(frame.pts * info.time_base) for frame in frames(info)]
    there = frame_times(whole)
    assert 15 < len(shown) < 45
    assert shown == pytest.approx(there[-len(shown) :], abs=0.001)
    made = run(cut, tmp_path / "b.mkv")
    assert made.frames == len(shown)


def test_sound_that_ends_early(tmp_path: Path) -> None:
    with_sound = make_clip(tmp_path / "s.mkv", times=range(10), sounds=[Sound("flac")])
    long = make_clip(tmp_path / "v.mkv", times=range(40))
    path = tmp_path / "a.mkv"
    with av.open(str(with_sound)) as a, av.open(str(long)) as v, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(c.streams[i]) for c, i in ((v, 0), (a, 1))]
        for container, index, stream in ((v, 0, streams[0]), (a, 1, streams[1])):
            for packet in container.demux(container.streams[index]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    made = run(path, tmp_path / "b.mp4")
    assert (made.frames, made.notes) == (40, ())
    assert frame_times(made.target) == pytest.approx(frame_times(long), abs=0.001)
