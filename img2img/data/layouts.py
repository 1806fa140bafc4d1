"""The ways in which people arrange the images of two domains in folders.

A root may hold several arrangements at once. The first of these that is there is taken, the last
two for pairs only:

1. `train/A` + `train/B` (and `val`, `test` alike)
2. `trainA` + `trainB` (and `valA` + `valB`, `testA` + `testB`)
3. `A/train` + `B/train` (and `val`, `test` alike)
4. `A` + `B`
5. images side by side, A on the left and B on the right, in `train` (and `val`, `test`)
6. images side by side in the folder itself

Case does not matter in these names. Images are looked for in subfolders too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from img2img.errors import DataError
from img2img.images import list_images

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Folders:
    """Where one part of a data set lies: a folder for each domain.

    Attributes:
        where: for messages, such as `trainA/ + trainB/`.
        root: the folder of the whole data set; None where the two were given by themselves.
    """

    A: Path
    B: Path
    where: str
    root: Path | None = None

    @property
    def side_by_side(self) -> bool:
        """Whether there is one folder, of images that hold both domains, A on the left."""
        return self.A == self.B and self.root is not None


def find_test_set(root: Path) -> Folders:
    """The split `test` of a data set in any of the known layouts, else `val`, else all of it.

    Raises:
        DataError: the folder is missing, or no layout fits.
    """
    splits = find_splits(root, to_train=False)
    return next(splits[name] for name in ("test", "val", "train") if name in splits)


def find_splits(
    root: Path, *, side_by_side: bool = True, to_train: bool = True
) -> dict[str, Folders]:
    """The splits of a data set in any of the known layouts.

    Args:
        side_by_side: whether images that hold both domains count.
        to_train: whether it is a mistake if `train` is not among them.

    Raises:
        DataError: the folder is missing, or no layout fits.
    """
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {problem}; {_looked_for(side_by_side)}")
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
        if "train" in domains or (domains and not to_train):
            return {split: _folders(A, B, root) for split, (A, B) in domains.items()}
    if {"a", "b"} <= {*folders}:
        return find_splits_of_two(folders["a"], folders["b"], root)
    _refuse_half_a_layout(root, folders, inside, side_by_side, to_train)
    if side_by_side and ("train" in inside or (inside and not to_train)):
        if not list_images(folders[next(iter(inside))]):
            raise DataError(f"{folders[next(iter(inside))]}: no image in this folder")
        halves = [split for split in inside if list_images(folders[split])]
        return {split: _folders(folders[split], folders[split], root) for split in halves}
    if not side_by_side:
        _refuse_side_by_side(root, folders)
    _refuse_two_other_folders(root, folders)
    if not (side_by_side and list_images(root)):
        raise DataError(f"{root}: no image here; {_looked_for(side_by_side)}")
    return {"train": _folders(root, root, root)}


def find_splits_of_two(A: Path, B: Path, root: Path | None = None) -> dict[str, Folders]:
    """The splits of two folders, one a domain: `A/train` + `B/train` ..., else `A` + `B`.

    Args:
        root: what the folders are named relative to, in messages.

    Raises:
        DataError: a folder is missing, or both are the same.
    """
    for folder in (A, B):
        if not folder.is_dir():
            problem = "not a folder" if folder.exists() else "no such folder"
            raise DataError(f"{folder}: {problem}")
    real_A, real_B = A.resolve(), B.resolve()
    if real_A == real_B:
        raise DataError(f"{A} and {B} are the same folder: the two domains have one each")
    if real_A in real_B.parents or real_B in real_A.parents:
        raise DataError(f"{A} and {B}: one lies in the other, so that they share images")
    in_A, in_B = _subfolders(A), _subfolders(B)
    if "train" in in_A and "train" in in_B:
        shared = [split for split in SPLITS if split in in_A and split in in_B]
        return {split: _folders(in_A[split], in_B[split], root) for split in shared}
    return {"train": _folders(A, B, root)}


def images_by_name(folder: Path) -> dict[str, list[Path]]:
    """The images of a domain by their path below its folder, without the suffix.

    Raises:
        DataError: there is none.
    """
    found: dict[str, list[Path]] = {}
    for file in list_images(folder):
        # Macs write accents as marks of their own, other systems as one letter.
        name = normalize("NFC", file.relative_to(folder).with_suffix("").as_posix())
        found.setdefault(name, []).append(file)
    if not found:
        raise DataError(f"{folder}: no image in this folder")
    return found


def _folders(A: Path, B: Path, root: Path | None) -> Folders:
    names = [_relative(folder, root) for folder in (A, B)]
    where = f"side-by-side images in {names[0]}" if A == B else " + ".join(names)
    return Folders(A, B, where, root)


def _refuse_side_by_side(root: Path, folders: Mapping[str, Path]) -> None:
    """What holds pairs is not to be taken for two domains."""
    if "train" in folders or any(file.parent == root for file in list_images(root)):
        raise DataError(
            f"{root}: its images are not in two folders, one a domain; {_looked_for(False)}."
            " Images that hold both domains side by side are for pix2pix"
        )


def _refuse_two_other_folders(root: Path, folders: Mapping[str, Path]) -> None:
    """Two folders of images are more likely to be two domains than images to be halved."""
    if len(folders) == 2 and not any(file.parent == root for file in list_images(root)):
        one, other = folders.values()
        raise DataError(
            f"{root}: holds {one.name}/ and {other.name}/: name them A and B, or give them as"
            f" --data-a {one} --data-b {other}"
        )


def _refuse_half_a_layout(
    root: Path,
    folders: Mapping[str, Path],
    inside: Mapping[str, Mapping[str, Path]],
    side_by_side: bool,
    to_train: bool,
) -> None:
    """A lone domain's folder must not be taken for images side by side and be cut in half."""
    domains = [("a", "b"), *((f"{split}a", f"{split}b") for split in SPLITS)]
    for here, there in ((root, folders), *((folders[split], inside[split]) for split in inside)):
        for A, B in domains:
            if (A in there) != (B in there):
                raise DataError(
                    f"{here}: there is only one of {A[:-1]}A and {B[:-1]}B;"
                    f" {_looked_for(side_by_side)}"
                )
    held_out = {*SPLITS[1:], *(name for names in domains[2:] for name in names)} & {*folders}
    if to_train and held_out and "train" not in folders:
        raise DataError(
            f"{root}: nothing to train on beside val or test; {_looked_for(side_by_side)}"
        )


def _looked_for(side_by_side: bool) -> str:
    ways = ["train/A + train/B", "trainA + trainB", "A/train + B/train", "A + B"]
    if side_by_side:
        ways += ["images side by side in train/ or in the folder itself"]
    return f"images are looked for as {', '.join(ways[:-1])} or {ways[-1]}"


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
