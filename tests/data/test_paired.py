"""Every layout that people have, and what is wrong with some folders."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2img.config import DataConfig
from img2img.data.check import check_data, check_images
from img2img.data.paired import PairedData
from img2img.data.problems import refusal
from img2img.data.sizes import resolve_sizes
from img2img.errors import ConfigError, DataError, ImageError

MakeImage = Callable[..., Path]


def found(root: Path, seed: int = 0, **data: object) -> PairedData:
    return PairedData.find(DataConfig.model_validate({"root": root, **data}), seed)


LAYOUTS = {
    "train/A + train/B": ("train/A/{}", "train/B/{}", "val/A/{}", "val/B/{}"),
    "lower case": ("train/a/{}", "train/b/{}", "test/a/{}", "test/b/{}"),
    "trainA + trainB": ("trainA/{}", "trainB/{}", "testA/{}", "testB/{}"),
    "A/train + B/train": ("A/train/{}", "B/train/{}", "A/val/{}", "B/val/{}"),
}


class TestLayouts:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_two_folders_a_split(self, tmp_path: Path, make_image: MakeImage, layout: str) -> None:
        train_A, train_B, held_A, held_B = LAYOUTS[layout]
        for name in ("1", "sub/2", "10"):
            make_image(train_A.format(f"{name}.png"))
            make_image(train_B.format(f"{name}.jpg"))  # whatever the suffix
        make_image(held_A.format("7.png"))
        make_image(held_B.format("7.png"))
        data = found(tmp_path)
        assert [pair.A.path.relative_to(tmp_path).as_posix() for pair in data.train] == [
            train_A.format(f"{name}.png") for name in ("1", "10", "sub/2")
        ]
        assert data.train[2].B.path == tmp_path / train_B.format("sub/2.jpg")
        assert [pair.A.path.name for pair in data.held_out] == ["7.png"]
        assert not data.problems
        assert train_A.format("").strip("/") in data.layout
        assert held_B.format("").strip("/") in data.layout

    def test_one_folder_a_domain(self, pairs_folder: Path) -> None:
        data = found(pairs_folder)
        assert len(data.train) == 5
        assert len(data.held_out) == 1
        assert "A/ + B/" in data.layout

    def test_side_by_side_in_splits(self, tmp_path: Path, make_both: MakeImage) -> None:
        make_both("train/x/1.png", (4, 10))
        make_both("test/2.png", (4, 10))
        data = found(tmp_path)
        A, B = data.train[0].read()
        whole = np.asarray(Image.open(tmp_path / "train/x/1.png"))
        np.testing.assert_array_equal(A.pixels, whole[:, :5])
        np.testing.assert_array_equal(B.pixels, whole[:, 5:])
        np.testing.assert_array_equal(data.train[0].B.read().pixels, whole[:, 5:])
        assert len(data.held_out) == 1
        assert "side-by-side" in data.layout

    def test_side_by_side_in_one_folder(self, tmp_path: Path, make_both: MakeImage) -> None:
        for name in ("1", "x/2", "x/3"):
            make_both(f"{name}.png", (4, 10))
        data = found(tmp_path, holdout="none")
        assert [pair.name for pair in data.train] == ["1.png", "x/2.png", "x/3.png"]

    def test_two_roots(self, tmp_path: Path, make_image: MakeImage) -> None:
        for name in ("1", "2"):
            make_image(f"photos/{name}.png")
            make_image(f"maps/{name}.png")
        data = PairedData.find(DataConfig(root_a=tmp_path / "photos", root_b=tmp_path / "maps"), 0)
        assert len(data.train) + len(data.held_out) == 2

    def test_precedence(self, tmp_path: Path, make_image: MakeImage) -> None:
        patterns = ["{}/train/1.png", "train{}/1.png", "train/{}/1.png"]
        expected = ["A/train/", "trainA/", "train/A/"]
        for pattern, wanted in zip(patterns, expected, strict=True):
            for domain in "AB":
                make_image(pattern.format(domain))
            assert found(tmp_path).layout.startswith(wanted)


class TestBadFolders:
    def test_an_empty_domain(self, tmp_path: Path, make_image: MakeImage) -> None:
        make_image("A/1.png")
        (tmp_path / "B").mkdir()
        with pytest.raises(DataError, match="B: contains no images"):
            found(tmp_path)

    @pytest.mark.parametrize("folder", ["A", "trainB", "train/A"])
    def test_a_lone_domain_is_not_cut_in_half(
        self, tmp_path: Path, make_image: MakeImage, folder: str
    ) -> None:
        make_image(f"{folder}/1.png")
        with pytest.raises(DataError, match="only one of") as error:
            found(tmp_path)
        assert error.value.path == (tmp_path / folder).parent

    @pytest.mark.parametrize("names", [("testA/1", "testB/1"), ("test/1",), ("val/A/1", "val/B/1")])
    def test_nothing_to_train_on(
        self, tmp_path: Path, make_image: MakeImage, names: tuple[str, ...]
    ) -> None:
        for name in names:
            make_image(f"{name}.png")
        with pytest.raises(DataError, match="has val or test, but no train"):
            found(tmp_path)

    def test_empty_train(self, tmp_path: Path, make_image: MakeImage) -> None:
        make_image("val/1.png")
        (tmp_path / "train").mkdir()
        with pytest.raises(DataError, match="train: contains no images"):
            found(tmp_path)

    def test_unmatched_and_ambiguous(self, pairs_folder: Path, make_image: MakeImage) -> None:
        for number in range(12):
            make_image(f"pairs/A/only{number}.png")
        make_image("pairs/B/lonely.png")
        make_image("pairs/B/3.jpg")
        data = found(pairs_folder, holdout="none")
        assert [pair.name for pair in data.train] == [f"A/{n}" for n in (0, 1, 2, 4, 5)]
        kinds = [problem.kind for problem in data.problems]
        assert sorted(kinds) == ["ambiguous"] + ["unmatched"] * 13
        text = str(refusal(data.problems))
        assert "only0.png" in text
        assert "(13)" in text
        assert "only11.png" not in text
        assert "data.skip_bad=true" in text

    def test_unused_splits_may_be_bad(self, tmp_path: Path, make_image: MakeImage) -> None:
        for name in ("train/A/1", "train/B/1", "val/A/2", "val/B/2", "test/A/3", "test/B/4"):
            make_image(f"{name}.png")
        assert not found(tmp_path).problems


class TestHoldOut:
    def test_fraction_is_a_matter_of_seed_and_names(
        self, pairs_folder: Path, make_image: MakeImage
    ) -> None:
        first = found(pairs_folder, holdout=0.5)
        assert len(first.held_out) == len(first.train) == 3
        assert not {*first.train} & {*first.held_out}
        assert found(pairs_folder, holdout=0.5) == first
        assert len({tuple(found(pairs_folder, s, holdout=0.5).held_out) for s in range(9)}) > 2

    def test_never_everything(self, tmp_path: Path, make_both: MakeImage) -> None:
        make_both("1.png", (4, 8))
        assert len(found(tmp_path).train) == 1
        make_both("2.png", (4, 8))
        data = found(tmp_path, holdout=0.99)
        assert len(data.train) == len(data.held_out) == 1


class TestCheck:
    def test_all_at_once(self, pairs_folder: Path, make_image: MakeImage) -> None:
        good = (pairs_folder / "A/0.png").read_bytes()
        (pairs_folder / "A/0.png").write_bytes(good[:-500])
        (pairs_folder / "B/0.png").write_bytes(b"")
        (pairs_folder / "B/1.png").write_text("text")
        make_image("pairs/B/2.png", (48, 41))
        make_image("pairs/B/9.png")
        seen: list[tuple[int, int]] = []
        data = DataConfig(root=pairs_folder, holdout=0.2)
        report = check_data(PairedData, data, 0, lambda *done: seen.append(done))
        assert seen == [(n, 6) for n in range(1, 7)]
        assert sorted((p.kind, Path(p.name).name) for p in report.problems) == [
            ("size", "2"),
            ("unmatched", "9.png"),
            ("unreadable", "0.png"),
            ("unreadable", "0.png"),
            ("unreadable", "1.png"),
        ]
        assert (len(report.found), len(report.found.held_out)) == (5, 1)
        assert report.survey.smallest == (48, 40)
        assert report.survey.formats == {"8-bit": 6}

    def test_left_out(self, pairs_folder: Path, make_image: MakeImage) -> None:
        make_image("pairs/B/2.png", (8, 8))
        pairs = found(pairs_folder, holdout="none").train
        problems = check_images({"AB": pairs}).problems
        bad = {problem.item for problem in problems if problem.item is not None}
        data = DataConfig(root=pairs_folder, holdout="none")
        good = PairedData.find(data, seed=0, leave_out=bad).train
        assert [pair.name for pair in good] == [f"A/{n}" for n in (0, 1, 3, 4, 5)]
        with pytest.raises(ImageError, match=r"B/2\.png: 8 x 8"):
            pairs[2].read()

    def test_odd_width_cannot_be_halved(
        self, tmp_path: Path, make_image: MakeImage, make_both: MakeImage
    ) -> None:
        make_image("1.png", (4, 9))
        make_both("2.png")
        (problem,) = check_images(found(tmp_path).items).problems
        assert "width 9 is odd" in problem.message

    def test_nothing_good(self) -> None:
        assert check_images({}).smallest == (0, 0)


@pytest.mark.parametrize(
    ("data", "smallest", "load", "crop"),
    [
        ({}, (256, 300), (286, 286), (256, 256)),
        ({}, (4000, 3000), (286, 286), (256, 256)),
        ({}, (255, 900), (143, 143), (128, 128)),
        ({}, (1, 1), (1, 1), (1, 1)),
        ({"crop_size": 512}, (100, 100), (572, 572), (512, 512)),
        ({"crop_size": [128, 256]}, (300, 300), (143, 286), (128, 256)),
        ({"load_size": 100}, (300, 300), (100, 100), (64, 64)),
        ({"load_size": 286}, (100, 100), (286, 286), (256, 256)),
        ({"load_size": 64, "resize": "none"}, (300, 300), (64, 64), (256, 256)),
        ({"load_size": 64, "crop_size": 128, "resize": "none"}, (9, 9), (64, 64), (128, 128)),
    ],
)
def test_sizes(
    data: dict[str, object],
    smallest: tuple[int, int],
    load: tuple[int, int],
    crop: tuple[int, int],
) -> None:
    assert resolve_sizes(DataConfig.model_validate(data), smallest) == (load, crop)


@pytest.mark.parametrize("resize", ["stretch", "fit"])
def test_a_crop_larger_than_the_image(resize: str) -> None:
    data = DataConfig.model_validate({"load_size": 100, "crop_size": 128, "resize": resize})
    with pytest.raises(ConfigError, match=r"data\.crop_size"):
        resolve_sizes(data, (300, 300))


def test_accents_match_however_they_are_written(tmp_path: Path, make_image: MakeImage) -> None:
    make_image("A/caf\u00e9.png", (8, 8))
    make_image("B/cafe\u0301.png", (8, 8))
    assert len(found(tmp_path, holdout="none").train) == 1


def test_pictures_of_kinds_that_are_not_read_are_counted(pairs_folder: Path) -> None:
    for name in ("A/x.jxl", "B/x.JXL", "A/deep/y.psd", "A/notes.txt", "A/.hidden.jxl"):
        (pairs_folder / name).parent.mkdir(exist_ok=True)
        (pairs_folder / name).touch()
    report = check_data(PairedData, DataConfig(root=pairs_folder), seed=0)
    assert report.passed_over == {".jxl": 2, ".psd": 1}
    assert report.problems == []
