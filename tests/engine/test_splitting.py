"""Pictures that are cut: when, how, and that it makes no difference where it need not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2img import Picture, Translator
from img2img.engine import footprint as memory
from img2img.engine import splitting
from img2img.engine.backends.eager import Eager
from img2img.engine.runner import Runner
from img2img.engine.splitting import Splitter
from img2img.errors import ConfigError, ImageError
from img2img.networks import Generator
from tests.engine.conftest import translator

CPU = torch.device("cpu")


def smooth(height: int, width: int, top: int = 255) -> Picture:
    y, x = np.mgrid[:height, :width] / 9
    waves = np.stack([np.sin(x) + np.cos(y), np.sin(x + y), np.cos(x * y / 40)], axis=2)
    waves = (waves - waves.min()) / np.ptp(waves)
    return Picture((waves * top).astype(np.uint8 if top == 255 else np.uint16))


@pytest.mark.parametrize("top", [255, 65535])
@pytest.mark.parametrize("tile", [16, 40, 64])
def test_strips_give_what_the_whole_gives(tiny_generator: Generator, tile: int, top: int) -> None:
    if not tiny_generator.local:
        pytest.skip("a U-Net is not cut into strips")
    for size in ((70, 101), (130, 31)):
        whole = translator(tiny_generator, tile="off").translate(smooth(*size, top))
        cut = translator(tiny_generator, tile=tile).translate(smooth(*size, top))
        assert cut.pixels.dtype == whole.pixels.dtype
        # 1e-4 in [-1, 1] is 3 levels of 65535, and turns over one of 255 at most.
        apart = np.abs(cut.pixels.astype(int) - whole.pixels.astype(int))
        assert apart.max() <= (1 if top == 255 else 4)


def test_local_statistics_are_another_result(tiny_generator: Generator) -> None:
    """And for a U-Net, which has no other tiles, the same one; both say that they approximate."""
    said: list[str] = []
    given = smooth(130, 150)
    options = {"tile": 64, "say": said.append}
    local = translator(tiny_generator, tile_norm="local", **options)
    results = [local.translate(given).pixels, local.translate(given).pixels]
    assert len(said) == 1
    assert "the result is approximate" in said[0]
    whole = translator(tiny_generator, **options).translate(given).pixels
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], whole) == (not tiny_generator.local)


def test_progress_of_the_parts(tiny_generator: Generator) -> None:
    seen: list[tuple[int, int]] = []
    cut = translator(
        tiny_generator, tile=32, progress=lambda *parts: seen.append(parts), say=lambda _: None
    )
    cut.translate(smooth(96, 96))
    assert seen[-1][0] == seen[-1][1] == len(seen) > 2


class TestAuto:
    """By the memory that is free."""

    def side(
        self, generator: Generator, size: tuple[int, int], free: int, monkeypatch: Any
    ) -> int | None:
        monkeypatch.setattr(splitting, "free_memory", lambda _: free)
        runner = Runner(generator, CPU, precision="fp32", backend="eager", say=print)
        return Splitter(say=print).side(runner, np.zeros((*size, 3), np.uint8))

    def test_by_what_is_free(
        self, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = memory.footprint(tiny_generator, 1024, 1024)
        assert self.side(tiny_generator, (1024, 1024), 4 * whole, monkeypatch) is None
        side = self.side(tiny_generator, (1024, 1024), whole, monkeypatch)
        assert side is not None
        assert 0 < side < 1024
        assert side % tiny_generator.size_multiple == 0
        # Small pictures are not asked about.
        assert self.side(tiny_generator, (64, 64), 1, monkeypatch) is None

    def test_by_what_any_process_may_take(
        self, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However much is free, a picture in parts takes hardly longer."""
        monkeypatch.setattr(memory, "_MOST_WHOLE", 2**20)
        assert self.side(tiny_generator, (1024, 1024), 2**40, monkeypatch) is not None

    def test_what_fits_in_no_way_fails_alone(
        self, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not tiny_generator.local:
            pytest.skip("tiles of a U-Net are tried, as small as they get")
        monkeypatch.setattr(splitting, "free_memory", lambda _: 2**20)
        given = [(0, smooth(20, 20)), (1, smooth(1100, 1000)), (2, smooth(20, 20))]
        results = dict(translator(tiny_generator).translate_each(given))
        assert isinstance(results[1], ImageError)
        assert "it takes" in str(results[1])
        assert isinstance(results[0], Picture)
        assert isinstance(results[2], Picture)


def test_strips_and_tiles_are_verified_too(
    tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs from float32 too much is not used for large pictures either."""
    monkeypatch.setattr(
        "img2img.engine.runner.resolve_precision",
        lambda name, _: "bf16" if name == "auto" else name,
    )
    monkeypatch.setattr("img2img.engine.runner.MEAN_BOUND", 0.0)
    said: list[str] = []
    cut = translator(tiny_generator, precision="auto", tile=64, say=said.append)
    exact = translator(tiny_generator, tile=64, say=lambda _: None)
    given = smooth(130, 100)
    assert np.array_equal(cut.translate(given).pixels, exact.translate(given).pixels)
    assert "differs from float32" in said[0]


def test_rounding_down_in_parts(tiny_generator: Generator) -> None:
    given = smooth(130, 100)
    nearest = translator(tiny_generator, tile=64, say=lambda _: None).translate(given).pixels
    down = translator(tiny_generator, tile=64, truncate=True, say=lambda _: None).translate(given)
    apart = nearest.astype(int) - down.pixels
    assert set(np.unique(apart)) == {0, 1}


def test_what_is_no_larger_than_a_tile_is_not_cut(tiny_generator: Generator) -> None:
    """Even if its padding makes it larger."""
    given = smooth(50, 50)
    whole = translator(tiny_generator, tile="off").translate(given).pixels
    assert np.array_equal(translator(tiny_generator, tile=50).translate(given).pixels, whole)


@pytest.mark.parametrize("tile", [0, -64])
def test_a_tile_has_pixels(tiny_run: Path, tile: int) -> None:
    with pytest.raises(ConfigError, match="tile"):
        Translator.load(tiny_run, tile=tile)


def test_parts_that_do_not_fit_are_halved(
    tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = smooth(128, 96)
    wanted = translator(tiny_generator, tile=32, say=lambda _: None).translate(given)
    most = 32

    def short_of_memory(part: Callable[..., Any], side: str) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            if options[side] > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
            return part(*arguments, **options)

        return run

    for name, side in (("translate_in_strips", "rows"), ("translate_in_tiles", "tile")):
        part = getattr(splitting, name)
        monkeypatch.setattr(splitting, name, short_of_memory(part, side))
    cut = translator(tiny_generator, tile=64, say=lambda _: None)
    assert np.array_equal(cut.translate(given).pixels, wanted.pixels)
    most = 0
    with pytest.raises(ImageError, match="not enough memory for 96 x 128 pixels; reduce"):
        cut.translate(given)


def test_memory_that_runs_out_is_met_by_parts(
    tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First by smaller batches, then by parts of a picture; what comes out is the same."""
    run = Eager.run

    def little(self: Eager, x: torch.Tensor) -> torch.Tensor:
        if len(x) * x.shape[2] * x.shape[3] > 64 * 64:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        return run(self, x)

    given = [smooth(64, 64), smooth(60, 64), smooth(128, 96), smooth(64, 50)]
    wanted = translator(tiny_generator, tile="off").translate_batch(given)
    monkeypatch.setattr(Eager, "run", little)
    got = translator(tiny_generator, say=lambda _: None).translate_batch(given)
    for one, other in zip(wanted, got, strict=True):
        assert one.size == other.size
        exact = tiny_generator.local or one.size != (128, 96)
        apart = np.abs(one.pixels.astype(int) - other.pixels.astype(int))
        assert (apart.max() <= 1) == exact
