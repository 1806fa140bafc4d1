"""Compares models on one test set: quality, speed and size, and the images on which they differ.

The result is a `Comparison`, from which `write_comparison` makes a page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, Unpack

from img2img.config import Direction
from img2img.data.sources import CountProgress, ImageSource
from img2img.engine.exported import is_exported
from img2img.engine.loading import choose_generator
from img2img.engine.sizing import Scale
from img2img.engine.translator import Translator
from img2img.errors import ConfigError
from img2img.evaluation.measuring import Images, evaluate
from img2img.evaluation.options import EvaluationOptions, chosen, notifier
from img2img.evaluation.results import (
    ResultFolder,
    TimedTranslations,
    l1_of_pictures,
    scale_text,
)
from img2img.evaluation.test_sets import TestData, test_set_of
from img2img.images import Domain
from img2img.images.display import shown_of
from img2img.metrics.measure import MEASURES, Figure
from img2img.metrics.significance import PairedTest, paired_test
from img2img.models.checkpoint import MODEL_NAME
from img2img.models.compat.collection import reference_files


@dataclass(frozen=True)
class Compared:
    """One of the compared models.

    Attributes:
        name: the shortest end of its path that is unique among the models.
        parameters: number of weights of its generator; None for an exported model.
        bytes: size of its files.
        times: seconds for each image.
        device: where it ran.
        scale: the scale at which it translated; see `Figure.scale`.
        figures: by the name of the measure.
        missing: measures that could not be computed, each with the reason.
    """

    name: str
    path: str
    parameters: int | None
    bytes: int
    times: tuple[float, ...]
    device: str
    scale: str
    figures: dict[str, Figure]
    missing: dict[str, str]

    @property
    def seconds(self) -> float:
        """Median seconds per image."""
        return median(self.times)


@dataclass(frozen=True)
class ComparedImage:
    """One image, and its translations.

    Attributes:
        disagreement: mean absolute difference between the results of two models, over all pairs of
            models.
        pictures: names and files of the input, the target if there is one, and each model's result.
        values: the primary measure for each model; empty without targets.
    """

    name: str
    disagreement: float
    pictures: tuple[tuple[str, ImageSource], ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """The result of `compare_models`.

    Attributes:
        where: which images are in the test set, as text.
        trained_on: whether one of the models was trained on it; None if not known.
        names: the names of its images.
        paired_tests: one for each measure of single images and each pair of models.
        most_different: the images on which the models differ most, in descending order.
        shown: what pages show of them; see `images.display.shown_of`.
        folder: the folder of their results, which is deleted together with this object.
    """

    data: str
    where: str
    trained_on: bool | None
    direction: Direction
    names: tuple[str, ...]
    models: list[Compared]
    paired_tests: list[PairedTest]
    most_different: list[ComparedImage]
    shown: str
    folder: ResultFolder

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON, without the images."""
        models = [
            {
                **asdict(model),
                "seconds": model.seconds,
                "figures": {k: f.to_json() for k, f in model.figures.items()},
            }
            for model in self.models
        ]
        most_different = [
            {"name": each.name, "disagreement": each.disagreement} for each in self.most_different
        ]
        return {
            "data": self.data,
            "where": self.where,
            "trained_on": self.trained_on,
            "direction": self.direction,
            "images": len(self.names),
            "names": list(self.names),
            "models": models,
            "paired_tests": [asdict(each) for each in self.paired_tests],
            "most_different": most_different,
        }


def compare_models(
    models: Sequence[Path | str],
    data: TestData | None = None,
    *,
    direction: Direction | None = None,
    scale: Scale = "auto",
    examples: int = 24,
    show: Sequence[str] = (),
    **options: Unpack[EvaluationOptions],
) -> Comparison:
    """Translate a test set with each model, with the defaults of `Translator`, and measure it.

    Measures of pairs have the untouched inputs as their baseline. The test set is the split `test`
    of a data set in any known layout, or else `val`, or else all images. Its images are pairs if
    all names have a partner.

    Args:
        models: run folders, model files, exported models, checkpoints of the reference.
        data: a data set, or two folders, of A and of B, or a list of folders for A if the models
            have several inputs; None: the held-out images of the models' runs, which must be the
            same for all.
        direction: translation direction of two-way models.
        scale: the size at which images are translated; see `Translator`.
        examples: number of images to keep for the page: those on which the models differ most.
        show: which channels the page shows; see `TranslatorOptions`.
        options: `progress` is called with (images translated, all images), over all models.

    Raises:
        ConfigError: fewer than two models, models of different directions, or an unknown measure or
            device.
        DataError: no images in a known layout, or the runs hold out different images.
        ImageError: a file cannot be decoded, or the two images of a pair differ in size.
        ModelFileError: a model does not exist or cannot be read.
    """
    paths = [Path(model) for model in models]
    if len(paths) < 2:
        raise ConfigError("compare: give two or more models")
    say = options["say"] = _once(notifier(options))
    progress = options.pop("progress", None)
    wanted = chosen(options.get("measures"), {"pair", "set"})
    device = options.get("device", "auto")
    translators = [
        Translator.load(path, direction=direction, device=device, scale=scale, show=show, say=say)
        for path in paths
    ]
    way = _common_direction(paths, translators)
    domains = translators[0].spec.domains
    test_set = test_set_of(data, paths, wanted, options, lone_refused=False, domains=domains)
    options["pairing"] = test_set.pairing
    # Figures of several models compare only where all are of values in one range.
    given, made = _narrowest(translators, "input"), _narrowest(translators, "output")
    made = made and made.measured
    sources, _ = test_set.sources(way)
    inputs, real = test_set.seen_as({way[0]: given, way[-1]: made}).sources(way)
    folder = ResultFolder()
    results = [TimedTranslations(each, folder.sub_folder(), made) for each in translators]
    _translate([*sources.values()], results, progress)
    compared: list[Compared] = []
    for name, path, each in zip(_short_names(paths), paths, results, strict=True):
        # The figures of the untouched inputs are the same for all models.
        untouched = [*inputs.values()] if test_set.paired and not compared else None
        pictures = (result.read() for result in each.files)
        images = Images([*sources], pictures, real, test_set.paired, untouched)
        measured = evaluate(images, wanted, **options)
        figures = measured.figures
        if compared:
            figures = {k: _with_baseline(f, compared[0].figures) for k, f in figures.items()}
        compared.append(
            Compared(
                name,
                str(path),
                _parameters(path, way),
                _bytes(path),
                tuple(each.seconds),
                each.translator.device,
                scale_text(each.scales),
                figures,
                measured.missing,
            )
        )
    first = translators[0].spec
    pictures_given = {"input": [*inputs.values()]} | ({"target": real} if test_set.paired else {})
    return Comparison(
        test_set.data,
        test_set.where,
        test_set.trained_on,
        way,
        tuple(sources),
        compared,
        _paired_tests(compared, options.get("seed", 0)),
        _most_different([*sources], pictures_given, compared, results)[:examples],
        shown_of({"input": given or first.input, "result": made or first.output}),
        folder,
    )


