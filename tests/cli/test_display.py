"""What a person sees of a training: on a terminal of 80 columns, and in a log."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from img2img.cli.display import Display
from img2img.config import MetricsConfig
from img2img.images import Picture
from img2img.runs.facts import RunFacts
from img2img.training.best import BestTracker
from img2img.training.events import Measures, Observation, Progress, Summary

LOSSES = {
    f"{network}/{name}": 1.234
    for network in ("G", "D")
    for name in ("adv_A", "adv_B", "cycle_A", "cycle_B", "gradient", "real_A", "fake_A", "idt")
}


def facts(**changed: Any) -> RunFacts:
    known: dict[str, Any] = {
        "output": Path("runs/icons"),
        "method": "cyclegan",
        "device": "cpu",
        "precision": "bf16",
        "images": "400 pairs to train, 60 held out; A/ + B/",
        "batches": "batches of 1",
        "load_size": (286, 286),
        "crop_size": (256, 256),
        "parameters": {"G_AB": 11_378_179, "D_A": 2_764_737},
        "step": 0,
        "total_steps": 4000,
        "minutes": None,
        "seconds": 0.0,
        "step_seconds": 0.1,
        "memory_bytes": 10**9,
        "disk_bytes": 10**8,
        "free_disk_bytes": 10**11,
    }
    return RunFacts(**known | changed)


def at(step: int, total: int | None = 4000, seconds: float = 60.0) -> Progress:
    return Progress(
        step=step,
        total_steps=total,
        images=step,
        images_per_epoch=400,
        seconds=seconds,
        images_per_second=10.0,
        waiting=0.0,
        lr=2e-4,
    )


class Shown:
    """A display on a console of 80 columns, and what it wrote."""

    def __init__(self, *, terminal: bool = False, verbose: bool = False) -> None:
        self.file = io.StringIO()
        console = Console(
            file=self.file, width=80, height=24, force_terminal=terminal, highlight=False
        )
        self.display = Display(console, verbose)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def measured(self, progress: Progress, span: float | None = None, **both: Any) -> None:
        """Measures, each with the untouched input's."""
        values, baseline = ({k: pair[n] for k, pair in both.items()} for n in (0, 1))
        measures = Measures(values, baseline, {} if span is None else {"span": span})
        self.display.observed(Observation(progress, measures=measures))

    def under_the_bar(self) -> list[str]:
        """What the live region shows, rendered at 80 columns."""
        assert self.display._bar is not None
        plain = Console(file=io.StringIO(), width=80)
        with plain.capture() as capture:
            plain.print(self.display._bar.get_renderable())
        return capture.get().splitlines()


SHEET = Picture(np.zeros((4, 4, 3), np.uint8))


def test_a_log_has_a_line_an_interval() -> None:
    shown = Shown()
    shown.display.started(facts())
    before = len(shown.lines)
    shown.display.observed(Observation(at(1240), LOSSES))
    shown.display.observed(Observation(at(1260), LOSSES))  # in the same interval
    shown.measured(at(2000), l1=(0.0916, 0.0732))
    shown.measured(at(3000), l1=(0.0512, 0.0732))
    shown.measured(at(4000), l1=(0.0513, 0.0732))
    shown.display.sampled(at(4000), SHEET)
    assert shown.lines[before:] == [
        "step 1240/4000  epoch 3.1  10.0 images/s  4:36 left",
        "step 2000  held out: l1 0.0916; worse than the untouched input 0.0732",
        "step 3000  held out: l1 0.0512, better than 0.0916; untouched input 0.0732",
        "step 4000  held out: l1 0.0513, no better than 0.0512; untouched input 0.0732",
        "step 4000  samples: runs/icons/samples/step-00004000.png",
    ]


def test_what_is_prepared_has_a_bar_until_it_is_done() -> None:
    shown = Shown(terminal=True)
    shown.display.preparing("checking images", 3, 400)
    (line,) = (line for line in shown.under_the_bar() if line)
    assert line.startswith("checking images")
    shown.display.preparing("checking images", 400, 400)
    assert not any(shown.under_the_bar())
    shown.display.closed()
    log = Shown()
    log.display.preparing("checking images", 3, 400)
    assert log.lines == []


def test_a_disk_that_is_too_small() -> None:
    shown = Shown()
    shown.display.started(facts(disk_bytes=2 * 10**9, free_disk_bytes=10**9))
    assert "note: the disk may be full before the training ends" in shown.lines


def test_losses_are_for_those_who_ask() -> None:
    shown = Shown(verbose=True)
    shown.display.observed(Observation(at(20), LOSSES))
    assert all(f"{tag} 1.234" in shown.lines[0] for tag in LOSSES)


@pytest.mark.parametrize(("verbose", "most"), [(False, 3), (True, 9)])
def test_the_live_part(verbose: bool, most: int) -> None:
    shown = Shown(terminal=True, verbose=verbose)
    display = shown.display
    display.started(facts(total_steps=266_800))
    display.stepped(at(120_000, 266_800))
    ways = {f"l1{way}": (0.0512, 0.0732) for way in ("", "_AtoB", "_BtoA")}
    shown.measured(at(120_000), span=0.5, **ways)
    display.sampled(at(120_000), SHEET)
    display.observed(Observation(at(120_000), LOSSES))
    lines = shown.under_the_bar()
    display.closed()
    assert len(lines) <= most
    bar, held_out, samples, *losses = lines
    assert bar.rstrip().endswith("120000/266800 epoch 300.0  10.0 images/s  4:04:40 left")
    assert held_out.startswith("held out  l1 0.0512 (10 % of the targets' span); untouched input")
    if not verbose:
        assert "AtoB" not in held_out
        assert samples.rstrip() == "samples   runs/icons/samples/step-00120000.png"
    assert ("G/gradient 1.234" in " ".join(losses)) == verbose


