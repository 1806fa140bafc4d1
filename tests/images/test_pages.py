"""What pages of files, and the first axis of arrays, are: slices or channels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from img2img.errors import ImageError
from img2img.images import (
    Frames,
    Pages,
    Picture,
    open_rows,
    probe,
    read_native,
    read_native_picture,
    write_image,
)

PAGES = np.random.default_rng(0).integers(0, 4000, (5, 20, 30), dtype=np.uint16)
KINDS: dict[str, dict[str, Any]] = {
    "no axes": {"metadata": None},
    "shape only": {},
    "deflated": {"metadata": None, "compression": "zlib"},
    "tiled": {"metadata": None, "tile": (16, 16)},
    "slices": {"metadata": {"axes": "ZYX"}},
    "slices of ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "slices of OME": {"ome": True, "metadata": {"axes": "ZYX"}},
    "channels": {"metadata": {"axes": "CYX"}},
    "channels of ImageJ": {"imagej": True},
    "channels of OME": {"ome": True, "metadata": {"axes": "CYX"}},
}


def written(path: Path, kind: str = "no axes", values: Any = PAGES) -> Path:
    tifffile.imwrite(path, values, photometric="minisblack", **KINDS[kind])
    return path


def values_of(image: Picture | Frames) -> Any:
    """(slices, height, width, channels)."""
    pictures = image.frames if isinstance(image, Frames) else (image,)
    return np.stack([each.pixels for each in pictures])


class TestTiff:
    @pytest.mark.parametrize("kind", KINDS)
    def test_said_to_be_channels(self, tmp_path: Path, kind: str) -> None:
        path = written(tmp_path / "x.tif", kind)
        picture = read_native_picture(path, pages="channels")
        facts = probe(path, pages="channels")
        assert (facts.pictures, facts.channels, facts.axis) == (1, 5, None)
        np.testing.assert_array_equal(picture.pixels, np.moveaxis(PAGES, 0, 2))
        with open_rows(path, pages="channels") as reader:
            rows = [reader.read(0, 7).pixels, reader.read(7, 20).pixels]
        np.testing.assert_array_equal(np.concatenate(rows), picture.pixels)

    @pytest.mark.parametrize("kind", KINDS)
    def test_said_to_be_slices(self, tmp_path: Path, kind: str) -> None:
        path = written(tmp_path / "x.tif", kind)
        image = read_native(path, pages="slices")
        facts = probe(path, pages="slices")
        assert isinstance(image, Frames)
        assert image.axis == facts.axis == "z"
        assert (facts.pictures, facts.channels) == (5, 1)
        np.testing.assert_array_equal(values_of(image), PAGES[..., None])

    @pytest.mark.parametrize("kind", KINDS)
    def test_by_what_the_file_says(self, tmp_path: Path, kind: str) -> None:
        facts = probe(written(tmp_path / "x.tif", kind))
        said = kind.partition(" ")[0] in {"slices", "channels"}
        channels, pictures = (5, 1) if "channels" in kind else (1, 5)
        assert (facts.channels, facts.pictures) == (channels, pictures)
        assert facts.decided == ("" if said else "5 pages read as slices of 1 channel")
        assert facts.instead == (None if said else "channels")

    def test_channels_come_back_as_pages(self, tmp_path: Path) -> None:
        picture = read_native_picture(written(tmp_path / "x.tif"), pages="channels")
        write_image(tmp_path / "y.tif", picture)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "y.tif"), PAGES)
        again = read_native_picture(tmp_path / "y.tif")
        np.testing.assert_array_equal(again.pixels, picture.pixels)

    def test_several_axes_are_channels_in_their_order(self, tmp_path: Path) -> None:
        values = np.arange(2 * 3 * 8 * 9, dtype=np.uint16).reshape(2, 3, 8, 9)
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, values, imagej=True, metadata={"axes": "ZCYX"})
        assert probe(path).pictures == 2
        picture = read_native_picture(path, pages="channels")
        np.testing.assert_array_equal(picture.pixels, values.reshape(6, 8, 9).transpose(1, 2, 0))

    def test_pages_in_colour(self, tmp_path: Path) -> None:
        values = np.random.default_rng(1).integers(0, 255, (2, 8, 9, 3), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", metadata=None)
        picture = read_native_picture(tmp_path / "x.tif", pages="channels")
        wanted = np.concatenate([*values], axis=2)
        np.testing.assert_array_equal(picture.pixels, wanted)

    def test_pages_that_differ(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            file.write(PAGES[0], metadata=None)
            file.write(PAGES[1, :, :20], metadata=None)
        with pytest.raises(
            ImageError, match=r"page 2 differs .* from page 1 \(30 x 20, 1 x uint16"
        ):
            read_native(tmp_path / "x.tif", pages="channels")

    def test_where_one_picture_is_needed(self, tmp_path: Path) -> None:
        path = written(tmp_path / "x.tif")
        with pytest.raises(ImageError, match=r"5 pages, but .*; `pages=channels` reads them as"):
            read_native_picture(path)


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "pages", "found", "decided", "instead"),
        [
            ((48, 64, 13), "auto", (1, 48, 64, 13), "13 channels of 64 x 48", None),
            ((13, 48, 64), "auto", (1, 48, 64, 13), "13 channels of 64 x 48", "slices"),
            ((13, 48, 64), "slices", (13, 48, 64, 1), "13 slices of 64 x 48", None),
            ((80, 48, 64), "auto", (80, 48, 64, 1), "80 slices of 64 x 48", None),
            ((50, 50, 50), "auto", (50, 50, 50, 1), "50 slices of 50 x 50", "channels"),
            ((50, 50, 50), "channels", (1, 50, 50, 50), "50 channels of 50 x 50", None),
        ],
    )
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_three_axes(
        self,
        tmp_path: Path,
        shape: tuple[int, ...],
        pages: Pages,
        found: tuple[int, ...],
        decided: str,
        instead: str | None,
        suffix: str,
    ) -> None:
        values, path = np.zeros(shape, np.uint8), tmp_path / f"x{suffix}"
        values[1, 2, 3] = 7
        if suffix == ".npy":
            np.save(path, values)
        else:
            np.savez(path, values)
        facts, image = probe(path, pages=pages), values_of(read_native(path, pages=pages))
        assert image.shape == found
        place = (0, 1, 2, 3) if shape[2] == 13 else (0, 2, 3, 1) if found[0] == 1 else (1, 2, 3, 0)
        assert image[place] == 7
        assert facts.decided == f"array {shape} read as {decided}"
        assert facts.instead == instead

    def test_two_axes_need_no_decision(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((4, 5)))
        assert probe(tmp_path / "x.npy").decided == ""

    def test_the_only_image_of_several_arrays(self, tmp_path: Path) -> None:
        values = np.arange(20.0).reshape(4, 5)
        np.savez(tmp_path / "x.npz", spacing=np.ones(2), image=values, name=np.array(["a"], object))
        np.testing.assert_array_equal(
            read_native_picture(tmp_path / "x.npz").pixels[..., 0], values
        )


class TestOtherFiles:
    def test_frames_of_dicom(self, tmp_path: Path) -> None:
        frames = tuple(Picture(each[..., None]) for each in PAGES)
        write_image(tmp_path / "x.dcm", Frames(frames, axis="z"))
        picture = read_native_picture(tmp_path / "x.dcm", pages="channels")
        np.testing.assert_array_equal(picture.pixels, np.moveaxis(PAGES, 0, 2))
        assert probe(tmp_path / "x.dcm", pages="channels").decided == "5 slices read as 5 channels"

    def test_one_picture_stays_one(self, tmp_path: Path) -> None:
        write_image(tmp_path / "x.png", Picture(PAGES[0][..., None]))
        for pages in ("slices", "channels"):
            read = read_native_picture(tmp_path / "x.png", pages=pages)
            assert read.pixels.shape == (20, 30, 1)
