"""What is in a video, and its frames with their times."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from img2img.errors import VideoError
from img2img.video import Frame, Span, frames, is_video, probe
from tests.video.conftest import MakeClip, picture

VARIABLE = [0, 512, 600, 3000, 3001, 9000, 9512, 10000, 20000, 20512, 21000]


def given(path: Path, **arguments: Any) -> list[Frame]:
    return list(frames(probe(path), **arguments))


def times(found: list[Frame]) -> list[int]:
    return [frame.pts for frame in found]


def broken(path: Path, number: int, start: int = 0) -> int:
    """Overwrite the packet of that number by zeros, from a byte of it on; its time."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position, size, time = packets[number].pos, packets[number].size, packets[number].pts
    assert position is not None
    assert time is not None
    with path.open("r+b") as file:
        file.seek(position + start)
        file.write(bytes(size - start))
    return time


def test_what_is_in_a_file(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mp4", 10, aspect=Fraction(4, 3), colour=(1, 1, 1, 1)))
    assert info.size == (48, 64)
    assert (info.codec, info.pixel_format, info.depth, info.alpha) == ("h264", "yuv420p", 8, False)
    assert (info.time_base, info.rate, info.start) == (Fraction(1, 12800), Fraction(25), 0)
    assert (info.frames, info.duration) == (10, 0.4)
    assert (info.sample_aspect, info.rotation) == (Fraction(4, 3), 0)
    colour = info.colour
    assert (colour.range, colour.primaries, colour.transfer, colour.matrix) == (1, 1, 1, 1)


def test_grey(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mkv", 2, codec="ffv1", form="gray"))
    assert (info.pixel_format, info.chroma, info.alpha) == ("gray", "420", False)
    for frame in frames(info):
        assert (frame.pixels == frame.pixels[..., :1]).all()


def test_the_cover_of_an_album_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("aac", rate=48000)
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 48, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0))))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        silence.sample_rate = 48000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(VideoError, match=r"song\.mp4: contains no video"):
        probe(path)


