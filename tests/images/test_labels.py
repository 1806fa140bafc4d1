"""Label maps: what files hold becomes the numbers of classes, and back; or it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.errors import ImageError
from img2img.images import Domain, Picture, read_native_picture, write_picture

PALETTE = ((0, 0, 0), (128, 64, 128), (220, 20, 60))
INDEXES = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
COLOURS = np.array(PALETTE, np.uint8)[INDEXES]


def domain(**fields: object) -> Domain:
    known = {"kind": "labels", "dtype": "uint8", "channels": ("void", "road", "car")}
    return Domain.model_validate({**known, **fields})


def with_palette(path: Path, colours: object = PALETTE, **options: Any) -> Picture:
    image = Image.fromarray(INDEXES, mode="P")
    image.putpalette(np.ravel(np.array(colours, np.uint8)).tolist())
    image.save(path, **options)
    return read_native_picture(path, indices=True)


def numbers(of: Domain, picture: Picture) -> list[list[int]]:
    seen = of.seen(picture)
    assert seen.pixels.shape == (*picture.size, 1)
    assert of.seen(seen).pixels is seen.pixels  # seen once
    return [list(map(int, row)) for row in seen.pixels[..., 0]]


def test_indexes_and_colours_are_the_same_classes(tmp_path: Path) -> None:
    expected = INDEXES.tolist()
    both = domain(indexes=(0, 1, 2), palette=PALETTE)
    for each in domain(), both:
        assert numbers(each, Picture(INDEXES[..., None])) == expected
        assert numbers(each, Picture(INDEXES[..., None].astype(np.uint16))) == expected
        assert numbers(each, with_palette(tmp_path / "a.png")) == expected
    assert numbers(domain(), Picture(np.repeat(INDEXES[..., None], 3, 2))) == expected
    for each in domain(palette=PALETTE), both:
        assert numbers(each, Picture(COLOURS)) == expected
        assert numbers(each, Picture(COLOURS.astype(np.uint16) * 257)) == expected


def test_indexes_may_be_any_numbers() -> None:
    values = np.array([[0, 255], [7, 7]], np.uint8)[..., None]
    sparse = domain(indexes=(255, 0, 7))
    assert numbers(sparse, Picture(values)) == [[1, 0], [2, 2]]


def test_a_palette_in_another_order_is_read_by_its_colours(tmp_path: Path) -> None:
    turned = with_palette(tmp_path / "a.png", PALETTE[::-1])
    assert numbers(domain(palette=PALETTE), turned) == (2 - INDEXES).tolist()


def test_grey_classes_are_colours_in_grey_files() -> None:
    levels = ((0, 0, 0), (128, 128, 128), (255, 255, 255))
    grey = np.array([0, 128, 255], np.uint8)[INDEXES][..., None]
    assert numbers(domain(palette=levels), Picture(grey)) == INDEXES.tolist()


@pytest.mark.parametrize("ignore", [2, (220, 20, 60)])
def test_ignored_pixels_hold_no_data(ignore: object) -> None:
    two = {"channels": ("void", "road"), "ignore": ignore}
    if isinstance(ignore, int):
        seen = domain(**two).seen(Picture(INDEXES[..., None]))
    else:
        seen = domain(**two, palette=PALETTE[:2]).seen(Picture(COLOURS))
    assert seen.valid is not None
    assert (seen.valid == (INDEXES != 2)).all()


def test_transparent_pixels_hold_no_data(tmp_path: Path) -> None:
    opacity = np.full(INDEXES.shape, 255, np.uint8)
    opacity[1, 1] = 0
    seen = domain(palette=PALETTE).seen(Picture(COLOURS, opacity))
    assert seen.valid is not None
    assert not seen.valid[1, 1]
    assert seen.valid.sum() == 5
    # A palette's transparency is no property of a class.
    assert domain().seen(with_palette(tmp_path / "a.png", transparency=0)).valid is None


def test_what_is_no_label_map_is_refused_in_a_line(tmp_path: Path) -> None:
    wrong_index = INDEXES.copy()
    wrong_index[1, 2] = 9
    wrong_colour = COLOURS.copy()
    wrong_colour[0, 1] = 1, 2, 3
    large = np.array(PALETTE, np.uint8)[np.kron(INDEXES, np.ones((16, 16), np.uint8))]
    smooth = np.array(Image.fromarray(large).resize((40, 30), Image.Resampling.BICUBIC))
    partly = np.full(INDEXES.shape, 255, np.uint8)
    partly[0, 2] = 100
    coloured = domain(palette=PALETTE)
    for each, picture, message in (
        (domain(), Picture(wrong_index[..., None]), "index 9 at x 2, y 1, but the classes are 0"),
        (domain(), Picture(COLOURS), "has only indexes"),
        (coloured, Picture(wrong_colour), "colour #010203 at x 1, y 0 is not in `classes`"),
        (coloured, Picture(smooth), "label maps must not have smoothed edges"),
        (coloured, Picture(COLOURS, partly), "partly transparent at x 2, y 0"),
        (coloured, Picture(COLOURS.astype(np.uint16)), "colours of uint16"),
        (coloured, Picture(INDEXES[..., None] / 2), "1 channel of float64"),
        (domain(), Picture(INDEXES[..., None].astype(np.int32) - 1), "value -1 at x 0, y 0"),
        (domain(), Picture(np.zeros((2, 2, 5), np.uint8)), "5 channels of uint8"),
        (
            coloured,
            with_palette(tmp_path / "a.png", [(1, 1, 1), *PALETTE[1:]]),
            "index 0 at x 0, y 0 has the colour #010101 in this file",
        ),
    ):
        with pytest.raises(ImageError, match=message) as error:
            each.seen(picture)
        assert "\n" not in str(error.value)


def test_class_numbers_are_written_as_they_are_read(tmp_path: Path) -> None:
    sparse = domain(indexes=(0, 7, 255 - 1), palette=PALETTE, ignore=255)
    valid = np.ones(INDEXES.shape, np.bool_)
    valid[0, 0] = False
    pixels, colours, _ = sparse.table.written(INDEXES[..., None], valid)
    write_picture(tmp_path / "a.png", Picture(pixels, colours=colours))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array(image).tolist() == [[255, 7, 254], [254, 254, 0]]
        assert (np.array(image.convert("RGB"))[1] == COLOURS[1]).all()
    again = sparse.seen(read_native_picture(tmp_path / "a.png", indices=True))
    assert again.valid is not None
    assert (again.valid == valid).all()
    assert (again.pixels[..., 0] == INDEXES * valid).all()


def test_label_maps_are_shown_in_colours() -> None:
    seen = domain(palette=PALETTE).seen(Picture(COLOURS))
    assert (seen.composited() == COLOURS).all()
