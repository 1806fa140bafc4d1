"""Folders through the chain: what becomes of files good and bad, and what a second call does."""

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img import Picture, Translator, translate_folder
from img2img.engine import memory
from img2img.errors import (
    DataError,
    ImageError,
    StorageError,
    TranslationInterrupted,
    TranslationStopped,
)
from img2img.images import Animation, Frames, read_image, read_picture, write_image
from img2img.models.checkpoint import load_model
from img2img.translate import tasks
from img2img.translate import work as module
from img2img.translate.manifest import Entry, Manifest
from img2img.translate.report import Report
from tests.training.test_processes import torchrun

MakeImage = Callable[..., Path]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, device="cpu")


@pytest.fixture
def run(translator: Translator) -> Callable[..., Report]:
    """From `in` to `out`."""

    def call(source: str = "in", output: str = "out", **options: Any) -> Report:
        return translate_folder(translator, source, output, **options)

    return call


def files(folder: str) -> set[str]:
    """All but hidden files."""
    found = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}
    return {n for n in found if (Path(folder) / n).is_file() and not Path(n).name.startswith(".")}


def leftovers(folder: str) -> list[Path]:
    return [*Path(folder).rglob(".img2img-part-*")]


def good(folder: Path, count: int) -> set[str]:
    """Pictures of many kinds and names."""
    suffixes = ["png", "jpg", "webp", "tif", "bmp"]
    names = set()
    for number in range(count):
        name = f"{'sub/' * (number % 3)}good ü {number:02}.{suffixes[number % 5]}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        names.add(name)
    return names


