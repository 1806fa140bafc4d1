"""Masks and nodata: what training looks at, and what is a problem before it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2img.config import DataConfig, check, load_config
from img2img.data.augment import Transform
from img2img.data.check import DataReport, check_data
from img2img.data.dataset import DataSet
from img2img.data.domains import resolve_domains
from img2img.data.paired import PairedData
from img2img.data.samples import Batch
from img2img.data.sizes import brought_to
from img2img.data.unpaired import UnpairedData
from img2img.errors import ConfigError
from img2img.images import Picture, write_picture
from tests.conftest import Command, noise


def write(path: Path, pixels: np.ndarray, alpha: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, Picture(pixels if pixels.ndim == 3 else pixels[..., None], alpha))


def left(size: tuple[int, int] = (32, 32)) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[:, : size[1] // 2] = 255
    return mask


Make = Callable[..., Path]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """`A/` + `B/` of four images of 32 x 32."""
    for number in range(4):
        for side in "AB":
            write(tmp_path / f"set/{side}/{number}.png", noise(32, 32, number))
    return tmp_path / "set"


def config(root: Path, **data: Any) -> DataConfig:
    tree = load_config("pix2pix").model_dump()
    tree["data"] |= {"root": root, "layout": "auto", "holdout": 0.25} | data
    return check(tree).data


def found(data: DataConfig, kind: type[DataSet] = PairedData) -> DataReport:
    return check_data(kind, data, 0)


def batch(data: DataConfig, kind: type[DataSet] = PairedData) -> Batch:
    """The first held-out batch."""
    seen = kind.find(data, 0)
    domains = resolve_domains(data, found(data, kind).survey.values)
    transform = Transform(data, (32, 32), (32, 32))
    return next(seen.seen_as(domains).held_out_batches(data, transform))


class TestFolders:
    @pytest.mark.parametrize("kind", [PairedData, UnpairedData])
    @pytest.mark.parametrize("sides", ["", "A", "B", "AB"])
    def test_of_both_domains_or_of_each(self, sides: str, kind: Any, pairs: Path) -> None:
        for number in range(4):
            for folder in sides or [""]:
                write(pairs.parent / "masks" / folder / f"{number}.png", left())
        given = batch(config(pairs, mask=pairs.parent / "masks"), kind)
        wanted = torch.from_numpy(left() > 0).float()[None, None]
        for side, valid in (("A", given.valid_A), ("B", given.valid_B)):
            if side in (sides or "AB"):
                assert valid is not None
                assert torch.equal(valid, wanted)
            else:
                assert valid is None

    def test_images_stay_whole(self, pairs: Path) -> None:
        for number in range(4):
            write(pairs.parent / f"masks/{number}.png", left())
        masked, whole = batch(config(pairs, mask=pairs.parent / "masks")), batch(config(pairs))
        assert torch.equal(masked.A, whole.A)
        assert torch.equal(masked.B, whole.B)

    def test_of_splits(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            for side in "AB":
                write(tmp_path / f"set/{split}/{side}/x.png", noise(32, 32))
            mask = left() if split == "train" else 255 - left()
            write(tmp_path / f"masks/{split}/A/x.png", mask)
        given = batch(config(tmp_path / "set", mask=tmp_path / "masks", holdout="val"))
        assert given.valid_A is not None
        assert given.valid_A[0, 0, 0, [0, 31]].tolist() == [0, 1]
        assert given.valid_B is None

    @pytest.mark.parametrize("size", [(32, 32), (32, 64)])
    def test_of_images_side_by_side(self, size: tuple[int, int], tmp_path: Path) -> None:
        for number in range(4):
            write(tmp_path / f"set/{number}.png", np.hstack([noise(32, 32, number)] * 2))
            write(tmp_path / f"masks/{number}.png", left(size))
        data = config(tmp_path / "set", layout="side_by_side", mask=tmp_path / "masks")
        given = batch(data)
        assert given.valid_A is not None
        assert given.valid_B is not None
        wanted = [0.5, 0.5] if size == (32, 32) else [1, 0]
        assert [given.valid_A.mean().item(), given.valid_B.mean().item()] == wanted

    def test_one_is_missing_and_one_of_another_size(self, pairs: Path) -> None:
        masks = pairs.parent / "masks"
        for number in range(3):
            write(masks / f"{number}.png", left((32, 32) if number else (32, 30)))
        messages = sorted(problem.message for problem in found(config(pairs, mask=masks)).problems)
        assert len(messages) == 4
        assert (
            f"A/0.png: its mask {masks}/0.png: the mask is 30 x 32 pixels, but the image"
            in (messages[0])
        )
        assert f"A/3.png: its mask {masks}/3.png: No such file" in messages[1]

    def test_refused(self, pairs: Path) -> None:
        with pytest.raises(ConfigError, match=r"data\.mask: .*gone: no such folder"):
            found(config(pairs, mask=pairs.parent / "gone"))
        write(pairs.parent / "masks/other.png", left())
        with pytest.raises(ConfigError, match=r"data\.mask: no image has a mask in .*other\.png"):
            found(config(pairs, mask=pairs.parent / "masks"))

    def test_opacity(self, pairs: Path) -> None:
        for number in range(4):
            write(pairs / f"A/{number}.png", noise(32, 32, number), left())
        given = batch(config(pairs, mask="alpha"))
        assert given.valid_A is not None
        assert torch.equal(given.valid_A[0, 0], torch.from_numpy(left() > 0).float())
        assert given.valid_B is None


def test_masks_go_along_where_shapes_differ() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:, :2] = True
    picture = Picture(np.full((4, 4, 3), 9, np.uint8), mask=mask, valid=~mask)
    for unequal, size in (("fit", (4, 2)), ("pad", (4, 8)), ("stretch", (8, 2))):
        changed = brought_to(picture, size, unequal)  # type: ignore[arg-type]
        assert changed is not None
        assert changed.mask is not None
        assert changed.valid is not None
        assert changed.mask.shape == changed.valid.shape == size
        assert changed.mask.sum() == size[0] * size[1] // (4 if unequal == "pad" else 2)


class TestNodata:
    @pytest.fixture
    def deep(self, tmp_path: Path) -> Path:
        """16 bits from 100 to 355, of which the right half has 9999."""
        for number in range(4):
            for side in "AB":
                pixels = noise(32, 32, number)[..., :1].astype(np.int16) + 100
                pixels[:, 16:] = 9999
                write(tmp_path / f"set/{side}/{number}.tif", pixels)
        return tmp_path / "set"

    def test_is_left_out_of_the_range_and_of_what_is_looked_at(self, deep: Path) -> None:
        data = config(deep, A={"nodata": 9999})
        survey = found(data).survey
        domains = resolve_domains(data, survey.values)
        assert domains["A"].ends[1] < 400
        assert domains["B"].ends[1] >= 9999
        given = batch(data)
        assert given.valid_A is not None
        assert torch.equal(given.valid_A[0, 0], torch.from_numpy(left() > 0).float())
        assert (given.A[..., 16:] == -1).all()
        assert given.valid_B is None

    def test_nan_needs_no_setting(self, tmp_path: Path) -> None:
        for number in range(4):
            for side in "AB":
                pixels = noise(32, 32, number)[..., :1].astype(np.float32)
                pixels[:, 16:] = np.nan if number else np.inf
                write(tmp_path / f"set/{side}/{number}.tif", pixels)
        data = config(tmp_path / "set")
        given = batch(data)
        for valid in (given.valid_A, given.valid_B):
            assert valid is not None
            assert valid.mean().item() == 0.5
        assert given.A.isfinite().all()

    @pytest.mark.parametrize("kind", [PairedData, UnpairedData])
    def test_nothing_else_is_a_problem(self, kind: Any, deep: Path) -> None:
        write(deep / "A/2.tif", np.full((32, 32, 1), 9999, np.int16))
        report = found(config(deep, A={"nodata": 9999}), kind)
        (problem,) = report.problems
        assert problem.message == (
            f"{deep}/A/2.tif: no pixel holds data: all are nodata, or not finite"
        )


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_command(method: str, pairs: Path, tmp_path: Path, img2img: Command, tiny: Any) -> None:
    """From the masks to a model; those that are left out are named."""
    masks = tmp_path / "masks"
    for number in range(3):
        write(masks / f"{number}.png", left())
    given = ["train", method, "--data", pairs, "--output", tmp_path / "run"]
    given += ["--set", "generator.name=unet", *tiny]
    given += ["--max-steps", 3, "--set", f"data.mask={masks}", "--set", "data.crop_size=32"]
    given += ["--set", "losses.identity_outside=[{name: l1, weight: 10}]"]
    given += ["--set", "regularizers=[{name: r1}]", "--set", "discriminator.norm=none"]
    given += ["--set", "metrics.log_every=1"]
    refused = img2img(*given)
    assert refused.status == 2
    assert "3.png: its mask" in refused.err
    outcome = img2img(*given, "--skip-bad")
    assert outcome.status == 0, outcome.err
    log = (tmp_path / "run/metrics.jsonl").read_text()
    assert "G/identity_outside" in log


def test_no_outside_without_masks(pairs: Path, tmp_path: Path, train: Command) -> None:
    outcome = train(
        tmp_path / "run",
        "--data",
        pairs,
        *("--set", "losses.identity_outside=[{name: l1, weight: 10}]"),
    )
    assert outcome.status == 2
    assert "losses.identity_outside: there is no outside without masks" in outcome.err


def test_augmentations_of_critics_need_whole_images(
    pairs: Path, tmp_path: Path, train: Command
) -> None:
    """Whether masks or the images themselves have gaps, it shows before the networks are there."""
    augment = "--set", "critic.augment=[{name: diffaugment, policy: [cutout]}]"
    write(tmp_path / "masks/0.png", left())
    outcome = train(
        tmp_path / "run", "--data", pairs, *augment, "--set", f"data.mask={tmp_path / 'masks'}"
    )
    assert outcome.status == 2
    assert "critic.augment: would move images away from the masks of data.mask" in outcome.err
    for side in "AB":
        for number in range(2):
            values = np.random.default_rng(number).random((32, 32, 1), np.float32)
            values[0, 0] = np.nan if number else 0.5
            write(tmp_path / f"floats/{side}/{number}.tif", values)
    outcome = train(tmp_path / "run", "--data", tmp_path / "floats", *augment)
    assert outcome.status == 2
    assert "critic.augment: would move pixels that hold no data into view" in outcome.err
