"""How far a picture in strips differs from the whole one, what it costs, and its memory at 8192 px.

    python tests/benchmarks/strips.py [--model FILE] [--rows N] SIZE...
    python tests/benchmarks/strips.py [--model FILE] [--rows N] --peak SIZE

Without a model: resnet_9blocks with random weights. The differences are the largest and the mean
ones in [-1, 1]; those of bfloat16 are from float32. The peak is that of the whole process.
"""

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from img2img.config import Component
from img2img.engine.strips import run_in_strips, translate_in_strips
from img2img.images import to_tensor
from img2img.models.checkpoint import load_model
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import ImageStatistics, use_statistics
from img2img.runtime.devices import peak_memory


def resnet(model: Path | None) -> Generator:
    if model:
        file = load_model(model)
        return file.generator(next(iter(file.specs)))
    torch.manual_seed(0)
    section = Component(name="resnet_9blocks")
    generator = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    use_statistics(generator, ImageStatistics())
    return generator.eval().requires_grad_(False)


def in_bfloat16(generator: Generator) -> Generator:
    """All but the last convolution, of which the tanh wants more than bfloat16's digits."""
    cast = copy.deepcopy(generator).bfloat16().to(memory_format=torch.channels_last)
    [m for m in cast.modules() if isinstance(m, nn.Conv2d)][-1].float()
    return cast


def picture(size: int) -> np.ndarray:
    """Smooth shapes with some noise, uint8."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    planes = [np.sin(9 * x + k) * np.cos(7 * y - k) * 100 + 128 for k in range(3)]
    pixels: np.ndarray = np.stack(planes, axis=2)
    pixels += random.integers(-20, 20, (size, 1, 3))
    return pixels.clip(0, 255).astype(np.uint8)


@torch.inference_mode()
def whole(generator: Generator, x: Tensor) -> Tensor:
    *most, last = generator.stages()
    y = x.to(next(most[0].op.parameters()).dtype)
    outputs: list[Tensor] = []
    for stage in most:
        y = stage.op(y)
        y = stage.then(y if stage.norm is None else stage.norm(y))
        if stage.shortcut:
            y = y + outputs[-stage.shortcut]
        outputs = [*outputs[-1:], y]
    result: Tensor = last.then(last.op(y.float()))
    return result


def strips(generator: Generator, x: Tensor, rows: int) -> Tensor:
    result = torch.empty(x.shape)

    def write(start: int, strip: Tensor) -> None:
        result[:, :, start : start + strip.shape[2]] = strip

    def read(start: int, stop: int) -> Tensor:
        return x[:, :, start:stop]

    run_in_strips(generator, read, write, height=x.shape[2], rows=rows)
    return result


def compare(size: int, model: Path | None, rows: int) -> None:
    generator = resnet(model)
    x = to_tensor(picture(size)).unsqueeze(0)
    true, true_seconds = timed(lambda: whole(generator, x))
    parts, seconds = timed(lambda: strips(generator, x, rows))
    print(f"{size:5}  float32: {difference(true, parts)}, time {seconds / true_seconds:.2f}")
    half = in_bfloat16(generator)
    low, low_seconds = timed(lambda: whole(half, x))
    parts, seconds = timed(lambda: strips(half, x, rows))
    print(
        f"       bfloat16: whole {difference(true, low)}, strips {difference(true, parts)},"
        f" time {seconds / low_seconds:.2f}",
        flush=True,
    )


def timed(run: Callable[[], Tensor]) -> tuple[Tensor, float]:
    began = time.perf_counter()
    return run(), time.perf_counter() - began


def difference(one: Tensor, other: Tensor) -> str:
    distance = (one - other).abs()
    return f"{distance.max():.1e} ({distance.mean():.1e})"


def peak(size: int, model: Path | None, rows: int) -> None:
    generator = in_bfloat16(resnet(model))
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    device = torch.device("cpu")
    before = peak_memory(device) or 0
    began = time.perf_counter()

    def progress(done: int, strips: int) -> None:
        if done % 100 == 0:
            print(f"{done} of {strips}: {time.perf_counter() - began:.0f} s", flush=True)

    translate_in_strips(generator, pixels, rows=rows, progress=progress)
    after = peak_memory(device) or 0
    print(
        f"{size}: peak {after / 1e9:.2f} GB, of which {before / 1e9:.2f} before it began;"
        f" {time.perf_counter() - began:.0f} s in {torch.get_num_threads()} threads"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--peak", action="store_true")
    options = parser.parse_args()
    for size in options.sizes:
        (peak if options.peak else compare)(size, options.model, options.rows)


if __name__ == "__main__":
    main()
