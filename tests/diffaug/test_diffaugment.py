"""DiffAugment, on images whose numbers tell where they come from."""

import pytest
import torch
from torch import Tensor

from img2img.config import Component
from img2img.diffaug import AUGMENTATIONS, Augmentation
from img2img.errors import ConfigError


def with_policy(*policy: str) -> Augmentation:
    return AUGMENTATIONS.build(Component(name="diffaugment", policy=list(policy)), "critic.augment")


def numbered(height: int, width: int) -> Tensor:
    """[1, 3, H, W] of numbers from 1 on."""
    return torch.arange(1.0, 3 * height * width + 1).view(1, 3, height, width)


def test_colours_of_fixed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.9, 0.25, 1.0])  # brightness +0.4, saturation x 0.5, contrast x 1.5
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.full(shape, next(draws)))
    given = torch.tensor([[0.0, 0.3], [0.0, 0.3], [0.6, 0.0]]).view(1, 3, 1, 2)
    # Brighter: (.4, .4, 1.0), (.7, .7, .4); their means are .6 and .6.
    # Half as far from those: (.5, .5, .8), (.65, .65, .5); the mean of all is .6.
    # Half as far again from that: (.45, .45, .9), (.675, .675, .45).
    expected = torch.tensor([[0.45, 0.675], [0.45, 0.675], [0.9, 0.45]]).view(1, 3, 1, 2)
    assert torch.allclose(with_policy("color")(given), expected, atol=1e-6)


def test_translation_is_by_up_to_an_eighth_and_moves_zeros_in() -> None:
    given = numbered(16, 24)
    torch.manual_seed(0)
    moved = with_policy("translation")(given.repeat(400, 1, 1, 1))
    padded = torch.nn.functional.pad(given[0], (3, 3, 2, 2))
    possible = {
        (down, across): padded[:, 2 - down : 18 - down, 3 - across : 27 - across]
        for down in range(-2, 3)
        for across in range(-3, 4)
    }
    found = {
        next(by for by, image in possible.items() if torch.equal(image, each)) for each in moved
    }
    assert found == possible.keys()


@pytest.mark.parametrize(("side", "hole"), [(8, 4), (10, 5), (7, 4)])
def test_cutout_is_half_the_size_and_anywhere(side: int, hole: int) -> None:
    torch.manual_seed(0)
    changed = with_policy("cutout")(numbered(side, side).repeat(300, 1, 1, 1))
    assert ((changed == 0) | (changed == numbered(side, side))).all()
    holes = changed[:, 0] == 0
    assert torch.equal(holes, (changed == 0).all(1))
    heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
    assert torch.equal(holes.sum((1, 2)), heights * widths)  # rectangles
    assert heights.max() == widths.max() == hole
    assert heights.min() == widths.min() == (hole + 1) // 2  # cut by an edge
    assert holes.any(0).all()


def test_policy_in_order() -> None:
    given = torch.full((64, 3, 8, 8), 0.5)
    torch.manual_seed(0)
    # Zeros that the colours change are no zeros any more.
    assert (with_policy("cutout", "color")(given) != 0).all()
    assert (with_policy("color", "cutout")(given) == 0).any((1, 2, 3)).all()


@pytest.mark.parametrize("policy", [["colour"], []])
def test_policies_that_are_none(policy: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"critic\.augment\.policy"):
        with_policy(*policy)


def test_levels_of_fixed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two channels: +0.4 each, then 1.5 times as far from the mean of the channel."""
    draws = iter([0.9, 1.0])
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.full(shape, next(draws)))
    given = torch.tensor([[0.0, 0.2], [-1.0, 0.0]]).view(1, 2, 1, 2)
    # Brighter: (.4, .6) and (-.6, .4), whose means are .5 and -.1.
    expected = torch.tensor([[0.35, 0.65], [-0.85, 0.65]]).view(1, 2, 1, 2)
    assert torch.allclose(with_policy("levels")(given), expected, atol=1e-6)
