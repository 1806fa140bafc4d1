"""The warping error and the sharpness of a video, on cases worked out by hand."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from img2img.metrics.video import VideoMeter

Frame = NDArray[np.uint8]


def texture(seed: int, height: int = 64, width: int = 96) -> Frame:
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    pixels: Frame = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return pixels


def test_a_still_video_has_no_error() -> None:
    meter, scene = VideoMeter(), texture(0)
    for _ in range(3):
        meter.add(scene, 255 - scene)
    assert (meter.frames, meter.cuts) == (3, 0)
    assert meter.input_error == meter.output_error == 0
    assert meter.ratio is None
    assert meter.sharpness == pytest.approx(1)


def test_flicker_of_a_known_amplitude() -> None:
    """The colour 100 and 100 + 51, in turn, over a still input: (51 / 255)^2 = 0.04."""
    meter = VideoMeter()
    for t in range(5):
        meter.add(texture(0), np.full((64, 96, 3), 100 + 51 * (t % 2), np.uint8))
    assert meter.output_error == pytest.approx(0.04, rel=1e-5)
    # In one of three channels, and of 16 bits.
    meter = VideoMeter()
    for t in range(5):
        deep = np.full((64, 96, 3), 100 * 257, np.uint16)
        deep[..., 1] += 51 * 257 * (t % 2)
        meter.add(texture(0), deep)
    assert meter.output_error == pytest.approx(0.04 / 3, rel=1e-5)


def test_every_pair_counts_alike() -> None:
    """Steps of 51, 0 and 102: (0.04 + 0 + 0.16) / 3."""
    meter = VideoMeter()
    for level in (10, 61, 61, 163):
        meter.add(texture(0), np.full((64, 96, 3), level, np.uint8))
    assert meter.output_error == pytest.approx(0.2 / 3, rel=1e-5)


def test_what_moves_with_the_input_is_steady_and_what_stays_behind_is_not() -> None:
    scene, drawn = texture(0, 64, 160), texture(1, 64, 160)
    moving, staying = VideoMeter(), VideoMeter()
    for t in range(4):
        there = np.s_[:, 3 * t : 3 * t + 96]
        moving.add(scene[there], drawn[there])
        staying.add(scene[there], drawn[:, :96])
    assert moving.output_error < 1e-4
    assert staying.output_error > 50 * moving.output_error
    assert moving.ratio is not None
    assert moving.ratio < 2


def test_what_is_laid_open_does_not_count() -> None:
    """Behind a square that moves, the output is white; elsewhere it is black."""
    meter = VideoMeter()
    ground, square = texture(0), texture(1)[:40, :40]
    for t in range(2):
        given, made = ground.copy(), np.zeros((64, 96, 3), np.uint8)
        left = 30 - 6 * t
        given[12:52, left : left + 40] = square
        if t == 0:
            # These are hidden in the next frame.
            made[16:48, 26:29] = 255
        meter.add(given, made)
    # Counted, they would make 3 * 32 / (64 * 96) = 0.0156.
    assert meter.output_error < 0.002


def test_cuts_do_not_count() -> None:
    meter = VideoMeter()
    for t in range(4):
        made = np.full((64, 96, 3), 0 if t < 2 else 255, np.uint8)
        meter.add(texture(t // 2), made)
    assert meter.cuts == 1
    assert meter.output_error == 0


def test_sharpness() -> None:
    sharp = texture(0)
    soft = cv2.blur(sharp, (7, 7))
    over_input, over_reference, alone = VideoMeter(), VideoMeter(), VideoMeter()
    over_input.add(sharp, soft)
    over_reference.add(sharp, soft, soft)
    alone.add(soft, sharp)
    assert over_input.sharpness is not None
    assert over_input.sharpness < 0.8
    assert over_reference.sharpness == 1
    assert alone.sharpness == pytest.approx(1 / over_input.sharpness)
    # A slope twice as steep.
    slope = np.tile(np.arange(96, dtype=np.uint8)[:, None], (64, 1, 3))
    doubled = VideoMeter()
    doubled.add(slope, 2 * slope)
    assert doubled.sharpness == pytest.approx(2)


def test_sizes_and_depths_may_differ() -> None:
    meter = VideoMeter()
    for _ in range(2):
        meter.add(texture(0).astype(np.uint16) * 257, texture(0, 32, 48))
    assert meter.input_error == meter.output_error == 0
    tiny = VideoMeter()
    for level in (0, 51):
        tiny.add(np.zeros((3, 5, 3), np.uint8), np.full((3, 5, 3), level, np.uint8))
    assert tiny.output_error == pytest.approx(0.04, rel=1e-5)


def test_nothing_yet() -> None:
    meter = VideoMeter()
    assert (meter.frames, meter.output_error, meter.ratio, meter.sharpness) == (0, 0, None, None)
