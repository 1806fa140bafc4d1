"""Test sets: the images that models are measured on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from img2img.config import DataConfig, Direction, Match, PairingConfig, SideConfig
from img2img.data.dataset import DataSet, samples_of
from img2img.data.layouts import (
    Folders,
    find_splits,
    find_splits_of_inputs,
    find_splits_of_two,
)
from img2img.data.partners import find_pairs
from img2img.data.sources import ImageSource, sources_by_name
from img2img.errors import ConfigError, DataError, counted, some_names
from img2img.evaluation.options import EvaluationOptions, notifier, pairing_of
from img2img.images import Domain
from img2img.metrics.measure import MEASURES
from img2img.runs.data import find_as_trained
from img2img.runs.directory import RunDirectory
from img2img.runs.facts import read_facts
from img2img.training.build import method_class

_Folder = Path | str
# A data set in any known layout, or two folders, of A and of B; of a model with several inputs, a
# list of folders for A.
TestData = _Folder | tuple[_Folder | Sequence[_Folder], _Folder]


@dataclass(frozen=True)
class TestSet:
    """Images to translate, and those of the other domain.

    Attributes:
        A: the images of domain A by name; `B` likewise, for pairs in the same order.
        paired: whether they are pairs.
        data: the path of the data set or run.
        where: which images they are, as text.
        trained_on: whether a model was trained on some of them; None if not known.
        pairing: how pairs were found, and how targets are resized.
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
        """The inputs by name, and the images that results are measured against."""
        A, B = (self.A, self.B) if direction == "AtoB" else (self.B, self.A)
        return A, [*B.values()]

    def seen_as(self, domains: Mapping[str, Domain | None]) -> "TestSet":
        """The same set, with the values of its files read by the domains `A` and `B`."""
        A = {name: source.seen_as(domains["A"]) for name, source in self.A.items()}
        B = {name: source.seen_as(domains["B"]) for name, source in self.B.items()}
        return replace(self, A=A, B=B)


def held_out_of(run: Path) -> TestSet:
    """The images that were held out when a run was trained.

    Raises:
        ConfigError: it is not a run folder.
        DataError: no images are held out, or they no longer exist.
    """
    directory = RunDirectory(run)
    config = directory.config()
    kind = method_class(config.method).data_class(config)
    found = find_as_trained(kind, config, read_facts(directory.facts_path))
    if not found.held_out:
        raise DataError.of(run, "has no held-out images; give a data set to measure on (`data`)")
    return held_out_set(run, found, config.data)


def held_out_set(run: Path, found: DataSet, pairing: PairingConfig) -> TestSet:
    """The held-out images of a run's data; there may be none."""
    where = f"{counted(len(found.held_out), 'image')} held out by {run}: {found.layout}"
    if found.aligned:
        A = {pair.name: pair.A for pair in found.held_out}
        B = {pair.name: pair.B for pair in found.held_out}
    else:
        A = _named([pair.A for pair in found.held_out])
        B = _named([pair.B for pair in found.held_out])
    return TestSet(A, B, found.aligned, str(run), where, False, pairing)


def _held_out_of_all(models: Sequence[Path]) -> TestSet:
    """The held-out images of the models' runs, which must be the same for all."""
    found: list[TestSet] = []
    for model in models:
        run = _run_of(model)
        if run is None:
            raise ConfigError.of(
                model,
                "not in a run folder, so it has no held-out images; give a data set to"
                " measure on (`data`)",
            )
        found.append(held_out_of(run))
    files = [{source.path.resolve() for source in each.A.values()} for each in found]
    for each, its in zip(found, files, strict=True):
        if its != files[0]:
            raise DataError(
                f"{found[0].data} and {each.data} hold out different images: give a data set to"
                " measure them on (`data`)"
            )
    return found[0]


