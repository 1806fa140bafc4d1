"""Frames encoded as segments, and segments joined, probed by PyAV."""

import itertools
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from img2img.errors import ConfigError, StorageError, VideoError
from img2img.images import Pixels
from img2img.video import (
    Encoding,
    Frame,
    SegmentWriter,
    Span,
    VideoInfo,
    check_encoding,
    frames,
    joined_packets,
    joined_stream,
    probe,
)
from tests.video.conftest import MakeClip, picture

FAST = Encoding(preset="ultrafast")
CODECS = {
    "h264": Encoding(preset="veryfast"),
    "hevc": Encoding("hevc", preset="fast"),
    "av1": Encoding("av1", preset="10"),
    "vp9": Encoding("vp9"),
    "ffv1": Encoding("ffv1"),
}


def segments(
    folder: Path, info: VideoInfo, shown: list[Frame], encoding: Encoding, each: int = 1000
) -> list[Path]:
    paths = []
    for start in range(0, len(shown), each):
        path = folder / f"{start}.nut"
        height, width = shown[0].pixels.shape[:2]
        writer = SegmentWriter(path, info, (height, width), encoding)
        for frame in shown[start : start + each]:
            writer.write(frame)
        writer.close()
        paths.append(path)
    return paths


def joined(folder: Path, info: VideoInfo, paths: list[Path], name: str = "joined.mp4") -> Path:
    path = folder / name
    with av.open(str(path), "w") as container:
        stream = joined_stream(container, paths[0], info)
        for packet in joined_packets(paths, info):
            packet.stream = stream
            container.mux(packet)
    return path


def pictures(times: list[int], size: tuple[int, int] = (48, 64)) -> list[Frame]:
    return [Frame(picture(n, *size), time, 0, False) for n, time in enumerate(times)]


def as_read(info: VideoInfo, time_base: Fraction, times: list[int]) -> VideoInfo:
    return replace(info, time_base=time_base, start=times[0], rate=Fraction(25))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("time_base", "times"),
    [
        (Fraction(1, 12800), [512 * n for n in range(14)]),
        (Fraction(1, 90000), [900000 + 3003 * n for n in range(14)]),
        (Fraction(1001, 30000), [5 + n for n in range(14)]),
        (
            Fraction(1, 1000),
            [0, 33, 67, 100, 101, 102, 500, 533, 567, 9000, 9033, 9034, 9035, 9999],
        ),
        (Fraction(1, 12800), [-1024 + 512 * n for n in range(14)]),
        (Fraction(1, 10_000_000), [70_000_001 + 400_000 * n for n in range(14)]),
    ],
)
def test_segments_are_joined_with_every_time(
    make_clip: MakeClip, tmp_path: Path, codec: str, time_base: Fraction, times: list[int]
) -> None:
    info = as_read(probe(make_clip("a.mp4")), time_base, times)
    paths = segments(tmp_path, info, pictures(times), CODECS[codec], each=5)
    assert len(paths) == 3
    contexts = []
    for path in paths:
        with av.open(str(path)) as container:
            contexts.append(container.streams.video[0].codec_context.extradata)
            assert next(container.demux(video=0)).is_keyframe
        assert len(list(frames(probe(path)))) in {4, 5}
    assert len(set(contexts)) == 1
    packets = list(joined_packets(paths, info))
    assert sorted(packet.pts or 0 for packet in packets) == times
    order = [packet.dts or 0 for packet in packets]
    assert all(later > earlier for earlier, later in itertools.pairwise(order))
    assert all((packet.dts or 0) <= (packet.pts or 0) for packet in packets)
    assert {packet.time_base for packet in packets} == {time_base}


