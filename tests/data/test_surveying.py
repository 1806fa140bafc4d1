"""Decoding a data set at the start: shared among processes, and not done again without need."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2img.config import DataConfig
from img2img.data import check, surveying
from img2img.data.check import Survey, check_images
from img2img.data.paired import PairedData
from img2img.data.sources import Item
from img2img.data.surveying import _merged, survey_together
from img2img.runtime.processes import ALONE


@pytest.fixture
def found(pairs_folder: Path) -> PairedData:
    """Six pairs, one of them held out, and one of 16 bits."""
    deep = np.random.default_rng(0).integers(0, 4096, (48, 40), dtype=np.uint16)
    Image.fromarray(deep).save(pairs_folder / "A/0.png")
    return find(pairs_folder)


def find(folder: Path) -> PairedData:
    return PairedData.find(DataConfig(root=folder), 0)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """What was decoded, by one who has a cache of their own and no fresh files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(surveying, "FRESH", -1e9)
    looks: list[object] = []
    look_at = check._examine

    def look(domains: str, item: Item, *how: Any) -> object:
        looks.append(item)
        return look_at(domains, item, *how)

    monkeypatch.setattr(check, "_examine", look)
    return looks


def assert_same(one: Survey, other: Survey) -> None:
    assert one.sizes == other.sizes
    assert one.formats == other.formats
    assert one.changed == other.changed
    assert [each.message for each in one.problems] == [each.message for each in other.problems]
    assert one.values.keys() == other.values.keys() == {"A", "B"}
    for domain, values in one.values.items():
        theirs = other.values[domain]
        assert (values.files, values.channels) == (theirs.files, theirs.channels)
        for mine, yours in (values.trained, theirs.trained), (values.held_out, theirs.held_out):
            assert mine.keys() == yours.keys()
            for dtype, channels in mine.items():
                for ours, others in zip(channels, yours[dtype], strict=True):
                    assert np.array_equal(ours.values, others.values)
                    assert np.array_equal(ours.counts, others.counts)


def test_a_second_start_decodes_nothing(found: PairedData, looked: list[object]) -> None:
    first = survey_together(found, ALONE)
    assert len(looked) == 6
    assert_same(survey_together(find_again(found), ALONE), first)
    assert len(looked) == 6


def find_again(found: PairedData) -> PairedData:
    return find(found.train[0].A.path.parents[1])


@pytest.mark.parametrize("change", ["a pixel", "a time", "one more", "another split", "damage"])
def test_what_has_changed_is_decoded(
    found: PairedData, looked: list[object], tmp_path: Path, change: str
) -> None:
    survey_together(found, ALONE)
    folder = found.train[0].A.path.parents[1]
    seed = 0
    for domain in "AB":
        path = folder / domain / "1.png"
        if change == "a pixel":
            Image.new("RGB", (40, 48)).save(path)
        elif change == "a time":
            os.utime(path, ns=(1, 1))
        elif change == "one more":
            (folder / domain / "9.png").write_bytes(path.read_bytes())
        elif change == "another split":
            seed = 1
        else:
            (kept,) = (tmp_path / "cache").rglob("*.json")
            kept.write_text('{"sizes": {"A": [[[1]]]}}')
    again = PairedData.find(DataConfig(root=folder), seed)
    assert change != "another split" or again.held_out != found.held_out
    assert_same(survey_together(again, ALONE), check_images(again.items, None, again.held_out))
    assert len(looked) == 6 + 2 * len(again.items["AB"])


def test_bad_files_are_looked_at_each_time(found: PairedData, looked: list[object]) -> None:
    found.train[0].A.path.write_bytes(b"")
    for times in (1, 2):
        assert len(survey_together(found, ALONE).problems) == 1
        assert len(looked) == 6 * times


def test_fresh_files_are_not_remembered(
    found: PairedData, looked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "FRESH", 3600)
    for times in (1, 2):
        survey_together(found, ALONE)
        assert len(looked) == 6 * times


def test_shares_make_the_whole(found: PairedData) -> None:
    for pair in (found.train[1], found.train[3]):
        pair.B.path.write_bytes(b"")
    parts = [check_images(found.items, None, found.held_out, share=(n, 3)) for n in range(3)]
    assert sum(sum(part.formats.values()) for part in parts) == 8
    assert_same(_merged(found, parts), check_images(found.items, None, found.held_out))


def test_a_few_surveys_are_kept(
    found: PairedData, looked: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "MOST", 2)
    path = found.train[0].A.path
    for number in range(4):
        os.utime(path, ns=(number, number))
        survey_together(found, ALONE)
    assert len([*(tmp_path / "cache").rglob("*.json")]) == 2
