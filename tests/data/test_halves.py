"""Pairs side by side, and pictures that are no pairs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from img2img.data.halves import look_like_pairs
from img2img.images import list_images
from tests.conftest import noise

DATASETS = Path(__file__).parents[2] / "datasets"
Pixels = np.ndarray


def files(folder: str, count: int, step: int = 1) -> list[Pixels]:
    """Real pictures, as RGB."""
    found = list_images(DATASETS / folder)[::step][:count]
    return [np.asarray(Image.open(file).convert("RGB")) for file in found]


def both(A: Sequence[Pixels], B: Sequence[Pixels]) -> list[Pixels]:
    return [
        np.hstack([a, np.asarray(Image.fromarray(b).resize(a.shape[1::-1]))])
        for a, b in zip(A, B, strict=True)
    ]


def edges(picture: Pixels) -> Pixels:
    grey = picture.astype(float).mean(2)
    steps = np.hypot(np.diff(grey, axis=0, append=255), np.diff(grey, axis=1, append=255))
    return np.repeat(np.where(steps > 40, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def night(picture: Pixels) -> Pixels:
    dark = (picture / 255.0) ** 2.2 * (50, 60, 100) + np.random.default_rng(0).normal(
        0, 3, picture.shape
    )
    return dark.clip(0, 255).astype(np.uint8)


def house(number: int) -> tuple[Pixels, Pixels]:
    """A front with its map of labels, both symmetric."""
    random = np.random.default_rng(number)
    photo, labels = (Image.new("RGB", (128, 128), c) for c in ("tan", "blue"))
    across, down = random.integers(2, 5, 2)
    for x in range(across):
        for y in range(down):
            left, top = (x + 0.3) * 128 / across, (y + 0.3) * 128 / down
            box = [left, top, left + 51 / across, top + 51 / down]
            ImageDraw.Draw(photo).rectangle(box, fill=(30, 30, 40))
            ImageDraw.Draw(labels).rectangle(box, fill=(0, 200, 255))
    grain = random.normal(0, 15, (128, 128, 3))
    return (np.asarray(photo) + grain).clip(0, 255).astype(np.uint8), np.asarray(labels)


def drawing(width: int, height: int, filled: bool = True) -> Pixels:
    picture = Image.new("RGB", (width, height), "white")
    box = [width * 0.2, height * 0.25, width * 0.8, height * 0.75]
    fill = "brown" if filled else None
    ImageDraw.Draw(picture).ellipse(box, fill=fill, outline="black", width=2)
    return np.asarray(picture)


def houses() -> list[Pixels]:
    return [np.hstack(house(number)) for number in range(12)]


def noises(count: int) -> list[Pixels]:
    return [np.hstack([a, 255 - a]) for a in (noise(64, 64, seed) for seed in range(count))]


icons = ("icons/train/A", 16, 20), ("icons/train/B", 16, 20)
PAIRS: dict[str, Callable[[], list[Pixels]]] = {
    "maps": lambda: both(files("earth/train/A", 16, 4), files("earth/train/B", 16, 4)),
    "icons": lambda: both(*(files(*each) for each in icons)),
    "edges and photo": lambda: [np.hstack([edges(p), p]) for p in files("earth/train/A", 16)],
    "day and night": lambda: [np.hstack([p, night(p)]) for p in files("earth/train/A", 16)],
    "labels and front": houses,
    "one labels and front": lambda: houses()[:1],
    "noise and its negative": lambda: noises(6),
    "one of noise": lambda: noises(1),
    "centred drawings": lambda: [np.hstack([drawing(96, 96, False), drawing(96, 96)])] * 5,
}
SINGLES: dict[str, Callable[[], list[Pixels]]] = {
    "satellite": lambda: files("earth/train/A", 24),
    "relief": lambda: files("earth/train/B", 24),
    "flat icons": lambda: files("icons/train/A", 24, 7),
    "icons": lambda: files("icons/train/B", 24, 7),
    "one icon": lambda: files("icons/train/B", 1),
    "symmetric drawings": lambda: [drawing(128 + 2 * n, 128) for n in range(12)],
    "outlines": lambda: [drawing(200, 128, False) for _ in range(12)],
    "noise": lambda: [noise(64, 128, seed) for seed in range(8)],
    "blank": lambda: [np.full((32, 64, 3), 255, np.uint8)] * 3,
    "odd widths": lambda: [np.hstack([p, p[:, :1]]) for p in noises(3)],
    "partners of others": lambda: both(files("earth/train/A", 16), files("earth/train/B", 17)[1:]),
}


def judged(tmp_path: Path, pictures: Sequence[Pixels]) -> bool:
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path)
    return look_like_pairs(paths)


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs(tmp_path: Path, kind: str) -> None:
    assert judged(tmp_path, PAIRS[kind]())


@pytest.mark.parametrize("kind", SINGLES)
def test_single_pictures(tmp_path: Path, kind: str) -> None:
    assert not judged(tmp_path, SINGLES[kind]())


def test_what_is_unreadable_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no image")
    assert look_like_pairs([tmp_path / "1.png"])
