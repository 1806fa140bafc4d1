"""The U-Net against the facts of the published implementation's state_dicts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.errors import ConfigError
from img2img.networks import GENERATORS, Generator
from img2img.networks.unet import UNetGenerator

Shapes = dict[str, tuple[int, ...]]


def unet(name: str = "unet", **arguments: Any) -> Generator:
    section = Component(name=name, **arguments)
    return GENERATORS.build(section, "generator", in_channels=3, out_channels=3)


def on_meta(name: str, **arguments: Any) -> Generator:
    with torch.device("meta"):
        return unet(name, **arguments)


def shapes(network: nn.Module) -> Shapes:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def batch_norm(prefix: str, channels: int) -> Shapes:
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {
        **{f"{prefix}.{name}": (channels,) for name in per_channel},
        f"{prefix}.num_batches_tracked": (),
    }


def published_keys(depth: int, norm: str) -> Shapes:
    """RECIPES.md's list, level by level: k = 0 is the outermost, k = depth - 1 the innermost."""
    widths = [64, 128, 256, *[512] * (depth - 3)]

    def convolution(name: str, *shape: int, bias: int) -> Shapes:
        weight = {f"{name}.weight": shape}
        return weight if norm == "batch" else {**weight, f"{name}.bias": (bias,)}

    def normalisation(name: str, channels: int) -> Shapes:
        return batch_norm(name, channels) if norm == "batch" else {}

    expected: Shapes = {
        **convolution("model.model.0", 64, 3, 4, 4, bias=64),
        "model.model.3.weight": (128, 3, 4, 4),
        "model.model.3.bias": (3,),
    }
    for k in range(1, depth):
        level = "model.model.1" + ".model.3" * (k - 1)
        outer, inner = widths[k - 1], widths[k]
        expected |= convolution(f"{level}.model.1", inner, outer, 4, 4, bias=inner)
        if k < depth - 1:
            expected |= normalisation(f"{level}.model.2", inner)
            expected |= convolution(f"{level}.model.5", 2 * inner, outer, 4, 4, bias=outer)
            expected |= normalisation(f"{level}.model.6", outer)
        else:
            expected |= convolution(f"{level}.model.3", inner, outer, 4, 4, bias=outer)
            expected |= normalisation(f"{level}.model.4", outer)
    return expected


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("name", "depth"), [("unet_256", 8), ("unet_128", 7)])
def test_keys_and_shapes(name: str, depth: int, norm: str) -> None:
    assert shapes(on_meta(name, norm=norm)) == published_keys(depth, norm)


def test_parameter_count() -> None:
    count = sum(parameter.numel() for parameter in on_meta("unet_256").parameters())
    assert count == 54_413_955


def test_names_are_presets_of_one_class() -> None:
    assert shapes(on_meta("unet", num_downs=8)) == shapes(on_meta("unet_256"))
    assert shapes(on_meta("unet", num_downs=7)) == shapes(on_meta("unet_128"))


@pytest.mark.parametrize(("depth", "levels"), [(8, [4, 5, 6]), (7, [4, 5]), (6, [4]), (5, [])])
def test_dropout_is_in_the_inner_levels_of_full_width(depth: int, levels: list[int]) -> None:
    network = on_meta("unet", num_downs=depth)
    found = {name: m for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    assert set(found) == {"model.model.1" + ".model.3" * (k - 1) + ".model.7" for k in levels}
    assert all(module.p == 0.5 for module in found.values())
    without = on_meta("unet", num_downs=depth, dropout=False)
    assert not any(isinstance(module, nn.Dropout) for module in without.modules())
    assert shapes(without) == shapes(network)


@pytest.mark.parametrize(
    ("upsample", "pad"), [("nearest", "zero"), ("bilinear", "reflect"), ("deconv", "replicate")]
)
def test_padding(upsample: str, pad: str) -> None:
    """Any kind at the smallest size, and none of them changes the state_dict."""
    network = unet(ngf=2, num_downs=3, norm="none", upsample=upsample, pad=pad)
    assert network(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert shapes(network) == shapes(unet(ngf=2, num_downs=3, norm="none", upsample=upsample))


@pytest.mark.parametrize("depth", [2, 5, 8])
def test_sizes(depth: int) -> None:
    network = unet(ngf=2, num_downs=depth)
    assert network.size_multiple == network.min_size == 2**depth
    assert not network.local
    least = network.min_size
    assert network(torch.zeros(1, 3, least, 2 * least)).shape == (1, 3, least, 2 * least)
    for size in [(least // 2, least // 2), (least + least // 2, least)]:
        with pytest.raises((RuntimeError, ValueError)):
            network(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(
    ("crop", "depth"),
    [((256, 256), 8), ((512, 1024), 8), ((128, 256), 7), ((96, 64), 5), ((20, 64), 2)],
)
def test_auto_depth_is_the_most_that_the_crop_allows(crop: tuple[int, int], depth: int) -> None:
    assert UNetGenerator.resolve({"num_downs": "auto"}, crop)["num_downs"] == depth
    assert UNetGenerator.resolve({"num_downs": 3}, crop)["num_downs"] == 3


@pytest.mark.parametrize("depth", [1, 13, "deep"])
def test_depth_is_checked(depth: int | str) -> None:
    with pytest.raises(ConfigError, match=r"^generator\.num_downs: "):
        on_meta("unet", num_downs=depth)


def test_resize_convolution_in_place_of_the_transposed() -> None:
    network = on_meta("unet_256", upsample="nearest")
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in network.modules())
    found = shapes(network)
    assert found["model.model.3.1.weight"] == (3, 128, 3, 3)
    assert found["model.model.3.1.bias"] == (3,)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_blurred_halvings(norm: str) -> None:
    """The weights are those of the published network; what is finest no longer aliases."""
    network = unet(ngf=2, num_downs=3, norm=norm, downsample="blur")
    plain = unet(ngf=2, num_downs=3, norm=norm)
    assert list(shapes(network).values()) == list(shapes(plain).values())
    # Nor do biases learn that an InstanceNorm takes out again.
    learning = [weight.requires_grad for weight in network.parameters()]
    assert learning == [weight.requires_grad for weight in plain.parameters()]
    assert network(torch.randn(1, 3, 8, 16)).shape == (1, 3, 8, 16)
    entered: dict[str, Tensor] = {}
    rows = torch.arange(16)
    checkerboard = ((rows[:, None] + rows) % 2 * 2.0 - 1).expand(1, 3, 16, 16)
    for name, each in (("blur", network), ("stride", plain)):
        first = next(m for m in each.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2))
        first.register_forward_pre_hook(lambda _, x, name=name: entered.update({name: x[0]}))
        each(checkerboard)
    assert entered["blur"].abs().max() < 1e-6
    assert entered["stride"].abs().min() == 1


def test_skip_connections_reach_the_output() -> None:
    """With the way down through the bottleneck cut, the outermost skip still carries the image."""
    network = unet(ngf=2, num_downs=2, norm="none")
    state = network.state_dict()
    innermost = [key for key in state if key.startswith("model.model.1.")]
    network.load_state_dict(state | {key: torch.zeros_like(state[key]) for key in innermost})
    x = torch.randn(1, 3, 8, 8)
    outputs: list[Tensor] = [network(x), network(-x)]
    assert not torch.equal(*outputs)
