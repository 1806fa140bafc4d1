"""The average of the generator's weights."""

import pytest
import torch
from torch import Tensor, nn

from img2img.networks import Generator
from img2img.training.ema import Ema


class OneNumber(Generator):
    """A weight and a buffer to average."""

    size_multiple = min_size = 1

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.count: Tensor
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        return self.weight * x

    def set(self, value: float, count: int) -> None:
        with torch.no_grad():
            self.weight.fill_(value)
            self.count.fill_(count)


def value(network: nn.Module) -> float:
    assert isinstance(network, OneNumber)
    return network.weight.item()


def test_half_life() -> None:
    """After the warm-up an old weight counts half once so many images have been seen."""
    network = OneNumber(0.0)
    ema = Ema({"G": network}, half_life=100)
    network.set(1.0, 1)
    # 0.5 ** (50 / 100) of the old is left.
    ema.update(images=1_000_000, batch_size=50)
    assert value(ema.average["G"]) == pytest.approx(1 - 0.5**0.5)
    ema.update(images=1_000_050, batch_size=50)
    assert value(ema.average["G"]) == pytest.approx(0.5)
    network.set(3.0, 2)
    ema.update(images=1_000_150, batch_size=100)
    assert value(ema.average["G"]) == pytest.approx(0.5 * 0.5 + 0.5 * 3)


def test_warm_up() -> None:
    """Early on the half-life is a twentieth of the images seen."""
    network = OneNumber(0.0)
    ema = Ema({"G": network}, half_life=1000)
    network.set(1.0, 1)
    # 0.05 * 40 = 2 images, of which one is new: 0.5 ** (1 / 2) of the old is left.
    ema.update(images=40, batch_size=1)
    assert value(ema.average["G"]) == pytest.approx(1 - 0.5**0.5)
    # The random start is as good as gone after the first images.
    ema = Ema({"G": OneNumber(0.0)}, half_life=1000)
    ema.networks["G"].set(1.0, 1)  # type: ignore[operator]
    for images in range(1, 11):
        ema.update(images, 1)
    assert value(ema.average["G"]) > 0.999999


def test_first_update_is_the_weights() -> None:
    network = OneNumber(5.0)
    ema = Ema({"G": network}, half_life=1000)
    network.set(1.0, 1)
    ema.update(images=1, batch_size=1)
    # 0.5 ** 20.
    assert value(ema.average["G"]) == pytest.approx(1, abs=1e-5)


def test_buffers_are_those_of_the_network() -> None:
    network = OneNumber(0.0)
    ema = Ema({"G": network}, half_life=1e6)
    network.set(1.0, 7)
    ema.update(images=10_000_000, batch_size=1)
    average = ema.average["G"]
    assert isinstance(average, OneNumber)
    assert average.count.item() == 7
    assert value(average) < 1e-5


def test_the_network_is_left_alone() -> None:
    network = OneNumber(2.0)
    ema = Ema({"G": network}, half_life=10)
    network.set(4.0, 0)
    ema.update(images=1_000_000, batch_size=10)
    assert value(network) == 4.0
    assert value(ema.average["G"]) == pytest.approx(3.0)
    assert not network.weight.requires_grad or network.weight.grad is None


def test_none_is_the_network_itself() -> None:
    network = OneNumber(2.0)
    ema = Ema({"G": network}, half_life=None)
    assert ema.average["G"] is network
    ema.update(images=1, batch_size=1)
    assert ema.state_dict() == {}
    ema.load_state_dict({})
    assert value(ema.average["G"]) == 2.0


def test_state_is_resumed() -> None:
    network = OneNumber(0.0)
    ema = Ema({"G": network}, half_life=10)
    network.set(1.0, 3)
    ema.update(images=1_000_000, batch_size=10)
    other = Ema({"G": OneNumber(9.0)}, half_life=10)
    other.load_state_dict({key: tensor.clone() for key, tensor in ema.state_dict().items()})
    assert value(other.average["G"]) == value(ema.average["G"]) == 0.5
    other.networks["G"].set(1.0, 3)  # type: ignore[operator]
    for average in (ema, other):
        average.update(images=1_000_010, batch_size=10)
    assert value(other.average["G"]) == value(ema.average["G"]) == 0.75
