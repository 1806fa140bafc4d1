"""What each part of the toolbox is worth on small sets, at equal time: docs/toolbox-results.md.

    python tests/benchmarks/toolbox.py pace FOLDER
    python tests/benchmarks/toolbox.py screen FOLDER [--set icons] [--seconds 40] [VARIANT ...]
    python tests/benchmarks/toolbox.py final FOLDER --seeds 3 --seconds 150 VARIANT ...
    python tests/benchmarks/toolbox.py final FOLDER --device cuda --shipped --size 256 ...
    python tests/benchmarks/toolbox.py table FOLDER

`icons` is paired; `earth` is unpaired, tiles of two halves of the world, judged by tiles of South
America, of which both sides are known. A variant is the published recipe with some settings changed
(`VARIANTS`), or a configuration (a name that ends in .yaml). `screen` works at 64 px, `final` at
128 px, with networks that are narrow, or as they are shipped.

Equal wall-clock: first the time of a step of every variant is measured, taking turns with the
published recipe's in one process of one thread; then each is trained for as many steps as fit into
the same seconds. So what else the machine does while it trains changes nothing, and paces may be of
another machine than trains: `paces.json` is not measured again. On a CPU each run has one thread,
and several run at once (`--jobs`); one that is in `results.jsonl` already is not made again.
"""

import argparse
import json
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch
from PIL import Image

from img2img.config import RunConfig, load_config
from img2img.data.samples import Batch
from img2img.errors import Img2ImgError
from img2img.evaluation.models import evaluate_model
from img2img.runtime.devices import synchronize
from img2img.runtime.processes import ALONE
from img2img.runtime.resources import bundled
from img2img.training.build import build_method, on_device, resolve
from img2img.training.events import Observation, Observer
from img2img.training.resolution import halvings_at, reduced
from img2img.training.run import train
from img2img.training.step import Stepper

METHODS = {"icons": "pix2pix", "earth": "cyclegan"}
MEASURES = ("l1", "lpips", "perceptual", "kid", "diversity")
NETWORK = "efficientnet-lite0"
# Turns of each side, of so many steps: as many as a lazy penalty waits.
ROUNDS, STEPS = 4, 8

# Penalties want logits that do not depend on the batch.
D_INSTANCE = ("discriminator.norm=instance",)
FOUR = ("data.batch_size=4",)

