"""Two folders without pairs: where they are, what an epoch of them is, and what is held out."""

import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.check import check_data, check_images
from img2img.data.loader import batches
from img2img.data.problems import refusal
from img2img.data.sources import ImageSource
from img2img.data.unpaired import UnpairedData, UnpairedSamples
from img2img.errors import ConfigError, DataError, ImageError
from img2img.images import to_tensor

MakeImage = Callable[..., Path]
Command = Callable[..., Any]

TRANSFORM = Transform(DataConfig(), (18, 18), (16, 16))


def config(root: Path, **data: object) -> DataConfig:
    return DataConfig.model_validate({"root": root, **data})


def found(root: Path, seed: int = 0, **data: object) -> UnpairedData:
    return UnpairedData.find(config(root, **data), seed)


def names(sources: Sequence[ImageSource], root: Path) -> list[str]:
    return [source.path.relative_to(root).as_posix() for source in sources]


def held_out_files(data: UnpairedData) -> set[Path]:
    return {source.path for pair in data.held_out for source in (pair.A, pair.B)}


def trained_files(data: UnpairedData) -> set[Path]:
    return {source.path for source in (*data.train_A, *data.train_B)}


@pytest.fixture
def folders(tmp_path: Path, make_image: MakeImage) -> Path:
    """`A/` with seven images and `B/` with three, no two of one size or name."""
    for number in range(7):
        make_image(f"set/A/a{number}.png", (20 + number, 30), seed=number)
    for number in range(3):
        make_image(f"set/B/b{number}.png", (40, 20 + number), seed=50 + number)
    return tmp_path / "set"


class TestLayouts:
    def test_two_folders_a_split(self, tmp_path: Path, make_image: MakeImage) -> None:
        """In one of the layouts; they are found as those of pairs are."""
        train_A, train_B, held_A, held_B = (
            f"{split}{{}}" for split in ("A/train/", "B/train/", "A/val/", "B/val/")
        )
        for name in ("1.png", "sub/2.jpg", "10.png", "1.jpg"):
            make_image(train_A.format(name), (9, 12))
        make_image(train_B.format("other.png"), (20, 7))
        for name in ("x.png", "y.png"):
            make_image(held_A.format(name), (5, 6))
        make_image(held_B.format("z.png"))
        data = found(tmp_path)
        # Neither names nor counts nor sizes have to agree; a second suffix is a second image.
        assert sorted(names(data.train_A, tmp_path)) == sorted(
            train_A.format(name) for name in ("1.png", "1.jpg", "10.png", "sub/2.jpg")
        )
        assert names(data.train_B, tmp_path) == [train_B.format("other.png")]
        assert [(pair.A.path.name, pair.B.path.name) for pair in data.held_out] == [
            ("x.png", "z.png"),
            ("y.png", "z.png"),
        ]
        assert not data.problems
        assert not data.aligned
        assert train_A.format("").strip("/") in data.layout
        assert held_B.format("").strip("/") in data.layout

    def test_one_folder_a_domain(self, folders: Path) -> None:
        data = found(folders, holdout="none")
        assert names(data.train_A, folders) == [f"A/a{n}.png" for n in range(7)]
        assert names(data.train_B, folders) == [f"B/b{n}.png" for n in range(3)]
        assert data.held_out == []
        assert "A/ + B/" in data.layout
        assert data.counts == "7 training images of A and 3 of B"

    def test_two_roots(self, folders: Path) -> None:
        """Where nothing is called A or B, and the second is not beside the first."""
        A, B = folders / "photos", folders.parent / "paintings"
        (folders / "A").rename(A)
        (folders / "B").rename(B)
        data = UnpairedData.find(DataConfig(root_a=A, root_b=B, holdout="none"), 0)
        assert {source.path.parent for source in data.train_A} == {A}
        assert {source.path.parent for source in data.train_B} == {B}
        assert (len(data.train_A), len(data.train_B)) == (7, 3)

    def test_two_roots_with_splits(self, tmp_path: Path, make_image: MakeImage) -> None:
        for name in ("photos/train/1", "photos/test/2", "paintings/train/3", "paintings/test/4"):
            make_image(f"{name}.png")
        data = UnpairedData.find(
            DataConfig(root_a=tmp_path / "photos", root_b=tmp_path / "paintings"), 0
        )
        assert names(data.train_A, tmp_path) == ["photos/train/1.png"]
        assert names(data.train_B, tmp_path) == ["paintings/train/3.png"]
        assert [path.name for path in sorted(held_out_files(data))] == ["4.png", "2.png"]

    def test_only_one_image_a_domain(self, folders: Path) -> None:
        data = found(folders, holdout="none").only(4)
        assert names(data.train_A, folders) == ["A/a4.png"]
        assert names(data.train_B, folders) == ["B/b1.png"]
        assert len(data) == len(data.held_out) == 1


