"""The segmentation critic of OASIS: its losses by hand, its network, and a run with it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from img2img.losses.adversarial import Hinge, Valid
from img2img.losses.segmentation import LabelMix, Segmentation
from img2img.networks import Discriminator, DiscriminatorOutput
from img2img.networks.segmentation import SegmentationDiscriminator
from img2img.training.methods.critic import Critic
from tests.conftest import Command, noise
from tests.runs import untimed

# One row of four pixels: three of the first of two classes, one of the second.
LABELS = F.one_hot(torch.tensor([[[0, 0, 0, 1]]]), 2).movedim(-1, 1).float()


def rows(*chances: tuple[float, float, float]) -> Tensor:
    """Logits for which a softmax gives these chances of two classes and of a fake, a pixel each."""
    return torch.tensor(chances).log().T[None, :, None]


REAL = rows((0.5, 0.25, 0.25), (0.5, 0.25, 0.25), (0.25, 0.5, 0.25), (0.7, 0.2, 0.1))
FAKE = rows((0.25, 0.25, 0.5), (0.1, 0.1, 0.8), (0.4, 0.5, 0.1), (0.3, 0.2, 0.5))


def mean_of(*parts: tuple[float, float]) -> float:
    """The mean of -log(chance), by weights."""
    return sum(-math.log(chance) * weight for chance, weight in parts) / len(parts)


# 4 pixels of 2 classes: 4 / (2 * 3) and 4 / (2 * 1).
COMMON, RARE = 2 / 3, 2.0


def test_cross_entropy_by_hand() -> None:
    objective = Segmentation().with_labels(LABELS)
    of_real = mean_of((0.5, COMMON), (0.5, COMMON), (0.25, COMMON), (0.2, RARE))
    of_fake = mean_of((0.5, 1), (0.8, 1), (0.1, 1), (0.5, 1))
    assert objective.d_loss(REAL, FAKE).tolist() == pytest.approx([of_real + of_fake])
    expected_g = mean_of((0.25, COMMON), (0.1, COMMON), (0.4, COMMON), (0.2, RARE))
    assert objective.g_loss(None, FAKE).tolist() == pytest.approx([expected_g])


def test_pixels_without_a_class_or_without_data_are_left_out() -> None:
    labels, valid = LABELS.clone(), torch.tensor([[[[1.0, 1, 0, 1]]]])
    labels[..., 1] = 0
    objective = Segmentation().with_labels(labels)
    # Two are left, each of a class of its own, so that both have the weight 1.
    d = objective.d_loss(REAL, FAKE, Valid(valid, valid))
    of_fake = mean_of((0.5, 1), (0.8, 1), (0.5, 1))
    assert d.tolist() == pytest.approx([mean_of((0.5, 1), (0.2, 1)) + of_fake])
    g = objective.g_loss(None, FAKE, Valid(valid, valid))
    assert g.tolist() == pytest.approx([mean_of((0.25, 1), (0.2, 1))])


def test_label_mix_by_hand() -> None:
    """Of logits that are squares, those of a mixed image are the mixed ones; not so of means."""
    real, fake = torch.full((64, 1, 1, 4), 3.0), torch.full((64, 1, 1, 4), 1.0)
    labels, seen = LABELS.expand(64, -1, -1, -1), list[Tensor]()
    penalty = LabelMix().with_labels(labels)
    assert penalty(lambda x: [x.square().expand(-1, 3, -1, -1)], real, fake).item() == 0

    def means(x: Tensor) -> list[Tensor]:
        seen.append(x)
        return [x.mean((1, 2, 3), keepdim=True).expand_as(x)]

    torch.manual_seed(0)
    value = penalty(means, real, fake)
    rows = {tuple(row) for row in seen[0][:, 0, 0].tolist()}
    assert rows == {(a, a, a, b) for a in (1.0, 3.0) for b in (1.0, 3.0)}
    # Of the mixed image's mean m, all four pixels differ from what is expected there, 1 or 3.
    mixed = seen[0]
    expected = (mixed.mean((1, 2, 3), keepdim=True) - mixed).square().mean()
    assert value.item() == pytest.approx(expected.item())


class Colours(Discriminator):
    """The logits are the channels of the image."""

    classes = 2
    mixes_images = False

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput([self.weight * x], [x])


def test_the_critic_sees_the_image_and_its_losses_the_label_map() -> None:
    critic = Critic(Colours(), Segmentation(), regularizers={"label_mix": LabelMix()})
    # The label map, and borders of instances, which nothing looks at.
    condition = torch.cat([LABELS, torch.ones_like(LABELS[:, :1])], 1)
    loss = critic.d_loss(REAL, FAKE, condition)
    expected = Segmentation().with_labels(LABELS).d_loss(REAL, FAKE)
    assert loss.terms["adv"].value.item() == pytest.approx(expected.item())
    assert loss.terms["label_mix"].value.item() == pytest.approx(0, abs=1e-12)
    assert loss.terms["label_mix"].weight == 10
    # That a pixel is real, of whatever class: log((1 - p) / p) of the chance p of a fake.
    odds = sum(math.log((1 - p) / p) for p in (0.25, 0.25, 0.25, 0.1)) / 4
    assert loss.scores["real"].item() == pytest.approx(odds)
    g = critic.g_loss(REAL, FAKE, condition)["adv"].value
    assert g.item() == pytest.approx(Segmentation().with_labels(LABELS).g_loss(None, FAKE).item())
    # Other objectives have the same logits of being real.
    of_hinge = Critic(Colours(), Hinge()).g_loss(REAL, FAKE, condition)["adv"].value
    assert of_hinge.item() == pytest.approx(
        -sum(math.log((1 - p) / p) for p in (0.5, 0.8, 0.1, 0.5)) / 4, rel=1e-5
    )


@pytest.mark.parametrize(("side", "n_layers"), [((64, 64), 6), ((40, 56), 3), ((8, 9), 3)])
def test_a_logit_a_class_and_pixel(side: tuple[int, int], n_layers: int) -> None:
    network = SegmentationDiscriminator(in_channels=3, ndf=4, n_layers=n_layers, classes=5)
    output = network(torch.randn(2, 3, *side))
    assert output.logits[0].shape == (2, 6, *side)
    assert len(output.features) == 2 * n_layers
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 3, network.min_size - 1, 64))


def test_its_widths_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = SegmentationDiscriminator(in_channels=3, classes=2)
    sides = [
        [block.get_parameter("layers.1.weight").shape[0] for block in blocks]
        for blocks in (network.down, network.up)
    ]
    assert sides == [[128, 128, 256, 256, 512, 512], [256, 256, 128, 128, 64, 64]]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Label maps of three classes and of pixels without one, and their images in three greys."""
    for number in range(4):
        labels = np.kron(noise(4, 4, number)[..., 0] % 4, np.ones((8, 8), np.uint8))
        images = {"A": labels, "B": np.dstack([labels * 80] * 3)}
        for side, image in images.items():
            (tmp_path / "data" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / "data" / side / f"{number}.png")
    return tmp_path / "data"


