"""The U-Net."""

import pytest
import torch
from torch import Tensor, nn

from img2img.errors import ConfigError
from img2img.networks.unet import UNetGenerator
from tests.networks.building import generator, shapes


@pytest.mark.parametrize(("depth", "levels"), [(8, [4, 5, 6]), (7, [4, 5]), (6, [4]), (5, [])])
def test_dropout_is_in_the_inner_levels_of_full_width(depth: int, levels: list[int]) -> None:
    network = generator("unet", ngf=2, num_downs=depth)
    found = {name: m for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    assert set(found) == {"model.model.1" + ".model.3" * (k - 1) + ".model.7" for k in levels}
    assert all(module.p == 0.5 for module in found.values())
    without = generator("unet", ngf=2, num_downs=depth, dropout=False)
    assert not any(isinstance(module, nn.Dropout) for module in without.modules())
    assert shapes(without) == shapes(network)


@pytest.mark.parametrize(
    ("upsample", "pad"), [("nearest", "zero"), ("bilinear", "reflect"), ("deconv", "replicate")]
)
def test_padding(upsample: str, pad: str) -> None:
    """Any kind at the smallest size, and none of them changes the state_dict."""
    network = generator("unet", ngf=2, num_downs=3, norm="none", upsample=upsample, pad=pad)
    assert network(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert shapes(network) == shapes(
        generator("unet", ngf=2, num_downs=3, norm="none", upsample=upsample)
    )


@pytest.mark.parametrize("depth", [2, 5, 8])
def test_sizes(depth: int) -> None:
    network = generator("unet", ngf=2, num_downs=depth)
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
        generator("unet", ngf=2, num_downs=depth)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_blurred_halvings(norm: str) -> None:
    """The weights are those of the published network; what is finest no longer aliases."""
    network = generator("unet", ngf=2, num_downs=3, norm=norm, downsample="blur")
    plain = generator("unet", ngf=2, num_downs=3, norm=norm)
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