class TestBadFolders:
    @pytest.mark.parametrize("domain", ["A", "B"])
    def test_an_empty_domain(self, folders: Path, domain: str) -> None:
        for file in (folders / domain).iterdir():
            file.unlink()
        with pytest.raises(DataError, match=f"{domain}: contains no images") as caught:
            found(folders)
        assert "\n" not in str(caught.value)

    def test_a_missing_domain(self, folders: Path) -> None:
        data = DataConfig(root_a=folders / "A", root_b=folders / "C")
        with pytest.raises(DataError, match="C: no such folder"):
            UnpairedData.find(data, 0)

    @pytest.mark.parametrize("other", ["A", "A/../A", "link"])
    def test_the_same_folder_twice(self, folders: Path, other: str) -> None:
        if other == "link":
            if sys.platform == "win32":
                pytest.skip("links need a privilege there")
            (folders / "link").symlink_to(folders / "A")
        data = DataConfig(root_a=folders / "A", root_b=folders / other)
        with pytest.raises(DataError, match="the same folder") as caught:
            UnpairedData.find(data, 0)
        assert str(folders / "A") in str(caught.value)

    @pytest.mark.parametrize(
        "files",
        [
            ("1.png", "2.png"),
            ("train/1.png",),
            ("train/1.png", "test/2.png"),
            ("train/1.png", "val/2.png", "test/3.png"),
        ],
        ids=["flat", "train", "train and test", "three splits"],
    )
    def test_images_side_by_side_are_for_pairs(
        self, tmp_path: Path, make_image: MakeImage, files: tuple[str, ...]
    ) -> None:
        for name in files:
            make_image(f"set/{name}", (8, 16))
        with pytest.raises(DataError) as caught:
            found(tmp_path / "set")
        message = str(caught.value)
        assert "\n" not in message
        assert "A + B" in message
        # What is there must not be denied, nor train/ and test/ be taken for the two domains.
        assert "no image" not in message
        assert not re.search(r"--data-[ab] \S*(train|test)", message)


class TestNotices:
    def test_one_image_against_twenty(self, tmp_path: Path, make_image: MakeImage) -> None:
        for number in range(20):
            make_image(f"set/B/{number}.png")
        make_image("set/A/only.png")
        (notice,) = found(tmp_path / "set", holdout="none").notices()
        assert "domain A has only 1 image" in notice
        assert "20" in notice

    def test_whichever_is_the_smaller(self, tmp_path: Path, make_image: MakeImage) -> None:
        for number in range(40):
            make_image(f"set/A/{number}.png")
        for number in range(4):
            make_image(f"set/B/{number}.png")
        (notice,) = found(tmp_path / "set", holdout="none").notices()
        assert "domain B has only 4 images, the other 40: each is seen 10 times" in notice

    def test_none_where_the_counts_are_alike(self, folders: Path) -> None:
        assert list(found(folders, holdout="none").notices()) == []


def samples_of(data: UnpairedData, seed: int = 0, **settings: Any) -> UnpairedSamples:
    return UnpairedSamples(data.train_A, data.train_B, TRANSFORM, seed, **settings)


def all_samples(folders: Path, seed: int = 0, **settings: Any) -> UnpairedSamples:
    return samples_of(found(folders, holdout="none"), seed, **settings)


def swapped(folders: Path) -> UnpairedData:
    """With B as the larger domain."""
    data = DataConfig(root_a=folders / "B", root_b=folders / "A", holdout="none")
    return UnpairedData.find(data, 0)


def names_at(samples: UnpairedSamples, positions: range) -> list[tuple[str, str]]:
    both = [samples[position][2:4] for position in positions]
    return [(Path(A).stem, Path(B).stem) for A, B in both]


