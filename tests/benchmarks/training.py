"""Images per second and peak memory of a training on this CPU, against a plain float32 loop.

    python tests/benchmarks/training.py [--rounds N] [pix2pix-1 | pix2pix-4 | cyclegan-1 ...]

A case is a method and its batch size. The plain loop trains the same networks as published
implementations do: float32, eager, default Adam, critics run apart on real and fake images, PIL
opening, resizing (286), cropping (256) and flipping them in the loop. Ours is the published
configuration with `precision: auto` and the loader's own number of workers. Both read the same 300
px photographs, made up here.

Each side is a process of its own, because what is tuned there belongs to a whole process (memory
allocation) and peaks cannot be reset. The two take turns: while one works the other waits. Prints
the median rates and their ratio.
"""

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from img2img.config import load_config
from img2img.data.augment import Transform
from img2img.data.loader import batches
from img2img.data.sizes import resolve_sizes
from img2img.networks.patchgan import PatchDiscriminator
from img2img.networks.resnet import ResnetGenerator
from img2img.networks.unet import UNetGenerator
from img2img.runtime.devices import keep_freed_memory, peak_memory
from img2img.runtime.processes import ALONE
from img2img.training.build import build_method, method_class, on_device, resolve
from img2img.training.events import Observer
from img2img.training.step import Stepper

Side = Literal["plain", "ours"]
CASES = ("pix2pix-1", "pix2pix-4", "cyclegan-1")
CPU = torch.device("cpu")
# Steps before the first that counts: memory is still being found in those.
WARM_UP = 3
FILES, POOL = 8, 50


def write_images(root: Path) -> None:
    """Smooth coloured noise under `root`, in pairs that are domains as well."""
    generator = np.random.default_rng(0)
    for domain in ("A", "B"):
        folder = root / "train" / domain
        folder.mkdir(parents=True)
        for index in range(FILES):
            coarse = Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8))
            coarse.resize((300, 300), Image.Resampling.BICUBIC).save(folder / f"{index}.jpg")


# -- ours --------------------------------------------------------------------------------------


def ours(case: str, root: Path) -> Callable[[], object]:
    """A step as the trainer makes it."""
    keep_freed_memory()
    name, size = case.split("-")
    config = load_config(name, None, {"device": "cpu"}, [f"data.batch_size={size}"])
    config = config.model_copy(update={"data": config.data.model_copy(update={"root": root})})
    load, crop = resolve_sizes(config.data, (300, 300))
    config = resolve(on_device(config), load, crop)
    method = build_method(config, crop)
    stepper, number = Stepper(method, config, ALONE, Observer()), count(1)
    found = method_class(config.method).data.find(config.data, config.seed)
    samples = found.samples(config.data, config.seed, Transform(config.data, load, crop))
    feed = batches(samples, int(size), 0, workers=int(config.data.workers))

    def step() -> None:
        stepper.make(next(number), [next(feed)], 1.0)

    return step


# -- the plain loop ----------------------------------------------------------------------------


def plain(case: str, root: Path) -> Callable[[], object]:
    """A step as a loop without any of our parts but the networks makes it."""
    name, size = case.split("-")
    loop = plain_pix2pix if name == "pix2pix" else plain_cyclegan
    steps = loop(_loaded(root, int(size), paired=name == "pix2pix"))
    return lambda: next(steps)


def _loaded(root: Path, size: int, *, paired: bool) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        A, B = [], []
        for _ in range(size):
            a, b, where, other = (
                random.randrange(FILES),
                random.randrange(FILES),
                _where(),
                _where(),
            )
            A.append(_opened(root / "train" / "A" / f"{a}.jpg", where))
            B.append(
                _opened(
                    root / "train" / "B" / f"{a if paired else b}.jpg", where if paired else other
                )
            )
        yield torch.stack(A), torch.stack(B)


def _where() -> tuple[int, int, bool]:
    return random.randrange(31), random.randrange(31), random.random() < 0.5


def _opened(path: Path, where: tuple[int, int, bool]) -> Tensor:
    x, y, flipped = where
    image = Image.open(path).convert("RGB").resize((286, 286), Image.Resampling.BICUBIC)
    image = image.crop((x, y, x + 256, y + 256))
    pixels = np.array(ImageOps.mirror(image) if flipped else image)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float() / 127.5 - 1


def _adam(*networks: nn.Module) -> torch.optim.Adam:
    weights = [weight for network in networks for weight in network.parameters()]
    return torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999))


def _train_weights(train: bool, *networks: nn.Module) -> None:
    for network in networks:
        network.requires_grad_(train)


