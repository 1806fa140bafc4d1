"""The stabiliser, on frames whose motion and flicker are known."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from img2img.errors import ConfigError
from img2img.metrics.video import VideoMeter
from img2img.translate.stabilizer import FLOW_SIDE, Stabilizer, Strength
from img2img.video.flow import Tracker

Frame = NDArray[Any]
STRENGTHS: list[Strength] = ["light", "strong"]


def texture(seed: int, height: int = 64, width: int = 96) -> Frame:
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    pixels: Frame = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return pixels


def video(frames: int, *, seed: int = 0) -> tuple[list[Frame], list[Frame]]:
    """A pan of 2.5 pixels a frame, and a "translation" that flickers in grain and as a whole."""
    wide = texture(seed, 64, 300)
    random = np.random.default_rng(seed)
    inputs, outputs = [], []
    for t in range(frames):
        view = np.array([[1, 0, -2.5 * t], [0, 1, 0]], np.float32)
        seen = cv2.warpAffine(wide, view, (96, 64), flags=cv2.INTER_CUBIC)
        grain = random.normal(scale=8, size=seen.shape) + random.normal(scale=6)
        inputs.append(seen)
        outputs.append(np.clip(seen[..., ::-1] + grain, 0, 255).astype(np.uint8))
    return inputs, outputs


class Steady:
    """A stabiliser with the tracker that tells it how the input moves."""

    def __init__(self, strength: Strength) -> None:
        self.stabilizer, self.tracker = Stabilizer(strength), Tracker(FLOW_SIDE)

    def stabilize(self, given: Frame, made: Frame) -> Frame:
        return self.stabilizer.stabilize(made, self.tracker.motion(given))


def stabilized(strength: Strength, inputs: list[Frame], outputs: list[Frame]) -> list[Frame]:
    stabilizer = Steady(strength)
    return [stabilizer.stabilize(*pair) for pair in zip(inputs, outputs, strict=True)]


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("deep", [False, True])
def test_a_still_video_stays_as_it_is(strength: Strength, deep: bool) -> None:
    given, made = texture(0), texture(1)
    if deep:
        made = made.astype(np.uint16) * 257 + 11
    for shown in stabilized(strength, [given] * 4, [made] * 4):
        assert shown.dtype == made.dtype
        assert np.array_equal(shown, made)


def test_flicker_over_a_still_input_dies_away() -> None:
    """A step of 40 in the translation is taken in shares: 40 (1 - share), and so on."""
    stabilizer, given = Steady("strong"), texture(0)
    flat = np.full((64, 96, 3), 100, np.uint8)
    stabilizer.stabilize(given, flat)
    shown = [stabilizer.stabilize(given, flat + 40) for _ in range(30)]
    assert np.unique(shown[0]).tolist() == [110]
    assert np.unique(shown[1]).tolist() == [118]  # 140 - 0.75^2 40 = 117.5, to the even one
    assert np.unique(shown[-1]).tolist() == [140]


def measured(inputs: list[Frame], outputs: list[Frame], plain: list[Frame]) -> VideoMeter:
    meter = VideoMeter()
    for frames in zip(inputs, outputs, plain, strict=True):
        meter.add(*frames)
    return meter


def test_flicker_falls_and_sharpness_stays() -> None:
    inputs, outputs = video(10)
    off = measured(inputs, outputs, outputs).output_error
    light, strong = (
        measured(inputs, stabilized(strength, inputs, outputs), outputs) for strength in STRENGTHS
    )
    assert light.output_error < 0.75 * off
    assert strong.output_error < 0.55 * off
    for meter in (light, strong):
        assert meter.sharpness is not None
        assert 0.9 < meter.sharpness < 1.1


@pytest.mark.parametrize("strength", STRENGTHS)
def test_it_begins_anew_at_a_cut(strength: Strength) -> None:
    first, second = video(3), video(3, seed=5)
    inputs, outputs = first[0] + second[0], first[1] + second[1]
    shown = stabilized(strength, inputs, outputs)
    same = [np.array_equal(*pair) for pair in zip(shown, outputs, strict=True)]
    assert same == [True, False, False, True, False, False]
    # Nothing of the scene before is left in what follows.
    for after, alone in zip(shown[3:], stabilized(strength, *second), strict=True):
        assert np.array_equal(after, alone)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_what_was_hidden_is_shown_as_it_is(strength: Strength) -> None:
    """A black square moves left over white: nothing grey is left behind it."""
    ground, square = texture(0), texture(1)[:40, :40]
    inputs, outputs = [], []
    for t in range(4):
        given, made = ground.copy(), np.full((64, 96, 3), 255, np.uint8)
        left = 40 - 6 * t
        given[12:52, left : left + 40] = square
        made[12:52, left : left + 40] = 0
        inputs.append(given)
        outputs.append(made)
    last = stabilized(strength, inputs, outputs)[-1]
    # 2 pixels from the square on.
    assert last[16:48, 64:].min() > 250
    assert last[16:48, 26:58].max() < 5


def test_what_the_input_did_not_do_is_not_blended() -> None:
    """A light goes on in the input: the flow stands still, but the frame is another."""
    stabilizer, given = Steady("strong"), texture(0) // 3
    made = texture(1)
    stabilizer.stabilize(given, made)
    assert np.array_equal(stabilizer.stabilize(given + 80, 255 - made), 255 - made)


def test_going_on_from_a_state_is_exact() -> None:
    inputs, outputs = video(6)
    whole = stabilized("light", inputs, outputs)
    first, second = Steady("light"), Steady("light")
    for pair in zip(inputs[:3], outputs[:3], strict=True):
        first.stabilize(*pair)
    kept = [
        {name: array.copy() for name, array in part.state().items()}
        for part in (first.stabilizer, first.tracker)
    ]
    first.stabilize(inputs[0], outputs[0])
    second.stabilizer.restore(kept[0])
    second.tracker.restore(kept[1])
    for t in range(3, 6):
        assert np.array_equal(second.stabilize(inputs[t], outputs[t]), whole[t])


def test_a_state_of_nothing() -> None:
    given, made = texture(0), texture(1)
    steady = Steady("strong")
    assert steady.stabilizer.state() == steady.tracker.state() == {}
    steady.stabilize(given, made)
    steady.stabilizer.restore({})
    steady.tracker.restore({})
    assert np.array_equal(steady.stabilize(given, 255 - made), 255 - made)


def test_sizes_and_depths_may_differ() -> None:
    """The flow is found in a small copy of a large frame, and used at the size of the output."""
    inputs, outputs = video(4)
    off = measured(inputs, outputs, outputs).output_error
    large = [cv2.resize(frame, (768, 512)).astype(np.uint16) * 257 for frame in inputs]
    made = [frame.astype(np.uint16) * 257 for frame in outputs]
    shown = stabilized("strong", large, made)
    assert shown[0].dtype == np.uint16
    assert measured(inputs, shown, outputs).output_error < 0.6 * off


def test_a_frame_of_another_size_begins_anew() -> None:
    stabilizer = Steady("strong")
    stabilizer.stabilize(texture(0), texture(1))
    other = texture(1, 48, 80)
    assert np.array_equal(stabilizer.stabilize(texture(0), other), other)


def test_unknown_strength() -> None:
    with pytest.raises(ConfigError, match=r"heavy.*light, strong"):
        Stabilizer("heavy")  # type: ignore[arg-type]
