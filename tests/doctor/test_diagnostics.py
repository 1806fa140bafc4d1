"""Diagnostics of images made by hand."""

import math

import pytest
import torch
from torch import Tensor

from img2img.doctor.diagnostics import diagnostics_of


def shades(*values: float) -> Tensor:
    """An image of one grey for each value."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 16, 16).clone()


def ramps(*heights: float) -> Tensor:
    """Images that go from dark to bright, or the other way; their mean is 0."""
    return torch.linspace(-1, 1, 16).expand(3, 16, 16) * torch.tensor(heights)[:, None, None, None]


def test_diversity() -> None:
    inputs, targets = shades(-0.5, 0.0, 0.5), shades(0.0, 0.3, 0.6)
    outputs = shades(0.0, 0.1, 0.2)
    # Mean distances of two: (0.5 + 1 + 0.5) / 3, (0.3 + 0.6 + 0.3) / 3 and a third of that.
    assert diagnostics_of(inputs, outputs, targets, False)["diversity"] == pytest.approx(
        1 / 3, rel=1e-4
    )
    assert diagnostics_of(inputs, shades(0.2, 0.2, 0.2), targets, False)["diversity"] == 0
    assert "diversity" not in diagnostics_of(inputs[:1], outputs[:1], targets[:1], False)
    assert "diversity" not in diagnostics_of(inputs, outputs, shades(0.1, 0.1, 0.1), False)


def test_change() -> None:
    inputs, targets = shades(0.0, 0.2), shades(0.4, 0.6)
    assert diagnostics_of(inputs, shades(0.1, 0.3), targets, True)["change"] == pytest.approx(0.25)
    assert diagnostics_of(inputs, inputs, targets, True)["change"] == 0
    assert "change" not in diagnostics_of(inputs, targets, inputs, True)


def test_correlation() -> None:
    inputs = ramps(0.5, 1.0)
    found = diagnostics_of(inputs, ramps(-0.2, -0.9), ramps(0.1, -0.1), True)
    assert found["correlation"] == pytest.approx(-1)
    assert found["correlation_target"] == pytest.approx(0, abs=1e-6)
    assert "correlation_target" not in diagnostics_of(inputs, inputs, inputs, False)
    assert "correlation" not in diagnostics_of(inputs, shades(0.0, 0.0), inputs, False)
    # Without pairs it is guessed from the means: 0.75 of a ramp, and the same the other way.
    unpaired = diagnostics_of(inputs, inputs, ramps(-0.5, -1.0), False)
    assert unpaired["correlation_expected"] == pytest.approx(-1)
    # An image of one shade tells nothing; the other does.
    mixed = torch.cat([ramps(1.0), shades(0.3)])
    assert diagnostics_of(inputs, mixed, inputs, False)["correlation"] == pytest.approx(1)


def test_saturation() -> None:
    outputs = shades(-1.0, 0.97, 0.99, 0.0)
    found = diagnostics_of(outputs, outputs, shades(0.0, 0.0, 0.0, 1.0), False)
    assert (found["saturation"], found["saturation_target"]) == (0.5, 0.25)


def test_grid() -> None:
    flat = torch.zeros(2, 3, 64, 64)
    columns = flat.clone()
    columns[..., ::2] = 0.2
    found = diagnostics_of(flat, columns, flat, False)
    # Columns of 0 and 0.2 are a mean of 0.1 and a wave of amplitude 0.1, of power 0.01.
    assert found["grid"] == pytest.approx(0.1 * 127.5, rel=0.01)
    assert found["grid_target"] == pytest.approx(0, abs=1e-3)
    small = torch.zeros(2, 3, 4, 4)
    assert "grid" not in diagnostics_of(small, small, small, False)


def test_all_are_finite_whatever_the_images() -> None:
    for images in (torch.zeros(3, 3, 8, 8), torch.ones(1, 3, 9, 17), torch.rand(2, 3, 16, 8)):
        found = diagnostics_of(images, images, images, True)
        assert all(math.isfinite(value) for value in found.values())
        assert found["saturation"] == found["saturation_target"]
