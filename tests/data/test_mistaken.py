"""What people give for a folder of pairs by mistake: one line each, and what would be right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from img2img.config import DataConfig
from img2img.data.paired import PairedData
from img2img.data.unpaired import UnpairedData
from img2img.errors import ConfigError, DataError

MakeImage = Callable[..., Path]


BY_SIDE = "`data.layout=side_by_side`"


def found(root: Path, kind: Any = PairedData, **data: object) -> PairedData:
    data_set: PairedData = kind.find(DataConfig.model_validate({"root": root, **data}), 0)
    return data_set


def refused(root: Path, *words: str, kind: Any = PairedData) -> None:
    with pytest.raises(DataError) as caught:
        found(root, kind)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.fixture
def drawings(tmp_path: Path) -> Callable[[str, str], None]:
    """Write ten centred drawings, of which each half mirrors the other."""

    def write(folder: str, name: str) -> None:
        (tmp_path / folder).mkdir(parents=True)
        for number in range(10):
            picture = Image.new("RGB", (64 + 4 * number, 64), "white")
            ImageDraw.Draw(picture).ellipse([16, 12, 48 + 4 * number, 52], outline="black")
            picture.save(tmp_path / folder / name.format(number))

    return write


def test_single_pictures(tmp_path: Path, drawings: Callable[[str, str], None]) -> None:
    drawings("single", "{}.png")
    refused(tmp_path / "single", "10 images look like single", "`data.root_a`", BY_SIDE)
    drawings("split/train", "{}.png")
    refused(tmp_path / "split", "split/train: its 10 images look like single", BY_SIDE)
    assert len(found(tmp_path / "single", layout="side_by_side").train) == 9


def test_folders_of_pictures(tmp_path: Path, drawings: Callable[[str, str], None]) -> None:
    drawings("parent/sketches", "Animal {} sketch.png")
    drawings("parent/finished", "animal_{:03}-final.png")
    refused(tmp_path / "parent", "finished/ and sketches/", "`data.root_a=", "`data.root_b=")
    drawings("parent/new", "new {}.png")
    # Of the three, the two whose names are pairs in the plainest way.
    line = f"`data.root_a={tmp_path}/parent/finished` `data.root_b={tmp_path}/parent/sketches`"
    refused(tmp_path / "parent", "finished/, new/, sketches/ (3)", line, BY_SIDE)
    refused(tmp_path / "parent", "finished/, new/, sketches/ (3)", line, kind=UnpairedData)


def test_folders_within_train(tmp_path: Path, make_image: MakeImage) -> None:
    make_image("train/images/1.png")
    make_image("train/masks/1.png")
    line = f"`data.root_a={tmp_path}/train/images` `data.root_b={tmp_path}/train/masks`"
    refused(tmp_path, "train: contains images/ and masks/", line)


@pytest.mark.parametrize("kind", [PairedData, UnpairedData])
@pytest.mark.parametrize("names", [("trainA", "trainB"), ("A", "B"), ("x/train/A", "x/train/B")])
def test_an_archive_in_a_folder_of_its_own(
    tmp_path: Path, make_image: MakeImage, names: tuple[str, str], kind: type
) -> None:
    for name in names:
        make_image(f"data/mine/{name}/1.png")
    (tmp_path / "data/__MACOSX/mine").mkdir(parents=True)
    deep = "data/mine/x" if names[0].startswith("x/") else "data/mine"
    refused(tmp_path / "data", f"use `data.root={tmp_path}/{deep}`", kind=kind)


def test_what_is_no_folder(tmp_path: Path, make_image: MakeImage) -> None:
    picture = make_image("a.png")
    refused(picture, "a single picture, not a folder; use the folder")
    for name, words in (
        ("pairs.zip", "an archive, not a folder; unpack it"),
        ("pairs.tar.gz", "an archive, not a folder; unpack it"),
        ("clip.mp4", "a video, not a folder; extract its frames first"),
        ("notes.txt", "notes.txt: this is not a folder; the supported layouts are"),
    ):
        (tmp_path / name).touch()
        refused(tmp_path / name, words)
    with pytest.raises(DataError, match=r"pairs\.zip: this is an archive, not a folder"):
        PairedData.find(DataConfig(root_a=tmp_path / "pairs.zip", root_b=tmp_path), 0)


def test_folders_without_images(tmp_path: Path, make_image: MakeImage) -> None:
    for name, words in (
        ("x.zip", "only archives: x.zip; unpack"),
        ("x.MP4", "only videos: x.MP4; extract its frames first"),
        ("x.psd", "in a supported format, only .psd (1)"),
        ("x.txt", "contains no images; the supported layouts are"),
        ("", "contains no images: the folder is empty; the supported layouts are"),
    ):
        folder = tmp_path / f"of {name}"
        folder.mkdir()
        if name:
            (folder / name).touch()
        refused(folder, words)
    for name in ("config.yaml", "metrics.jsonl"):
        make_image("run/samples/1.png").parents[1].joinpath(name).touch()
    refused(tmp_path / "run", "a run folder, not a folder of images to train on")
    (tmp_path / "data").mkdir()
    (tmp_path / "run").rename(tmp_path / "data/run")
    refused(tmp_path / "data", f"contains no images except results of img2img: {tmp_path}/data/run")


def test_one_folder_twice_or_in_the_other(tmp_path: Path, make_image: MakeImage) -> None:
    make_image("a/b/1.png")
    for other, words in (("a", "the same folder"), ("a/b", "one is inside the other")):
        with pytest.raises(DataError, match=words):
            PairedData.find(DataConfig(root_a=tmp_path / "a", root_b=tmp_path / other), 0)


@pytest.mark.parametrize(
    ("train", "held"),
    [
        ("train/{}", "valid/{}"),
        ("Training/{}", "Validation/{}"),
        ("train{}", "valid_{}"),
        ("train_{}", "eval_{}"),
        ("TRAIN-{}", "testing-{}"),
        ("{}/training", "{}/valid"),
    ],
)
def test_splits_by_other_names(
    tmp_path: Path, make_image: MakeImage, train: str, held: str
) -> None:
    for domain in "AB":
        make_image(f"{train.format(domain)}/1.png")
        make_image(f"{held.format(domain)}/2.png")
    data = found(tmp_path)
    assert [pair.A.path.name for pair in data.train] == ["1.png"]
    assert [pair.A.path.name for pair in data.held_out] == ["2.png"]


def test_a_split_by_its_plain_name_comes_first(tmp_path: Path, make_both: MakeImage) -> None:
    for split in ("train", "validation", "val", "eval"):
        make_both(f"{split}/{split}.png")
    assert [pair.A.path.name for pair in found(tmp_path).held_out] == ["val.png"]


def test_what_is_declared_and_not_so(tmp_path: Path, make_image: MakeImage) -> None:
    for domain in "AB":
        make_image(f"{domain}/1.png")
    with pytest.raises(ConfigError, match=r"side_by_side, but .* has A/ \+ B/"):
        found(tmp_path, layout="side_by_side")


def test_pairs_side_by_side_in_several_folders(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(9):
        A = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        folder = tmp_path / f"chapter {number % 3}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.hstack([A, A // 2])).save(folder / f"{number}.png")
    assert len(found(tmp_path).train) == 8
