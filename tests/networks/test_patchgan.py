"""The discriminators against the facts of the published implementation."""

from typing import Any

import pytest
import torch
from torch import nn

from img2img.config import Component
from img2img.networks import DISCRIMINATORS, Discriminator

Shapes = dict[str, tuple[int, ...]]


def discriminator(name: str = "patch", in_channels: int = 6, **arguments: Any) -> Discriminator:
    section = Component(name=name, **arguments)
    return DISCRIMINATORS.build(section, "discriminator", in_channels=in_channels)


def on_meta(name: str = "patch", in_channels: int = 6, **arguments: Any) -> Discriminator:
    with torch.device("meta"):
        return discriminator(name, in_channels, **arguments)


def shapes(network: nn.Module) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def batch_norm(prefix: str, channels: int) -> Shapes:
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {
        **{f"{prefix}.{name}": (channels,) for name in per_channel},
        f"{prefix}.num_batches_tracked": (),
    }


BASIC_WEIGHTS: Shapes = {
    "model.0.weight": (64, 6, 4, 4),
    "model.0.bias": (64,),
    "model.2.weight": (128, 64, 4, 4),
    "model.5.weight": (256, 128, 4, 4),
    "model.8.weight": (512, 256, 4, 4),
    "model.11.weight": (1, 512, 4, 4),
    "model.11.bias": (1,),
}


def test_basic_with_batch_norm() -> None:
    norms = batch_norm("model.3", 128) | batch_norm("model.6", 256) | batch_norm("model.9", 512)
    assert shapes(on_meta(norm="batch")) == BASIC_WEIGHTS | norms


def test_basic_with_instance_norm() -> None:
    biases = {"model.2.bias": (128,), "model.5.bias": (256,), "model.8.bias": (512,)}
    assert shapes(on_meta(norm="instance")) == BASIC_WEIGHTS | biases


@pytest.mark.parametrize(
    ("in_channels", "norm", "count"), [(6, "batch", 2_768_705), (3, "instance", 2_764_737)]
)
def test_parameter_count(in_channels: int, norm: str, count: int) -> None:
    network = on_meta("patch", in_channels, norm=norm)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_defaults_are_the_published_ones() -> None:
    assert shapes(on_meta()) == shapes(on_meta(ndf=64, n_layers=3, norm="batch"))


@pytest.mark.parametrize(("norm", "biases"), [("batch", [0]), ("instance", [0, 2, 5])])
def test_pixel(norm: str, biases: list[int]) -> None:
    expected: Shapes = {
        "net.0.weight": (64, 6, 1, 1),
        "net.2.weight": (128, 64, 1, 1),
        "net.5.weight": (1, 128, 1, 1),
    }
    widths = {0: 64, 2: 128, 5: 1}
    expected |= {f"net.{number}.bias": (widths[number],) for number in biases}
    expected |= batch_norm("net.3", 128) if norm == "batch" else {}
    assert shapes(on_meta("pixel", norm=norm)) == expected


@pytest.mark.parametrize(("n_layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field(n_layers: int, side: int) -> None:
    """By which pixels have a gradient, with weights that cannot cancel."""
    network = discriminator("patch", 1, ndf=1, n_layers=n_layers, norm="none")
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 1, 256, 256, requires_grad=True)
    logits = network(x).logits[0]
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert x.grad is not None
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert int(rows.max() - rows.min()) + 1 == side
    assert int(columns.max() - columns.min()) + 1 == side
    assert len(rows) == side * side


def test_pixel_sees_one_pixel() -> None:
    network = discriminator("pixel", 3, ndf=4, norm="none")
    x = torch.randn(1, 3, 6, 6)
    before = network(x).logits[0]
    assert before.shape == (1, 1, 6, 6)
    x[:, :, 2, 3] += 1
    changed = (network(x).logits[0] != before).nonzero().tolist()
    assert changed == [[0, 0, 2, 3]]


def test_a_logit_a_patch() -> None:
    output = discriminator(ndf=4)(torch.randn(1, 6, 256, 256))
    assert [tuple(logits.shape) for logits in output.logits] == [(1, 1, 30, 30)]
    assert output.logits[0].dtype == torch.float32


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("name", ["patch", "pixel"])
def test_features_are_the_activations_on_the_way(name: str, norm: str) -> None:
    network = discriminator(name, 3, ndf=4, norm=norm)
    activations: list[torch.Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.LeakyReLU):
            assert module.negative_slope == 0.2
            module.register_forward_hook(lambda _, __, out: activations.append(out.clone()))
    output = network(torch.randn(2, 3, 32, 48))
    assert len(activations) == (4 if name == "patch" else 2)
    for feature, activation in zip(output.features, activations, strict=True):
        assert torch.equal(feature, activation)


def test_logits_have_no_range() -> None:
    """No sigmoid at the end: the loss is with logits."""
    network = discriminator(ndf=2, norm="none")
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)
    assert network(torch.ones(1, 6, 32, 32)).logits[0].max() > 1
