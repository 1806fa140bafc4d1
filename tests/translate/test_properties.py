"""What holds of any names and any manifest, whatever is in them."""

import json
import os
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from img2img.errors import DataError
from img2img.images import writable_suffixes
from img2img.translate import naming
from img2img.translate.manifest import Entry, Manifest, Record, file_state
from img2img.translate.naming import without_case
from img2img.translate.options import FolderOptions
from img2img.translate.plan import Job, plan
from img2img.video import VIDEO_SUFFIXES
from img2img.video.containers import CONTAINERS
from img2img.video.span import Span

few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Letters that differ by case, by how an accent is coded, or not at all; and what shells know.
letters = st.sampled_from([*"aAbé", "e\u0301", "日", " ", "-", "[", "]", "2", "."])
stems = (
    st.lists(letters, min_size=1, max_size=5)
    .map("".join)
    .filter(lambda stem: not stem.startswith("."))
)
suffixes = st.sampled_from([".png", ".PNG", ".jpg", ".pgm", ".ppm", ".gif", ".mp4", ".avi", ".mov"])
names = st.tuples(st.sampled_from(["", "a/", "A/", "a/b/"]), stems, suffixes).map("".join)
trees = st.lists(names, min_size=1, max_size=12, unique=True)


@contextmanager
def inside(tree: list[str]) -> Iterator[Path]:
    """A folder `in` with files of these names, of which a plan reads nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for name in tree:
            path = Path(folder, "in", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        yield Path(folder)


def jobs_of(folder: Path, options: FolderOptions, output: str = "out") -> list[Job]:
    return plan(str(folder / "in"), folder / output, options).jobs


options_of = st.builds(
    FolderOptions,
    image_format=st.sampled_from([None, "png", "jpg"]),
    container=st.sampled_from([None, "mkv"]),
    frames=st.booleans(),
)


@few
@given(trees, options_of, st.booleans())
def test_every_file_has_a_result_of_its_own(
    tree: list[str], options: FolderOptions, ignores: bool
) -> None:
    """Below the output folder, of a kind that can be written; and the same in every call."""
    with inside(tree) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(naming, "ignores_case", lambda _: ignores)
        try:
            jobs = jobs_of(folder, options)
        except DataError:  # pictures asked to become videos, which are no sequence
            assert options.container
            return
        assert {job.source for job in jobs} == {folder / "in" / name for name in tree}
        targets = [str(job.target) for job in jobs]
        assert len({without_case(each) if ignores else each for each in targets}) == len(tree)
        for job in jobs:
            assert job.target.is_relative_to(folder / "out")
            assert ".." not in job.target.parts
            video = job.source.suffix.lower() in VIDEO_SUFFIXES
            if not (video and options.frames):  # for which it is a folder
                written = CONTAINERS if video else writable_suffixes()
                assert job.target.suffix.lower() in written
        assert jobs_of(folder, options) == jobs


@few
@given(trees)
def test_a_name_that_can_stay_stays(tree: list[str]) -> None:
    with inside(tree) as folder:
        for job in jobs_of(folder, FolderOptions()):
            if job.source.suffix == job.target.suffix:
                assert job.target == folder / "out" / job.name


@few
@given(trees, st.data())
def test_one_more_file_renames_no_other_of_its_kind(tree: list[str], data: st.DataObject) -> None:
    """Only the names of those that change their suffix depend on what else is there."""
    fewer = data.draw(st.lists(st.sampled_from(tree), min_size=1, unique=True))
    with inside(tree) as whole, inside(fewer) as part:
        before = {job.name: job.target.relative_to(part) for job in jobs_of(part, FolderOptions())}
        after = {job.name: job.target.relative_to(whole) for job in jobs_of(whole, FolderOptions())}
        for name, target in before.items():
            if target.suffix == Path(name).suffix:
                assert after[name] == target


@few
@given(trees)
def test_in_place_nothing_but_the_input_is_replaced(tree: list[str]) -> None:
    with inside(tree) as folder:
        for job in jobs_of(folder, FolderOptions(overwrite=True), output="in"):
            assert job.target == job.source or not job.target.exists()


times = st.integers(0, 2**63)
states = st.tuples(times, times)
texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.just(os.fsdecode(b"\xff\xfe"))
entries = st.builds(
    Entry,
    source=texts,
    state=states,
    settings=texts,
    size=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    made=st.dictionaries(texts, states, max_size=3),
)


def known(folder: Path) -> list[Entry]:
    made = Record(folder).by_source.values()
    return [entry for each in made for entry in each]


@few
@given(st.lists(entries, max_size=6, unique_by=lambda entry: entry.source))
def test_a_manifest_gives_back_what_was_noted(noted: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for entry in noted:  # each by a process of its own
            Manifest(Path(folder)).add(entry)
        assert known(Path(folder)) == noted


junk = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["source", "state", "size", "made", "settings"]), inner)
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@few
@given(st.lists(entries, min_size=1, max_size=4, unique_by=lambda entry: entry.source), st.data())
def test_damaged_lines_cost_no_others(noted: list[Entry], data: st.DataObject) -> None:
    """Neither before nor after they are removed, of which a person hears."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Manifest(folder)
        path = folder / ".img2img.jsonl"
        for entry in noted:
            Manifest(folder).add(entry)
        lines = path.read_bytes().splitlines(keepends=True)
        place = data.draw(st.integers(0, len(lines)))
        path.write_bytes(b"".join([*lines[:place], data.draw(junk) + b"\n", *lines[place:]]))
        assert known(folder) == noted
        told: list[str] = []
        Manifest(folder, say=told.append)
        assert known(folder) == noted
        made = {name for entry in noted for name in entry.made}
        assert Record(folder).results == made - {entry.source for entry in noted}
        Manifest(folder, say=told.append)
        assert len(told) <= 1


@few
@given(entries, st.integers(0, 2000))
def test_a_torn_end_costs_that_line_alone(last: Entry, cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name, ".img2img.jsonl")
        (folder / "a.png").write_bytes(b"result")
        first = Entry("a.png", (1, 2), "model", (3, 4), {"a.png": file_state(folder / "a.png")})
        Manifest(folder).add(first)
        kept = path.stat().st_size
        Manifest(folder).add(last)
        whole = path.read_bytes()
        path.write_bytes(whole[: kept + cut % (len(whole) - kept)])
        Manifest(folder).add(first)
        found: Any = Record(folder).find("a.png", (1, 2), "model", ["a.png"])
        assert found == first


@few
@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=30),
    st.none() | st.integers(0, 5000),
    st.none() | st.integers(1, 5000),
    st.integers(1, 6),
)
def test_a_span_is_every_nth_of_what_is_shown_then(
    durations: list[int], start: int | None, length: int | None, every: int
) -> None:
    end = None if length is None else (start or 0) + length
    span = Span(None if start is None else start / 1000, None if end is None else end / 1000, every)
    begins = [sum(durations[:number]) for number in range(len(durations))]
    shown = [n for n, b in enumerate(begins) if b >= (start or 0) and (end is None or b < end)]
    assert span.taken(durations, Fraction(1, 1000)) == shown[::every]
