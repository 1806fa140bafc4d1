"""What a run's model makes of the images that it was not trained on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Literal

from img2img.config import Direction
from img2img.data.dataset import DataSet
from img2img.data.sources import CountProgress, ImageSource, Item, Pair
from img2img.engine.sizing import Scale
from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError
from img2img.evaluation.results import (
    ResultFolder,
    TimedTranslations,
    evenly_spaced,
    l1_of_pictures,
    scale_text,
)
from img2img.images import Picture
from img2img.models.checkpoint import load_model

# At most so many held-out images are translated, evenly spaced ones if there are more.
MOST = 200


@dataclass(frozen=True)
class Example:
    """One held-out image, and its translation.

    Attributes:
        item: the input, and its target where there is one.
        result: the translation.
        error: see `HeldOutResults.measure`; None where nothing can be measured.
        baseline: the error of the untouched input; None without a target.
    """

    name: str
    item: Item
    direction: Direction
    result: ImageSource
    error: float | None
    baseline: float | None

    def pictures(self) -> Iterator[tuple[str, Picture]]:
        """The input, the target if there is one, and the result, each with its name."""
        picture, target = _read(self.item, self.direction)
        yield "input", picture
        if target is not None:
            yield "target", target
        yield "result", self.result.read()


@dataclass(frozen=True)
class HeldOutResults:
    """The held-out images, translated in one direction.

    Attributes:
        measure: what `error` is: `l1` between results and their targets, or `cycle`, L1 between
            inputs and their translation there and back.
        count: how many images are held out; at most `MOST` of them are translated.
        examples: those translated, the best first where there is an error.
        failed: by name, why others were not translated.
        seconds: how long a picture takes, the median; None if none was translated.
        device: where it ran.
        scale: at which the model translated; see `metrics.measure.Figure`.
        folder: holds the results, and is deleted together with this object.
    """

    direction: Direction
    measure: Literal["l1", "cycle"]
    count: int
    examples: list[Example]
    failed: dict[str, str]
    seconds: float | None
    device: str
    scale: str
    folder: ResultFolder

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


def translate_held_out(
    run: Path,
    found: DataSet,
    *,
    scale: Scale = "auto",
    device: str = "auto",
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[HeldOutResults]:
    """Translate held-out images as `evaluate_model` does, in float32, in each direction there is.

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
        items = _named(seen.held_out, spec.direction, aligned=found.aligned)
        chosen = evenly_spaced(items, MOST)
        folder = ResultFolder()
        results = TimedTranslations(there, folder.path, spec.domains[spec.direction[-1]])
        examples: list[Example] = []
        failed: dict[str, str] = {}
        for done, (name, item) in enumerate(chosen):
            if progress:
                progress(done, len(chosen))
            try:
                examples.append(_example(name, item, results, back))
            except Img2ImgError as error:
                failed[name] = str(error)
        yield HeldOutResults(
            spec.direction,
            "l1" if found.aligned else "cycle",
            len(items),
            sorted(examples, key=lambda example: example.error or 0.0),
            failed,
            median(results.seconds) if results.seconds else None,
            there.device,
            scale_text(results.scales),
            folder,
        )


def _example(name: str, item: Item, results: TimedTranslations, back: Translator | None) -> Example:
    direction = results.translator.spec.direction
    picture, target = _read(item, direction)
    result = results.add(picture)
    error = baseline = None
    if target is not None:
        error, baseline = l1_of_pictures(result, target), l1_of_pictures(picture, target)
    elif back is not None:
        error = l1_of_pictures(back.translate(result), picture)
    return Example(name, item, direction, results.files[-1], error, baseline)


def _named(pairs: Sequence[Pair], direction: Direction, *, aligned: bool) -> list[tuple[str, Item]]:
    """What there is to translate in one direction, with its name: pairs, or inputs alone.

    Args:
        aligned: whether a pair's images show the same thing; else an image may be in several pairs.
    """
    if aligned:
        return [(pair.name, pair) for pair in pairs]
    sources = dict.fromkeys(pair.A if direction == "AtoB" else pair.B for pair in pairs)
    return [(source.path.name, source) for source in sources]


def _read(item: Item, direction: Direction) -> tuple[Picture, Picture | None]:
    """The input, and the target if there is one.

    Raises:
        ImageError: a file does not decode, or the two differ in size.
    """
    if not isinstance(item, Pair):
        return item.read(), None
    A, B = item.read()
    return (A, B) if direction == "AtoB" else (B, A)
