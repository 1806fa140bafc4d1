"""Which files are translated, and what the results are called."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from img2img.errors import DataError
from img2img.translate import naming
from img2img.translate.manifest import Entry, Manifest, file_state
from img2img.translate.options import FolderOptions
from img2img.translate.plan import plan

MakeImage = Callable[..., Path]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(source: str, output: str, image_format: str | None = None) -> dict[str, str]:
    jobs = plan(source, Path(output), FolderOptions(image_format=image_format)).jobs
    return {job.source.as_posix(): job.target.as_posix() for job in jobs}


def make(make_image: MakeImage, *names: str) -> None:
    for name in names:
        make_image(name)


def test_tree_and_names_are_kept(make_image: MakeImage) -> None:
    make(make_image, "in/b.png", "in/deep/er/a b.jpg", "in/ü[1].webp")
    assert planned("in", "out") == {
        "in/b.png": "out/b.png",
        "in/deep/er/a b.jpg": "out/deep/er/a b.jpg",
        "in/ü[1].webp": "out/ü[1].webp",
    }


def test_a_file_goes_to_a_folder_or_to_a_name(make_image: MakeImage) -> None:
    make(make_image, "in/a.png", "there.png/x.png")
    assert planned("in/a.png", "out") == {"in/a.png": "out/a.png"}
    assert planned("in/a.png", "out/b.jpg") == {"in/a.png": "out/b.jpg"}
    assert planned("in/a.png", "there.png") == {"in/a.png": "there.png/a.png"}


def test_brackets_are_a_name_where_there_is_such_a_file(make_image: MakeImage) -> None:
    make(make_image, "in/a[1].png", "in/a1.png", "d[2]/x.png")
    assert planned("in/a[1].png", "out") == {"in/a[1].png": "out/a[1].png"}
    assert planned("d[2]", "out") == {"d[2]/x.png": "out/x.png"}
    Path("in/a[1].png").unlink()
    assert planned("in/a[1].png", "out") == {"in/a1.png": "out/a1.png"}


def test_globs(make_image: MakeImage) -> None:
    make(make_image, "in/a.png", "in/b.jpg", "in/deep/c.png", "in/deep/d.png")
    Path("in/notes.txt").write_text("no image")
    assert planned("in/*", "out") == {"in/a.png": "out/a.png", "in/b.jpg": "out/b.jpg"}
    assert [*planned("in/**/*.png", "out").values()] == [
        "out/a.png",
        "out/deep/c.png",
        "out/deep/d.png",
    ]
    assert planned("*/deep/c.*", "out") == {"in/deep/c.png": "out/in/deep/c.png"}
    assert planned("./in/[ab].png", "out") == {"in/a.png": "out/a.png"}
    absolute = planned(str(Path("in").resolve() / "*.jpg"), "out")
    assert [*absolute.values()] == ["out/b.jpg"]


def test_what_cannot_be_written_becomes_png(make_image: MakeImage) -> None:
    make(make_image, "in/a.pgm", "in/b.ppm")
    assert [*planned("in", "out").values()] == ["out/a.png", "out/b.png"]


def test_a_renamed_file_makes_way_for_one_that_keeps_its_name(make_image: MakeImage) -> None:
    make(make_image, "in/a.pgm", "in/a.png", "in/a.ppm")
    assert planned("in", "out") == {
        "in/a.pgm": "out/a.pgm.png",
        "in/a.png": "out/a.png",
        "in/a.ppm": "out/a.ppm.png",
    }


@pytest.mark.parametrize("name", ["jpg", ".jpg", "JPG"])
def test_format(make_image: MakeImage, name: str) -> None:
    make(make_image, "in/a.png", "in/b.JPG")
    assert [*planned("in", "out", name).values()] == ["out/a.jpg", "out/b.jpg"]


@pytest.mark.parametrize(
    ("source", "output", "image_format", "message"),
    [
        ("in", "in", None, "overwrite"),
        ("in/a.png", "in/a.png", None, "overwrite"),
        ("in/a.png", "in", None, "overwrite"),
        ("in/*.png", "in", None, "overwrite"),
        ("in", "out/../in", None, "overwrite"),
        ("in", "out", "ppm", "images cannot be written in this format"),
        ("in/a.png", "out.txt", None, "images cannot be written in this format"),
        ("missing", "out", None, "no such file or folder"),
        ("missing*", "out", None, "no images"),
        ("empty", "out", None, "no images"),
        (".", "in", None, "its only images are in the `output`"),
    ],
)
def test_refusals(
    make_image: MakeImage, source: str, output: str, image_format: str | None, message: str
) -> None:
    make_image("in/a.png")
    Path("empty").mkdir()
    with pytest.raises(DataError, match=message):
        plan(source, Path(output), FolderOptions(image_format=image_format))


def test_a_link_to_the_input_is_not_written_to(make_image: MakeImage) -> None:
    make_image("in/a.png")
    Path("link").symlink_to("in")
    with pytest.raises(DataError, match="overwrite"):
        plan("in", Path("link"))


def test_results_of_an_earlier_call_are_no_input(make_image: MakeImage) -> None:
    make(make_image, "in/a.png", "in/out/a.png")
    entry = Entry("a.png", (1, 1), "any", (1, 1), {"a.png": file_state(Path("in/out/a.png"))})
    Manifest(Path("in/out")).add(entry)
    assert planned("in", "in/out") == {"in/a.png": "in/out/a.png"}
    assert planned("in/**/*.png", "in/out") == {"in/a.png": "in/out/a.png"}
    assert planned("in/out", "in/more") == {"in/out/a.png": "in/more/a.png"}


def test_names_that_differ_only_by_case(
    make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Are two where the file system says so, and else both kept under other names."""
    make(make_image, "in/a.png", "in/A.png", "in/sub/é.png", "in/Sub/E\u0301.png")
    if len([*Path("in").iterdir()]) < 4:
        pytest.skip("this file system takes them for one")
    assert {*planned("in", "out").values()} == {
        "out/a.png",
        "out/A.png",
        "out/sub/é.png",
        "out/Sub/E\u0301.png",
    }
    monkeypatch.setattr(naming, "ignores_case", lambda folder: True)
    targets = [*planned("in", "out").values()]
    assert len({unicodedata.normalize("NFC", target.casefold()) for target in targets}) == 4


