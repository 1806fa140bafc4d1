"""Results have no data where their inputs have none, and only what holds data is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from img2img import Translator, translate_folder
from img2img.images import Domain, Picture, read_native_picture
from tests.translate.test_masks import negative

rasterio = pytest.importorskip("rasterio")


def holes(size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """Where there is data: not in the first two rows."""
    valid = np.ones(size, bool)
    valid[:2] = False
    return valid


def translated(tested: Translator, path: Path) -> Picture:
    output = path.parent / "out" / path.name
    assert not translate_folder(tested, path, output).failed
    return read_native_picture(output)


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("uint16", 0), ("float32", -1.0)])
def test_geotiff(dtype: Any, nodata: float, tmp_path: Path) -> None:
    """By the library that its users have."""
    values = np.arange(128, dtype=dtype).reshape(2, 8, 8) + 100
    values[:, ~holes()] = nodata
    path = tmp_path / "tile.tif"
    options = {"driver": "GTiff", "height": 8, "width": 8, "count": 2, "dtype": dtype}
    transform = rasterio.transform.from_origin(500000, 5000000, 10, 10)
    with rasterio.open(
        path, "w", **options, nodata=nodata, crs="EPSG:32632", transform=transform
    ) as file:
        file.write(values)
    domain = Domain(dtype=dtype, channels=("1", "2"), low=0, high=300)
    translated(negative(domain), path)
    with rasterio.open(tmp_path / "out/tile.tif") as file:
        assert (file.nodata, file.crs, file.transform) == (nodata, "EPSG:32632", transform)
        made, masks = file.read(), file.read_masks()
    assert (masks[:, holes()] > 0).all()
    assert (masks[:, ~holes()] == 0).all()
    assert (made[:, ~holes()] == nodata).all()
    assert made[:, holes()] == pytest.approx(300 - values[:, holes()], abs=1e-3)


@pytest.mark.parametrize(
    ("dtype", "nodata", "next_to"), [("uint8", 0, 1), ("uint8", 255, 254), ("int16", -7, 0)]
)
def test_no_result_becomes_one_without_data(
    dtype: Any, nodata: int, next_to: int, tmp_path: Path
) -> None:
    """The negative of 255 - 0 is the value that stands for no data: the next one is taken."""
    values = np.full((1, 8, 8), 255 - max(nodata, 0), dtype)
    path = tmp_path / "tile.tif"
    options = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "dtype": dtype}
    place = rasterio.transform.from_origin(0, 80, 10, 10)
    with rasterio.open(path, "w", **options, nodata=nodata, crs="EPSG:3857", transform=place) as f:
        f.write(values)
    translated(negative(Domain(dtype=dtype, channels=("grey",), low=0, high=255)), path)
    with rasterio.open(tmp_path / "out/tile.tif") as file:
        assert (file.read_masks(1) > 0).all()
        assert (file.read(1) == next_to).all()


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_nan_stays(suffix: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    values[~holes()] = np.nan
    values[0, 0, 1:] = np.inf  # of some channels is of all
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    else:
        import tifffile

        tifffile.imwrite(path, values, photometric="rgb")
    made = translated(negative(Domain(dtype="float32", low=0, high=1)), path)
    assert made.valid is not None
    assert np.array_equal(made.valid, holes())
    assert made.pixels[holes()] == pytest.approx(1 - values[holes()], abs=1e-6)


def test_a_value_that_the_model_knows(tmp_path: Path) -> None:
    """Of files that do not say it themselves; a type without it has another."""
    path = tmp_path / "a.npy"
    values = np.full((8, 8), 100, np.int16)
    values[~holes()] = -9999
    np.save(path, values)
    domain = Domain(dtype="int16", channels=("grey",), low=0, high=300, nodata=-9999)
    translated(negative(domain), path)
    made = np.load(tmp_path / "out/a.npy")
    assert (made[~holes()] == -9999).all()
    assert (made[holes()] == 200).all()
    eight = Domain.of_type("uint8", ("grey",))
    translated(negative(domain, eight), path)
    assert (np.load(tmp_path / "out/a.npy")[~holes()] == 0).all()


def test_nan_in_an_array() -> None:
    values = np.full((4, 4, 3), 0.25, np.float32)
    values[0] = np.nan
    made = negative(Domain(dtype="float32", low=0, high=1)).translate(Picture(values))
    assert np.isnan(made.pixels[0]).all()
    assert made.pixels[1:] == pytest.approx(0.75)


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_what_is_clipped_is_counted(dtype: Any, channels: int, tmp_path: Path) -> None:
    """Pixels in which any channel is outside, of those that hold data."""
    values = np.full((8, 8, channels), 50, dtype)
    values[~holes()] = -9999
    values[5, :3, -1] = 1000
    values[6, 0, 0] = -1
    path = tmp_path / "a.npy"
    np.save(path, values)
    domain = Domain.model_validate(
        {
            "dtype": dtype,
            "channels": [f"c{n}" for n in range(channels)],
            "low": 0,
            "high": 100,
            "nodata": -9999,
        }
    )
    said: list[str] = []
    made = translated(negative(domain, say=said.append), path)
    (line,) = said
    assert line.startswith("a picture has values outside 0..100")
    assert "8.3 % of the pixels (4)" in line  # of 48
    assert made.pixels[5, 0, -1] == 0
    assert made.pixels[6, 0, 0] == 100