def test_set_of(
    data: TestData | None,
    models: Sequence[Path],
    wanted: Sequence[str],
    options: EvaluationOptions,
    *,
    lone_refused: bool,
    domains: Mapping[str, Domain],
) -> TestSet:
    """The split `test` of a data set in any known layout, or else `val`, or else all images.

    If `data` is None, it is the held-out images of the models' runs. If a model was trained on the
    data, pairs are found as in training by default, and `where` warns that training images are
    measured.

    Args:
        wanted: the measures to take.
        lone_refused: see `by_name`.
        domains: those of the models, which say along which axis slices are, and what pages are.

    Raises:
        DataError: see `by_name`.
        ConfigError: there are more or fewer folders of A than a model has inputs.
    """
    if data is None:
        return _held_out_of_all(models)
    A, B = data if isinstance(data, tuple) else (data, None)
    given = [Path(A)] if isinstance(A, str | Path) else [*map(Path, A)]
    folders_A = _in_order(given, [*domains["A"].by_input], B)
    roots = folders_A if B is None else [*folders_A, Path(B)]
    runs = [run for model in models if (run := _run_of(model)) is not None]
    about = [run for run in runs if any(_is_about(run, root) for root in roots)]
    if about and options.get("pairing") is None:
        options = {**options, "pairing": RunDirectory(about[0]).config().data}
    pairing = pairing_of(options)
    if not isinstance(pairing, DataConfig):
        sides = {side: _read_as(domain) for side, domain in domains.items()}
        pairing = DataConfig(**pairing.model_dump(), **sides)
        options = {**options, "pairing": pairing}
    declared = pairing.layout == "side_by_side"
    if len(roots) > 2:
        splits = find_splits_of_inputs(roots[:-1], roots[-1])
    elif len(roots) == 2:
        splits = find_splits_of_two(*roots)
    else:
        splits = find_splits(roots[0], declared=declared, to_train=False)
    called = " + ".join(map(str, roots))
    split = next(name for name in ("test", "val", "train") if name in splits)
    folders = splits[split]
    if not folders.side_by_side:
        folders = replace(folders, root=None)  # names are by the domain's folder, as translate's
    of = f"{called}: {folders.where}" if B is None else folders.where
    images_A, images_B, paired = by_name(folders, wanted, options, lone_refused=lone_refused)
    if split != "train":
        return TestSet(images_A, images_B, paired, called, f"{split} of {of}", None, pairing)
    where = f"all images in {of}, which has neither test nor val"
    if about:
        where += (
            "; the model was trained on these images, so its figures are too good (without a"
            f" data set, the held-out images of {about[0]} are measured)"
        )
    else:
        where += "; if the model was trained on these images, its figures are too good"
    return TestSet(images_A, images_B, paired, called, where, True if about else None, pairing)


def _in_order(folders: list[Path], names: Sequence[str], B: Path | str | None) -> list[Path]:
    """The folders of A in the order of a model's inputs, if they are called by their names."""
    if B is None:
        return folders
    if len(folders) != len(names):
        takes = counted(len(names), "input") + (f" ({', '.join(names)})" if names[0] else "")
        raise ConfigError(f"`data_a`: {len(folders)} given, but the model takes {takes}")
    called = [folder.resolve().name for folder in folders]
    if {*called} != {*names}:
        return folders
    return [folders[called.index(name)] for name in names]


def _read_as(domain: Domain) -> SideConfig:
    """How files become images of a domain."""
    first = next(iter(domain.by_input.values()))
    return SideConfig(axis=first.axis, pages=first.pages)


def by_name(
    folders: Folders,
    wanted: Sequence[str],
    options: EvaluationOptions,
    *,
    lone_refused: bool = True,
) -> tuple[dict[str, ImageSource], dict[str, ImageSource], bool]:
    """The images of both folders by name, and whether they are pairs, which are in the same order.

    Args:
        wanted: the measures to take.
        lone_refused: whether it is an error if only some images have a partner; if not, they are
            compared as sets.

    Raises:
        DataError: see `lone_refused`; or there are no pairs, but a measure of pairs was requested.
    """
    partners = find_pairs(folders, pairing_of(options))
    pairs, problems = samples_of(partners.pairs), partners.problems
    if partners.unlisted:
        notifier(options)(
            f"left out, not in the list of pairs: {counted(partners.unlisted, 'image')}"
        )
    if not problems:
        return {pair.name: pair.A for pair in pairs}, {pair.name: pair.B for pair in pairs}, True
    if slices := [problem.message for problem in problems if problem.kind == "slices"]:
        raise DataError(some_names(slices, 3))
    if folders.inputs:
        raise DataError(
            f"{counted(len(problems), 'image')} of several inputs cannot be matched:"
            f" {some_names([problem.message for problem in problems], 3)}"
        )
    if any(MEASURES[name].of == "pair" for name in wanted):
        proposal = partners.proposal
        if proposal and find_pairs(folders, _matched_by(proposal.match, options)).problems:
            proposal = None  # some would still have no partner
        if options.get("measures") or (pairs and lone_refused):
            way = f" {proposal}; else" if proposal else ""
            raise DataError(
                f"{len(problems)} of the files have no partner, or more than one:"
                f" {some_names([problem.message for problem in problems], 3)};{way} rename them,"
                " list the pairs in a table (`pairs`), which leaves out all others, or compare"
                " the folders as sets (`measures=fid,kid`)"
            )
        way = f" ({proposal})" if proposal else ""
        notifier(options)(
            f"the names do not match, so the images are compared as sets, not as pairs{way}"
        )
    pairing = pairing_of(options)
    sides = (pairing.A, pairing.B) if isinstance(pairing, DataConfig) else (None, None)
    A, B = map(sources_by_name, (folders.A, folders.B), sides)
    return A, B, False


def _matched_by(match: Match, options: EvaluationOptions) -> PairingConfig:
    return pairing_of(options).model_copy(update={"match": match})


def _named(sources: Sequence[ImageSource]) -> dict[str, ImageSource]:
    """Each image once, by its file name, or by its path if several have the same name."""
    once = [*dict.fromkeys(sources)]
    count = Counter(source.name for source in once)
    return {
        f"{source.path}{source.number}" if count[source.name] > 1 else source.name: source
        for source in once
    }


def _run_of(model: Path) -> Path | None:
    """The run folder that a model is in, if any."""
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
    folders = [path.resolve() for path in known.folders]
    return any(folder == root or root in folder.parents for folder in folders)
