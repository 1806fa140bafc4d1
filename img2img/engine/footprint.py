"""How much memory a translation needs, computed before it begins."""

import copy
import weakref
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from img2img.engine.sizing import Size
from img2img.engine.strips import run_in_strips
from img2img.errors import ImageError
from img2img.networks import Generator
from img2img.networks.smoothing import unsmoothed

# Share of the free memory that a translation may take; and maximum bytes for a picture that is not
# split: above, splitting hardly costs time.
_OURS, _MOST_WHOLE = 0.9, 6 * 2**30
# Memory of a forward pass over its footprint: convolutions on a CPU that are not channels_last copy
# maps into a layout of their own. With strips, only the strips are copied.
_WITH_COPIES = 1.4
# Maximum bytes of the strips being computed, in addition to the maps that are stored.
_MOST_FOR_STRIPS = 3 * 2**27
_NARROW = 64
# Bytes per pixel and channel while tiles are blended: three copies in float32.
_BLENDED = 12
# Side of the picture by which the memory of small pictures is measured.
_SMALL = 128


def footprint(
    generator: Generator, height: int, width: int, batch: int = 1, *, channels: int = 3
) -> int:
    """Peak bytes of input and activations in a forward pass; nothing is computed.

    Weights are not included, nor what convolutions allocate internally for their own layouts.

    Args:
        channels: channels of the input.
    """
    on_meta = _without_data(generator)
    return _peak(on_meta, lambda: on_meta(_input(on_meta, batch, channels, height, width)))


def strips_footprint(
    generator: Generator, height: int, width: int, rows: int, *, channels: int = 3
) -> int:
    """Peak bytes of `translate_in_strips` with strips of `rows` rows, accurate to a tenth."""
    on_meta = _without_data(generator)
    # It is linear in width and height, so small pictures suffice, which takes less time.
    low, high = (_strips_peak(on_meta, channels, number * rows, rows) for number in (4, 8))
    a_row = (high - low) / (4 * rows)
    return int((high + (height - 8 * rows) * a_row) * width / _NARROW)


def _strips_peak(on_meta: Generator, channels: int, height: int, rows: int) -> int:
    """Peak bytes of the strips of a picture that is `_NARROW` pixels wide."""

    def read(start: int, stop: int) -> Tensor:
        return _input(on_meta, 1, channels, stop - start, _NARROW)

    def write(start: int, strip: Tensor) -> None:
        pass

    return _peak(on_meta, lambda: run_in_strips(on_meta, read, write, height=height, rows=rows))


def rows_that_fit(
    generator: Generator, size: Size, free: int, *, whole: int, channels: int = 3
) -> int | None:
    """Height of the strips with which a picture fits into memory; None if it fits unsplit.

    Args:
        generator: a generator with `stages`.
        size: height and width of the picture.
        free: bytes that may be used.
        whole: the footprint of the unsplit picture.

    Raises:
        ImageError: the picture does not fit even in strips.
    """
    if _goes_whole(whole, free):
        return None
    height, width = size
    allowed = int(_OURS * free)
    # A strip takes as much as a picture of its height. A multiple, so that small maps divide, too.
    multiple = generator.size_multiple
    at_once = min(_MOST_FOR_STRIPS, free // 4) * height // whole
    rows = max(at_once // multiple, 1) * multiple
    needed = strips_footprint(generator, height, width, rows, channels=channels)
    if needed > allowed:
        raise ImageError(
            f"not enough memory for {width} x {height} pixels: it takes {needed / 1e9:.1f} GB, but"
            f" {allowed / 1e9:.1f} GB may be used; raise `max_memory`, or reduce the picture"
        )
    return rows


def strip_rows(generator: Generator, size: Size, free: int, *, channels: int = 3) -> int:
    """Height of strips that take at most a quarter of some bytes, besides whole maps.

    Args:
        generator, size, channels: see `rows_that_fit`.
    """
    # A strip takes as much as a picture of its height.
    multiple = generator.size_multiple
    low, high = (
        footprint(generator, factor * 64 * multiple, size[1], channels=channels)
        for factor in (1, 2)
    )
    a_row = (high - low) / (64 * multiple)
    at_once = int(min(_MOST_FOR_STRIPS, free // 4) / a_row)
    return max(at_once // multiple, 1) * multiple


def tile_that_fits(size: Size, free: int, *, whole: int, out_channels: int = 3) -> int | None:
    """Side of the tiles with which a picture fits into memory; None if it fits unsplit.

    Args:
        size, free, whole: see `rows_that_fit`.
        out_channels: channels of the result.
    """
    if _goes_whole(whole, free):
        return None
    height, width = size
    # The maps of a tile, and the row of tiles being blended, which has the full width.
    a_pixel, a_row = _WITH_COPIES * whole / (height * width), _BLENDED * out_channels * width
    allowed = min(_OURS * free, _MOST_WHOLE)
    return int((sqrt(a_row**2 + 4 * a_pixel * allowed) - a_row) / (2 * a_pixel))


def batch_pixels(generator: Generator, most: int, *, channels: int = 3) -> int:
    """Total pixels of small pictures that can run together in `most` bytes, on a CPU.

    0 if the network fails.
    """
    multiple = generator.size_multiple
    side = -(-max(_SMALL, generator.min_size) // multiple) * multiple
    # Computed, which takes less time than the modules that torch imports for tensors without data.
    weight = next(generator.parameters())  # without data where another program computes
    small = torch.zeros(1, channels, side, side, dtype=weight.dtype, device=weight.device)
    try:
        one = _peak(generator, lambda: generator(small))
    except (RuntimeError, MemoryError):
        return 0  # each picture alone, of which it will then be said
    return int(most * side**2 / (_WITH_COPIES * one))


def _goes_whole(needed: int, free: int) -> bool:
    return _WITH_COPIES * needed <= min(_OURS * free, _MOST_WHOLE)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors created in its context while they are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No, because nothing is compiled here: to skip it, torch would import it for seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        known = {
            leaf.untyped_storage()
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor)
        }
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage not in self.seen and storage not in known:
                    self.seen.add(storage)
                    self._count(storage.nbytes())
                    weakref.finalize(storage, self._count, -storage.nbytes())
        return result

    def _count(self, more: int) -> None:
        self.now += more
        self.peak = max(self.peak, self.now)


def _peak(network: Generator, run: Callable[[], object]) -> int:
    live = _Live()
    # Copies of a network share its smoothed statistics, which must not change here.
    with unsmoothed(network), torch.inference_mode(), live:
        run()
    return live.peak


def _without_data(generator: Generator) -> Generator:
    return copy.deepcopy(generator).to("meta")


def _input(generator: Generator, batch: int, channels: int, height: int, width: int) -> Tensor:
    weight = next(generator.parameters())
    return torch.empty(batch, channels, height, width, dtype=weight.dtype, device="meta")