@pytest.mark.parametrize("letter", ["a", "é", "日"])
def test_no_name_is_too_long(make_image: MakeImage, letter: str) -> None:
    """Not even where it grows: by a longer suffix, or because two have the same name."""
    stem = letter * (250 // len(letter.encode()))
    make(make_image, *(f"in/{stem}{suffix}" for suffix in (".png", ".pgm", ".ppm", ".bmp")))
    for image_format in (None, "webp"):
        targets = [*map(Path, planned("in", "out", image_format).values())]
        assert len({*targets}) == 4
        for target in targets:
            assert len(target.name.encode()) <= 255
            assert target.name.startswith(stem[:70])
            target.parent.mkdir(exist_ok=True)
            target.touch()


def test_pipes_and_links_are_left_for_reading_to_name(make_image: MakeImage) -> None:
    """None is opened, followed for ever, or passed over in silence."""
    make(make_image, "in/a.png", "in/b/c.png")
    Path("in/self.png").symlink_to("self.png")
    Path("in/gone.png").symlink_to("nowhere.png")
    Path("in/self").symlink_to("self")
    Path("in/b/up").symlink_to("..")
    assert {*planned("in", "out")} == {"in/a.png", "in/b/c.png", "in/gone.png", "in/self.png"}
    assert {*planned("in/*.png", "out")} == {"in/a.png", "in/gone.png", "in/self.png"}
    assert {*planned("in/self.png", "out")} == {"in/self.png"}


def test_kinds_that_are_not_read_are_counted(make_image: MakeImage) -> None:
    make(make_image, "in/a.png")
    for name in ("b.jxl", "c.JXL", "d.psd", "e.txt", ".f.psd"):
        Path("in", name).touch()
    assert plan("in", Path("out")).unsupported == {".jxl": 2, ".psd": 1}


def test_globs_through_links_to_folders_above(make_image: MakeImage) -> None:
    """Each file once, and at once: two such links would double the names with each level."""
    make(make_image, "in/a.png", "in/deep/b.png", "in/deep/er/c.jpg")
    for name in ("in/up", "in/too", "in/deep/back"):
        Path(name).symlink_to(Path("in").resolve())
    assert {*planned("in/**/*.png", "out")} == {"in/a.png", "in/deep/b.png"}
    assert {*planned("**/deep/**", "out")} == {"in/deep/b.png", "in/deep/er/c.jpg"}
    assert {*planned("i*/**/er/**/[c].*", "out")} == {"in/deep/er/c.jpg"}


def test_only_what_is_known_is_replaced(make_image: MakeImage) -> None:
    make(make_image, "in/a.png", "in/a.jpg")
    [job] = plan("in/a.png", Path("in"), FolderOptions(image_format="jpg", overwrite=True)).jobs
    assert job.target == Path("in/a.png.jpg")
    made = {"a.jpg": file_state(Path("in/a.jpg"))}
    Manifest(Path("in")).add(Entry("a.png", (1, 2), "model", (8, 8), made))
    [job] = plan("in/a.png", Path("in"), FolderOptions(image_format="jpg", overwrite=True)).jobs
    assert job.target == Path("in/a.jpg")


def test_overwriting_is_only_of_ones_own_input(make_image: MakeImage) -> None:
    make(make_image, "out/in/a.png", "out/in/in/a.png", "one/a.png")
    with pytest.raises(DataError, match="overwrite"):
        plan("out/in", Path("out"), FolderOptions(overwrite=True))
    [job] = plan("one/a.png", Path("one/a.png"), FolderOptions(overwrite=True)).jobs
    assert job.in_place


def test_results_of_other_calls_are_left_out(make_image: MakeImage) -> None:
    make(make_image, "in/a.png", "in/first/a.png", "in/first/b.png", "in/second/a.png")
    for folder in (Path("in/first"), Path("in/second")):
        state = file_state(folder / "a.png")
        Manifest(folder).add(Entry("a.png", state, "settings", (8, 8), {"a.png": state}))
    assert [*planned("in", "out").values()] == ["out/a.png", "out/first/b.png"]
    assert plan("in", Path("out")).left_out == [Path("in/first/a.png"), Path("in/second/a.png")]
    # Its own earlier results are nothing to speak of.
    assert plan("in", Path("in/second")).left_out == [Path("in/first/a.png")]
    assert [*planned("in/first", "out").values()] == ["out/a.png", "out/b.png"]
    assert [*planned("in/*/a.png", "out").values()] == ["out/first/a.png", "out/second/a.png"]
    Path("in/a.png").unlink()
    Path("in/first/b.png").unlink()
    with pytest.raises(DataError, match=r"contains only results of img2img.*: in/first"):
        plan("in", Path("out"))
