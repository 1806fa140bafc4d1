"""Segments and all else of a source, in one file."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from img2img.errors import ConfigError, StorageError
from img2img.video import Encoding, SegmentWriter, Span, VideoInfo, frames, probe
from img2img.video.containers import Muxing, check_container
from img2img.video.joining import join
from tests.video.clips import (
    CHAPTERS,
    Sound,
    frame_times,
    make_clip,
    packets,
    picture,
    pixels,
    same_packets,
)

UNEVEN = [0, 1, 4, 9, 10, 11, 20, 31, 33, 40, 41]


def segments(
    info: VideoInfo, folder: Path, length: int = 4, codec: str = "h264", **part: Any
) -> list[Path]:
    """The frames of a video, or of a part of it, as closed segments of some frames each."""
    shots = [*frames(info, Span(**part))]
    paths = []
    for begin in range(0, len(shots), length):
        paths.append(folder / f"{begin}.nut")
        writer = SegmentWriter(paths[-1], info, info.upright_size, Encoding(codec))
        for shot in shots[begin : begin + length]:
            writer.write(shot)
        writer.close()
    return paths


@pytest.fixture
def joined(tmp_path: Path) -> Callable[[Path, str], tuple[Path, tuple[str, ...]]]:
    """Join a clip's own frames to a file; its path, and what was said."""

    def run(source: Path, name: str) -> tuple[Path, tuple[str, ...]]:
        info = probe(source)
        folder = tmp_path / f"segments of {name}"
        folder.mkdir()
        plan = check_container(info, tmp_path / name)
        codec = "vp9" if name.endswith(".webm") else "h264"
        notes = join(segments(info, folder, codec=codec), info, plan)
        return plan.target, plan.notes + notes

    return run


Joined = Callable[[Path, str], tuple[Path, tuple[str, ...]]]


@pytest.mark.parametrize(
    ("source", "target"),
    [("a.mp4", "b.mp4"), ("a.mp4", "b.mov"), ("a.mkv", "b.mkv"), ("a.mkv", "b.mp4")],
)
def test_everything_beside_the_pictures_is_the_sources(
    tmp_path: Path, joined: Joined, source: str, target: str
) -> None:
    clip = make_clip(
        tmp_path / source,
        times=UNEVEN,
        sounds=[Sound(), Sound("ac3", "deu", "Deutsch", begin=0.3)],
        subtitles=[("mov_text" if source == "a.mp4" else "srt", "fra")],
        chapters=CHAPTERS,
        metadata={"title": "A title", "comment": "and more"},
    )
    result, _ = joined(clip, target)
    for track in range(2):
        same_packets(packets(result, "audio", track), packets(clip, "audio", track))
    with av.open(str(clip)) as before, av.open(str(result)) as after:
        assert after.metadata.items() >= {("title", "A title")}
        assert {key.lower() for key in after.metadata} >= {"title", "comment"}
        for chapters in (before.chapters(), after.chapters()):
            found = [
                (c["start"] * (c["time_base"] or 1), c["end"] * (c["time_base"] or 1))
                for c in chapters
            ]
            assert found == [(Fraction(n, 2), Fraction(n + 1, 2)) for n in range(3)]
            assert [c["metadata"]["title"] for c in chapters] == ["one", "two", "three"]
        for one, other in zip(before.streams.audio, after.streams.audio, strict=True):
            title = [s.metadata.get("title", s.metadata.get("name")) for s in (one, other)]
            assert title[0] == title[1] is not None
            if target != "b.mov":  # which knows other languages only
                assert one.language == other.language
            if source.endswith(target[1:]):  # MP4 has a default of each kind, Matroska need not
                assert one.disposition == other.disposition
        assert after.streams.subtitles[0].language == "fra"
    assert frame_times(result) == pytest.approx(frame_times(clip), abs=1e-9)


