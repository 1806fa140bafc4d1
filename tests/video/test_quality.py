"""What a video is encoded as, what is kept of it, and that every loss is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from img2img.errors import ConfigError
from img2img.video import Encoding, check_encoding, frames, probe
from tests.video.conftest import MakeClip
from tests.video.test_convert import run

# Large enough for DNxHR.
SIZE = (128, 256)

MakeSheer = Callable[..., Path]


@pytest.fixture
def sheer(tmp_path: Path) -> MakeSheer:
    """Frames of which the left is transparent and the right is opaque."""

    def make(name: str, codec: str, form: str, **options: str) -> Path:
        path = tmp_path / name
        height, width = SIZE
        with av.open(str(path), "w") as clip:
            stream: Any = clip.add_stream(codec, rate=25, options=options)
            stream.height, stream.width, stream.pix_fmt = height, width, form
            if codec == "libvpx-vp9":
                stream.metadata["alpha_mode"] = "1"
            for number in range(7):
                pixels = np.full((height, width, 4), 30 * number + 20, np.uint8)
                pixels[..., 3] = np.arange(width) * 255 // (width - 1)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=form)
                frame.pts = number
                clip.mux(stream.encode(frame))
            clip.mux(stream.encode(None))
        return path

    return make


PRORES = {"codec": "prores_ks", "form": "yuv422p10le", "size": SIZE}


@pytest.mark.parametrize(
    ("source", "target", "encoding", "expected", "said"),
    [
        (PRORES, "b.mp4", Encoding(), ("h264", "yuv422p10le"), "prores becomes h264"),
        (PRORES, "b.mp4", Encoding(pixel_format="yuv420p"), ("h264", "yuv420p"), "4:2:2 becomes"),
        (PRORES, "b.mp4", Encoding("av1"), ("av1", "yuv420p10le"), "4:2:2 becomes 4:2:0"),
        (PRORES, "b.webm", Encoding(), ("vp9", "yuv422p"), "10 bits per channel become 8"),
        (PRORES, "b.mov", Encoding("prores_ks"), ("prores HQ", "yuv422p10le"), ""),
        (PRORES, "b.mov", Encoding("prores", preset="lt"), ("prores LT", "yuv422p10le"), ""),
        (PRORES, "b.mov", Encoding("prores", preset="4444"), ("prores 4444", "yuv444p12le"), ""),
        (PRORES, "b.mkv", Encoding("prores"), ("prores HQ", "yuv422p10le"), ""),
        (PRORES, "b.mxf", Encoding("prores"), ("prores HQ", "yuv422p10le"), ""),
        (PRORES, "b.mov", Encoding("dnxhd"), ("dnxhd DNXHR HQX", "yuv422p10le"), ""),
        (PRORES, "b.mxf", Encoding(), ("dnxhd DNXHR HQX", "yuv422p10le"), ""),
        ({"size": SIZE}, "b.mov", Encoding("dnxhr"), ("dnxhd DNXHR HQ", "yuv422p"), ""),
        ({"size": SIZE}, "b.mov", Encoding("prores"), ("prores HQ", "yuv422p10le"), ""),
        ({"form": "yuv444p"}, "b.mp4", Encoding(), ("h264", "yuv444p"), "yuv420p` avoids"),
        ({"form": "yuv422p"}, "b.mp4", Encoding("hevc"), ("hevc", "yuv422p"), "yuv420p` avoids"),
    ],
)
def test_what_becomes_of_a_video(
    make_clip: MakeClip,
    tmp_path: Path,
    source: dict[str, Any],
    target: str,
    encoding: Encoding,
    expected: tuple[str, str],
    said: str,
) -> None:
    clip = make_clip("a.mov", **source)
    lines: list[str] = []
    made = run(clip, tmp_path / target, encoding=encoding, say=lines.append)
    assert len(lines) == bool(said)  # all of it in one line
    assert said in "".join(lines)
    info = probe(made.target)
    codec, *profile = expected[0].split(maxsplit=1)
    assert (info.codec, info.pixel_format) == (codec, expected[1])
    with av.open(str(made.target)) as file:
        assert profile in ([], [file.streams.video[0].profile])
    there, before = list(frames(info)), list(frames(probe(clip)))
    assert len(there) == len(before) == 8
    assert np.abs(as_floats(there[5].pixels) - as_floats(before[5].pixels)).mean() < 2
    times = [[float(f.pts * of.time_base) for f in list(frames(of))] for of in (info, probe(clip))]
    assert times[0] == pytest.approx(times[1], abs=0.0006)


def as_floats(pixels: Any) -> Any:
    return pixels.astype(float) * 255 / np.iinfo(pixels.dtype).max


@pytest.mark.parametrize("times", [[0, 3, 4, 11, 30], [40, 41, 50]])
@pytest.mark.parametrize("codec", ["prores", "dnxhr"])
def test_uneven_times_in_codecs_for_editing(
    make_clip: MakeClip, tmp_path: Path, times: list[int], codec: str
) -> None:
    clip = make_clip("a.mkv", times, size=SIZE, step=1)
    made = run(clip, tmp_path / "b.mov", encoding=Encoding(codec), segment_seconds=0.002)
    there, before = probe(made.target), probe(clip)
    shown = [float((frame.pts - there.start) * there.time_base) for frame in frames(there)]
    wanted = [float((frame.pts - before.start) * before.time_base) for frame in frames(before)]
    assert shown == pytest.approx(wanted, abs=0.0006)


@pytest.mark.parametrize(
    ("source", "target", "codec", "expected"),
    [
        (("a.mov", "prores_ks", "yuva444p10le"), "b.mov", None, ("prores", "yuva444p12le")),
        (("a.mov", "prores_ks", "yuva444p10le"), "b.webm", None, ("vp9", "yuva420p")),
        (("a.mov", "qtrle", "argb"), "b.mov", None, ("prores", "yuva444p12le")),
        (("a.webm", "libvpx-vp9", "yuva420p"), "b.webm", None, ("vp9", "yuva420p")),
        (("a.webm", "libvpx-vp9", "yuva420p"), "b.mkv", "vp9", ("vp9", "yuva420p")),
        (("a.mkv", "ffv1", "yuva444p"), "b.mkv", None, ("ffv1", "yuva444p")),
    ],
)
def test_opacity_stays(
    sheer: MakeSheer, tmp_path: Path, source: Any, target: str, codec: Any, expected: Any
) -> None:
    clip = sheer(*source)
    made = run(clip, tmp_path / target, encoding=Encoding(codec))
    info = probe(made.target)
    assert (info.codec, info.pixel_format, info.alpha) == (*expected, True)
    for frame in frames(info):
        assert frame.alpha is not None
        top = np.iinfo(frame.alpha.dtype).max
        wanted = np.arange(256) / 255
        assert np.abs(frame.alpha / top - wanted).max() < 0.02
        assert frame.alpha[:, -1].min() == top  # opaque is so to the last bit
    assert not [note for note in made.notes if "transparency" in note]


def test_opacity_that_has_no_place_is_said(sheer: MakeSheer, tmp_path: Path) -> None:
    made = run(sheer("a.mov", "prores_ks", "yuva444p10le"), tmp_path / "b.mp4")
    assert "transparency is replaced" in made.notes[0]
    shown = next(iter(frames(probe(made.target)))).pixels
    assert as_floats(shown)[:, :4].mean() > 245  # white shows where nothing is


def test_what_players_do_not_take_is_said(make_clip: MakeClip, tmp_path: Path) -> None:
    """An odd size has no 4:2:0 in H.264; VP9 has."""
    odd = make_clip("a.mkv", codec="ffv1", size=(45, 67))
    made = run(odd, tmp_path / "b.mp4")
    assert "odd size" in made.notes[0]
    assert "`codec=vp9`" in made.notes[0]
    assert probe(made.target).pixel_format == "yuv444p"
    made = run(odd, tmp_path / "c.mp4", encoding=Encoding("vp9"))
    assert probe(made.target).pixel_format == "yuv420p"
    assert "odd" not in "".join(made.notes)


def test_the_way_to_what_players_take_leads_there(make_clip: MakeClip, tmp_path: Path) -> None:
    """An even size alone does not make 4:2:0 of an odd 4:4:4."""
    odd = make_clip("a.mkv", codec="ffv1", form="yuv444p", size=(45, 67))
    made = run(odd, tmp_path / "b.mp4")
    assert "it stays 4:4:4 with 8 bits" in made.notes[0]
    assert "`pixel_format=yuv420p` with an even size (`max_side`, `resize`) avoids" in made.notes[0]
    assert "vp9" not in made.notes[0]
    even = make_clip("c.mkv", codec="ffv1", form="yuv444p", size=(44, 66))
    made = run(even, tmp_path / "d.mp4")
    assert "even size" not in made.notes[0]
    made = run(even, tmp_path / "e.mp4", encoding=Encoding(pixel_format="yuv444p"))
    assert "4:4:4" not in made.notes[0]  # who names it knows


def test_full_range_and_other_matrices_in_codecs_for_editing(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    """ProRes has limited range, and DNxHR BT.709, only: the colours are the same by other codes."""
    clip = make_clip("a.mp4", size=SIZE, form="yuvj420p", colour=(2, 5, 5, 5))
    before = next(iter(frames(probe(clip)))).pixels.astype(float)
    for codec in ("prores", "dnxhr"):
        made = run(clip, tmp_path / f"{codec}.mov", encoding=Encoding(codec))
        shown = next(iter(frames(probe(made.target)))).pixels
        assert np.abs(as_floats(shown) - before).mean() < 1.5


def test_what_cannot_be_is_said_before_work(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mp4"))
    large = replace(info, size=SIZE)
    for encoding, suffix, of, word in (
        (Encoding("dnxhr"), ".mov", info, "at least 256 x 120"),
        (Encoding("prores"), ".mp4", info, r"\.mov"),
        (Encoding("dnxhr"), ".mkv", large, r"\.mov"),
        (Encoding("prores", crf=5), ".mov", info, "profile"),
        (Encoding("prores", preset="slow"), ".mov", info, "hq, standard, lt, proxy"),
        (Encoding("prores", preset="4444", pixel_format="yuv422p10le"), ".mov", info, "hq"),
        (Encoding("h264"), ".mxf", info, "dnxhr, prores"),
    ):
        with pytest.raises(ConfigError, match=word):
            check_encoding(encoding, suffix, of)
