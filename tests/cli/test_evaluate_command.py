"""`img2img evaluate`."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import Command


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
