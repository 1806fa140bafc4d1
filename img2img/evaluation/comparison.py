"""Several models on one test set: how good, how fast and how large each is, and where they differ.

What comes of it is a `Comparison`, which `write_comparison` makes a page of.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any, Literal

from img2img.config import PairingConfig
from img2img.data.sources import CountProgress, ImageSource
from img2img.engine.exported import is_exported
from img2img.engine.loading import choose_generator
from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import ConfigError
from img2img.evaluation.folders import Images, Options, chosen, evaluate, teller
from img2img.evaluation.items import LONGEST, Direction, bytes_each, difference
from img2img.evaluation.models import TestData, in_words, test_set_of
from img2img.html import embedded
from img2img.images import Domain, Picture, write_picture
from img2img.metrics.duel import Duel, duel
from img2img.metrics.measure import MEASURES, Figure
from img2img.models.checkpoint import MODEL_NAME
from img2img.models.compat.collection import reference_files

# Together with all else a page stays under 15 MB.
_BYTES_OF_EXAMPLES = 12_000_000


@dataclass(frozen=True)
class Compared:
    """One model.

    Attributes:
        name: tells it from the others, and is as short as that allows.
        parameters: weights of its generator; None for an exported model.
        bytes: of its file or files.
        times: seconds that each picture took.
        device: where it was computed.
        scale: at which size it translated; see `Figure.scale`.
        figures: what was measured, by name.
        missing: measures that need what is not here, and the way out.
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
        """That a picture takes, the median over the test set."""
        return median(self.times)


@dataclass(frozen=True)
class Difference:
    """One image, and what the models make of it.

    Attributes:
        size: height and width of the image itself.
        disagreement: mean absolute difference of two models' results, over all twos of models.
        pictures: the input, the target where there is one, each model's result: what it is, and an
            address that holds it.
        values: of the first measure of single images, each model's; empty without targets.
    """

    name: str
    size: tuple[int, int]
    disagreement: float
    pictures: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        where: the test set, in words.
        trained_on: whether one of the models was trained on it; None: not known.
        names: of its images.
        duels: each two models by each measure of single images.
        differences: the images on which the models differ most, the most first.
    """

    data: str
    where: str
    trained_on: bool | None
    direction: Direction
    names: tuple[str, ...]
    models: list[Compared]
    duels: list[Duel]
    differences: list[Difference]

    def to_json(self) -> dict[str, Any]:
        """All but the pictures, as JSON can hold it."""
        models = [
            {
                **asdict(model),
                "seconds": model.seconds,
                "figures": {k: f.to_json() for k, f in model.figures.items()},
            }
            for model in self.models
        ]
        differences = [
            {"name": each.name, "disagreement": each.disagreement} for each in self.differences
        ]
        return {
            "data": self.data,
            "where": self.where,
            "trained_on": self.trained_on,
            "direction": self.direction,
            "images": len(self.names),
            "names": list(self.names),
            "models": models,
            "duels": [asdict(each) for each in self.duels],
            "differences": differences,
        }


def compare_models(
    models: Sequence[Path],
    data: TestData | None = None,
    *,
    direction: Direction | None = None,
    scale: Scale = "auto",
    examples: int = 24,
    measures: Sequence[str] | None = None,
    features: str = "auto",
    weights: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    pairing: PairingConfig | None = None,
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Translate a test set with each model, as `Translator` does by itself, and measure that.

    Beside each figure of pairs stands what the untouched inputs have. The test set is the split
    `test` of a data set in any known layout, else `val`, else all of it. Its images are pairs if
    all names have a partner.

    Args:
        models: run folders, model files, exported models, checkpoints of the reference.
        data: a data set, or two folders, of A and of B; None: the images that the models' runs
            hold out, if these are the same.
        direction: which generator, of models that go both ways.
        scale: at which size pictures are translated; see `Translator`.
        examples: how many images are shown: those on which the models differ most.
        measures, features, weights, pairing: see `metrics.evaluate.Options`.
        progress: called with (images translated, images), over all models.
        say: told what a person might want to know; None: they are warnings.

    Raises:
        ConfigError: fewer than two models, models of two directions, or no such measure or device.
        DataError: no images in a known layout.
        ImageError: a file does not decode, or the two of a pair differ in size.
        ModelFileError: there is no model.
    """
    if len(models) < 2:
        raise ConfigError("compare: give two models or more")
    options: Options = {"measures": measures, "features": features, "weights": weights}
    say = _once(teller({"say": say}))
    options |= {"device": device, "seed": seed, "say": say, "pairing": pairing}
    wanted = chosen(measures, {"pair", "set"})
    translators = [
        Translator.load(path, direction=direction, device=device, scale=scale, say=say)
        for path in models
    ]
    way = translators[0].spec.direction
    for path, translator in zip(models, translators, strict=True):
        if translator.spec.direction != way:
            raise ConfigError(
                f"direction: {models[0]} translates {way} and {path} {translator.spec.direction};"
                " name one that all have, or import a checkpoint as what it is"
            )
    test_set = test_set_of(data, models, wanted, options, lone_refused=False)
    options["pairing"] = test_set.pairing
    sources, _ = test_set.sources(way)
    # All in one range, or figures would not compare.
    given, made = _narrowest(translators, "input"), _narrowest(translators, "output")
    shown, real = test_set.seen_as({way[0]: given, way[-1]: made}).sources(way)
    paired = test_set.paired
    targets = real if paired else []
    names = tuple(sources)
    called = _short_names(models)
    compared: list[Compared] = []
    with TemporaryDirectory(prefix="img2img-compare-") as temporary:
        courses = [
            _Course(translator, Path(temporary) / str(index), made)
            for index, translator in enumerate(translators)
        ]
        for number, source in enumerate(sources.values()):
            picture = source.read()
            # In turn, and each as often the first: what else the machine does slows all alike.
            first = number % len(courses)
            for done, course in enumerate([*courses[first:], *courses[:first]]):
                if progress:
                    progress(number * len(courses) + done, len(courses) * len(names))
                course.take(picture)
        for name, path, course in zip(called, models, courses, strict=True):
            # What the inputs have is the same for all.
            inputs = [*shown.values()] if paired and not compared else None
            images = Images(names, (each.read() for each in course.results), real, paired, inputs)
            measured = evaluate(images, wanted, **options)
            figures = measured.figures
            if compared:
                figures = {name: _beside(f, compared[0].figures) for name, f in figures.items()}
            compared.append(
                Compared(
                    name,
                    str(path),
                    _parameters(path, way),
                    _bytes(path),
                    tuple(course.times),
                    course.translator.device,
                    in_words(course.ways),
                    figures,
                    measured.missing,
                )
            )
        results = [course.results for course in courses]
        differences = _differences([*shown.values()], targets, results, compared, names, examples)
    return Comparison(
        test_set.data,
        test_set.where,
        test_set.trained_on,
        way,
        names,
        compared,
        _duels(compared, seed),
        differences,
    )