@pytest.mark.parametrize("codec", CODECS)
def test_a_joined_file_has_all_frames(make_clip: MakeClip, tmp_path: Path, codec: str) -> None:
    name = "joined.mkv" if codec == "ffv1" else "joined.mp4"
    times = [1000 + 40 * n for n in range(14)]
    info = as_read(probe(make_clip("a.mp4")), Fraction(1, 1000), times)
    shown = pictures(times)
    path = joined(tmp_path, info, segments(tmp_path, info, shown, CODECS[codec], 5), name)
    found = list(frames(probe(path)))
    base = probe(path).time_base
    assert [frame.pts * base for frame in found] == [Fraction(time, 1000) for time in times]
    for frame, expected in zip(found, shown, strict=True):
        assert np.abs(frame.pixels.astype(int) - expected.pixels).mean() < 8
        assert not frame.concealed


@pytest.mark.parametrize("codec", CODECS)
def test_a_joined_file_is_described(make_clip: MakeClip, tmp_path: Path, codec: str) -> None:
    path = make_clip("a.mp4", colour=(1, 9, 14, 9), aspect=Fraction(4, 3), rotation=90)
    info = probe(path)
    check_encoding(CODECS[codec], ".mp4", info)
    paths = segments(tmp_path, info, list(frames(info)), CODECS[codec], 5)
    found = probe(joined(tmp_path, info, paths))
    kept = ["size", "rotation", "display_matrix", "sample_aspect", "colour"]
    kept += ["start", "duration", "frames", "rate", "time_base"]
    assert [getattr(found, name) for name in kept] == [getattr(info, name) for name in kept]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux has it")
@pytest.mark.parametrize("codec", CODECS)
def test_an_encoder_does_not_take_the_processor(
    make_clip: MakeClip, tmp_path: Path, codec: str
) -> None:
    """As root, SVT-AV1 would make the whole process real-time."""
    segments(tmp_path, probe(make_clip("a.mp4")), pictures([0, 512]), CODECS[codec])
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_how_long_frames_last(make_clip: MakeClip, tmp_path: Path) -> None:
    times = [0, 512, 600, 3000, 3001, 9000, 9512, 10000, 20000, 20512]
    info = as_read(probe(make_clip("a.mp4")), Fraction(1, 12800), times)
    paths = segments(tmp_path, info, pictures(times), FAST, 4)
    lasting = {packet.pts: packet.duration for packet in joined_packets(paths, info, last=4000)}
    assert [lasting[time] for time in times] == [512, 88, 2400, 1, 5999, 512, 488, 10000, 512, 4000]


def test_colours_of_rgb_are_tagged_as_encoded(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip("a.mp4", codec="libx264rgb", form="rgb24"))
    assert info.colour.matrix == 0
    (path,) = segments(tmp_path, info, list(frames(info)), Encoding())
    found = probe(path)
    assert found.colour.matrix == 6
    (frame, *_) = frames(found)
    assert np.abs(frame.pixels.astype(int) - picture(0)).mean() < 5


@pytest.mark.parametrize(
    ("codec", "size"), [(codec, (57, 101)) for codec in CODECS] + [("h264", (57, 64))]
)
def test_odd_sizes_stay(
    make_clip: MakeClip, tmp_path: Path, codec: str, size: tuple[int, int]
) -> None:
    info = probe(make_clip("a.mkv", codec="ffv1", size=size))
    paths = segments(tmp_path, info, list(frames(info)), CODECS[codec])
    assert probe(paths[0]).size == size
    assert len(list(frames(probe(paths[0])))) == 8


@pytest.mark.parametrize("codec", sorted(CODECS.keys() - {"vp9"}))  # which has 8 in the wheels
def test_ten_bits_stay(make_clip: MakeClip, tmp_path: Path, codec: str) -> None:
    info = probe(make_clip("a.mp4", form="yuv420p10le"))
    shown = list(frames(info))
    found = probe(segments(tmp_path, info, shown, CODECS[codec])[0])
    assert found.depth == 10
    assert found.pixel_format == "yuv420p10le"
    for frame, expected in zip(frames(found), shown, strict=True):
        assert np.abs(frame.pixels / 257 - expected.pixels / 257).mean() < 3


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("flip", [False, True])
def test_frames_are_turned_back(
    make_clip: MakeClip, tmp_path: Path, rotation: int, flip: bool
) -> None:
    info = probe(make_clip("a.mp4", rotation=rotation, flip=flip, aspect=Fraction(4, 3)))
    paths = segments(tmp_path, info, list(frames(info)), Encoding(crf=5))
    found = probe(paths[0])
    assert (found.size, found.sample_aspect) == ((48, 64), Fraction(4, 3))
    (frame, *_) = frames(found)
    assert np.abs(frame.pixels.astype(int) - picture(0)).mean() < 8


