"""Translates the held-out images of a run with its model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Literal

from img2img.config import Direction
from img2img.data.sources import CountProgress, ImageSource
from img2img.engine.sizing import Scale
from img2img.engine.translator import Translator
from img2img.errors import Img2ImgError
from img2img.evaluation.results import (
    ResultFolder,
    TimedTranslations,
    at_size_of,
    evenly_spaced,
    l1_of_pictures,
    scale_text,
)
from img2img.evaluation.test_sets import TestSet
from img2img.images import Picture
from img2img.images.display import shown_of
from img2img.models.checkpoint import load_model

# At most so many held-out images are translated, evenly spaced ones if there are more.
MOST = 200


@dataclass(frozen=True)
class Example:
    """One held-out image, and its translation.

    Attributes:
        target: the target; None if there is none.
        error: see `HeldOutResults.measure`; None if it cannot be measured.
        baseline: the error of the untouched input; None without a target.
    """

    name: str
    input: ImageSource
    target: ImageSource | None
    result: ImageSource
    error: float | None
    baseline: float | None

    def pictures(self) -> Iterator[tuple[str, Picture]]:
        """The input, the target if there is one, and the result, each with its name."""
        yield "input", self.input.read()
        if self.target is not None:
            yield "target", self.target.read()
        yield "result", self.result.read()


@dataclass(frozen=True)
class HeldOutResults:
    """The held-out images, translated in one direction.

    Attributes:
        measure: what `error` is: `l1` between results and their targets, or `cycle`, L1 between
            inputs and their translation there and back.
        count: number of held-out images, of which at most `MOST` are translated.
        examples: the translated images, the best first if they have an error.
        failed: by name, the reasons why others were not translated.
        seconds: median seconds per image; None if none was translated.
        device: where it ran.
        scale: the scale at which the model translated; see `metrics.measure.Figure`.
        shown: what pages show of the images; see `images.display.shown_of`.
        folder: the folder of the results, which is deleted together with this object.
    """

    direction: Direction
    measure: Literal["l1", "cycle"]
    count: int
    examples: list[Example]
    failed: dict[str, str]
    seconds: float | None
    device: str
    scale: str
    shown: str
    folder: ResultFolder

    @property
    def error(self) -> float | None:
        """The mean error of all examples."""
        return fmean(e.error for e in self.examples if e.error is not None) if self.ranked else None

    @property
    def baseline(self) -> float | None:
        """The mean error of the untouched inputs."""
        known = [e.baseline for e in self.examples if e.baseline is not None]
        return fmean(known) if known else None

    @property
    def ranked(self) -> bool:
        """Whether the examples are ranked by their errors."""
        return any(example.error is not None for example in self.examples)


def translate_held_out(
    run: Path,
    test_set: TestSet,
    *,
    scale: Scale = "auto",
    device: str = "auto",
    show: Sequence[str] = (),
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[HeldOutResults]:
    """Translate held-out images in float32, as `evaluate_model` does, in each direction.

    Args:
        test_set: the held-out images of the run.
        show: see `TranslatorOptions`.

    Raises:
        ModelFileError: the run has no model yet, or this version cannot rebuild it.
    """
    translators = {
        spec.direction: Translator.load(
            run,
            direction=spec.direction,
            precision="fp32",
            scale=scale,
            device=device,
            show=show,
            say=say,
        )
        for spec in load_model(run).specs.values()
    }
    for there in translators.values():
        spec = there.spec
        back = translators.get("BtoA" if spec.direction == "AtoB" else "AtoB")
        back = back if spec.reversible else None
        inputs, real = test_set.seen_as(spec.domains_measured).sources(spec.direction)
        targets = real if test_set.paired else [None] * len(inputs)
        chosen = evenly_spaced([*zip(inputs, inputs.values(), targets, strict=True)], MOST)
        folder = ResultFolder()
        results = TimedTranslations(there, folder.path, spec.domains[spec.direction[-1]])
        examples: list[Example] = []
        failed: dict[str, str] = {}
        for done, (name, source, target) in enumerate(chosen):
            if progress:
                progress(done, len(chosen))
            try:
                picture = source.read()
                result = results.add(picture)
                error = baseline = None
                if target is not None:
                    wanted = at_size_of(result, target.read(), name, test_set.pairing)
                    error = l1_of_pictures(result, wanted)
                    if picture.pixels.shape == wanted.pixels.shape:
                        baseline = l1_of_pictures(picture, wanted)
                elif back is not None:
                    error = l1_of_pictures(back.translate(result), picture)
            except Img2ImgError as problem:
                failed[name] = str(problem)
                continue
            examples.append(Example(name, source, target, results.files[-1], error, baseline))
        yield HeldOutResults(
            spec.direction,
            "l1" if test_set.paired else "cycle",
            len(inputs),
            sorted(examples, key=lambda example: example.error or 0.0),
            failed,
            median(results.seconds) if results.seconds else None,
            there.device,
            scale_text(results.scales),
            shown_of({"input": spec.input, "result": spec.output}),
            folder,
        )
