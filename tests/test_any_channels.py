"""A model of five channels of 16 bits to two of floating-point numbers, used as any other is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from img2img import Translator
from tests.conftest import Command

# Temperature in degrees, of which some images have none in a corner.
LOW, HIGH = 280.0, 300.0


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Five bands of up to 12 bits, and what depends on them: two channels of floats."""
    random = np.random.default_rng(seed)
    bands = random.integers(0, 4096, (8, 8, 5)).repeat(4, 0).repeat(4, 1).astype(np.uint16)
    degrees = (bands[..., :2] / 4095 * (HIGH - LOW) + LOW).astype(np.float32)
    return bands, degrees


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(6):
        bands, degrees = scene(number)
        if number == 0:
            degrees[:4, :4] = np.nan
        write(folder / "A" / f"{number}.tif", bands)
        write(folder / "B" / f"{number}.tif", degrees)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, scenes: Path, train: Command) -> Path:
    """Of a generator with a linear head, whose targets are beyond the range that is set."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = {
        "generator.output": "linear",
        "optimizer.lr": 0.01,
        "data.A.show": "[3, 2, 1]",
        "data.B.show": "2:viridis",
        "data.B.range": "[288, 292]",
        "data.holdout": 0.3,
        "metrics.tensorboard": "false",
    }
    arguments = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    outcome = train(folder, "--data", scenes, "--max-steps", 60, *arguments)
    assert outcome.status == 0, outcome.err
    return folder


def test_info_says_what_both_sides_are(run: Path, img2img: Command) -> None:
    text = " ".join(img2img("info", run).out.split())
    assert "5 channels, uint16 0..4095 (12" in text
    assert "2 channels, float32 288..292" in text
    assert "and beyond" in text


def test_a_linear_head_is_not_bounded(run: Path) -> None:
    """Neither are the targets that it is trained on, nor its results."""
    translator = Translator.load(run, device="cpu")
    assert translator.spec.output.clip is False
    result = translator.translate(scene(0)[0])
    assert (str(result.dtype), result.shape) == ("float32", (32, 32, 2))
    assert result.min() < 288
    assert result.max() > 292


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_an_export_gives_the_same_files(
    run: Path, scenes: Path, tmp_path: Path, suffix: str, img2img: Command
) -> None:
    exported = tmp_path / f"m{suffix}"
    kind = {".onnx": "onnx", ".xml": "openvino"}[suffix]
    done = img2img("export", run, "--format", kind, "--output", exported)
    assert done.status == 0, done.err
    both = {"model": (run, ("--precision", "fp32")), "export": (exported, ())}
    for name, (model, options) in both.items():
        told = img2img(
            "translate", "--model", model, "--input", scenes / "A", "--output", tmp_path / name,
            "--device", "cpu", *options
        )  # fmt: skip
        assert told.status == 0, told.err
    for number in range(6):
        one, other = (tifffile.imread(tmp_path / name / f"{number}.tif") for name in both)
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=0.01)


def test_an_export_says_what_both_sides_are(run: Path, tmp_path: Path, img2img: Command) -> None:
    import onnx

    exported = tmp_path / "m.onnx"
    assert img2img("export", run, "--output", exported).status == 0
    texts = {each.key: each.value for each in onnx.load(exported).metadata_props}
    spec = json.loads(texts["img2img"])["spec"]
    assert (spec["input"]["dtype"], len(spec["input"]["channels"])) == ("uint16", 5)
    assert (spec["output"]["low"], spec["output"]["high"]) == ([288, 288], [292, 292])


def test_pixels_are_for_8_bits_only(run: Path, tmp_path: Path, img2img: Command) -> None:
    refused = img2img("export", run, "--pixels", "--output", tmp_path / "m.onnx")
    assert refused.status == 2
    assert "--pixels" in refused.err
    assert "uint16" in refused.err
    assert not any(tmp_path.iterdir())


def test_what_is_shown_is_kept_with_the_run_and_the_model(
    run: Path, scenes: Path, tmp_path: Path, img2img: Command
) -> None:
    config = (run / "config.yaml").read_text()
    assert "show: 3,2,1" in config
    assert "show: 2:viridis" in config
    spec = Translator.load(run, device="cpu").spec
    assert spec.input.view is not None
    assert spec.output.view is not None
    assert spec.input.view.channels == (3, 2, 1)
    assert spec.output.view.colormap == "viridis"
    shown = {}
    for name, options in ("usual", ()), ("other", ("--show", "5,4,3")):
        done = img2img(
            "translate", "--model", run, "--input", scenes / "A" / "1.tif",
            "--output", tmp_path / name, "--gallery", "--compare", *options
        )  # fmt: skip
        assert done.status == 0, done.err
        (before,) = (tmp_path / name / "gallery").glob("*-before.jpg")
        beside = np.asarray(Image.open(tmp_path / name / "compare" / "1.tif.png"))
        assert beside.shape == (32, 64, 3)
        shown[name] = np.asarray(Image.open(before)), beside
    bands = scene(1)[0] / 4095
    order = {"usual": (2, 1, 0), "other": (4, 3, 2)}
    for name, (thumbnail, beside) in shown.items():
        for pixels in (thumbnail, beside[:, :32]):
            levels = pixels[2::4, 2::4] / 255  # in the middle of each square
            expected = bands[2::4, 2::4][..., order[name]]
            assert np.abs(levels - expected).mean() < 0.08
    refused = img2img("report", run, "--show", "9")
    assert (refused.status, "--show: no channel 9" in refused.err) == (2, True)


def test_pages_of_a_run(run: Path, scenes: Path, tmp_path: Path, img2img: Command) -> None:
    report = img2img("report", run, "--output", tmp_path / "report.html")
    assert report.status == 0, report.err
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/webp") >= 2 * 3
    compared = img2img("compare", run, run, "--data", scenes, "--output", tmp_path / "c.html")
    assert compared.status == 0, compared.err
    preview = img2img("data", "preview", "--data", scenes, "--output", tmp_path / "p.png")
    assert preview.status == 0, preview.err
    assert Image.open(tmp_path / "p.png").mode == "RGB"


def differences(folder: Path, scenes: Path) -> np.ndarray:
    """The mean absolute difference of each channel, in degrees, of images with data, by image."""
    found = []
    for number in range(6):
        made, wanted = (
            tifffile.imread(each / f"{number}.tif").astype(np.float64)
            for each in (folder, scenes / "B")
        )
        found.append(np.nanmean(np.abs(made - wanted), axis=(0, 1)))
    return np.array(found)


def test_figures_of_two_folders_are_those_of_the_numbers_in_them(
    scenes: Path, tmp_path: Path, img2img: Command
) -> None:
    """L1 by channel and in degrees, PSNR by the span of the targets; no data does not count."""
    random = np.random.default_rng(0)
    for number in range(6):
        wanted = tifffile.imread(scenes / "B" / f"{number}.tif")
        error = random.normal(0, (1, 3), wanted.shape)
        made = np.where(np.isnan(wanted), 7, wanted + error).astype(np.float32)
        write(tmp_path / "made" / f"{number}.tif", made)
    done = img2img("evaluate", tmp_path / "made", scenes / "B", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    apart = differences(tmp_path / "made", scenes).mean(0)
    assert [*found["l1"]["in_units"].values()] == pytest.approx(apart.tolist(), rel=0.02)
    span = apart[0] / found["l1"]["channels"]["1"]
    assert 20 <= span <= 23  # degrees, and a margin
    assert found["l1"]["value"] == pytest.approx(apart.mean() / span, rel=0.02)
    assert found["psnr"]["channels"]["1"] == pytest.approx(20 * np.log10(span / 1), abs=0.5)
    assert found["psnr"]["channels"]["2"] == pytest.approx(20 * np.log10(span / 3), abs=0.5)
    assert found["ssim"]["channels"].keys() == {"1", "2"}
    assert "RGB" in found["missing"]["fid"]
    refused = img2img("evaluate", tmp_path / "made", scenes / "B", "--measures", "lpips")
    assert refused.status == 2
    assert "lpips: needs RGB images" in refused.err


def test_a_folder_of_int16_files(tmp_path: Path, img2img: Command) -> None:
    for number in range(3):
        heights = np.random.default_rng(number).integers(-400, 4000, (24, 24)).astype(np.int16)
        write(tmp_path / "real" / f"{number}.tif", heights)
        write(tmp_path / "made" / f"{number}.tif", heights + np.int16(10))
    done = img2img("evaluate", tmp_path / "made", tmp_path / "real", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert [*found["l1"]["in_units"].values()] == pytest.approx([10], rel=0.01)
    assert "channels" not in found["l1"]


def test_figures_of_a_model(run: Path, scenes: Path, tmp_path: Path, img2img: Command) -> None:
    """Those of its files."""
    out = tmp_path / "out"
    img2img("translate", "--model", run, "--input", scenes / "A", "--output", out,
            "--precision", "fp32", "--device", "cpu")  # fmt: skip
    done = img2img("evaluate", "--model", run, "--data", scenes, "--json")
    assert done.status == 0, done.err
    in_units = json.loads(done.out)["l1"]["in_units"].values()
    assert [*in_units] == pytest.approx(differences(out, scenes).mean(0).tolist(), rel=0.01)


def test_colours_are_changed_only_of_images_that_have_some(
    scenes: Path, tmp_path: Path, img2img: Command
) -> None:
    """By name, of the images that would be changed; brightness and noise are of any channels."""

    def preview(transform: str, *options: str) -> tuple[int, str]:
        done = img2img(
            "data", "preview", "--data", scenes, "--output", tmp_path / "p.png",
            "--set", f"data.augment.color=[{{name: {transform}, p: 1}}]", *options
        )  # fmt: skip
        return done.status, done.err

    status, error = preview("HueSaturationValue")
    assert status == 2
    assert "data.augment.color.0: HueSaturationValue fails on images of 5 channels" in error
    assert preview("RandomBrightnessContrast") == (0, "")
    assert preview("GaussNoise") == (0, "")
    assert preview("CLAHE", "--set", "data.direction=BtoA")[0] == 2  # of two channels


def test_an_augmentation_of_colour_names_what_to_take(
    scenes: Path, tmp_path: Path, train: Command
) -> None:
    augment = "critic.augment=[{name: diffaugment%s}]"
    for side in "AB":  # without the image that has gaps
        shutil.copytree(scenes / side, tmp_path / "data" / side)
        (tmp_path / "data" / side / "0.tif").unlink()
    given = (tmp_path / "run", "--data", tmp_path / "data", "--max-steps", 1, "--set")
    refused = train(*given, augment % "")
    assert refused.status == 2
    assert "take `levels` instead of `color`" in refused.err
    done = train(*given, augment % ", policy: [levels, cutout]")
    assert done.status == 0, done.err


def test_bench_takes_the_channels_of_the_model(run: Path, scenes: Path, img2img: Command) -> None:
    given = ("bench", run, "--backend", "eager", "--device", "cpu", "--json")
    for options in (("--size", 32), ("--input", scenes / "A" / "1.tif")):
        done = img2img(*given, *options)
        assert done.status == 0, done.err
        (measurement,) = json.loads(done.out)
        assert measurement["alone"] > 0
