"""Every option on every kind of input: it does something, or is refused before work begins."""

import hashlib
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.engine.translator import Translator
from img2img.errors import ConfigError, DataError, Img2ImgError
from img2img.translate import kinds
from img2img.translate.folder import translate_folder
from img2img.translate.kinds import Kind
from img2img.translate.options import FolderOptions
from img2img.video import probe
from tests.engine.conftest import translator
from tests.translate.test_translating_video import Flickering
from tests.video.clips import Sound, frame_times, make_clip, picture

DOCS = Path(__file__).parents[2] / "docs" / "inference.md"
# What each option is given, beside what it needs to be seen.
OPTIONS: dict[str, dict[str, Any]] = {
    "stabilize": {"stabilize": "strong"},
    "every": {"every": 2},
    "start": {"start": 0.1},
    "end": {"end": 0.1},
    "fps": {"fps": Fraction(10)},
    "frames": {"frames": True},
    "codec": {"codec": "hevc"},
    "crf": {"crf": 40},
    "preset": {"preset": "ultrafast"},
    "pixel_format": {"pixel_format": "yuv444p"},
    "container": {"container": "mkv"},
    "image_format": {"image_format": "png"},
    "quality": {"quality": 5},
    "compare": {"compare": True},
    "gallery": {"gallery": True},
}


# Options whose name on the command line is another.
NAMES = {"format": "image_format", "pixel-format": "pixel_format"}


def sequence(folder: Path, count: int = 6, suffix: str = ".jpg") -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(picture(number)).save(folder / f"{number + 8:06d}{suffix}")
    return folder


def animation(path: Path, count: int = 6) -> Path:
    shown = [Image.fromarray(picture(number)) for number in range(count)]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=40, loop=0)
    return path


def build(kind: str, folder: Path) -> tuple[Path, Path]:
    """An input of a kind, and an output that has it become what the kind says."""
    what, _, becomes = kind.partition(" to ")
    source = {
        Kind.PICTURE: lambda: Path(sequence(folder / "one", 1) / "000008.jpg"),
        Kind.ANIMATION: lambda: animation(folder / "a.webp"),
        Kind.SEQUENCE: lambda: sequence(folder / "seq"),
        Kind.VIDEO: lambda: make_clip(folder / "a.mp4", times=range(6)),
    }[Kind(what)]()
    names = {"video": "out.mp4", "animation": "out.webp", "frames": "out"}
    return source, folder / names.get(becomes, "out")


def made(output: Path) -> dict[str, str]:
    """All files there, by what is in them."""
    files = [output] if output.is_file() else [f for f in output.rglob("*") if f.is_file()]
    return {
        f.relative_to(output.parent).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in files
        if not f.name.startswith(".img2img")
    }


def translated(kind: str, folder: Path, given: dict[str, Any]) -> dict[str, str]:
    folder.mkdir()
    source, output = build(kind, folder)
    if kind == Kind.VIDEO_TO_FRAMES:
        given = {"frames": True, "image_format": "jpg"} | given
    report = translate_folder(flickering(), source, output, **given)
    assert not report.failed
    return made(report.output if report.output.is_file() else output)


def flickering() -> Translator:
    return translator(Flickering())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """What each kind becomes without any option; made once."""
    known: dict[str, dict[str, str]] = {}

    def of(kind: str) -> dict[str, str]:
        if kind not in known:
            known[kind] = translated(kind, tmp_path_factory.mktemp("plain") / "x", {})
        return known[kind]

    return of


def served(option: str) -> list[Kind]:
    """The kinds that an option does something for, but those that it makes of another."""
    makes = {"frames": {Kind.VIDEO_TO_FRAMES}, "container": {Kind.SEQUENCE_TO_VIDEO}}
    there = kinds.FOR_ALL.get(option) or kinds.FOR_SOME[option]
    return [kind for kind in Kind if kind in there and kind not in makes.get(option, ())]


def refused(option: str) -> Kind:
    """One of the kinds that it does nothing for."""
    there = kinds.FOR_ALL.get(option) or kinds.FOR_SOME[option]
    return Kind.PICTURE if Kind.PICTURE not in there else Kind.VIDEO


@pytest.mark.parametrize(
    ("option", "kind"), [(option, kind) for option in OPTIONS for kind in served(option)]
)
def test_an_option_does_something(
    tmp_path: Path, plain: Callable[[str], dict[str, str]], option: str, kind: Kind
) -> None:
    assert translated(kind, tmp_path / "x", OPTIONS[option]) != plain(kind)


@pytest.mark.parametrize("option", OPTIONS)
def test_or_is_refused_before_work_begins(tmp_path: Path, option: str) -> None:
    with pytest.raises(DataError, match=f"`{option}`"):
        translated(refused(option), tmp_path / "x", OPTIONS[option])
    assert not [*(tmp_path / "x").glob("out*")]