SMALL = {
    "generator": "{name: spade, ngf: 4, hidden: 8}",
    "discriminator": "{name: segmentation, ndf: 4, n_layers: 2}",
    "data.A": "{classes: 3, ignore: 3}",
    "data.batch_size": 2,
    "metrics.log_every": 1,
    "device": "cpu",
    "data.workers": 0,
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    precision: str, labelled: Path, img2img: Command, tmp_path: Path
) -> None:
    given = ["--data", labelled, "--config", "oasis.yaml", "--max-steps", 3]
    settings = SMALL | {"precision": precision}
    given += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]

    def train(name: str, *more: object) -> int:
        outcome = img2img("train", "pix2pix", "--output", tmp_path / name, *given, *more)
        assert outcome.status in {0, 75}, outcome.err
        return int(outcome.status)

    assert train("whole") == 0
    while train("parts", "--resume", "--stop-after", 0):
        pass
    whole, parts = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")
    )
    assert whole == parts
    logged = untimed(tmp_path / "whole")
    assert logged == untimed(tmp_path / "parts")
    assert {"D/adv", "D/label_mix", "G/adv"} <= {tag for line in logged for tag in line}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"data.A": "{kind: image}"},
            "objective: needs label maps as the input (--set data.A.kind=labels)",
        ),
        ({"discriminator": "{name: patch, ndf: 4, n_layers: 1, norm: none}"}, "discriminator.name"),
        ({"critic.augment": "[{name: diffaugment}]"}, "critic.augment: label maps do not follow"),
    ],
)
def test_what_does_not_fit_is_refused(
    given: dict[str, object], message: str, labelled: Path, img2img: Command, tmp_path: Path
) -> None:
    words = ["--data", labelled, "--config", "oasis.yaml", "--max-steps", 1]
    settings = SMALL | given
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    outcome = img2img("train", "pix2pix", "--output", tmp_path / "run", *words)
    assert outcome.status == 2
    assert message in outcome.err
