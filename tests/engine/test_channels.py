"""Models of any numbers of channels: whole, in strips, in tiles, in their footprint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img import Picture, Translator, translate_folder
from img2img.config import Component
from img2img.engine.footprint import footprint, strips_footprint
from img2img.errors import ImageError
from img2img.images import to_pixels
from img2img.models.checkpoint import save_model
from img2img.models.spec import ModelSpec
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, use_statistics
from tests.specs import spec_of as make_spec

SECTIONS: dict[str, dict[str, Any]] = {
    "resnet": {"ngf": 4, "n_blocks": 2},
    "unet": {"ngf": 4, "num_downs": 5},
}
CHANNELS = [(1, 1), (1, 3), (5, 2)]

pytestmark = pytest.mark.parametrize("channels", CHANNELS, ids=str)


def network(name: str, channels: tuple[int, int]) -> Generator:
    torch.manual_seed(0)
    section = Component(name=name, init="kaiming", **SECTIONS[name])
    made = GENERATORS.build(section, "generator", in_channels=channels[0], out_channels=channels[1])
    use_statistics(made, ImageStatistics())
    return made.eval().requires_grad_(False)


def spec_of(name: str, generator: Generator, channels: tuple[int, int]) -> ModelSpec:
    return make_spec(
        generator, channels, architecture=name, arguments={"init": "kaiming", **SECTIONS[name]}
    )


def translator(name: str, channels: tuple[int, int], **options: Any) -> Translator:
    generator = network(name, channels)
    options = {"device": "cpu", "precision": "fp32", "say": lambda _: None, **options}
    return Translator(generator, spec_of(name, generator, channels), **options)


def picture(channels: int, height: int = 96, width: int = 72, top: int = 255) -> np.ndarray:
    random = np.random.default_rng(0)
    dtype = np.uint8 if top == 255 else np.uint16
    return random.integers(0, top + 1, (height, width, channels), dtype=dtype)


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("top", [255, 65535])
def test_arrays_are_translated(name: str, top: int, channels: tuple[int, int]) -> None:
    """As the network itself does, and back at their own size."""
    pixels = picture(channels[0], top=top)
    size = pixels.shape[:2]
    result = translator(name, channels).translate(pixels[:64, :64])
    x = torch.from_numpy(pixels[:64, :64].astype(np.float32)).movedim(2, 0)[None] * (2 / top) - 1
    with torch.inference_mode():
        expected = to_pixels(network(name, channels)(x)[0], pixels.dtype)
    assert result.shape == (64, 64, channels[1])
    assert np.abs(result.astype(int) - expected).max() <= (1 if top == 255 else 4)
    if channels == (1, 1):  # an image without channels stays one
        assert np.array_equal(
            translator(name, channels).translate(pixels[:64, :64, 0]), result[..., 0]
        )
    for options in ({}, {"scale": "trained"}, {"max_side": 40}):
        changed = translator(name, channels, **options)
        assert changed.translate(pixels).shape == (*changed.result_size(size), channels[1])


def test_tensors_are_translated(channels: tuple[int, int]) -> None:
    tested = translator("resnet", channels)
    x = torch.rand(channels[0], 40, 36, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = tested.translate(x)
    assert (y.shape, y.dtype) == ((channels[1], 40, 36), x.dtype)
    with torch.inference_mode():
        torch.testing.assert_close(y, network("resnet", channels)(x[None])[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("tile", [16, 40])
def test_strips_equal_the_whole(tile: int, channels: tuple[int, int]) -> None:
    pixels = picture(channels[0])
    whole = translator("resnet", channels, tile="off").translate(pixels)
    strips = translator("resnet", channels, tile=tile).translate(pixels)
    assert np.abs(strips.astype(int) - whole).max() <= 1


def test_one_tile_equals_the_whole(channels: tuple[int, int]) -> None:
    """And several have its shape."""
    pixels = picture(channels[0])
    whole = translator("unet", channels, tile="off").translate(pixels)
    assert np.array_equal(translator("unet", channels, tile=96).translate(pixels), whole)
    tiles = translator("unet", channels, tile=64).translate(pixels)
    assert tiles.shape == whole.shape
    assert not np.array_equal(tiles, whole)


def test_the_footprint_grows_with_the_channels(channels: tuple[int, int]) -> None:
    tested = network("resnet", channels)
    assert footprint(tested, 64, 64, channels=channels[0]) > 64 * 64 * 4 * max(channels)
    assert strips_footprint(tested, 256, 64, 16, channels=channels[0]) > 0
    with pytest.raises(RuntimeError):
        footprint(tested, 64, 64, channels=channels[0] + 1)


def test_other_channels_are_refused(tmp_path: Path, channels: tuple[int, int]) -> None:
    generator = network("resnet", channels)
    spec = spec_of("resnet", generator, channels)
    save_model(tmp_path / "m.safetensors", {"G": spec}, {"G": generator})
    tested = Translator.load(tmp_path / "m.safetensors", device="cpu")
    for image in (
        picture(channels[0] + 1),
        torch.zeros(channels[0] + 1, 8, 8),
        Image.fromarray(picture(3)),
        Picture(picture(channels[0] + 1)),
    ):
        with pytest.raises(ImageError):
            tested.translate(image)
    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    report = translate_folder(tested, tmp_path / "a.png", tmp_path / "out")
    ((_, message),) = report.failed.items()
    assert "3 channels, but" in message
    assert not (tmp_path / "out/a.png").exists()
