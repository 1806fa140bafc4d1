"""The layouts in which images of two domains can be arranged in folders.

A folder may match several layouts. The first match in this list is used; the last two are only for
pairs:

1. `train/A` + `train/B` (and `val`, `test` alike)
2. `trainA` + `trainB` (and `valA` + `valB`, `testA` + `testB`)
3. `A/train` + `B/train` (and `val`, `test` alike)
4. `A` + `B`
5. images side by side, A on the left and B on the right, in `train` (and `val`, `test`)
6. images side by side in the folder itself

Case does not matter in these names, `train_A` is `trainA`, and `training`, `valid`, `validation`,
`eval` and `testing` are `train`, `val` and `test`. Images are looked for in subfolders too.

Images are treated as side by side only if their halves look like pairs, or if the user says so.
Otherwise single pictures would be cut in half.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from unicodedata import normalize

from img2img.data.halves import look_like_pairs
from img2img.data.mistaken import no_folder, no_images
from img2img.data.names import best_match, keys
from img2img.errors import DataError, some_names
from img2img.images import is_run, list_images, suffix_of

SPLITS = ("train", "val", "test")
_CALLED = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "eval"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in _CALLED.items() for name in names}
_SPLIT = re.compile(rf"({'|'.join(_SPLIT_OF)})(?:[ _-]?([ab]))?")
# How many folders that hold nothing but one more are opened to find a data set.
_DEEP = 3
_IF_BOTH = "if each image is a pair with A on the left, use `data.layout=side_by_side`"


@dataclass(frozen=True)
class Folders:
    """The folders of one split: one for each domain.

    Attributes:
        where: the folders for messages, such as `trainA/ + trainB/`.
        root: the folder of the whole data set; None if the two were given separately.
        inputs: of several inputs that together are A, the folder of each by its name; A is the
            first.
    """

    A: Path
    B: Path
    where: str
    root: Path | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)

    @property
    def side_by_side(self) -> bool:
        """Whether there is one folder of side-by-side images, with A on the left."""
        return self.A == self.B and self.root is not None


def find_splits(
    root: Path, *, side_by_side: bool = True, declared: bool = False, to_train: bool = True
) -> dict[str, Folders]:
    """The splits of a data set in any of the known layouts.

    Args:
        side_by_side: whether side-by-side images are accepted.
        declared: whether the user has declared the images to be side by side, so that they are not
            checked.
        to_train: whether it is an error if there is no split `train`.

    Raises:
        DataError: the folder is missing, or no layout matches.
    """
    looked_for = _looked_for(side_by_side)
    if not root.is_dir():
        raise DataError(f"{no_folder(root)}; {looked_for}")
    folders = _subfolders(root)
    inside = {split: _subfolders(folders[split]) for split in SPLITS if split in folders}
    found = _of_two_folders(root, folders, inside, to_train)
    if found:
        return found
    if not declared:
        _refuse_half_a_layout(root, folders, inside, side_by_side, to_train)
        if not inside:
            _refuse_one_deeper(root)
    if side_by_side and ("train" in inside or (inside and not to_train)):
        first = folders[next(iter(inside))]
        if not list_images(first):
            raise DataError(no_images(first))
        halves = [split for split in inside if list_images(folders[split])]
        if not declared:
            _refuse_several_folders(first, side_by_side)
            _refuse_single_pictures(first)
        return {split: _folders(folders[split], folders[split], root) for split in halves}
    if not side_by_side:
        _refuse_side_by_side(root, folders)
    if not declared:
        _refuse_several_folders(root, side_by_side)
    if is_run(root) or not (side_by_side and list_images(root)):
        raise DataError(f"{no_images(root)}; {looked_for}")
    if not declared:
        _refuse_single_pictures(root)
    return {"train": _folders(root, root, root)}


def _of_two_folders(
    root: Path,
    folders: Mapping[str, Path],
    inside: Mapping[str, Mapping[str, Path]],
    to_train: bool,
) -> dict[str, Folders]:
    """The splits of a root with a folder for each domain; empty if it has none."""
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
    return {}


def find_splits_of_two(A: Path, B: Path, root: Path | None = None) -> dict[str, Folders]:
    """The splits of two folders, one for each domain: `A/train` + `B/train` ..., else `A` + `B`.

    Args:
        root: the folder to which names in messages are relative.

    Raises:
        DataError: a folder is missing, or both are the same.
    """
    for folder in (A, B):
        if not folder.is_dir():
            raise DataError(no_folder(folder))
    real_A, real_B = A.resolve(), B.resolve()
    if real_A == real_B:
        raise DataError(
            f"{A} and {B} are the same folder, but each domain needs its own. If each image is a"
            f" pair, side by side, use `data.root={A}`"
        )
    if real_A in real_B.parents or real_B in real_A.parents:
        raise DataError(
            f"{A} and {B}: one is inside the other, so they share images; move it out, or choose"
            " another folder"
        )
    in_A, in_B = _subfolders(A), _subfolders(B)
    if "train" in in_A and "train" in in_B:
        shared = [split for split in SPLITS if split in in_A and split in in_B]
        return {split: _folders(in_A[split], in_B[split], root) for split in shared}
    return {"train": _folders(A, B, root)}


def find_splits_of_inputs(inputs: Sequence[Path], B: Path) -> dict[str, Folders]:
    """The splits of several folders of inputs, and one of targets: each as one of two folders.

    Raises:
        DataError: a folder is missing, two are the same, or only some have a split.
    """
    found = {name: find_splits_of_two(A, B) for name, A in _input_names(inputs).items()}
    for one, other in combinations(inputs, 2):
        find_splits_of_two(one, other)  # which refuses the same images twice
    first = next(iter(found.values()))
    for folder, splits in zip(inputs, found.values(), strict=True):
        if splits.keys() != first.keys():
            raise DataError(
                f"{inputs[0]} has {', '.join(first)}, but {folder} {', '.join(splits)}; all inputs"
                " need the same splits"
            )
    joined = {}
    for split, folders in first.items():
        each = {name: splits[split].A for name, splits in found.items()}
        where = " + ".join(f"{folder}/" for folder in (*each.values(), folders.B))
        joined[split] = replace(folders, where=where, inputs=each)
    return joined


def _input_names(folders: Sequence[Path]) -> dict[str, Path]:
    """A name for each folder: its own, or its path below the folder that contains all."""
    names = [folder.resolve().name for folder in folders]
    if len({*names}) < len(names):
        above = os.path.commonpath([folder.resolve() for folder in folders])
        names = [folder.resolve().relative_to(above).as_posix() for folder in folders]
    return {name.replace(":", "_"): folder for name, folder in zip(names, folders, strict=True)}


def images_by_name(folder: Path) -> dict[str, list[Path]]:
    """The images of a domain by their path in its folder, without the suffix.

    Raises:
        DataError: there are no images.
    """
    found: dict[str, list[Path]] = {}
    for file in list_images(folder):
        found.setdefault(name_of(file.relative_to(folder)), []).append(file)
    if not found:
        raise DataError(no_images(folder))
    return found


def name_of(path: Path) -> str:
    """A path without its suffix, by which images are matched."""
    # Macs write accents as marks of their own, other systems as one letter.
    return normalize("NFC", path.as_posix()[: -len(suffix_of(path)) or None])


def _folders(A: Path, B: Path, root: Path | None) -> Folders:
    names = [_relative(folder, root) for folder in (A, B)]
    where = f"side-by-side images in {names[0]}" if A == B else " + ".join(names)
    return Folders(A, B, where, root)


def _refuse_side_by_side(root: Path, folders: Mapping[str, Path]) -> None:
    """Refuse side-by-side images where two folders are needed."""
    if "train" in folders or any(file.parent == root for file in list_images(root)):
        raise DataError.of(
            root,
            "the images are not in two folders, one for each domain;"
            f" {_looked_for(False)}. For images with both domains side by side, use pix2pix",
        )


def _refuse_one_deeper(root: Path) -> None:
    """Refuse a folder whose only subfolder is the data set, as in many unpacked archives."""
    folder = root
    for _ in range(_DEEP):
        below = [path for path in _subfolders(folder).values() if list_images(path)]
        if any(file.parent == folder for file in list_images(folder)):
            return
        for path in below:
            inside = _subfolders(path)
            within = {split: _subfolders(inside[split]) for split in SPLITS if split in inside}
            if within or _of_two_folders(path, inside, within, to_train=False):
                raise DataError.of(root, f"the data set is in a subfolder; use `data.root={path}`")
        if len(below) != 1:
            return
        folder = below[0]


def _refuse_several_folders(folder: Path, side_by_side: bool) -> None:
    """Refuse several folders of images, which are more likely domains than side-by-side images."""
    images = list_images(folder)
    inside = [folder / name for name in sorted({f.relative_to(folder).parts[0] for f in images})]
    if any(file.parent == folder for file in images) or len(inside) < 2:
        return
    way_on = f"; {_IF_BOTH}" if side_by_side else ""
    if len(inside) == 2:
        one, other = inside
        raise DataError.of(
            folder,
            f"contains {one.name}/ and {other.name}/; rename them to A and B, or use"
            f" `data.root_a={one}` `data.root_b={other}`{way_on}",
        )
    if not (side_by_side and look_like_pairs(images)):
        one, other = _most_alike(inside)
        names = some_names([f"{each.name}/" for each in inside])
        raise DataError.of(
            folder,
            f"contains several folders of images, {names}; choose the two that belong"
            f" together, such as `data.root_a={one}` `data.root_b={other}` (A is the input, B the"
            f" target){way_on}",
        )


def _most_alike(folders: Sequence[Path]) -> tuple[Path, Path]:
    """The two folders with the most matching names, by the strictest way to match."""
    names = {folder: [*images_by_name(folder)] for folder in folders[:8]}

    def alike(both: tuple[Path, Path]) -> tuple[int, int]:
        A, B = (names[folder] for folder in both)
        found = keys(A, B, best_match(A, B) or "exact")
        return found.partners, -found.overlooked

    return max(combinations(names, 2), key=alike)


def _refuse_single_pictures(folder: Path) -> None:
    """Refuse single pictures, which must not be cut in half."""
    images = list_images(folder)
    if not look_like_pairs(images):
        many = len(images) > 1
        these = f"its {len(images)} images look" if many else "its one image looks"
        raise DataError.of(
            folder,
            f"{these} like {'single pictures' if many else 'a single picture'}, not like"
            " pairs side by side: the left and right halves do not show the same thing. Give two"
            f" folders, `data.root_a` and `data.root_b`, or, {_IF_BOTH}",
        )


def _refuse_half_a_layout(
    root: Path,
    folders: Mapping[str, Path],
    inside: Mapping[str, Mapping[str, Path]],
    side_by_side: bool,
    to_train: bool,
) -> None:
    """Refuse a root that has the folder of only one domain."""
    domains = [("a", "b"), *((f"{split}a", f"{split}b") for split in SPLITS)]
    for here, there in ((root, folders), *((folders[split], inside[split]) for split in inside)):
        for A, B in domains:
            if (A in there) != (B in there):
                raise DataError.of(
                    here,
                    f"has only one of the folders {A[:-1]}A and {B[:-1]}B;"
                    f" {_looked_for(side_by_side)}",
                )
    held_out = {*SPLITS[1:], *(name for names in domains[2:] for name in names)} & {*folders}
    if to_train and held_out and "train" not in folders:
        raise DataError.of(root, f"has val or test, but no train; {_looked_for(side_by_side)}")


def _looked_for(side_by_side: bool) -> str:
    ways = ["train/A + train/B", "trainA + trainB", "A/train + B/train", "A + B"]
    if side_by_side:
        ways += ["images side by side in train/ or in the folder itself"]
    return f"the supported layouts are {', '.join(ways[:-1])}, or {ways[-1]}"


def _subfolders(folder: Path) -> dict[str, Path]:
    """Subfolders by lower-case name, those of splits by usual name; the plainest name wins."""
    found: dict[str, Path] = {}
    for path in sorted(
        folder.iterdir(), key=lambda path: (_usual(path) != path.name.lower(), path)
    ):
        if path.is_dir() and not path.name.startswith("."):
            found.setdefault(_usual(path), path)
    return found


def _usual(folder: Path) -> str:
    """`val` for `Validation`, `traina` for `train_A`; other names in lower case."""
    name = folder.name.lower()
    match = _SPLIT.fullmatch(name)
    return _SPLIT_OF[match[1]] + (match[2] or "") if match else name


def _relative(folder: Path, root: Path | None) -> str:
    if root is None:
        return f"{folder}/"
    return "the folder itself" if folder == root else f"{folder.relative_to(root).as_posix()}/"
