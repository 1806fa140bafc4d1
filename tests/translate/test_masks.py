"""Results that are their inputs outside of a mask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from img2img import Translator, translate_folder
from img2img.engine import memory
from img2img.errors import ConfigError, DataError, ImageError
from img2img.images import (
    Animation,
    Domain,
    Frames,
    Picture,
    masks,
    read_image,
    read_picture,
    write_image,
)
from img2img.images import read_native_picture as read
from img2img.images import write_picture as write
from img2img.networks import Generator
from img2img.networks.base import Stage
from img2img.translate.report import Report
from img2img.video.footage import Film
from img2img.video.probing import probe
from tests.conftest import Command
from tests.engine.conftest import translator
from tests.video.clips import Sound, make_clip

EIGHT = Domain.of_type("uint8")


class Negative(Generator):
    """Black for white, in any channels."""

    size_multiple = 1
    min_size = 1
    local = True

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1, bias=False)
        self.layer.weight.data = -torch.eye(channels)[..., None, None]

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.layer(x)
        return y

    def stages(self) -> list[Stage]:
        return [Stage(self.layer)]


HALVES = np.s_[:, :30], np.s_[:, 34:]


def negative(input: Domain = EIGHT, output: Domain | None = None, **options: Any) -> Translator:
    spec = translator(Negative()).spec
    spec = spec.model_copy(update={"input": input, "output": output or input})
    generator = Negative(len(input.channels))
    return Translator(generator, spec, **{"device": "cpu", "precision": "fp32", **options})


def picture(dtype: Any = np.uint8, channels: int = 3, size: tuple[int, int] = (6, 8)) -> Any:
    random = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return random.random((*size, channels)).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, (*size, channels), dtype)


def opacity(picture: Picture) -> Any:
    assert picture.alpha is not None
    return picture.alpha


def left(size: tuple[int, int] = (6, 8)) -> np.ndarray:
    """Inside is the left half."""
    mask = np.zeros(size, np.uint8)
    mask[:, : size[1] // 2] = 255
    return mask


Run = Callable[..., Report]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(tested: Translator | None = None, **options: Any) -> Report:
        return translate_folder(tested or negative(), "in", "out", **options)

    return call


class TestArrays:
    @pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
    def test_outside_not_a_bit_changes(self, dtype: Any, top: int) -> None:
        given = picture(dtype)
        made = negative().translate(given, left())
        assert made.dtype == dtype
        assert np.array_equal(made[:, 4:], given[:, 4:])
        assert np.array_equal(made[:, :4], top - given[:, :4])

    @pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
    def test_of_any_channels(self, dtype: Any) -> None:
        domain = Domain(dtype=dtype, channels=("a", "b", "c", "d", "e"), low=0, high=1000)
        given = Picture((picture(np.float32, 5) * 1000).astype(dtype))
        made = negative(domain).translate(given, left()).pixels
        assert np.array_equal(made[:, 4:], given.pixels[:, 4:])
        assert made[:, :4] == pytest.approx(1000 - given.pixels[:, :4], abs=1e-3)

    @pytest.mark.parametrize(
        "mask",
        [left() > 0, left() // 255, left(), left().astype(np.uint16) * 257, left() / 255],
        ids=lambda mask: f"{mask.dtype} {mask.max()}",
    )
    def test_what_is_inside(self, mask: np.ndarray) -> None:
        given = picture()
        expected = np.where(left()[..., None] > 0, 255 - given, given)
        assert np.array_equal(negative().translate(given, mask), expected)

    def test_grey_is_both(self) -> None:
        given = np.full((1, 2, 3), 40, np.uint8)
        made = negative().translate(given, np.array([[255, 51]], np.uint8))
        assert made[0, :, 0].tolist() == [215, 75]  # 40 + 0.2 x (215 - 40)

    def test_feathered_inwards(self) -> None:
        """At distances 1, 2, 3 from the nearest pixel outside, 1/3, 2/3 and all of the result."""
        given = np.zeros((1, 6, 3), np.uint8)
        mask = np.array([[0, 1, 1, 1, 1, 1]], np.uint8)
        made = negative().translate(given, mask, feather=2)
        assert made[0, :, 0].tolist() == [0, 85, 170, 255, 255, 255]

    def test_opacity_is_the_mask(self) -> None:
        given = Picture(picture(), np.where(left() > 0, np.uint8(255), np.uint8(0)))
        made = negative().translate(given, "alpha")
        assert np.array_equal(made.pixels[:, 4:], given.pixels[:, 4:])
        assert np.array_equal(made.pixels[:, :4], 255 - given.pixels[:, :4])
        assert np.array_equal(opacity(made), opacity(given))

    def test_opacity_that_is_translated_too(self) -> None:
        given = Picture(picture(), picture(channels=1)[..., 0])
        domain = Domain.of_type("uint8", ("R", "G", "B", "alpha"))
        made = negative(domain).translate(given, left())
        assert np.array_equal(opacity(made)[:, 4:], opacity(given)[:, 4:])
        assert np.array_equal(opacity(made)[:, :4], 255 - opacity(given)[:, :4])

    def test_opacity_that_is_a_channel_is_the_mask(self) -> None:
        domain = Domain.of_type("uint8", ("R", "G", "B", "alpha"))
        given = Picture(picture(), left())
        made = negative(domain).translate(given, "alpha")
        assert np.array_equal(made.pixels[:, 4:], given.pixels[:, 4:])
        assert np.array_equal(made.pixels[:, :4], 255 - given.pixels[:, :4])
        assert not opacity(made).any()

    def test_no_data_stays_no_data(self) -> None:
        domain = Domain(dtype="float32", channels=("t",), low=0, high=1000, nodata=-9999)
        given = np.full((6, 8, 1), 400, np.float32)
        given[:, [0, 7]] = -9999
        made = negative(domain).translate(Picture(given), left()).pixels
        expected = [-9999, 600, 600, 600, 400, 400, 400, -9999]
        assert made[0, :, 0] == pytest.approx(expected, abs=1e-3)

    def test_refused(self) -> None:
        several: Any = [Picture(picture())]
        with pytest.raises(ConfigError, match="single image, not of a volume"):
            negative().translate(several, left())
        with pytest.raises(ImageError, match="mask is 8 x 5 pixels, but the image 8 x 6"):
            negative().translate(picture(), left()[:5])
        with pytest.raises(ConfigError, match="1 channel of uint8 of 3 channels of uint8"):
            negative(EIGHT, Domain.of_type("uint8", 1)).translate(picture(), left())
        with pytest.raises(ConfigError, match="resize"):
            negative(resize=(8, 8)).translate(picture(), left())
        with pytest.raises(ImageError, match="8 x 6 x 3 of uint8, and its result 4 x 3 x 3"):
            negative(max_side=4).translate(picture(), left())


class TestFiles:
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_one_mask_for_all(self, suffix: str, dtype: Any, run: Run) -> None:
        given = picture(dtype)
        for name in "ab":
            write(f"in/{name}{suffix}", Picture(given))
        write("mask.png", Picture(left()[..., None]))
        assert not run(mask="mask.png").failed
        for name in "ab":
            made = read(f"out/{name}{suffix}").pixels
            assert np.array_equal(made[:, 4:], given[:, 4:])
            assert np.array_equal(made[:, :4], np.iinfo(dtype).max - given[:, :4])

    def test_a_folder_of_masks(self, run: Run) -> None:
        """By path and name; those inside the inputs' folder are no inputs."""
        for name in ("a.png", "sub/b.png", "none.png", "small.png"):
            write(f"in/{name}", Picture(picture()))
        write("in/masks/a.tif", Picture(left()[..., None]))
        write("in/masks/sub/b.png", Picture(255 - left()[..., None]))
        write("in/masks/small.png", Picture(left((5, 8))[..., None]))
        report = run(mask="in/masks")
        assert {path.name for path in report.failed} == {"none.png", "small.png"}
        reasons = {path.name: reason for path, reason in report.failed.items()}
        assert "no mask of none.png in in/masks" in reasons["none.png"]
        assert "in/masks/small.png: the mask is 8 x 5 pixels, but the image 8 x 6" in str(reasons)
        assert not Path("out/masks").exists()
        given = picture()
        assert np.array_equal(read("out/a.png").pixels[:, 4:], given[:, 4:])
        assert np.array_equal(read("out/sub/b.png").pixels[:, :4], given[:, :4])
        assert np.array_equal(read("out/sub/b.png").pixels[:, 4:], 255 - given[:, 4:])

    def test_suffixes_of_two_parts(self, run: Run) -> None:
        """Of `scan.nii.gz` it is `scan.png`, and the other way about."""
        domain = Domain(dtype="float32", channels=("t",), low=0, high=1000)
        given = Frames((Picture(picture(np.float32, 1)),), axis="z")
        write_image("in/scan.nii.gz", given)
        write("masks/scan.png", Picture(left()[..., None]))
        assert not run(negative(domain), mask="masks").failed

    def test_their_opacity(self, run: Run) -> None:
        write("in/a.png", Picture(picture(), left()))
        write("in/opaque.png", Picture(picture()))
        run(mask="alpha", gallery=True, compare=True)
        made = read_picture("out/a.png")
        assert np.array_equal(made.pixels[:, 4:], picture()[:, 4:])
        assert np.array_equal(opacity(made), left())
        assert np.array_equal(read("out/opaque.png").pixels, 255 - picture())

    def test_every_frame(self, run: Run) -> None:
        grey = np.full((8, 8, 3), 200, np.uint8)
        write_image("in/a.gif", Animation((Picture(grey), Picture(grey // 2)), (100, 100)))
        write("mask.png", Picture(left((8, 8))[..., None]))
        run(mask="mask.png")
        made = read_image("out/a.gif")
        assert isinstance(made, Animation)
        assert [frame.pixels[0, [0, 7], 0].tolist() for frame in made.frames] == [
            [55, 200],
            [155, 100],
        ]

    def test_a_lossy_format_is_told(self, run: Run) -> None:
        write("in/a.jpg", Picture(picture()))
        write("mask.png", Picture(left()[..., None]))
        said: list[str] = []
        run(mask="mask.png", say=said.append)
        assert any(".jpg changes pixels a little" in line for line in said)
        write("masks/a.jpg", Picture(left()[..., None]))
        run(mask="masks", image_format="png", overwrite=True, say=said.append)
        assert "masks in .jpg may have grey where they were black" in said[-1]

    def test_lossless_webp_keeps_every_bit(self, run: Run) -> None:
        write("in/a.webp", Picture(picture()), 100)
        write("mask.png", Picture(left()[..., None]))
        said: list[str] = []
        run(mask="mask.png", quality=100, say=said.append)
        assert not any("changes pixels" in line for line in said)
        assert np.array_equal(read("out/a.webp").pixels[:, 4:], picture()[:, 4:])

    def test_a_black_mask_is_told(self, run: Run) -> None:
        """As one whose shape is in its transparency alone."""
        write("in/a.png", Picture(picture()))
        write("mask.png", Picture(np.zeros((6, 8, 3), np.uint8), left()))
        said: list[str] = []
        run(mask="mask.png", say=said.append)
        assert "1 mask with nothing inside, such as that of a.png: these images stay" in said[-1]
        assert np.array_equal(read("out/a.png").pixels, picture())

    def test_done_again_with_another_mask(self, run: Run) -> None:
        write("in/a.png", Picture(picture()))
        write("mask.png", Picture(left()[..., None]))

        def skipped(**options: Any) -> int:
            return len(run(skip_existing=True, **options).skipped)

        assert skipped(mask="mask.png") == 0
        assert skipped(mask="mask.png") == 1
        assert skipped(mask="mask.png", feather=2) == 0
        assert skipped(mask="alpha") == 0
        assert skipped() == 0
        assert skipped() == 1
        assert skipped(mask="mask.png") == 0  # its first result is no more
        assert skipped(mask="mask.png") == 1
        write("mask.png", Picture(255 - left()[..., None]))
        assert skipped(mask="mask.png") == 0
        assert np.array_equal(read("out/a.png").pixels[:, :4], picture()[:, :4])

    def test_in_place(self, run: Run, tmp_path: Path) -> None:
        write("in/a.png", Picture(picture()))
        write("mask.png", Picture(left()[..., None]))
        translate_folder(negative(), "in", "in", mask="mask.png", overwrite=True)
        assert np.array_equal(read("in/a.png").pixels[:, 4:], picture()[:, 4:])

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"mask": "gone.png"}, DataError, "gone.png: no such mask"),
            ({"feather": 2}, ConfigError, "there is no `mask`"),
            ({"mask": "alpha", "feather": -1}, ConfigError, "-1"),
            ({"mask": "empty"}, DataError, "empty: contains no images"),
            ({"mask": "text.png"}, ImageError, "text.png: "),
        ],
        ids=str,
    )
    def test_refused(self, options: Any, error: Any, message: str, run: Run) -> None:
        write("in/a.png", Picture(picture()))
        Path("empty").mkdir()
        Path("text.png").write_text("no image")
        with pytest.raises(error, match=message):
            run(**options)

    def test_colour_is_no_mask(self, run: Run) -> None:
        write("in/a.png", Picture(picture()))
        write("mask.png", Picture(picture()))
        ((_, reason),) = run(mask="mask.png").failed.items()
        assert reason == "mask.png: 3 different channels, but a mask is grey"

    def test_grey_in_colour_is_one(self, run: Run) -> None:
        write("in/a.png", Picture(picture()))
        Image.fromarray(left()).convert("RGBA").save("mask.png")
        assert not run(mask="mask.png").failed
        assert np.array_equal(read("out/a.png").pixels[:, 4:], picture()[:, 4:])


