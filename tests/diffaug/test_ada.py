"""ADA: its transforms on numbers worked out by hand, its draws, and how p adapts."""

import math

import pytest
import torch
from torch import Tensor

from img2img.config import Component
from img2img.diffaug import AUGMENTATIONS, affine
from img2img.diffaug.ada import AdaptiveAugmentation, colours, geometry


def ada(**arguments: object) -> AdaptiveAugmentation:
    built = AUGMENTATIONS.build(Component(name="ada", **arguments), "critic.augment")
    assert isinstance(built, AdaptiveAugmentation)
    return built


def numbers(*values: float) -> Tensor:
    return torch.tensor(values)


def numbered(height: int, width: int) -> Tensor:
    return torch.arange(3.0 * height * width).view(1, 3, height, width)


class TestMaps:
    """`resample` against torch's own ways to the same, and numbers."""

    def test_whole_pixels_are_moved_exactly(self) -> None:
        image = numbered(5, 5) / 7
        flip = affine.scaling(numbers(-1), numbers(1))
        assert torch.equal(affine.resample(image, flip), image.flip(3))
        quarter = affine.turning(numbers(0), numbers(1))
        assert torch.equal(affine.resample(image, quarter), image.rot90(1, (2, 3)))
        move = affine.moving(numbers(2), numbers(-1))
        padded = torch.nn.functional.pad(image, (0, 2, 1, 0), "reflect")
        assert torch.equal(affine.resample(image, move), padded[:, :, :5, 2:])

    def test_far_beyond_the_edge_it_is_reflected_again(self) -> None:
        row = numbers(0, 1, 2).view(1, 1, 1, 3)
        there = affine.resample(row, affine.moving(numbers(7), numbers(0)))
        # 0 1 2 1 0 1 2 1 0 1 ...: from the 7th on.
        assert there.flatten().tolist() == [1, 0, 1]

    def test_between_pixels_it_is_bilinear(self) -> None:
        image = numbers(0, 4, 8, 20).view(1, 1, 2, 2)
        moved = affine.resample(image, affine.moving(numbers(0.25), numbers(0.5)))
        # Rows a quarter of the way: 0 to 4 is 1, 8 to 20 is 11; the middle of the two is 6.
        assert moved[0, 0, 0, 0] == 6

    def test_agrees_with_grid_sample_inside(self) -> None:
        image = torch.rand(2, 3, 9, 13)
        angle = numbers(0.3, -1.0)
        maps = affine.turning(angle.cos(), angle.sin()) @ affine.scaling(
            numbers(0.5, 0.8), numbers(0.6, 0.4)
        )
        size = numbers(13, 9)
        theta = maps[:, :2, :2] * size / size[:, None]  # in halves of the sides
        grid = torch.nn.functional.affine_grid(
            torch.cat([theta, torch.zeros(2, 2, 1)], 2), list(image.shape), align_corners=False
        )
        inside = (grid.abs() < 1 - 1 / 9).all(3)[:, None].expand_as(image)
        expected = torch.nn.functional.grid_sample(image, grid, align_corners=False)
        found = affine.resample(image, maps)
        assert inside.float().mean() > 0.3
        assert torch.allclose(found[inside], expected[inside], atol=1e-5)


class TestDraws:
    many = 20_000

    def test_at_0_nothing_is_changed(self) -> None:
        given = torch.rand(3, 6, 16, 12) * 2 - 1
        assert torch.equal(ada()(given), given)

    def test_each_transform_has_the_probability(self) -> None:
        torch.manual_seed(0)
        p = torch.tensor(0.3)
        maps = geometry(self.many, 64, 64, p)
        still = torch.eye(3).eq(maps).all((1, 2)).float().mean()
        # Drawn as nothing: half of the flips, a quarter of the turns, 1/17^2 of the moves or so.
        expected = 0.85 * (1 - 0.3 * 3 / 4) * 0.7 * 0.7 * 0.7 * 0.7 * 0.7
        assert still == pytest.approx(expected, abs=0.01)
        brightness, matrix = colours(self.many, p)
        assert (brightness != 0).float().mean() == pytest.approx(0.3, abs=0.01)
        assert brightness.std() == pytest.approx(0.2 * math.sqrt(0.3), rel=0.05)
        still = torch.eye(3).eq(matrix).all((1, 2)).float().mean()
        assert still == pytest.approx(0.7 * 0.85 * 0.7 * 0.7, abs=0.01)

    def test_changes_that_are_no_better_known_afterwards(self) -> None:
        """Half are mirrored, and sizes are as often larger as smaller."""
        torch.manual_seed(0)
        area = geometry(self.many, 64, 64, torch.tensor(0.99999))[:, :2, :2].det()
        assert (area < 0).float().mean() == pytest.approx(0.5, abs=0.02)
        # Isotropic by 2^N(0, 0.2) a side; stretching keeps the area.
        assert area.abs().log2().mean() == pytest.approx(0, abs=0.02)
        assert area.abs().log2().std() == pytest.approx(2 * 0.2, rel=0.05)

    def test_images_that_are_not_square_are_not_put_on_their_side(self) -> None:
        torch.manual_seed(0)
        p = torch.tensor(0.2)
        found = {}
        for width in (64, 65):
            maps = geometry(self.many, 64, width, p)[:, :2, :2]
            found[width] = [
                int(maps.eq(numbers(c, -s, s, c).view(2, 2)).all((1, 2)).sum())
                for c, s in ((0, 1), (0, -1), (-1, 0))
            ]
        assert min(found[64]) > 100
        assert found[65][:2] == [0, 0]
        assert found[65][2] > 100

    def test_levels_of_all_channels_are_changed_alike(self) -> None:
        augmentation = ada(color="levels")
        augmentation.p.fill_(0.8)
        x = torch.linspace(-1, 1, 2 * 5 * 4).view(1, 5, 4, 2).expand(200, -1, -1, -1)
        torch.manual_seed(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(affine, "resample", lambda x, _: x)
            made = augmentation(x)
        # (x + brightness) contrast, by two of the numbers of each image.
        contrast = (made[:, 0, 0, 1] - made[:, 0, 0, 0]) / (x[0, 0, 0, 1] - x[0, 0, 0, 0])
        brightness = made[:, 0, 0, 0] / contrast - x[0, 0, 0, 0]
        expected = (x + brightness.view(-1, 1, 1, 1)) * contrast.view(-1, 1, 1, 1)
        assert torch.allclose(made, expected, atol=1e-5)
        assert (contrast > 0).all()
        assert contrast.log2().std() == pytest.approx(0.5 * math.sqrt(0.8), rel=0.2)
        assert brightness.std() == pytest.approx(0.2 * math.sqrt(0.8), rel=0.2)

    def test_colours_turn_about_grey(self) -> None:
        torch.manual_seed(0)
        _, matrix = colours(1000, torch.tensor(0.9))
        grey = matrix @ torch.ones(3)
        assert torch.allclose(grey, grey[:, :1].expand(-1, 3), atol=1e-5)
        # Only contrast and the flip of luma change grey.
        flipped = (grey[:, 0] < 0).float().mean()
        assert flipped == pytest.approx(0.45, abs=0.05)
        # Contrast 2^N(0, .5), saturation 2^N(0, 1): the determinant is c^3 s^2, or minus that.
        volume = matrix.det().abs().log2().mean()
        assert volume == pytest.approx(0, abs=0.3)


REAL, FAKE = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 1.0)


