"""What discriminators see, and what they give."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.networks.building import discriminator


@pytest.mark.parametrize(
    ("name", "n_layers", "side"),
    [
        *(("patch", n, side) for n, side in ((1, 16), (2, 34), (3, 70), (4, 142))),
        *(("residual", n, side) for n, side in ((1, 17), (3, 89))),
    ],
)
def test_receptive_field(name: str, n_layers: int, side: int) -> None:
    """By which pixels have a gradient, with weights that cannot cancel."""
    norm = {"norm": "none"} if name == "patch" else {}
    network = discriminator(name, 1, ndf=1, n_layers=n_layers, **norm)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 1, 256, 256, requires_grad=True)
    logits = network(x).logits[0]
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    for places in gradient[0, 0].nonzero(as_tuple=True):
        assert int(places.max() - places.min()) + 1 == side
    assert gradient.count_nonzero() == side * side


@pytest.mark.parametrize(
    "arguments",
    [
        *({"name": "residual", "n_layers": n, "blocks": 1} for n in (1, 2, 4)),
        *(
            {"name": "multiscale", "n_scales": s, "n_layers": n, "norm": "none", "downsample": down}
            for s, n in ((1, 2), (2, 1), (3, 1), (2, 3))
            for down in ("stride", "blur")
        ),
    ],
    ids=str,
)
def test_smallest_size(arguments: dict[str, Any]) -> None:
    network = discriminator(ndf=2, **arguments)
    least = network.min_size
    logits = network(torch.randn(1, 3, least, least + 1)).logits[-1]
    assert logits.isfinite().all()
    assert logits.shape[2] == 1 or arguments["name"] == "residual"
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 3, least - 1, least + 1))


def test_pixel_sees_one_pixel() -> None:
    network = discriminator("pixel", 3, ndf=4, norm="none")
    x = torch.randn(1, 3, 6, 6)
    before = network(x).logits[0]
    assert before.shape == (1, 1, 6, 6)
    x[:, :, 2, 3] += 1
    changed = (network(x).logits[0] != before).nonzero().tolist()
    assert changed == [[0, 0, 2, 3]]


def test_a_logit_a_patch() -> None:
    output = discriminator("patch", 6, ndf=4)(torch.randn(1, 6, 256, 256))
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
    network = discriminator("patch", 6, ndf=2, norm="none")
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)
    assert network(torch.ones(1, 6, 32, 32)).logits[0].max() > 1