class TestByRows:
    """Pictures that are larger than memory: exactly what those in memory are."""

    SIZE = (70, 30)

    @pytest.fixture(autouse=True)
    def small_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "_MOST_WHOLE", 1)
        monkeypatch.setattr(memory, "_AHEAD", 1)
        monkeypatch.setattr(masks, "_BLOCK", 16)

    @pytest.fixture
    def blob(self) -> np.ndarray:
        """Outside are some pixels here and there; all the others are inside, one half only."""
        rows, columns = np.mgrid[: self.SIZE[0], : self.SIZE[1]]
        mask = np.where(columns < 15, np.uint8(255), np.uint8(128))
        mask[(rows * 7 + columns * 3) % 101 == 0] = 0
        mask[30:34] = 0
        return mask

    @pytest.mark.parametrize("feather", [0, 2, 12.5, 1000])
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
    def test_as_whole(self, suffix: str, feather: float, blob: np.ndarray, run: Run) -> None:
        given = picture(np.uint16, size=self.SIZE)
        write("in/a.tif", Picture(given))
        write(f"masks/a{suffix}", Picture(blob[..., None]))
        assert not run(mask="masks", feather=feather).failed
        made = read("out/a.tif").pixels
        assert np.array_equal(made, negative().translate(given, blob, feather))
        assert np.array_equal(made[blob == 0], given[blob == 0])

    def test_of_ones(self, run: Run) -> None:
        """In the blocks in which there are only zeros and ones, a one is little if 255 is all."""
        mask = np.ones(self.SIZE, np.uint8)
        given = picture(size=self.SIZE)
        for highest in 1, 255:
            mask[-1, -1] = highest
            write("in/a.tif", Picture(given))
            write("mask.tif", Picture(mask[..., None]))
            run(mask="mask.tif", overwrite=True)
            assert np.array_equal(read("out/a.tif").pixels, negative().translate(given, mask))

    def test_opacity(self, blob: np.ndarray, run: Run) -> None:
        given = picture(size=self.SIZE)
        write("in/a.tif", Picture(given, blob))
        run(mask="alpha", feather=3)
        expected = negative().translate(Picture(given, blob), "alpha", feather=3)
        made = read("out/a.tif")
        assert np.array_equal(made.pixels, expected.pixels)
        assert np.array_equal(opacity(made), blob)

    def test_what_does_not_fit_is_told_at_once(self, run: Run) -> None:
        write("in/a.tif", Picture(picture(size=self.SIZE)))
        write("in/b.tif", Picture(picture(size=self.SIZE)))
        write("masks/a.png", Picture(left()[..., None]))
        reasons = [*run(mask="masks").failed.values()]
        assert "masks/a.png: the mask is 8 x 6 pixels, but the image 30 x 70" in reasons[0]
        assert "no mask of b.tif in masks" in reasons[1]
        assert not Path("out/a.tif").exists()