VARIANTS: dict[str, tuple[str, ...]] = {
    "published": (),
    # objectives
    "minimax": ("objective.name=minimax",),
    "vanilla": ("objective.name=vanilla",),
    "lsgan": ("objective.name=lsgan",),
    "hinge": ("objective.name=hinge",),
    "wgan": ("objective.name=wgan",),
    "wgan-gp": ("objective.name=wgan-gp",),
    "rpgan": ("objective.name=rpgan",),
    "r3gan": ("objective.name=r3gan",),
    "smoothing": ("objective={name: vanilla, smoothing: 0.1}",),
    # regularisers
    "D instance norm": D_INSTANCE,
    "r1": (*D_INSTANCE, "regularizers=[{name: r1, weight: 1}]"),
    "r1, lazy": (*D_INSTANCE, "regularizers=[{name: r1, weight: 1, every: 8}]"),
    "r2": (*D_INSTANCE, "regularizers=[{name: r2, weight: 1}]"),
    "gp": (*D_INSTANCE, "regularizers=[{name: gp, weight: 10}]"),
    "D spectral norm": ("discriminator.norm=none", "discriminator.spectral=true"),
    "G spectral norm": ("generator.spectral=true",),
    "instance noise": ("critic.augment=[{name: instance_noise, std: 0.1, images: 2000}]",),
    # schedules
    "lr_d x2": ("optimizer.lr_d=4.0e-4",),
    "lr_d /2": ("optimizer.lr_d=1.0e-4",),
    "n_critic 2": ("n_critic=2",),
    "warm-up": ("schedule.warmup=500",),
    "cosine": ("schedule.name=cosine",),
    "progressive": ("generator.num_downs=5", "data.grow={halvings: 1, until: 0.5}"),
    # against collapse, and for small data
    "batch 4": FOUR,
    "minibatch std": (*FOUR, "discriminator.minibatch_std=4"),
    "top-k": (*FOUR, "critic.top_k={share: 0.5, images: 4000}"),
    "diffaugment": ("critic.augment=[{name: diffaugment}]",),
    "ada": ("critic.augment=[{name: ada, images: 10000}]",),
    # architectures
    "G attention": ("generator.attention=true",),
    "D attention": ("discriminator.attention=true",),
    "multi-scale": ("discriminator={name: multiscale, n_scales: 2, ndf: 16}",),
    "multi-scale, features": (
        "discriminator={name: multiscale, n_scales: 2, ndf: 16}",
        "critic.feature_matching=2.5",
    ),
    "feature matching": ("critic.feature_matching=2.5",),
    "D blur": ("discriminator.downsample=blur",),
    "G blur": ("generator.downsample=blur", "generator.upsample=bilinear"),
    "G bilinear": ("generator.upsample=bilinear",),
    "residual D": ("discriminator={name: residual, ndf: 16}",),
    "projected D": ("discriminator={name: projected, ndf: 16, min_side: 64}",),
    # reconstruction
    "charbonnier": (),
    "ssim": (),
    "perceptual": (),
    # what is no part of the toolbox, but costs as little
    "EMA": ("ema.half_life=500",),
    "G instance norm": ("generator.norm=instance",),
    "no norm": (
        "generator.norm=none",
        "generator.init=kaiming",
        "generator.dropout=false",
        "discriminator.norm=none",
        "discriminator.init=kaiming",
    ),
}
# The same arithmetic as the recipe's, but for a handful of numbers.
AS_FAST = {
    *("minimax", "vanilla", "lsgan", "hinge", "wgan", "smoothing"),
    *("lr_d x2", "lr_d /2", "warm-up", "cosine", "EMA"),
}
# Distances that stand in for, or beside, a method's own L1, and the weight beside 100.
DISTANCES: dict[str, tuple[Any, ...]] = {
    "charbonnier": ("[{{name: charbonnier, weight: {0}}}]",),
    "ssim": ("[{{name: l1, weight: {0}}}, {{name: ssim, weight: {1}}}]", 30),
    "perceptual": ("[{{name: l1, weight: {0}}}, {{name: perceptual, weight: {1}}}]", 1),
}
# Channels of both the recipe and what is compared with it: with 64 there would be time for a
# hundred steps on a CPU.
NARROW = {("icons", 64): 16, ("icons", 128): 32, ("earth", 64): 16, ("earth", 128): 16}


class Place(NamedTuple):
    """What is trained on, where, and whether networks are as wide as they are shipped."""

    folder: Path
    data: str
    size: int
    device: str = "cpu"
    shipped: bool = False
    weights: Path | None = None

    @property
    def root(self) -> Path:
        return self.folder / f"{self.data}-{self.size}"

    @property
    def method(self) -> str:
        return METHODS[self.data]

    @property
    def measures(self) -> list[str]:
        """What there are weights for: those of `NETWORK` come with it."""
        return [name for name in MEASURES if name != "lpips" or self.weights]

    def key(self, variant: str) -> str:
        """A variant's name among paces."""
        return f"{self.data} {self.size} {variant}{' shipped' * self.shipped}"


class Work(NamedTuple):
    """One training."""

    place: Place
    variant: str
    seed: int
    steps: int
    seconds: float


def settings(place: Place, variant: str) -> tuple[Path | None, list[str]]:
    """The configuration that a variant is, if it is one, and what it sets."""
    file = Path(variant) if variant.endswith(".yaml") else None
    assignments = [] if file else [*VARIANTS[variant]]
    if place.method == "cyclegan":
        # A ResNet has no depth to be chosen; small enough for half the size as it is.
        assignments = [each for each in assignments if "num_downs" not in each]
    if variant in DISTANCES:
        form, *more = DISTANCES[variant]
        if place.method == "pix2pix":
            assignments.append(f"losses.reconstruction={form.format(100, *more)}")
        else:
            assignments.append(f"losses.cycle={form.format(10, *(each / 10 for each in more))}")
    if not place.shipped:
        width = NARROW[place.data, place.size]
        assignments += [f"generator.ngf={width}", f"discriminator.ndf={width}"]
        asked = load_config(place.method, file, {}, assignments)
        if asked.generator.name == "resnet_9blocks":
            # As the paper has it for 128 px. Another name would begin without the file's arguments.
            assignments.append("generator.n_blocks=6")
    return file, assignments


