"""Initialisation, up-sampling and recomputation."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from img2img.networks.blocks import (
    Blur,
    BlurDown,
    UpsampleName,
    binomial,
    recompute_activations,
    upsampling,
)
from tests.networks.building import discriminator, generator


def networks(norm: str) -> list[nn.Module]:
    torch.manual_seed(0)
    return [
        generator("unet", ngf=16, num_downs=5, norm=norm),
        generator("resnet", ngf=16, n_blocks=3, norm=norm),
        generator("unet", ngf=16, num_downs=5, norm=norm, upsample="nearest"),
        discriminator("patch", 6, norm=norm),
    ]


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_initialisation(norm: str) -> None:
    """Convolutions N(0, 0.02), BatchNorm weights N(1, 0.02), every bias 0."""
    for network in networks(norm):
        kernels, scales = [], []
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert torch.equal(parameter, torch.zeros_like(parameter))
            elif parameter.ndim == 4:
                if parameter.numel() > 10_000:
                    assert parameter.std().item() == pytest.approx(0.02, rel=0.05)
                kernels.append(parameter.detach().flatten())
            else:
                scales.append(parameter.detach())
        drawn = torch.cat(kernels)
        assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
        assert drawn.mean().item() == pytest.approx(0, abs=5 * 0.02 / len(drawn) ** 0.5)
        # A normal distribution, not a uniform one of that width: some beyond three sigma.
        assert (drawn.abs() > 0.06).double().mean().item() == pytest.approx(0.0027, rel=0.2)
        assert bool(scales) == (norm == "batch")
        if scales:
            one = torch.cat(scales)
            assert one.std().item() == pytest.approx(0.02, rel=0.25)
            assert one.mean().item() == pytest.approx(1, abs=5 * 0.02 / len(one) ** 0.5)


def test_initialisation_follows_the_seed() -> None:
    first, again = networks("batch"), networks("batch")
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("upsample", ["bilinear", "deconv"])
def test_kaiming_keeps_the_scale_without_normalisation(upsample: str) -> None:
    """He et al. 2015: what goes in with a spread of 1 neither vanishes nor blows up."""
    torch.manual_seed(0)
    network = generator(
        "unet", ngf=64, num_downs=3, norm="none", init="kaiming", upsample=upsample
    ).eval()
    spreads: dict[str, float] = {}

    def note(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            spreads[name] = output.square().mean().sqrt().item()

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(note(name))
    network(torch.randn(2, 3, 32, 32))
    # The tanh takes what comes last: small, so that it does not start at its ends.
    *inner, last = spreads.values()
    assert all(0.3 < spread < 2 for spread in inner), spreads
    assert 0 < last < 1, spreads


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("kind", ["deconv", "nearest", "bilinear"])
def test_upsampling_doubles(kind: UpsampleName, kernel: Literal[3, 4]) -> None:
    layer = upsampling(kind, 2, 5, kernel=kernel, bias=True)
    assert layer(torch.randn(1, 2, 3, 7)).shape == (1, 5, 6, 14)


def test_resize_convolution_has_no_checkerboard() -> None:
    """A flat image stays flat inside, whatever the weights; transposed convolution is uneven."""
    torch.manual_seed(0)
    flat = torch.ones(1, 1, 8, 8)

    def spread(kind: UpsampleName) -> float:
        inside = upsampling(kind, 1, 1, kernel=3, bias=False)(flat)[..., 2:-2, 2:-2]
        return float((inside.max() - inside.min()).detach())

    assert spread("nearest") < 1e-6
    assert spread("bilinear") < 1e-6
    assert spread("deconv") > 1e-3


def test_bilinear_resizing_is_the_blur_of_others() -> None:
    """Zeros between the pixels, smoothed by (1, 3, 3, 1) / 4 with edges repeated."""
    layer = upsampling("bilinear", 1, 1, kernel=3, bias=False)
    assert isinstance(layer, nn.Sequential)
    x = torch.randn(2, 1, 5, 7)
    padded = F.pad(x, (1, 1, 1, 1), "replicate")
    apart = torch.zeros(2, 1, 14, 18)
    apart[..., ::2, ::2] = padded
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    assert torch.equal(4 * binomial(4)[0, 0], row[:, None] * row)
    smooth = F.conv2d(apart, 4 * binomial(4))
    torch.testing.assert_close(layer[0](x), smooth[..., :-1, :-1])


class TestBlur:
    """The filter (1, 2, 1), edges reflected."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_by_hand(self, dtype: torch.dtype) -> None:
        x = torch.tensor([[0.0, 0.0, 16.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=dtype)[None, None]
        blurred = torch.tensor([[0.0, 2.0, 4.0, 4.0], [0.0, 2.0, 4.0, 4.0]], dtype=dtype)
        torch.testing.assert_close(Blur(1)(x)[0, 0], blurred)
        torch.testing.assert_close(BlurDown(1)(x)[0, 0], blurred[:1, ::2])

    def test_nothing_aliases(self) -> None:
        """The finest stripes go grey, where every other pixel of them would be white."""
        stripes = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 2, 8, 8)
        for layer in (Blur(2), BlurDown(2)):
            y = layer(stripes)
            torch.testing.assert_close(y, torch.full_like(y, 0.5))


class TestRecomputation:
    """Only what goes from part to part is kept, and the gradients are the same."""

    NETWORKS = (
        ("unet", {"ngf": 4, "num_downs": 4, "dropout": True}),
        ("unet", {"ngf": 4, "num_downs": 2, "norm": "instance", "upsample": "bilinear"}),
        ("resnet", {"ngf": 8, "n_blocks": 2, "attention": True}),
        ("resnet", {"ngf": 4, "n_blocks": 2, "dropout": True}),
        ("resnet", {"ngf": 4, "n_blocks": 3, "norm": "batch", "upsample": "nearest"}),
    )

    @staticmethod
    def step(network: nn.Module, x: Tensor) -> tuple[int, list[Tensor]]:
        """The bytes that a forward keeps for the backward pass, and the gradients."""
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(1)  # of dropout
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = network(x)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(y.square().sum(), weights)
        return sum(kept.values()), list(gradients)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize(("name", "arguments"), NETWORKS)
    def test_saves_memory_and_changes_nothing(
        self, name: str, arguments: dict[str, Any], dtype: torch.dtype
    ) -> None:
        network = generator(name, **arguments).to(dtype).to(memory_format=torch.channels_last)
        torch.manual_seed(0)
        x = torch.randn(2, 3, 32, 32, dtype=dtype)
        plain, wanted = self.step(network, x)
        recompute_activations(network)
        saved, gradients = self.step(network, x)
        assert saved < 0.6 * plain
        for gradient, want in zip(gradients, wanted, strict=True):
            assert torch.equal(gradient, want)
