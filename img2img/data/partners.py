"""Finds the partners of images: which image of A belongs to which of B."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from img2img.config import DataConfig, Match, PairingConfig
from img2img.data.layouts import Folders, images_by_name
from img2img.data.names import best_match, keys
from img2img.data.pair_list import listed_pairs
from img2img.data.problems import Problem
from img2img.data.sources import ImageSource, Pair
from img2img.errors import DataError, counted
from img2img.images import list_images


@dataclass(frozen=True)
class Proposal:
    """A proposed way to match names, which finds more pairs than the present one.

    Attributes:
        found: number of pairs that it finds.
        examples: some of these pairs.
    """

    match: Match
    found: int
    examples: list[tuple[Path, Path]]

    def __str__(self) -> str:
        like = ", ".join(f"{A.name} + {B.name}" for A, B in self.examples)
        return f"`data.match={self.match}` finds {self.found} pairs, such as {like}"


@dataclass(frozen=True)
class Partners:
    """The pairs found in two folders.

    Attributes:
        problems: images with no partner, or several.
        proposal: a way to match names that finds more pairs.
        unlisted: images that `data.pairs` leaves out.
    """

    pairs: list[Pair]
    problems: list[Problem] = field(default_factory=list)
    proposal: Proposal | None = None
    unlisted: int = 0


def find_pairs(folders: Folders, pairing: PairingConfig) -> Partners:
    """Find the pairs of a split, and the images without a partner.

    Partners have the same path in their domain's folder, whatever the suffix, or are found as
    `pairing` says.

    Raises:
        DataError: a folder has no images, or files listed in `pairing.pairs` do not exist.
    """
    target: Literal["A", "B"] = (
        "A" if isinstance(pairing, DataConfig) and pairing.direction == "BtoA" else "B"
    )

    def pair(name: str, A: ImageSource, B: ImageSource) -> Pair:
        return Pair(name, A, B, target, pairing.unequal)

    data = pairing if isinstance(pairing, DataConfig) else None

    if folders.side_by_side:
        if pairing.pairs is not None:
            raise DataError(
                f"data.pairs: the images in {folders.A} are pairs side by side, so no list of"
                " pairs is needed"
            )
        root, pages = folders.root or folders.A, data.A.pages if data else "auto"
        names = {file.relative_to(root).as_posix(): file for file in list_images(folders.A)}
        return Partners(
            [
                pair(n, *(ImageSource(f, half, pages=pages) for half in ("left", "right")))
                for n, f in names.items()
            ]
        )
    prefix = folders.A.relative_to(folders.root).as_posix() + "/" if folders.root else ""
    in_A, in_B = images_by_name(folders.A), images_by_name(folders.B)
    if pairing.pairs is not None:
        listed = listed_pairs(pairing.pairs, folders)
        found = {A.relative_to(folders.A).as_posix(): (A, B) for A, B in listed}
        unlisted = sum(map(len, in_A.values())) + sum(map(len, in_B.values())) - 2 * len(found)
        problems, proposal = list[Problem](), None
    else:
        found, problems = _matched(in_A, in_B, folders, pairing.match)
        proposal = _proposal(in_A, in_B, folders, len(found)) if problems else None
        unlisted = 0
    of_inputs, missing = sources_of_inputs(folders, pairing, [A for A, _ in found.values()])
    keys = ("data.A.pages", "data.B.pages") if data else ("pages", "pages")
    pairs = []
    for name, (path_A, path_B) in found.items():
        if path_A not in of_inputs:
            continue
        B = ImageSource.of(path_B, data.B if data else None)
        both = pair(prefix + name, of_inputs[path_A], B)
        if both.A.count != B.count:
            missing.append(Problem("slices", name, _counts(both.A, B, *keys)))
        else:
            pairs.append(both)
    return Partners(pairs, problems + missing, proposal, unlisted)


def sources_of_inputs(
    folders: Folders, pairing: PairingConfig, files: Iterable[Path]
) -> tuple[dict[Path, ImageSource], list[Problem]]:
    """The image of A for each file of the first input, with those of the other inputs beside it.

    Without several inputs, it is the file itself. Files without a partner are problems.
    """
    wanted = pairing.A if isinstance(pairing, DataConfig) else None
    (name, _), *others = [*folders.inputs.items()] or [("", folders.A)]
    found = {file: ImageSource.of(file, wanted, name) for file in files}
    problems, keys = list[Problem](), ("data.A.pages", "data.A.pages")
    in_A = images_by_name(folders.A) if others else {}
    for name, folder in others:
        beside = replace(folders, B=folder)
        partners, missing = _matched(in_A, images_by_name(folder), beside, pairing.match)
        problems += missing
        by_file = dict(partners.values())
        for file, source in [*found.items()]:
            other = ImageSource.of(by_file[file], wanted, name) if file in by_file else None
            if other is None:
                del found[file]
            elif other.count != source.count:
                problems.append(Problem("slices", source.name, _counts(source, other, *keys)))
                del found[file]
            else:
                beside_it = (*source.beside, other)
                found[file] = replace(source, beside=beside_it, unequal=pairing.unequal)
    return found, problems


def _counts(one: ImageSource, other: ImageSource, *keys: str) -> str:
    """How many slices two images have, and what was read as slices that may be something else.

    Args:
        keys: which say what the pages of each are.
    """
    what = f"{one.path} has {counted(one.count, 'slice')}, {other.path} {other.count}"
    for source, key in zip((one, other), keys, strict=True):
        if source.facts and source.facts.instead:
            return f"{what}: {source.facts.explained(key)}"
    return what


def _matched(
    in_A: Mapping[str, list[Path]],
    in_B: Mapping[str, list[Path]],
    folders: Folders,
    match: Match,
) -> tuple[dict[str, tuple[Path, Path]], list[Problem]]:
    """Partners by the name of A, and the images with no partner or several."""
    known = keys([*in_A], [*in_B], match)
    files: list[dict[str, list[Path]]] = [{}, {}]
    for by_key, names, of in zip(files, (in_A, in_B), (known.A, known.B), strict=True):
        for name, its in names.items():
            by_key.setdefault(of[name], []).extend(its)
    found: dict[str, tuple[Path, Path]] = {}
    problems: list[Problem] = []
    names_A = {key: name for name, key in known.A.items()}
    for key in files[0] | files[1]:
        of_A, of_B = (by_key.get(key, []) for by_key in files)
        for its, other in ((of_A, folders.B), (of_B, folders.A)):
            if len(its) > 1:
                rest = " and ".join(str(file) for file in its)
                problems.append(
                    Problem("ambiguous", str(its[0]), f"{rest}: each of these could be the partner")
                )
            elif its and not (of_A and of_B):
                problems.append(
                    Problem("unmatched", str(its[0]), f"{its[0]}: no partner in {other}")
                )
        if len(of_A) == len(of_B) == 1:
            found[names_A[key]] = of_A[0], of_B[0]
    return found, problems


def _proposal(
    in_A: Mapping[str, list[Path]], in_B: Mapping[str, list[Path]], folders: Folders, count: int
) -> Proposal | None:
    """A way to match names that finds more than `count` pairs, and more than chance would."""
    names = [[name for name, files in side.items() if len(files) == 1] for side in (in_A, in_B)]

    def least(match: Match) -> int:
        # A few names are alike by chance, and every folder that is numbered has a first and a
        # second.
        fewer, more = sorted((len(in_A), len(in_B)))
        return max(count, ((more if match == "number" else fewer) - 1) // 2) + 1

    match = best_match(names[0], names[1], least)
    if match is None:
        return None
    found, _ = _matched(in_A, in_B, folders, match)
    # What shows the difference; and the last, where 1 and 10 would be confused.
    new = [both for name, both in found.items() if name not in in_B]
    return Proposal(match, len(found), [*new[:2], *new[2:][-1:]])