class TestEpoch:
    def test_it_is_as_long_as_the_larger_domain(self, folders: Path) -> None:
        assert len(found(folders, holdout="none")) == len(all_samples(folders)) == 7
        assert len(swapped(folders)) == len(samples_of(swapped(folders))) == 7

    def test_it_shows_every_image_of_a_larger_a_once(self, folders: Path) -> None:
        samples = all_samples(folders)
        epochs = [names_at(samples, range(7 * e, 7 * e + 7)) for e in range(5)]
        for epoch in epochs:
            assert {A for A, _ in epoch} == {f"a{n}" for n in range(7)}
        assert len({tuple(A for A, _ in epoch) for epoch in epochs}) > 1

    def test_it_shows_a_smaller_a_as_often_as_it_takes(self, folders: Path) -> None:
        """Three images in seven places: each twice, and one of them a third time."""
        samples = samples_of(swapped(folders))
        orders = set()
        for epoch in range(5):
            shown = [A for A, _ in names_at(samples, range(7 * epoch, 7 * epoch + 7))]
            assert sorted(Counter(shown).values()) == [2, 2, 3]
            orders.add(tuple(shown))
        assert len(orders) > 1

    @pytest.mark.parametrize("larger", ["A", "B"])
    def test_b_is_drawn_at_random(self, folders: Path, larger: str) -> None:
        data = found(folders, holdout="none") if larger == "A" else swapped(folders)
        samples, in_B = samples_of(data), len(data.train_B)
        drawn = names_at(samples, range(420))
        counts = Counter(B for _, B in drawn)
        expected = 420 / in_B
        assert len(counts) == in_B
        # Five standard deviations of what a draw with replacement gives.
        assert all(abs(n - expected) < 5 * expected**0.5 for n in counts.values())
        # Not a permutation an epoch, and not tied to what is A.
        epochs = [{B for _, B in drawn[7 * e : 7 * e + 7]} for e in range(60)]
        assert any(len(epoch) < in_B for epoch in epochs)
        assert len(set(drawn)) == 21

    def test_the_seed_decides(self, folders: Path) -> None:
        first = names_at(all_samples(folders, seed=1), range(21))
        assert names_at(all_samples(folders, seed=1), range(21)) == first
        other = names_at(all_samples(folders, seed=2), range(21))
        assert [A for A, _ in other] != [A for A, _ in first]
        assert [B for _, B in other] != [B for _, B in first]

    def test_a_sample(self, folders: Path) -> None:
        A, B, path_A, path_B = all_samples(folders)[0][:4]
        for image, path in ((A, path_A), (B, path_B)):
            assert image.shape == (3, 16, 16)
            assert image.dtype == torch.float32
            assert image.is_contiguous()
            assert -1 <= image.min() < -0.5
            assert 0.5 < image.max() <= 1
            # A crop of the file, resized.
            whole = to_tensor(
                np.asarray(Image.open(path).resize((18, 18), Image.Resampling.BICUBIC))
            )
            crops = [whole[:, y : y + 16, x : x + 16] for y in range(3) for x in range(3)]
            assert sum(torch.equal(image, crop) for crop in crops) == 1

    def test_an_empty_domain(self, folders: Path) -> None:
        data = found(folders, holdout="none")
        with pytest.raises(DataError, match="domain B"):
            UnpairedSamples(data.train_A, [], TRANSFORM, 0)
        with pytest.raises(DataError, match="domain A"):
            UnpairedSamples([], data.train_B, TRANSFORM, 0)


def flips(samples: UnpairedSamples, count: int) -> list[tuple[bool, bool]]:
    """Whether A and B are mirrored, at each position. The left half of each image is black."""
    found_flips = []
    for position in range(count):
        A, B, *_ = samples[position]
        for image in (A, B):
            assert image[..., 0].mean() == -image[..., -1].mean()
        found_flips.append((bool(A[0, 0, 0] > 0), bool(B[0, 0, 0] > 0)))
    return found_flips


