"""How long it takes to measure a folder against another, and in how much memory.

    python tests/benchmarks/evaluate.py [PAIRS]

By default 1,000 pairs of 256 x 256 that it makes, all measures that are taken by default, with
efficientnet-lite0; LPIPS with weights of chance, which take as long. Then once more, with the
features of the real images kept.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

from img2img.evaluation.folders import evaluate_folders
from img2img.features import WEIGHTS


def make_pairs(folder: Path, count: int) -> tuple[Path, Path]:
    """Smooth pictures, and the same with noise."""
    random = np.random.default_rng(0)
    result, real = folder / "result", folder / "real"
    for each in (result, real):
        each.mkdir()
    for number in range(count):
        small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((256, 256), Image.Resampling.BICUBIC), np.int16)
        noisy = (pixels + random.integers(-20, 21, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels.astype(np.uint8)).save(real / f"{number}.png")
        Image.fromarray(noisy).save(result / f"{number}.png")
    return result, real


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = name
        weights = folder / "weights"
        weights.mkdir()
        untrained = torchvision.models.alexnet(weights=None).state_dict()
        torch.save(untrained, weights / WEIGHTS["alexnet"].file)
        del untrained
        folders = make_pairs(folder, count)
        for _ in range(2):
            began, used = time.perf_counter(), time.process_time()
            found = evaluate_folders(
                *folders, features="efficientnet-lite0", weights=weights, device="cpu"
            )
            seconds, used = time.perf_counter() - began, time.process_time() - used
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{count} pairs, {torch.get_num_threads()} threads: {seconds:.0f} s", end=" ")
            print(f"({used:.0f} s of CPU), at most {peak:.2f} GB; {', '.join(found.figures)}")
            assert not found.missing


if __name__ == "__main__":
    main()