def test_text_takes_the_form_of_the_container(tmp_path: Path, joined: Joined) -> None:
    clip = make_clip(tmp_path / "a.mkv", subtitles=[("srt", "fra"), ("ass", "eng")])
    result, notes = joined(clip, "b.mp4")
    assert len(notes) == 2
    assert "mov_text" in notes[0]
    for track in range(2):
        shown = packets(result, "subtitles", track)
        # A length, the text, and the style that ASS has given it.
        lines = [(time, data[2 : 2 + data[1]]) for time, data in shown if data[1]]
        assert [line for _, line in lines] == [
            b"line %d of %d" % (400 * number, track) for number in range(3)
        ]
        assert [time for time, _ in lines] == pytest.approx([0.02, 0.42, 0.82])
    back, notes = joined(result, "c.mkv")
    assert "srt" in notes[0]
    same_packets(packets(back, "subtitles"), packets(clip, "subtitles"))


@pytest.mark.parametrize("target", ["b.mkv", "b.mp4"])
def test_subtitles_and_attachments_of_matroska(tmp_path: Path, joined: Joined, target: str) -> None:
    font = bytes(range(99))
    clip = make_clip(tmp_path / "a.mkv", subtitles=[("ass", "fra")], attachment=font)
    result, notes = joined(clip, target)
    if target == "b.mp4":
        assert any("attachment" in note and "left out" in note for note in notes)
        return
    assert notes == ()
    same_packets(packets(result, "subtitles"), packets(clip, "subtitles"))
    with av.open(str(result)) as after:
        (attached,) = after.streams.attachments
        assert (attached.name, attached.mimetype) == ("font.ttf", "font/ttf")
        assert attached.data == font


def test_sound_without_a_place_makes_the_file_matroska(tmp_path: Path, joined: Joined) -> None:
    clip = make_clip(tmp_path / "a.mkv", sounds=[Sound("libopus")])
    result, notes = joined(clip, "b.mov")
    assert result == tmp_path / "b.mkv"
    assert "opus" in notes[0]
    assert "b.mkv" in notes[0]
    same_packets(packets(result, "audio"), packets(clip, "audio"))
    assert frame_times(result) == pytest.approx(frame_times(clip), abs=0.001)


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize(("pictures", "sound"), [(0, 2.0), (50, 0.0)])
def test_start_offsets_are_kept(
    tmp_path: Path, joined: Joined, target: str, pictures: int, sound: float
) -> None:
    clip = make_clip(
        tmp_path / "a.mp4",
        times=range(pictures, pictures + 60),
        sounds=[Sound("flac", begin=sound)],
    )
    result, _ = joined(clip, target)
    assert frame_times(result)[0] == pytest.approx(pictures / 25, abs=0.001)
    same_packets(packets(result, "audio"), packets(clip, "audio"))
    assert frame_times(result) == pytest.approx(frame_times(clip), abs=0.001)


def test_sound_from_before_time_0_in_matroska(tmp_path: Path, joined: Joined) -> None:
    """What AAC begins with lies before time 0: in sync, if later, and said."""
    clip = make_clip(tmp_path / "a.mp4", sounds=[Sound()])
    assert packets(clip, "audio")[0][0] == pytest.approx(-1024 / 48000)
    result, notes = joined(clip, "b.mkv")
    assert len(notes) == 1
    assert "21 ms later" in notes[0]
    same_packets(packets(result, "audio"), packets(clip, "audio"), later=0.021)
    later = [time + 0.021 for time in frame_times(clip)]
    assert frame_times(result) == pytest.approx(later, abs=0.001)


