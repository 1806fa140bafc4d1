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


def test_charbonnier_by_hand() -> None:
    """Roots of 3^2 + 4^2 and 0^2 + 4^2."""
    output = torch.tensor([[3.0, 0.0], [-3.0, 3.0]]).reshape(2, 1, 1, 2)
    target = torch.zeros(2, 1, 1, 2)
    charbonnier = reconstruction("charbonnier", eps=4)
    assert charbonnier(output, target).tolist() == [4.5, 5.0]
    assert reconstruction("charbonnier")(output, output).tolist() == pytest.approx([1e-3] * 2)
    for wrong in (0, -1):
        with pytest.raises(ConfigError, match=r"losses\.reconstruction\.0\.eps: "):
            reconstruction("charbonnier", eps=wrong)


def test_ssim_of_plain_images_by_hand() -> None:
    """Without any structure only the luminance counts, of pixels in [0, 1]: 0.75 against 0.25."""
    output = torch.full((2, 3, 16, 20), 0.5, dtype=torch.float64)
    target = torch.tensor([-0.5, 0.5]).reshape(2, 1, 1, 1).expand_as(output)
    similarity = (2 * 0.75 * 0.25 + 0.01**2) / (0.75**2 + 0.25**2 + 0.01**2)
    distances = reconstruction("ssim")(output, target).tolist()
    assert distances == pytest.approx([1 - similarity, 0], abs=1e-9)


def test_ssim_of_opposite_structures_by_hand() -> None:
    """A board of single pixels around 1/2 against its negative: variance v, covariance -v."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = ((rows + columns) % 2 * 2 - 1).double().expand(1, 3, 64, 64) * 0.5
    v = 0.25**2
    similarity = (0.03**2 - 2 * v) / (2 * v + 0.03**2)
    # The window's weights, cut off and sampled, do not balance to the last digit.
    distance = reconstruction("ssim")(board, -board).item()
    assert distance == pytest.approx(1 - similarity, rel=1e-4)
    assert distance == pytest.approx(1.986, abs=1e-3)


def test_ssim_of_the_smallest_image() -> None:
    ssim = reconstruction("ssim")
    image = torch.zeros(1, 3, 11, 11)
    assert ssim(image, image + 0.5).isfinite().all()
    with pytest.raises(ConfigError, match=r"ssim .* 11 pixels .* 11 x 10 "):
        ssim(image[..., :10], image[..., :10])


def test_ssim_needs_float32() -> None:
    """Under autocast, too, which would convolve in bfloat16."""
    images = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ssim = reconstruction("ssim")
    with torch.autocast("cpu", torch.bfloat16):
        within = ssim(*images)
    assert torch.equal(within, ssim(*images))
    assert ssim(*images.bfloat16()).dtype == torch.float32


# `perceptual` is of larger images, in float32, and `cross_entropy` of label maps: see their tests.
@pytest.mark.parametrize(
    "part",
    [p for p in RECONSTRUCTIONS if p.name not in {"perceptual", "cross_entropy"}],
    ids=lambda part: part.name,
)
def test_every_distance(part: Part[Any]) -> None:
    """The least from an image to itself, a value an image, and its gradient is its slope."""
    every = reconstruction(part.name)
    generator = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 2, 3, 12, 13, generator=generator, dtype=torch.float64)
    distance = every(output, target)
    assert distance.shape == (2,)
    assert torch.allclose(every(output[1:], target[1:]), distance[1:])
    assert (every(output, output).abs() < 1.001e-3).all()
    nearer = every(torch.lerp(output, target, 0.5), target)
    assert (every(target, target) < nearer).all()
    assert (nearer < distance).all()
    inputs = (output.requires_grad_(), target)
    assert torch.autograd.gradcheck(every, inputs, fast_mode=True)