def plain_pix2pix(feed: Iterator[tuple[Tensor, Tensor]]) -> Iterator[list[float]]:
    G = UNetGenerator(in_channels=3, out_channels=3, num_downs=8)
    D = PatchDiscriminator(in_channels=6)
    for_G, for_D = _adam(G), _adam(D)

    def adversarial(A: Tensor, B: Tensor, real: bool) -> Tensor:
        logits = D(torch.cat([A, B], 1)).logits[0]
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

    for step, (A, B) in enumerate(feed):
        fake = G(A)
        _train_weights(True, D)
        for_D.zero_grad()
        loss_D = (adversarial(A, fake.detach(), False) + adversarial(A, B, True)) * 0.5
        torch.autograd.backward(loss_D)
        for_D.step()
        _train_weights(False, D)
        for_G.zero_grad()
        loss_G = adversarial(A, fake, True) + 100 * F.l1_loss(fake, B)
        torch.autograd.backward(loss_G)
        for_G.step()
        yield [loss_D.item(), loss_G.item()] if step % 100 == 0 else []


def plain_cyclegan(feed: Iterator[tuple[Tensor, Tensor]]) -> Iterator[list[float]]:
    G_AB, G_BA = (ResnetGenerator(in_channels=3, out_channels=3) for _ in range(2))
    D_A, D_B = (PatchDiscriminator(in_channels=3, norm="instance") for _ in range(2))
    for_G, for_D = _adam(G_AB, G_BA), _adam(D_A, D_B)
    pools: dict[nn.Module, list[Tensor]] = {D_A: [], D_B: []}

    def adversarial(D: nn.Module, image: Tensor, real: bool) -> Tensor:
        logits = D(image).logits[0]
        return F.mse_loss(logits, torch.full_like(logits, float(real)))

    for step, (A, B) in enumerate(feed):
        fake_B = G_AB(A)
        back_A = G_BA(fake_B)
        fake_A = G_BA(B)
        back_B = G_AB(fake_A)
        _train_weights(False, D_A, D_B)
        for_G.zero_grad()
        loss_G = 5 * F.l1_loss(G_AB(B), B) + 5 * F.l1_loss(G_BA(A), A)
        loss_G = loss_G + adversarial(D_B, fake_B, True) + adversarial(D_A, fake_A, True)
        loss_G = loss_G + 10 * F.l1_loss(back_A, A) + 10 * F.l1_loss(back_B, B)
        torch.autograd.backward(loss_G)
        for_G.step()
        _train_weights(True, D_A, D_B)
        for_D.zero_grad()
        losses = [loss_G]
        for D, real, fake in ((D_B, B, fake_B), (D_A, A, fake_A)):
            shown = _pooled(pools[D], fake.detach())
            loss = (adversarial(D, real, True) + adversarial(D, shown, False)) * 0.5
            torch.autograd.backward(loss)
            losses.append(loss)
        for_D.step()
        yield [loss.item() for loss in losses] if step % 100 == 0 else []


def _pooled(pool: list[Tensor], images: Tensor) -> Tensor:
    shown = []
    for image in images.chunk(len(images)):
        if len(pool) < POOL:
            pool.append(image.clone())
            shown.append(image)
        elif random.random() < 0.5:
            index = random.randrange(POOL)
            shown.append(pool[index])
            pool[index] = image.clone()
        else:
            shown.append(image)
    return torch.cat(shown)


# -- taking turns ------------------------------------------------------------------------------


def serve(side: Side, case: str, root: Path, pipe: Connection) -> None:
    """In a process of its own: make as many steps as asked for, and say what they took."""
    torch.manual_seed(0)
    step = ours(case, root) if side == "ours" else plain(case, root)
    while steps := pipe.recv():
        began = time.perf_counter()
        for _ in range(steps):
            step()
        pipe.send(((time.perf_counter() - began) / steps, peak_memory(CPU)))


def compare(case: str, rounds: int, steps: int, root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    sides: tuple[Side, Side] = ("plain", "ours")
    pipes = {}
    for side in sides:
        pipes[side], theirs = context.Pipe()
        context.Process(target=serve, args=(side, case, root, theirs)).start()
        theirs.close()  # so that a side that fails is not waited for
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    memory: dict[str, int | None] = {}
    for turn in range(rounds + 1):
        for side in sides:
            pipes[side].send(steps if turn else WARM_UP)
            taken, memory[side] = pipes[side].recv()
            if turn:
                seconds[side].append(taken)
    for side in sides:
        pipes[side].send(0)
        rate = int(case.split("-")[1]) / median(seconds[side])
        peak = memory[side]
        gigabytes = "" if peak is None else f", at most {peak / 1e9:.2f} GB"
        print(f"{case:10s} {side:5s} {rate:6.2f} images/s{gigabytes}")
    print(f"{case:10s} ratio {median(seconds['plain']) / median(seconds['ours']):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (%(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="steps a turn (%(default)s)")
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {given.rounds} rounds of {given.steps} steps")
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        for case in given.cases or CASES:
            compare(case, given.rounds, given.steps, Path(folder))


if __name__ == "__main__":
    main()
