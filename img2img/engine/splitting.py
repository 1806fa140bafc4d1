"""Splitting pictures that are too large for memory: which ones, and how."""

import sys
from collections.abc import Callable

import numpy as np

from img2img.engine.footprint import batch_pixels, footprint, rows_that_fit, tile_that_fits
from img2img.engine.memory import Budget
from img2img.engine.options import OnPart, Tile, TileNorm
from img2img.engine.runner import Runner
from img2img.engine.strips import translate_in_strips
from img2img.engine.tiles import translate_in_tiles
from img2img.errors import ImageError
from img2img.images import Pixels, to_tensor
from img2img.networks import Generator
from img2img.runtime.devices import free_memory, is_out_of_memory

# Smaller pictures, in pixels, are not checked: they fit, unless there is hardly any memory.
SMALLEST_CHECKED = 2**20
# Minimum side of the sample of a picture that is compared with float32.
_SAMPLED = 512
# The overlap of neighbouring tiles is this part of a tile's side.
_OVERLAP = 4


class Splitter:
    """Translates pictures that are too large for memory, in parts.

    A network with a bounded receptive field runs over strips, with the normalisation statistics of
    the whole picture: the result is identical to the unsplit one, up to rounding. Any other network
    runs over overlapping tiles, which are blended: that is an approximation.

    Args:
        tile, norm: the options `tile` and `tile_norm` of `TranslatorOptions`.
        channels: channels of a picture and of its result.
        multiple: padded sizes are multiples of this.
        truncate: round colours down.
        budget: the main memory that may be used. GPU memory is not limited.
        say: called once, if results are approximate.
        progress: called with (parts done, total) of a picture.
    """

    def __init__(
        self,
        tile: Tile = "auto",
        norm: TileNorm = "whole",
        *,
        channels: tuple[int, int] = (3, 3),
        multiple: int = 1,
        truncate: bool = False,
        budget: Budget = Budget(),  # noqa: B008, it is frozen
        say: Callable[[str], None],
        progress: OnPart | None = None,
    ) -> None:
        self._tile, self._norm = tile, norm
        self._channels, self._out_channels = channels
        self._multiple, self._truncate = multiple, truncate
        self.budget = budget
        self._footprints: dict[tuple[int, tuple[int, int]], int] = {}
        self._batches: dict[int, int] = {}
        self._say, self._progress = say, progress
        self._has_said = False

    def must_split(self, size: tuple[int, int]) -> bool:
        """Whether the option `tile` requires pictures of this size to be split."""
        if not isinstance(self._tile, int):
            return False
        # `size` includes padding; without it, the picture may be no larger than a tile.
        return max(size) > -(-self._tile // self._multiple) * self._multiple

    def most_pixels(self, runner: Runner, *, deep: bool) -> int:
        """Maximum total pixels of a batch of unsplit pictures."""
        if runner.device.type != "cpu":
            return sys.maxsize
        network = runner.network(deep)
        if id(network) not in self._batches:
            self._batches[id(network)] = batch_pixels(
                network, self.budget.total // 2, channels=self._channels
            )
        return self._batches[id(network)]

    def side(self, runner: Runner, pixels: Pixels) -> int | None:
        """Height of the strips or side of the tiles for such a picture; None: it is not split.

        Raises:
            ImageError: it does not fit into memory even in parts.
        """
        (height, width), deep = pixels.shape[:2], pixels.dtype != np.uint8
        size, device = (height, width), runner.device
        if self._tile == "off":
            return None
        checked = min(SMALLEST_CHECKED, self.most_pixels(runner, deep=deep))
        if self._tile == "auto" and height * width < checked:
            return None
        network = runner.network(deep)
        if self._tile != "auto":
            return _fitting(self._tile, network) if self.must_split(size) else None
        key = id(network), size
        if key not in self._footprints:
            self._footprints[key] = footprint(network, height, width, channels=self._channels)
        whole, free = self._footprints[key], free_memory(device)
        if device.type == "cpu":
            free = min(free, self.budget.for_network(pixels))
        if self._in_strips(runner, network):
            return rows_that_fit(network, size, free, whole=whole, channels=self._channels)
        side = tile_that_fits(size, free, whole=whole, out_channels=self._out_channels)
        return None if side is None else _fitting(side, network)

    def translate(self, runner: Runner, pixels: Pixels, side: int) -> Pixels:
        """Translate a picture in parts; if they do not fit into memory, in smaller ones.

        Raises:
            ImageError: even the smallest parts do not fit.
        """
        deep = pixels.dtype != "uint8"
        if not deep and self._tile != "off":
            _verify(runner, pixels)
        side = _fitting(side, runner.network(deep))
        while self._tile != "off":
            try:
                network = runner.network(deep)
                if self._in_strips(runner, network):
                    return translate_in_strips(
                        network,
                        pixels,
                        rows=side,
                        truncate=self._truncate,
                        progress=self._progress,
                    )
                return self._in_tiles(runner, pixels, side, deep)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            smaller = _fitting(side // 2, runner.network(deep))
            if smaller == side:
                break
            side = smaller
        height, width = pixels.shape[:2]
        raise ImageError(f"not enough memory for {width} x {height} pixels; reduce the picture")

    def _in_strips(self, runner: Runner, network: Generator) -> bool:
        return self._norm == "whole" and network.local and not runner.is_exported

    def _in_tiles(self, runner: Runner, pixels: Pixels, side: int, deep: bool) -> Pixels:
        if not self._has_said:
            self._has_said = True
            why = "local statistics" if self._norm == "local" else "this kind of network"
            self._say(
                f"large pictures are translated in tiles, which are blended; with {why}, the result"
                " is approximate"
            )
        return translate_in_tiles(
            lambda x: runner.run(x.to(runner.device), deep=deep).cpu(),
            pixels,
            tile=side,
            overlap=side // _OVERLAP,
            truncate=self._truncate,
            progress=self._progress,
        )


def _fitting(side: int, network: Generator) -> int:
    """The largest size up to `side` that the network accepts, or its smallest."""
    multiple = network.size_multiple
    least = -(-network.min_size // multiple) * multiple
    return max(side // multiple * multiple, least)


def _verify(runner: Runner, pixels: Pixels) -> None:
    """Compare a runner's precision with float32 on a sample of a picture's pixels."""
    step = max(1, max(pixels.shape[:2]) // _SAMPLED)
    x = to_tensor(pixels[::step, ::step]).unsqueeze(0).to(runner.device)
    try:
        runner.verify(x)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):  # the next picture can be compared instead
            raise
