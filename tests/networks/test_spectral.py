"""Spectral normalisation: the number, and all that a network with it goes through."""

import copy
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.losses.adversarial import Vanilla
from img2img.losses.reconstruction import L1
from img2img.models.checkpoint import load_model, load_state, save_model
from img2img.models.spec import ModelSpec, prepare_for_inference
from img2img.networks import Generator
from img2img.networks.blocks import recompute_activations
from img2img.networks.spectral import (
    SpectralNorm,
    iterate,
    load_plain,
    normalize_spectra,
    normalized_weights,
    plain_state,
)
from img2img.training.ema import Ema
from img2img.training.methods.critic import Critic
from img2img.training.methods.pix2pix import Pix2Pix
from img2img.training.mixed_precision import MixedPrecision
from img2img.training.optimizers import Adam
from tests.conftest import Command
from tests.networks.building import discriminator as any_discriminator
from tests.networks.building import generator as any_generator
from tests.specs import spec_of
from tests.training.recipe import updates

GENERATORS_WITH_IT: list[dict[str, Any]] = [
    {"name": "unet", "ngf": 4, "num_downs": 3, "attention": True, "downsample": "blur"},
    {"name": "resnet", "ngf": 4, "n_blocks": 1, "upsample": "bilinear", "downsample": "blur"},
]
DISCRIMINATORS_WITH_IT: list[dict[str, Any]] = [
    {"name": "patch", "ndf": 4, "n_layers": 1, "attention": True},
    {"name": "pixel", "ndf": 4},
    {"name": "multiscale", "ndf": 4, "n_layers": 1},
    {"name": "residual", "ndf": 4, "n_layers": 1, "minibatch_std": 2},
    {"name": "segmentation", "ndf": 4, "n_layers": 2},
]


generator = partial(any_generator, spectral=True)
discriminator = partial(any_discriminator, in_channels=6, spectral=True)


def specification(network: Generator, **arguments: Any) -> ModelSpec:
    own = {key: value for key, value in arguments.items() if key != "name"}
    named = {"architecture": arguments["name"], "arguments": own | {"spectral": True}}
    return spec_of(network, **named, crop_size=(32, 32), method="pix2pix")


def layers(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def norms(network: nn.Module) -> list[float]:
    """The largest singular value of each convolution, as a matrix of a row an output."""
    found = []
    for layer in layers(network):
        rows = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        matrix = layer.weight.detach().float().movedim(rows, 0).flatten(1)
        found.append(torch.linalg.matrix_norm(matrix, 2).item())
    return found


# -- the number ------------------------------------------------------------------------------------


def test_by_hand() -> None:
    """The matrix (3, 0; 0, 4) has the singular values 3 and 4."""
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    normalize_spectra(layer)
    for weight in normalized_weights(layer):
        iterate(weight, 100)
    torch.testing.assert_close(layer.weight, torch.tensor([[0.75, 0.0], [0.0, 1.0]]))
    # Of w11 / sigma: 1 / 4, for sigma does not depend on it. Of w22 / sigma: 0, for it is always 1.
    for index, expected in ((0, 0.25), (1, 0.0)):
        original = layer.parametrizations["weight"].original  # type: ignore[index, union-attr]
        (slope,) = torch.autograd.grad(layer.weight[index, index], original)
        assert slope[index, index].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 8, 4), nn.ConvTranspose2d(3, 8, 4), nn.Linear(5, 7)]
)
def test_follows_the_weight(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
    """One iteration an update keeps the largest singular value at 1 while weights change slowly."""
    torch.manual_seed(0)
    network = nn.Sequential(copy.deepcopy(layer))
    normalize_spectra(network)
    (weight,) = normalized_weights(network)
    rows = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    for _ in range(100):
        with torch.no_grad():
            weight.original += 0.01 * torch.randn_like(weight.original) * weight.original.std()
        iterate(weight)
    matrix = network[0].weight.detach().movedim(rows, 0).flatten(1)  # type: ignore[operator]
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=0.03)


def test_second_derivatives() -> None:
    weight = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.detach(), 0)
    assert torch.autograd.gradgradcheck(norm, weight)


