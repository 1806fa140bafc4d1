"""Label maps as output: the loss, the measures, and a run from images to label maps."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from img2img.losses.labels import CrossEntropy, inverse_frequencies
from img2img.metrics.labels import LabelMeasures, class_counts, miou, pixel_accuracy
from tests.conftest import Command
from tests.runs import lines

PALETTE = [0, 0, 0, 128, 64, 128, 220, 20, 60]


def hot(numbers: list[list[int]], classes: int = 3) -> torch.Tensor:
    return F.one_hot(torch.tensor([numbers]), classes).movedim(-1, 1).float()


def test_cross_entropy_by_hand() -> None:
    # Softmax of (ln 3, 0) is (3/4, 1/4).
    logits = torch.tensor([math.log(3), 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 4)
    target = hot([[0, 0, 0, 1]], 2)
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    plain, weighted = CrossEntropy(), CrossEntropy(classes="inverse_frequency")
    assert plain(logits, target).item() == pytest.approx((3 * right + wrong) / 4)
    # 4 pixels of 2 classes: 4 / (2 * 3) and 4 / (2 * 1).
    assert inverse_frequencies(target).tolist() == pytest.approx([2 / 3, 2])
    assert weighted(logits, target).item() == pytest.approx((right + wrong) / 2)
    # Unlabelled pixels, and ones without data, are left out.
    target[..., 0] = 0
    valid = torch.tensor([[[[1.0, 1, 0, 1]]]])
    assert plain(logits, target, valid).item() == pytest.approx((right + wrong) / 2)
    assert inverse_frequencies(hot([[0, 0]], 3)).tolist() == [1, 0, 0]


def test_measures_are_of_the_pixels_of_all_images() -> None:
    """Not means over images: the second has eight times as many pixels, and two of its classes."""
    pairs = [
        (hot([[0, 0, 1, 1]]), hot([[0, 0, 0, 1]])),  # output and target
        (hot([[1] * 24 + [0] * 8]), hot([[1] * 32])),
    ]
    measures = LabelMeasures(["pixel_accuracy", "miou"], ["sky", "road", "car"])
    for output, target in pairs:
        measures.add(measures.measure(output, target), None)
    figures = measures.figures(0)
    # Right are 2 of 3 sky and 25 of 33 road; sky is in 3 + 8 pixels of either map, road in 34.
    assert figures["pixel_accuracy"].value == pytest.approx(27 / 36)
    assert figures["pixel_accuracy"].channels == pytest.approx({"sky": 2 / 3, "road": 25 / 33})
    assert figures["miou"].value == pytest.approx((2 / 11 + 25 / 34) / 2)
    assert figures["miou"].channels == pytest.approx({"sky": 2 / 11, "road": 25 / 34})
    assert figures["miou"].per_image == pytest.approx([(2 / 3 + 1 / 2) / 2, (0 + 3 / 4) / 2])
    low, high = figures["pixel_accuracy"].low, figures["pixel_accuracy"].high
    assert low == pytest.approx(3 / 4)  # of either image, and so of any mixture
    assert high == pytest.approx(3 / 4)


def test_pixels_without_a_class_or_without_data_do_not_count() -> None:
    target, output = hot([[0, 0, 0, 1]]), hot([[0, 0, 1, 1]])
    target[..., 2] = 0
    counts = class_counts(output, target)[0]
    assert counts.tolist() == [[2, 1, 0]] * 3
    assert (pixel_accuracy(counts).item(), miou(counts).item()) == (1, 1)
    valid = torch.tensor([[[[1.0, 0, 1, 1]]]])
    assert class_counts(output, hot([[0, 0, 0, 1]]), valid)[0].tolist() == [
        [1, 1, 0],
        [2, 1, 0],
        [1, 2, 0],
    ]


def test_a_run_makes_label_maps_of_images(
    img2img: Command, tiny: list[str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for side in "AB":
        (data / side).mkdir(parents=True)
    for number in range(6):
        labels = np.kron(
            np.random.default_rng(number).integers(0, 3, (4, 4), np.uint8),
            np.ones((8, 8), np.uint8),
        )
        image = Image.fromarray(labels, mode="P")
        image.putpalette(PALETTE)
        image.save(data / "B" / f"{number}.png")
        image.convert("RGB").save(data / "A" / f"{number}.jpg", quality=95)
    run = tmp_path / "run"
    given = ["--config", "segmentation.yaml", *tiny, "--set", "generator.output=linear"]
    given += ["--set", "data.B.classes=[sky, road, car]", "--max-steps", "30"]
    given += ["--set", "optimizer.lr=0.01", "--set", "data.holdout=0.3"]
    outcome = img2img("train", "pix2pix", "--data", data, "--output", run, *given)
    assert outcome.status == 0, outcome.err
    outcome = img2img(
        "translate", "--model", run, "--input", data / "A", "--output", tmp_path / "o"
    )
    assert outcome.status == 0, outcome.err
    with Image.open(tmp_path / "o" / "0.png") as made, Image.open(data / "B" / "0.png") as wanted:
        assert made.mode == "P"
        palettes = [image.getpalette() or [] for image in (made, wanted)]
        assert palettes[0][:9] == palettes[1][:9] == PALETTE
        assert set(np.unique(np.array(made))) <= {0, 1, 2}
    one = ["--input", data / "A" / "0.jpg", "--output", tmp_path / "x.jpg"]
    outcome = img2img("translate", "--model", run, *one)
    assert "label maps are written as .png" in outcome.out + outcome.err
    outcome = img2img("evaluate", "--model", run, "--json")
    assert outcome.status == 0, outcome.err
    figures = json.loads(outcome.out)
    names = figures["miou"]["per_image"]
    labels, target = [  # from the files
        np.concatenate(
            [np.array(Image.open(folder / f"{Path(n).stem}.png")).ravel() for n in names]
        )
        for folder in (tmp_path / "o", data / "B")
    ]
    shares = [
        ((labels == n) & (target == n)).sum() / ((labels == n) | (target == n)).sum()
        for n in range(3)
    ]
    assert figures["pixel_accuracy"]["value"] == pytest.approx((labels == target).mean())
    assert figures["miou"]["value"] == pytest.approx(np.mean(shares))
    assert [*figures["miou"]["channels"].values()] == pytest.approx(shares)
    assert figures["pixel_accuracy"]["channels"].keys() == {"sky", "road", "car"}
    held_out = [line["val/miou"] for line in lines(run) if "val/miou" in line]
    assert held_out[-1] == pytest.approx(figures["miou"]["value"], rel=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("losses.reconstruction=[{name: l1}]", "'l1' is for images, but these are label maps"),
        ("generator.output=tanh", "generator.output: label maps need `linear`"),
    ],
)
def test_what_does_not_fit_is_refused(
    given: str, message: str, img2img: Command, tiny: list[str], tmp_path: Path, tiny_pairs: Path
) -> None:
    data = tmp_path / "data"
    for side in "AB":
        (data / side).mkdir(parents=True)
        for number in range(3):
            labels = np.full((32, 32), number, np.uint8)
            Image.fromarray(labels).save(data / side / f"{number}.png")
    words = ["--config", "segmentation.yaml", *tiny, "--set", "data.B.kind=labels", "--set", given]
    outcome = img2img("train", "pix2pix", "--data", data, "--output", tmp_path / "run", *words)
    assert outcome.status == 2
    assert message in outcome.err