class TestAugmentation:
    @pytest.fixture
    def halves(self, tmp_path: Path) -> UnpairedData:
        """One image a domain, black on the left and white on the right."""
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, 8:] = 255
        for domain in "AB":
            (tmp_path / domain).mkdir()
            Image.fromarray(pixels).save(tmp_path / domain / "1.png")
        return found(tmp_path, holdout="none")

    def samples(self, data: UnpairedData, size: int = 16, **augment: object) -> UnpairedSamples:
        settings = DataConfig.model_validate({"augment": augment})
        transform = Transform(settings, (size, size), (16, 16))
        return UnpairedSamples(data.train_A, data.train_B, transform, 0)

    def test_a_and_b_are_flipped_each_by_itself(self, halves: UnpairedData) -> None:
        flip = {"name": "HorizontalFlip", "p": 0.5}
        counts = Counter(flips(self.samples(halves, geometry=[flip]), 240))
        # A quarter each; five standard deviations.
        assert len(counts) == 4
        assert all(abs(n - 60) < 5 * 6.7 for n in counts.values())
        assert set(flips(self.samples(halves), 20)) == {(False, False)}

    def test_a_and_b_are_cropped_each_by_itself(self, folders: Path) -> None:
        (folders / "B/b0.png").write_bytes((folders / "A/a0.png").read_bytes())
        data = UnpairedData.find(config(folders, holdout="none"), 0).only(0)
        samples = self.samples(data, size=24)
        same = [torch.equal(samples[n][0], samples[n][1]) for n in range(40)]
        assert sum(same) < 10  # one in 81 by chance
        assert len({samples[n][1].numpy().tobytes() for n in range(40)}) > 10

    def test_colour_is_the_inputs_unless_both_are_asked_for(self, halves: UnpairedData) -> None:
        limits = {"brightness_limit": [-0.5, -0.3], "contrast_limit": [0, 0]}
        dark = {"name": "RandomBrightnessContrast", "p": 1, **limits}
        one = [self.samples(halves, color=[dark])[n] for n in range(6)]
        assert all(A.max() < 0.5 for A, *_ in one)
        assert all(B.max() == 1 for _, B, *_ in one)
        both = [self.samples(halves, color=[dark], color_on="both")[n] for n in range(6)]
        assert all(A.max() < 0.5 and B.max() < 0.5 for A, B, *_ in both)
        assert not all(torch.equal(A, B) for A, B, *_ in both)


class TestHoldOut:
    def test_a_fraction_of_each_domain(self, tmp_path: Path, make_image: MakeImage) -> None:
        for number in range(20):
            make_image(f"A/{number}.png")
        for number in range(10):
            make_image(f"B/x{number}.png")
        chosen = set()
        for seed in range(8):
            data = found(tmp_path, seed, holdout=0.3)
            assert (len(data.train_A), len(data.train_B)) == (14, 7)
            held = held_out_files(data)
            assert Counter(path.parent.name for path in held) == {"A": 6, "B": 3}
            assert not held & trained_files(data)
            assert len(held | trained_files(data)) == 30
            chosen.add(tuple(sorted(held)))
            assert found(tmp_path, seed, holdout=0.3) == data
        assert len(chosen) > 2

    def test_what_is_chosen_hardly_changes_with_more_images(
        self, tmp_path: Path, make_image: MakeImage
    ) -> None:
        for number in range(20):
            for domain in "AB":
                make_image(f"{domain}/{number}.png")
        before = held_out_files(found(tmp_path, holdout=0.2))
        make_image("A/new.png")
        after = held_out_files(found(tmp_path, holdout=0.2))
        assert len(before) == 8
        assert len(before & after) >= 7

    def test_the_fraction_that_is_usual(self, tmp_path: Path, make_image: MakeImage) -> None:
        for number in range(40):
            make_image(f"A/{number}.png")
        for number in range(3):
            make_image(f"B/{number}.png")
        data = found(tmp_path)
        assert (len(data.train_A), len(data.train_B)) == (38, 2)

    def test_one_image_is_trained_on(self, tmp_path: Path, make_image: MakeImage) -> None:
        for domain in "AB":
            make_image(f"{domain}/1.png")
        data = found(tmp_path, holdout=0.9)
        assert (len(data.train_A), len(data.train_B), data.held_out) == (1, 1, [])

    def test_no_image_is_put_aside_in_vain(self, tmp_path: Path, make_image: MakeImage) -> None:
        """The one B is trained on: no A can be shown beside a held-out one."""
        for number in range(20):
            make_image(f"A/{number}.png")
        make_image("B/only.png")
        data = found(tmp_path)
        assert len(trained_files(data) | held_out_files(data)) == 21

    def test_a_folder(self, folders: Path, tmp_path: Path, make_image: MakeImage) -> None:
        for number in range(4):
            make_image(f"elsewhere/trainA/{number}.png")
        make_image("elsewhere/trainB/other.png")
        data = found(folders, holdout=str(tmp_path / "elsewhere"))
        assert (len(data.train_A), len(data.train_B)) == (7, 3)
        assert [pair.A.path.stem for pair in data.held_out] == ["0", "1", "2", "3"]
        assert {pair.B.path.stem for pair in data.held_out} == {"other"}
        assert not data.aligned
        assert "trainA/" in data.layout

    def test_the_folder_that_is_trained_on_is_not_held_out(self, folders: Path) -> None:
        """What is held out is never trained on: refused, or kept apart."""
        try:
            data = found(folders, holdout=str(folders))
        except (ConfigError, DataError):
            return
        assert not held_out_files(data) & trained_files(data)

    def test_a_folder_of_images_side_by_side(
        self, folders: Path, tmp_path: Path, make_both: MakeImage
    ) -> None:
        """Refused, or cut in half: a whole file is an image of neither domain."""
        make_both("elsewhere/1.png", (8, 20))
        try:
            data = found(folders, holdout=str(tmp_path / "elsewhere"))
        except (ConfigError, DataError):
            return
        assert [pair.A.read().size for pair in data.held_out] == [(8, 10)]
        assert [pair.B.half for pair in data.held_out] == ["right"]

    def test_none(self, folders: Path) -> None:
        data = found(folders, holdout="none")
        assert data.held_out == []
        assert list(data.held_out_batches(config(folders), TRANSFORM)) == []

    def test_batches_are_without_chance(self, folders: Path) -> None:
        data = found(folders, holdout=0.4)
        settings = config(folders)
        got = list(data.held_out_batches(settings, TRANSFORM))
        # Each held-out image once at least: 3 of A beside the 1 of B.
        assert [len(batch) for batch in got] == [1, 1, 1]
        assert {path for batch in got for path in (*batch.path_A, *batch.path_B)} == {
            str(path) for path in held_out_files(data)
        }
        for batch in got:
            for image, path in ((batch.A[0], batch.path_A[0]), (batch.B[0], batch.path_B[0])):
                whole = Image.open(path).resize((16, 16), Image.Resampling.BICUBIC)
                assert torch.equal(image, to_tensor(np.asarray(whole)))


