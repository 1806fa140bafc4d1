"""Instance noise: how much there is, and when it has gone."""

import pytest
import torch

from img2img.config import Component
from img2img.diffaug import AUGMENTATIONS, Augmentation


def noise(**arguments: float) -> Augmentation:
    return AUGMENTATIONS.build(Component(name="instance_noise", **arguments), "critic.augment")


LOGITS = [torch.zeros(4, 1, 1, 1)]


def test_falls_linearly_to_nothing() -> None:
    instance = noise(std=0.4, images=16)
    given = torch.full((4, 6, 32, 32), 0.25)
    torch.manual_seed(0)
    found = []
    for _ in range(6):
        added = instance(given) - given
        found.append(float(added.std()))
        instance.observe(LOGITS, LOGITS, 4)
    assert found == pytest.approx([0.4, 0.3, 0.2, 0.1, 0, 0], rel=0.03)
    assert torch.equal(instance(given), given)


def test_every_channel_has_its_own() -> None:
    added = noise(std=1)(torch.zeros(1, 6, 64, 64)).view(6, -1)
    assert torch.corrcoef(added).fill_diagonal_(0).abs().max() < 0.1


def test_goes_on_where_it_was_saved() -> None:
    first, second = noise(images=8), noise(images=8)
    first.observe(LOGITS, LOGITS, 8)
    second.load_state_dict(first.state_dict())
    given = torch.rand(1, 3, 4, 4)
    assert torch.equal(second(given), given)
