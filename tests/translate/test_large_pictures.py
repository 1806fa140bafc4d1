"""Pictures that are larger than memory are read, translated and written by rows."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from img2img import Translator, translate_folder
from img2img.config import Component
from img2img.engine import memory, rows
from img2img.errors import TranslationStopped
from img2img.images import Domain
from img2img.networks import GENERATORS
from img2img.networks.norms import ImageStatistics, use_statistics
from tests.specs import spec_of

INPUT = Domain(dtype="uint16", channels=("1", "2", "3", "4", "5"), low=0, high=4095)
OUTPUT = Domain(dtype="float32", channels=("a", "b"), low=250, high=310)
ARGUMENTS: dict[str, Any] = {"ngf": 4, "n_blocks": 2}


def translator(**options: Any) -> Translator:
    torch.manual_seed(0)
    section = Component(name="resnet", init="kaiming", **ARGUMENTS)
    made = GENERATORS.build(section, "generator", in_channels=5, out_channels=2)
    use_statistics(made, ImageStatistics())
    made = made.eval().requires_grad_(False)
    arguments = {"init": "kaiming", **ARGUMENTS}
    spec = spec_of(made, (5, 2), architecture="resnet", arguments=arguments)
    spec = spec.model_copy(update={"input": INPUT, "output": OUTPUT})
    return Translator(made, spec, device="cpu", precision="fp32", **options)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A GeoTIFF of five bands, whose sides no network divides, with pixels without data."""
    path = tmp_path / "in/scene.tif"
    path.parent.mkdir()
    values = np.random.default_rng(0).integers(1, 4096, (5, 601, 333)).astype(np.uint16)
    values[:, 100:120, 30:60] = 0
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=601,
        width=333,
        count=5,
        dtype="uint16",
        crs="EPSG:32632",
        transform=from_origin(500000, 5200000, 10, 10),
        nodata=0,
    ) as file:
        file.write(values)
    return path


@pytest.mark.parametrize("mapped", [False, True])
def test_rows_give_what_the_whole_gives(
    mapped: bool, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = translate_folder(translator(), scene.parent, tmp_path / "whole")
    assert not report.failed
    monkeypatch.setattr(memory, "_MOST_WHOLE", 1)
    monkeypatch.setattr(memory, "_AHEAD", 1)
    monkeypatch.setattr(rows, "_BLOCK", 64)
    if mapped:
        monkeypatch.setattr(rows, "_MAPS", 10**9)
    report = translate_folder(translator(), scene.parent, tmp_path / "rows")
    assert not report.failed
    with rasterio.open(tmp_path / "whole/scene.tif") as file:
        whole = file.read()
    with rasterio.open(tmp_path / "rows/scene.tif") as file, rasterio.open(scene) as given:
        made = file.read()
        assert (file.crs, file.transform, file.dtypes) == (
            given.crs,
            given.transform,
            ("float32", "float32"),
        )
    assert made.shape == (2, 601, 333)
    np.testing.assert_allclose(made, whole, rtol=0, atol=60 * 2e-5, equal_nan=True)
    assert [path.name for path in (tmp_path / "rows").iterdir() if path.is_dir()] == []


def test_a_full_disk_is_an_error_of_one_line(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory, "_MOST_WHOLE", 1)
    monkeypatch.setattr(memory, "_AHEAD", 1)
    monkeypatch.setattr(rows, "_MAPS", 10**9)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(TranslationStopped, match="no room for"):
        translate_folder(translator(), scene.parent, tmp_path / "out")
    assert not (tmp_path / "out/scene.tif").exists()