def test_the_table_in_the_docs() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    begin = next(n for n, line in enumerate(lines) if line.startswith("| option | picture"))
    columns = [cell.strip() for cell in lines[begin].strip("|").split("|")][1:]
    assert columns == [*Kind]
    rows = {}
    for line in lines[begin + 2 :]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if not name.startswith("`--"):
            break
        for option in re.findall(r"`--([a-z-]+)`", name):
            rows[NAMES.get(option, option)] = {
                kind for kind, cell in zip(columns, cells, strict=True) if cell
            }
    table = {**kinds.FOR_ALL, **kinds.FOR_SOME}
    assert rows == {name: {*served} for name, served in table.items()}


def test_one_video_of_a_sequence(tmp_path: Path) -> None:
    source = sequence(tmp_path / "seq", 7, ".png")
    target = tmp_path / "x.mp4"
    video = FolderOptions(fps=Fraction(10), stabilize="light")
    report = translate_folder(flickering(), source, target, video)
    assert report.output == target
    assert frame_times(target) == pytest.approx([n / 10 for n in range(7)])
    assert probe(target).rate == 10
    assert {path.name for path in tmp_path.iterdir()} == {"seq", "x.mp4", ".img2img.jsonl"}
    again = translate_folder(flickering(), source, target, video, skip_existing=True)
    assert again.skipped == [source]
    Image.fromarray(picture(9)).save(source / "000009.png")
    again = translate_folder(flickering(), source, target, video, skip_existing=True)
    assert again.written == [target]


def test_a_sequence_that_stays_pictures(tmp_path: Path) -> None:
    """Its frames are stabilised in their order, keep their names, and have a gallery."""
    source = sequence(tmp_path / "seq", 12, ".png")
    out = tmp_path / "out"
    steady = FolderOptions(stabilize="strong", every=3)
    report = translate_folder(flickering(), source, out, steady, compare=True, gallery=True)
    names = [f"{number:06d}.png" for number in (8, 11, 14, 17)]
    assert [path.name for path in report.written] == names
    assert len(list((out / "compare").glob("*.png"))) == 4
    shown = [np.asarray(Image.open(out / name)).astype(float) for name in names]
    before = [picture(number).astype(float) for number in (0, 3, 6, 9)]
    # By turns darker and brighter, it is less so than frame by frame.
    steps = [(s - b).mean() for s, b in zip(shown, before, strict=True)]
    assert np.abs(np.diff(steps)).max() < 20
    assert translate_folder(
        flickering(), source, out, steady, skip_existing=True, compare=True, gallery=True
    ).skipped
    (out / names[2]).unlink()
    again = translate_folder(flickering(), source, out, steady, skip_existing=True)
    assert len(again.written) == 4  # as each depends on those before


def test_pictures_are_pictures_where_nothing_asks_for_a_sequence(tmp_path: Path) -> None:
    source = sequence(tmp_path / "seq", 4)
    (source / "000010.jpg").unlink()
    report = translate_folder(flickering(), source, tmp_path / "out")
    assert len(report.written) == 3


