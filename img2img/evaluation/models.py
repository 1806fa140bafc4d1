"""Measuring a trained model on a test set."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Unpack

from img2img.config import PairingConfig
from img2img.data.layouts import find_splits, find_splits_of_two
from img2img.data.sources import ImageSource
from img2img.engine.sizing import AppliedScale, Scale
from img2img.engine.translator import Translator
from img2img.errors import ConfigError, DataError, Img2ImgError
from img2img.evaluation.folders import (
    Evaluation,
    Images,
    Options,
    arrange,
    chosen,
    evaluate,
    pairing_of,
    teller,
)
from img2img.images import Domain, Picture, to_tensor
from img2img.metrics.measure import mean_figure
from img2img.metrics.paired import l1
from img2img.runs.directory import RunDirectory
from img2img.training.data_of import data_of

Direction = Literal["AtoB", "BtoA"]
# A data set in any known layout, or two folders, of A and of B.
TestData = Path | tuple[Path, Path]


@dataclass(frozen=True)
class TestSet:
    """Images to translate, and those of the other domain.

    Attributes:
        A, B: by name; of pairs in one order.
        paired: whether they are pairs.
        data: where they lie.
        where: which images they are, in words.
        trained_on: whether a model was trained on some of them; None: not known.
        pairing: by which they were found, and differ in size.
    """

    A: dict[str, ImageSource]
    B: dict[str, ImageSource]
    paired: bool
    data: str
    where: str
    trained_on: bool | None
    pairing: PairingConfig

    __test__ = False  # no test case of pytest's

    def sources(self, direction: Direction) -> tuple[dict[str, ImageSource], list[ImageSource]]:
        """What is translated, by name, and what it is measured against."""
        A, B = (self.A, self.B) if direction == "AtoB" else (self.B, self.A)
        return A, [*B.values()]

    def seen_as(self, domains: Mapping[str, Domain | None]) -> "TestSet":
        """The same, the values of its files taken as those of their domain, `A` or `B`."""
        A = {name: source.seen_as(domains["A"]) for name, source in self.A.items()}
        B = {name: source.seen_as(domains["B"]) for name, source in self.B.items()}
        return replace(self, A=A, B=B)


def held_out_of(run: Path) -> TestSet:
    """The images that a run holds out, or held out when it was trained.

    Raises:
        ConfigError: it is no run folder.
        DataError: nothing is held out, or the images have gone.
    """
    directory = RunDirectory(run)
    config = directory.config()
    found = data_of(config, directory.facts())
    if not found.held_out:
        raise DataError(f"{run}: has no held-out images; give a data set with --data")
    where = f"{len(found.held_out)} held out by {run}: {found.layout}"
    if found.aligned:
        A = {pair.name: pair.A for pair in found.held_out}
        B = {pair.name: pair.B for pair in found.held_out}
    else:
        A = _named([pair.A for pair in found.held_out])
        B = _named([pair.B for pair in found.held_out])
    return TestSet(A, B, found.aligned, str(run), where, False, config.data)


def _held_out_of_all(models: Sequence[Path]) -> TestSet:
    """The images that the run of every model holds out, which are the same."""
    found: list[TestSet] = []
    for model in models:
        run = _run_of(model)
        if run is None:
            raise ConfigError(f"{model}: not in a run folder; give a data set with --data")
        found.append(held_out_of(run))
    files = [{source.path.resolve() for source in each.A.values()} for each in found]
    for each, its in zip(found, files, strict=True):
        if its != files[0]:
            raise DataError(
                f"{found[0].data} and {each.data} hold out different images: give a data set to"
                " measure them on, by --data"
            )
    return found[0]


def test_set_of(
    data: TestData | None,
    models: Sequence[Path],
    wanted: Sequence[str],
    options: Options,
    *,
    lone_refused: bool,
) -> TestSet:
    """The split `test` of a data set in any known layout, else `val`, else all of it.

    Of None, the images that the runs of all models hold out.

    All of it may be what a model was trained on: then `where` says so. Of data that a model was
    trained on, pairs are by default what they were in training.

    Args:
        wanted: the measures to take.
        lone_refused: see `arrange`.

    Raises:
        DataError: see `arrange`.
    """
    if data is None:
        return _held_out_of_all(models)
    roots = data if isinstance(data, tuple) else (data,)
    runs = [run for model in models if (run := _run_of(model)) is not None]
    about = [run for run in runs if any(_is_about(run, root) for root in roots)]
    if about and options.get("pairing") is None:
        options = {**options, "pairing": RunDirectory(about[0]).config().data}
    pairing = pairing_of(options)
    declared = pairing.layout == "side_by_side"
    if isinstance(data, tuple):
        splits = find_splits_of_two(*data)
    else:
        splits = find_splits(data, declared=declared, to_train=False)
    called = " + ".join(map(str, roots))
    split = next(name for name in ("test", "val", "train") if name in splits)
    folders = splits[split]
    if not folders.side_by_side:
        folders = replace(folders, root=None)  # names are by the domain's folder, as translate's
    of = folders.where if isinstance(data, tuple) else f"{called}: {folders.where}"
    A, B, paired = arrange(folders, wanted, options, lone_refused=lone_refused)
    if split != "train":
        return TestSet(A, B, paired, called, f"{split} of {of}", None, pairing)
    where = f"all of {of}, which has neither test nor val"
    if about:
        where += (
            f"; the model was trained on these images (evaluate --model {about[0]}"
            " without --data measures its held-out images)"
        )
    else:
        where += "; if the model was trained on these images, the figures flatter it"
    return TestSet(A, B, paired, called, where, True if about else None, pairing)


def evaluate_model(
    model: Path,
    data: TestData | None = None,
    *,
    direction: Direction | None = None,
    scale: Scale = "auto",
    **options: Unpack[Options],
) -> Evaluation:
    """Translate a test set in memory, and measure that against the images of the other domain.

    The test set is the split `test` of a data set in any known layout, else `val`, else all of it.
    Its images are pairs if all names have a partner. Translations are computed in float32, so that
    figures do not depend on the machine, and rounded to the files' depth, as written ones are.
    Beside each figure of pairs stands what the untouched inputs have.

    Args:
        data: a data set, or two folders, of A and of B; None: the images that the model's run
            holds out.
        direction: which generator, where the model goes both ways. Such a model is measured by
            `cycle`, too.
        scale: at which size pictures are translated; see `Translator`.

    Raises:
        DataError: no images in a known layout; or, of a model that goes one way, some of them have
            a partner and others none.
        ImageError: a file does not decode, or the two of a pair differ in size.
        ModelFileError: there is no model.
        ConfigError: no such measure, network, device or direction; or, without `data`, no run.
    """
    say = teller(options)
    device = options.get("device", "auto")

    def load(way: Direction | None) -> Translator:
        return Translator.load(
            model, direction=way, device=device, precision="fp32", scale=scale, say=say
        )

    there = load(direction)
    way = there.spec.direction
    try:
        back = load("BtoA" if way == "AtoB" else "AtoB")
    except ConfigError:
        back = None
    wanted = chosen(options.get("measures"), {"pair", "set", *(["cycle"] if back else [])})
    test_set = test_set_of(data, [model], wanted, options, lone_refused=not back)
    options["pairing"] = test_set.pairing
    sources, real = test_set.seen_as(there.spec.domains).sources(way)
    cycle: list[float] = []
    ways: Counter[AppliedScale] = Counter()

    def translated() -> Iterator[Picture]:
        pictures = ((picture, picture) for picture in (each.read() for each in sources.values()))
        for picture, result in there.translate_each(pictures):
            if isinstance(result, Img2ImgError):
                raise result
            ways[there.applied_scale(picture.size)] += 1
            if back and "cycle" in wanted:
                pair = (to_tensor(p.composited())[None] for p in (back.translate(result), picture))
                cycle.append(l1(*pair).item())
            yield result

    inputs = [*sources.values()] if test_set.paired else None
    images = Images([*sources], translated(), real, test_set.paired, inputs)
    evaluation = evaluate(images, wanted, **options)
    figures = evaluation.figures
    if cycle:
        figures["cycle"] = mean_figure("cycle", cycle, options.get("seed", 0))
    scaled = in_words(ways)
    return replace(
        evaluation,
        figures={name: replace(figure, scale=scaled) for name, figure in figures.items()},
        where=test_set.where,
        trained_on=test_set.trained_on,
    )


def in_words(ways: Counter[AppliedScale]) -> str:
    """The scale that pictures were translated at: one, or how many at which."""
    if len(ways) == 1:
        return next(iter(ways))
    return ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))


def _named(sources: Sequence[ImageSource]) -> dict[str, ImageSource]:
    """Each once, by its name, which is its path where several have one name."""
    once = [*dict.fromkeys(sources)]
    count = Counter(source.path.name for source in once)
    return {
        str(source.path) if count[source.path.name] > 1 else source.path.name: source
        for source in once
    }


def _run_of(model: Path) -> Path | None:
    """The run folder that a model is of, if it lies in one."""
    for folder in (model, model.parent, model.parent.parent):
        if RunDirectory(folder).config_path.is_file():
            return folder
    return None


def _is_about(run: Path, data: Path) -> bool:
    """Whether a run was trained on images of a data set."""
    try:
        known = RunDirectory(run).config().data
    except ConfigError:
        return False
    root = data.resolve()
    folders = [path.resolve() for path in (known.root, known.root_a, known.root_b) if path]
    return any(folder == root or root in folder.parents for folder in folders)
