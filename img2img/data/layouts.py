"""The ways in which people arrange the images of two domains in folders.

A root may hold several arrangements at once. The first of these that is there is taken, the last
two for pairs only:

1. `train/A` + `train/B` (and `val`, `test` alike)
2. `trainA` + `trainB` (and `valA` + `valB`, `testA` + `testB`)
3. `A/train` + `B/train` (and `val`, `test` alike)
4. `A` + `B`
5. images side by side, A on the left and B on the right, in `train` (and `val`, `test`)
6. images side by side in the folder itself

Case does not matter in these names, `train_A` is `trainA`, and `training`, `valid`, `validation`,
`eval` and `testing` are `train`, `val` and `test`. Images are looked for in subfolders too.

Images are taken for two side by side only if their halves look like it, or if a person says so:
else pictures would be cut in half that are none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from unicodedata import normalize

from img2img.data.halves import look_like_pairs
from img2img.data.mistaken import no_folder, no_images
from img2img.data.names import best_match, keys
from img2img.errors import DataError, some_names
from img2img.images import is_run, list_images

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
_IF_BOTH = "if each image is a pair, A on the left, `data.layout=side_by_side`"


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


def find_splits(
    root: Path, *, side_by_side: bool = True, declared: bool = False, to_train: bool = True
) -> dict[str, Folders]:
    """The splits of a data set in any of the known layouts.

    Args:
        side_by_side: whether images that hold both domains count.
        declared: whether a person has said that each image holds both: then it is not doubted.
        to_train: whether it is a mistake if `train` is not among them.

    Raises:
        DataError: the folder is missing, or no layout fits.
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
    """The splits of a root that has a folder for each domain; empty where it has none."""
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
    """The splits of two folders, one a domain: `A/train` + `B/train` ..., else `A` + `B`.

    Args:
        root: what the folders are named relative to, in messages.

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
            f"{A} and {B}: one lies inside the other, so they share images; move it out, or choose"
            " another folder"
        )
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
        raise DataError(no_images(folder))
    return found


def _folders(A: Path, B: Path, root: Path | None) -> Folders:
    names = [_relative(folder, root) for folder in (A, B)]
    where = f"side-by-side images in {names[0]}" if A == B else " + ".join(names)
    return Folders(A, B, where, root)


def _refuse_side_by_side(root: Path, folders: Mapping[str, Path]) -> None:
    """What holds pairs is not to be taken for two domains."""
    if "train" in folders or any(file.parent == root for file in list_images(root)):
        raise DataError.of(
            root,
            f"its images are not in two folders, one for each domain;"
            f" {_looked_for(False)}. Images that hold both domains side by side are for pix2pix",
        )


def _refuse_one_deeper(root: Path) -> None:
    """An archive is often unpacked into a folder of its own name."""
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
    """Folders of images are more likely to be domains than images to be halved."""
    images = list_images(folder)
    inside = [folder / name for name in sorted({f.relative_to(folder).parts[0] for f in images})]
    if any(file.parent == folder for file in images) or len(inside) < 2:
        return
    way_on = f"; {_IF_BOTH}" if side_by_side else ""
    if len(inside) == 2:
        one, other = inside
        raise DataError.of(
            folder,
            f"holds {one.name}/ and {other.name}/: name them A and B, or give them as"
            f" `data.root_a={one}` `data.root_b={other}`{way_on}",
        )
    if not (side_by_side and look_like_pairs(images)):
        one, other = _most_alike(inside)
        names = some_names([f"{each.name}/" for each in inside])
        raise DataError.of(
            folder,
            f"holds several folders of images, {names}: choose the two that belong"
            f" together, such as `data.root_a={one}` `data.root_b={other}` (A is the input, B the"
            f" target){way_on}",
        )


def _most_alike(folders: Sequence[Path]) -> tuple[Path, Path]:
    """The two folders whose images find most partners by their names, in the plainest way."""
    names = {folder: [*images_by_name(folder)] for folder in folders[:8]}

    def alike(both: tuple[Path, Path]) -> tuple[int, int]:
        A, B = (names[folder] for folder in both)
        found = keys(A, B, best_match(A, B) or "exact")
        return found.partners, -found.overlooked

    return max(combinations(names, 2), key=alike)


def _refuse_single_pictures(folder: Path) -> None:
    """Pictures whose halves have nothing to do with each other are not to be cut in half."""
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
    """A lone domain's folder must not be taken for images side by side and be cut in half."""
    domains = [("a", "b"), *((f"{split}a", f"{split}b") for split in SPLITS)]
    for here, there in ((root, folders), *((folders[split], inside[split]) for split in inside)):
        for A, B in domains:
            if (A in there) != (B in there):
                raise DataError.of(
                    here,
                    f"there is only one of {A[:-1]}A and {B[:-1]}B; {_looked_for(side_by_side)}",
                )
    held_out = {*SPLITS[1:], *(name for names in domains[2:] for name in names)} & {*folders}
    if to_train and held_out and "train" not in folders:
        raise DataError.of(
            root, f"it has val or test, but nothing to train on; {_looked_for(side_by_side)}"
        )


def _looked_for(side_by_side: bool) -> str:
    ways = ["train/A + train/B", "trainA + trainB", "A/train + B/train", "A + B"]
    if side_by_side:
        ways += ["images side by side in train/ or in the folder itself"]
    return f"images are looked for as {', '.join(ways[:-1])} or {ways[-1]}"


def _subfolders(folder: Path) -> dict[str, Path]:
    """By lower-case name, those of splits by the usual one. The plainest of several counts."""
    found: dict[str, Path] = {}
    for path in sorted(
        folder.iterdir(), key=lambda path: (_usual(path) != path.name.lower(), path)
    ):
        if path.is_dir() and not path.name.startswith("."):
            found.setdefault(_usual(path), path)
    return found


def _usual(folder: Path) -> str:
    """`val` of `Validation`, `traina` of `train_A`; of other names the lower-case one."""
    name = folder.name.lower()
    match = _SPLIT.fullmatch(name)
    return _SPLIT_OF[match[1]] + (match[2] or "") if match else name


def _relative(folder: Path, root: Path | None) -> str:
    if root is None:
        return f"{folder}/"
    return "the folder itself" if folder == root else f"{folder.relative_to(root).as_posix()}/"
