"""Folders against folders."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from img2img.config import PairingConfig
from img2img.data.domains import domain_of
from img2img.data.sources import ImageSource
from img2img.errors import ConfigError, DataError, ImageError
from img2img.evaluation.folders import evaluate_folders
from img2img.evaluation.measuring import Evaluation, Images, evaluate
from img2img.evaluation.options import chosen
from img2img.images import Domain, Picture, read_picture, to_tensor, write_picture
from img2img.metrics.paired import psnr
from tests.conftest import MakeImage, noise


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is kept from before, and there is no network to take weights from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    return tmp_path / "cache"


def folders(tmp_path: Path, count: int = 12, size: tuple[int, int] = (40, 36)) -> tuple[Path, Path]:
    """Real images of noise, and results that are a little darker."""
    result, real = tmp_path / "result", tmp_path / "real"
    for folder in (result, real):
        folder.mkdir()
    for number in range(count):
        pixels = noise(*size, seed=number)
        Image.fromarray(pixels).save(real / f"{number}.png")
        darker = (pixels * (0.9 - 0.01 * number)).astype(np.uint8)
        Image.fromarray(darker).save(result / f"{number}.webp", lossless=True)
    return result, real


def said(notes: list[str]) -> dict[str, Any]:
    return {"say": notes.append}


def test_pairs_by_name(tmp_path: Path) -> None:
    result, real = folders(tmp_path)
    found = evaluate_folders(result, real, measures=["l1", "psnr", "ssim"], seed=3)
    assert [*found.figures] == ["l1", "psnr", "ssim"]
    assert found.names[:3] == ("0", "1", "2")
    figure = found.figures["psnr"]
    each = [
        psnr(*(to_tensor(read_picture(file).pixels)[None] for file in files)).item()
        for files in ((result / f"{n}.webp", real / f"{n}.png") for n in range(12))
    ]
    assert figure.per_image == pytest.approx(each)
    assert figure.value == pytest.approx(np.mean(each))
    assert figure.n == 12
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high
    assert found.to_json()["psnr"]["per_image"]["1"] == pytest.approx(each[1])


def test_equal_folders(tmp_path: Path) -> None:
    _, real = folders(tmp_path)
    found = evaluate_folders(real, real, features="efficientnet-lite0").to_json()
    assert found["psnr"]["value"] == "inf"
    assert found["l1"]["value"] == 0
    assert found["ssim"]["value"] == pytest.approx(1)
    assert found["fid"]["value"] == pytest.approx(0, abs=1e-3)
    assert found["precision"]["value"] == found["recall"]["value"] == 1
    assert found["coverage"]["value"] == 1


def test_every_figure_names_what_it_was_measured_by(tmp_path: Path) -> None:
    notes: list[str] = []
    found = evaluate_folders(*folders(tmp_path), device="cpu", **said(notes))
    for name in ("fid", "kid", "is", "precision", "recall", "density", "coverage"):
        figure = found.figures[name]
        assert figure.network == "efficientnet-lite0"
        assert figure.resize == "PIL bicubic, antialiased, in float, to 224 x 224"
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
    assert found.figures["fid"].note is not None
    assert "12 images for 1280 features" in found.figures["fid"].note
    assert found.figures["kid"].note is None
    assert "176 pixels" in found.missing["ms_ssim"]
    assert "alexnet" in found.missing["lpips"]
    assert len(notes) == 1


def test_a_machine_without_networks_still_measures_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch_fidelity", "efficientnet_lite_pytorch", "torchvision"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    found = evaluate_folders(*folders(tmp_path, size=(180, 180)), device="cpu")
    assert [*found.figures] == ["l1", "psnr", "ssim", "ms_ssim"]
    assert "-m pip install 'efficientnet-lite-pytorch" in found.missing["fid"]
    assert {"lpips", "kid", "density"} <= {*found.missing}


def test_features_of_the_real_images_are_kept_by_content(tmp_path: Path, own_cache: Path) -> None:
    result, real = folders(tmp_path)

    def measured(**options: Any) -> tuple[float, int]:
        """KID, and how many images were looked at."""
        seen: list[tuple[int, int]] = []
        found = evaluate_folders(
            result,
            real,
            measures=["kid"],
            features="efficientnet-lite0",
            progress=lambda *done: seen.append(done),
            **options,
        )
        assert seen[-1] == (len(seen), len(seen))
        return found.figures["kid"].value, len(seen)

    first = measured()
    assert first[1] == 24
    assert measured() == (first[0], 12)
    assert measured(cache=False) == first
    (kept,) = own_cache.rglob("*.safetensors")
    kept.write_bytes(b"damaged")
    assert measured() == first
    Image.fromarray(noise(40, 36, seed=99)).save(real / "3.png")
    assert measured()[1] == 24


def test_names_that_are_no_pairs_are_sets(tmp_path: Path, make_image: MakeImage) -> None:
    for number, (one, other) in enumerate((("p", "q"), ("r", "s"), ("t", "u"))):
        make_image(f"x/{one}.png", seed=number)
        make_image(f"y/{other}.png", seed=number)
    notes: list[str] = []
    found = evaluate_folders(tmp_path / "x", tmp_path / "y", **said(notes))
    assert found.figures == {}
    assert found.missing["kid"] == "needs at least 10 images in each set, but there are 3 and 3"
    assert notes == ["the names do not match, so the images are compared as sets, not as pairs"]
    with pytest.raises(DataError, match="6 of the files have no partner"):
        evaluate_folders(tmp_path / "x", tmp_path / "y", measures=["psnr"])


def test_some_names_without_a_partner_are_listed_shortly(
    tmp_path: Path, make_image: MakeImage
) -> None:
    make_image("x/both.png")
    make_image("y/both.png")
    for number in range(20):
        make_image(f"x/lone{number}.png")
    with pytest.raises(DataError, match="20 of the files") as error:
        evaluate_folders(tmp_path / "x", tmp_path / "y")
    assert str(error.value).count("lone") == 3
    assert "(`measures=fid,kid`)" in str(error.value)


def test_a_way_to_match_names_is_proposed_only_where_it_helps(
    tmp_path: Path, make_image: MakeImage
) -> None:
    for number in range(10):
        make_image(f"result/{number}_fake.png", seed=number)
        make_image(f"real/{number}_real.png", seed=number)
    folders = tmp_path / "result", tmp_path / "real"
    with pytest.raises(DataError, match="suffix` finds 10 pairs"):
        evaluate_folders(*folders, measures=["l1"])
    matched = evaluate_folders(
        *folders, measures=["l1"], pairing=PairingConfig(match="suffix"), **said([])
    )
    assert matched.figures["l1"].n == 10
    for number in range(10, 300):
        make_image(f"real/{number}_real.png", (8, 8))
    with pytest.raises(DataError, match="310 of the files have no partner") as error:
        evaluate_folders(*folders, measures=["l1"])
    assert "suffix" not in str(error.value)
    # What it does propose: a list of the pairs, all others left out.
    table = tmp_path / "pairs.csv"
    table.write_text("".join(f"{n}_fake.png,{n}_real.png\n" for n in range(10)))
    notes: list[str] = []
    listed = PairingConfig(pairs=table)
    found = evaluate_folders(*folders, measures=["l1"], pairing=listed, **said(notes))
    assert found.figures["l1"].per_image == matched.figures["l1"].per_image
    assert notes == ["left out, not in the list of pairs: 290 images"]


def test_one_image_a_folder(tmp_path: Path, make_image: MakeImage) -> None:
    make_image("x/0.png", (16, 16))
    make_image("y/0.png", (16, 16), seed=1)
    found = evaluate_folders(tmp_path / "x", tmp_path / "y")
    assert found.figures["psnr"].n == 1
    assert found.figures["psnr"].low is None
    assert "there are 1 and 1" in found.missing["fid"]


def test_what_cannot_be_measured(tmp_path: Path, make_image: MakeImage) -> None:
    x, y = make_image("x/0.png").parent, make_image("y/0.png", (9, 8)).parent
    with pytest.raises(ImageError, match=r"0 has 8 x 8 pixels, but the real image has 8 x 9"):
        evaluate_folders(x, y)
    with pytest.raises(DataError, match="no such folder"):
        evaluate_folders(x, tmp_path / "z")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: contains no images: the folder is empty"):
        evaluate_folders(x, tmp_path / "empty")
    (y / "0.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"y/0\.png"):
        evaluate_folders(x, y)
    with pytest.raises(ConfigError, match="did you mean 'psnr'"):
        evaluate_folders(x, y, measures=["psnrr"])
    with pytest.raises(ConfigError, match="both ways"):
        evaluate_folders(x, y, measures=["cycle"])
    with pytest.raises(ConfigError, match="no such file"):
        evaluate_folders(x, y, weights=tmp_path / "none.pth")


def test_more_than_eight_bits_are_measured(tmp_path: Path) -> None:
    import cv2

    deep = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), dtype=np.uint16)
    for name, pixels in (("x", deep), ("y", deep ^ 1)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), pixels)
    found = evaluate_folders(tmp_path / "x", tmp_path / "y", measures=["l1"])
    assert found.figures["l1"].value == pytest.approx(1 / 65535, rel=1e-2)


@pytest.mark.gpu
def test_on_a_gpu_it_is_the_same(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    result, real = folders(tmp_path)
    on = {
        device: evaluate_folders(result, real, device=device, cache=False).figures
        for device in ("cpu", "cuda")
    }
    for name, figure in on["cpu"].items():
        assert on["cuda"][name].value == pytest.approx(figure.value, rel=1e-3, abs=1e-4)


class FiveChannels(ImageSource):
    """An image of a microscope."""

    def read(self) -> Picture:
        seed = int(self.path.stem)
        return Picture(np.concatenate([noise(16, 16, seed), noise(16, 16, seed + 1)[..., :2]], 2))


def test_what_needs_rgb_is_refused_by_name_where_there_is_none() -> None:
    domain = Domain.of_type("uint8", ["DAPI", "GFP", "RFP", "Cy5", "phase"])
    real = [FiveChannels(Path(f"{number}.tif"), domain=domain) for number in range(12)]
    names = [each.path.name for each in real]

    def measured(**options: Any) -> Evaluation:
        results = (FiveChannels(Path(f"{number + 7}.tif")).read() for number in range(12))
        images = Images(names, results, real, paired=True)
        wanted = chosen(options.get("measures"), {"pair", "set"})
        return evaluate(images, wanted, device="cpu", **options)

    found = measured()
    assert [*found.figures] == ["l1", "psnr", "ssim"]
    assert found.figures["l1"].value == pytest.approx(
        np.mean(
            [
                np.abs(one.pixels.astype(float) - other.pixels).mean() / 255
                for one, other in (
                    (real[n].read(), FiveChannels(Path(f"{n + 7}.tif")).read()) for n in range(12)
                )
            ]
        )
    )
    reason = "needs RGB images, but these have the channels DAPI, GFP, RFP, Cy5, phase"
    refused = {"lpips", "fid", "kid", "is", "precision", "recall", "density", "coverage"}
    assert {n for n, why in found.missing.items() if why == reason} == refused | {"diversity"}
    for name in ("fid", "lpips_vgg"):
        with pytest.raises(ConfigError, match=f"measures: {name}: {reason}"):
            measured(measures=["l1", name])


def test_inputs_that_lack_a_result_s_name(tmp_path: Path) -> None:
    result, real = folders(tmp_path)
    inputs = tmp_path / "inputs"
    shutil.copytree(real, inputs)
    gone = min(inputs.iterdir())
    gone.unlink()
    with pytest.raises(DataError, match=f"inputs: no input for {gone.stem}"):
        evaluate_folders(result, real, inputs=inputs, measures=["l1"])


def test_a_single_image_has_no_interval(tmp_path: Path, make_image: MakeImage) -> None:
    for name in ("result", "real"):
        make_image(f"{name}/1.png", seed=len(name))
    found = evaluate_folders(tmp_path / "result", tmp_path / "real", measures=["l1"])
    assert (found.figures["l1"].low, found.figures["l1"].high) == (None, None)


@pytest.mark.parametrize(("dtype", "channels"), [("float32", 3), ("float32", 2), ("int16", 5)])
def test_each_channel_by_the_formulas(dtype: str, channels: int, tmp_path: Path) -> None:
    """In the files' numbers and relative to the range, against numpy and OpenCV's filters."""
    random = np.random.default_rng(0)
    spread = 10.0 * (1 + np.arange(channels))
    target = random.normal(100, 5, (40, 40, channels)) * spread
    result = target + random.normal(0, spread, target.shape)
    pictures = {"made": result.round(1).astype(dtype), "real": target.round(1).astype(dtype)}
    for folder, pixels in pictures.items():
        write_picture(tmp_path / folder / "a.tif", Picture(pixels))
    measures = ["l1", "psnr", "ssim"]
    folders = tmp_path / "made", tmp_path / "real"
    found = evaluate_folders(*folders, measures=measures, device="cpu", say=lambda _: None)
    domain = domain_of([ImageSource(tmp_path / "real/a.tif")])
    y, x = (pixels.astype(np.float64) for pixels in pictures.values())
    assert domain.low[0] < x.min() < x.max() < domain.high[0]
    span = domain.high[0] - domain.low[0]

    def blurred(pixels: np.ndarray) -> Any:
        return cv2.GaussianBlur(pixels, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)

    for number, name in enumerate(domain.channels):
        a, b = x[..., number] - domain.low[0], y[..., number] - domain.low[0]
        by_channel = {key: (figure.channels or {})[name] for key, figure in found.figures.items()}
        assert by_channel["l1"] == pytest.approx(np.abs(a - b).mean() / span, rel=1e-4)
        in_units = found.figures["l1"].in_units
        assert in_units is not None
        assert in_units[name] == pytest.approx(np.abs(a - b).mean(), rel=1e-4)
        psnr = 10 * np.log10(span**2 / ((a - b) ** 2).mean())
        assert by_channel["psnr"] == pytest.approx(psnr, rel=1e-4)
        means = blurred(a), blurred(b)
        both = blurred(a * b) - means[0] * means[1]
        variances = blurred(a * a) - means[0] ** 2 + blurred(b * b) - means[1] ** 2
        least, contrast = (0.01 * span) ** 2, (0.03 * span) ** 2
        similarity = (2 * means[0] * means[1] + least) * (2 * both + contrast)
        similarity /= (means[0] ** 2 + means[1] ** 2 + least) * (variances + contrast)
        assert by_channel["ssim"] == pytest.approx(similarity.mean(), abs=1e-4)
