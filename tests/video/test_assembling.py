"""Images made a video; interrupted, and killed."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from img2img.errors import DataError, TranslationInterrupted, TranslationStopped, VideoError
from img2img.video import Encoding, frames, probe
from img2img.video.assembling import assemble
from img2img.video.convert import OnProgress
from tests.video.clips import frame_times, make_clip, picture, pixels

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


def test_as_many_images_as_the_other_video_has_frames(tmp_path: Path, images: list[Path]) -> None:
    said: list[str] = []
    short = make_clip(tmp_path / "short.mp4", times=[0, 1, 5, 6])
    made = assemble(images, tmp_path / "b.mp4", like=short, encoding=FAST, say=said.append)
    assert frame_times(made.target) == frame_times(short)
    assert "used only the first 4 of 6 images" in said[-1]
    long = make_clip(tmp_path / "long.mp4", times=range(9))
    with pytest.raises(VideoError, match="more frames than there are images, 6"):
        assemble(images, tmp_path / "c.mp4", like=long, encoding=FAST)
    assert not (tmp_path / "c.mp4").exists()


def test_images_of_two_sizes(tmp_path: Path, images: list[Path]) -> None:
    Image.new("RGB", (64, 50)).save(images[3])
    like = make_clip(tmp_path / "like.mp4", times=range(6))
    for other in (None, like):
        with pytest.raises(DataError, match=r"3\.png: 64 x 50, but all must be 64 x 48"):
            assemble(images, tmp_path / "b.mp4", like=other, encoding=FAST)


def test_opaque_images_among_transparent_ones(tmp_path: Path, images: list[Path]) -> None:
    for path in images[:2]:
        with Image.open(path) as image:
            image.putalpha(128)
            image.save(path)
    target = tmp_path / "b.mkv"
    assemble(images, target, encoding=Encoding("ffv1"))
    alphas = [frame.alpha for frame in frames(probe(target))]
    assert [int(alpha.mean()) for alpha in alphas if alpha is not None] == [128] * 2 + [255] * 4


def test_interrupted_and_resumed_on_the_times_of_another(
    tmp_path: Path, images: list[Path]
) -> None:
    def interrupted(done: int, _: int | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    like = make_clip(tmp_path / "like.mp4", times=range(0, 12_000, 2_000))
    with pytest.raises(TranslationInterrupted):
        assemble(images, tmp_path / "b.mkv", like=like, encoding=FAST, progress=interrupted)
    made = assemble(images, tmp_path / "b.mkv", like=like, encoding=FAST)
    assert 0 < made.resumed < made.frames == 6
    whole = assemble(images, tmp_path / "c.mkv", like=like, encoding=FAST)
    assert (pixels(made.target) == pixels(whole.target)).all()


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