class TestAligned:
    @pytest.fixture
    def splits(self, tmp_path: Path, make_image: MakeImage) -> Path:
        for name in ("trainA/1", "trainA/2", "trainB/8"):
            make_image(f"set/{name}.png")
        for name in ("x", "y", "sub/z"):
            make_image(f"set/testA/{name}.png")
            make_image(f"set/testB/{name}.jpg")
        return tmp_path / "set"

    def test_pairs_by_name(self, splits: Path, make_image: MakeImage) -> None:
        data = found(splits, holdout_aligned=True)
        assert data.aligned
        pairs = {(names([pair.A], splits)[0], names([pair.B], splits)[0]) for pair in data.held_out}
        assert pairs == {(f"testA/{name}.png", f"testB/{name}.jpg") for name in ("x", "y", "sub/z")}
        assert (len(data.train_A), len(data.train_B)) == (2, 1)
        assert data.problems == []

    def test_what_has_no_partner_is_a_problem(self, splits: Path, make_image: MakeImage) -> None:
        make_image("set/testA/lonely.png")
        data = found(splits, holdout_aligned=True)
        assert [(p.kind, Path(p.name).name) for p in data.problems] == [("unmatched", "lonely.png")]
        assert len(data.held_out) == 3
        assert found(splits).problems == []

    def test_sizes_must_be_the_same(self, splits: Path, make_image: MakeImage) -> None:
        make_image("set/testB/y.jpg", (8, 9))
        report = check_data(UnpairedData, config(splits, holdout_aligned=True), 0)
        assert [problem.kind for problem in report.problems] == ["size"]
        assert check_data(UnpairedData, config(splits), 0).problems == []

    def test_a_folder_of_images_side_by_side(
        self, folders: Path, tmp_path: Path, make_image: MakeImage
    ) -> None:
        make_image("pairs/1.png", (8, 20))  # noise, of which only a person knows that it is a pair
        with pytest.raises(DataError, match=r"data\.layout=side_by_side"):
            found(folders, holdout=str(tmp_path / "pairs"), holdout_aligned=True)
        data = found(
            folders, holdout=str(tmp_path / "pairs"), holdout_aligned=True, layout="side_by_side"
        )
        (pair,) = data.held_out
        A, B = pair.read()
        whole = np.asarray(Image.open(tmp_path / "pairs/1.png"))
        np.testing.assert_array_equal(A.pixels, whole[:, :10])
        np.testing.assert_array_equal(B.pixels, whole[:, 10:])

    @pytest.mark.parametrize("holdout", ["auto", "none", 0.3])
    def test_needs_a_folder_that_is_held_out(self, folders: Path, holdout: object) -> None:
        with pytest.raises(ConfigError, match=r"^data\.holdout_aligned: ") as caught:
            found(folders, holdout=holdout, holdout_aligned=True)
        assert "data.holdout" in str(caught.value).partition(": ")[2]


