"""Training on 12 bits in 16-bit files: the range is found, kept with the model, and undone."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from img2img.evaluation.folders import evaluate_folders
from img2img.evaluation.models import evaluate_model
from img2img.images import Domain, Picture, read_picture, write_picture
from img2img.models.checkpoint import load_model, write_model
from img2img.models.spec import ModelSpec
from img2img.pages import write_report
from tests.conftest import Command

TWELVE = Domain(dtype="uint16", low=0, high=4095)


@pytest.fixture(scope="module")
def deep_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_pairs` in 12 bits; B is the negative of A."""
    folder = tmp_path_factory.mktemp("data") / "deep-pairs"
    for number in range(6):
        A = np.random.default_rng(number).integers(0, 4096, (32, 32, 3), dtype=np.uint16)
        write_picture(folder / "A" / f"{number}.png", Picture(A))
        write_picture(folder / "B" / f"{number}.tif", Picture(4095 - A))
    return folder


@pytest.fixture(scope="module")
def deep_run(tmp_path_factory: pytest.TempPathFactory, deep_pairs: Path, train: Command) -> Path:
    output = tmp_path_factory.mktemp("runs") / "deep"
    outcome = train(output, "--data", deep_pairs, "--max-steps", 4)
    assert outcome.status == 0, outcome.err
    assert "scaled by 0..4095 (12 bits)" in outcome.out + outcome.err
    return output


def ranges(run: Path) -> tuple[object, object]:
    data = yaml.safe_load((run / "config.yaml").read_text())["data"]
    return data["A"]["range"], data["B"]["range"]


def test_is_kept_with_the_run_and_the_model(deep_run: Path) -> None:
    assert ranges(deep_run) == ([0, 4095], [0, 4095])
    spec = load_model(deep_run).specs["G"]
    assert (spec.input, spec.output) == (TWELVE, TWELVE)


def test_the_report_says_the_range(deep_run: Path, tmp_path: Path) -> None:
    page = write_report(deep_run, tmp_path / "r.html", examples=0).read_text()
    row = re.search(r"<th>values</th><td>(.*?)</td>", page)
    assert row is not None
    assert re.fullmatch(r"A and B: uint16 values \d+..\d{4}, scaled by 0..4095 \(12 bits\)", row[1])


def test_each_way_has_its_own(
    img2img: Command, tiny: list[str], tiny_pairs: Path, deep_pairs: Path, tmp_path: Path
) -> None:
    """Of a model that translates both ways, and of one that is trained the other way."""
    for method, extra in (("cyclegan", []), ("pix2pix", ["--direction", "BtoA"])):
        run = tmp_path / method
        data = ("--data-a", tiny_pairs / "A", "--data-b", deep_pairs / "B")
        options = (*tiny, "--set", "generator.name=unet", "--max-steps", 1, *extra)
        outcome = img2img("train", method, *data, "--output", run, *options)
        assert outcome.status == 0, outcome.err
        for spec in load_model(run).specs.values():
            there, back = Domain.of_type("uint8"), TWELVE
            wanted = (there, back) if spec.direction == "AtoB" else (back, there)
            assert (spec.input, spec.output) == wanted
        assert ranges(run) == ("dtype", [0, 4095])


def test_translations_are_in_the_numbers_of_the_targets(
    img2img: Command, deep_run: Path, deep_pairs: Path, tmp_path: Path
) -> None:
    outcome = img2img(
        "translate", "--model", deep_run, "--input", deep_pairs / "A", "--output", tmp_path
    )
    assert outcome.status == 0, outcome.err
    made = read_picture(tmp_path / "0.png").pixels
    assert made.dtype == np.uint16
    assert 255 < made.max() <= 4095


