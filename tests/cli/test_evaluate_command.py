"""`img2img evaluate`."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Command, MakeImage, noise


def test_json_is_alone_on_standard_output(
    img2img: Command, tiny_run: Path, tiny_pairs: Path
) -> None:
    outcome = img2img("evaluate", "--model", tiny_run, "--data", tiny_pairs, "--json")
    assert outcome.status == 0
    figures = json.loads(outcome.out)
    assert {"value", "low", "high", "n"} <= {*figures["psnr"]}
    assert figures["psnr"]["n"] == 6
    assert [*figures["l1"]["per_image"]] == ["0", "1", "2", "3", "4", "5"]
    assert "not measured: fid, kid" in outcome.err
    assert "there are 6 and 6" in outcome.err


def test_the_table_names_what_is_better(img2img: Command, tiny_pairs: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    outcome = img2img(
        "evaluate", tiny_pairs / "A", tiny_pairs / "B", "--measures", "psnr,l1", "--csv", table
    )
    assert outcome.status == 0, outcome.err
    rows_shown = [line for line in outcome.out.splitlines() if "images is too narrow" not in line]
    assert [line.split()[0] for line in rows_shown] == ["measure", "l1", "psnr"]
    assert " .. " in outcome.out
    rows = list(csv.DictReader(table.open()))
    assert [row["measure"] for row in rows] == ["l1", "psnr"]
    assert [row["higher_is_better"] for row in rows] == ["False", "True"]
    assert float(rows[0]["low"]) < float(rows[0]["value"]) < float(rows[0]["high"])


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        (("--fail-above", "l1=0.9"), 0),
        (("--fail-above", "l1=0.001"), 1),
        (("--fail-below", "psnr=1"), 0),
        (("--fail-below", "psnr=90"), 1),
        (("--fail-below", "psnr=1", "--fail-above", "l1=0.001"), 1),
        (("--fail-above", "kid=1"), 1),  # too few images: what is not known is no pass
    ],
)
def test_limits(limit: tuple[str, ...], status: int, img2img: Command, tiny_pairs: Path) -> None:
    folders = (tiny_pairs / "A", tiny_pairs / "B")
    outcome = img2img("evaluate", *folders, "--measures", "ssim", *limit)
    assert outcome.status == status
    assert ("failed: " in outcome.err) == (status == 1)
    assert "ssim" in outcome.out


def test_a_measure_that_is_named_is_taken_or_refused(
    img2img: Command, tiny_run: Path, tiny_pairs: Path, make_image: MakeImage
) -> None:
    """No empty table with status 0."""
    folders = (tiny_pairs / "A", tiny_pairs / "B")
    for given in (folders, ("--model", tiny_run, "--data", tiny_pairs)):
        for measures in ("fid", "l1,kid"):
            outcome = img2img("evaluate", *given, "--measures", measures)
            assert (outcome.status, outcome.out) == (2, "")
            assert "needs at least 10 images in each set, but there are 6 and 6" in outcome.err
    outcome = img2img("evaluate", *folders, "--measures", "l1,ms_ssim")
    assert (outcome.status, outcome.out) == (2, "")
    assert "ms_ssim: needs images of at least 176 pixels" in outcome.err
    # Nor where none is named, and none can be had.
    x, y = make_image("x/a.png").parent, make_image("y/b.png").parent
    outcome = img2img("evaluate", x, y)
    assert (outcome.status, outcome.out) == (2, "")
    assert (
        "nothing could be measured: the images have no known targets; needs at least 10 images in"
        " each set, but there are 1 and 1" in outcome.err
    )


def test_the_untouched_input_stands_beside(
    img2img: Command, tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    differences = [
        np.abs(np.asarray(Image.open(tiny_pairs / "A" / f"{n}.png")) / 255 - other / 255).mean()
        for n in range(6)
        for other in [np.asarray(Image.open(tiny_pairs / "B" / f"{n}.png")).astype(float)]
    ]
    table = tmp_path / "table.csv"
    of_model = ("--model", tiny_run, "--data", tiny_pairs, "--csv", table)
    outcome = img2img("evaluate", *of_model, "--measures", "l1,psnr", "--json")
    found = json.loads(outcome.out)
    assert found["l1"]["baseline"] == pytest.approx(np.mean(differences), abs=1e-6)
    assert found["l1"]["scale"] == "native"
    (row, _) = csv.DictReader(table.open())
    assert float(row["baseline"]) == pytest.approx(np.mean(differences), abs=1e-6)
    assert row["scale"] == "native"
    outcome = img2img("evaluate", *of_model, "--measures", "l1")
    assert outcome.out.splitlines()[0].split() == [
        *("measure", "value", "95", "%", "interval", "input", "images", "better", "network"),
    ]
    assert "scale: native" in outcome.out

    # Of folders, where it is named; here it is measured against itself.
    A, B = tiny_pairs / "A", tiny_pairs / "B"
    outcome = img2img("evaluate", A, B, "--input", A, "--measures", "l1")
    assert "no better than the untouched input: l1" in outcome.out
    outcome = img2img("evaluate", B, B, "--input", A, "--measures", "l1,psnr")
    assert "no better" not in outcome.out
    outcome = img2img("evaluate", A, B, "--input", tmp_path, "--measures", "l1")
    assert outcome.status == 2


def test_what_was_trained_on_is_said(
    img2img: Command, tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    of_model = ("evaluate", "--model", tiny_run, "--measures", "l1", "--json")
    trained = img2img(*of_model, "--data", tiny_pairs)
    images = json.loads(trained.out)["images"]
    assert "neither test nor val; the model was trained on these images" in images["where"]
    assert images["trained_on"] is True
    assert "was trained on" in img2img(*of_model[:-1], "--data", tiny_pairs).out
    shutil.copytree(tiny_pairs, tmp_path / "other")
    unknown = img2img(*of_model, "--data", tmp_path / "other")
    images = json.loads(unknown.out)["images"]
    assert "if the model was trained on these images, its figures are too" in images["where"]
    assert images["trained_on"] is None
    shutil.copytree(tiny_pairs, tmp_path / "split" / "test")
    test = img2img(*of_model, "--data", tmp_path / "split")
    assert test.err == ""
    assert json.loads(test.out)["images"]["where"].startswith("test of ")
    # Without a data set, what the run holds out.
    held_out = img2img(*of_model)
    found = json.loads(held_out.out)
    assert found["images"]["trained_on"] is False
    (name,) = found["l1"]["per_image"]
    assert found["l1"]["value"] == json.loads(trained.out)["l1"]["per_image"][name[-1]]
    shutil.copy(tiny_run / "model.safetensors", tmp_path / "lone.safetensors")
    outcome = img2img("evaluate", "--model", tmp_path / "lone.safetensors")
    assert outcome.status == 2
    assert "--data" in outcome.err


def test_what_was_put_beside_results_is_no_result(
    img2img: Command, tiny_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    found = []
    for flags in ((), ("--gallery", "--compare")):
        output = tmp_path / f"out{len(flags)}"
        of = ("--model", tiny_run, "--input", tiny_pairs / "A", "--output", output)
        assert img2img("translate", *of, *flags).status == 0
        (output / "@eaDir").mkdir()
        shutil.copy(tiny_pairs / "A" / "0.png", output / "@eaDir" / "thumb.png")
        outcome = img2img("evaluate", output, tiny_pairs / "B", "--measures", "l1", "--json")
        found.append(json.loads(outcome.out))
    assert found[0] == found[1]
    assert found[0]["l1"]["n"] == 6


def test_scale(img2img: Command, tiny_run: Path, tiny_pairs: Path, tmp_path: Path) -> None:
    """The line of `translate`, and the same figures."""
    for domain in "AB":
        (tmp_path / "d" / "test" / domain).mkdir(parents=True)
        for number in range(3):
            large = Image.open(tiny_pairs / domain / f"{number}.png").resize((96, 96))
            (large if number else large.resize((40, 40))).save(
                tmp_path / "d" / "test" / domain / f"{number}.png"
            )
    values = {}
    for scale, words in (("auto", "1 native, 2 trained"), ("native",) * 2, ("trained",) * 2):
        of_model = ("--model", tiny_run, "--data", tmp_path / "d", "--scale", scale)
        outcome = img2img("evaluate", *of_model, "--measures", "l1", "--json")
        found = json.loads(outcome.out)["l1"]
        assert found["scale"] == words
        values[scale] = found["per_image"]
        output = tmp_path / scale
        translated = img2img(
            *("translate", "--model", tiny_run, "--input", tmp_path / "d/test/A"),
            *("--output", output, "--scale", scale, "--precision", "fp32"),
        )
        assert f"note: scale {scale}: " in translated.err
        written = img2img("evaluate", output, tmp_path / "d/test/B", "--measures", "l1", "--json")
        assert json.loads(written.out)["l1"]["per_image"] == found["per_image"]
    assert values["auto"] == {**values["trained"], "0": values["native"]["0"]}
    assert values["native"]["1"] != values["trained"]["1"]
    assert img2img("evaluate", tmp_path, tmp_path, "--scale", "auto").status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("one",),
        ("one", "two", "--model", "m"),
        ("--model", "m"),
        ("one", "two", "--direction", "AtoB"),
        ("one", "two"),
        ("--model", "m", "--data", "d"),
        ("one", "two", "--fail-above", "kid"),
        ("one", "two", "--fail-above", "kit=1"),
    ],
)
def test_wrong_use_is_a_line(arguments: tuple[str, ...], img2img: Command) -> None:
    outcome = img2img("evaluate", *arguments)
    assert outcome.status == 2
    assert outcome.err.startswith("error: ")


def test_how_images_were_resized_for_a_network_is_said(img2img: Command, tmp_path: Path) -> None:
    for name in ("result", "real"):
        (tmp_path / name).mkdir()
        for number in range(10):
            pixels = noise(16, 16, seed=number + 20 * (name == "real"))
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    outcome = img2img("evaluate", tmp_path / "result", tmp_path / "real", "--measures", "kid")
    assert outcome.status == 0, outcome.err
    assert "resized for the network: PIL bicubic" in outcome.out