def test_higher_may_be_better() -> None:
    shown = Shown()
    for psnr in (20.0, 21.0, 19.0):
        shown.measured(at(1), psnr=(psnr, 19.5))
    ends = [line.partition("psnr ")[2] for line in shown.lines]
    assert ends == [
        "20.0000; untouched input 19.5000",
        "21.0000, better than 20.0000; untouched input 19.5000",
        "19.0000, no better than 21.0000; worse than the untouched input 19.5000",
    ]


class TestLength:
    def test_of_a_day(self) -> None:
        shown = Shown()
        shown.display.started(facts(total_steps=864_000))
        (note,) = [line for line in shown.lines if line.startswith("note:")]
        assert note == (
            "note: this will take about 24 hours; --max-minutes 480 trains overnight, with the"
            " whole schedule squeezed into that time"
        )

    @pytest.mark.parametrize("changed", [{"total_steps": 36_000}, {"total_steps": None}])
    def test_of_an_hour(self, changed: dict[str, Any]) -> None:
        shown = Shown()
        shown.display.started(facts(minutes=60.0, **changed))
        assert not [line for line in shown.lines if line.startswith("note:")]

    @pytest.mark.parametrize("total", [4000, None])
    def test_in_minutes_is_the_total(self, total: int | None) -> None:
        shown = Shown()
        resumed = facts(step=500, minutes=120.0, seconds=2100.0, total_steps=total)
        shown.display.started(resumed)
        assert shown.lines[-1].endswith(
            "; --max-minutes 120 is for the whole run, of which 35 minutes are over"
        )

    def test_in_minutes_not_yet_measured(self) -> None:
        shown = Shown()
        shown.display.started(facts(minutes=2.0, total_steps=None))
        shown.display.observed(Observation(at(20, None, seconds=75.0), LOSSES))
        assert shown.lines[-1].endswith("0:45 left")


def test_the_end() -> None:
    shown = Shown()
    shown.display.started(facts())
    before = len(shown.lines)
    summary = Summary(
        output=Path("runs/icons"),
        steps=4000,
        images=4000,
        seconds=400.0,
        images_per_second=10.0,
        device="cpu",
        precision="fp32",
        measures=Measures({"l1": 0.05}, {"l1": 0.07}),
        stopped_early=False,
    )
    shown.display.ended(summary)
    assert shown.lines[before:] == [
        "4000 steps, 4000 images, 6:40",
        "model: runs/icons/model.safetensors",
        "see how it went: img2img report runs/icons",
        "use it: img2img translate --model runs/icons --input FOLDER --output RESULTS",
    ]


def test_lines_under_the_bar_stay_whole_when_something_is_said() -> None:
    shown = Shown(terminal=True)
    shown.display.stepped(at(4000))
    shown.measured(at(4000), span=0.88, l1=(0.0561, 0.0517))
    assert shown.display._bar is not None
    shown.display._bar.refresh()
    shown.display.noticed("something")
    live = shown.file.getvalue().rpartition("note: something")[2]
    shown.display.closed()
    lines = Text.from_ansi(live).plain.splitlines()
    assert lines[-2].endswith("worse than the untouched input")
    assert lines[-1] == "0.0517"


def test_a_terminal_breaks_lines_at_spaces() -> None:
    shown = Shown(terminal=True)
    shown.display.started(facts(images="15 of them, chosen by the seed; " + "a/long-name/ " * 9))
    shown.display.noticed("its name has a hyphen and its options, too: --a-long-one " * 4)
    lines = shown.lines
    assert all(len(line) <= 80 for line in lines)
    assert not any(line.rstrip().endswith(("-", "a/long")) for line in lines)
    after = lines[next(i for i, line in enumerate(lines) if line.startswith("images")) + 1]
    assert after.startswith(" " * 12 + "a/long-name/")


class TestPlateau:
    def tracker(self, **settings: Any) -> BestTracker:
        tracker = BestTracker(MetricsConfig(every=100, **settings))
        for step, value in ((100, 0.3), (200, 0.2), (300, 0.25)):
            tracker.update({"l1": value}, step)
        return tracker

    def test_is_said_once(self) -> None:
        tracker = self.tracker()
        assert tracker.plateau(300, 1000) is None  # too soon
        tracker.update({"l1": 0.22}, 400)
        said = tracker.plateau(400, 1000)
        assert said is not None
        assert "has not improved for 20 % of the run, since step 200" in said
        assert "`stop_after`" in said
        assert "`metrics.patience`" in said
        assert tracker.plateau(500, 1000) is None
        tracker.update({"l1": 0.1}, 600)
        for step in (700, 800):
            tracker.update({"l1": 0.11}, step)
        assert tracker.plateau(800, 1000) is not None  # another one

    def test_not_where_patience_ends_it(self) -> None:
        tracker = self.tracker(patience=5)
        tracker.update({"l1": 0.22}, 400)
        assert tracker.plateau(400, 1000) is None

    def test_goes_on_with_the_run(self) -> None:
        first, second = self.tracker(), BestTracker(MetricsConfig(every=100))
        second.load_state_dict(first.state_dict())
        second.update({"l1": 0.22}, 400)
        assert "since step 200" in (second.plateau(400, 1000) or "")


def test_auto_measures_early_for_those_who_watch() -> None:
    tracker = BestTracker(MetricsConfig())
    assert [step for step in range(1, 2001) if tracker.due(step)] == [100, 500, 1000, 2000]
    tracker.fix_interval(100.0)  # measuring takes as long as a hundred steps
    assert [step for step in range(101, 4001) if tracker.due(step)] == [2000, 4000]
