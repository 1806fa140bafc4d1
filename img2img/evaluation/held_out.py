"""What a run's model makes of the images that it was not trained on."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from img2img.data.dataset import DataSet
from img2img.data.sources import CountProgress, Item
from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError
from img2img.evaluation.items import LONGEST, Direction, difference, named, read, spread
from img2img.evaluation.models import in_words
from img2img.html import embedded
from img2img.models.checkpoint import load_model

# Held-out images that are translated; of more, so many are taken at equal distances.
MOST = 200


@dataclass(frozen=True)
class Example:
    """One held-out image on its way through the model.

    Attributes:
        pictures: the input, the target where there is one, the result: what it is, and an address
            that holds it.
        error: see `HeldOut.measure`; None where nothing can be measured.
        baseline: what the untouched input has; None without a target.
    """

    name: str
    size: tuple[int, int]
    pictures: tuple[tuple[str, str], ...]
    error: float | None
    baseline: float | None


@dataclass(frozen=True)
class HeldOut:
    """What became of the held-out images in one direction.

    Attributes:
        measure: what `error` is, the smaller the better.
        count: how many images are held out; not more than `MOST` of them are translated.
        examples: those translated, the best first where there is an error.
        failed: by name, why others were not.
        seconds: that a picture takes, the median; None where there was none.
        device: where it was computed.
        scale: at which size the model translated; see `metrics.measure.Figure`.
    """

    direction: Direction
    measure: str
    count: int
    examples: list[Example]
    failed: dict[str, str]
    seconds: float | None
    device: str
    scale: str

    @property
    def error(self) -> float | None:
        """The mean over all examples."""
        return fmean(e.error for e in self.examples if e.error is not None) if self.ranked else None

    @property
    def baseline(self) -> float | None:
        """The same of the untouched inputs."""
        known = [e.baseline for e in self.examples if e.baseline is not None]
        return fmean(known) if known else None

    @property
    def ranked(self) -> bool:
        """Whether there is a best and a worst."""
        return any(example.error is not None for example in self.examples)


def held_out(
    run: Path,
    found: DataSet,
    bytes_a_picture: int,
    *,
    scale: Scale = "auto",
    device: str = "auto",
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[HeldOut]:
    """Translate held-out images as `evaluate` does, in float32, in each direction that there is.

    Where an image has a target, the error is the mean absolute difference to it (L1); else, of a
    model that translates both ways, to what comes back from the way there and back.

    Args:
        bytes_a_picture: that it may take in the page.

    Raises:
        ModelFileError: the run has no model yet, or not one that can be rebuilt.
    """
    specs = load_model(run).specs.values()
    translators = {
        spec.direction: Translator.load(
            run, direction=spec.direction, precision="fp32", scale=scale, device=device, say=say
        )
        for spec in specs
    }
    for spec in specs:
        there = translators[spec.direction]
        back = translators.get("BtoA" if spec.direction == "AtoB" else "AtoB")
        seen = found.seen_as(spec.domains)
        items = named(seen.held_out, spec.direction, aligned=found.aligned)
        chosen = spread(items, MOST)
        examples: list[Example] = []
        failed: dict[str, str] = {}
        seconds: list[float] = []
        ways: Counter[AppliedScale] = Counter()
        for done, (item_name, item) in enumerate(chosen):
            if progress:
                progress(done, len(chosen))
            try:
                example, taken = _translated(item_name, item, there, back, bytes_a_picture)
            except Img2ImgError as error:
                failed[item_name] = str(error)
                continue
            examples.append(example)
            ways[there.applied_scale(example.size)] += 1
            seconds.append(taken)
        yield HeldOut(
            spec.direction,
            "L1 to the target" if found.aligned else "L1 to the input after the way back",
            len(items),
            sorted(examples, key=lambda example: example.error or 0.0),
            failed,
            median(seconds) if seconds else None,
            there.device,
            in_words(ways),
        )


def _translated(
    name: str, item: Item, there: Translator, back: Translator | None, most: int
) -> tuple[Example, float]:
    """An example, and how long the translation took."""
    picture, target = read(item, there.spec.direction)
    start = time.perf_counter()
    result = there.translate(picture)
    seconds = time.perf_counter() - start
    error = baseline = None
    if target is not None:
        error, baseline = difference(result, target), difference(picture, target)
    elif back is not None:
        error = difference(back.translate(result), picture)
    shown = {"input": picture, "target": target, "result": result}
    pictures = tuple(
        (what, embedded(each, LONGEST, most)) for what, each in shown.items() if each is not None
    )
    return Example(name, picture.size, pictures, error, baseline), seconds
