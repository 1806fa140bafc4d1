"""Distances to the wanted image."""

from typing import Any

import pytest
import torch

from img2img.config import Component
from img2img.errors import ConfigError
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.registry import Part


def reconstruction(name: str, **arguments: object) -> Reconstruction:
    return RECONSTRUCTIONS.build(Component(name=name, **arguments), "losses.reconstruction.0")


def test_l1_by_hand() -> None:
    output = torch.tensor([[0.0, 1.0], [-1.0, 1.0]]).reshape(2, 1, 1, 2)
    target = torch.tensor([[0.5, 0.0], [1.0, 1.0]]).reshape(2, 1, 1, 2)
    # (0.5 + 1)/2 and (2 + 0)/2; the weight is not in it.
    assert reconstruction("l1", weight=100)(output, target).tolist() == [0.75, 1.0]


def test_weight() -> None:
    assert reconstruction("l1", weight=100).weight == 100
    assert reconstruction("l1", weight="1e2").weight == 100
    with pytest.raises(ConfigError, match=r"losses\.reconstruction\.0\.weight: .*-1"):
        reconstruction("l1", weight=-1)


# `perceptual` is of larger images, in float32: see its own tests.
@pytest.mark.parametrize(
    "part", [p for p in RECONSTRUCTIONS if p.name != "perceptual"], ids=lambda part: part.name
)
def test_every_distance(part: Part[Any]) -> None:
    """Nothing from an image to itself, a value an image, and its gradient is its slope."""
    every = reconstruction(part.name)
    generator = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 2, 3, 4, 4, generator=generator, dtype=torch.float64)
    assert every(output, output).tolist() == pytest.approx([0, 0], abs=1e-12)
    distance = every(output, target)
    assert distance.shape == (2,)
    assert (distance > 0).all()
    assert torch.allclose(every(output[1:], target[1:]), distance[1:])
    assert torch.autograd.gradcheck(every, (output.requires_grad_(), target))