def test_files_that_are_no_video(tmp_path: Path, make_clip: MakeClip) -> None:
    (tmp_path / "text.mp4").write_text("no video at all")
    clip = make_clip("whole.mp4")
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:500])  # MP4 has its index at the end
    for name in ("text.mp4", "cut.mp4", "absent.mp4"):
        with pytest.raises(VideoError, match=name):
            probe(tmp_path / name)
    with pytest.raises(VideoError, match=r"empty\.mkv"):
        probe(make_clip("empty.mkv", 0))
    for number in range(8):
        broken(clip, number)
    with pytest.raises(VideoError, match="no frame can be decoded"):
        probe(clip)
    strange = make_clip("strange.mkv")
    strange.write_bytes(strange.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/AVC"))
    with pytest.raises(VideoError, match=r"strange\.mkv: its video codec is not supported"):
        probe(strange)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.mp4\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile a.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    ],
)
def test_a_playlist_is_not_followed(tmp_path: Path, make_clip: MakeClip, text: str) -> None:
    make_clip("a.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text(text)
    with pytest.raises(VideoError, match=r"list\.mp4"):
        probe(playlist)


def test_suffixes() -> None:
    assert is_video(Path("A.MP4"))
    assert is_video(Path("b.webm"))
    assert not is_video(Path("c.png"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("b-frames.mp4", {"options": {"bf": "3"}}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("vp9.mkv", {"codec": "libvpx-vp9", "step": 1, "time_base": Fraction(1, 25)}),
        ("mpeg4.mp4", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("mjpeg.mov", {"codec": "mjpeg", "form": "yuvj420p"}),
        ("interlaced.mp4", {"options": {"x264-params": "tff=1:interlaced=1"}}),
        ("stream.ts", {"time_base": Fraction(1, 90000), "step": 3003}),
        ("odd.mkv", {"codec": "ffv1", "size": (57, 101)}),
        ("one.mp4", {"frames": 1}),
        ("animated.gif", {"codec": "gif", "form": "rgb8", "time_base": Fraction(1, 100)}),
    ],
)
def test_every_frame_at_its_time(make_clip: MakeClip, name: str, arguments: dict[str, Any]) -> None:
    path = make_clip(name, **arguments)
    with av.open(str(path)) as container:
        expected = [frame.pts for frame in container.decode(video=0)]
    found = given(path)
    assert len(found) == arguments.get("frames", 8)
    assert times(found) == expected
    assert not any(frame.concealed for frame in found)
    for number, frame in enumerate(found):
        size = arguments.get("size", (48, 64))
        error = np.abs(frame.pixels.astype(int) - picture(number, *size))
        assert error.mean() < (40 if name == "animated.gif" else 8)


@pytest.mark.parametrize("start", [0, 5120, -1024])
def test_variable_rate_and_start(make_clip: MakeClip, start: int) -> None:
    written = [start + time for time in VARIABLE]
    path = make_clip("a.mp4", written, muxing={"avoid_negative_ts": "disabled"})
    with av.open(str(path)) as container:
        expected = [frame.pts for frame in container.decode(video=0)]
    if start >= 0:
        assert expected == written
    assert times(given(path)) == expected
    assert probe(path).start == expected[0]


def test_ten_bits(make_clip: MakeClip) -> None:
    path = make_clip("deep.mp4", form="yuv420p10le")
    info = probe(path)
    assert info.depth == 10
    (frame, *_) = frames(info)
    assert frame.pixels.dtype == np.uint16
    assert np.abs(frame.pixels / 257 - picture(0)).mean() < 3


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("flip", [False, True])
def test_frames_are_upright(make_clip: MakeClip, rotation: int, flip: bool) -> None:
    info = probe(make_clip("a.mp4", rotation=rotation, flip=flip))
    (frame, *_) = frames(info)
    # A player turns anticlockwise, and mirrors what it has turned.
    expected = np.rot90(picture(0), rotation // 90)
    expected = expected[:, ::-1] if flip else expected
    assert frame.pixels.shape == expected.shape
    assert frame.pixels.shape[:2] == info.upright_size
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 8
    if not flip:
        assert info.rotation % 360 == rotation % 360


def test_alpha_is_left_out(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mkv", codec="ffv1", form="yuva420p"))
    assert info.alpha
    assert {frame.pixels.shape for frame in frames(info)} == {(48, 64, 3)}


def test_start_end_and_every(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mp4", [1024 + 512 * n for n in range(20)], options={"g": "6"}))
    everything = times(list(frames(info)))
    assert len(everything) == 20
    assert times(list(frames(info, Span(0.12, 0.48)))) == everything[3:12]
    assert times(list(frames(info, Span(every=3)))) == everything[::3]
    assert times(list(frames(info, Span(0.6, every=2)))) == everything[15::2]


@pytest.mark.parametrize("options", [{"g": "5"}, {"g": "5", "x264-params": "open-gop=1"}])
@pytest.mark.parametrize("damaged", [None, 5, 7])
def test_going_on_after_a_time(
    make_clip: MakeClip, options: dict[str, str], damaged: int | None
) -> None:
    path = make_clip("a.mp4", [*range(0, 10240, 512), 10241, 10242, 20000], options=options)
    if damaged is not None:
        broken(path, damaged)
    info = probe(path)
    for span in (Span(), Span(every=3), Span(0.12, 0.8, 2)):
        whole = list(frames(info, span))
        for number, last in enumerate(whole):
            rest = list(frames(info, span, after=last.pts))
            assert times(rest) == times(whole[number + 1 :])
            for frame, expected in zip(rest, whole[number + 1 :], strict=True):
                assert np.array_equal(frame.pixels, expected.pixels)
                assert frame.concealed == expected.concealed


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.mp4", {}),
        ("a.mov", {"codec": "mjpeg", "form": "yuvj420p"}),
    ],
)
def test_a_broken_frame_is_concealed(
    make_clip: MakeClip, name: str, arguments: dict[str, Any]
) -> None:
    path = make_clip(name, 20, **arguments)
    lost = broken(path, 9)
    found = given(path)
    assert times(found) == [512 * n for n in range(20)]
    assert [frame.pts for frame in found if frame.concealed] == [lost]
    number = lost // 512
    assert np.array_equal(found[number].pixels, found[number - 1].pixels)


def test_what_is_built_on_a_broken_frame_of_hevc_is_concealed(make_clip: MakeClip) -> None:
    options = {"x265-params": "log-level=none:keyint=10:min-keyint=10"}
    path = make_clip("a.mp4", 30, codec="libx265", options=options)
    lost = broken(path, 9) // 512
    found = given(path)
    assert times(found) == [512 * n for n in range(30)]
    concealed = [number for number, frame in enumerate(found) if frame.concealed]
    assert lost in concealed
    assert set(concealed) <= set(range(20))


def test_a_half_broken_frame_is_concealed(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4", 20, options={"bf": "0", "crf": "5"})
    lost = broken(path, 9, start=40)
    found = given(path)
    assert len(found) == 20
    assert [frame.pts for frame in found if frame.concealed] == [lost]


def test_the_last_frame_is_broken(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4", 10, options={"bf": "0"})
    broken(path, 9)
    found = given(path)
    assert [frame.concealed for frame in found] == [False] * 9 + [True]
    assert found[9].pts == 9 * 512


def test_a_file_cut_off_ends_where_it_ends(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", 50, size=(240, 320), time_base=Fraction(1, 1000), step=40)
    whole = given(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = given(path)
    assert 1 < len(found) < 50
    good = [frame for frame in found if not frame.concealed]
    for frame, expected in zip(good[:-1], whole, strict=False):
        assert frame.pts == expected.pts
        assert np.array_equal(frame.pixels, expected.pixels)


def test_an_edit_list_cuts_frames_away(make_clip: MakeClip) -> None:
    """The first times are below zero, which an MP4 file says by an edit that begins later."""
    path = make_clip(
        "a.mp4", [512 * n for n in range(-4, 8)], muxing={"avoid_negative_ts": "disabled"}
    )
    with av.open(str(path)) as container:
        expected = [frame.pts for frame in container.decode(video=0)]
        container.seek(0)
    found = given(path)
    assert times(found) == expected
    assert not any(frame.concealed for frame in found)


def test_times_that_are_missing_or_twice(tmp_path: Path, make_clip: MakeClip) -> None:
    raw = make_clip("a.h264", 6, options={"bf": "0"})
    found = given(raw)
    info = probe(raw)
    assert times(found) == [info.step * n + found[0].pts for n in range(6)]
    path = tmp_path / "twice.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        packets = []
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(picture(number))
            frame.pts, frame.time_base = 40 * number, Fraction(1, 1000)
            packets += stream.encode(frame.reformat(format="yuvj420p"))
        packets += stream.encode(None)
        for packet, time in zip(packets, [0, 40, 40, 120], strict=True):
            packet.pts = packet.dts = time
            container.mux(packet)
    info = probe(path)
    assert times(list(frames(info))) == [0, 40, 41, 120]
    assert times(list(frames(info, after=40))) == [41, 120]


def test_a_size_that_changes_is_that_of_the_first_frame(
    tmp_path: Path, make_clip: MakeClip
) -> None:
    path = tmp_path / "both.h264"
    parts = [make_clip("a.h264", 3), make_clip("b.h264", 3, size=(96, 128))]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = given(path)
    assert [frame.pixels.shape for frame in found] == [(48, 64, 3)] * 6
    for number, frame in enumerate(found):
        assert np.abs(frame.pixels.astype(int) - picture(number % 3)).mean() < 8


def test_colours_that_cannot_be_converted(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4", colour=(1, 1, 1, 10), form="yuv444p")
    with pytest.raises(VideoError, match=r"a\.mp4: frames in yuv444p with colour matrix 10"):
        probe(path)


def test_what_has_fewer_bits_than_eight(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mov", codec="qtrle", form="rgb555be"))
    assert info.depth == 8
    (frame, *_) = frames(info)
    assert frame.pixels.dtype == np.uint8
    assert np.abs(frame.pixels.astype(int) - picture(0)).mean() < 8


def test_absurd_sizes_are_refused(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("a.mp4")
    monkeypatch.setattr("img2img.video.probing.MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(VideoError, match="64 x 48"):
        probe(path)


def test_a_file_that_is_gone(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mp4"))
    with pytest.raises(VideoError, match=r"b\.mp4"):
        next(frames(replace(info, path=info.path.with_name("b.mp4"))))
