"""Pictures of any type and any channels: what a network is given of them, and what is written."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from img2img.errors import ImageError
from img2img.images import Domain, Picture, Pixels, as_picture, count_outside, eight_bit, of_depth
from img2img.images.depths import sixteen_bit


def row(*values: Any, dtype: str) -> Pixels:
    """Pixels of one row; a number is a pixel of one channel."""
    pixels = np.array(values, dtype)
    return pixels.reshape(1, len(values), -1)


class TestFromFilesToTheNetwork:
    @pytest.mark.parametrize(
        ("dtype", "low", "high", "values", "seen"),
        [
            ("int16", -100, 300, (-100, 0, 100, 300), (-1, -0.5, 0, 1)),
            ("float32", 280.0, 300.0, (280, 285, 290, 300), (-1, -0.5, 0, 1)),
            ("float64", -1.0, 1.0, (-1, -0.25, 0, 1), (-1, -0.25, 0, 1)),
            ("uint32", 0, 2**32 - 1, (0, 2**31, 2**32 - 1), (-1, 0, 1)),
        ],
    )
    def test_values_are_spread_over_the_range(
        self, dtype: Any, low: float, high: float, values: tuple[float, ...], seen: tuple[float]
    ) -> None:
        domain = Domain(dtype=dtype, channels=("x",), low=low, high=high)
        picture = domain.seen(Picture(row(*values, dtype=dtype)))
        assert picture.levels.dtype == np.float32
        assert picture.levels.ravel() == pytest.approx(seen, abs=1e-6)
        written = domain.written(picture.levels)
        assert written.dtype == dtype
        assert written.ravel() == pytest.approx(values, abs=1e-6 * (high - low))

    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
    def test_without_an_end(self, dtype: Any) -> None:
        """What a generator with a linear output is trained on, and makes."""
        picture = Picture(row(5, 10, 40, dtype=dtype))
        domain = Domain(dtype=dtype, channels=("x",), low=10, high=20)
        assert domain.seen(picture).levels.dtype in (np.uint16, np.float32)
        assert of_depth(domain.seen(picture).levels, np.float32).ravel().tolist() == [-1, -1, 1]
        open_ended = domain.model_copy(update={"clip": False})
        assert open_ended.seen(picture).levels.ravel().tolist() == [-2, -1, 5]
        made = row(-2, -1, 5, dtype="float32")
        assert open_ended.written(made).ravel().tolist() == [5, 10, 40]
        assert domain.written(made).ravel().tolist() == [10, 10, 20]

    def test_results_beyond_a_type_are_its_ends(self) -> None:
        domain = Domain(dtype="int16", channels=("x",), low=0, high=30000, clip=False)
        made = row(-9, 9, dtype="float32")
        assert domain.written(made).ravel().tolist() == [-32768, 32767]

    def test_a_range_for_each_channel(self) -> None:
        domain = Domain(dtype="float32", channels=("a", "b"), low=(0, 100), high=(2, 300))
        picture = domain.seen(Picture(row((1, 100), (2, 250), dtype="float32")))
        assert picture.levels.tolist() == [[[0, -1], [1, 0.5]]]
        assert domain.written(picture.levels).tolist() == picture.pixels.tolist()
        assert count_outside(picture) == 0
        assert count_outside(replace(picture, pixels=picture.pixels - 1)) == 1

    def test_without_a_range_an_integer_is_all_of_its_type(self) -> None:
        assert Picture(row(-128, 127, dtype="int8")).levels.ravel().tolist() == [-1, 1]

    def test_without_a_range_a_float_is_what_there_is(self) -> None:
        picture = Picture(row(-5, 0, 5, 900, dtype="float32"))
        picture = replace(picture, valid=np.array([[True, True, True, False]]))
        assert picture.levels.ravel().tolist() == [-1, 0, 1, 1]
        empty = replace(picture, valid=np.zeros((1, 4), bool))
        assert np.isfinite(empty.composited()).all()
        same = Picture(row(7, 7, dtype="float32"))
        assert same.levels.ravel().tolist() == [-1, -1]

    def test_pixels_without_data_are_black(self) -> None:
        domain = Domain(dtype="int16", channels=("a", "b"), low=0, high=100, nodata=-9)
        picture = domain.seen(Picture(row((-9, -9), (-9, 100), (50, 50), dtype="int16")))
        assert picture.valid is not None
        assert picture.valid.tolist() == [[False, True, True]]  # where all channels say so
        assert picture.composited().tolist() == [[[-1, -1], [-1, 1], [0, 0]]]
        assert count_outside(picture) == 1
        # Besides what the file itself marks.
        marked = Picture(row((1, 1), (-9, -9), dtype="int16"), valid=np.array([[False, True]]))
        assert not domain.seen(marked).valid.any()  # type: ignore[union-attr]

    def test_opacity_of_floats(self) -> None:
        alpha = np.array([[255, 0, 51]], np.uint8)
        picture = Picture(row(0, 0, 0, dtype="float32"), alpha, values=(0, 10))
        assert picture.composited().ravel() == pytest.approx([-1, 1, 0.6])

    def test_floats_of_another_precision_are_the_same_numbers(self) -> None:
        domain = Domain(dtype="float32", channels=("x",), low=0, high=4)
        assert domain.seen(Picture(row(1, 2, dtype="float16"))).levels.ravel().tolist() == [-0.5, 0]

    def test_other_types_are_refused(self) -> None:
        domain = Domain(dtype="int16", channels=("x",))
        with pytest.raises(ImageError, match="values of uint8, but int16 expected"):
            domain.seen(Picture(row(1, dtype="uint8")))


class TestChannels:
    def test_grey_is_repeated_and_equal_ones_are_one(self) -> None:
        grey = Picture(row(7, 9, dtype="uint8"))
        colour = Domain(dtype="uint8").seen(grey)
        assert colour.pixels.tolist() == [[[7, 7, 7], [9, 9, 9]]]
        one = Domain(dtype="uint8", channels=("grey",))
        assert one.seen(colour).pixels.tolist() == grey.pixels.tolist()
        with pytest.raises(ImageError, match=r"3 channels, but 1 channel expected \(grey\)"):
            one.seen(Picture(row((7, 7, 8), dtype="uint8")))

    @pytest.mark.parametrize(
        ("dtype", "alpha", "fourth"),
        [
            ("uint8", [[0, 255]], [0, 255]),
            ("uint16", [[0, 128]], [0, 128 * 257]),  # 8 bits of opacity beside 16 of colour
            ("uint8", None, [255, 255]),
            ("uint16", None, [65535, 65535]),
        ],
    )
    def test_alpha_as_a_channel(self, dtype: Any, alpha: Any, fourth: list[int]) -> None:
        domain = Domain(dtype=dtype, channels=("R", "G", "B", "alpha"))
        opacity = None if alpha is None else np.array(alpha, np.uint8)
        picture = domain.seen(Picture(row((1, 2, 3), (4, 5, 6), dtype=dtype), opacity))
        assert picture.alpha is None
        assert picture.pixels[0, :, :3].tolist() == [[1, 2, 3], [4, 5, 6]]
        assert picture.pixels[0, :, 3].tolist() == fourth

    def test_what_a_domain_is_in_words(self) -> None:
        assert Domain(dtype="uint8").summary == "RGB, uint8 0..255 (8 bits)"
        names = ("DAPI", "GFP")
        two = Domain(dtype="uint16", channels=names, low=0, high=4095, nodata=7)
        assert two.summary == "2 channels (DAPI, GFP), uint16 0..4095 (12 bits), nodata 7"
        real = Domain(dtype="float32", channels=("grey",), low=-1.5, high=3, clip=False)
        assert real.summary == "1 channel, float32 -1.5..3 and beyond"
        labels = Domain(dtype="uint8", kind="labels", channels=("sky", "road"))
        assert labels.summary == "labels, 2 classes (sky, road)"
        assert Domain.noise([str(n) for n in range(100)]).summary == "noise, 100 channels"


def test_depths() -> None:
    real = row(-1, 0, 1, 7, dtype="float32")
    assert eight_bit(real).ravel().tolist() == [0, 128, 255, 255]
    assert sixteen_bit(real).ravel().tolist() == [0, 32768, 65535, 65535]
    assert of_depth(row(0, 255, dtype="uint8"), np.float32).ravel().tolist() == [-1, 1]
    assert of_depth(row(0, 65535, dtype="uint16"), np.float32).ravel().tolist() == [-1, 1]


def test_rows_and_columns_have_all_that_the_picture_has() -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6, 1)
    valid = pixels[..., 0] % 5 > 0
    picture = Picture(pixels, np.arange(24, dtype=np.uint8).reshape(4, 6), valid=valid)
    part = picture.columns(2, 5)
    assert (part.size, part.pixels[1, 0, 0]) == ((4, 3), 8)
    assert part.alpha is not None
    assert part.alpha[1, 0] == 8
    whole = Picture.stacked([picture.rows(0, 1), replace(picture.rows(1, 4), valid=None)])
    assert np.array_equal(whole.pixels, pixels)
    assert np.array_equal(whole.alpha, picture.alpha)  # type: ignore[arg-type]
    assert whole.valid is not None
    assert whole.valid[0].tolist() == valid[0].tolist()
    assert whole.valid[1:].all()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_arrays_of_any_channels(channels: int) -> None:
    array = np.zeros((3, 4, channels), np.uint16)
    assert as_picture(array, channels).pixels is array
    with pytest.raises(ImageError, match=rf"give \(height, width, {channels}\)"):
        as_picture(np.zeros((3, 4, channels + 1), np.uint16), channels)
