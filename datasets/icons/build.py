"""Build the ``icons`` sample dataset: flat emoji (A) and the same emoji in 3D (B).

Both styles are Microsoft's, and are published as two npm packages, which npm downloads unless
``--flat`` and ``--solid`` name copies. Drawing the flat icons, which are SVG, takes the PyPI
package ``resvg-py``. See README.md beside this file for how the pairs are chosen.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIZE = 128
COUNTS = {"test": 60, "train": 400}

SUBJECTS = frozenset(
    {
        "Activities",
        "Animals & Nature",
        "Food & Drink",
        "Objects",
        "Smileys & Emotion",
        "Travel & Places",
    }
)
FLAT_SIZE = 32  # units of an SVG drawing; the two or three of another size do not fit their pair
SOLID_SIZE = 2 * SIZE
# The least intersection over union of the two silhouettes of a pair, and the opacity from which
# a pixel counts as part of one.
MIN_AGREEMENT, OPAQUE = 0.90, 128
# The greatest likeness of two pairs, as a correlation of small grey copies of both pictures. It
# leaves colour out, as a blue heart in training would give away the red one in the test.
MAX_LIKENESS = 0.85
# Lossless WebP is a third smaller if only every third level is used. No channel of any pixel
# changes by more than one level of 255 by this, and white stays white.
LEVEL_STEP = 3

Picture = Image.Image
Vector = NDArray[np.float64]
Render = Callable[[str], Picture]


class BuildError(Exception):
    """A failure whose message is for the user."""


@dataclass(frozen=True)
class Package:
    """An npm package, and the digest of the archive that npm downloads."""

    requirement: str
    sha256: str


FLAT = Package(
    "@iconify-json/fluent-emoji-flat@1.2.6",
    "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
)
SOLID = Package(
    "@lobehub/fluent-emoji-3d@1.1.0",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
)


@dataclass(frozen=True)
class Icon:
    """One emoji in both styles, not drawn yet."""

    name: str
    svg: str
    webp: bytes


@dataclass(frozen=True)
class Pair:
    """One emoji in both styles, on white and of the final size."""

    name: str
    flat: Picture
    solid: Picture


def download(package: Package, folder: Path) -> Path:
    """Let npm fetch the archive, so that proxies and mirrors the user has set are used."""
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError(f"npm is not installed: get {package.requirement} and name its archive")
    print(f"downloading {package.requirement} with npm")
    folder.mkdir()
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), package.requirement]
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"npm could not download {package.requirement}") from error
    archives = sorted(folder.glob("*.tgz"))
    if not archives:
        raise BuildError(f"npm downloaded no archive for {package.requirement}")
    return archives[0]


def read_members(path: Path, package: Package) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive, none of which is ever unpacked to disk."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise BuildError(f"{path} is not the archive of {package.requirement}")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name.removeprefix("package/"), file.read()


def read_flat(path: Path) -> dict[str, tuple[str, str]]:
    """Read the flat icons of the wanted subjects: a name and an SVG for each code point."""
    files = {name: data for name, data in read_members(path, FLAT) if name.endswith(".json")}
    icons: dict[str, dict[str, Any]] = json.loads(files["icons.json"])["icons"]
    names: dict[str, str] = json.loads(files["chars.json"])
    categories: dict[str, list[str]] = json.loads(files["metadata.json"])["categories"]
    wanted = {name for subject in SUBJECTS for name in categories[subject]}
    return {
        code: (name, svg_document(icons[name]["body"]))
        for code, name in names.items()
        if name in wanted and "hidden" not in icons[name] and "height" not in icons[name]
    }


def svg_document(body: str) -> str:
    """Wrap the inside of a drawing, which is all that the package has, into a document."""
    box = f'width="{FLAT_SIZE}" height="{FLAT_SIZE}" viewBox="0 0 {FLAT_SIZE} {FLAT_SIZE}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{body}</svg>'


def read_solid(path: Path) -> dict[str, bytes]:
    """Read the 3D icons: a WebP file for each code point."""
    return {
        bare_code(Path(name).stem): data
        for name, data in read_members(path, SOLID)
        if name.startswith("assets/") and name.endswith(".webp")
    }


def bare_code(code: str) -> str:
    """Drop the selector that asks for a picture, which one package writes and the other omits."""
    return code.removesuffix("-fe0f")


def match(flat: dict[str, tuple[str, str]], solid: dict[str, bytes]) -> list[Icon]:
    """Match the styles by code point, in an order that is fixed but has nothing to do with them.

    A sequence of several code points is mostly a variant: of sex, hair or colour.
    """
    icons = {}
    for full_code, (name, svg) in flat.items():
        code = bare_code(full_code)
        if "-" not in code and code in solid:
            icons[code] = Icon(f"{name}-{code}", svg, solid[code])
    order = sorted(icons, key=lambda code: hashlib.sha256(code.encode()).digest())
    return [icons[code] for code in order]


def load_renderer() -> Render:
    """Import the SVG renderer here: nothing else in the project needs it."""
    try:
        import resvg_py
    except ImportError as error:
        raise BuildError("drawing the flat icons takes resvg-py: pip install resvg-py") from error

    def render(svg: str) -> Picture:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, width=SOLID_SIZE, height=SOLID_SIZE, skip_system_fonts=True
        )
        return Image.open(io.BytesIO(png)).convert("RGBA")

    return render


def agreement(flat: Picture, solid: Picture) -> float:
    """Intersection over union of two silhouettes, which tells how well the drawings coincide."""
    first, second = (np.asarray(picture.getchannel("A")) >= OPAQUE for picture in (flat, solid))
    return float((first & second).sum() / max(1, (first | second).sum()))


def on_white(picture: Picture) -> Picture:
    """Lay a transparent picture on white and halve it."""
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    return canvas.convert("RGB").reduce(2)


def draw(icons: Iterable[Icon], render: Render) -> Iterator[Pair]:
    """Draw the icons, and pass on those whose two drawings coincide."""
    for icon in icons:
        flat, solid = render(icon.svg), Image.open(io.BytesIO(icon.webp)).convert("RGBA")
        if solid.size == flat.size and agreement(flat, solid) >= MIN_AGREEMENT:
            yield Pair(icon.name, on_white(flat), on_white(solid))


def signature(pictures: Iterable[Picture]) -> Vector:
    """A vector whose dot product with another one's is the mean correlation of the pictures."""
    parts = []
    for picture in pictures:
        grey = np.asarray(picture.convert("L").reduce(8), dtype=np.float64).ravel()
        grey = grey - grey.mean()
        parts.append(grey / max(1.0, float(np.linalg.norm(grey))) / math.sqrt(2))
    return np.concatenate(parts)


