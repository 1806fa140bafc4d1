"""Batches: the same in every process, in an order that the seed gives."""

import multiprocessing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.loader import batches, resolve_workers
from img2img.data.paired import PairedData, PairedSamples
from img2img.data.preview import preview_data
from img2img.data.samples import Sample
from img2img.data.sources import Pair
from img2img.errors import DataError
from img2img.images import Pixels
from img2img.images.sheets import GAP, TITLE_HEIGHT
from img2img.training.resolution import reduced

TRANSFORM = Transform(DataConfig(), (36, 36), (32, 32))


def all_pairs(root: Path) -> list[Pair]:
    return PairedData.find(DataConfig(root=root, holdout="none"), 0).train


def dataset(root: Path, seed: int = 0, **settings: Any) -> PairedSamples:
    return PairedSamples(all_pairs(root), TRANSFORM, seed, **settings)


class TestDataset:
    def test_an_epoch_shows_every_pair_once(self, pairs_folder: Path) -> None:
        samples = dataset(pairs_folder)
        assert len(samples) == 6
        epochs = [[samples[6 * e + n][2] for n in range(6)] for e in range(4)]
        assert all(len(set(epoch)) == 6 for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1
        assert [dataset(pairs_folder, seed=5)[n][2] for n in range(6)] != epochs[0]

    def test_sample(self, pairs_folder: Path) -> None:
        A, B, path_A, path_B = dataset(pairs_folder)[0][:4]
        assert A.shape == (3, 32, 32)
        assert A.dtype == torch.float32
        assert A.is_contiguous()
        assert torch.equal(A, B)  # the folder's B is its A
        assert path_A == path_B.replace("/B/", "/A/")

    def test_direction(self, pairs_folder: Path) -> None:
        _, _, path_A, path_B = dataset(pairs_folder, direction="BtoA")[0][:4]
        assert "/B/" in path_A
        assert "/A/" in path_B

    def test_no_pairs(self) -> None:
        with pytest.raises(DataError):
            PairedSamples([], TRANSFORM, 0)


class Masked:
    """Samples with masks on one side and labels on the other; at position n, n valid pixels."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> Sample:
        valid = torch.zeros(1, 4, 6)
        valid.view(-1)[:position] = 1
        A, B = torch.zeros(5, 4, 6), torch.ones(2, 8, 12)
        return Sample(A, B, "a", "b", valid_A=valid, label_B=position)


class TestBatches:
    def test_consecutive_positions(self, pairs_folder: Path) -> None:
        samples = dataset(pairs_folder)
        got = list(batches(samples, 4, start=3, stop=13))
        assert [len(batch) for batch in got] == [4, 4, 2]
        assert [p for batch in got for p in batch.path_A] == [samples[n][2] for n in range(3, 13)]
        assert torch.equal(got[1].A[2], samples[9][0])

    def test_endless(self, pairs_folder: Path) -> None:
        assert len(list(islice(batches(dataset(pairs_folder), 4, 0), 9))) == 9

    def test_workers_end_with_the_iterator(self, pairs_folder: Path) -> None:
        before = set(multiprocessing.active_children())
        endless = batches(dataset(pairs_folder), 2, 0, workers=2)
        next(endless)
        assert len(set(multiprocessing.active_children()) - before) == 2
        endless.close()
        assert not set(multiprocessing.active_children()) - before

    def test_to_device(self, pairs_folder: Path) -> None:
        (batch,) = batches(dataset(pairs_folder), 2, 0, 2)
        moved = batch.to("cpu")
        assert torch.equal(moved.A, batch.A)
        assert torch.equal(moved.B, batch.B)
        assert moved.path_B == batch.path_B

    @pytest.mark.parametrize("workers", [0, 1])
    def test_validity_and_labels_go_along(self, workers: int) -> None:
        """Of images of any channels, the result twice the size."""
        first, second = batches(Masked(), 2, 0, 4, workers=workers)
        assert second.A.shape == (2, 5, 4, 6)
        assert second.B.shape == (2, 2, 8, 12)
        assert second.valid_A is not None
        assert second.valid_A.shape == (2, 1, 4, 6)
        assert second.valid_A.sum((1, 2, 3)).tolist() == [2, 3]
        assert second.valid_B is None
        assert second.label_A is None
        assert second.label_B is not None
        assert second.label_B.dtype == torch.int64
        assert second.label_B.tolist() == [2, 3]
        moved = first.to("meta")
        assert {name: t.device.type for name, t in moved.tensors.items()} == dict.fromkeys(
            ("A", "B", "valid_A", "label_B"), "meta"
        )
        small = reduced(second, 1)
        assert small.valid_A is not None
        assert small.valid_A.shape == (2, 1, 2, 3)
        assert not small.valid_A.any()  # no four together are valid
        assert small.label_B is second.label_B

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    def test_pinned_memory(self, pairs_folder: Path) -> None:
        (batch,) = batches(dataset(pairs_folder), 2, 0, 2, workers=1, pin_memory=True)
        assert batch.A.is_pinned()


def test_held_out_batches(pairs_folder: Path) -> None:
    data = DataConfig(root=pairs_folder, holdout=0.5, direction="BtoA")
    found = PairedData.find(data, 0)
    got = list(found.held_out_batches(data, TRANSFORM))
    assert [batch.path_A for batch in got] == [[str(pair.B.path)] for pair in found.held_out]
    wanted = TRANSFORM.center(found.held_out[0].A.raster()).tensor()
    assert torch.equal(got[0].B[0], wanted)


def test_resolve_workers() -> None:
    assert resolve_workers(DataConfig(workers=3), "cpu") == 3
    auto, cached = DataConfig(), DataConfig(cache="memory")
    assert 0 <= resolve_workers(auto, "cpu") <= resolve_workers(auto, "cuda") <= 8
    assert resolve_workers(cached, "cpu") == 0


def first_row(sheet: Pixels) -> Pixels:
    return sheet[TITLE_HEIGHT + GAP :][:32]


def test_preview(pairs_folder: Path) -> None:
    plain: dict[str, Any] = {"root": pairs_folder, "load_size": 36, "crop_size": 32}
    sheet = preview_data(PairedData, DataConfig.model_validate(plain), 0, rows=2, columns=3)
    assert sheet.size == (TITLE_HEIGHT + GAP + 2 * (32 + GAP), GAP + 4 * (64 + GAP))
    cell = first_row(sheet.pixels)[:, GAP:]
    np.testing.assert_array_equal(cell[:, :32], cell[:, 32:64])
    darker = {"color": [{"name": "ColorJitter", "brightness": [0.1, 0.2], "p": 1}]}
    dark = DataConfig.model_validate({**plain, "augment": darker, "direction": "BtoA"})
    swapped = preview_data(PairedData, dark, 0, rows=1)
    cell = first_row(swapped.pixels)[:, 64 + 2 * GAP :][:, :64]
    assert cell[:, :32].mean() < 0.5 * cell[:, 32:].mean()  # colour is the input's, on the left
