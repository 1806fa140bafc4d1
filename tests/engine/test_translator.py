"""The public inference object."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from img2img import Picture, Translator
from img2img.engine import translator as translator_module
from img2img.engine import values
from img2img.engine.backends.eager import Eager
from img2img.engine.sizing import pad_to_fit
from img2img.errors import ConfigError, ImageError, ModelFileError
from img2img.images import resized
from img2img.models.checkpoint import load_model, save_model
from img2img.networks.unet import UNetGenerator
from tests.conftest import noise


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


def test_every_kind_of_image_comes_back_as_its_kind(tiny_run: Path, translator: Translator) -> None:
    given = picture(28, 40)
    wanted = translator.translate(given).pixels
    array = translator.translate(given.pixels)
    assert np.array_equal(array, wanted)
    pillow = translator.translate(Image.fromarray(given.pixels))
    assert (pillow.mode, pillow.size) == ("RGB", (40, 28))
    assert np.array_equal(np.asarray(pillow), wanted)
    tensor = torch.from_numpy(given.pixels).movedim(2, 0) / 127.5 - 1
    result = translator.translate(tensor)
    assert (result.shape, result.dtype) == (tensor.shape, tensor.dtype)
    # Of more than 8 bits, and so in float32.
    exact = Translator.load(tiny_run, device="cpu", precision="fp32")
    levels = (result.movedim(0, 2).numpy() + 1) * 127.5
    assert np.abs(levels - exact.translate(given).pixels).max() < 0.51
    assert translator.translate(tensor.double()).dtype == torch.float64


def test_grey_and_alpha(translator: Translator) -> None:
    grey = picture(9, 11).pixels[..., 0]
    result = translator.translate(grey)
    assert result.shape == (9, 11, 3)
    assert np.array_equal(result, translator.translate(np.stack([grey] * 3, axis=2)))
    rgba = np.dstack([picture(9, 11).pixels, grey])
    assert np.array_equal(translator.translate(rgba)[..., 3], grey)
    assert translator.translate(Image.fromarray(rgba)).mode == "RGBA"


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        torch.zeros(1, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 0, 8),
        "photo.png",
    ],
    ids=str,
)
def test_what_is_no_image_is_told(translator: Translator, image: Any) -> None:
    with pytest.raises(ImageError, match="give"):
        translator.translate(image)


def test_sizes_that_were_asked_for(tiny_run: Path) -> None:
    rgba = np.dstack([picture(40, 60).pixels, picture(40, 60).pixels[..., 0]])
    assert Translator.load(tiny_run, resize=(10, 20)).translate(rgba).shape == (10, 20, 4)
    reduced = Translator.load(tiny_run, max_side=30)
    assert reduced.translate(rgba).shape == (20, 30, 4)
    assert reduced.translate(rgba[:5, :30]).shape == (5, 30, 4)
    sixteen = rgba.astype(np.uint16) * 257
    deep = Picture(sixteen[..., :3], sixteen[..., 3])
    small = reduced.translate(deep)
    assert small.size == (20, 30)
    assert small.alpha is not None
    assert small.pixels.dtype == np.uint16
    assert small.alpha.dtype == np.uint16
    with pytest.raises(ConfigError, match="resize"):
        Translator.load(tiny_run, resize=(99_999, 99_999))


@pytest.mark.parametrize(
    "options",
    [
        {"max_side": 0},
        {"batch": 0},
        {"scale": "foo"},
        {"tile": "foo"},
        {"tile_norm": "foo"},
        {"precision": "foo"},
        {"statistics": "foo"},
        {"device": []},
        {"resize": (-1, -1)},
        {"backend": "foo"},
        {"reference_exact": True, "precision": "bf16"},
        {"reference_exact": True, "tile": 64},
    ],
    ids=str,
)
def test_options_are_checked(tiny_run: Path, options: dict[str, Any]) -> None:
    name = [*options][-1]
    with pytest.raises(ConfigError, match=f"^`{name}"):
        Translator.load(tiny_run, **options)


@pytest.mark.parametrize(
    ("module", "place"), [(translator_module, "pad_to_fit"), (values, "resized")]
)
def test_memory_may_run_out_anywhere(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, module: Any, place: str
) -> None:
    """While a picture is prepared or finished; the others are translated."""
    translator = Translator.load(tiny_run, device="cpu", max_side=64)
    work = getattr(module, place)

    def fail(pixels: Any, *arguments: Any) -> Any:
        if max(pixels.shape) > 60:
            raise MemoryError
        return work(pixels, *arguments)

    monkeypatch.setattr(module, place, fail)
    given = [(number, picture(20, side)) for number, side in enumerate((20, 61, 30))]
    results = dict(translator.translate_each(given))
    assert isinstance(results[1], ImageError)
    assert "not enough memory" in str(results[1])
    assert isinstance(results[0], Picture)
    assert isinstance(results[2], Picture)


def test_a_scale_of_the_model_has_bounds(tiny_run: Path) -> None:
    spec = load_model(tiny_run).specs["G"].model_copy(update={"scale": 1000.0})
    translator = Translator(load_model(tiny_run).generator("G"), spec, scale="trained")
    with pytest.raises(ImageError, match="40000 x 40000"):
        translator.translate(picture(40, 40))


def test_as_the_reference_does_it(tiny_run: Path, tmp_path: Path) -> None:
    """With dropout, so that no two results are alike."""
    generator = UNetGenerator(in_channels=3, out_channels=3, ngf=2, num_downs=6)
    spec = load_model(tiny_run).specs["G"]
    arguments = {**spec.arguments, "ngf": 2, "num_downs": 6}
    changes = {"arguments": arguments, "size_multiple": 64, "min_size": 64}
    save_model(tmp_path / "m.safetensors", {"G": spec.model_copy(update=changes)}, {"G": generator})
    plain = Translator.load(tmp_path / "m.safetensors", device="cpu")
    once, again = (plain.translate(picture(32, 32)).pixels for _ in range(2))
    assert np.array_equal(once, again)
    exact = Translator.load(tmp_path / "m.safetensors", device="cpu", reference_exact=True)
    assert exact.spec.dropout
    assert exact.spec.norm_statistics == "image"
    given = picture(32, 32)
    one, two = exact.translate(given), exact.translate(given)
    assert not np.array_equal(one.pixels, two.pixels)


def test_running_statistics_if_asked(tiny_run: Path, translator: Translator) -> None:
    given = picture(32, 32)
    running = Translator.load(tiny_run, statistics="running")
    assert running.spec.norm_statistics == "running"
    assert not np.array_equal(running.translate(given).pixels, translator.translate(given).pixels)
    assert running.identity != translator.identity


def test_identity_is_of_the_weights_and_of_what_changes_results(tiny_run: Path) -> None:
    def identity(**options: Any) -> str:
        return Translator.load(tiny_run, **{"device": "cpu", **options}).identity

    assert identity() == identity(batch=3) == identity(device=["cpu", "cpu"])
    others: list[dict[str, Any]] = [
        {"scale": "trained"},
        {"resize": (9, 9)},
        {"max_side": 9},
        {"tile": 32},
    ]
    others += [{"tile_norm": "local"}, {"precision": "fp32"}, {"reference_exact": True}]
    found = {identity(**options) for options in others}
    assert len(found | {identity()}) == len(others) + 1
    model = load_model(tiny_run)
    other = model.generator("G")
    next(other.parameters()).add_(1)
    assert Translator(other, model.specs["G"], device="cpu").identity != identity()


def test_what_transparency_hides_has_no_influence(translator: Translator) -> None:
    alpha = np.zeros((8, 8), np.uint8)
    one = translator.translate(Picture(picture(8, 8).pixels, alpha))
    two = translator.translate(Picture(picture(8, 8, seed=1).pixels, alpha))
    assert np.array_equal(one.pixels, two.pixels)


def test_at_the_scale_of_training(tiny_run: Path) -> None:
    """Resized, translated, and resized back; every picture has its own size again."""
    model = load_model(tiny_run)
    spec = model.specs["G"].model_copy(update={"scale": 0.5})
    native = Translator(model.generator("G"), spec, scale="native")
    trained = Translator(model.generator("G"), spec, scale="trained")
    for top in (255, 65535):
        given = picture(40, 61, top)
        half = native.translate(Picture(resized(given.pixels, (20, 30))))
        assert np.array_equal(trained.translate(given).pixels, resized(half.pixels, (40, 61)))
        assert not np.array_equal(trained.translate(given).pixels, native.translate(given).pixels)
    assert trained.translate(picture(1, 1)).size == (1, 1)


def test_much_larger_or_smaller_than_those_of_training(tiny_run: Path) -> None:
    """By itself it goes at the size that they had (36 x 36) and comes back; others at their own."""
    auto, native, trained = (
        Translator.load(tiny_run, device="cpu", scale=scale)
        for scale in ("auto", "native", "trained")
    )
    assert Translator.load(tiny_run).scale == "auto"
    for size in ((32, 32), (40, 48), (24, 32)):
        given = picture(*size)
        assert auto.applied_scale(size) == "native"
        assert np.array_equal(auto.translate(given).pixels, native.translate(given).pixels)
    for size, seen in (((80, 120), (36, 54)), ((8, 12), (36, 54)), ((1, 1), (36, 36))):
        given = picture(*size)
        as_seen = native.translate(Picture(resized(given.pixels, seen)))
        assert auto.applied_scale(size) == "trained"
        assert auto.network_size(size) == seen
        for translator in (auto, trained):
            result = translator.translate(given)
            assert np.array_equal(result.pixels, resized(as_seen.pixels, size))
    assert "120 x 80 are translated at 54 x 36" in auto.describe_scale((80, 120))
    assert len({each.identity for each in (auto, native, trained)}) == 3


def test_the_reference_knows_no_scale(tiny_run: Path) -> None:
    assert Translator.load(tiny_run, device="cpu", reference_exact=True).scale == "native"
    assert Translator.load(tiny_run, reference_exact=True, scale="trained").scale == "trained"


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
    with pytest.raises(ModelFileError, match="no model here"):
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
        translator = Translator.load(tiny_run, scale="native", say=said.append)
        given = [picture(*size) for size in [(8, 8), (17, 33), (24, 40), (9, 9)]]
        for one, result in zip(given, translator.translate_batch(given), strict=True):
            assert np.abs(one.pixels.astype(int) - result.pixels).max() <= 1  # of blending
        assert len(said) == 1
        assert "the result is approximate" in said[0]

    def test_where_they_are_not_wanted_the_size_is_named(self, tiny_run: Path) -> None:
        """And the others are translated."""
        translator = Translator.load(tiny_run, scale="native", tile="off")
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


def test_smoothing_over_frames(tiny_run: Path) -> None:
    """One at a time, whatever the batch; of what is tried out for precision nothing is kept."""
    plain = Translator.load(tiny_run, device="cpu")
    given = [picture(32, 32, seed=seed) for seed in range(3)]
    given[1:] = [Picture(each.pixels // 4 + 128) for each in given[1:]]
    assert plain.smoothing is None
    translator = Translator.load(tiny_run, device="cpu", smooth=4, batch=3)
    assert translator.smoothing is not None
    together = translator.translate_batch(given)
    own = [each.pixels.astype(int) for each in plain.translate_batch(given)]
    changed = [np.abs(a.pixels - b).mean() for a, b in zip(together, own, strict=True)]
    assert changed[0] < 1
    assert min(changed[1:]) > 0
    translator.smoothing.reset()
    for frame, before in zip(given[:2], together, strict=False):
        assert np.array_equal(translator.translate(frame).pixels, before.pixels)
    state = translator.smoothing.state()
    resumed = Translator.load(tiny_run, device="cpu", smooth=4)
    assert resumed.smoothing is not None
    resumed.smoothing.restore(state)
    assert np.array_equal(resumed.translate(given[2]).pixels, together[2].pixels)
    assert resumed.identity != plain.identity


@pytest.mark.parametrize(
    "options",
    [{"smooth": 0.5}, {"smooth": 4, "backend": "onnx"}, {"smooth": 4, "device": ["cpu"] * 2}],
)
def test_smoothing_has_its_bounds(tiny_run: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="smooth"):
        Translator.load(tiny_run, **options)


def test_soft_alpha_is_blended_once(tiny_run: Path) -> None:
    """On white, what is seen of the result is the translation of what is seen of the input."""
    translator = Translator.load(tiny_run, precision="fp32")
    pixels = noise(32, 32, seed=3)
    soft = Picture(pixels, np.full((32, 32), 200, np.uint8))
    flat = translator.translate(Picture(soft.composited())).pixels.astype(int)
    result = translator.translate(soft)
    np.testing.assert_array_equal(result.alpha, soft.alpha)
    reachable = flat >= 55
    assert reachable.mean() > 0.5
    seen = result.composited().astype(int)
    assert np.abs(seen - flat)[reachable].max() <= 1
    assert (result.pixels[flat < 55] == 0).all()
