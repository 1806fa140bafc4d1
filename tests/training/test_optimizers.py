"""Optimizers after a resume."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from img2img.models.checkpoint import load_state, save_state
from img2img.training.optimizers import Adam, restore


def layer() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)


def update(layer: nn.Conv2d, optimizer: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in layer.parameters():
        weight.grad = torch.empty_like(weight).copy_(torch.randn(weight.shape, generator=generator))
    optimizer.step()


def test_moments_come_back_in_the_layout_of_their_weights(tmp_path: Path) -> None:
    """Files keep no layout; a fused kernel that walks two would mix the values up in silence."""
    through, resumed = layer(), layer()
    optimizer = Adam(params=list(through.parameters()), lr=0.1)
    update(through, optimizer, seed=1)
    path = tmp_path / "state.safetensors"
    save_state(path, {"weights": through.state_dict(), "optimizer": optimizer.state_dict()})
    update(through, optimizer, seed=2)

    state = load_state(path)
    resumed.load_state_dict(state["weights"])
    again = Adam(params=list(resumed.parameters()), lr=0.1)
    restore(again, state["optimizer"])
    update(resumed, again, seed=2)
    torch.testing.assert_close(resumed.state_dict(), through.state_dict(), rtol=0, atol=0)


def test_settings_stay_those_of_the_configuration() -> None:
    weights = list(layer().parameters())
    before = Adam(params=weights, lr=0.1, betas=(0.5, 0.9))
    after = Adam(params=weights, lr=0.2, betas=(0.0, 0.99))
    restore(after, before.state_dict())
    assert after.param_groups[0]["lr"] == 0.2
    assert after.param_groups[0]["betas"] == (0.0, 0.99)


def test_memory_layout_changes_no_update() -> None:
    """Weights in channels_last are updated in order of memory."""
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        weights = nn.Conv2d(4, 6, 3)
        weights.load_state_dict(layer().state_dict())
        weights.to(memory_format=memory_format)
        optimizer = Adam(params=list(weights.parameters()), lr=0.1)
        for seed in (1, 2):
            update(weights, optimizer, seed)
        moments = optimizer.state[weights.weight]["exp_avg"]
        assert moments.stride() == weights.weight.stride()
        results.append([weights.weight, weights.bias, moments])
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)


def test_kernels_are_given_tensors_in_order_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a function that is private to torch: without it, they copy weights at each step."""
    module = sys.modules[torch.optim.Adam.__module__]
    kernel = module.adam
    given: list[Tensor] = []

    def watched(*lists: list[Tensor], **settings: object) -> None:
        given.extend(tensor for tensors in lists for tensor in tensors)
        kernel(*lists, **settings)

    monkeypatch.setattr(module, "adam", watched)
    weights = layer()
    assert not weights.weight.is_contiguous()
    update(weights, Adam(params=list(weights.parameters()), lr=0.1), seed=1)
    assert sum(tensor.dim() == 4 for tensor in given) == 4
    assert all(tensor.is_contiguous() for tensor in given)
