"""Every command of the README and of `docs/` runs as it is written.

Each page is followed from top to bottom in a folder of its own, where the data sets and pictures
that it names are small. Training is made short by settings before those of the page.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from img2img.images import Picture, write_image
from tests.conftest import Command, noise
from tests.video.clips import make_clip

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if page.is_file()]
# Its commands need the plug-in that it writes; see `test_plugins.py`.
PLUGINS = ROOT / "docs" / "plugins.md"
# Statuses that a page expects, where it shows what is found: 1, something is wrong.
FINDS = ("img2img data check", "img2img evaluate")
SMALL = {
    "generator": "{name: resnet, ngf: 4, n_blocks: 1}",
    "discriminator": "{name: patch, ndf: 4, n_layers: 1}",
    "data.load_size": 36,
    "data.crop_size": 32,
    "data.workers": 0,
    "device": "cpu",
    "precision": "fp32",
    "metrics.measures": "[l1]",
}


def commands(page: Path) -> list[str]:
    """The commands of a page's blocks of console, without those that install or call make."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in found if not line.startswith(("make ", "pip "))]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page) and page != PLUGINS], ids=lambda p: p.stem
)
def test_commands_run(
    page: Path,
    tmp_path: Path,
    tiny_run: Path,
    img2img: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tiny_run, commands(page))
    if "--model latest_net_G.pth" in page.read_text(encoding="utf-8"):
        write_checkpoints(tiny_run, img2img)
    for line in commands(page):
        words = list(shortened(shlex.split(line, comments=True)))
        expected = (0, 1) if line.startswith(FINDS) else (0,)
        if words[0] == "img2img":
            outcome = img2img(*words[1:])
            assert outcome.status in expected, f"{line}\n{outcome.err}"
        else:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
            subprocess.run(words, check=True, timeout=200, env=environment)


def shortened(words: list[str]) -> Iterator[str]:
    """A command with small networks and few steps, if it trains; else as it is."""
    trains = "train" in words
    for index, word in enumerate(words):
        if trains and word in ("--max-minutes", "--max-steps"):
            yield "--max-steps"
        elif index and words[index - 1] in ("--max-minutes", "--max-steps") and trains:
            yield "2"
        else:
            yield word
        if trains and index and words[index - 1] == "train" and "--resume" not in words:
            for key, value in SMALL.items():
                yield from ("--set", f"{key}={value}")
    if words[:2] == ["img2img", "bench"]:
        yield from ("--backend", "eager")


def prepare(run: Path, lines: list[str]) -> None:
    """Write small data sets, pictures and runs under all names that the pages use."""
    for number in range(6):
        A = noise(64, 64, seed=number)
        for name in ("icons/train", "icons/test", "earth/train", "earth/test"):
            for domain, pixels in (("A", A), ("B", 255 - A)):
                side = {"A": "A/east", "B": "B/west"}[domain] if name == "earth/train" else domain
                save(pixels, Path("datasets", name, side, f"{number}.webp"))
        save(A, Path("photos", f"{number}.png"))
        save(A[..., 0], Path("masks", f"{number}.png"))
        save(np.dstack([A, A[..., :1]]), Path("sprites", f"{number}.png"))
        save(A, Path("sketches", f"animal {number} sketch.png"))
        save(255 - A, Path("finished", f"animal_{number}-final.png"))
        save(A, Path("my-pairs", "A", f"{number}.png"))
        save(255 - A, Path("my-pairs", "B", f"{number}.png"))
        save(255 - A, Path("paintings", f"{number}.png"))
        for name, channel in (("dapi", 0), ("phase", 1), ("target", 2)):
            save(A[..., channel], Path(name, f"{number}.png"))
        save(A, Path("shot", f"{number:04}.png"))
        save(A, Path("shots", "one", f"{number:04}.png"))
    write_scientific()
    save(noise(64, 64)[..., 0], Path("vignette.png"))
    make_clip(Path("clip.mp4"), times=range(5))
    text = "\n".join(lines)
    made = set(re.findall(r"--output (runs/\w+)", text))
    for name in set(re.findall(r"runs/\w+", text)) - made:
        shutil.copytree(run, name)
    if "--output translated" not in text:
        shutil.copytree("datasets/icons/test/B", "translated")


def write_scientific() -> None:
    """Write five channels of 12 bits with two of temperatures, as TIFF and as GeoTIFF."""
    place = {"crs": "EPSG:32632", "transform": from_origin(500000, 5200000, 10, 10)}
    for number in range(4):
        bands = np.random.default_rng(number).integers(0, 4096, (64, 64, 5)).astype(np.uint16)
        heat = (bands[..., :2] / 70 + 250).astype(np.float32)
        for side, pixels in (("A", bands), ("B", heat)):
            write_image(f"cells/{side}/{number}.tif", Picture(pixels))
            shape = {"height": 64, "width": 64, "count": pixels.shape[2], "dtype": pixels.dtype}
            path = Path(f"scenes/{side}/{number}.tif")
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(path, "w", driver="GTiff", **shape, **place) as file:
                file.write(np.moveaxis(pixels, 2, 0))


def write_checkpoints(run: Path, img2img: Command) -> None:
    """Write checkpoints as another program does: of one generator, and of two in a folder."""
    folder = Path("checkpoints", "horse2zebra")
    assert img2img("export", run, "--format", "reference", "--output", folder).status == 0
    generator = (folder / "latest_net_G.pth").rename("latest_net_G.pth")
    for name in ("A", "B"):
        shutil.copy(generator, folder / f"latest_net_G_{name}.pth")


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)
