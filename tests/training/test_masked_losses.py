"""Losses of images of which only a part is looked at, by hand."""

import pytest
import torch

from img2img.config import Component
from img2img.losses import REGULARIZERS
from img2img.losses.adversarial import Valid, Vanilla
from img2img.losses.reconstruction import L1
from img2img.training.methods.critic import Critic
from img2img.training.methods.cyclegan import CycleGAN
from img2img.training.methods.pix2pix import Pix2Pix
from tests.training.recipe import batch
from tests.training.tiny import HandDiscriminator, HandGenerator

SLOPE = 0.6
# Of two images of one row of four pixels, the left half.
HALF = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 4).repeat(2, 1, 1, 1)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 4).repeat(2, 1, 1, 1)


class TestPenalties:
    @pytest.mark.parametrize("name", ["r1", "r2", "gp"])
    @pytest.mark.parametrize("valid", [Valid(), Valid(HALF, HALF), Valid(HALF, None)], ids=str)
    def test_as_large_as_of_an_image_that_ends_there(self, name: str, valid: Valid) -> None:
        """The slope is the same at all pixels, so that how many there are does not matter."""
        penalty = REGULARIZERS.build(Component(name=name), "regularizers")
        critic = Critic(HandDiscriminator(SLOPE, 0.2), Vanilla(), regularizers={name: penalty})
        loss = critic.d_loss(row(0.5, -1, 9, 9), row(0.1, 0.3, -9, 9), valid=valid)
        expected = (SLOPE - 1) ** 2 if name == "gp" else SLOPE**2 / 2
        assert loss.terms[name].value.item() == pytest.approx(expected)

    def test_where_there_is_nothing_they_are_nothing(self) -> None:
        penalty = REGULARIZERS.build(Component(name="r1"), "regularizers")
        critic = Critic(HandDiscriminator(SLOPE, 0.2), Vanilla(), regularizers={"r1": penalty})
        nowhere = torch.zeros_like(HALF)
        loss = critic.d_loss(row(1, 1, 1, 1), row(2, 2, 2, 2), valid=Valid(nowhere, nowhere))
        assert loss.terms["r1"].value.item() == pytest.approx(0)
        assert loss.total().isfinite()


def test_a_pool_of_batches_with_and_without_masks() -> None:
    """Whole images and masked ones are exchanged with each other, and each keeps its places."""
    torch.manual_seed(0)
    critic = Critic(HandDiscriminator(1.0, 0.0), Vanilla(), 2)
    for step in range(12):
        fake, valid = (row(1, 1, 9, 9), HALF) if step % 2 else (row(1, 1, 1, 1), None)
        scores = critic.d_loss(row(0, 0, 0, 0), fake, valid=Valid(None, valid)).scores
        assert scores["fake"].item() == pytest.approx(1)
    assert critic.pool is not None
    assert [image.shape for image in critic.pool.images] == [(2, 1, 4)] * 2


class TestOutside:
    """Of y = 0.5 x, an image of 0.4 is 0.2 from itself, and one of -0.8 is 0.4."""

    A, B = row(0.4, 0.4, -0.8, -0.8), row(0, 0, 0, 0)

    def test_pix2pix(self) -> None:
        critic = Critic(HandDiscriminator(0.3, -0.6, 0.2), Vanilla())
        method = Pix2Pix(HandGenerator(0.5, 0.0), critic, {"l1": L1()})
        method.outside = {"l1": L1(weight=10)}
        for valid, inside, outside in ((HALF, 0.2, 0.4), (None, 0.3, 0.0)):
            given = batch(self.A, self.B, valid)
            terms = method.loss("G", given, method.generate(given, ["G"])).terms
            assert terms["l1"].value.item() == pytest.approx(inside)
            assert terms["identity_outside"].value.item() == pytest.approx(outside)
            assert terms["identity_outside"].weight == 10

    def test_cyclegan(self) -> None:
        D_A, D_B = (Critic(HandDiscriminator(0.3, 0.2), Vanilla()) for _ in range(2))
        G_AB, G_BA = HandGenerator(0.5, 0.0), HandGenerator(0.25, 0.1)
        method = CycleGAN(G_AB, G_BA, D_A, D_B, {}, {})
        method.outside = {"l1": L1()}
        given = batch(self.A, self.B, HALF)
        terms = method.loss("G", given, method.generate(given, ["G"])).terms
        assert terms["identity_outside_A"].value.item() == pytest.approx(0.4)
        assert terms["identity_outside_B"].value.item() == pytest.approx(0.1)