TAGS = [
    (1, 1, 1, 1),  # BT.709
    (2, 1, 1, 1),
    (1, 6, 6, 6),  # BT.601
    (2, 6, 6, 6),
    (1, 5, 6, 5),
    (1, 9, 14, 9),  # BT.2020
    (0, 2, 2, 2),
]


def by_definition(frame: av.VideoFrame, matrix: int, full: bool) -> Pixels:
    """RGB of a 4:4:4 frame, by the formulas of BT.601, BT.709 and BT.2020."""
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(matrix, (0.299, 0.114))
    bits = frame.format.components[0].bits
    kind = np.uint8 if bits == 8 else np.uint16
    y, u, v = (
        np.frombuffer(bytes(plane), kind).reshape(frame.height, -1)[:, : frame.width]
        for plane in frame.planes
    )
    unit, top = 2 ** (bits - 8), 2**bits - 1
    black, luma, chroma = (0, top, top) if full else (16 * unit, 219 * unit, 224 * unit)
    y, u, v = (y - black) / luma, (u - 128.0 * unit) / chroma, (v - 128.0 * unit) / chroma
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return 255 * np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


@pytest.mark.parametrize("size", [(96, 128), (720, 128)])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("tags", TAGS)
def test_colour_of_an_identity(
    make_clip: MakeClip,
    tmp_path: Path,
    tags: tuple[int, int, int, int],
    deep: bool,
    size: tuple[int, int],
) -> None:
    """Decoded, made RGB, encoded and decoded, by the tags, or where there are none by the size."""
    form = "yuv444p10le" if deep else "yuv444p"
    info = probe(make_clip("a.mp4", 2, colour=tags, size=size, form=form))
    assert info.colour == probe(info.path).colour
    read = info.colour
    assert (read.range, read.primaries, read.transfer, read.matrix) == tags
    encoding = Encoding(pixel_format=form)
    path = joined(tmp_path, info, segments(tmp_path, info, list(frames(info)), encoding))
    assert probe(path).colour == info.colour
    matrix = tags[3] if tags[3] != 2 else (1 if size[0] == 720 else 6)
    with av.open(str(info.path)) as before, av.open(str(path)) as after:
        for old, new in zip(before.decode(video=0), after.decode(video=0), strict=True):
            a, b = (by_definition(frame, matrix, tags[0] == 2) for frame in (old, new))
            assert np.abs(a - b).mean() < 1.5
    for frame, number in zip(frames(info), range(2), strict=True):
        with av.open(str(info.path)) as container:
            coded = list(container.decode(video=0))[number]
        expected = by_definition(coded, matrix, tags[0] == 2).clip(0, 255)
        scale = 257 if deep else 1
        assert np.abs(frame.pixels / scale - expected).mean() < 0.6


def real_clips() -> list[Path]:
    for folder in Path(__file__).parents:
        if (folder / "shared/data/video").is_dir():
            return sorted((folder / "shared/data/video").glob("*.mp4"))
    return []


@pytest.mark.slow
@pytest.mark.skipif(not real_clips(), reason="no ../shared/data/video")
def test_colour_of_real_clips(tmp_path: Path) -> None:
    for clip in real_clips():
        info = probe(clip)
        shown = list(frames(info, Span(end=0.4)))
        (path,) = segments(tmp_path, info, shown, Encoding())
        differences = [
            frame.pixels.astype(int) - expected.pixels
            for frame, expected in zip(frames(probe(path)), shown, strict=True)
        ]
        # Of every pixel with the losses of the codec, and of the picture as a whole.
        assert np.abs(differences).mean() < 2.5
        assert np.abs(np.mean(differences, axis=(0, 1, 2))).max() < 0.5


