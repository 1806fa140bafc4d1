"""Optical flow, where it is trusted, and cuts, on frames whose motion is known."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from img2img.video.flow import Floats, Motion, enlarged, grey, warp

Frame = NDArray[Any]


def as_frame(levels: NDArray[Any]) -> Frame:
    frame: Frame = np.rint(levels).clip(0, 255).astype(np.uint8)
    return frame


def texture(seed: int, height: int = 96, width: int = 128) -> Frame:
    """[height, width, 3]: blobs of some pixels, in all of the range."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return as_frame(128 + 60 * smooth / smooth.std())


def motion(here: Frame, there: Frame) -> Motion:
    return Motion.between(grey(here), grey(there))


def shifted(frame: Frame, right: int, down: int = 0) -> Frame:
    return np.roll(frame, (down, right), (0, 1))


def test_a_known_translation() -> None:
    scene = texture(0)
    found = motion(scene, shifted(scene, 5, -3))
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(found.flow[inner] - [5, -3]).max() < 0.3
    assert found.reliable[inner].mean() > 0.99
    assert found.difference[inner].mean() < 3
    # What has left on the right and at the top is not there to be found.
    assert not found.agrees[:, -4:].any()
    assert not found.agrees[:2].any()


def test_a_still_frame_is_still() -> None:
    scene = texture(0)
    found = motion(scene, scene)
    assert not found.flow.any()
    assert found.reliable.all()
    assert not found.is_cut


def flows(flow: Floats, back: Floats) -> Motion:
    still = np.zeros(flow.shape[:2], np.uint8)
    return Motion(still, still, flow, back)


def test_agreement_by_hand() -> None:
    """Of a flow of (4, 0) and ways back of (-4 + e, 0).

    e^2 is held against 0.01 (16 + (4 - e)^2) + 0.5: for e = 0.8 0.64 against 0.7624, for e = 0.9
    0.81 against 0.7561.
    """
    flow, back = np.zeros((2, 16, 16, 2), np.float32)
    flow[..., 0] = 4
    back[..., 0] = -3.2
    back[8:, :, 0] = -3.1
    agrees = flows(flow, back).agrees
    assert agrees[:8, :12].all()
    assert not agrees[8:].any()
    # These 4 columns leave the frame.
    assert not agrees[:, 12:].any()


def test_borders_of_motion_by_hand() -> None:
    """At a flow of 2, |gradient|^2 is held against 0.042; a slope of 0.2 has 0.04, 0.21 0.0441."""
    flow = np.zeros((16, 16, 2), np.float32)
    for slope, trusted in ((0.2, True), (0.21, False)):
        flow[..., 1] = -2 + slope * (np.arange(16) - 8)[:, None]
        assert flows(flow, -flow).reliable[8, 8] == trusted
    flow[:] = 0
    flow[:, 8:, 1] = 3
    reliable = flows(flow, -flow).reliable
    assert not reliable[:, 7].any()
    assert reliable[:, :7].all()


def test_what_is_hidden_is_not_trusted() -> None:
    """A square moves 6 pixels over a still ground, of which it hides as much as it lays open."""
    ground, square = texture(0), texture(1)[:56, :56]
    before, now = ground.copy(), ground.copy()
    before[20:76, 30:86] = square
    now[20:76, 36:92] = square
    found = motion(now, before)
    assert found.agrees[26:70, 44:84].mean() > 0.95
    assert found.agrees[26:70, 100:-2].mean() > 0.95
    assert found.reliable[26:70, 31:35].mean() < 0.05


def fade(step: int) -> Frame:
    return as_frame(texture(0) * (1 - step / 12))


def dissolve(step: int) -> Frame:
    return as_frame(texture(0) * (1 - step / 24) + texture(1) * (step / 24))


def pan(step: int) -> Frame:
    return texture(0, 96, 512)[:, 12 * step : 12 * step + 128]


def flash(step: int) -> Frame:
    return as_frame(texture(0) + 70.0 * (step == 5))


@pytest.mark.parametrize("scene", [fade, dissolve, pan, flash])
def test_no_cut(scene: Callable[[int], Frame]) -> None:
    frames = [scene(step) for step in range(12)]
    assert not any(motion(now, before).is_cut for before, now in pairwise(frames))


def test_cuts() -> None:
    assert motion(texture(0), texture(1)).is_cut
    assert motion(texture(0), 255 - texture(2) // 2).is_cut
    dark = texture(3) // 2
    assert motion(dark, texture(4)).is_cut


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 40), (33, 17)])
def test_small_frames(height: int, width: int) -> None:
    frame = texture(0, height, width)
    found = motion(frame, frame)
    assert found.flow.shape == (max(16, height), max(16, width), 2)
    assert not found.flow.any()


def test_grey() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 200]]], np.uint8)
    # Rec. 601.
    large = np.repeat(np.repeat(colours, 16, 0), 16, 1)
    assert grey(large)[0, ::16].tolist() == [76, 150, 29, 200]
    deep = large.astype(np.uint16) * 257
    assert np.abs(grey(deep).astype(int) - grey(large)).max() <= 1
    assert grey(large, most=32).shape == (16, 32)


def test_warping_by_whole_pixels_is_exact() -> None:
    image: Floats = np.divide(texture(0), 3, dtype=np.float32)
    flow: Floats = np.zeros((96, 128, 2), np.float32)
    everywhere: Floats = np.full((96, 128, 2), (3, -2), np.float32)
    for interpolation in (cv2.INTER_LINEAR, cv2.INTER_CUBIC):
        assert np.array_equal(warp(image, flow, interpolation), image)
        moved = warp(image, everywhere, interpolation)
        assert np.array_equal(moved[2:, :-3], image[:-2, 3:])


def test_the_flow_of_larger_frames() -> None:
    flow = np.full((20, 30, 2), (1.0, -2.0), np.float32)
    assert enlarged(flow, (20, 30)) is flow
    assert np.array_equal(enlarged(flow, (40, 90)), np.full((40, 90, 2), (3, -4), np.float32))
