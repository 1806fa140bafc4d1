"""Images of NumPy and Pillow as pictures, and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.errors import ImageError
from img2img.images import Picture, as_picture, like

RGBA = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays(dtype: type[np.uint8 | np.uint16]) -> None:
    array = RGBA.astype(dtype) * (1 if dtype is np.uint8 else 257)
    for given in (array, array[..., :3]):
        back = like(as_picture(given), given)
        assert isinstance(back, np.ndarray)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, given)
    for grey in (array[..., 0], array[..., :1]):
        picture = as_picture(grey)
        np.testing.assert_array_equal(picture.pixels, np.dstack([array[..., 0]] * 3))
        assert picture.alpha is None


@pytest.mark.parametrize(
    "wrong",
    [
        RGBA.astype(np.float32),
        RGBA.astype(np.int64),
        RGBA[..., :2],
        RGBA[0, 0],
        RGBA[None],
        RGBA[:0],
        "a.png",
        None,
    ],
)
def test_what_is_no_image(wrong: Any) -> None:
    with pytest.raises(ImageError, match="give "):
        as_picture(wrong)


def test_pillow() -> None:
    image, rgb = Image.fromarray(RGBA), Image.fromarray(RGBA[..., :3])
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "La", "RGBa"):
        if mode == "La":
            given = image.convert("LA").convert("La")
        elif mode == "PA":
            given = rgb.convert("P").convert("PA")
        else:
            given = (image if mode in {"LA", "RGBA", "RGBa"} else rgb).convert(mode)
        result = like(as_picture(given), given)
        assert isinstance(result, Image.Image)
        transparent = mode in {"LA", "PA", "RGBA", "La", "RGBa"}
        assert result.mode == ("RGBA" if transparent else "RGB")
        if mode in {"RGB", "RGBA"}:
            np.testing.assert_array_equal(np.asarray(result), np.asarray(given))


def test_pillow_of_16_bits_and_more() -> None:
    grey = np.array([[0, 300, 65535]], np.uint16)
    assert as_picture(Image.fromarray(grey)).pixels[0, :, 1].tolist() == [0, 300, 65535]
    for wrong in (grey.astype(np.float32), grey.astype(np.int32) * 2):
        with pytest.raises(ImageError, match=r"not supported|of float32"):
            as_picture(Image.fromarray(wrong))


def test_pillow_from_a_file_is_upright_and_keeps_its_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "someone"
    Image.fromarray(RGBA).save(tmp_path / "x.png", exif=exif, dpi=(300, 300))
    with Image.open(tmp_path / "x.png") as given:
        result = like(as_picture(given), given)
    assert isinstance(result, Image.Image)
    assert result.size == (5, 7)
    assert result.getexif()[0x013B] == "someone"
    assert result.getexif()[0x0112] == 1
    assert round(result.info["dpi"][0]) == 300


def test_a_picture_is_itself() -> None:
    picture = Picture(RGBA[..., :3], RGBA[..., 3])
    assert as_picture(picture) is picture
    assert like(picture, picture) is picture
