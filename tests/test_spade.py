"""The SPADE generator: its formula, its sizes, and a run with it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from img2img.networks.spade import SpadeConvolution, SpadeGenerator
from tests.conftest import Command, noise


def one_hot(classes: int, height: int, width: int) -> torch.Tensor:
    numbers = torch.randint(classes, (2, height, width))
    return F.one_hot(numbers, classes).movedim(-1, 1).float()


def test_normalisation_is_modulated_by_labels() -> None:
    layer = SpadeConvolution(1, 1, 2, norm="instance", hidden=2, kernel=1, active=False)
    shared = layer.shared[0]
    assert isinstance(shared, torch.nn.Conv2d)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        for label in 0, 1:
            shared.weight[label, label, 1, 1] = 1
        # gamma is 2 for the first class, beta 5 for the second.
        layer.modulate.weight[0, 0, 1, 1] = 2
        layer.modulate.weight[1, 1, 1, 1] = 5
        layer.convolve.weight.fill_(1)
    x = torch.tensor([[[[1.0, 3.0], [1.0, 3.0]]]])  # of mean 2 and variance 1
    labels = F.one_hot(torch.tensor([[[0, 0], [1, 1]]])).movedim(-1, 1).float()
    expected = torch.tensor([[[[-3.0, 3.0], [4.0, 6.0]]]])
    torch.testing.assert_close(layer(x, labels), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("crop", "ups"), [((256, 256), 6), ((64, 96), 4), ((16, 16), 2)])
def test_the_smallest_map_has_four_pixels(crop: tuple[int, int], ups: int) -> None:
    given = {"n_ups": "auto", "ngf": 2}
    assert SpadeGenerator.resolve(given, crop)["n_ups"] == ups


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_results_follow_the_labels(norm: str) -> None:
    torch.manual_seed(0)
    network = SpadeGenerator(in_channels=3, out_channels=2, ngf=4, n_ups=2, hidden=8, norm=norm)  # type: ignore[arg-type]
    x = one_hot(3, 16, 24)
    y = network(x)
    assert y.shape == (2, 2, 16, 24)
    assert y.abs().max() <= 1
    assert not torch.equal(y, network(x.flip(1)))
    y.square().mean().backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_a_run_makes_images_of_label_maps(
    img2img: Command, tiny: list[str], tmp_path: Path
) -> None:
    image: np.ndarray
    for number in range(4):
        labels = np.kron(noise(4, 4, number)[..., 0] % 3, np.ones((8, 8), np.uint8))
        for side, image in (("A", labels), ("B", np.dstack([labels * 100] * 3))):
            (tmp_path / "data" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / "data" / side / f"{number}.png")
    run = tmp_path / "run"
    small = "generator={name: spade, ngf: 4, hidden: 8}"
    given = ["--config", "spade.yaml", *tiny[4:], "--set", small, "--set", "data.A.classes=3"]
    given += ["--set", "data.batch_size=2", "--max-steps", "2"]
    outcome = img2img("train", "pix2pix", "--data", tmp_path / "data", "--output", run, *given)
    assert outcome.status == 0, outcome.err
    # Not of the size of the crops, and not a multiple.
    wide = np.zeros((20, 45), np.uint8)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    command = ["translate", "--model", run, "--input", tmp_path / "wide.png"]
    outcome = img2img(*command, "--output", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    with Image.open(tmp_path / "out" / "wide.png") as made:
        assert (made.size, made.mode) == ((45, 20), "RGB")
