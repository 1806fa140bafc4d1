"""Which image of domain A belongs to which of domain B."""

from pathlib import Path

from img2img.data.layouts import Folders, images_by_name
from img2img.data.problems import Problem
from img2img.data.sources import ImageSource, Pair
from img2img.images import list_images


def find_pairs(folders: Folders) -> tuple[list[Pair], list[Problem]]:
    """The pairs of a split, and what finds no partner.

    Partners have the same path below their domain's folder, whatever the suffix.

    Raises:
        DataError: one of the folders has no image.
    """
    if folders.side_by_side:
        root = folders.root or folders.A
        return [_halves(file, root) for file in list_images(folders.A)], []
    pairs: list[Pair] = []
    problems: list[Problem] = []
    in_A, in_B = images_by_name(folders.A), images_by_name(folders.B)
    prefix = folders.A.relative_to(folders.root).as_posix() + "/" if folders.root else ""
    for name in in_A | in_B:
        files_A, files_B = in_A.get(name, []), in_B.get(name, [])
        for files, other in ((files_A, folders.B), (files_B, folders.A)):
            if len(files) > 1:
                rest = " and ".join(str(file) for file in files)
                problems.append(Problem("ambiguous", str(files[0]), f"{rest}: which one is it?"))
            elif files and not (files_A and files_B):
                problems.append(
                    Problem("unmatched", str(files[0]), f"{files[0]}: no partner in {other}")
                )
        if len(files_A) == len(files_B) == 1:
            pairs.append(Pair(prefix + name, ImageSource(files_A[0]), ImageSource(files_B[0])))
    return pairs, problems


def _halves(file: Path, root: Path) -> Pair:
    name = file.relative_to(root).as_posix()
    return Pair(name, ImageSource(file, "left"), ImageSource(file, "right"))