def hostile(folder: Path) -> set[str]:
    """Sixty things with the name of an image that hold none."""
    random = np.random.default_rng(0)
    whole = {}
    for suffix in ("png", "jpg", "webp", "tif", "bmp", "gif"):
        path = folder / f"whole.{suffix}"
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
        whole[suffix] = path.read_bytes()
        path.unlink()
    contents: dict[str, bytes] = {}
    for number, share in enumerate(random.uniform(0.02, 0.9, 24)):
        suffix = [*whole][number % 6]
        contents[f"cut {number}.{suffix}"] = whole[suffix][: int(share * len(whole[suffix]))]
    contents |= {f"zero {number}.png": b"" for number in range(6)}
    for number in range(6):
        contents[f"wrong {number}.jpg"] = [b"hello", b"%PDF-1.7\n", b"PK\3\4", b"\0" * 99][
            number % 4
        ]
    # What a header promises: 100000 x 100000.
    huge = bytearray(whole["png"])
    huge[16:24] = (100_000).to_bytes(4, "big") * 2
    contents |= {f"bomb {number}.png": bytes(huge) for number in range(4)}
    contents["日本 ünï.png"] = b"no"
    contents["new\nline \x1b[31m<b>&.png"] = b"no"
    contents[f"{'é' * 125}.png"] = b"no"
    contents[f"{'a' * 251}.jpg"] = b"no"
    contents["[markup].png"] = b"no"
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    names = {*contents}
    for number in range(3):
        Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(folder / f"float {number}.tif")
        (folder / f"gone {number}.png").symlink_to("nowhere.png")
        (folder / f"self {number}.png").symlink_to(f"self {number}.png")
        names |= {f"float {number}.tif", f"gone {number}.png", f"self {number}.png"}
    for number in range(4):
        os.mkfifo(folder / f"pipe {number}.png")
        names.add(f"pipe {number}.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # the address of a socket must be short
        server.bind("socket.png")
        os.chdir(here)
    (folder / "socket.png.bmp").write_bytes(b"BM")
    # Links to what they lie in: no file of theirs is met twice.
    (folder / "loop").symlink_to(".")
    return names | {"socket.png", "socket.png.bmp"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and links")
def test_hostile_files_among_good_ones(
    img2img: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    kept, bad = good(folder, 20), hostile(folder)
    if os.geteuid():  # root may read everything
        (folder / "locked.png").write_bytes((folder / "good ü 00.png").read_bytes())
        (folder / "locked.png").chmod(0)
        (folder / "closed").mkdir(mode=0)
        bad |= {"locked.png", "closed"}
    assert len(kept) == 20
    assert len(bad) >= 60
    given = ["translate", "--model", tiny_run, "--input", "in", "--output", "out"]
    given += ["--device", "cpu", "--gallery", "--compare"]
    outcome = img2img(*given, "--json")
    assert outcome.status == 1
    report = json.loads(outcome.out)
    assert {Path(path).relative_to("in").as_posix() for path in report["failed"]} == bad
    assert all(report["failed"].values())
    assert len(report["written"]) == 20
    found = {n for n in files("out") if not n.startswith("gallery/")}
    assert found == kept | {f"compare/{name}" for name in kept}
    for name in kept:
        assert read_picture(f"out/{name}").size == read_picture(f"in/{name}").size
    # Each line is a line, whatever the names hold; and so it is on the page.
    assert len(outcome.err.splitlines()) == 21
    assert "\x1b" not in outcome.err
    assert outcome.err.splitlines()[-1] == f"... and {len(bad) - 20} more; --json lists them all"
    page = Path("out/gallery/index.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 20
    assert "&lt;b&gt;&amp;.png" in page
    assert leftovers("out") == []

    again = json.loads(img2img(*given, "--json", "--skip-existing").out)
    assert (len(again["written"]), len(again["skipped"]), len(again["failed"])) == (0, 20, len(bad))
    assert Path("out/gallery/index.html").read_text(encoding="utf-8").count("<figure>") == 20


def test_results_are_those_of_single_pictures(
    run: Callable[..., Report], translator: Translator, tmp_path: Path
) -> None:
    """In order, each under its own name, however many are under way."""
    names = good(tmp_path / "in", 20)
    seen: list[tuple[int, int]] = []
    report = run(image_format="png", progress=lambda done, total: seen.append((done, total)))
    assert len(report.written) == 20
    for name in names:
        wanted = translator.translate(read_picture(f"in/{name}"))
        got = read_picture(Path(f"out/{name}").with_suffix(".png"))
        assert np.array_equal(got.pixels, wanted.pixels)
    assert (seen[0], seen[-1]) == ((0, 20), (20, 20))
    assert seen == sorted(seen)
    assert report.images_per_second == pytest.approx(20 / report.seconds)
    json.dumps(report.to_json())


def test_animations_and_pages_frame_by_frame(
    run: Callable[..., Report], translator: Translator, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 12, 17, 3), dtype=np.uint8)
    frames = tuple(Picture(pixels) for pixels in noise)
    (tmp_path / "in").mkdir()
    write_image("in/a.png", Animation(frames, (40, 80, 120), loop=2), quality=100)
    write_image("in/b.tif", Frames((*frames[:2], Picture(noise[2, :5].astype(np.uint16) * 257))))
    write_image("in/c.gif", Animation(frames, (40, 80, 120)))
    Image.fromarray(noise[0]).save("in/d.png")
    report = run(compare=True, gallery=True)
    assert (len(report.written), report.failed) == (4, {})
    moving, pages, gif = (read_image(f"out/{name}") for name in ("a.png", "b.tif", "c.gif"))
    assert isinstance(moving, Animation)
    assert (moving.durations, moving.loop) == ((40, 80, 120), 2)
    wanted = translator.translate_batch(frames)
    for got, frame in zip(moving.frames, wanted, strict=True):
        assert np.array_equal(got.pixels, frame.pixels)
    assert isinstance(pages, Frames)
    assert [page.size for page in pages.frames] == [(12, 17), (12, 17), (5, 17)]
    assert [page.pixels.dtype for page in pages.frames] == [np.uint8, np.uint8, np.uint16]
    assert isinstance(gif, Animation)
    assert gif.durations == (40, 80, 120)
    compared = read_image("out/compare/a.png")
    assert isinstance(compared, Animation)
    assert compared.frames[0].size == (12, 34)
    # What holds one picture holds no animation.
    failed = run(output="still", image_format="jpg").failed
    assert {path.name for path in failed} == {"a.png", "b.tif", "c.gif"}


def test_few_pictures_are_in_memory_at_once(
    run: Callable[..., Report], make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are; and large ones come alone."""
    for number in range(40):
        make_image(f"in/{number}.png", (8, 8), seed=number)
    inside: list[int] = []
    read, write = vars(module)["read_native"], vars(module)["write_image"]

    def reading(path: Path, **options: Any) -> Any:
        inside.append(1)
        most.append(sum(inside))
        return read(path, **options)

    def writing(*arguments: Any) -> None:
        write(*arguments)
        inside.append(-1)

    monkeypatch.setattr(module, "read_native", reading)
    monkeypatch.setattr(module, "write_image", writing)
    monkeypatch.setattr(module, "THREADS", 2)
    # A batch of eight and what waits for the next; four being read, and four being written.
    for ahead, bound in ((2**26, 26), (3 * 64, 20)):
        inside.clear()
        most: list[int] = []
        monkeypatch.setattr(memory, "_AHEAD", ahead)
        assert len(run().written) == 40
        assert max(most) <= bound


def test_what_changed_is_made_again(run: Callable[..., Report], make_image: MakeImage) -> None:
    for name in "abcd":
        make_image(f"in/{name}.png")
    run()
    make_image("in/a.png", seed=1)
    os.utime("in/b.png", ns=(1, 1))
    Path("out/c.png").write_bytes(b"damaged")
    report = run(skip_existing=True)
    assert report.written == [Path(f"out/{name}.png") for name in "abc"]
    assert report.skipped == [Path("in/d.png")]
    assert run(skip_existing=True).written == []
    assert len(run(skip_existing=True, quality=50).written) == 4
    # Comparisons that are not there yet are missing results; then they are there.
    assert len(run(skip_existing=True, quality=50, compare=True).written) == 4
    assert len(run(skip_existing=True, quality=50, compare=True).skipped) == 4
    # Another result by the same name is not ours to keep, whoever made it last.
    assert len(run(skip_existing=True).written) == 4


def test_another_model_or_scale_is_another_result(
    run: Callable[..., Report], make_image: MakeImage, tiny_run: Path, translator: Translator
) -> None:
    make_image("in/a.png")
    run()
    other = translator.spec.model_copy(update={"steps": 99})
    changed = Translator(load_model(tiny_run).generator("G"), other)
    assert translate_folder(changed, "in", "out", skip_existing=True).written
    same = Translator.load(tiny_run / "model.safetensors", device="cpu")
    assert translate_folder(same, "in", "out", skip_existing=True).written
    assert translate_folder(same, "in", "out", skip_existing=True).skipped


def test_a_named_result_has_a_manifest(run: Callable[..., Report], make_image: MakeImage) -> None:
    make_image("a.png")
    run("a.png", "new/b.png")
    assert {path.name for path in Path("new").iterdir()} == {".img2img.jsonl", "b.png"}
    report = run("a.png", "new/b.png", skip_existing=True)
    assert report.skipped == [Path("a.png")]
    assert report.output == Path("new/b.png")


def test_in_place(run: Callable[..., Report], make_image: MakeImage) -> None:
    """Each input is replaced by its result, once."""
    for name in ("a.png", "sub/b.jpg", "c.gif"):
        make_image(f"in/{name}")
    before = read_picture("in/a.png").pixels
    with pytest.raises(DataError, match=r"`overwrite`"):
        run("in", "in")
    options = {"overwrite": True, "compare": True, "gallery": True}
    assert len(run("in", "in", **options).written) == 3
    after = Path("in/a.png").read_bytes()
    assert not np.array_equal(read_picture("in/a.png").pixels, before)
    compared = read_picture("in/compare/a.png").pixels
    assert np.array_equal(compared[:, :8], before)
    # Neither the results of the first call nor its page and comparisons are input.
    report = run("in", "in", skip_existing=True, **options)
    assert len(report.skipped) == 3
    assert report.written == []
    assert Path("in/a.png").read_bytes() == after
    assert Path("in/gallery/index.html").read_text().count("<figure>") == 3
    # And they are not translated again: not by a second call, nor with other settings.
    with pytest.raises(DataError, match=r"already replaced.*`skip_existing`"):
        run("in", "in", **options)
    failed = run("in", "in", skip_existing=True, quality=50, **options).failed
    assert {*failed} == {Path("in/a.png"), Path("in/sub/b.jpg"), Path("in/c.gif")}
    assert Path("in/a.png").read_bytes() == after


def test_in_place_nothing_is_translated_twice_whenever_it_ends(
    run: Callable[..., Report], make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before a result replaces its input, or after that but before it is noted."""
    for name in "ab":
        make_image(f"in/{name}.png")
    before = {name: Path(f"in/{name}.png").read_bytes() for name in "ab"}
    write, add = vars(module)["write_image"], Manifest.add

    def killed_before(path: Path, *arguments: Any) -> None:
        if path.name == "a.png":
            raise KeyboardInterrupt
        write(path, *arguments)

    def killed_after(manifest: Manifest, entry: Entry) -> None:
        if entry.source == "b.png" and entry.made:
            raise KeyboardInterrupt
        add(manifest, entry)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_image", killed_before)
        patch.setattr(Manifest, "add", killed_after)
        with pytest.raises(TranslationInterrupted):
            run("in", "in", overwrite=True)
    after = Path("in/b.png").read_bytes()
    assert Path("in/a.png").read_bytes() == before["a"]
    report = run("in", "in", overwrite=True, skip_existing=True)
    assert report.failed == {}
    if after != before["b"]:  # it may not have come so far
        assert Path("in/b.png").read_bytes() == after
    assert Path("in/a.png").read_bytes() != before["a"]
    assert run("in", "in", overwrite=True, skip_existing=True).written == []


def test_in_place_of_another_format(run: Callable[..., Report], make_image: MakeImage) -> None:
    make_image("in/a.png")
    kept = make_image("in/b.webp")
    before = kept.read_bytes()
    report = run("in", "in", overwrite=True, image_format="jpg")
    assert len(report.written) == 2
    assert kept.read_bytes() == before
    assert files("in") == {"a.png", "b.webp", "a.jpg", "b.jpg"}
    assert run("in", "in", overwrite=True, image_format="jpg").written == report.written


def test_compare(run: Callable[..., Report], translator: Translator, tmp_path: Path) -> None:
    """Beside the results, and apart from a folder of the input that has the same name."""
    Path("in/compare").mkdir(parents=True)
    rgba = np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)
    Image.fromarray(rgba).save("in/a.png")
    Image.fromarray(rgba[..., :3]).save("in/compare/a.png")
    run(compare=True)
    assert files("out") == {"a.png", "compare/a.png", "compare-2/a.png", "compare-2/compare/a.png"}
    both, given, result = (
        read_picture(path) for path in ("out/compare-2/a.png", "in/a.png", "out/a.png")
    )
    assert np.array_equal(both.pixels, np.hstack([given.pixels, result.pixels]))
    assert both.alpha is not None
    assert np.array_equal(both.alpha, np.hstack([rgba[..., 3], rgba[..., 3]]))


def test_a_persons_own_folders_and_files_stay(
    run: Callable[..., Report], make_image: MakeImage
) -> None:
    make_image("in/a.png")
    own = [make_image(f"out/{name}/a.png", seed=9) for name in ("compare", "gallery")]
    before = [path.read_bytes() for path in own]
    for _ in range(2):
        run(compare=True, gallery=True)
        run("in/a.png", "out/named.png", compare=True)
    assert [path.read_bytes() for path in own] == before
    assert len([*Path("out/gallery").iterdir()]) == 1
    assert {path.name for path in Path("out").iterdir() if path.is_dir()} == {
        "compare",
        "compare-2",
        "gallery",
        "gallery-2",
    }


def test_a_comparison_too_wide_for_the_format(
    run: Callable[..., Report], make_image: MakeImage
) -> None:
    make_image("in/a.webp", (2, 9000))
    for skipped in (0, 1):
        report = run(compare=True, skip_existing=True)
        assert (report.failed, len(report.skipped)) == ({}, skipped)
    assert files("out") == {"a.webp", "compare/a.webp.png"}
    assert read_picture("out/compare/a.webp.png").size == (2, 18000)


def test_of_what_failed_nothing_stays(run: Callable[..., Report], make_image: MakeImage) -> None:
    make_image("in/a.png", (2, 17000))
    assert len(run(compare=True, gallery=True, image_format="webp").failed) == 1
    assert files("out") == {"gallery/index.html"}


def test_what_a_killed_command_left_is_removed(
    run: Callable[..., Report], make_image: MakeImage
) -> None:
    """Once it is old: another command may be writing there."""
    make_image("in/sub/a.png")
    for name in ("old", "new"):
        Path(f"out/sub/.img2img-part-{name}").mkdir(parents=True)
    os.utime("out/sub/.img2img-part-old", (1, 1))
    run()
    assert [path.name for path in leftovers("out")] == [".img2img-part-new"]


def test_what_the_format_cannot_hold_is_not_translated(
    run: Callable[..., Report], translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in").mkdir()
    frames = (Picture(np.zeros((4, 4, 3), np.uint8)), Picture(np.ones((4, 4, 3), np.uint8)))
    write_image("in/a.png", Animation(frames, (10, 10)))
    taken: list[Any] = []

    def each(items: Iterable[Any]) -> Iterator[Any]:
        taken.extend(items)
        yield from ()

    monkeypatch.setattr(translator, "translate_each", each)
    assert "cannot write an animation" in run(image_format="jpg").failed[Path("in/a.png")]
    assert taken == []


def full_disk(path: Path, *_: object) -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def test_a_full_disk_stops_and_says_how_to_go_on(
    run: Callable[..., Report], make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        make_image(f"in/{number}.png", seed=number)
    write = vars(module)["write_image"]
    tried: list[Path] = []

    def writing(path: Path, *arguments: Any) -> None:
        tried.append(path)
        if len(tried) > 5:
            full_disk(path)
        write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_image", writing)
        with pytest.raises(
            TranslationStopped, match=r"No space left.* of 30 .*`skip_existing`"
        ) as stopped:
            run()
    assert {path.name for path in stopped.value.report.written} == files("out")
    assert len(tried) < 25
    assert len(files("out")) == 5
    report = run(skip_existing=True)
    assert (len(report.written), len(report.skipped)) == (25, 5)


def test_ctrl_c(
    run: Callable[..., Report],
    make_image: MakeImage,
    translator: Translator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(20):
        make_image(f"in/{number}.png", seed=number)

    def interrupted(items: Iterable[tuple[Any, Picture]]) -> Iterator[tuple[Any, Any]]:
        for number, (key, picture) in enumerate(items):
            if number == 12:
                raise KeyboardInterrupt
            yield key, picture

    with monkeypatch.context() as patch:
        patch.setattr(translator, "translate_each", interrupted)
        with pytest.raises(TranslationInterrupted, match="of 20 files") as stopped:
            run()
    assert stopped.value.resumable
    assert {path.name for path in stopped.value.report.written} == files("out")
    assert leftovers("out") == []
    for name in files("out"):
        read_picture(f"out/{name}")
    report = run(skip_existing=True)
    assert len(report.written) + len(report.skipped) == 20
    assert len(report.skipped) == len(files("out")) - len(report.written) > 0


def test_what_cannot_be_translated_or_written_is_named(
    run: Callable[..., Report],
    make_image: MakeImage,
    translator: Translator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.png", "b.png", "c/d.png", "e.png"):
        make_image(f"in/{name}", (6, 6) if name == "b.png" else (8, 8))
    Path("out/e.png").mkdir(parents=True)  # a folder where a result should be
    Path("out/c").write_text("a file where a folder should be")
    translate = translator.translate_each

    def each(items: Iterable[tuple[Any, Picture]]) -> Iterator[tuple[Any, Any]]:
        for key, result in translate(items):
            assert isinstance(result, Picture)
            small = result.size == (6, 6)
            yield key, ImageError("not enough memory") if small else result

    monkeypatch.setattr(translator, "translate_each", each)
    report = run()
    assert report.written == [Path("out/a.png")]
    assert [*report.failed] == [Path(f"in/{name}") for name in ("b.png", "c/d.png", "e.png")]
    assert report.failed[Path("in/b.png")] == "not enough memory"
    assert "out/c" in report.failed[Path("in/c/d.png")]


def test_a_file_that_vanishes(
    run: Callable[..., Report], make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("in/a.png")
    make_image("in/b.png")
    look = vars(tasks)["plan"]

    def and_remove(*arguments: Any, **options: Any) -> Any:
        found = look(*arguments, **options)
        Path("in/b.png").unlink()
        return found

    monkeypatch.setattr(tasks, "plan", and_remove)
    assert run().failed == {Path("in/b.png"): "No such file or directory"}


def test_a_link_that_leads_out_of_the_folder_is_not_written_through(
    run: Callable[..., Report], make_image: MakeImage
) -> None:
    elsewhere = make_image("elsewhere/x.png")
    inside = make_image("in/a.png")
    Path("in/link").symlink_to(Path("elsewhere").resolve())
    Path("in/b.png").symlink_to(elsewhere.resolve())
    before, first = elsewhere.read_bytes(), inside.read_bytes()
    report = run("in", "in", overwrite=True)
    assert [*report.failed] == [Path("in/link/x.png")]
    assert elsewhere.read_bytes() == before
    assert inside.read_bytes() != first
    assert not Path("in/b.png").is_symlink()  # replaced; what it led to is as it was
    # Read from there, and written where the results belong, they do no harm.
    assert len(run("in", "out").written) == 3


def test_two_processes_share_a_folder(tiny_run: Path, tmp_path: Path) -> None:
    good(tmp_path / "in", 9)
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    given = ["translate", "--model", str(tiny_run), "--input", "in", "--output", "out"]
    given += ["--device", "cpu", "--format", "png", "--gallery", "--json"]
    ended = torchrun(2, given)
    assert ended.status != 0
    report = json.loads(ended.out)  # one speaks
    assert (len(report["written"]), [*report["failed"]]) == (9, ["in/bad.png"])
    noted = [
        [json.loads(line)["source"] for line in path.read_text().splitlines()]
        for path in sorted(Path("out").glob(".img2img*.jsonl"))
    ]
    assert sorted(map(len, noted)) == [4, 5]  # nothing twice
    assert len({*noted[0], *noted[1]}) == 9
    assert Path("out/gallery/index.html").read_text().count("<figure>") == 9

    Path("in/bad.png").unlink()
    line = [sys.executable, "-m", "img2img", *given, "--skip-existing"]
    alone = subprocess.run(line, capture_output=True, text=True, check=True)
    assert len(json.loads(alone.stdout)["skipped"]) == 9