def update(adaptive: AdaptiveAugmentation, real: Tensor, fake: Tensor) -> None:
    """An update of the critic after two images, seen at two scales."""
    adaptive.observe([real, real], [fake, fake], 2)
    adaptive.after_update()


class TestAdapting:
    def test_a_sure_critic_raises_p(self) -> None:
        adaptive = ada(images=80)
        steps = []
        for _ in range(9):
            update(adaptive, REAL, FAKE)
            steps.append(round(float(adaptive.p), 6))
        # Every 4 updates by 4 * 2 / 80.
        assert steps == [0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2]

    def test_an_update_of_several_batches_is_one(self) -> None:
        adaptive = ada(images=80)
        steps = []
        for _ in range(4):
            adaptive.observe([REAL], [FAKE], 2)
            update(adaptive, REAL, FAKE)
            steps.append(round(float(adaptive.p), 6))
        assert steps == [0, 0, 0, 0.2]

    def test_processes_decide_together(self) -> None:
        """Of two, one's critic is sure and the other's is not: the mean of r is 0."""
        one, other = ada(interval=1), ada(interval=1)
        for adaptive, real, fake in ((one, REAL, FAKE), (other, FAKE, REAL)):
            adaptive.p.fill_(0.4)
            adaptive.observe([real], [fake], 400)
        (mine,), (theirs,) = one.tensors_to_reduce(), other.tensors_to_reduce()
        mean = (mine + theirs) / 2
        for adaptive, seen in ((one, mine), (other, theirs)):
            seen.copy_(mean)
            adaptive.after_update()
        assert float(one.p) == float(other.p) == pytest.approx(0.38)

    @pytest.mark.parametrize(("right", "p"), [(7, 0.39), (9, 0.41)])
    def test_towards_the_target(self, right: int, p: float) -> None:
        """Of 10 logits 7 are on the right side: r is 0.4; or 9: 0.8. The target is 0.6."""
        adaptive = ada(images=100, interval=1)
        adaptive.p.fill_(0.4)
        real = torch.tensor([2.0] * right + [-3.0] * (10 - right)).view(1, 1, 1, 10)
        adaptive.observe([real], [torch.full_like(real, -real.mean().item())], 1)
        adaptive.after_update()
        assert float(adaptive.p) == pytest.approx(p)

    def test_within_its_bounds(self) -> None:
        adaptive = ada(images=10, interval=1, most=0.5)
        for _ in range(6):
            update(adaptive, REAL, FAKE)
        assert float(adaptive.p) == pytest.approx(0.5)
        for _ in range(6):
            update(adaptive, FAKE, REAL)
        assert float(adaptive.p) == 0

    @pytest.mark.parametrize("shift", [0.0, 0.5, -40.0])
    def test_where_the_logits_lie_makes_no_difference(self, shift: float) -> None:
        torch.manual_seed(0)
        real, fake = torch.randn(4, 1, 8, 8) + 1, torch.randn(4, 1, 8, 8) - 1
        adaptive, shifted = ada(), ada()
        adaptive.observe([real], [fake], 4)
        shifted.observe([real + shift], [fake + shift], 4)
        assert 0.5 < float(adaptive.signs) / 4 < 0.8
        assert float(shifted.signs) == pytest.approx(float(adaptive.signs), abs=0.04)

    def test_goes_on_where_it_was_saved(self) -> None:
        first = ada(images=80)
        for _ in range(6):
            update(first, REAL, FAKE)
        second = ada(images=80)
        second.load_state_dict(first.state_dict())
        for adaptive in (first, second):
            update(adaptive, REAL, FAKE)
            update(adaptive, REAL, FAKE)
        assert float(first.p) == float(second.p) == pytest.approx(0.2)

    def test_leaves_no_trace_in_the_gradient(self) -> None:
        real = REAL.clone().requires_grad_()
        adaptive = ada(interval=1)
        update(adaptive, real, FAKE)
        assert not adaptive.p.requires_grad
