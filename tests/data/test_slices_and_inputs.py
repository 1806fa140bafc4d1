"""Several inputs that together are A, and slices of volumes, as training data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from img2img.config import DataConfig
from img2img.data import slices
from img2img.data.augment import Transform
from img2img.data.check import check_images
from img2img.data.domains import as_config, resolve_domains
from img2img.data.paired import PairedData
from img2img.data.samples import Sample
from img2img.data.unpaired import UnpairedData
from img2img.errors import ConfigError, DataError
from img2img.images import Domain, Frames, Picture, read_native
from tests.conftest import Command

ZYX: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}


def write_volume(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, **ZYX)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Of 4 slices each; every value says which slice of which volume it is."""
    for name in range(5):
        values = np.zeros((4, 16, 12), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None]
        write_volume(tmp_path / f"A/{name}.tif", values + np.uint8(10 * name))
        write_volume(tmp_path / f"B/{name}.tif", values + np.uint8(10 * name + 100))
    return tmp_path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for folder in "dapi", "phase", "B":
        (tmp_path / folder).mkdir()
    for name in "abcd":
        dapi = random.integers(0, 4001, (16, 12), dtype=np.uint16)
        tifffile.imwrite(tmp_path / f"dapi/{name}.tif", dapi)
        phase = random.uniform(-1, 1, (16, 12)).astype(np.float32)
        tifffile.imwrite(tmp_path / f"phase/{name}.tif", phase)
        Image.fromarray(np.uint8(dapi // 16)).save(tmp_path / f"B/{name}.png")
    return tmp_path


def config(folder: Path, **keys: Any) -> DataConfig:
    known = {"root": folder, "crop_size": 12, "resize": "none", "workers": 0, "holdout": "none"}
    return DataConfig(**known | keys)


def of_inputs(folder: Path, **keys: Any) -> DataConfig:
    two = [folder / "dapi", folder / "phase"]
    return config(folder, root=None, inputs=two, root_b=folder / "B", **keys)


def samples(data: DataConfig) -> tuple[list[Sample], dict[str, Domain]]:
    """All held-out samples in order, as they are, and the domains."""
    found = PairedData.find(data, 0)
    survey = check_images(found.items, None, found.held_out)
    assert not survey.problems
    domains = resolve_domains(data, survey.values)
    transform = Transform(data, (12, 12), (12, 12), {1})
    seen = found.seen_as(domains)
    batches = [
        batch for n in range(len(found)) for batch in seen.only(n).held_out_batches(data, transform)
    ]
    return [Sample(b.A[0], b.B[0], b.path_A[0], b.path_B[0]) for b in batches], domains


class TestVolumes:
    def test_each_slice_is_a_sample(self, volumes: Path) -> None:
        every, domains = samples(config(volumes))
        assert len(every) == 20
        numbers = [round(float(sample.A[0, 0, 0] + 1) * 127.5) for sample in every]
        assert numbers == [10 * name + n for name in range(5) for n in range(4)]
        assert all(torch.allclose(s.A + 200 / 255, s.B, atol=1e-6) for s in every)
        assert domains["A"].channels == ("grey",)

    def test_along_another_axis(self, volumes: Path) -> None:
        both = {"axis": "y"}
        data = config(volumes, A=both, B=both, crop_size=4, holdout="auto")
        found = PairedData.find(data, 0)
        assert (len(found), len(found.held_out)) == (64, 16)
        survey = check_images(found.items)
        assert survey.sizes["A"] == {(4, 12): 80}

    def test_whole_volumes_are_held_out(self, volumes: Path) -> None:
        found = PairedData.find(config(volumes, holdout=0.4), 0)
        trained = {pair.A.path for pair in found.train}
        held_out = {pair.A.path for pair in found.held_out}
        assert (len(trained), len(held_out)) == (3, 2)
        assert not trained & held_out
        assert found.counts == "12 pairs to train (slices of 3 volumes)"

    def test_of_a_single_volume_the_last_slices_are(self, volumes: Path) -> None:
        for name in range(1, 5):
            for side in "AB":
                (volumes / f"{side}/{name}.tif").unlink()
        found = PairedData.find(config(volumes, holdout=0.25, A={"neighbours": 1}), 0)
        assert [pair.name for pair in found.held_out] == ["A/0#4"]
        assert [pair.name for pair in found.train] == ["A/0#1", "A/0#2"]

    def test_neighbours_are_channels(self, volumes: Path) -> None:
        """Those of the same volume: the first slice is its own neighbour."""
        every, domains = samples(config(volumes, A={"neighbours": 1}))
        assert domains["A"].channels == ("-1:grey", "grey", "+1:grey")
        found = [[round(float(x + 1) * 127.5) for x in sample.A[:, 0, 0]] for sample in every[4:8]]
        assert found == [[10, 10, 11], [10, 11, 12], [11, 12, 13], [12, 13, 13]]

    def test_neighbours_of_the_target_are_refused(self, volumes: Path) -> None:
        with pytest.raises(ConfigError, match="B is the target"):
            PairedData.find(config(volumes, B={"neighbours": 1}), 0)

    def test_other_numbers_of_slices_are_one_line(self, volumes: Path) -> None:
        write_volume(volumes / "B/3.tif", np.zeros((5, 16, 12), np.uint8))
        found = PairedData.find(config(volumes), 0)
        (problem,) = found.problems
        assert problem.kind == "slices"
        assert problem.message == (f"{volumes / 'A/3.tif'} has 4 slices, {volumes / 'B/3.tif'} 5")
        assert len(found) == 16

    def test_a_volume_is_decoded_once(self, volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        decoded: list[Path] = []

        def read(path: Path, **options: Any) -> Picture | Frames:
            decoded.append(path)
            return read_native(path, **options)

        monkeypatch.setattr(slices, "read_native", read)
        monkeypatch.setattr("img2img.data.sources.VOLUMES", slices.Volumes())
        samples(config(volumes, A={"neighbours": 1}))
        assert len(decoded) == len({*decoded}) == 10

    def test_masks_are_volumes_too(self, volumes: Path) -> None:
        for name in range(5):
            mask = np.zeros((4, 16, 12), np.uint8)
            mask[1, :, :6] = 255
            write_volume(volumes / f"masks/{name}.tif", mask)
        found = PairedData.find(config(volumes, mask=volumes / "masks"), 0)
        masks = [pair.A.read().mask for pair in found.train[4:8]]
        assert [0 if mask is None else int(mask.sum()) for mask in masks] == [0, 96, 0, 0]

    def test_unpaired_volumes(self, volumes: Path) -> None:
        found = UnpairedData.find(config(volumes, A={"axis": "x"}, holdout=0.2), 0)
        assert (len(found.train_A), len(found.train_B)) == (4 * 12, 4 * 4)


class TestSeveralInputs:
    def test_channels_are_beside_each_other(self, inputs: Path) -> None:
        data = of_inputs(inputs)
        every, domains = samples(data)
        assert domains["A"].channels == ("dapi:grey", "phase:grey")
        assert domains["A"].high[0] == 4095
        dapi = tifffile.imread(inputs / "dapi/a.tif")[2:14] / 4095 * 2 - 1
        assert np.abs(every[0].A[0].numpy() - dapi).max() <= 1 / 65535  # integers have 16 bits
        low, high = domains["A"].low[1], domains["A"].high[1]
        phase = tifffile.imread(inputs / "phase/a.tif")[2:14]
        phase = (phase - low) / (high - low) * 2 - 1
        assert np.abs(every[0].A[1].numpy() - phase).max() < 1e-5

    @pytest.mark.parametrize("neighbours", [0, 1])
    def test_the_domain_is_found_again(self, inputs: Path, neighbours: int) -> None:
        """From what a run's configuration keeps of it, and from a model file."""
        data = of_inputs(inputs, A={"neighbours": neighbours})
        found = PairedData.find(data, 0)
        values = check_images(found.items).values
        domain = resolve_domains(data, values)["A"]
        kept = data.model_copy(update={"A": as_config(domain)})
        again = resolve_domains(kept, values)["A"]
        assert again.model_copy(update={"view": domain.view}) == domain
        assert Domain.model_validate_json(domain.model_dump_json()) == domain

    def test_ranges_by_channel(self, inputs: Path) -> None:
        names = ["dapi:grey", "phase:grey"]
        side = {"channels": names, "range": [[0, 3000], [-2, 2]]}
        _, domains = samples(of_inputs(inputs, A=side))
        assert (domains["A"].low, domains["A"].high) == ((0, -2), (3000, 2))

    def test_partners_that_are_missing_are_named(self, inputs: Path) -> None:
        (inputs / "phase/b.tif").unlink()
        (inputs / "dapi/c.tif").unlink()
        found = PairedData.find(of_inputs(inputs), 0)
        messages = {problem.message for problem in found.problems}
        assert messages == {
            f"{inputs / 'dapi/b.tif'}: no partner in {inputs / 'phase'}",
            f"{inputs / 'phase/c.tif'}: no partner in {inputs / 'dapi'}",
            f"{inputs / 'B/c.png'}: no partner in {inputs / 'dapi'}",
        }
        assert len(found) == 2

    def test_others_are_brought_to_the_size_of_the_first(self, inputs: Path) -> None:
        tifffile.imwrite(inputs / "phase/a.tif", np.zeros((32, 24), np.float32))
        every, _ = samples(of_inputs(inputs))
        assert every[0].A.shape == (2, 12, 12)

    def test_other_shapes_are_a_problem(self, inputs: Path) -> None:
        tifffile.imwrite(inputs / "phase/a.tif", np.zeros((32, 32), np.float32))
        found = PairedData.find(of_inputs(inputs), 0)
        (problem,) = check_images(found.items).problems
        assert problem.kind == "size"
        assert f"{inputs / 'phase/a.tif'} has 32 x 32" in problem.message

    def test_folders_of_the_same_name(self, inputs: Path) -> None:
        for site in "one", "two":
            (inputs / site).mkdir()
        (inputs / "dapi").rename(inputs / "one/raw")
        (inputs / "phase").rename(inputs / "two/raw")
        two = [inputs / "one/raw", inputs / "two/raw"]
        _, domains = samples(config(inputs, root=None, inputs=two, root_b=inputs / "B"))
        assert domains["A"].channels == ("one/raw:grey", "two/raw:grey")

    def test_the_same_folder_twice_is_refused(self, inputs: Path) -> None:
        two = [inputs / "dapi", inputs / "dapi"]
        with pytest.raises(DataError, match="same folder"):
            PairedData.find(config(inputs, root=None, inputs=two, root_b=inputs / "B"), 0)

    def test_of_unpaired_data(self, inputs: Path) -> None:
        (inputs / "B/a.png").unlink()
        found = UnpairedData.find(of_inputs(inputs), 0)
        assert (len(found.train_A), len(found.train_B)) == (4, 3)
        assert [file.path.parent.name for file in found.train_A[0].files] == ["dapi", "phase"]

    def test_the_command(self, inputs: Path, img2img: Command) -> None:
        folders = ["--data-a", inputs / "dapi", "--data-a", inputs / "phase"]
        outcome = img2img("data", "check", *folders, "--data-b", inputs / "B")
        assert outcome.status == 0
        assert "A:dapi: 1 channel, uint16" in outcome.out
        assert "A:phase: 1 channel, float32" in outcome.out
