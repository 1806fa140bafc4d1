"""Small image folders and runs, made where a test asks for them."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2img.cli.app import app

# Networks of a few channels are faster in one thread, above all beside other processes. Set before
# torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MakeImage = Callable[..., Path]

_TINY = {
    "generator.ngf": 4,
    "generator.num_downs": 3,
    "discriminator.ndf": 4,
    "discriminator.n_layers": 1,
    "device": "cpu",
    "precision": "fp32",
    "data.workers": 0,
}


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]
Draw = Callable[..., None]


@pytest.fixture(scope="session", autouse=True)
def draw_losses() -> Iterator[Draw]:
    """What draws the losses of a run. No run does that does not ask for it: it takes a second."""
    from img2img.training.observers import LossPlot

    draw = LossPlot.ended
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LossPlot, "ended", lambda *_: None)
        yield draw


@pytest.fixture(scope="session")
def img2img() -> Command:
    """Run a command in this process. What is not an error of the user's is raised, as a bug."""

    def run(*arguments: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        status: object = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                app(args=[str(argument) for argument in arguments], prog_name="img2img")
            except SystemExit as end:
                status = end.code or 0
        assert isinstance(status, int)
        return Outcome(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """The flags that make a training tiny: a step takes milliseconds."""
    return [word for key, value in _TINY.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def train(img2img: Command, tiny: list[str]) -> Command:
    """`img2img train pix2pix --output OUTPUT`, tiny, and what is given."""

    def run(output: Path, *arguments: object) -> Outcome:
        return img2img("train", "pix2pix", "--output", output, *tiny, *arguments)

    return run


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`A/` + `B/` with six pairs of 32 x 32 noise; B is the negative of A. Not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "tiny-pairs"
    for domain in "AB":
        (folder / domain).mkdir(parents=True)
    for number in range(6):
        A = noise(32, 32, seed=number)
        Image.fromarray(A).save(folder / "A" / f"{number}.png")
        Image.fromarray(255 - A).save(folder / "B" / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, tiny_pairs: Path, train: Command, draw_losses: Draw
) -> Path:
    """The run folder of three steps on `tiny_pairs`. Not to be changed."""
    output = tmp_path_factory.mktemp("runs") / "tiny"
    given = ["--data", tiny_pairs, "--max-steps", 3, "--set", "metrics.log_every=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("img2img.training.observers.LossPlot.ended", draw_losses)
        outcome = train(output, *given)
    assert outcome.status == 0, outcome.err
    return output


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (height, width, 3) in which no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Write a picture of noise at a path below tmp_path; `size` is (height, width)."""

    def make(name: str, size: tuple[int, int] = (8, 8), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(*size, seed)).save(path)
        return path

    return make


@pytest.fixture
def make_both(tmp_path: Path) -> MakeImage:
    """Write a picture that holds A, noise, on its left and its negative B; `size` is of the two."""

    def make(name: str, size: tuple[int, int] = (8, 16), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        A = noise(size[0], size[1] // 2, seed)
        Image.fromarray(np.hstack([A, 255 - A])).save(path)
        return path

    return make


@pytest.fixture
def pairs_folder(tmp_path: Path, make_image: MakeImage) -> Path:
    """`A/` + `B/` with six pairs of 48 x 40 (height x width) images; B is the same image as A."""
    for number in range(6):
        for domain in "AB":
            make_image(f"pairs/{domain}/{number}.png", (48, 40), seed=number)
    return tmp_path / "pairs"
