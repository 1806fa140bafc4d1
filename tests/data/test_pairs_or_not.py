"""What is the same of pairs and of two folders without pairs."""

import itertools
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.loader import batches
from img2img.data.paired import PairedData, PairedSamples
from img2img.data.samples import Batch
from img2img.data.unpaired import UnpairedData, UnpairedSamples
from img2img.errors import ConfigError, DataError, ImageError

MakeImage = Callable[..., Path]
Kind = type[PairedData] | type[UnpairedData]

pytestmark = pytest.mark.parametrize("kind", [PairedData, UnpairedData])


def found(kind: Kind, root: Path, **data: object) -> PairedData | UnpairedData:
    return kind.find(DataConfig.model_validate({"root": root, **data}), 0)


# -- folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flaw", ["missing", "empty", "no images", "a file"])
def test_one_line_names_folder_and_layouts(kind: Kind, tmp_path: Path, flaw: str) -> None:
    root = tmp_path / "data"
    if flaw == "a file":
        root.touch()
    elif flaw != "missing":
        root.mkdir()
    if flaw == "no images":
        (root / "notes.txt").touch()
    with pytest.raises(DataError, match=r"trainA \+ trainB") as caught:
        found(kind, root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert kind is PairedData or "side by side" not in str(caught.value)  # which would be pairs


def test_no_folder_is_given(kind: Kind) -> None:
    with pytest.raises(ConfigError, match=r"^data\.root: missing; .*`data\.root"):
        kind.find(DataConfig(), 0)


def test_two_folders_of_other_names(kind: Kind, tmp_path: Path, make_image: MakeImage) -> None:
    """They are neither the two domains nor cut in half."""
    make_image("set/horse/1.png")
    make_image("set/zebra/1.png")
    with pytest.raises(DataError, match=r"horse.*zebra") as caught:
        found(kind, tmp_path / "set")
    hint = {
        PairedData: r"horse/ and zebra/; rename them to A and B",
        UnpairedData: r"`data\.root_a=\S*horse` `data\.root_b=\S*zebra`",
    }
    assert re.search(hint[kind], str(caught.value))


@pytest.mark.parametrize("holdout", ["auto", "val", "test", "none"])
def test_splits(kind: Kind, tmp_path: Path, make_image: MakeImage, holdout: str) -> None:
    for split in ("train", "val", "test"):
        for domain in "AB":
            make_image(f"{split}{domain}/{split}.png")
    data = found(kind, tmp_path, holdout=holdout)
    splits = {"auto": ["val"], "none": []}.get(holdout, [holdout])
    assert [pair.A.path.stem for pair in data.held_out] == splits
    assert [pair.B.path.stem for pair in data.held_out] == splits
    assert len(data) == 1


def test_a_split_that_is_not_there(kind: Kind, pairs_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.holdout: there is no split 'val'"):
        found(kind, pairs_folder, holdout="val")


# -- the sample at a position is always the same -------------------------------------------------

Samples = PairedSamples | UnpairedSamples

AUGMENTED: dict[str, Any] = {
    "geometry": [{"name": "HorizontalFlip", "p": 0.5}],
    "color": [{"name": "RandomBrightnessContrast", "p": 1}],
    "color_on": "both",
}


def samples(kind: Kind, root: Path, cache: str = "none", **more: Any) -> Samples:
    """With chance in geometry and colour."""
    settings = {"root": root, "holdout": "none", "cache": cache, "augment": AUGMENTED}
    data = DataConfig.model_validate(settings)
    return kind.find(data, 0).samples(data, 0, Transform(data, (18, 18), (16, 16)), **more)


def assert_same(first: Sequence[Batch], second: Sequence[Batch]) -> None:
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert (one.path_A, one.path_B) == (other.path_A, other.path_B)
        assert torch.equal(one.A, other.A)
        assert torch.equal(one.B, other.B)


def test_whatever_was_asked_for_before(kind: Kind, pairs_folder: Path) -> None:
    here, there = samples(kind, pairs_folder), samples(kind, pairs_folder)
    expected = [here[position] for position in range(15)]
    np.random.seed(1)  # global states are not looked at
    torch.manual_seed(1)
    for position in (14, 3, 9, 0, 3):
        A, B, *paths = there[position]
        assert torch.equal(A, expected[position][0])
        assert torch.equal(B, expected[position][1])
        assert tuple(paths) == expected[position][2:]


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_whatever_the_workers(kind: Kind, pairs_folder: Path, cache: str) -> None:
    tested = samples(kind, pairs_folder, cache)
    torch.manual_seed(0)
    here = list(batches(tested, 3, 2, 20))
    state = torch.get_rng_state()
    assert_same(list(batches(tested, 3, 2, 20, workers=2)), here)
    assert torch.equal(state, torch.get_rng_state())  # training's numbers are left alone


def test_in_a_process_of_its_own(kind: Kind, pairs_folder: Path) -> None:
    """Which gets them by pickling; one that is started afresh takes long, and is of one kind."""
    tested, copied = samples(kind, pairs_folder), samples(kind, pairs_folder, "memory")
    spawned: dict[str, Any] = {"workers": 1, "start_method": "spawn"}
    if kind is PairedData:
        copied, spawned = pickle.loads(pickle.dumps(copied)), {}
    assert_same(list(batches(copied, 3, 0, 6, **spawned)), list(batches(tested, 3, 0, 6)))


def test_wherever_it_starts(kind: Kind, pairs_folder: Path) -> None:
    whole = list(batches(samples(kind, pairs_folder), 2, 0, 20))
    assert_same(list(batches(samples(kind, pairs_folder), 2, 8, 20)), whole[4:])


def test_whatever_is_cached(kind: Kind, pairs_folder: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (48, 40), dtype=np.uint16)
    Image.fromarray(deep).save(pairs_folder / "A/0.png")
    seen: list[tuple[int, int]] = []
    cached = samples(kind, pairs_folder, "memory", progress=lambda *done: seen.append(done))
    expected = list(batches(samples(kind, pairs_folder), 1, 0, 21))
    count = 6 if kind is PairedData else 12
    assert seen == [(n, count) for n in range(1, count + 1)]
    # It is a cache: the files are no longer needed.
    for file in pairs_folder.rglob("*.png"):
        file.unlink()
    assert_same(list(batches(cached, 1, 0, 21)), expected)


@pytest.mark.parametrize("count", [2, 3])
def test_shares_together_are_one_with_larger_batches(
    kind: Kind, pairs_folder: Path, count: int
) -> None:
    tested, size = samples(kind, pairs_folder), 2
    stop = 5 + 5 * count * size
    alone = list(batches(tested, count * size, 5, stop))
    shares = [list(batches(tested, size, 5, stop, share=(rank, count))) for rank in range(count)]
    assert len(alone) == 5
    for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
        assert torch.equal(whole.A, torch.cat([part.A for part in parts]))
        assert torch.equal(whole.B, torch.cat([part.B for part in parts]))
        for side in ("path_A", "path_B"):
            paths = [getattr(part, side) for part in parts]
            assert getattr(whole, side) == list(itertools.chain.from_iterable(paths))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_is_named(kind: Kind, pairs_folder: Path, workers: int) -> None:
    tested = samples(kind, pairs_folder)
    (pairs_folder / "A/4.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"A/4\.png: the file is empty$"):
        list(batches(tested, 1, 0, 6, workers=workers))