def test_what_cannot_be_encoded(make_clip: MakeClip) -> None:
    info = probe(make_clip("a.mp4"))
    odd = probe(make_clip("odd.mkv", codec="ffv1", size=(57, 101)))
    filled = check_encoding(Encoding(), ".mp4", info)
    assert filled == Encoding("h264", 18, "medium", "yuv420p")
    assert check_encoding(Encoding(), ".mp4", odd).pixel_format == "yuv444p"
    refused: list[tuple[Encoding, str, VideoInfo, str]] = [
        (Encoding("divx"), ".mp4", info, "h264, hevc"),
        (Encoding(crf=52), ".mp4", info, "between 0 and 51"),
        (Encoding("ffv1", crf=5), ".mkv", info, "it is lossless"),
        (Encoding(preset="quick"), ".mp4", info, "veryfast"),
        (Encoding("vp9", preset="slow"), ".webm", info, "it has none"),
        (Encoding(pixel_format="rgb555"), ".mp4", info, "yuv444p"),
        (Encoding(pixel_format="yuv420p"), ".mp4", odd, "even"),
        (Encoding("h264"), ".webm", info, "av1, vp9"),
        (Encoding("ffv1"), ".mov", info, r"\.mkv"),
        (
            Encoding("vp9"),
            ".webm",
            replace(info, sample_aspect=Fraction(4, 3)),
            "non-square pixels .4/3.",
        ),
        (Encoding(), ".avi", info, r"\.mkv"),
    ]
    for encoding, suffix, what, message in refused:
        with pytest.raises(ConfigError, match=message):
            check_encoding(encoding, suffix, what)


def test_a_place_that_cannot_be_written(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip("a.mp4"))
    with pytest.raises(StorageError, match="absent"):
        SegmentWriter(tmp_path / "absent" / "0.nut", info, (48, 64), FAST)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(make_clip: MakeClip) -> None:
    writer = SegmentWriter(Path("/dev/full"), probe(make_clip("a.mp4")), (48, 64), FAST)
    with pytest.raises(StorageError, match="/dev/full"):  # noqa: PT012
        for frame in pictures([512 * n for n in range(50)]):
            writer.write(frame)
        writer.close()


def test_quality_and_preset_are_used(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip("a.mp4"))

    def size(encoding: Encoding) -> int:
        (path,) = segments(tmp_path, info, pictures([512 * n for n in range(8)]), encoding)
        return path.stat().st_size

    for codec, encoding in CODECS.items():
        if codec != "ffv1":
            assert size(replace(encoding, crf=10)) > 1.3 * size(replace(encoding, crf=45)), codec
    assert size(FAST) != size(Encoding(preset="slow"))


def test_a_size_that_an_encoder_has_not(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip("a.mp4"))
    with pytest.raises(VideoError, match="libx265 cannot encode frames of 4 x 2 pixels"):
        segments(tmp_path, info, pictures([0], (2, 4)), CODECS["hevc"])


def test_untagged_colours_go_by_the_size_that_is_written(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    info = probe(make_clip("a.mp4", 1, size=(720, 128)))
    small = [Frame(picture(0), 0, 0, False)]
    (path,) = segments(tmp_path, info, small, Encoding())
    (frame,) = frames(probe(path))
    assert np.abs(frame.pixels.astype(int) - picture(0)).mean() < 3


def test_frames_of_another_size(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip("a.mp4", rotation=90))
    shown = [Frame(picture(0, 40, 30), 0, 0, False)]
    (path,) = segments(tmp_path, info, shown, FAST)
    assert probe(path).size == (30, 40)
