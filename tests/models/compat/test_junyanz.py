"""Networks of the other implementation are told by their weights, and compute the same here."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from img2img.config import Component
from img2img.models.checkpoint import load_model, write_model
from img2img.models.compat.collection import Imported, ImportOptions, import_files
from img2img.models.compat.junyanz import reference_state
from img2img.networks import DISCRIMINATORS
from tests.models.compat.published import (
    NORMS,
    Patch,
    Pixel,
    Resnet,
    Unet,
    arguments_of,
    in_tests,
    instance,
    trained,
)

RESNETS: list[dict[str, Any]] = [
    *({"norm": norm} for norm in NORMS),
    *({"pad": pad, "dropout": on} for pad in ("zero", "replicate") for on in (False, True)),
    {"dropout": True},
    {"n_blocks": 6, "ngf": 3, "norm": "batch"},
    {"n_blocks": 9, "ngf": 5, "into": 1, "out": 2},
    {"n_downs": 3, "norm": "affine"},
    *({"up": up} for up in ("nearest", "bilinear", "nearest+reflect", "bilinear+reflect", "blur")),
    {"up": "nearest+replicate", "pad": "replicate"},
    {"up": "bilinear+reflect", "norm": "batch"},
    {"up": "blur", "blur": True},
    {"up": "blur", "blur": True, "norm": "batch", "dropout": True},
    {"blur": True},
]
UNETS: list[dict[str, Any]] = [
    *({"norm": norm} for norm in NORMS),
    {"depth": 7, "ngf": 2},
    {"depth": 8, "ngf": 1, "into": 4, "out": 1},
    {"depth": 6, "ngf": 3, "norm": "instance"},
    *({"up": up} for up in ("nearest", "bilinear", "nearest+reflect", "bilinear+replicate")),
]
CASES = [(Resnet, case) for case in RESNETS] + [(Unet, case) for case in UNETS]


def imported(network: nn.Module, folder: Path, options: ImportOptions | None = None) -> Imported:
    path = folder / "latest_net_G.pth"
    torch.save(network.state_dict(), path)
    return import_files([path], options)


def options_for(case: dict[str, Any]) -> ImportOptions:
    """What a person would have to say, since it has no weights."""
    up = case.get("up", "")
    return ImportOptions(
        upsample="nearest" if "nearest" in up else "bilinear",
        padding="replicate" if "replicate" in f"{up} {case.get('pad')}" else "reflect",
    )


@pytest.mark.parametrize("statistics", ["image", "running"])
@pytest.mark.parametrize(("kind", "case"), CASES, ids=str)
def test_same_output(
    tmp_path: Path, kind: type[nn.Module], case: dict[str, Any], statistics: Any
) -> None:
    network = trained(kind(**arguments_of(case)))
    averages = statistics == "running"
    found = imported(network, tmp_path, replace(options_for(case), statistics=statistics))
    spec, generator = found.model.specs["G"], found.model.generator("G")
    if averages and case.get("norm") == "old instance":
        pytest.skip("the present implementation drops those averages")
    side = max(32, spec.size_multiple)
    torch.manual_seed(0)
    x = 2 * torch.rand(2, spec.in_channels, side, 2 * side) - 1
    wanted = in_tests(network, evaluated=averages)(x)
    assert wanted.std() > 0.1  # not a flat picture, nor one of a saturated tanh
    assert wanted.abs().mean() < 0.99
    if not averages:  # drawn at random, these blow up rounding errors
        torch.testing.assert_close(generator(x), wanted, atol=2e-5, rtol=0)
    exact = in_tests(network.double(), evaluated=averages)(x.double())
    torch.testing.assert_close(generator.double()(x.double()), exact, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("kind", "case"), CASES, ids=str)
def test_there_and_back(tmp_path: Path, kind: type[nn.Module], case: dict[str, Any]) -> None:
    """Import, our file, and the other layout once more: bit for bit, under the same names."""
    network = trained(kind(**arguments_of(case)))
    write_model(tmp_path / "m.safetensors", imported(network, tmp_path, options_for(case)).model)
    back = reference_state(load_model(tmp_path / "m.safetensors").generator("G"))
    there = network.state_dict()
    dropped = {key for key in there if case.get("norm") == "old instance" and "running" in key}
    dropped |= {key for key in there if case.get("norm") == "old instance" and "batches" in key}
    # What a stored kernel says, the other layers say as well.
    dropped |= {key for key in there.keys() - back.keys() if key.endswith("filt")}
    assert there.keys() - dropped == back.keys()
    for key in there.keys() - dropped:
        assert torch.equal(back[key], there[key]), key


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("kind", "case"), [(Patch, {}), (Patch, {"n_layers": 2, "blur": True}), (Pixel, {"into": 6})]
)
def test_discriminators(
    tmp_path: Path, kind: type[nn.Module], case: dict[str, Any], norm: str
) -> None:
    network = trained(kind(norm=NORMS[norm], **case))
    state = network.state_dict()
    torch.save(Resnet().state_dict(), tmp_path / "latest_net_G.pth")
    torch.save(state, tmp_path / "latest_net_D.pth")
    model = import_files([tmp_path]).model
    spec = model.discriminators["D"]
    section = Component.model_validate({**spec.arguments, "name": spec.architecture})
    ours = DISCRIMINATORS.build(section, "discriminator", in_channels=spec.in_channels)
    ours.load_state_dict(model.tensors["D"])
    x = torch.randn(1, spec.in_channels, 32, 48)
    ours.train()
    torch.testing.assert_close(ours(x).logits[0], in_tests(network)(x), atol=1e-5, rtol=1e-5)


def with_biases(network: nn.Module) -> nn.Module:
    """As other projects have it: convolutions in front of BatchNorm with biases that count."""
    for chain in network.modules():
        if isinstance(chain, nn.Sequential):
            for layer, following in pairwise(list(chain)):
                if isinstance(following, nn.BatchNorm2d):
                    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
                    layer.bias = nn.Parameter(0.3 * torch.randn(layer.out_channels))
    return network


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize(
    "network", [Resnet(norm=NORMS["batch"]), Unet(), Resnet(norm=NORMS["batch"], up="nearest")]
)
def test_biases_in_front_of_batch_norm(tmp_path: Path, network: nn.Module, evaluated: bool) -> None:
    network = trained(with_biases(trained(network)), 3)
    options = ImportOptions(statistics="running" if evaluated else "image")
    generator = imported(network, tmp_path, options).model.generator("G").double()
    x = 2 * torch.rand(1, 3, 32, 64, dtype=torch.float64) - 1
    wanted = in_tests(network.double(), evaluated=evaluated)(x)
    torch.testing.assert_close(generator(x), wanted, atol=1e-5, rtol=0)


def test_norms_without_weights_are_a_choice(tmp_path: Path) -> None:
    """InstanceNorm behind convolutions without biases cannot be told from none."""
    network = trained(Resnet(norm=NORMS["none"]))
    assert imported(network, tmp_path).assumed["norm"] == "none"
    for chain in network.modules():
        if isinstance(chain, nn.Sequential):
            for index, layer in enumerate(chain):
                if isinstance(layer, nn.Identity):
                    chain[index] = instance(1)
    options = ImportOptions(norm="instance")
    generator = imported(network, tmp_path, options).model.generator("G")
    x = 2 * torch.rand(1, 3, 32, 64) - 1
    torch.testing.assert_close(generator(x), in_tests(network)(x), atol=2e-5, rtol=0)


def test_resizing_as_most_have_written_it(tmp_path: Path) -> None:
    for up in ("nearest", "bilinear+reflect"):
        found = imported(Resnet(up=up), tmp_path).model.specs["G"].arguments["upsample"]
        assert found == up.partition("+")[0]


class Unit(nn.Module):
    """Between [0, 1] and what the rest of the program takes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = 2 * self.network((x + 1) / 2) - 1
        return y