@dataclass
class _Course:
    """What a model makes of the test set, picture by picture, in files of a folder."""

    translator: Translator
    folder: Path
    made: Domain | None
    results: list[ImageSource] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    ways: Counter[AppliedScale] = field(default_factory=Counter)

    def take(self, picture: Picture) -> None:
        """Translate one more."""
        self.ways[self.translator.applied_scale(picture.size)] += 1
        start = time.perf_counter()
        result = self.translator.translate(picture)
        self.times.append(time.perf_counter() - start)
        path = self.folder / f"{len(self.results)}.png"
        self.results.append(ImageSource(path, domain=self.made))
        write_picture(path, result)


def _beside(figure: Figure, others: Mapping[str, Figure]) -> Figure:
    """A figure with the baseline that another model's has."""
    other = others.get(figure.name)
    return replace(figure, baseline=other.baseline) if other else figure


def _differences(
    sources: Sequence[ImageSource],
    targets: Sequence[ImageSource],
    results: Sequence[Sequence[ImageSource]],
    models: Sequence[Compared],
    names: Sequence[str],
    examples: int,
) -> list[Difference]:
    """The images on which the models differ most, with their pictures."""

    def disagreement(index: int) -> float:
        made = [each[index].read() for each in results]
        return fmean(difference(one, other) for one, other in combinations(made, 2))

    apart = {index: disagreement(index) for index in range(len(names))}
    shown = sorted(apart, key=lambda index: -apart[index])[:examples]
    room = bytes_each(_BYTES_OF_EXAMPLES, len(shown) * (len(models) + 2))
    measure = leading_measure(models)
    differences = []
    for index in shown:
        pictures = [("input", sources[index].read())]
        if targets:
            pictures.append(("target", targets[index].read()))
        for model, each in zip(models, results, strict=True):
            pictures.append((model.name, each[index].read()))
        differences.append(
            Difference(
                names[index],
                pictures[0][1].size,
                apart[index],
                tuple((what, embedded(p, LONGEST, room)) for what, p in pictures),
                tuple(_value(model, measure, index) for model in models) if measure else (),
            )
        )
    return differences


def _narrowest(
    translators: Sequence[Translator], side: Literal["input", "output"]
) -> Domain | None:
    """The smallest range of values that a model has on this side; None: all that files have."""
    found = [getattr(translator.spec, side) for translator in translators]
    own = [domain for domain in found if not domain.whole]
    return min(own, key=lambda domain: domain.ends[1] - domain.ends[0], default=None)


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Says of several models what is the same of all of them only once."""
    said: set[str] = set()

    def unless_said(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            say(sentence)

    return unless_said


def leading_measure(models: Sequence[Compared]) -> str | None:
    """The first measure that tells of single images; None where images have no targets."""
    figures = models[0].figures.values()
    return next((figure.name for figure in figures if figure.per_image is not None), None)


def _value(model: Compared, measure: str, index: int) -> float:
    per_image = model.figures[measure].per_image
    assert per_image is not None
    return per_image[index]


def _duels(models: Sequence[Compared], seed: int) -> list[Duel]:
    return [
        duel((one.name, one.figures[name]), (other.name, other.figures[name]), seed)
        for name in MEASURES
        for one, other in combinations(models, 2)
        if all(name in m.figures and m.figures[name].per_image is not None for m in (one, other))
    ]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """As much of the end of each path as tells it from the others; the same twice is numbered."""
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