def test_figures_have_the_span_of_the_range(
    deep_run: Path, deep_pairs: Path, tmp_path: Path
) -> None:
    """What is written measures as what is not, and by 4095, not by 65535."""
    import img2img

    img2img.translate_folder(
        img2img.Translator.load(deep_run, device="cpu", precision="fp32"),
        deep_pairs / "A",
        tmp_path,
    )
    found = evaluate_model(deep_run, deep_pairs, measures=["l1", "psnr"], device="cpu")
    told: list[str] = []
    written = evaluate_folders(tmp_path, deep_pairs / "B", measures=["l1", "psnr"], say=told.append)
    (line,) = told
    assert line.startswith("values are relative to uint16 0..4095 (12 bits), the range of the real")
    apart = [
        np.abs(
            read_picture(tmp_path / f"{n}.png").pixels.astype(float)
            - read_picture(deep_pairs / f"B/{n}.tif").pixels
        ).mean()
        for n in range(6)
    ]
    assert found.figures["l1"].value == pytest.approx(np.mean(apart) / 4095, rel=1e-3)
    for name, figure in found.figures.items():
        assert written.figures[name].value == pytest.approx(figure.value, rel=1e-3)


def test_sample_sheets_are_not_black(deep_run: Path) -> None:
    (sheet,) = sorted((deep_run / "samples").iterdir())
    assert read_picture(sheet).pixels[30:50, 10:30].max() > 200


def test_going_on_keeps_the_range(deep_pairs: Path, train: Command, tmp_path: Path) -> None:
    """Also where another file has come since that would change it; and ends where it would have."""
    import shutil

    data = tmp_path / "data"
    shutil.copytree(deep_pairs, data)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    holdout = ("--set", "data.holdout=none")
    for run, steps in ((whole, 4), (parts, 2)):
        assert train(run, "--data", data, "--max-steps", steps, *holdout).status == 0
    write_picture(data / "B/5.tif", Picture(np.full((32, 32, 3), 60000, np.uint16)))
    outcome = train(parts, "--resume", "--max-steps", 4)
    assert outcome.status == 0, outcome.err
    assert ranges(parts) == ([0, 4095], [0, 4095])
    assert load_model(parts).specs["G"].output == TWELVE
    assert "outside 0..4095" in outcome.out + outcome.err


def test_a_run_from_before_goes_on_as_it_was(
    deep_pairs: Path, train: Command, tmp_path: Path
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    dtype = ("--set", "data.A.range=dtype", "--set", "data.B.range=dtype")
    length = ("--set", "schedule.epochs=1", "--set", "schedule.decay_epochs=0")
    assert train(whole, "--data", deep_pairs, *dtype, *length).status == 0
    assert train(run, "--data", deep_pairs, *dtype, *length, "--stop-after", 1e-9).status == 75
    config = yaml.safe_load((run / "config.yaml").read_text())
    del config["data"]["A"], config["data"]["B"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    outcome = train(run, "--resume")
    assert outcome.status == 0, outcome.err
    assert "uses little of its range" in outcome.out + outcome.err
    assert ranges(run) == ("dtype", "dtype")
    first, second = (load_model(each).tensors["G"] for each in (run, whole))
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_models_from_before_take_all_values(tiny_run: Path, tmp_path: Path) -> None:
    import img2img

    model = load_model(tiny_run)
    assert model.specs["G"].input == Domain.of_type("uint8")
    told = model.specs["G"].model_dump() | {"input": None, "output": None}
    bare = {"G": ModelSpec.model_validate(told)}
    write_model(tmp_path / "old.safetensors", type(model)(bare, model.tensors, ""))
    old, new = (
        img2img.Translator.load(path, device="cpu", precision="fp32")
        for path in (tmp_path / "old.safetensors", tiny_run)
    )
    for dtype in (np.uint8, np.uint16):
        pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (32, 32, 3), dtype)
        assert np.array_equal(old.translate(pixels), new.translate(pixels))


def test_a_model_of_another_range_to_start_from(
    deep_run: Path, deep_pairs: Path, train: Command, tmp_path: Path
) -> None:
    command = ("--data", deep_pairs, "--init-from", deep_run, "--max-steps", 1)
    outcome = train(tmp_path / "same", *command)
    assert outcome.status == 0, outcome.err
    assert "in the model" not in outcome.out + outcome.err
    outcome = train(tmp_path / "other", *command, "--set", "data.B.range=dtype")
    said = " ".join((outcome.out + outcome.err).split())
    assert "G: values of B are scaled by 0..65535 (16 bits) here, but by 0..4095 (12 bits)" in said
    assert "--set 'data.B.range=[0,4095]' keeps the model's range" in said