@pytest.mark.parametrize("arguments", GENERATORS_WITH_IT + DISCRIMINATORS_WITH_IT)
def test_every_convolution_of_a_network(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    build: Callable[..., nn.Module] = generator if "ngf" in arguments else discriminator
    network = build(**arguments)
    assert len(normalized_weights(network)) == len(layers(network))
    for weight in normalized_weights(network):
        iterate(weight, 200)
    assert norms(network) == pytest.approx([1.0] * len(layers(network)), abs=0.01)
    assert not normalized_weights(build(**arguments | {"spectral": False}))


# -- in training -----------------------------------------------------------------------------------


def method(index: int = 0) -> Pix2Pix:
    torch.manual_seed(0)
    judge = discriminator(**DISCRIMINATORS_WITH_IT[index])
    network = generator(**GENERATORS_WITH_IT[index % 2])
    return Pix2Pix(network, Critic(judge, Vanilla()), {"l1": L1(weight=100)})


def batch() -> Batch:
    A, B = torch.rand((2, 2, 3, 32, 32), generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(A, B, ["0", "1"], ["0", "1"])


def optimizers_of(trained: Pix2Pix) -> dict[str, Adam]:
    return {group: Adam(params=trained.parameters_of(group), lr=1e-3) for group in trained.groups}


def train(trained: Pix2Pix, precision: Any, steps: int) -> list[float]:
    """The losses of some steps."""
    mixed = MixedPrecision(trained, precision, torch.device("cpu"))
    optimizers = optimizers_of(trained)
    losses = []
    for _ in range(steps):
        for group, loss in updates(mixed.method, batch()):
            losses.append(loss.total().item())
            mixed.backward(group, loss.total())
            for weight in trained.parameters_of(group):
                if weight.requires_grad:
                    assert weight.grad is not None
                    assert weight.grad.stride() == weight.stride()
            mixed.step(optimizers[group])
            mixed.follow_update(group)
        mixed.end_step()
    return losses


@pytest.mark.parametrize("index", range(len(DISCRIMINATORS_WITH_IT)))
def test_bfloat16_trains_as_float32_does(index: int) -> None:
    exact, rough = method(index), method(index)
    before = copy.deepcopy(exact.state_dict())
    assert train(rough, "bf16", 4) == pytest.approx(train(exact, "fp32", 4), rel=0.03)
    for trained in (exact, rough):
        assert all(value.dtype != torch.bfloat16 for value in trained.state_dict().values())
        assert norms(trained) == pytest.approx([1.0] * len(layers(trained)), abs=0.2)
    vectors = [key for key in before if key.endswith((".u", ".v")) and before[key].numel() > 1]
    assert vectors
    for trained in (exact, rough):
        state = trained.state_dict()
        assert not any(torch.equal(state[key], before[key]) for key in vectors)


def test_working_copies_share_what_is_normalised() -> None:
    trained = method()
    working = MixedPrecision(trained, "bf16", torch.device("cpu")).method
    masters, copies = layers(trained), layers(working)
    assert [id(w) for w in normalized_weights(working)] == [
        id(w) for w in normalized_weights(trained)
    ]
    for master, copied in zip(masters, copies, strict=True):
        assert copied.weight.dtype == torch.bfloat16
        assert torch.equal(copied.weight, master.weight.bfloat16())


def test_one_iteration_an_update() -> None:
    trained = method()
    mixed = MixedPrecision(trained, "bf16", torch.device("cpu"))
    optimizers = optimizers_of(trained)
    twins = {name: copy.deepcopy(network) for name, network in trained.networks.items()}
    for name, loss in updates(mixed.method, batch()):
        mixed.backward(name, loss.total())
        mixed.step(optimizers[name])
        mixed.follow_update(name)
        trained_weights = normalized_weights(trained.networks[name])
        for weight, twin in zip(trained_weights, normalized_weights(twins[name]), strict=True):
            twin.original.data = weight.original.data
            iterate(twin)
            assert torch.equal(twin[0].u, weight[0].u)  # type: ignore[arg-type]
            assert torch.equal(twin[0].v, weight[0].v)  # type: ignore[arg-type]


def test_recomputed_activations_give_the_same_gradients() -> None:
    network = generator(**GENERATORS_WITH_IT[0], dropout=False)
    x = torch.rand(2, 3, 16, 16)
    weights = list(network.parameters())
    plain = torch.autograd.grad(network(x).square().sum(), weights)
    recompute_activations(network)
    for mine, wanted in zip(
        torch.autograd.grad(network(x).square().sum(), weights), plain, strict=True
    ):
        assert torch.equal(mine, wanted)


def test_averages_take_the_vectors_along() -> None:
    trained = method()
    ema = Ema(trained.generators, half_life=1.0)
    train(trained, "fp32", 3)
    ema.update(images=6, batch_size=2)
    average = ema.average["G"]
    assert norms(average) == pytest.approx([1.0] * len(layers(average)), abs=0.2)
    assert not torch.equal(layers(average)[0].weight, layers(trained.generators["G"])[0].weight)


# -- in files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", GENERATORS_WITH_IT)
def test_a_model_file_holds_a_plain_network(arguments: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = generator(**arguments)
    spec = specification(network, **arguments)
    for module in network.modules():  # so that there is something to get wrong
        if type(module).__name__ == "SelfAttention":
            nn.init.constant_(module.gamma, 1.0)  # type: ignore[arg-type]
    prepare_for_inference(network, spec)
    save_model(tmp_path / "model.safetensors", {"G": spec}, {"G": network})
    assert normalized_weights(network)  # which is as it was
    loaded = load_model(tmp_path).generator("G")
    assert not normalized_weights(loaded)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(loaded(x), network(x))
    plain = generator(**arguments | {"spectral": False})
    assert {key: t.shape for key, t in plain_state(network).items()} == {
        key: t.shape for key, t in plain.state_dict().items()
    }


def test_starting_from_a_plain_network() -> None:
    """The weights become those of the file, divided by their own norms, not by the old ones."""
    arguments = GENERATORS_WITH_IT[0]
    torch.manual_seed(0)
    plain, network = generator(**arguments | {"spectral": False}), generator(**arguments)
    load_plain(network, plain.state_dict())
    for mine, theirs in zip(layers(network), layers(plain), strict=True):
        ratio = theirs.weight / mine.weight
        torch.testing.assert_close(ratio, torch.full_like(ratio, ratio.mean().item()))
    assert norms(network) == pytest.approx([1.0] * len(layers(network)), abs=0.1)
    for key, tensor in plain.state_dict().items():
        if not key.endswith("weight"):
            assert torch.equal(network.state_dict()[key], tensor)


def test_a_run_resumes_exports_and_is_started_from(
    img2img: Command, train: Command, tiny_pairs: Path, tmp_path: Path
) -> None:
    changes = ("generator.spectral=true", "discriminator.spectral=true", "ema.half_life=4")
    given = ["--data", tiny_pairs, "--max-steps", 2, "--set", "precision=bf16"]
    given += [word for change in changes for word in ("--set", change)]
    given += ["--set", "checkpoint.every=1"]
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    assert train(whole, *given).status == 0
    shutil.copytree(whole, halted)
    for path in (halted / "model.safetensors", *halted.glob("checkpoints/*2.safetensors")):
        path.unlink()
    outcome = train(halted, *given, "--resume")
    assert outcome.status == 0, outcome.err
    through, resumed = load_model(whole), load_model(halted)
    for key, tensor in through.tensors["G"].items():
        assert torch.equal(resumed.tensors["G"][key], tensor), key

    # The averages of the training state translate as the file does.
    spec = through.specs["G"]
    average = any_generator(spec.architecture, **spec.arguments)
    assert normalized_weights(average)
    (newest,) = (whole / "checkpoints").glob("state-*2.safetensors")
    state: dict[str, Tensor] = load_state(newest)["ema"]
    average.load_state_dict({key.removeprefix("G."): state[key] for key in state})
    prepare_for_inference(average, spec)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(through.generator("G")(x), average(x))

    told = train(tmp_path / "next", *given, "--init-from", whole)
    assert told.status == 0, told.err
    assert "G starts from G of" in told.out
    assert "do not match" not in told.out
    exported = img2img("export", whole, "--format", "reference", "--output", tmp_path / "pth")
    assert exported.status == 0, exported.err
