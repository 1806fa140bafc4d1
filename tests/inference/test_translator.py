"""The public inference object."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from img2img import Picture, Translator
from img2img.checkpoint import load_model
from img2img.errors import ConfigError, ImageError, ModelFileError
from img2img.images import resized
from img2img.inference.backends.eager import Eager
from img2img.inference.sizing import pad_to_fit


def picture(height: int, width: int, top: int = 255, seed: int = 0) -> Picture:
    """Noise; 16-bit where `top` is 65535."""
    random = np.random.default_rng(seed)
    dtype = np.uint8 if top == 255 else np.uint16
    return Picture(random.integers(0, top + 1, (height, width, 3), dtype=dtype))


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, device="cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 200), (17, 33), (32, 32), (40, 8)])
@pytest.mark.parametrize("top", [255, 65535])
def test_size_and_depth_are_kept(translator: Translator, size: tuple[int, int], top: int) -> None:
    given = picture(*size, top)
    got = translator.translate(given)
    assert got.size == size
    assert got.pixels.dtype == given.pixels.dtype
    assert got.pixels.std() > 0 or size == (1, 1)


def test_one_many_and_a_stream_agree(translator: Translator) -> None:
    given = [picture(17, 33), picture(17, 33, seed=1), picture(8, 8, 65535), picture(1, 5)]
    alone = [translator.translate(each).pixels for each in given]
    together = [each.pixels for each in translator.translate_batch(given)]
    streamed = [each.pixels for each in translator.stream(iter(given))]
    for one, many, flow in zip(alone, together, streamed, strict=True):
        assert np.array_equal(one, many)
        assert np.array_equal(one, flow)
    assert translator.translate_batch([]) == []


def test_a_stream_is_lazy(translator: Translator) -> None:
    asked: list[int] = []

    def pictures() -> Iterator[Picture]:
        for number in range(3):
            asked.append(number)
            yield picture(8, 8, seed=number)

    next(translator.stream(pictures()))
    assert asked == [0]


def test_translating_twice_gives_the_same(translator: Translator) -> None:
    given = picture(24, 24)
    before = given.pixels.copy()
    first, second = translator.translate(given), translator.translate(given)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(given.pixels, before)


def test_everything_but_the_pixels_is_kept(translator: Translator) -> None:
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8)
    got = translator.translate(Picture(picture(8, 8).pixels, alpha, b"profile", b"exif"))
    assert got.alpha is not None
    assert np.array_equal(got.alpha, alpha)
    assert (got.icc, got.exif) == (b"profile", b"exif")


def test_what_transparency_hides_has_no_influence(translator: Translator) -> None:
    alpha = np.zeros((8, 8), np.uint8)
    one = translator.translate(Picture(picture(8, 8).pixels, alpha))
    two = translator.translate(Picture(picture(8, 8, seed=1).pixels, alpha))
    assert np.array_equal(one.pixels, two.pixels)


def test_at_the_scale_of_training(tiny_run: Path) -> None:
    """Resized, translated, and resized back; every picture has its own size again."""
    model = load_model(tiny_run)
    spec = model.specs["G"].model_copy(update={"scale": 0.5})
    native = Translator(model.generator("G"), spec)
    trained = Translator(model.generator("G"), spec, scale="trained")
    for top in (255, 65535):
        given = picture(40, 61, top)
        half = native.translate(Picture(resized(given.pixels, (20, 30))))
        assert np.array_equal(trained.translate(given).pixels, resized(half.pixels, (40, 61)))
        assert not np.array_equal(trained.translate(given).pixels, native.translate(given).pixels)
    assert trained.translate(picture(1, 1)).size == (1, 1)


def test_file_and_run_folder_are_the_same_model(tiny_run: Path, translator: Translator) -> None:
    other = Translator.load(str(tiny_run / "model.safetensors"), direction="AtoB")
    given = picture(16, 16)
    assert np.array_equal(other.translate(given).pixels, translator.translate(given).pixels)
    assert other.spec == translator.spec


def test_refusals(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="AtoB, not BtoA"):
        Translator.load(tiny_run, direction="BtoA")
    with pytest.raises(ConfigError, match="device"):
        Translator.load(tiny_run, device="cuda:99")
    with pytest.raises(ModelFileError, match="missing"):
        Translator.load(tmp_path / "missing")
    with pytest.raises(ModelFileError, match="no model yet"):
        Translator.load(tmp_path)


@pytest.mark.parametrize("name", ["toaster", "xpu", "cuda:", "cpu:x", ""])
def test_no_device_of_that_name(tiny_run: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        Translator.load(tiny_run, device=name)


class TestTooLittleMemory:
    """For pictures of 40 x 24 pixels, as padded."""

    @pytest.fixture(autouse=True)
    def _too_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(_: Eager, x: Tensor) -> Tensor:
            if x.shape[2] * x.shape[3] >= 24 * 40:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
            return x

        monkeypatch.setattr(Eager, "run", run)

    def test_smaller_parts_are_tried(self, tiny_run: Path) -> None:
        said: list[str] = []
        translator = Translator.load(tiny_run, say=said.append)
        given = [picture(*size) for size in [(8, 8), (17, 33), (24, 40), (9, 9)]]
        for one, result in zip(given, translator.translate_batch(given), strict=True):
            assert np.abs(one.pixels.astype(int) - result.pixels).max() <= 1  # of blending
        assert len(said) == 1
        assert "approximates" in said[0]

    def test_where_they_are_not_wanted_the_size_is_named(self, tiny_run: Path) -> None:
        """And the others are translated."""
        translator = Translator.load(tiny_run, tile="off")
        with pytest.raises(ImageError, match="40 x 24"):
            translator.translate(picture(17, 33))
        given = [(number, picture(*size)) for number, size in enumerate([(8, 8), (17, 33), (9, 9)])]
        results = dict(translator.translate_each(given))
        assert isinstance(results[1], ImageError)
        for number in (0, 2):
            result = results[number]
            assert isinstance(result, Picture)
            assert np.array_equal(result.pixels, given[number][1].pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 5), (7, 8), (8, 8), (9, 17)])
def test_padding_is_least_and_at_the_right_and_bottom(size: tuple[int, int]) -> None:
    pixels: NDArray[np.uint8] = picture(*size).pixels
    padded = pad_to_fit(pixels, 4, 8)
    assert padded.shape[:2] == tuple(max(8, -(-side // 4) * 4) for side in size)
    assert np.array_equal(padded[: size[0], : size[1]], pixels)
    assert set(map(bytes, padded.reshape(-1, 3))) <= set(map(bytes, pixels.reshape(-1, 3)))
