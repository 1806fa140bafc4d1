"""The ResNet generator."""

import pytest
import torch
from torch import nn

from tests.networks.building import generator


def test_instance_norm_is_plain() -> None:
    norms = [m for m in generator("resnet").modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 1 + 2 + 2 * 9 + 2
    assert all(not norm.affine and not norm.track_running_stats for norm in norms)
    assert not any(isinstance(module, nn.Dropout) for module in generator("resnet").modules())


def test_sizes() -> None:
    network = generator("resnet", ngf=2, n_blocks=1)
    assert (network.size_multiple, network.min_size) == (4, 8)
    assert network(torch.zeros(1, 3, 8, 12)).shape == (1, 3, 8, 12)
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.zeros(1, 3, 4, 4))
    # One pixel more is no multiple: what comes out is not what went in.
    assert network(torch.zeros(1, 3, 9, 9)).shape != (1, 3, 9, 9)


def test_stages_are_made_of_the_generators_own_modules() -> None:
    network = generator("resnet", ngf=2, n_blocks=3, dropout=True)
    assert network.local
    stages = network.stages()
    parts = [part for stage in stages for part in (stage.op, stage.norm, stage.then) if part]
    own = [layer for layer in network.modules() if not any(layer.children())]
    assert [layer for part in parts for layer in part.modules() if not any(layer.children())] == own
    assert [stage.halo for stage in stages] == [3, 1, 1, *[1] * 6, 1, 1, 3]
    assert [stage.shortcut for stage in stages] == [0, 0, 0, *[0, 2] * 3, 0, 0, 0]
    assert stages[-1].norm is None
    assert all(isinstance(stage.norm, nn.InstanceNorm2d) for stage in stages[:-1])
