"""Several inputs for one output, and volumes slice by slice, there and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from nibabel.testing import data_path
from PIL import Image
from torch import Tensor, nn

from img2img import Translator, translate_folder
from img2img.errors import ConfigError, ImageError
from img2img.images import Domain, Frames, read_native
from img2img.images.domain import Axis
from img2img.models.spec import ModelSpec
from img2img.networks import Generator
from img2img.networks.base import Stage

ANATOMY = Path(data_path) / "anatomical.nii"


ZYX: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}


class Mixing(Generator):
    """Sums of its channels."""

    size_multiple = 1
    min_size = 1
    local = True

    def __init__(self, weights: Sequence[Sequence[float]]) -> None:
        super().__init__()
        matrix = torch.tensor(weights, dtype=torch.float32)
        self.layer = nn.Conv2d(matrix.shape[1], matrix.shape[0], 1, bias=False)
        self.layer.weight.data = matrix[..., None, None]

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.layer(x)
        return y

    def stages(self) -> list[Stage]:
        return [Stage(self.layer)]


def mixing(
    weights: Sequence[Sequence[float]], input: Domain, output: Domain, **options: Any
) -> Translator:
    generator = Mixing(weights)
    spec = ModelSpec.of(generator, input=input, output=output)
    return Translator(generator, spec, **{"device": "cpu", "precision": "fp32", **options})


def grey(dtype: Any, low: float, high: float, axis: Axis = "z") -> Domain:
    return Domain(dtype=dtype, channels=("grey",), low=low, high=high, axis=axis)


def neighbours(domain: Domain) -> Translator:
    """Gives the slice after each one."""
    return mixing([[0, 0, 1]], domain.with_neighbours(1), domain)


class TestVolumes:
    @pytest.mark.parametrize("axis", ["z", "y", "x"])
    def test_a_scan_comes_back_exactly(self, tmp_path: Path, axis: Axis) -> None:
        """A real file: int16, not in the usual order of axes."""
        domain = grey("int16", -32768, 32767, axis)
        translate_folder(mixing([[1]], domain, domain), ANATOMY, tmp_path / "out.nii.gz")
        before, after = nibabel.load(ANATOMY), nibabel.load(tmp_path / "out.nii.gz")
        assert after.shape == before.shape
        assert np.array_equal(after.affine, before.affine)
        assert after.header.get_zooms() == before.header.get_zooms()
        assert np.array_equal(after.get_fdata(), before.get_fdata())

    def test_a_stack_of_imagej_comes_back(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(0, 4096, (5, 24, 32), dtype=np.uint16)
        about = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
        tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata=about)
        domain = grey("uint16", 0, 4095)
        translate_folder(mixing([[1]], domain, domain), tmp_path / "a.tif", tmp_path / "out")
        with tifffile.TiffFile(tmp_path / "out/a.tif") as file:
            assert file.series[0].axes == "ZYX"
            assert (file.imagej_metadata or {})["spacing"] == 0.5
            assert np.array_equal(file.asarray(), values)

    def test_an_array_of_numpy_comes_back(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(-999, 999, (66, 70, 65), dtype=np.int16)
        np.save(tmp_path / "a.npy", values)
        domain = grey("int16", -1000, 1000, "y")
        translate_folder(mixing([[1]], domain, domain), tmp_path / "a.npy", tmp_path / "out.npy")
        assert np.array_equal(np.load(tmp_path / "out.npy"), values)

    def test_of_floats_to_a_millionth_of_the_range(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).normal(20, 5, (5, 24, 32)).astype(np.float32)
        tifffile.imwrite(tmp_path / "a.tif", values, **ZYX)
        domain = grey("float32", -20, 60, "y")
        translate_folder(mixing([[1]], domain, domain), tmp_path / "a.tif", tmp_path / "out")
        assert np.abs(tifffile.imread(tmp_path / "out/a.tif") - values).max() < 80e-6

    @pytest.mark.parametrize("axis", ["z", "y", "x"])
    def test_neighbours_are_those_along_the_axis(self, tmp_path: Path, axis: Axis) -> None:
        """The last slice is its own neighbour."""
        values = np.random.default_rng(0).integers(0, 256, (4, 5, 6), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "a.tif", values, **ZYX)
        translator = neighbours(grey("uint8", 0, 255, axis))
        translate_folder(translator, tmp_path / "a.tif", tmp_path / "out")
        along = "zyx".index(axis)
        after = [*range(1, values.shape[along]), values.shape[along] - 1]
        expected = np.take(values, after, along)
        assert np.array_equal(tifffile.imread(tmp_path / "out/a.tif"), expected)

    def test_in_python(self) -> None:
        domain = grey("int16", -32768, 32767)
        volume = read_native(ANATOMY)
        assert isinstance(volume, Frames)
        result = neighbours(domain).translate(volume)
        assert len(result.frames) == len(volume.frames)
        assert np.array_equal(result.frames[0].pixels, volume.frames[1].pixels)

    def test_a_single_picture_is_its_own_neighbour(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (9, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        translate_folder(neighbours(grey("uint8", 0, 255)), tmp_path / "a.png", tmp_path / "out")
        assert np.array_equal(np.array(Image.open(tmp_path / "out/a.png")), pixels)

    def test_no_data_stay_none(self, tmp_path: Path) -> None:
        """Where the slice itself has none, whatever its neighbours have."""
        values = np.random.default_rng(0).normal(0, 1, (3, 8, 9)).astype(np.float32)
        values[1, 2:4] = np.nan
        tifffile.imwrite(tmp_path / "a.tif", values, **ZYX)
        translate_folder(neighbours(grey("float32", -5, 5)), tmp_path / "a.tif", tmp_path / "out")
        result = tifffile.imread(tmp_path / "out/a.tif")
        assert np.array_equal(np.isnan(result), np.isnan(values))


INPUTS = Domain.beside(
    {
        "dapi": grey("uint16", 0, 4095),
        "phase": grey("float32", -1, 1),
        "mask": grey("uint8", 0, 255),
    }
)


def of_dapi() -> Translator:
    """Gives the first of three inputs."""
    return mixing([[1, 0, 0]], INPUTS, INPUTS.inputs[0])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in "ab":
        dapi = random.integers(0, 4096, (8, 9), dtype=np.uint16)
        phase = random.uniform(-1, 1, (8, 9)).astype(np.float32)
        mask = random.integers(0, 256, (8, 9), dtype=np.uint8)
        for folder, pixels in (("dapi", dapi), ("phase", phase), ("mask", mask)):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", pixels)
    return tmp_path


class TestSeveralInputs:
    def test_each_is_scaled_by_its_own_range(self, folders: Path) -> None:
        every = [folders / name for name in ("dapi", "phase", "mask")]
        for channel, name in enumerate(("dapi", "phase", "mask")):
            weights = [[float(n == channel) for n in range(3)]]
            domain = INPUTS.inputs[channel]
            report = translate_folder(
                mixing(weights, INPUTS, domain), every, folders / f"of-{name}"
            )
            assert not report.failed
            assert [path.name for path in report.written] == ["a.tif", "b.tif"]
            result = tifffile.imread(folders / f"of-{name}/a.tif")
            expected = tifffile.imread(folders / name / "a.tif")
            assert result.dtype == expected.dtype
            assert np.abs(result - expected).max() <= (1e-6 if name == "phase" else 0)

    def test_by_the_names_of_the_folders(self, folders: Path) -> None:
        """Results are called like the files of the first that was given."""
        (folders / "mask/a.tif").rename(folders / "mask/a.tiff")
        every = [folders / name for name in ("mask", "dapi", "phase")]
        translator = of_dapi()
        report = translate_folder(translator, every, folders / "out")
        assert sorted(path.name for path in report.written) == ["a.tiff", "b.tif"]
        result = tifffile.imread(folders / "out/a.tiff")
        assert np.array_equal(result, tifffile.imread(folders / "dapi/a.tif"))

    def test_single_files(self, folders: Path) -> None:
        every = [folders / name / "b.tif" for name in ("dapi", "phase", "mask")]
        translator = of_dapi()
        translate_folder(translator, every, folders / "out.tif")
        result = tifffile.imread(folders / "out.tif")
        assert np.array_equal(result, tifffile.imread(folders / "dapi/b.tif"))

    def test_partners_that_are_missing_are_named(self, folders: Path) -> None:
        (folders / "phase/a.tif").rename(folders / "phase/c.tif")
        every = [folders / name for name in ("dapi", "phase", "mask")]
        report = translate_folder(of_dapi(), every, folders / "o")
        assert [path.name for path in report.written] == ["b.tif"]
        assert report.failed == {
            folders / "dapi/a.tif": f"no partner in {folders / 'phase'}",
            folders / "phase/c.tif": f"no partner in {folders / 'dapi'}",
        }

    def test_a_wrong_type_is_named(self, folders: Path) -> None:
        tifffile.imwrite(folders / "phase/a.tif", np.zeros((8, 9), np.uint16))
        every = [folders / name for name in ("dapi", "phase", "mask")]
        report = translate_folder(of_dapi(), every, folders / "o")
        (reason,) = report.failed.values()
        assert reason == f"{folders / 'phase/a.tif'}: values of uint16, but float32 expected"

    def test_changed_partners_are_translated_again(self, folders: Path) -> None:
        every = [folders / name for name in ("dapi", "phase", "mask")]
        translator = mixing([[0, 1, 0]], INPUTS, INPUTS.inputs[1])
        translate_folder(translator, every, folders / "out")
        tifffile.imwrite(folders / "phase/b.tif", np.zeros((8, 9), np.float32), software="another")
        report = translate_folder(translator, every, folders / "out", skip_existing=True)
        assert [path.name for path in report.written] == ["b.tif"]
        assert tifffile.imread(folders / "out/b.tif").max() == 0

    def test_too_few_are_refused(self, folders: Path) -> None:
        translator = of_dapi()
        with pytest.raises(ConfigError, match=r"2 given, .* 3 inputs \(dapi, phase, mask\)"):
            translate_folder(translator, [folders / "dapi", folders / "phase"], folders / "out")

    def test_in_python(self) -> None:
        domain = Domain.beside({"a": grey("uint8", 0, 255), "b": grey("uint8", 0, 255)})
        random = np.random.default_rng(0)
        a, b = (random.integers(0, 256, (8, 9), dtype=np.uint8) for _ in "ab")
        translator = mixing([[0, 1]], domain, grey("uint8", 0, 255))
        assert np.array_equal(translator.translate([a, b]), b)
        with pytest.raises(ImageError, match="1 image, but the model takes 2"):
            translator.translate([a])
