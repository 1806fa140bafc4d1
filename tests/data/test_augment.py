"""What happens to a pair between file and network."""

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.config import DataConfig
from img2img.data.augment import Transform
from img2img.data.raster import Raster
from img2img.errors import ConfigError
from img2img.images import resized


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


class OnArrays:
    """A transform of pixels that hold data everywhere."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return self._transform.prepare(Raster(pixels)).pixels

    def center(self, pixels: np.ndarray) -> np.ndarray:
        return self._transform.center(Raster(pixels)).pixels

    def pair(
        self, A: np.ndarray, B: np.ndarray, seed: int, position: int
    ) -> tuple[np.ndarray, np.ndarray]:
        A, B = (each.pixels for each in self._transform.pair(Raster(A), Raster(B), seed, position))
        return A, B

    def single(self, pixels: np.ndarray, seed: int, position: int, domain: int) -> np.ndarray:
        return self._transform.single(Raster(pixels), seed, position, domain).pixels


LOAD, CROP = (40, 36), (32, 32)
IMAGE = noise(*LOAD)
DEEP = np.random.default_rng(5).integers(0, 65536, (*LOAD, 3), dtype=np.uint16)


def transform(
    geometry: list[dict[str, Any]] | None = None,
    color: list[dict[str, Any]] | None = None,
    color_on: str = "input",
    resize: str = "stretch",
) -> "OnArrays":
    augment = {"geometry": geometry or [], "color": color or [], "color_on": color_on}
    data = DataConfig.model_validate({"augment": augment, "resize": resize})
    return OnArrays(Transform(data, LOAD, CROP))


GEOMETRIES: list[list[dict[str, Any]]] = [
    [{"name": "HorizontalFlip", "p": 0.5}],
    [{"name": "Rotate", "limit": [-30, 30], "p": 1}, {"name": "VerticalFlip"}],
    [{"name": "RandomResizedCrop", "size": [20, 24]}],
    [{"name": "ElasticTransform", "p": 1}],
    [{"name": "RandomRotate90", "p": 1}, {"name": "RandomScale", "p": 1}],
    [{"name": "CoarseDropout", "p": 1}],
]


class TestGeometry:
    @pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: g[0]["name"])
    @pytest.mark.parametrize("image", [IMAGE, DEEP], ids=["8-bit", "16-bit"])
    def test_alike_on_both(self, geometry: list[dict[str, Any]], image: np.ndarray) -> None:
        chain = transform(geometry)
        outcomes = []
        for position in range(6):
            A, B = chain.pair(image, image.copy(), seed=1, position=position)
            np.testing.assert_array_equal(A, B)
            assert A.shape == (*CROP, 3)
            assert A.dtype == image.dtype
            outcomes.append(A.tobytes())
        assert len(set(outcomes)) == 6

    def test_depends_on_seed_and_position_alone(self) -> None:
        one, other = transform(GEOMETRIES[1]), transform(GEOMETRIES[1])
        wanted = [one.pair(IMAGE, IMAGE, 3, n)[0] for n in range(5)]
        for n in (4, 0, 3, 3, 1, 2):
            np.testing.assert_array_equal(other.pair(IMAGE, IMAGE, 3, n)[0], wanted[n])
        assert not np.array_equal(other.pair(IMAGE, IMAGE, 4, 0)[0], wanted[0])

    def test_transforms_are_independent_of_each_other(self) -> None:
        flips: list[dict[str, Any]] = [{"name": "HorizontalFlip"}, {"name": "VerticalFlip"}]
        data = DataConfig.model_validate({"augment": {"geometry": flips}})
        chain = OnArrays(Transform(data, CROP, CROP))  # nothing left to crop
        image = noise(*CROP)
        variants = {image[::y, ::x].tobytes(): (y, x) for y in (1, -1) for x in (1, -1)}
        seen = [variants[chain.pair(image, image, 0, n)[0].tobytes()] for n in range(200)]
        for variant in variants.values():
            assert 30 <= seen.count(variant) <= 70

    def test_crops_reach_every_place(self) -> None:
        places = np.arange(40 * 36, dtype=np.uint16).reshape(40, 36, 1).repeat(3, axis=2)
        corners = {
            divmod(int(transform().pair(places, places, 0, n)[0][0, 0, 0]), 36) for n in range(400)
        }
        assert corners == {(y, x) for y in range(9) for x in range(5)}

    def test_flip_is_exact_in_16_bit(self) -> None:
        A, _ = transform([{"name": "HorizontalFlip", "p": 1}]).pair(DEEP, DEEP, 0, 0)
        plain, _ = transform([{"name": "NoOp"}]).pair(DEEP[:, ::-1], DEEP, 0, 0)
        assert A.shape == plain.shape
        assert set(A.ravel().tolist()) <= set(DEEP.ravel().tolist())


DARKER: list[dict[str, Any]] = [{"name": "ColorJitter", "brightness": [0.3, 0.4], "p": 1}]


class TestColor:
    @pytest.mark.parametrize("image", [IMAGE, DEEP], ids=["8-bit", "16-bit"])
    def test_on_the_input_only(self, image: np.ndarray) -> None:
        plain, _ = transform().pair(image, image, 0, 0)
        A, B = transform(color=DARKER).pair(image, image, 0, 0)
        assert A.mean() < 0.6 * plain.mean()
        assert A.dtype == B.dtype == image.dtype
        assert set(B.ravel().tolist()) <= set(image.ravel().tolist())

    def test_on_both_when_asked(self) -> None:
        A, B = transform(color=DARKER, color_on="both").pair(IMAGE, IMAGE, 0, 0)
        np.testing.assert_array_equal(A, B)
        assert A.mean() < 0.6 * IMAGE.mean()

    @pytest.mark.parametrize(
        "name", ["HueSaturationValue", "CLAHE", "GaussNoise", "RandomGamma", "Posterize", "ToGray"]
    )
    def test_16_bit_goes_through(self, name: str) -> None:
        A, _ = transform(color=[{"name": name, "p": 1}]).pair(DEEP, DEEP, 0, 0)
        assert A.dtype == np.uint16
        assert A.max() > 30000

    def test_what_moves_pixels_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"data\.augment\.color\.0\.name: Rotate moves"):
            transform(color=[{"name": "Rotate"}])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "HorizontlFlip"}, r"geometry\.0\.name: .*did you mean 'HorizontalFlip'"),
        ({"name": "Rotate", "limt": 3}, r"geometry\.0\.limt: .*did you mean 'limit'"),
        ({"name": "Rotate", "limit": "far"}, r"geometry\.0\.limit: .*valid number"),
        ({"name": "Rotate", "p": 3}, r"geometry\.0\.p: .*less than or equal to 1"),
        ({"name": "RandomCrop"}, r"geometry\.0\.height: Field required"),
        ({"name": "RandomCrop", "height": 99, "width": 99}, r"geometry\.0: RandomCrop fails on"),
        ({"name": "FDA"}, r"geometry\.0: FDA fails on"),
        ({"name": "Normalize"}, r"geometry\.0: Normalize changes the data type"),
        ({"name": "OneOf"}, r"geometry\.0\.name: .*no transform"),
    ],
)
def test_errors_name_key_and_remedy(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.augment\." + message) as caught:
        transform([section])
    assert "\n" not in str(caught.value)


class TestResize:
    def test_is_pillows_bicubic(self) -> None:
        big = noise(101, 67)
        wanted = Image.fromarray(big).resize((36, 40), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(transform().prepare(big), np.asarray(wanted))

    def test_16_bit_agrees_with_8_bit(self) -> None:
        small = noise(33, 21) // 2 + 64  # Pillow clips what overshoots between its two 8-bit passes
        deep = resized(small.astype(np.uint16) * 257, (50, 17))
        assert deep.dtype == np.uint16
        difference = deep / 257.0 - resized(small, (50, 17))
        assert np.abs(difference).max() < 1.5

    def test_fit_keeps_the_aspect(self) -> None:
        prepared = transform(resize="fit").prepare(noise(80, 144))
        assert prepared.shape == (40, 72, 3)
        assert transform(resize="fit").center(noise(80, 144)).shape == (*CROP, 3)

    def test_none_leaves_or_pads(self) -> None:
        chain = transform(resize="none")
        assert chain.prepare(noise(99, 33)).shape == (99, 33, 3)
        assert chain.prepare(noise(9, 50)).shape == (32, 50, 3)
        np.testing.assert_array_equal(chain.center(IMAGE), IMAGE[4:36, 2:34])

    @pytest.mark.parametrize("resize", ["stretch", "fit", "none"])
    def test_one_pixel(self, resize: str) -> None:
        chain = transform(resize=resize)
        pixel = np.full((1, 1, 3), 7, np.uint8)
        prepared = chain.prepare(pixel)
        A, B = chain.pair(prepared, prepared, 0, 0)
        assert (A == 7).all()
        assert A.shape == B.shape == chain.center(pixel).shape == (*CROP, 3)

    def test_center_of_stretch_shows_everything(self) -> None:
        wanted = Image.fromarray(IMAGE).resize((32, 32), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(transform().center(IMAGE), np.asarray(wanted))


def test_can_be_pickled() -> None:
    chain = transform(GEOMETRIES[1], DARKER)
    copy = pickle.loads(pickle.dumps(chain))
    for position in range(3):
        for ours, theirs in zip(
            chain.pair(IMAGE, IMAGE, 0, position),
            copy.pair(IMAGE, IMAGE, 0, position),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
