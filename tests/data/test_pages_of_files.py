"""`data.*.pages`: what is said of files, and that training and translation read them alike."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from img2img import Translator
from img2img.data.domains import as_config
from tests.conftest import Command

CHANNELS = ("--set", "data.A.pages=channels")
SAID = "5 pages read as slices of 1 channel"
ADVICE = "--set data.A.pages=channels reads them as channels"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pages without axes, and a target of one."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("stacks")
    options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
    for side in "AB":
        (folder / side).mkdir()
    for name in range(4):
        pages = random.integers(0, 4096, (5, 32, 32), dtype=np.uint16)
        tifffile.imwrite(folder / f"A/{name}.tif", pages, **options)
        tifffile.imwrite(folder / f"B/{name}.tif", pages[0], **options)
    return folder


@pytest.fixture(scope="module")
def run(stacks: Path, img2img: Command, tiny: list[str]) -> Path:
    """Trained on pages as channels."""
    output = stacks / "run"
    given = "--data-a", stacks / "A", "--data-b", stacks / "B", "--output", output
    trained = img2img(
        "train", "pix2pix", *given, "--max-steps", 1, *CHANNELS, *tiny, "--set", "data.resize=none"
    )
    assert trained.status == 0, trained.err
    assert "A: 5 pages read as 5 channels in 4 files" in trained.out
    return output


def test_the_check_says_what_pages_are(stacks: Path, img2img: Command) -> None:
    folders = "--data-a", stacks / "A", "--data-b", stacks / "B"
    said = img2img("data", "check", *folders)
    assert said.status == 1
    assert f"0.tif has 5 slices, {stacks}/B/0.tif 1: {SAID}; {ADVICE}" in said.out + said.err
    said = img2img("data", "check", *folders, *CHANNELS)
    assert said.status == 0
    assert "A: 5 channels" in said.out
    assert "A: 5 pages read as 5 channels in 4 files" in said.out


def test_pages_are_said_to_be_slices(stacks: Path, img2img: Command) -> None:
    shutil.copytree(stacks / "A", stacks / "targets")
    folders = "--data-a", stacks / "A", "--data-b", stacks / "targets"
    said = img2img("data", "check", *folders)
    assert said.status == 0
    assert f"A: {SAID} in 4 files; {ADVICE}" in said.out
    said = img2img("data", "check", *folders, "--set", "data.A.channels=5")
    assert said.status == 2
    assert f"data.A.channels: 5, but the files have 1 channel: {SAID} in 4 files; {ADVICE}" in (
        said.err
    )


def test_a_model_reads_files_as_in_training(stacks: Path, run: Path, img2img: Command) -> None:
    done = img2img("translate", "--model", run, "--input", stacks / "A", "--output", stacks / "out")
    assert done.status == 0, done.err
    assert tifffile.imread(stacks / "out/0.tif").shape == (32, 32)
    domain = Translator.load(run, device="cpu").spec.input
    assert domain.pages == as_config(domain).pages == "channels"
    assert len(domain.channels) == 5


def test_a_model_is_measured_on_other_files(
    stacks: Path, run: Path, img2img: Command, tmp_path: Path
) -> None:
    for side in "AB":
        shutil.copytree(stacks / side, tmp_path / side)
    said = img2img("evaluate", "--model", run, "--data", tmp_path, "--measures", "l1")
    assert said.status == 0, said.err


def test_another_count_is_explained(stacks: Path, run: Path, img2img: Command) -> None:
    output = stacks / "b"
    tifffile.imwrite(stacks / "seven.tif", np.zeros((7, 32, 32), np.uint16), metadata=None)
    done = img2img("translate", "--model", run, "--input", stacks / "seven.tif", "--output", output)
    assert done.status == 1
    assert "7 channels, but 5 channels expected" in done.err
    assert "7 pages read as 7 channels" in done.err


def test_pages_of_results_are_measured(stacks: Path, img2img: Command) -> None:
    """Channels of results, named by their axes, beside pages that nothing is said of."""
    (stacks / "made").mkdir()
    for file in (stacks / "A").iterdir():
        options: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}
        tifffile.imwrite(stacks / "made" / file.name, tifffile.imread(file), **options)
    said = img2img("evaluate", stacks / "made", stacks / "A", "--measures", "l1")
    assert said.status == 2
    assert f"{SAID}; --pages channels reads them as channels" in said.err
    given = "--measures", "l1", "--pages", "channels"
    said = img2img("evaluate", stacks / "made", stacks / "A", *given)
    assert said.status == 0, said.err
    assert "0" in said.out