def spoiled(folder: Path, how: str) -> None:
    if how == "gap":
        (folder / "000010.jpg").unlink()
    elif how == "name":
        Image.fromarray(picture(1)).save(folder / "cover.jpg")
    elif how == "size":
        Image.fromarray(picture(1, (30, 40))).save(folder / "000011.jpg")
    elif how == "folder":
        sequence(folder / "deeper", 2)
    elif how == "twice":
        Image.fromarray(picture(1)).save(folder / "00010.jpg")
    elif how == "one":
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("gap", "number 10 is missing"),
        ("name", r"cover\.jpg is not named like"),
        ("size", r"000011\.jpg is 40 x 30"),
        ("folder", "another folder"),
        ("twice", "the same number"),
        ("one", r"000008\.jpg is the only picture"),
    ],
)
def test_what_is_no_sequence(tmp_path: Path, how: str, word: str) -> None:
    source = sequence(tmp_path / "seq")
    spoiled(source, how)
    with pytest.raises(DataError, match=word):
        translate_folder(flickering(), source, tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()


def test_folders_of_sequences(tmp_path: Path) -> None:
    """Each folder is a sequence by itself, and with a container becomes a video by itself."""
    shots = tmp_path / "shots"
    shots.mkdir()
    for name, count in (("a", 3), ("b", 5)):
        sequence(shots / name, count)
    out = tmp_path / "out"
    translate_folder(flickering(), shots, out, container="mkv")
    assert [len(frame_times(out / f"{name}.mkv")) for name in "ab"] == [3, 5]
    report = translate_folder(flickering(), shots, tmp_path / "img", every=2)
    assert len(report.written) == 5


def test_animations_of_one_name_become_videos_of_their_own(tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    sequence(shots / "a", 3)
    for number, name in enumerate(("a.gif", "a.webp"), 4):
        animation(shots / name, number)
    report = translate_folder(flickering(), shots, tmp_path / "out", container="mkv")
    assert [(path.name, len(frame_times(path))) for path in report.written] == [
        ("a.mkv", 3),
        ("a.gif.mkv", 4),
        ("a.webp.mkv", 5),
    ]


def test_stabilize_with_pictures_among_videos(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "mixed", 1)
    make_clip(folder / "a.mp4", times=range(3))
    with pytest.raises(DataError, match=r"000008\.jpg is the only picture"):
        translate_folder(flickering(), folder, tmp_path / "out", stabilize="light")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_animations_and_videos_there_and_back(tmp_path: Path, suffix: str) -> None:
    source = animation(tmp_path / "a.gif", 5)
    video = tmp_path / f"b{suffix}"
    translate_folder(flickering(), source, video)
    assert frame_times(video) == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=0.001)
    back = tmp_path / "c.gif"
    translate_folder(flickering(), video, back)
    with Image.open(back) as image:
        assert (image.n_frames, image.size) == (5, (64, 48))  # type: ignore[attr-defined]
        lasting = []
        for number in range(5):
            image.seek(number)
            lasting.append(image.info["duration"])
    assert lasting == [40] * 5


def test_no_file_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", times=range(3))
    still = sequence(tmp_path / "s", 1) / "000008.jpg"
    for source, name in ((clip, "mine.mp4"), (still, "mine.png")):
        own = tmp_path / name
        own.write_bytes(b"mine")
        with pytest.raises(DataError, match=r"exists.*`overwrite`"):
            translate_folder(flickering(), source, own)
        assert own.read_bytes() == b"mine"
        translate_folder(flickering(), source, own, overwrite=True)
        assert own.stat().st_size > 100
        translate_folder(flickering(), source, own)  # it is ours
        own.write_bytes(own.read_bytes() + b"edited")
        with pytest.raises(DataError, match="exists"):
            translate_folder(flickering(), source, own)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "000008.jpg").write_bytes(b"mine")
    with pytest.raises(Img2ImgError, match="exists"):
        translate_folder(flickering(), still, folder)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"codec": "banana"}, "'banana' is not one of"),
        ({"crf": 99}, "between 0 and 51"),
        ({"preset": "banana"}, "no preset 'banana'"),
        ({"pixel_format": "banana"}, "no pixel format 'banana'"),
        ({"codec": "prores", "crf": 3}, "cannot be used with prores"),
        ({"codec": "prores"}, "cannot hold prores"),
    ],
)
def test_what_no_video_could_become_is_an_error_before_work(
    tmp_path: Path, given: dict[str, Any], word: str
) -> None:
    """And not of each video by itself. What one of them lacks is."""
    source = make_clip(tmp_path / "a.mp4", times=range(6))
    options = FolderOptions(**given, container="mov" if "crf" in given and len(given) > 1 else None)
    with pytest.raises(ConfigError, match=word):
        translate_folder(flickering(), source, tmp_path / "out.mp4", options)
    assert {*tmp_path.iterdir()} == {source}


def test_names_that_mean_another_kind(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", times=range(6))
    still = sequence(tmp_path / "one", 1) / "000008.jpg"
    for name in ("out.mp4", "out.gif", "out.png"):
        with pytest.raises(DataError, match="`frames` writes folders"):
            translate_folder(flickering(), clip, tmp_path / name, frames=True)
    with pytest.raises(DataError, match="is a single picture"):
        translate_folder(flickering(), still, tmp_path / "out.mp4")
    with pytest.raises(ConfigError, match="`end` 1 is not after `start` 2"):
        FolderOptions(start=2, end=1)
    moving = animation(tmp_path / "a.webp")
    with pytest.raises(DataError, match=r"a\.webp is an animation; it applies to files that"):
        translate_folder(flickering(), moving, tmp_path / "out", codec="hevc")
    assert not [*tmp_path.glob("out*")]


def test_what_images_of_a_video_lose_is_said(tmp_path: Path) -> None:
    told: list[str] = []
    deep = make_clip(tmp_path / "a.mkv", times=range(4), codec="ffv1", form="yuv420p10le")
    loud = make_clip(tmp_path / "b.mp4", times=range(4), sounds=[Sound()])
    frames = FolderOptions(frames=True, image_format="jpg")
    translate_folder(flickering(), deep, tmp_path / "frames", frames, say=told.append)
    assert any(line.endswith("10 bits per channel become 8") for line in told)
    told.clear()
    translate_folder(flickering(), deep, tmp_path / "deep", frames=True, say=told.append)
    assert [line for line in told if "scale" not in line] == []
    told.clear()
    for clip in (deep, loud):
        translate_folder(flickering(), clip, tmp_path / f"{clip.stem}.gif", say=told.append)
    losses = [line.split(": ", 1)[1] for line in told if "scale" not in line]
    assert losses == [
        "10 bits per channel become 8; colours are reduced to 256 per frame",
        "colours are reduced to 256 per frame; .gif cannot hold sound",
    ]


@pytest.mark.parametrize(
    ("codec", "suffix", "form"),
    [("h264", "mp4", "yuv420p"), ("ffv1", "mkv", "yuv444p"), ("prores", "mov", "yuv444p12le")],
)
def test_codecs_for_editing_keep_the_colours_of_pictures(
    tmp_path: Path, codec: str, suffix: str, form: str
) -> None:
    source, target = sequence(tmp_path / "seq"), tmp_path / f"out.{suffix}"
    translate_folder(flickering(), source, target, codec=codec)
    assert probe(target).pixel_format == form
