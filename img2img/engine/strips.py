"""Translating pictures that are too large for memory exactly: in strips, stage by stage.

A strip is a number of rows of a map, at full width. It is computed from the input rows in its
receptive field, so that each pixel is identical to that of the whole map. If a normalisation uses
the statistics of the map, those of all strips are merged before any strip is normalised.

Only maps of the smallest size are stored. Larger ones are recomputed from them, or from the
picture, whenever they are needed; for a ResNet that is an eighth more work.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import ceil, floor
from operator import mul

import numpy as np
import torch
from torch import Tensor, nn

from img2img.engine.options import OnPart
from img2img.images import Pixels, to_pixels, to_tensor
from img2img.networks import Generator, Stage
from img2img.networks.norms import Moments, measures_its_input

Allocate = Callable[[tuple[int, ...], torch.dtype, torch.device], Tensor]
"""Gives a tensor [1, C, H, W] of a shape, a type and a device; what it holds does not matter."""


def translate_in_strips(
    generator: Generator,
    pixels: Pixels,
    *,
    rows: int,
    truncate: bool = False,
    progress: OnPart | None = None,
) -> Pixels:
    """Translate a picture without holding maps of its full size in memory.

    It is computed on the generator's device, in its precision. In float32 the result is identical
    to the unsplit one, up to rounding.

    Args:
        generator: set up for inference, with `stages`.
        pixels: (height, width, C_in), uint8 or uint16, of a size that the generator accepts.
        rows: height of a strip in the largest maps, at least 1; fewer rows take more time, more
            rows take more memory.
        truncate: round colours down.
        progress: called with (strips done, total).

    Returns:
        Pixels (height, width, C_out) of the same dtype.
    """
    device = next(generator.parameters()).device
    result: Pixels = np.empty(0, pixels.dtype)

    def read(start: int, stop: int) -> Tensor:
        return to_tensor(pixels[start:stop]).unsqueeze(0).to(device)

    def write(start: int, strip: Tensor) -> None:
        nonlocal result
        if start == 0:
            _, channels, _, width = strip.shape
            result = np.empty(
                (len(pixels) * width // pixels.shape[1], width, channels), pixels.dtype
            )
        rows = to_pixels(strip[0], pixels.dtype, truncate=truncate)
        result[start : start + len(rows)] = rows

    run_in_strips(generator, read, write, height=len(pixels), rows=rows, progress=progress)
    return result


@torch.inference_mode()
def run_in_strips(
    generator: Generator,
    read: Callable[[int, int], Tensor],
    write: Callable[[int, Tensor], None],
    *,
    height: int,
    rows: int,
    progress: OnPart | None = None,
    allocate: Allocate | None = None,
    release: Callable[[], None] = lambda: None,
) -> None:
    """Run a generator in strips over one image, which is read and written in strips.

    Args:
        read: returns the input's rows from start to stop, [1, C, stop - start, W]; called several
            times for each row.
        write: takes a start row and the output's rows from there, [1, C, rows, W]; called in
            order.
        allocate: gives the memory for each whole map; None: `torch.empty`.
        release: called after each strip, so that memory behind whole maps can be given back.
    """
    stages = generator.stages()
    norms = [stage.norm for stage in stages if stage.norm is not None]
    sources = [norm.source for norm in norms]
    try:
        _Walk(stages, read, height, rows, progress, allocate, release).run(write)
    finally:
        for norm, source in zip(norms, sources, strict=True):
            norm.source = source


class _Walk:
    """Takes one picture through the stages. Index -1 is the picture itself."""

    def __init__(
        self,
        stages: Sequence[Stage],
        read: Callable[[int, int], Tensor],
        height: int,
        rows: int,
        progress: OnPart | None,
        allocate: Allocate | None,
        release: Callable[[], None],
    ) -> None:
        self.stages, self.read, self.rows, self.progress = stages, read, rows, progress
        self.allocate, self.release = allocate, release
        self.scales = list(accumulate((stage.scale for stage in stages), mul))
        self.heights = [int(height * scale) for scale in self.scales] + [height]
        smallest = min(self.scales)
        self.stored = [scale == smallest for scale in self.scales[:-1]] + [False]
        self.measured = [
            stage.norm is not None and measures_its_input(stage.norm) for stage in stages
        ]
        self.maps: dict[int, Tensor] = {}
        """Whole outputs of stages, [1, C, H, W]."""
        self.passes = [i for i in range(len(stages)) if self.stored[i] or self.measured[i]]
        self.done = 0

    def run(self, write: Callable[[int, Tensor], None]) -> None:
        for index in self.passes:
            if self.stored[index]:
                self.store(index)
            else:
                self.measure(index)
        last = len(self.stages) - 1
        for start, stop in self.strips(last):
            write(start, self.output(last, start, stop))
            self.count()

    def strips(self, index: int) -> list[tuple[int, int]]:
        """Start and stop rows of the strips of a stage's output."""
        first = index
        while first > 0 and not self.stored[first - 1]:
            first -= 1
        # Computing it involves all maps since the last stored one.
        largest = max(self.scales[first : index + 1])
        rows = max(1, floor(self.rows * self.scales[index] / largest))
        height = self.heights[index]
        return [(start, min(start + rows, height)) for start in range(0, height, rows)]

    def count(self) -> None:
        """Report that a strip is done."""
        self.done += 1
        self.release()
        if self.progress:
            passes = [*self.passes, len(self.stages) - 1]
            self.progress(self.done, sum(len(self.strips(index)) for index in passes))

    def output(self, index: int, start: int, stop: int) -> Tensor:
        """Rows start to stop of a stage's output."""
        if index < 0:
            return self.read(start, stop)
        if index in self.maps:
            return self.maps[index][:, :, start:stop]
        return self.finished(index, self.convolved(index, start, stop), start)

    def convolved(self, index: int, start: int, stop: int) -> Tensor:
        """Rows start to stop of the output of a stage's `op`."""
        stage = self.stages[index]
        op, scale, halo = stage.op, stage.scale, stage.halo
        # Begin at a multiple of the stride, so that strides fall on the same pixels as unsplit.
        first = max(0, floor((start / scale - halo) / scale.denominator) * scale.denominator)
        last = min(self.heights[index - 1], ceil(stop / scale) + halo)
        y: Tensor = op(_as_weights_of(op, self.output(index - 1, first, last)))
        skipped = start - int(first * scale)
        return y[:, :, skipped : skipped + stop - start]

    def finished(self, index: int, y: Tensor, start: int) -> Tensor:
        """Rows of a stage's output, from the rows of the output of its `op`."""
        stage = self.stages[index]
        y = stage.then(y if stage.norm is None else stage.norm(y))
        if stage.shortcut:
            y = y + self.output(index - stage.shortcut, start, start + y.shape[2])
        return y

    def measure(self, index: int) -> None:
        """Compute the statistics of a stage's whole map, and use them for its normalisation."""
        moments = Moments()
        for start, stop in self.strips(index):
            moments.add(self.convolved(index, start, stop))
            self.count()
        self.normalize_by(index, moments)

    def normalize_by(self, index: int, moments: "Moments") -> None:
        norm = self.stages[index].norm
        assert norm is not None
        norm.source = moments.statistics()

    def store(self, index: int) -> None:
        """Compute a stage's whole output, reusing the memory of its input if that is free."""
        moments = Moments()
        target: Tensor | None = None
        waiting: deque[tuple[int, int, Tensor]] = deque()
        strips = self.strips(index)
        for start, stop in strips:
            y = self.convolved(index, start, stop)
            if self.measured[index]:
                moments.add(y)
            else:
                y = self.finished(index, y, start)
            if target is None:
                target = self.place_for(index, y)
            # Its place may still hold input rows that the next strip's halo needs.
            waiting.append((start, stop, y))
            free = stop - self.stages[index].halo if stop < self.heights[index] else stop
            while waiting and waiting[0][1] <= free:
                begin, end, ready = waiting.popleft()
                target[:, :, begin:end] = ready
            self.count()
        assert target is not None
        if self.measured[index]:
            self.normalize_by(index, moments)
            for start, stop in strips:
                rows = target[:, :, start:stop]
                rows.copy_(self.finished(index, rows, start))
                self.release()
        self.maps = {
            other: map_
            for other, map_ in self.maps.items()
            if self.is_needed(other, since=index + 1)
        }
        self.maps[index] = target

    def is_needed(self, index: int, since: int) -> bool:
        """Whether a later stage adds this stage's output as its shortcut."""
        return any(
            stage.shortcut and at - stage.shortcut == index
            for at, stage in enumerate(self.stages[since:], since)
        )

    def place_for(self, index: int, y: Tensor) -> Tensor:
        """Memory for a stage's whole output; `y` is one strip of it."""
        shape = (*y.shape[:2], self.heights[index], y.shape[3])
        before = self.maps.get(index - 1)
        if (
            before is not None
            and (before.shape, before.dtype) == (shape, y.dtype)
            and not self.is_needed(index - 1, since=index)
        ):
            return before
        if self.allocate:
            return self.allocate(shape, y.dtype, y.device)
        channels_last = y.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=layout)


def _as_weights_of(op: nn.Module, x: Tensor) -> Tensor:
    """The map, converted to the type of the part's weights."""
    weight = next(op.parameters(), None)
    return x if weight is None else x.to(weight.dtype)
