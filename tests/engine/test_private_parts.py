"""Private parts of torch that one module each relies on: these fail where they have moved."""

import logging

import torch
from torch import Tensor

from img2img.engine import footprint, onnx_export


def test_allocations_are_counted_by_dispatch() -> None:
    """`torch.utils._python_dispatch` and `torch.utils._pytree`, in footprint.py."""
    x = torch.empty(8, device="meta")
    live = footprint._Live()
    with live:
        y = x.view(2, 4)  # of memory that was there before
        z: list[Tensor] = [y + 1, y + 2]
        z.clear()
        y + 3
    assert (live.peak, live.now) == (2 * 8 * 4, 0)


def test_tracing_can_be_told_that_no_size_is_special() -> None:
    """`torch.fx.experimental._config`, in export/torch.py."""
    from torch.fx.experimental import _config

    from img2img.export import torch as adapter

    before = _config.backed_size_oblivious
    with adapter._no_size_is_special():
        assert _config.backed_size_oblivious
    assert _config.backed_size_oblivious == before


def test_the_logger_of_the_onnx_exporter() -> None:
    """By the name of the module that it is the logger of, in onnx_export.py."""
    from torch.onnx._internal.exporter import _registration

    assert onnx_export._LOGGER is _registration.logger
    level = onnx_export._LOGGER.level
    with onnx_export._TORCHVISION_UNMISSED:
        assert onnx_export._LOGGER.level == logging.ERROR
    assert onnx_export._LOGGER.level == level


def test_the_convolution_of_nnpack() -> None:
    """`torch._nnpack_spatial_convolution`, in convolutions.py; there even in builds without it."""
    assert hasattr(torch, "_nnpack_spatial_convolution")
    assert isinstance(torch.backends.nnpack.is_available(), bool)  # type: ignore[no-untyped-call]