@pytest.mark.parametrize("kind", [Resnet, Unet])
def test_numbers_from_nought_to_one(tmp_path: Path, kind: type[nn.Module]) -> None:
    network = trained(kind())
    options = ImportOptions(value_range="0,1")
    generator = imported(network, tmp_path, options).model.generator("G")
    x = 2 * torch.rand(1, 3, 64, 64) - 1
    torch.testing.assert_close(generator(x), in_tests(Unit(network))(x), atol=2e-5, rtol=0)


def test_sigmoid(tmp_path: Path) -> None:
    network = trained(Resnet(last=nn.Sigmoid()))
    options = ImportOptions(value_range="0,1", output="sigmoid")
    generator = imported(network, tmp_path, options).model.generator("G")
    x = 2 * torch.rand(1, 3, 64, 64) - 1
    torch.testing.assert_close(generator(x), in_tests(Unit(network))(x), atol=2e-5, rtol=0)


def test_what_the_weights_leave_open(tmp_path: Path) -> None:
    always = {"direction": "AtoB", "crop_size": "256", "value_range": "-1,1", "output": "tanh"}
    norm = {"norm": "instance"}
    padded = {"padding": "reflect"}
    assert imported(Resnet(norm=instance), tmp_path).assumed == always | norm | padded
    assert imported(Resnet(pad="zero"), tmp_path).assumed == always | norm
    norms = {"statistics": "image", "dropout": "False"}
    assert imported(Unet(), tmp_path).assumed == always | norms
    resized = {"padding": "reflect", "upsample": "bilinear"}
    assert imported(Unet(up="bilinear+reflect"), tmp_path).assumed == always | norms | resized
    # A kernel that is stored says how it enlarges.
    blurred = imported(Resnet(up="blur", pad="zero"), tmp_path)
    assert blurred.assumed == always | norm
    assert blurred.model.specs["G"].arguments["upsample"] == "bilinear"


def test_another_blur_is_refused(tmp_path: Path) -> None:
    network = Resnet(blur=True)
    network.state_dict()["model.7.filt"].fill_(1 / 9)
    with pytest.raises(Exception, match=r"another blur in model\.7\.filt"):
        imported(network, tmp_path)