def distinct(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Drop each pair much like an earlier one or its mirror image, lest the test be given away."""
    taken: list[Vector] = []
    for pair in pairs:
        styles = (pair.flat, pair.solid)
        vector = signature(styles)
        if all(float(vector @ other) < MAX_LIKENESS for other in taken):
            taken += [vector, signature(map(ImageOps.mirror, styles))]
            yield pair


def save(picture: Picture, path: Path) -> None:
    """Save as lossless WebP, with fewer levels: see ``LEVEL_STEP``."""
    depth = 255 - np.asarray(picture).astype(np.int16)
    rounded = (depth + LEVEL_STEP // 2) // LEVEL_STEP * LEVEL_STEP
    coarse = Image.fromarray((255 - rounded).astype(np.uint8))
    coarse.save(path, "WEBP", lossless=True, quality=90, method=6)


def write_tree(flat: Path, solid: Path, render: Render, folder: Path) -> None:
    """Write both splits under ``folder``."""
    pairs = distinct(draw(match(read_flat(flat), read_solid(solid)), render))
    for split, count in COUNTS.items():
        for domain in "AB":
            (folder / split / domain).mkdir(parents=True)
        chosen = list(islice(pairs, count))
        for pair in chosen:
            save(pair.flat, folder / split / "A" / f"{pair.name}.webp")
            save(pair.solid, folder / split / "B" / f"{pair.name}.webp")
        print(f"{split}: {len(chosen)} pairs")


def swap_in(built: Path, output: Path, attic: Path) -> None:
    """Replace the splits in ``output`` only now that all of them are complete."""
    attic.mkdir()
    for split in COUNTS:
        if (output / split).exists():
            (output / split).rename(attic / split)
        (built / split).rename(output / split)


def build(flat: Path | None, solid: Path | None, output: Path) -> None:
    """Build in a folder beside the splits, so that a failure leaves the old ones as they were."""
    render = load_renderer()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=output) as name:
        scratch = Path(name)
        flat = flat or download(FLAT, scratch / "flat")
        solid = solid or download(SOLID, scratch / "solid")
        write_tree(flat, solid, render, scratch / "new")
        swap_in(scratch / "new", output, scratch / "old")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build the icons sample dataset.")
    for option, package in (("--flat", FLAT), ("--solid", SOLID)):
        parser.add_argument(
            option,
            type=Path,
            metavar="ARCHIVE",
            help=f"the archive of {package.requirement}, already here",
        )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).resolve().parent,
        metavar="FOLDER",
        help="where to write train/ and test/ (default: this script's folder)",
    )
    return parser.parse_args()


def main() -> int:
    """Run the script; one line on standard error tells of a failure."""
    arguments = parse_arguments()
    try:
        build(arguments.flat, arguments.solid, arguments.output)
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
