"""A model on a test set."""

import shutil
from pathlib import Path

import pytest

import img2img
from img2img.errors import ConfigError
from img2img.evaluation.comparison import compare_models
from img2img.evaluation.folders import evaluate_folders
from img2img.evaluation.models import evaluate_model
from tests.conftest import Command


def test_is_what_its_written_translations_give(
    tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    translator = img2img.Translator.load(tiny_run, device="cpu", precision="fp32")
    img2img.translate_folder(translator, tiny_pairs / "A", output)
    written = evaluate_folders(output, tiny_pairs / "B", measures=["l1", "psnr"])
    found = evaluate_model(tiny_run, tiny_pairs, measures=["l1", "psnr"], device="cpu")
    assert found == written


def test_both_ways(img2img: Command, tiny: list[str], tiny_pairs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    unet = ("--set", "generator.name=unet")
    command = ("train", "cyclegan", "--data", tiny_pairs, "--output", run, "--max-steps", 1)
    assert img2img(*command, *tiny, *unet).status == 0
    there = evaluate_model(run, tiny_pairs, device="cpu", direction="AtoB")
    back = evaluate_model(run, tiny_pairs, device="cpu", direction="BtoA")
    for found in (there, back):
        assert {"l1", "psnr", "ssim", "cycle"} == {*found.figures}
        assert found.names == ("0", "1", "2", "3", "4", "5")
        assert found.figures["cycle"].n == 6
    assert there.figures["cycle"] != back.figures["cycle"]
    assert there.figures["l1"] != back.figures["l1"]


def test_images_side_by_side(tiny_run: Path, tmp_path: Path, tiny_pairs: Path) -> None:
    import numpy as np
    from PIL import Image

    (tmp_path / "test").mkdir()
    (tmp_path / "train").mkdir()
    for number in range(6):
        halves = [np.asarray(Image.open(tiny_pairs / d / f"{number}.png")) for d in "AB"]
        for split in ("train", "test") if number < 2 else ("train",):
            Image.fromarray(np.hstack(halves)).save(tmp_path / split / f"{number}.png")
    found = evaluate_model(tiny_run, tmp_path, measures=["l1"], device="cpu")
    whole = evaluate_model(tiny_run, tiny_pairs, measures=["l1"], device="cpu")
    assert found.names == ("test/0.png", "test/1.png")
    assert whole.figures["l1"].per_image is not None
    assert found.figures["l1"].per_image == whole.figures["l1"].per_image[:2]


def test_two_folders(tiny_run: Path, tiny_pairs: Path, img2img: Command) -> None:
    folders = tiny_pairs / "A", tiny_pairs / "B"
    found = evaluate_model(tiny_run, folders, measures=["l1"], device="cpu")
    whole = evaluate_model(tiny_run, tiny_pairs, measures=["l1"], device="cpu")
    assert found.figures == whole.figures
    line = ("evaluate", "--model", tiny_run, "--data-a", folders[0], "--measures", "l1")
    alone = img2img(*line)
    assert (alone.status, alone.err) == (
        2,
        "error: give --data, or --data-a and --data-b together\n",
    )
    assert f"{folders[0]}/ + {folders[1]}/" in img2img(*line, "--data-b", folders[1]).out


def test_a_model_that_goes_one_way(tiny_run: Path, tiny_pairs: Path) -> None:
    with pytest.raises(ConfigError, match="both ways"):
        evaluate_model(tiny_run, tiny_pairs, measures=["cycle"])
    with pytest.raises(ConfigError, match="direction"):
        evaluate_model(tiny_run, tiny_pairs, direction="BtoA")


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_test_set_alone(tmp_path: Path, tiny_run: Path, tiny_pairs: Path, split: str) -> None:
    """What nothing is to be trained on needs no `train`."""
    shutil.copytree(tiny_pairs, tmp_path / "data" / split)
    found = evaluate_model(tiny_run, tmp_path / "data", measures=["l1"])
    assert found.figures["l1"].n == 6


def test_models_of_one_name_are_told_apart_by_their_folders(
    tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name / "run" for name in ("one", "other")]
    for path in paths:
        path.mkdir(parents=True)
        shutil.copy(tiny_run / "model.safetensors", path)
    found = compare_models([*paths, paths[0]], tiny_pairs, measures=["l1"], device="cpu")
    assert [model.name for model in found.models] == ["one/run (1)", "other/run", "one/run (2)"]


def test_several_inputs(
    img2img: Command, tiny: list[str], tiny_pairs: Path, tmp_path: Path
) -> None:
    """In the order of the model's inputs, whichever comes first; as many as it takes."""
    run, grey = tmp_path / "run", tmp_path / "grey"
    shutil.copytree(tiny_pairs / "B", grey)
    inputs = tiny_pairs / "A", grey
    given = *("--data-a", inputs[0], "--data-a", inputs[1]), "--data-b", tiny_pairs / "B"
    command = "train", "pix2pix", *given, "--output", run, "--max-steps", 1
    outcome = img2img(*command, *tiny, "--set", "generator.name=unet")
    assert outcome.status == 0, outcome.err
    there = evaluate_model(run, (inputs, tiny_pairs / "B"), measures=["l1"], device="cpu")
    turned = evaluate_model(run, (inputs[::-1], tiny_pairs / "B"), measures=["l1"], device="cpu")
    assert there.figures == turned.figures
    assert there.figures["l1"].n == 6
    outcome = img2img("evaluate", "--model", run, *given, "--measures", "l1", "--json")
    assert outcome.status == 0, outcome.err
    with pytest.raises(ConfigError, match=r"`data_a`: 1 given, but the model takes 2 inputs"):
        evaluate_model(run, (tiny_pairs / "A", tiny_pairs / "B"), device="cpu")