def break_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


class TestBadFiles:
    def test_check_names_them_all(self, folders: Path) -> None:
        break_file(folders / "A/a2.png")
        (folders / "B/b0.png").write_bytes(b"")
        (folders / "B/b1.png").write_text("text")
        seen: list[tuple[int, int]] = []
        data = config(folders, holdout=0.3)
        report = check_data(UnpairedData, data, 0, lambda *done: seen.append(done))
        assert seen == [(n, 10) for n in range(1, 11)]  # the held-out ones, too, and each once
        assert sorted((p.kind, Path(p.name).name) for p in report.problems) == [
            ("unreadable", "a2.png"),
            ("unreadable", "b0.png"),
            ("unreadable", "b1.png"),
        ]
        text = str(refusal(report.problems))
        assert "a2.png" in text
        assert "data.skip_bad=true" in text
        # Sizes by domain, of what is good.
        assert report.survey.sizes["A"] == {(20 + n, 30): 1 for n in range(7) if n != 2}
        assert report.survey.sizes["B"] == {(40, 22): 1}

    def test_a_held_out_split_is_checked(self, tmp_path: Path, make_image: MakeImage) -> None:
        for split in ("train", "test"):
            for domain in "AB":
                make_image(f"{split}{domain}/1.png")
        break_file(tmp_path / "testB/1.png")
        for aligned in (False, True):
            report = check_data(UnpairedData, config(tmp_path, holdout_aligned=aligned), 0)
            (problem,) = report.problems
            assert str(tmp_path / "testB/1.png") in problem.message

    def test_left_out(self, folders: Path) -> None:
        break_file(folders / "A/a2.png")
        break_file(folders / "B/b0.png")
        problems = check_images(found(folders, holdout="none").items).problems
        bad = {problem.item for problem in problems if problem.item is not None}
        good = UnpairedData.find(config(folders, holdout="none"), 0, leave_out=bad)
        assert names(good.train_A, folders) == [f"A/a{n}.png" for n in (0, 1, 3, 4, 5, 6)]
        assert names(good.train_B, folders) == ["B/b1.png", "B/b2.png"]
        assert not check_images(good.items).problems

    def test_the_command_names_them(self, img2img: Command, folders: Path) -> None:
        (folders / "A/a2.png").write_text("text")
        given = ["data", "check", "--unpaired", "--data", folders, "--json"]
        outcome = img2img(*given)
        assert outcome.status == 1
        (problem,) = json.loads(outcome.out)["problems"]
        assert problem["name"] == str(folders / "A/a2.png")

    @pytest.mark.parametrize("workers", [0, 1])
    @pytest.mark.parametrize("file", ["A/a4.png", "B/b1.png"])
    def test_in_mid_training_another_sample_is_taken(
        self, folders: Path, file: str, workers: int
    ) -> None:
        samples = all_samples(folders)
        whole = list(batches(samples, 2, 0, 28))
        at = [samples[position][2:4] for position in range(140)]
        (folders / file).write_bytes(b"")
        got = list(batches(samples, 2, 0, 28, skip_bad=True, workers=workers))
        broken = str(folders / file)
        replaced = 0
        for before, after in zip(whole, got, strict=True):
            assert len(after) == 2
            assert broken not in (*after.path_A, *after.path_B)
            places = zip(before.path_A, before.path_B, strict=True)
            hit = [broken in place for place in places]
            # At least once for each sample with that file; what replaces it may have it, too.
            assert len(after.skipped) >= sum(hit)
            assert all(broken in message for message in after.skipped)
            assert bool(after.skipped) == any(hit)
            for n in range(2):
                if not hit[n]:
                    assert torch.equal(after.A[n], before.A[n])
                    assert torch.equal(after.B[n], before.B[n])
            replaced += sum(hit)
        assert replaced >= 4
        # What is taken is what the next epoch that has a good file has in its place.
        taken = [sample for each in got for sample in zip(each.path_A, each.path_B, strict=True)]
        for position, paths in enumerate(taken):
            later = (at[position + 7 * epoch] for epoch in itertools.count())
            assert paths == next(sample for sample in later if broken not in sample)

    def test_nothing_good_is_left(self, folders: Path) -> None:
        samples = all_samples(folders)
        for file in (folders / "B").iterdir():
            file.write_bytes(b"")
        with pytest.raises(ImageError, match="the file is empty"):
            list(batches(samples, 1, 0, 7, skip_bad=True))
