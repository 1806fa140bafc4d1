"""The ResNet generator against the facts of the published implementation's state_dicts."""

from typing import Any

import pytest
import torch
from torch import nn

from img2img.config import Component
from img2img.networks import GENERATORS, Generator

Shapes = dict[str, tuple[int, ...]]


def resnet(name: str = "resnet", **arguments: Any) -> Generator:
    section = Component(name=name, **arguments)
    return GENERATORS.build(section, "generator", in_channels=3, out_channels=3)


def on_meta(name: str, **arguments: Any) -> Generator:
    with torch.device("meta"):
        return resnet(name, **arguments)


def shapes(network: nn.Module) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def published_convolutions(blocks: int, inner: tuple[int, int]) -> Shapes:
    """The weights of RECIPES.md's list; `inner` numbers the two convolutions of a block."""
    after = 10 + blocks
    return {
        "model.1.weight": (64, 3, 7, 7),
        "model.4.weight": (128, 64, 3, 3),
        "model.7.weight": (256, 128, 3, 3),
        **{
            f"model.{block}.conv_block.{number}.weight": (256, 256, 3, 3)
            for block in range(10, after)
            for number in inner
        },
        f"model.{after}.weight": (256, 128, 3, 3),
        f"model.{after + 3}.weight": (128, 64, 3, 3),
        f"model.{after + 7}.weight": (3, 64, 7, 7),
    }


def with_biases(weights: Shapes, transposed: tuple[str, ...]) -> Shapes:
    biases = {
        key.replace("weight", "bias"): (shape[1] if key in transposed else shape[0],)
        for key, shape in weights.items()
    }
    return weights | biases


@pytest.mark.parametrize(("name", "blocks"), [("resnet_9blocks", 9), ("resnet_6blocks", 6)])
@pytest.mark.parametrize(
    ("arguments", "inner"),
    [
        ({}, (1, 5)),
        ({"dropout": True}, (1, 6)),
        ({"pad": "replicate"}, (1, 5)),
        ({"pad": "zero"}, (0, 3)),
        ({"pad": "zero", "dropout": True}, (0, 4)),
    ],
)
def test_keys_and_shapes(
    name: str, blocks: int, arguments: dict[str, Any], inner: tuple[int, int]
) -> None:
    after = 10 + blocks
    transposed = (f"model.{after}.weight", f"model.{after + 3}.weight")
    expected = with_biases(published_convolutions(blocks, inner), transposed)
    assert shapes(on_meta(name, **arguments)) == expected


def test_batch_norm_keys_are_one_after_each_convolution() -> None:
    found = shapes(on_meta("resnet_9blocks", norm="batch"))
    weights = published_convolutions(9, (1, 5))
    last = "model.26.weight"
    norms = {key.removesuffix(".weight") for key in weights if key != last}
    for name in norms:
        place, _, number = name.rpartition(".")
        assert found[f"{place}.{int(number) + 1}.running_mean"]
        assert f"{name}.bias" not in found
    assert found["model.26.bias"] == (3,)
    assert len(found) == len(weights) + 1 + 5 * len(norms)


def test_parameter_count() -> None:
    count = sum(parameter.numel() for parameter in on_meta("resnet_9blocks").parameters())
    assert count == 11_378_179


def test_names_are_presets_of_one_class() -> None:
    assert shapes(on_meta("resnet", n_blocks=6)) == shapes(on_meta("resnet_6blocks"))
    assert shapes(on_meta("resnet")) == shapes(on_meta("resnet_9blocks"))


def test_instance_norm_is_plain() -> None:
    norms = [m for m in on_meta("resnet").modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 1 + 2 + 2 * 9 + 2
    assert all(not norm.affine and not norm.track_running_stats for norm in norms)
    assert not any(isinstance(module, nn.Dropout) for module in on_meta("resnet").modules())


@pytest.mark.parametrize(
    ("norm", "upsample", "pad"),
    [("batch", "bilinear", "zero"), ("none", "nearest", "reflect"), ("none", "deconv", "zero")],
)
def test_output(norm: str, upsample: str, pad: str) -> None:
    network = resnet(ngf=2, n_blocks=1, norm=norm, upsample=upsample, pad=pad)
    output = network(torch.randn(2, 3, 12, 8))
    assert output.shape == (2, 3, 12, 8)
    assert output.abs().max() <= 1


def test_sizes() -> None:
    network = resnet(ngf=2, n_blocks=1)
    assert (network.size_multiple, network.min_size) == (4, 8)
    assert network(torch.zeros(1, 3, 8, 12)).shape == (1, 3, 8, 12)
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.zeros(1, 3, 4, 4))
    # One pixel more is no multiple: what comes out is not what went in.
    assert network(torch.zeros(1, 3, 9, 9)).shape != (1, 3, 9, 9)


def test_stages_are_made_of_the_generators_own_modules() -> None:
    network = resnet(ngf=2, n_blocks=3, dropout=True)
    assert network.local
    stages = network.stages()
    parts = [part for stage in stages for part in (stage.op, stage.norm, stage.then) if part]
    own = [layer for layer in network.modules() if not any(layer.children())]
    assert [layer for part in parts for layer in part.modules() if not any(layer.children())] == own
    assert [stage.halo for stage in stages] == [3, 1, 1, *[1] * 6, 1, 1, 3]
    assert [stage.shortcut for stage in stages] == [0, 0, 0, *[0, 2] * 3, 0, 0, 0]
    assert stages[-1].norm is None
    assert all(isinstance(stage.norm, nn.InstanceNorm2d) for stage in stages[:-1])


def test_block_adds_to_its_input() -> None:
    """With all weights of the blocks zero they pass on what they get."""
    network = resnet(ngf=2, n_blocks=2, norm="none")
    plain = resnet(ngf=2, n_blocks=1, norm="none")
    state, short = network.state_dict(), plain.state_dict()
    for key in state:
        if "conv_block" in key:
            state[key].zero_()
    for key in short:
        # What comes after the blocks moves up by one.
        head, number, rest = key.split(".", 2)
        if "conv_block" in key:
            short[key].zero_()
        else:
            shifted = int(number) + (1 if int(number) > 10 else 0)
            short[key].copy_(state[f"{head}.{shifted}.{rest}"])
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(network(x), plain(x))