@pytest.mark.parametrize("target", ["b.mp4", "b.mov", "b.mkv"])
def test_rotation_pixel_aspect_and_duration(tmp_path: Path, joined: Joined, target: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", times=range(7), rotation=90, aspect=Fraction(4, 3))
    result, notes = joined(clip, target)
    assert notes == ()
    before, after = probe(clip), probe(result)
    assert before.rotation == after.rotation == 90
    assert after.sample_aspect == Fraction(4, 3)
    assert (after.size, after.colour) == (before.size, before.colour)
    assert after.duration == pytest.approx(7 / 25, abs=0.001)
    far = np.abs(pixels(result).astype(float) - pixels(clip))
    assert far.mean() < 3


def test_odd_time_bases(tmp_path: Path, joined: Joined) -> None:
    clip = make_clip(
        tmp_path / "a.mp4",
        times=[1001 * number for number in [0, 1, 2, 5, 6, 9]],
        time_base=Fraction(1, 30000),
    )
    result, _ = joined(clip, "b.mp4")
    with av.open(str(result)) as after:
        base = after.streams.video[0].time_base
        shown = [(frame.pts or 0) * (base or 0) for frame in after.decode(video=0)]
    assert shown == [Fraction(1001 * number, 30000) for number in [0, 1, 2, 5, 6, 9]]


def test_a_part_of_the_source(tmp_path: Path) -> None:
    """Its first frame takes the place of the source's first, with the sound of its time."""
    clip = make_clip(tmp_path / "a.mkv", times=range(75), sounds=[Sound("ac3")], chapters=CHAPTERS)
    info = probe(clip)
    plan = check_container(info, tmp_path / "b.mkv")
    join(segments(info, tmp_path, start=1.0, end=2.0), info, plan, span=Span(1.0, 2.0))
    assert frame_times(plan.target) == pytest.approx([n / 25 for n in range(25)], abs=0.001)
    within = [(time, data) for time, data in packets(clip, "audio") if 1 <= time < 2]
    same_packets(packets(plan.target, "audio"), within, later=-1.0)
    with av.open(str(plan.target)) as after:
        (third,) = after.chapters()
        assert third["metadata"] == {"title": "three"}
        assert third["start"] == 0
        assert third["end"] * (third["time_base"] or 0) == 0.5


def test_a_cover_is_no_video_and_is_kept(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mp4", sounds=[Sound()])
    image = tmp_path / "cover.jpg"
    Image.fromarray(picture(1)).save(image)
    clip = tmp_path / "a.mp4"
    with av.open(str(plain)) as source, av.open(str(clip), "w") as made:
        added = {s.index: made.add_stream_from_template(s, opaque=True) for s in source.streams}
        with av.open(str(image)) as still:
            cover = made.add_stream_from_template(still.streams.video[0], opaque=True)
            cover.disposition = Disposition.attached_pic
            for packet in source.demux():
                if packet.size:
                    packet.stream = added[packet.stream.index]
                    made.mux(packet)
            picture_packet = next(still.demux(still.streams.video[0]))
            picture_packet.stream = cover
            made.mux(picture_packet)
    info = probe(clip)
    for target, start in (("b.mp4", 0.0), ("b.mkv", 0.0), ("c.mp4", 0.4)):
        plan = check_container(info, tmp_path / target)
        join(segments(info, tmp_path, start=start), info, plan, span=Span(start))
        result = plan.target
        with av.open(str(result)) as after:
            covers = [
                stream
                for stream in after.streams.video
                if stream.disposition & Disposition.attached_pic
            ]
            assert len(covers) == 1
            content = next(after.demux(covers[0]))
            assert bytes(content) == image.read_bytes()
        assert len(frame_times(result)) == 25 - 25 * start


def test_times_that_do_not_rise(tmp_path: Path, joined: Joined) -> None:
    """As in damaged recordings. Nothing fails when all the work is done, and nothing is lost."""
    clip = make_clip(tmp_path / "a.mp4", times=range(40))
    damaged = tmp_path / "damaged.mkv"
    with av.open(str(clip)) as source, av.open(str(damaged), "w") as made:
        video = made.add_stream_from_template(source.streams.video[0], opaque=True)
        audio = made.add_stream("pcm_s16le", rate=48000)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = video
                made.mux(packet)
        for number in range(20):
            sound: Any = av.Packet(bytes([number] * 3840))
            sound.pts = sound.dts = 40 * (number - number % 3)
            sound.time_base = Fraction(1, 1000)
            sound.stream = audio
            made.mux(sound)
    result, notes = joined(damaged, "b.mov")
    assert len(notes) == 1
    assert "not all were increasing" in notes[0]
    before, after = packets(damaged, "audio"), packets(result, "audio")
    assert [time for time, _ in before][:4] == pytest.approx([0, 0, 0, 0.12])
    assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
    assert frame_times(result) == pytest.approx(frame_times(damaged), abs=0.001)


def test_sound_that_a_container_refuses_at_the_end_only(tmp_path: Path, joined: Joined) -> None:
    """MP4 takes PCM, but not of channels without a layout, such as those of many AVI files."""
    wave = make_clip(tmp_path / "a.avi", codec="mpeg4", sounds=[Sound("pcm_s16le")])
    result, notes = joined(wave, "b.mp4")
    same_packets(packets(result, "audio"), packets(wave, "audio"))
    assert result.suffix == ".mkv"
    assert "pcm_s16le" in notes[0]


def samples(path: Path) -> tuple[float, Any]:
    """When the sound begins, in seconds, and its first channel at 48 kHz."""
    form = av.AudioResampler(format="fltp", layout="stereo", rate=48000)
    with av.open(str(path)) as clip:
        heard = [*clip.decode(audio=0)]
    parts = [part.to_ndarray()[0] for frame in heard for part in form.resample(frame)]
    return heard[0].time or 0.0, np.concatenate(parts)


@pytest.mark.parametrize("target", ["b.mp4", "b.mov", "b.mkv", "b.webm"])
@pytest.mark.parametrize(
    ("name", "pictures", "sound"),
    [
        ("a.avi", "mpeg4", Sound("adpcm_ms")),
        ("a.mov", "libx264", Sound("adpcm_ima_qt", begin=0.2)),
        ("a.m2ts", "mpeg2video", Sound("pcm_bluray", form="s32")),  # of 24 bits
    ],
)
def test_sound_that_nothing_takes_is_encoded_anew(
    tmp_path: Path, joined: Joined, name: str, pictures: str, sound: Sound, target: str
) -> None:
    """At its time; without loss, but for WebM. The container stays what was asked for."""
    clip = make_clip(tmp_path / name, codec=pictures, sounds=[sound])
    result, notes = joined(clip, target)
    assert result.name == target
    if (name, target) == ("a.mov", "b.mov"):
        assert notes == ()
        return
    assert len(notes) == 1
    assert f"({sound.codec}) is encoded as" in notes[0]
    (begun, before), (heard, after) = samples(clip), samples(result)
    assert heard == pytest.approx(begun, abs=0.001 + 1e-9)
    assert len(after) == len(before)
    if target == "b.webm":
        alike = [(before[48:-48] * np.roll(after, late)[48:-48]).sum() for late in range(-48, 49)]
        assert abs(int(np.argmax(alike)) - 48) <= 1
    else:
        assert np.array_equal(after, before)


def test_a_part_with_sound_that_is_encoded_anew(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", codec="mpeg4", times=range(75), sounds=[Sound("adpcm_ms")])
    info = probe(clip)
    plan = check_container(info, tmp_path / "b.mp4")
    join(segments(info, tmp_path, start=1.0, end=2.0), info, plan, span=Span(1.0, 2.0))
    begun, heard = samples(plan.target)
    there = [time for time, _ in packets(clip, "audio") if 1 <= time < 2]
    assert begun == pytest.approx(there[0] - 1, abs=0.001)
    at = round(there[0] * 48000)
    assert np.array_equal(heard, samples(clip)[1][at : at + len(heard)])


@pytest.mark.parametrize("target", ["b.mp4", "b.mov", "b.mkv"])
def test_sound_of_a_codec_that_nobody_knows(tmp_path: Path, joined: Joined, target: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", sounds=[Sound(), Sound("ac3")])
    clip.write_bytes(clip.read_bytes().replace(b"ac-3", b"zzzz"))
    with av.open(str(clip)) as damaged:
        assert damaged.streams[2].codec_context is None
    result, notes = joined(clip, target)
    assert result.name == target
    assert "audio track 2 (of an unknown kind) is left out" in notes[0]
    with av.open(str(result)) as after:
        assert [stream.name for stream in after.streams] == ["h264", "aac"]


def test_lines_of_text_that_begin_at_once(tmp_path: Path, joined: Joined) -> None:
    """As signs and speech do in ASS: in Matroska they stay as they are."""
    clip = make_clip(tmp_path / "a.mkv", subtitles=[("ass", "eng")])
    shown = tmp_path / "signs.mkv"
    with av.open(str(clip)) as source, av.open(str(shown), "w") as made:
        added = {s.index: made.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            if packet.size:
                if packet.stream.type == "subtitle":
                    packet.pts = packet.dts = 20
                packet.stream = added[packet.stream.index]
                made.mux(packet)
    result, notes = joined(shown, "b.mkv")
    assert notes == ()
    same_packets(packets(result, "subtitles"), packets(shown, "subtitles"))
    assert {time for time, _ in packets(result, "subtitles")} == {0.02}
    _, notes = joined(shown, "b.mp4")
    assert "not all were increasing" in notes[-1]


def test_what_apples_cameras_say(tmp_path: Path, joined: Joined) -> None:
    said = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "a phone"}
    plain = make_clip(tmp_path / "plain.mp4")
    clip = tmp_path / "a.mov"
    movflags = {"movflags": "use_metadata_tags"}
    with (
        av.open(str(plain)) as source,
        av.open(str(clip), "w", container_options=movflags) as made,
    ):
        made.metadata.update(said)
        added = made.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = added
                made.mux(packet)
    result, notes = joined(clip, "b.mov")
    assert notes == ()
    with av.open(str(result)) as after:
        assert after.metadata.items() >= said.items()
    _, notes = joined(clip, "b.mp4")
    assert "com.apple.quicktime.make" in notes[0]


def test_a_namesake_is_not_overwritten(tmp_path: Path) -> None:
    """But what was begun is gone on with, and who calls may choose another file."""
    info = probe(make_clip(tmp_path / "a.mkv", sounds=[Sound("libopus")]))
    mine = tmp_path / "b.mkv"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match=r"b\.mkv already exists; .*`output`"):
        check_container(info, tmp_path / "b.mov")
    other = tmp_path / "other.mkv"
    asked: list[Path] = []
    plan = check_container(info, tmp_path / "b.mov", lambda path: asked.append(path) or other)  # type: ignore[func-returns-value]
    assert (plan.target, asked) == (other, [mine])
    assert "other.mkv" in plan.notes[0]
    assert check_container(info, mine).target == mine  # by name
    (tmp_path / ".b.mkv.img2img").mkdir()
    assert check_container(info, tmp_path / "b.mov").target == mine


def test_the_input_is_not_overwritten(tmp_path: Path) -> None:
    """Neither when it is named nor when the target becomes Matroska."""
    clip = make_clip(tmp_path / "a.mkv", sounds=[Sound("flac")])
    for target in ("a.mkv", "a.webm"):
        with pytest.raises(ConfigError, match="is the input"):
            check_container(probe(clip), tmp_path / target)


def test_pictures_alone(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", sounds=[Sound()])
    info = probe(clip)
    join(segments(info, tmp_path), info, Muxing(tmp_path / "b.mkv"))
    with av.open(str(tmp_path / "b.mkv")) as after:
        assert [stream.type for stream in after.streams] == ["video"]


def test_other_containers_are_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    with pytest.raises(ConfigError, match=r"\.mkv"):
        check_container(probe(clip), tmp_path / "b.xyz")


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    info = probe(clip)
    parts = segments(info, tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        join(parts, info, Muxing(tmp_path / "file" / "b.mp4"))
    before = {*tmp_path.iterdir()}
    parts[-1].write_bytes(b"no segment")
    with pytest.raises(Exception, match="cannot be"):
        join(parts, info, Muxing(tmp_path / "b.mp4"))
    assert {*tmp_path.iterdir()} == before