class TestVideos:
    @pytest.mark.parametrize("stabilize", ["off", "light"])
    def test_one_mask_for_all_frames(self, stabilize: Any, run: Run) -> None:
        make_clip(Path("clip.mkv"), codec="ffv1", form="bgr0", times=range(5))
        write("masks/clip.png", Picture(left((48, 64))[..., None]))
        translate_folder(
            negative(), "clip.mkv", "out.mkv", mask="masks", codec="ffv1", stabilize=stabilize
        )
        pairs = zip(Film(Path("clip.mkv")).frames(), Film(Path("out.mkv")).frames(), strict=True)
        for given, made in pairs:
            assert np.abs(made.pixels[:, 34:].astype(int) - given.pixels[:, 34:]).max() <= 4
            assert np.abs(made.pixels.astype(int) - given.pixels)[:, :30].mean() > 20

    def test_frames_keep_every_bit(self, run: Run) -> None:
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(3))
        write("mask.png", Picture(left((48, 64))[..., None]))
        run(mask="mask.png", frames=True)
        for number, given in enumerate(Film(Path("in/clip.mkv")).frames(), 1):
            made = read(f"out/clip/{number:06}.png").pixels
            assert np.array_equal(made[:, 32:], given.pixels[:, 32:])
            assert np.array_equal(made[:, :32], 255 - given.pixels[:, :32])

    @pytest.mark.parametrize("where", ["masks", "masks/clip"])
    def test_a_mask_for_each_frame(self, where: str, run: Run) -> None:
        """In order of their numbers, wherever these begin; sound and times stay."""
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(4), sounds=[Sound()])
        sides = [left((48, 64)), 255 - left((48, 64))]
        for number in range(4):
            write(f"{where}/matte.{1001 + number}.png", Picture(sides[number % 2][..., None]))
        run(mask="masks", codec="ffv1")
        assert probe(Path("out/clip.mkv")).sound
        films = (Film(Path(folder) / "clip.mkv").frames() for folder in ("in", "out"))
        for number, (given, made) in enumerate(zip(*films, strict=True)):
            whole = 255 - given.pixels
            halves = (given.pixels, whole) if number % 2 else (whole, given.pixels)
            for half, side in zip(HALVES, halves, strict=True):
                assert np.abs(made.pixels[half].astype(int) - side[half]).max() <= 4

    def test_of_the_frames_that_are_taken(self, run: Run) -> None:
        """Also from a later frame on, and of every other one: those of their own number."""
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(8))
        for number in range(8):
            mask = np.zeros((48, 64), np.uint8)
            mask[number] = 255
            write(f"masks/{number}.png", Picture(mask[..., None]))
        run(mask="masks", frames=True, start=2 / 25, every=2)
        given = [frame.pixels for frame in Film(Path("in/clip.mkv")).frames()]
        for number, taken in enumerate([2, 4, 6], 1):
            changed = read(f"out/clip/{number:06}.png").pixels != given[taken]
            assert [*np.flatnonzero(changed.any(axis=(1, 2)))] == [taken]

    def test_a_sequence_that_becomes_a_video(self, run: Run) -> None:
        """Masks have the names of the pictures."""
        for number in range(3):
            write(f"in/{number}.png", Picture(picture(size=(48, 64))))
            side = left((48, 64)) if number else 255 - left((48, 64))
            write(f"masks/{number}.tif", Picture(side[..., None]))
        translate_folder(negative(), "in", "x.mkv", mask="masks", codec="ffv1")
        given = picture(size=(48, 64))
        for number, frame in enumerate(Film(Path("x.mkv")).frames()):
            sides = [np.abs(frame.pixels[half].astype(int) - given[half]) for half in HALVES]
            assert sides[number > 0].max() <= 4
            assert sides[number == 0].mean() > 20
        Path("masks/1.tif").unlink()
        ((_, reason),) = translate_folder(negative(), "in", "y.mkv", mask="masks").failed.items()
        assert "no mask of 1.png in masks" in reason

    def test_frames_of_an_animation(self, run: Run) -> None:
        grey = np.full((8, 8, 3), 200, np.uint8)
        write_image("in/a.gif", Animation((Picture(grey), Picture(grey // 2)), (100, 100)))
        write("masks/a/1.png", Picture(left((8, 8))[..., None]))
        write("masks/a/2.png", Picture(255 - left((8, 8))[..., None]))
        run(mask="masks")
        made = read_image("out/a.gif")
        assert isinstance(made, Animation)
        assert [frame.pixels[0, [0, 7], 0].tolist() for frame in made.frames] == [
            [55, 200],
            [100, 155],
        ]
        assert run(mask="masks", skip_existing=True).skipped
        write("masks/a/2.png", Picture(np.full((8, 8, 1), 255, np.uint8)))
        assert not run(mask="masks", skip_existing=True).skipped

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["1", "2"], "masks: 2 masks, but clip.mkv has 3 frames"),
            (["1", "2", "4"], "number 3 is missing between masks/2.png and 4.png"),
            (["other"], "no mask in masks of this name, nor a folder with one for each frame"),
        ],
    )
    def test_other_masks_than_frames(self, names: list[str], message: str, run: Run) -> None:
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(3))
        for name in names:
            write(f"masks/{name}.png", Picture(left((48, 64))[..., None]))
        ((_, reason),) = run(mask="masks").failed.items()
        assert message in reason
        assert not Path("out/clip.mkv").exists()

    def test_done_again_with_other_masks(self, run: Run) -> None:
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(2))
        for number in range(2):
            write(f"masks/{number}.png", Picture(left((48, 64))[..., None]))
        assert not run(mask="masks").skipped
        assert run(mask="masks", skip_existing=True).skipped
        write("masks/1.png", Picture(255 - left((48, 64))[..., None]))
        assert not run(mask="masks", skip_existing=True).skipped

    def test_a_video_is_no_mask(self, run: Run) -> None:
        write("in/a.png", Picture(picture()))
        Path("matte.mov").write_bytes(b"")
        with pytest.raises(DataError, match=r"matte\.mov: a video, but masks are images"):
            run(mask="matte.mov")

    def test_another_size(self, run: Run) -> None:
        Path("in").mkdir()
        make_clip(Path("in/clip.mkv"), codec="ffv1", form="bgr0", times=range(3))
        write("mask.png", Picture(left()[..., None]))
        ((_, reason),) = run(mask="mask.png").failed.items()
        assert "mask.png: the mask is 8 x 6 pixels, but the image 64 x 48" in reason


def test_command(tiny_run: Path, tiny_pairs: Path, tmp_path: Path, img2img: Command) -> None:
    write(tmp_path / "mask.png", Picture(left((32, 32))[..., None]))
    given = ["translate", "--model", tiny_run, "--input", tiny_pairs / "A", "--device", "cpu"]
    given += ["--output", tmp_path / "out", "--mask", tmp_path / "mask.png", "--feather", 3]
    outcome = img2img(*given)
    assert outcome.status == 0, outcome.err
    made, before = (
        read(folder / "0.png").pixels for folder in (tmp_path / "out", tiny_pairs / "A")
    )
    assert np.array_equal(made[:, 16:], before[:, 16:])
    assert not np.array_equal(made[:, :16], before[:, :16])
