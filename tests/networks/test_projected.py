"""The discriminator that sees through a frozen network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.models.checkpoint import load_state
from img2img.networks import Discriminator
from tests.conftest import Command
from tests.networks.building import discriminator


def projected(in_channels: int = 6, **arguments: Any) -> Discriminator:
    return discriminator("projected", in_channels, **{"ndf": 2, "min_side": 64} | arguments)


def images(channels: int, height: int = 64, width: int = 64) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(2, channels, height, width, generator=random) * 2 - 1


@pytest.mark.parametrize(
    ("size", "least", "logits"),
    [((32, 32), 64, (1, 1)), ((40, 80), 128, (2, 4)), ((192, 128), 64, (3, 2))],
)
def test_a_logit_for_64_pixels_at_each_of_four_scales(
    size: tuple[int, int], least: int, logits: tuple[int, int]
) -> None:
    output = projected(3, min_side=least)(images(3, *size))
    assert [tuple(each.shape) for each in output.logits] == [(2, 1, *logits)] * 4
    assert len(output.features) == 4 + 3 + 2 + 1


def test_logits_of_an_image_do_not_depend_on_the_others_in_its_batch() -> None:
    network, x = projected(3).eval(), images(3)
    assert not network.mixes_images
    for both, alone in zip(network(x).logits, network(x[1:]).logits, strict=True):
        torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-4)


def test_condition_and_image_both_count_and_have_gradients() -> None:
    network, x = projected(6).eval(), images(6).requires_grad_()
    torch.stack([each.sum() for each in network(x).logits]).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (x.grad.abs().amax((2, 3)) > 0).all()


def test_judges_are_spectrally_normalized() -> None:
    """The largest singular value of each convolution's weights is 1 (Miyato et al. 2018)."""
    judges = [
        layer
        for name, layer in projected(3).named_modules()
        if name.startswith("judges.") and isinstance(layer, nn.Conv2d)
    ]
    assert len(judges) == 14
    for layer in judges:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        assert largest == pytest.approx(1, abs=0.1)


def test_what_is_random_is_saved_and_what_is_published_is_not() -> None:
    network, other, x = projected(3).eval(), projected(3).eval(), images(3)
    parts = {key.partition(".")[0] for key in network.state_dict()}
    assert parts == {"across_channels", "across_scales", "judges"}
    other.load_state_dict(network.state_dict())
    assert all(
        torch.equal(mine, yours)
        for mine, yours in zip(network(x).logits, other(x).logits, strict=True)
    )


def test_only_colour_images() -> None:
    with pytest.raises(ConfigError, match="takes RGB images side by side, not 4 channels"):
        projected(4)


SETTINGS = {
    "generator.ngf": 2,
    "generator.num_downs": 3,
    "discriminator.name": "projected",
    "discriminator.ndf": 2,
    "discriminator.min_side": 64,
    "device": "cpu",
    "precision": "fp32",
    "data.workers": 0,
    "checkpoint.every": 1,
}


def test_training_changes_the_judges_only(
    img2img: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    outcome = img2img(
        "train", "pix2pix", "--data", tiny_pairs, "--output", run, "--max-steps", 2, *words
    )
    assert outcome.status == 0, outcome.err
    before, after = (
        load_state(state)["method"] for state in sorted((run / "checkpoints").glob("state-*"))
    )
    weights = [key for key in before if ".D." in key and key.endswith((".weight", ".original"))]
    assert len(weights) == 4 + 3 + 14
    for key in weights:
        assert torch.equal(before[key], after[key]) == (".across_" in key), key
