"""The ways in which people arrange pairs in folders, and how partners are matched.

A root may hold several arrangements at once. The first of these that is there is taken:

1. `train/A` + `train/B` (and `val`, `test` alike)
2. `trainA` + `trainB` (and `valA` + `valB`, `testA` + `testB`)
3. `A/train` + `B/train` (and `val`, `test` alike)
4. `A` + `B`
5. images side by side, A on the left and B on the right, in `train` (and `val`, `test`)
6. images side by side in the folder itself

Case does not matter in these names. Images are looked for in subfolders too; partners have the same
path below their domain's folder, whatever the suffix.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from img2img.data.problems import Problem
from img2img.data.sources import ImageSource, Pair
from img2img.errors import DataError
from img2img.images import list_images

SPLITS = ("train", "val", "test")
LOOKED_FOR = (
    "train/A + train/B, trainA + trainB, A/train + B/train, A + B,"
    " or images side by side in train/ or in the folder itself"
)


@dataclass(frozen=True)
class Split:
    """One part of a data set: where it lies, its pairs and what is wrong with the rest.

    `where` is for messages, such as `trainA/ + trainB/`.
    """

    where: str
    pairs: list[Pair]
    problems: list[Problem] = field(default_factory=list)


def find_splits(root: Path) -> dict[str, Split]:
    """The splits of a data set in any of the known layouts; `train` is always among them.

    Raises:
        DataError: the folder is missing, or no layout fits, or a domain's folder has no image.
    """
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {problem}; pairs are looked for as {LOOKED_FOR}")
    folders = _subfolders(root)
    inside = {split: _subfolders(folders[split]) for split in SPLITS if split in folders}
    candidates = [
        {split: (both["a"], both["b"]) for split, both in inside.items() if {"a", "b"} <= {*both}},
        {
            split: (folders[f"{split}a"], folders[f"{split}b"])
            for split in SPLITS
            if {f"{split}a", f"{split}b"} <= {*folders}
        },
    ]
    for domains in candidates:
        if "train" in domains:
            return {split: match(A, B, root) for split, (A, B) in domains.items()}
    if {"a", "b"} <= {*folders}:
        return find_splits_of_two(folders["a"], folders["b"], root)
    _refuse_half_a_layout(root, folders, inside)
    if "train" in inside:
        halves = {split: _side_by_side(folders[split], root) for split in inside}
        if not halves["train"].pairs:
            raise DataError(f"{folders['train']}: no image in this folder")
        return {split: found for split, found in halves.items() if found.pairs}
    _refuse_two_other_folders(root, folders)
    everything = _side_by_side(root, root)
    if not everything.pairs:
        raise DataError(f"{root}: no image here; pairs are looked for as {LOOKED_FOR}")
    return {"train": everything}


def find_splits_of_two(A: Path, B: Path, root: Path | None = None) -> dict[str, Split]:
    """The splits of two folders, one a domain: `A/train` + `B/train` ..., else `A` + `B`.

    Args:
        root: what the folders are named relative to, in messages.

    Raises:
        DataError: a folder is missing or has no image.
    """
    for folder in (A, B):
        if not folder.is_dir():
            problem = "not a folder" if folder.exists() else "no such folder"
            raise DataError(f"{folder}: {problem}")
    in_A, in_B = _subfolders(A), _subfolders(B)
    if "train" in in_A and "train" in in_B:
        shared = [split for split in SPLITS if split in in_A and split in in_B]
        return {split: match(in_A[split], in_B[split], root) for split in shared}
    return {"train": match(A, B, root)}


def match(A: Path, B: Path, root: Path | None = None) -> Split:
    """Pair the images of two folders by their path below it, without the suffix.

    Raises:
        DataError: one of the folders has no image.
    """
    in_A, in_B = _by_name(A), _by_name(B)
    for folder, found in ((A, in_A), (B, in_B)):
        if not found:
            raise DataError(f"{folder}: no image in this folder")
    pairs: list[Pair] = []
    problems: list[Problem] = []
    prefix = A.relative_to(root).as_posix() + "/" if root else ""
    for name in in_A | in_B:
        files_A, files_B = in_A.get(name, []), in_B.get(name, [])
        for files, other in ((files_A, B), (files_B, A)):
            if len(files) > 1:
                rest = " and ".join(str(file) for file in files)
                problems.append(Problem("ambiguous", str(files[0]), f"{rest}: which one is it?"))
            elif files and not (files_A and files_B):
                problems.append(
                    Problem("unmatched", str(files[0]), f"{files[0]}: no partner in {other}")
                )
        if len(files_A) == len(files_B) == 1:
            pairs.append(Pair(prefix + name, ImageSource(files_A[0]), ImageSource(files_B[0])))
    return Split(f"{_relative(A, root)} + {_relative(B, root)}", pairs, problems)


def _side_by_side(folder: Path, root: Path) -> Split:
    pairs = [
        Pair(
            file.relative_to(root).as_posix(), ImageSource(file, "left"), ImageSource(file, "right")
        )
        for file in list_images(folder)
    ]
    return Split(f"side-by-side images in {_relative(folder, root)}", pairs)


def _refuse_two_other_folders(root: Path, folders: Mapping[str, Path]) -> None:
    """Two folders of images are more likely to be two domains than images to be halved."""
    if len(folders) == 2 and not any(file.parent == root for file in list_images(root)):
        one, other = folders.values()
        raise DataError(
            f"{root}: holds {one.name}/ and {other.name}/: name them A and B, or give them as"
            f" --data-a {one} --data-b {other}"
        )


def _refuse_half_a_layout(
    root: Path, folders: Mapping[str, Path], inside: Mapping[str, Mapping[str, Path]]
) -> None:
    """A lone domain's folder must not be taken for images side by side and be cut in half."""
    domains = [("a", "b"), *((f"{split}a", f"{split}b") for split in SPLITS)]
    for here, there in ((root, folders), *((folders[split], inside[split]) for split in inside)):
        for A, B in domains:
            if (A in there) != (B in there):
                raise DataError(
                    f"{here}: there is only one of {A[:-1]}A and {B[:-1]}B;"
                    f" pairs are looked for as {LOOKED_FOR}"
                )
    held_out = {*SPLITS[1:], *(name for names in domains[2:] for name in names)} & {*folders}
    if held_out and "train" not in folders:
        raise DataError(
            f"{root}: nothing to train on beside val or test; pairs are looked for as {LOOKED_FOR}"
        )


def _by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in list_images(folder):
        # Macs write accents as marks of their own, other systems as one letter.
        name = normalize("NFC", file.relative_to(folder).with_suffix("").as_posix())
        found.setdefault(name, []).append(file)
    return found


def _subfolders(folder: Path) -> dict[str, Path]:
    """By lower-case name. Where two names differ in case only, the first in order counts."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found.setdefault(path.name.lower(), path)
    return found


def _relative(folder: Path, root: Path | None) -> str:
    if root is None:
        return f"{folder}/"
    return "the folder itself" if folder == root else f"{folder.relative_to(root).as_posix()}/"
