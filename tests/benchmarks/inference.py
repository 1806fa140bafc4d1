"""`img2img translate` against the plain loop that a test script is.

    python tests/benchmarks/inference.py [--count N] [--model RUN_OR_FILE] [--backend B ...]

The plain loop takes one picture after the other in float32: decoded with PIL, through the network
as it was trained (its own normalisation layers, dropout on), written by PIL as PNG. Both
translate the same real pictures of 256 x 256 in processes of their own. For `resnet_9blocks` and
`unet_256` with random weights, or for a model that is given, it prints

- the whole command with its start; the first picture after the start; the time a picture from the
  20th on, by the times at which results were written; the peak memory with a quarter of the
  pictures and with all,
- the network alone on every backend that is installed, and what making it ready costs.

Ratios are of the plain loop's time to the other's: above 1 is faster than the plain loop.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from img2img.config import Component
from img2img.errors import ConfigError
from img2img.models.checkpoint import load_model, save_model
from img2img.models.spec import ModelSpec
from img2img.networks import GENERATORS, Generator
from img2img.networks.norms import use_statistics
from tests.specs import spec_of

SIZE, SETTLED, REPEATS = 256, 20, 5
DATASETS = Path(__file__).parents[2] / "datasets"


def plain_network(model: Path) -> Generator:
    """The generator in the state in which training left it."""
    file = load_model(model)
    generator = file.generator(next(iter(file.specs)))
    use_statistics(generator, None)
    generator.train()
    return generator


def plain_loop(model: Path, source: Path, output: Path) -> None:
    network = plain_network(model)
    output.mkdir()
    with torch.no_grad():
        for file in sorted(source.iterdir()):
            pixels = np.asarray(Image.open(file).convert("RGB"))
            x = torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().float() / 255
            y = network(((x - 0.5) / 0.5).unsqueeze(0))[0]
            result = ((y.permute(1, 2, 0).numpy() + 1) / 2 * 255).astype(np.uint8)
            Image.fromarray(result).save(output / file.name)


def measure_networks(model: Path, batch: int) -> None:
    """Print as JSON, a line a backend: name, seconds until ready, seconds a picture, plain's."""
    from img2img.engine.backends import BACKENDS

    plain = plain_network(model)
    file = load_model(model)
    generator = file.generator(next(iter(file.specs)))
    x = torch.rand(batch, generator_channels(file.specs), SIZE, SIZE) * 2 - 1
    for part in BACKENDS:
        for precision in ("fp32", "bf16"):
            began = time.perf_counter()
            try:
                backend = BACKENDS.build(
                    Component(name=part.name),
                    "backend",
                    generator=generator,
                    device=torch.device("cpu"),
                    precision=precision,
                )
            except ConfigError as error:
                print(json.dumps([f"{part.name} {precision}", str(error)]), flush=True)
                continue
            with torch.inference_mode():
                backend.run(x)
                ready = time.perf_counter() - began
                # In turns, so that what else the machine does falls on both.
                times = [(seconds(plain, x[:1]), seconds(backend.run, x)) for _ in range(REPEATS)]
            one, many = (median(column) for column in zip(*times, strict=True))
            row = [f"{part.name} {precision}", ready, many / batch, one]
            print(json.dumps(row), flush=True)


def generator_channels(specs: dict[str, ModelSpec]) -> int:
    return next(iter(specs.values())).in_channels


def seconds(work: Any, x: Tensor) -> float:
    began = time.perf_counter()
    work(x)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Run:
    """What one command over a folder took, in seconds and bytes."""

    whole: float
    first: float
    picture: float
    peak: int


