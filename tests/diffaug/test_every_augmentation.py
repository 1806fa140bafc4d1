"""What holds for every augmentation of a critic's images."""

from typing import Any

import pytest
import torch
from torch import Tensor

from img2img.config import Component
from img2img.diffaug import AUGMENTATIONS, Augmentation
from img2img.errors import ConfigError
from img2img.registry import Part

every = pytest.mark.parametrize("part", list(AUGMENTATIONS), ids=lambda part: part.name)


def active(part: Part[Any]) -> Augmentation:
    """One that does something; ADA begins with nothing to do."""
    augmentation = AUGMENTATIONS.build(Component(name=part.name), "critic.augment")
    for name, buffer in augmentation.named_buffers():
        if name == "p":
            buffer.fill_(0.8)
    return augmentation


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=generator, dtype=dtype) * 2 - 1


@pytest.mark.parametrize("channels", [1, 4, 7])
@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "diffaugment", "policy": ["translation", "cutout"]},
        {"name": "diffaugment", "policy": ["levels"]},
        {"name": "ada", "color": False},
        {"name": "ada", "color": "levels"},
        {"name": "instance_noise"},
    ],
)
def test_what_needs_no_colours_takes_any_channels(arguments: dict[str, Any], channels: int) -> None:
    section = Component.model_validate(arguments)
    augmentation = AUGMENTATIONS.build(section, "critic.augment", rgb=False)
    if arguments["name"] == "ada":
        augmentation.get_buffer("p").fill_(0.8)
    given = images(64, channels, 8, 12)
    changed = augmentation(given)
    assert changed.shape == given.shape
    assert not torch.equal(changed, given)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("diffaugment", "take `levels` instead of `color`"), ("ada", "set its `color` to levels")],
)
def test_colours_are_of_rgb_images(name: str, advice: str) -> None:
    sections = [Component(name="instance_noise"), Component(name=name)]
    with pytest.raises(ConfigError, match=rf"^critic\.augment\.1: .*'{name}' needs RGB.*{advice}"):
        AUGMENTATIONS.build_all(sections, "critic.augment", rgb=False)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (1, 1)])
def test_keeps_shape_and_type_and_its_input(
    part: Part[Any], dtype: torch.dtype, size: tuple[int, int]
) -> None:
    given = images(3, 6, *size, dtype=dtype)
    kept = given.clone()
    torch.manual_seed(0)
    changed = active(part)(given)
    assert (changed.shape, changed.dtype) == (given.shape, dtype)
    assert changed.isfinite().all()
    assert torch.equal(given, kept)


@every
def test_draws_follow_the_seed_and_not_the_type(part: Part[Any]) -> None:
    augmentation, given = active(part), images(4, 3, 8, 8)
    results = []
    for dtype in (torch.float32, torch.float32, torch.float64):
        torch.manual_seed(3)
        results.append(augmentation(given.to(dtype)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], given)
    if part.name != "instance_noise":  # torch draws other normal numbers for other types
        assert torch.allclose(results[0].double(), results[2], atol=1e-4)
    assert not torch.equal(augmentation(given), results[0])


@every
def test_is_differentiable_twice(part: Part[Any]) -> None:
    """Autograd against finite differences in float64, also of what a penalty computes."""
    augmentation = active(part)

    def changed(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        return augmentation(x)  # type: ignore[no-any-return]

    def penalty(x: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(changed(x).pow(3).sum(), x, create_graph=True)
        return slope.square().sum()

    given = images(2, 3, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(changed, (given,))
    assert torch.autograd.gradcheck(penalty, (given,))


@pytest.mark.parametrize("name", ["diffaugment", "ada"])
def test_what_belongs_together_is_changed_alike(name: str) -> None:
    part = next(part for part in AUGMENTATIONS if part.name == name)
    one, other = images(6, 3, 8, 8), images(6, 3, 8, 8).flip(0)
    torch.manual_seed(0)
    both = active(part)(torch.cat([one, one, other], 1))
    assert torch.equal(both[:, :3], both[:, 3:6])
    torch.manual_seed(0)
    assert torch.allclose(active(part)(other), both[:, 6:], atol=1e-6)
    # But the images of a batch by draws of their own.
    alike = active(part)(one[:1].repeat(6, 1, 1, 1))
    assert len(alike.flatten(1).unique(dim=0)) > 3


def test_autocast_rounds_no_places() -> None:
    part = next(part for part in AUGMENTATIONS if part.name == "ada")
    given = images(4, 3, 16, 16)
    torch.manual_seed(1)
    plain = active(part)(given)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(active(part)(given), plain)