def _common_direction(models: Sequence[Path], translators: Sequence[Translator]) -> Direction:
    direction = translators[0].spec.direction
    for path, translator in zip(models, translators, strict=True):
        if translator.spec.direction != direction:
            raise ConfigError(
                f"`direction`: {models[0]} translates {direction}, but {path} translates"
                f" {translator.spec.direction}; choose a direction that all models have, or import"
                " the checkpoint with its true direction"
            )
    return direction


def _translate(
    sources: Sequence[ImageSource],
    results: Sequence[TimedTranslations],
    progress: CountProgress | None,
) -> None:
    """Translate all images with each model."""
    for number, source in enumerate(sources):
        picture = source.read()
        # In turn, and each as often the first, so that what else the machine does slows all alike.
        first = number % len(results)
        for done, each in enumerate([*results[first:], *results[:first]]):
            if progress:
                progress(number * len(results) + done, len(results) * len(sources))
            each.add(picture)


def _with_baseline(figure: Figure, others: Mapping[str, Figure]) -> Figure:
    """A figure with the baseline of another model's figure."""
    other = others.get(figure.name)
    return replace(figure, baseline=other.baseline) if other else figure


def _most_different(
    names: Sequence[str],
    given: Mapping[str, Sequence[ImageSource]],
    models: Sequence[Compared],
    results: Sequence[TimedTranslations],
) -> list[ComparedImage]:
    """All images, sorted by how much the models differ, most first."""
    measure = primary_measure(models)
    images = []
    for index, name in enumerate(names):
        made = [each.files[index].read() for each in results]
        disagreement = fmean(l1_of_pictures(one, other) for one, other in combinations(made, 2))
        pictures = [(what, sources[index]) for what, sources in given.items()]
        pictures += [
            (model.name, each.files[index]) for model, each in zip(models, results, strict=True)
        ]
        values = tuple(_value(model, measure, index) for model in models) if measure else ()
        images.append(ComparedImage(name, disagreement, tuple(pictures), values))
    return sorted(images, key=lambda image: -image.disagreement)


def _narrowest(
    translators: Sequence[Translator], side: Literal["input", "output"]
) -> Domain | None:
    """The smallest range of values of any model on this side; None: RGB of its type's range."""
    found = [getattr(translator.spec, side) for translator in translators]
    own = [domain for domain in found if not domain.whole]
    usual = None if found[0].is_rgb else found[0]
    return min(own, key=lambda domain: domain.ends[1] - domain.ends[0], default=usual)


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """A function that passes on each notice only once, however many models give it."""
    said: set[str] = set()

    def unless_said(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            say(sentence)

    return unless_said


def primary_measure(models: Sequence[Compared]) -> str | None:
    """The first measure with a value for each image; None without targets."""
    figures = models[0].figures.values()
    return next((figure.name for figure in figures if figure.per_image is not None), None)


def _value(model: Compared, measure: str, index: int) -> float:
    per_image = model.figures[measure].per_image
    assert per_image is not None
    return per_image[index]


def _paired_tests(models: Sequence[Compared], seed: int) -> list[PairedTest]:
    return [
        paired_test((one.name, one.figures[name]), (other.name, other.figures[name]), seed)
        for name in MEASURES
        for one, other in combinations(models, 2)
        if all(name in m.figures and m.figures[name].per_image is not None for m in (one, other))
    ]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest unique end of each path; equal paths are numbered."""
    parts = [path.resolve().parts for path in paths]
    names = []
    for index, own in enumerate(parts):
        others = [other for other in parts if other != own]
        depth = 1
        while any(other[-depth:] == own[-depth:] for other in others):
            depth += 1
        number = f" ({parts[:index].count(own) + 1})" if parts.count(own) > 1 else ""
        names.append("/".join(own[-depth:]) + number)
    return names


def _parameters(path: Path, direction: Direction) -> int | None:
    if is_exported(path):
        return None
    model, name = choose_generator(path, direction)
    return sum(weight.numel() for weight in model.generator(name).parameters())


def _bytes(path: Path) -> int:
    files = [path]
    if path.is_dir():
        model = path / MODEL_NAME
        files = [model] if model.is_file() else reference_files(path)
    elif path.suffix.lower() == ".xml":
        files.append(path.with_suffix(".bin"))
    return sum(file.stat().st_size for file in files)
