"""The toolbox on CUDA, held against the CPU: `make test-gpu`."""

import math
from pathlib import Path

import pytest
import torch

from img2img.diffaug import AUGMENTATIONS
from img2img.losses import OBJECTIVES
from img2img.runs.log import read_log
from tests.conftest import Command
from tests.training.test_toolbox import METHODS, configuration, images, of_images, stepper

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

# What draws no random numbers on the device, so that both devices compute the same.
SETTINGS = [
    *((f"objective.name={name}",) for name in (*of_images(OBJECTIVES), "r3gan")),
    ("discriminator={name: segmentation, ndf: 4, n_layers: 3}",),
    *((f"regularizers=[{{name: {name}, every: 2}}]",) for name in ("r1", "r2")),
    ("critic={feature_matching: 10, top_k: {share: 0.5, images: 4}}",),
    ("n_critic=2", "optimizer.accumulate=2"),
    ("generator.spectral=true", "discriminator.spectral=true", "discriminator.norm=none"),
    ("generator.attention=true", "discriminator.attention=true"),
    ("generator={name: resnet_6blocks, ngf: 4, upsample: bilinear, downsample: blur}",),
    ("discriminator={name: patch, ndf: 4, downsample: blur, minibatch_std: 2, norm: instance}",),
    ("discriminator={name: multiscale, ndf: 4, n_scales: 2, norm: instance}",),
    ("discriminator={name: residual, ndf: 4}",),
]
# What does: it is seen to train, no more.
RANDOM = [
    ("objective.name=wgan-gp",),
    *((f"critic.augment=[{{name: {name}}}]",) for name in AUGMENTATIONS.names()),
]


def losses(method: str, *settings: str, size: int = 64) -> list[dict[str, float]]:
    """What two steps measure."""
    config = configuration(method, *settings)
    made = stepper(config, size)
    batches = config.n_critic * config.optimizer.accumulate
    seen = []
    for step in (1, 2):
        given = [images(size=size, seed=10 * step + number) for number in range(batches)]
        values = made.make(step, given, 1.0, watch=True)
        assert values is not None
        seen.append({name: value.item() for name, value in values[0].items()})
    return seen


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_measures_what_the_cpu_measures(
    method: str, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    here = losses(method, *settings)
    there = losses(method, *settings, "device=cuda")
    assert there[0] == pytest.approx(here[0], rel=5e-3, abs=5e-3)
    # Adam's first step is the gradient's sign: where that is next to 0, the devices part.
    assert there[1] == pytest.approx(here[1], rel=2e-2, abs=5e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["auto", "fp16"])
@pytest.mark.parametrize("settings", [*SETTINGS, *RANDOM], ids=str)
def test_it_trains_in_fewer_bits(method: str, precision: str, settings: tuple[str, ...]) -> None:
    allowed = "on_nonfinite=skip"  # of float16, whose scale is found by what overflows
    for values in losses(method, *settings, "device=cuda", f"precision={precision}", allowed):
        assert all(math.isfinite(value) for value in values.values()), values


@pytest.mark.parametrize("part", ["projected", "perceptual"])
def test_with_a_frozen_network(part: str) -> None:
    setting = {
        "projected": "discriminator={name: projected, ndf: 4, min_side: 64}",
        "perceptual": "losses.reconstruction=[{name: perceptual, weight: 1}]",
    }[part]
    for values in losses("pix2pix", setting, "device=cuda"):
        assert all(math.isfinite(value) for value in values.values()), values


def test_a_run_is_resumed_with_all_that_remembers(
    train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    settings = {
        "device": "cuda",
        "discriminator.norm": "instance",
        "discriminator.spectral": "true",
        "n_critic": 2,
        "regularizers": "[{name: r1, every: 3}]",
        "critic.augment": "[{name: ada, interval: 1, images: 20}, {name: instance_noise}]",
        "data.batch_size": 2,
        "metrics.log_every": 1,
        "doctor.every": 2,
    }
    given = ["--data", tiny_pairs, "--max-steps", 4]
    given += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = tmp_path / "run"
    while (paused := train(run, *given, "--resume", "--stop-after", 0)).status:
        assert paused.status == 75, paused.err
    lines = read_log(run / "metrics.jsonl")
    assert any("diagnostics/train_l1" in line for line in lines)
    assert all(math.isfinite(v) for line in lines for v in line.values())
