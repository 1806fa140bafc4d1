"""Images made a video; interrupted, and killed."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from img2img.errors import DataError, TranslationStopped
from img2img.video import Encoding
from img2img.video.assembling import assemble
from img2img.video.convert import OnProgress
from tests.video.clips import frame_times, picture

FAST = Encoding(preset="ultrafast")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(number)).save(path)
    return paths


def signalled(number: int) -> OnProgress:
    """A signal to the process itself, in the middle of the work."""

    def progress(done: int, _: int | None) -> None:
        if done == 3:
            os.kill(os.getpid(), number)

    return progress


def test_sigterm_leaves_nothing(tmp_path: Path, images: list[Path]) -> None:
    with pytest.raises(TranslationStopped, match="SIGTERM"):
        assemble(images, tmp_path / "b.mp4", encoding=FAST, progress=signalled(signal.SIGTERM))
    assert {*tmp_path.iterdir()} == {*images}


def killed(images: list[Path], target: Path) -> None:
    assemble(images, target, encoding=FAST, progress=signalled(signal.SIGKILL))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
def test_what_a_killed_process_leaves_goes_with_the_next(
    tmp_path: Path, images: list[Path]
) -> None:
    target = tmp_path / "b.mp4"
    # Begun anew: to fork a process that has threads may hang.
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(images, target))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not target.exists()
    assert {*tmp_path.iterdir()} > {*images}
    assemble(images, target, encoding=FAST)
    assert {*tmp_path.iterdir()} == {*images, target}
    assert len(frame_times(target)) == 6


def test_two_at_once(tmp_path: Path, images: list[Path]) -> None:
    target = tmp_path / "b.mp4"
    refused: list[str] = []

    def progress(done: int, _: int | None) -> None:
        if done == 3:
            with pytest.raises(DataError, match="another process") as caught:
                assemble(images, target, encoding=FAST)
            refused.append(str(caught.value))

    assemble(images, target, encoding=FAST, progress=progress)
    assert len(refused) == 1
    assert len(frame_times(target)) == 6
