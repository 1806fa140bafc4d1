"""The demo: trains on the bundled pairs, translates an unseen continent, and measures the
result."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from img2img.config import load_config
from img2img.data.paired import PairedData
from img2img.engine.translator import Translator
from img2img.images import eight_bit, write_picture
from img2img.images.sheets import sheet
from img2img.metrics.checkerboard import checkerboard_energy
from img2img.runtime.files import write_text
from img2img.runtime.resources import bundled
from img2img.training.events import Observer
from img2img.training.run import train

Image = NDArray[np.uint8]
Row = tuple[Image, Image, Image]  # input, translated, target


@dataclass(frozen=True)
class DemoResult:
    """The results on the held-out pairs, and the cost of training."""

    l1_input: float
    """Mean absolute difference between input and target, with pixels in [0, 1]."""
    l1_translated: float
    """The same between translation and target."""
    l1_ratio: float
    """The second divided by the first: 0 is perfect, 1 is no better than the untouched input."""
    checkerboard_ratio: float
    """Power at the frequencies of upsampling grids: that of the translation divided by the
    target's."""
    pairs: int
    train_seconds: float
    images_per_second: float
    device: str
    precision: str


def run_demo(output: Path, observers: Sequence[Observer] = ()) -> DemoResult:
    """Train as `configs/demo.yaml` says, and translate the held-out pairs.

    The run folder also gets `demo.png` (input, translation and target side by side), `translated/`
    and `summary.json`. An earlier run in `output` is resumed.
    """
    flags = {"data.root": bundled("datasets/earth")}
    saved = output / "config.yaml"
    config = load_config("pix2pix", bundled("configs/demo.yaml"), flags, saved=saved)
    summary = train(config, output, resume=True, observers=observers)

    translator = Translator.load(output)
    rows: list[Row] = []
    for pair in PairedData.find(config.data, config.seed).held_out:
        A, B = pair.read()
        translated = translator.translate(A)
        write_picture(output / "translated" / f"{Path(pair.name).name}.png", translated)
        rows.append((eight_bit(A.pixels), eight_bit(translated.pixels), eight_bit(B.pixels)))
    titles = ["input: satellite", "translated", "target: relief map"]
    write_picture(output / "demo.png", sheet(rows, titles))

    l1_input = _mean(rows, lambda A, _, B: _l1(A, B))
    l1_translated = _mean(rows, lambda _, translated, B: _l1(translated, B))
    grid = _mean(rows, lambda _, translated, __: checkerboard_energy(translated))
    result = DemoResult(
        l1_input=l1_input,
        l1_translated=l1_translated,
        l1_ratio=l1_translated / l1_input,
        checkerboard_ratio=grid / _mean(rows, lambda _, __, B: checkerboard_energy(B)),
        pairs=len(rows),
        train_seconds=summary.seconds,
        images_per_second=summary.images_per_second,
        device=summary.device,
        precision=summary.precision,
    )
    write_text(output / "summary.json", f"{json.dumps(asdict(result), indent=2)}\n")
    return result


def _mean(rows: Sequence[Row], measure: Callable[[Image, Image, Image], float]) -> float:
    return float(np.mean([measure(*row) for row in rows]))


def _l1(output: Image, target: Image) -> float:
    return float(np.abs(output.astype(np.float64) - target).mean() / 255)