def configuration(work: Work) -> RunConfig:
    """What a run is trained by."""
    place = work.place
    file, assignments = settings(place, work.variant)
    flags = {
        "seed": work.seed,
        "device": place.device,
        "data.root": place.root,
        "data.load_size": round(286 / 256 * place.size),
        "data.crop_size": place.size,
        "data.workers": 0 if place.device == "cpu" else 1,
        "data.cache": "memory",
        "data.holdout": "test",
        "data.holdout_aligned": place.data == "earth",
        "schedule.steps": work.steps,
        "metrics.best": None,
        "metrics.measures": ["l1"],
        "metrics.every": max(1, work.steps // 8),
        "metrics.tensorboard": False,
        "checkpoint.every": 0,
        "samples.every": 0,
        # As many looks as a long training has.
        "doctor.every": max(50, work.steps // 20),
    }
    return load_config(place.method, file, flags, assignments)


# -- data --------------------------------------------------------------------------------------


def prepare(place: Place) -> None:
    """Write a set as images of one size: icons reduced, tiles of the earth cut."""
    if place.root.exists():
        return
    name, size = place.data, place.size
    half = place.root.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    root = bundled(f"datasets/{name}")
    for split in ("train", "test"):
        for domain in "AB":
            # No place in common: one half of the world for each domain.
            side = {"A": "east", "B": "west"}[domain] if (name, split) == ("earth", "train") else ""
            into = half / split / domain
            into.mkdir(parents=True)
            for path in sorted((root / split / domain / side).rglob("*.*")):
                image = Image.open(path).convert("RGB")
                if name == "icons":
                    image.resize((size, size), Image.Resampling.BICUBIC).save(
                        into / f"{path.stem}.png"
                    )
                    continue
                for top in range(0, image.height, size):
                    for left in range(0, image.width, size):
                        tile = image.crop((left, top, left + size, top + size))
                        tile.save(into / f"{path.stem}-{top}-{left}.png")
    half.rename(place.root)


# -- pace --------------------------------------------------------------------------------------


def paces(place: Place, variants: Sequence[str]) -> dict[str, float]:
    """Seconds of a step by variant; those not known yet are measured in turns with `published`."""
    file = place.folder / "paces.json"
    known: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    torch.set_num_threads(1)
    # Other processes' time is not ours; an accelerator's work is in no process's time.
    clock = time.process_time if place.device == "cpu" else time.perf_counter
    for variant in ("published", *variants):
        key = place.key(variant)
        if key in known:
            continue
        if variant in AS_FAST:
            known[key] = known[place.key("published")]
            continue
        try:
            ours = _stepping(place, variant)
            theirs = _stepping(place, "published")
        except Img2ImgError as error:
            print(f"{key}: {error}", flush=True)
            continue
        least = {"ours": math.inf, "theirs": math.inf}
        for turn in range(ROUNDS + 1):
            for side, stepping in (("ours", ours), ("theirs", theirs)):
                began = clock()
                for _ in range(STEPS):
                    next(stepping)
                synchronize(torch.device(place.device))
                if turn:
                    least[side] = min(least[side], (clock() - began) / STEPS)
        # The least, since whatever else runs only makes steps longer.
        base = known.get(place.key("published"), least["theirs"])
        known[key] = base * least["ours"] / least["theirs"]
        print(f"{key}: {1000 * known[key]:.0f} ms a step", flush=True)
        file.write_text(json.dumps(known, indent=1))
    return known


def _stepping(place: Place, variant: str) -> Iterator[None]:
    size = place.size
    config = configuration(Work(place, variant, seed=0, steps=100, seconds=0))
    config = resolve(on_device(config), (size, size), (size, size))
    method = build_method(config, (size, size))
    stepper = Stepper(method, config, ALONE, Observer())
    count = config.data.batch_size
    noise = torch.rand(2, count, 3, size, size) * 2 - 1
    batch = Batch(noise[0], noise[1], [""] * count, [""] * count)
    batches = [batch] * (config.n_critic * config.optimizer.accumulate)

    def steps() -> Iterator[None]:
        step = 0
        while True:
            # All sizes of a progressive training, each as often as in the whole of it.
            halvings = halvings_at(step % STEPS / STEPS, config.data.grow)
            step += 1
            stepper.make(step, [reduced(each, halvings) for each in batches], 1.0)
            yield

    return steps()


# -- runs --------------------------------------------------------------------------------------


class Notes(Observer):
    """Keeps what is told of a run."""

    def __init__(self) -> None:
        self.l1: list[float] = []
        self.said: list[str] = []

    def observed(self, observation: Observation) -> None:
        if "l1" in observation.measures.values:
            self.l1.append(observation.measures.values["l1"])

    def noticed(self, message: str) -> None:
        self.said.append(message)


def make(work: Work) -> dict[str, Any]:
    """Train and judge one; what came of it."""
    torch.set_num_threads(1)
    place = work.place
    run = f"{place.data}-{place.size}-{work.variant}-{work.seed}"
    output = place.folder / "runs" / run.replace(" ", "_").replace("/", "-")
    shutil.rmtree(output, ignore_errors=True)
    notes = Notes()
    result: dict[str, Any] = place._asdict() | work._asdict()
    for key in ("folder", "weights", "place"):
        del result[key]
    try:
        train(configuration(work), output, observers=[notes])
        judged = evaluate_model(
            output,
            place.root,
            measures=place.measures,
            features=NETWORK,
            weights=place.weights,
            device=place.device,
        )
        result |= {name: judged.figures[name].value for name in place.measures}
    except Img2ImgError as error:
        result["failed"] = str(error)
    # How much the held-out L1 moves from one time to the next in the second half, over its mean.
    late = notes.l1[len(notes.l1) // 2 :]
    if len(late) > 2:
        moves = [abs(b - a) for a, b in pairwise(late)]
        result["unrest"] = mean(moves) / mean(late)
    result["said"] = notes.said
    return result


def work_off(place: Place, variants: Sequence[str], seeds: int, seconds: float, jobs: int) -> None:
    """Make all runs that are not on record."""
    results = place.folder / "results.jsonl"
    about = ("data", "size", "device", "shipped", "variant", "seed", "seconds")
    done = {tuple(r[name] for name in about) for r in read(results)}
    prepare(place)
    known = paces(place, variants)
    todo = [
        Work(place, variant, seed, max(20, int(seconds / known[place.key(variant)])), seconds)
        for seed in range(seeds)
        for variant in variants
        if place.key(variant) in known and (*place[1:5], variant, seed, seconds) not in done
    ]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for ended in as_completed([pool.submit(make, work) for work in todo]):
            result = ended.result()
            with results.open("a") as file:
                file.write(f"{json.dumps(result)}\n")
            print(json.dumps({k: v for k, v in result.items() if k != "said"}), flush=True)


def read(results: Path) -> list[dict[str, Any]]:
    """What is on record."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def table(folder: Path) -> None:
    """The record as Markdown: a table for each set and size, best first by the perceptual one."""
    groups: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for result in read(folder / "results.jsonl"):
        width = "as wide as shipped" if result["shipped"] else "narrow"
        about = (result["data"], f"{result['size']} px", f"{result['seconds']:g} s", width)
        groups[*about, result["device"]][result["variant"]].append(result)
    for place, variants in groups.items():
        print(f"\n{', '.join(place)}\n")
        print(
            "| variant | steps | L1 | LPIPS | perceptual | KID | diversity | unrest |"
            "\n|---|---|---|---|---|---|---|---|"
        )
        good = {v: rs for v, rs in variants.items() if not any("failed" in r for r in rs)}
        for variant, runs in sorted(
            good.items(), key=lambda item: mean(r["perceptual"] for r in item[1])
        ):
            cells = [_cell([r[m] for r in runs if m in r]) for m in MEASURES]
            unrest = [r["unrest"] for r in runs if "unrest" in r]
            print(f"| {variant} | {runs[0]['steps']} | {' | '.join(cells)} | {_cell(unrest)} |")
        for variant in variants.keys() - good.keys():
            print(f"| {variant} | {variants[variant][0]['failed'][:80]} |")


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["pace", "screen", "final", "table"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("variants", nargs="*", default=[])
    parser.add_argument("--set", choices=sorted(METHODS), action="append", dest="sets")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--size", type=int, choices=(64, 128, 256), help="pixels")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--shipped", action="store_true", help="networks as wide as they come")
    parser.add_argument("--weights", type=Path, help="folder with AlexNet's, to measure LPIPS")
    # Variants may come after options.
    given = parser.parse_intermixed_args()
    if given.size == 256 and not given.shipped:
        parser.error("--size 256 is for --shipped networks")
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if given.what == "table":
        table(given.folder)
        return
    size = given.size or (128 if given.what == "final" else 64)
    for name in given.sets or METHODS:
        place = Place(given.folder, name, size, given.device, given.shipped, given.weights)
        variants = given.variants or [*VARIANTS]
        if given.what == "pace":
            paces(place, variants)
        else:
            work_off(place, variants, given.seeds, given.seconds, given.jobs)


if __name__ == "__main__":
    main()