def run(command: list[str], output: Path) -> Run:
    began = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.time() - began
    if status:
        sys.exit(f"{' '.join(command)}:\n{said.decode()}")
    written = sorted(path.stat().st_mtime for path in output.rglob("*") if path.is_file())
    settled = min(SETTLED, len(written) // 2)
    picture = (written[-1] - written[settled - 1]) / (len(written) - settled)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(whole, written[0] - began, picture, peak)


def cut_pictures(folder: Path, count: int) -> None:
    """Write squares of the sample sets' pictures, at places that the seed chooses, as PNG."""
    suffixes = {".png", ".jpg", ".jpeg", ".webp"}
    files = sorted(file for file in DATASETS.rglob("*") if file.suffix in suffixes)
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        picture = Image.open(files[number % len(files)]).convert("RGB")
        enlarged = max(1.0, SIZE / min(picture.size))
        picture = picture.resize([round(side * enlarged) for side in picture.size])
        left, top = (int(random.integers(side - SIZE + 1)) for side in picture.size)
        picture.crop((left, top, left + SIZE, top + SIZE)).save(folder / f"{number:05}.png")


def random_model(architecture: str, path: Path) -> Path:
    """Write a model file with random weights."""
    torch.manual_seed(0)
    section = Component(name=architecture)
    made = GENERATORS.build(section, "generator", in_channels=3, out_channels=3)
    spec = spec_of(made, architecture=architecture, crop_size=(SIZE, SIZE))
    save_model(path, {"G": spec}, {"G": made})
    return path


def compare(model: Path, count: int, given: argparse.Namespace, folder: Path) -> None:
    few = folder / "few"
    cut_pictures(folder / "all", count)
    cut_pictures(few, max(2, count // 4))
    plain = [sys.executable, __file__, "--plain", str(model)]
    ours = [sys.executable, "-m", "img2img", "translate", "--device", "cpu", "--model", str(model)]
    flags = [
        word
        for name in ("precision", "batch")
        if (value := getattr(given, name)) is not None
        for word in (f"--{name}", str(value))
    ]
    commands = {"plain loop": plain}
    for backend in given.backend or [None]:
        chosen = [] if backend is None else ["--backend", backend]
        name = " ".join(["translate", *chosen, *flags])
        commands[name] = [*ours, *chosen, *flags]
    print(f"{'':24} {'whole':>15} {'first':>15} {'a picture':>16} {'peak memory':>14}")
    reference: Run | None = None
    for number, (name, command) in enumerate(commands.items()):
        runs = []
        for source in (few, folder / "all"):
            output = folder / f"{number}-{source.name}"
            words = ["--input", str(source), "--output", str(output)]
            runs.append(run([*command, *words], output))
        short, long = runs
        reference = reference or long
        print(
            f"{name:24}"
            f" {long.whole:7.1f} s {reference.whole / long.whole:4.2f}x"
            f" {long.first:7.2f} s {reference.first / long.first:4.2f}x"
            f" {1000 * long.picture:7.1f} ms {reference.picture / long.picture:4.2f}x"
            f" {short.peak / 1e6:5.0f}, {long.peak / 1e6:.0f} MB",
            flush=True,
        )


def compare_networks(model: Path, batch: int) -> None:
    command = [sys.executable, __file__, "--networks", str(model), "--batch", str(batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(f"the network alone, {batch} at once: until ready, a picture")
    for line in done.stdout.splitlines():
        name, *numbers = json.loads(line)
        if isinstance(numbers[0], str):
            print(f"{name:24} {numbers[0]}")
        else:
            ready, picture, plain = numbers
            print(f"{name:24} {ready:5.1f} s {1000 * picture:7.1f} ms {plain / picture:4.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="pictures")
    parser.add_argument("--model", type=Path, help="run folder or model file")
    parser.add_argument("--backend", nargs="+", help="each passed on to img2img translate")
    parser.add_argument("--precision", help="passed on to img2img translate")
    parser.add_argument("--batch", type=int, help="passed on, and for the networks alone")
    for hidden in ("--plain", "--networks", "--input", "--output"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        return plain_loop(given.plain, given.input, given.output)
    if given.networks:
        return measure_networks(given.networks, given.batch)
    with tempfile.TemporaryDirectory() as name:
        models = {} if given.model is None else {str(given.model): given.model}
        for architecture in () if models else ("resnet_9blocks", "unet_256"):
            path = Path(name) / f"{architecture}.safetensors"
            models[architecture] = random_model(architecture, path)
        for number, (title, model) in enumerate(models.items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            print(f"\n{title}: {given.count} pictures, {torch.get_num_threads()} threads")
            compare(model, given.count, given, folder)
            compare_networks(model, given.batch or 1)
    return None


if __name__ == "__main__":
    main()
