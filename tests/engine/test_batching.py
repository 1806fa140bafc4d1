"""Batches, order, memory that runs out, several devices."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from img2img import Picture
from img2img.engine import batching as module
from img2img.engine.batching import Batching
from img2img.engine.memory import Budget
from img2img.engine.splitting import Splitter
from img2img.errors import ImageError
from img2img.networks import Generator
from img2img.networks.resnet import ResnetGenerator


class Negative:
    """Stands for a runner: the negative of an image, and a note of each batch."""

    def __init__(self, fits: int = 1000, error: str = "CUDA out of memory") -> None:
        self.device = torch.device("cpu")
        self.is_exported = False
        self.batches: list[int] = []
        self._fits = fits
        self._error = error

    def verify(self, x: Tensor) -> None:
        pass

    def network(self, _: bool) -> Generator:
        return ResnetGenerator(in_channels=3, out_channels=3, ngf=1, n_blocks=1)

    def run(self, x: Tensor, *, deep: bool) -> Tensor:
        if len(x) > self._fits:
            raise RuntimeError(self._error)
        self.batches.append(len(x))
        return -x


def engine(*runners: Negative, splitter: Splitter | None = None, **options: Any) -> Batching:
    return Batching(
        runners,  # type: ignore[arg-type]
        splitter or Splitter("off", say=print),
        prepare=lambda picture: picture.pixels,
        restore=lambda picture, pixels: replace(picture, pixels=pixels),
        **options,
    )


def images(*sides: int, dtype: type = np.uint8) -> list[tuple[int, Any]]:
    """Squares of noise, numbered."""
    random = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    noise = [random.integers(0, top + 1, (side, side, 3), dtype=dtype) for side in sides]
    return list(enumerate(map(Picture, noise)))


def check(given: list[tuple[int, Any]], got: list[tuple[int, Any]]) -> None:
    """Every image came out as its negative, in order."""
    assert [key for key, _ in got] == [key for key, _ in given]
    for (_, image), (_, result) in zip(given, got, strict=True):
        assert result.pixels.dtype == image.pixels.dtype
        assert np.array_equal(result.pixels, np.iinfo(image.pixels.dtype).max - image.pixels)


def test_sizes_are_batched_apart_and_come_back_in_order() -> None:
    given = images(8, 4, 8, 4, 4, 8, 4, 8, 2)
    runner = Negative()
    check(given, list(engine(runner, batch=4).each(given)))
    assert sorted(runner.batches) == [1, 4, 4]


def test_depths_are_batched_apart() -> None:
    given = [*images(4, 4), *images(4, 4, dtype=np.uint16)]
    given = [(number, image) for number, (_, image) in enumerate(given)]
    runner = Negative()
    check(given, list(engine(runner).each(given)))
    assert runner.batches == [2, 2]


def test_nothing_to_do() -> None:
    assert list(engine(Negative()).each([])) == []


def test_a_rare_size_does_not_hold_up_the_others() -> None:
    """Results wait for the first image, but not for ever, nor does all that comes pile up."""
    taken = 0

    def endless() -> Iterator[tuple[int, Any]]:
        nonlocal taken
        (_, rare), (_, common) = images(2, 4)
        yield 0, rare
        while True:
            taken += 1
            yield taken, common

    results = engine(Negative(), batch=2).each(endless())
    assert next(results)[0] == 0
    assert taken < 20


def test_what_waits_is_bounded_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING_PIXELS", 3 * 8 * 8)
    given = images(*[8] * 9)
    runner = Negative()
    check(given, list(engine(runner, batch=100).each(given)))
    assert runner.batches == [4, 4, 1]


def test_large_images_go_alone() -> None:
    given = images(2100, 2100, 64, 64)
    runner = Negative()
    check(given, list(engine(runner).each(given)))
    assert runner.batches == [1, 1, 2]


@pytest.mark.parametrize("error", ["CUDA out of memory", "can't allocate memory: you tried"])
def test_a_batch_that_does_not_fit_is_halved_and_nothing_lost(error: str) -> None:
    given = images(*[8] * 20)
    runner = Negative(fits=3, error=error)
    check(given, list(engine(runner, batch=8).each(given)))
    assert max(runner.batches) <= 3
    # Only the first batch had to be halved: the others are no larger than what fitted.
    assert runner.batches == [2] * 10


def test_an_image_that_does_not_fit_fails_alone() -> None:
    given = images(8, 8)
    got = list(engine(Negative(fits=0)).each(given))
    assert [key for key, _ in got] == [0, 1]
    for _, result in got:
        assert isinstance(result, ImageError)
        assert "8 x 8" in str(result)


def test_other_errors_are_bugs() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        list(engine(Negative(fits=0, error="a bug")).each(images(8)))


def test_several_devices_take_turns() -> None:
    given = images(*[8] * 6)
    runners = Negative(), Negative()
    check(given, list(engine(*runners, batch=2).each(given)))
    assert [runner.batches for runner in runners] == [[2, 2], [2]]


@pytest.mark.parametrize("total", [sys.maxsize, 2000])
def test_a_result_that_cannot_be_restored_fails_alone(total: int) -> None:
    """In a thread, or at once where a picture is large for the memory."""

    def restore(picture: Picture, pixels: Any) -> Picture:
        if picture.size == (9, 9):
            raise ImageError("not enough memory for its size")
        return replace(picture, pixels=pixels)

    splitter = Splitter("off", say=print, budget=Budget(total))
    batching = Batching((Negative(),), splitter, prepare=lambda p: p.pixels, restore=restore)  # type: ignore[arg-type]
    results = [result for _, result in batching.each(images(8, 9, 8))]
    assert [isinstance(result, ImageError) for result in results] == [False, True, False]
