"""Shows training: as a live progress bar on a terminal, as plain lines elsewhere."""

import shlex
import textwrap
import time
from collections.abc import Iterator, Mapping

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from img2img.cli.wording import in_options
from img2img.errors import counted
from img2img.images import Picture
from img2img.metrics.measure import MEASURES, measure_of
from img2img.runs.directory import RunDirectory
from img2img.runs.facts import RunFacts
from img2img.training.events import Measures, Observation, Observer, Progress, Summary

# Where there is no terminal: seconds between two lines.
PLAIN_SECONDS = 10.0
# Share of the newest value in a smoothed loss.
SMOOTHING = 0.3
# What ends before the next morning needs no other length: hours.
OVERNIGHT = 8.0


class _BarAndLines(Bar):
    """A progress bar with lines of text below it."""

    lines: tuple[str, ...] = ()

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for line in self.lines:
            yield Text(line, style="dim")


class Display(Observer):
    """Shows the progress of a run on a console.

    Args:
        verbose: also show every loss and measure.
    """

    def __init__(self, console: Console, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._losses: dict[str, float] = {}
        self._measures: dict[str, float] = {}
        self._held_out = ""
        self._sample = ""
        self._facts: RunFacts | None = None
        self._said = 0.0
        self._bar: _BarAndLines | None = None
        self._tasks: dict[str, TaskID] = {}

    def preparing(self, what: str, done: int, total: int) -> None:
        if self._console.is_terminal:
            self._move(what, done, total)
            if done == total and self._bar is not None:
                self._bar.remove_task(self._tasks.pop(what))

    def started(self, facts: RunFacts) -> None:
        self._facts = facts
        for name, value in _describe(facts):
            self._print(f"{name:12}{value}", 12)
        hours = (facts.total_steps or 0) * facts.step_seconds / 3600
        if hours > OVERNIGHT and not facts.step:
            self.noticed(
                f"this will take about {hours:.0f} hours; --max-minutes {60 * OVERNIGHT:.0f}"
                " trains overnight, with the whole schedule squeezed into that time"
            )
        if facts.disk_bytes > facts.free_disk_bytes:
            self.noticed("the disk may be full before the training ends")

    def stepped(self, progress: Progress) -> None:
        if self._console.is_terminal:
            self._move("training", progress.step, progress.total_steps, self._pace(progress))

    def observed(self, observation: Observation) -> None:
        if observation.losses:
            self._show_losses(observation.progress, observation.losses)
        if observation.measures.values:
            self._show_measures(observation.progress, observation.measures)

    def _show_losses(self, progress: Progress, losses: Mapping[str, float]) -> None:
        for tag, value in losses.items():
            before = self._losses.get(tag, value)
            self._losses[tag] = before + SMOOTHING * (value - before)
        self._refresh()
        now = time.monotonic()
        ends = progress.step == progress.total_steps
        if not self._console.is_terminal and (ends or now - self._said >= PLAIN_SECONDS):
            self._said = now
            total = f"/{progress.total_steps}" if progress.total_steps else ""
            smoothed = f"  {self._smoothed()}" if self._verbose else ""
            self._print(f"step {progress.step}{total}  {self._pace(progress)}{smoothed}")

    def _show_measures(self, progress: Progress, measures: Measures) -> None:
        shown = []
        for name, value in measures.values.items():
            if measure_of(name) != name and not self._verbose:
                continue
            of_span = _of_span(value, measures) if name == "l1" else ""
            baseline = measures.baseline.get(name)
            shown.append(_compared(name, value, of_span, self._measures.get(name), baseline))
            self._measures[name] = value
        self._held_out = ", ".join(shown)
        self._print(f"step {progress.step}  held out: {self._held_out}")
        self._refresh()

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        if self._facts is not None:
            self._sample = str(RunDirectory(self._facts.output).sheet_path(progress.step))
        if not self._console.is_terminal:
            self._print(f"step {progress.step}  samples: {self._sample}")
        self._refresh()

    def noticed(self, message: str) -> None:
        self._print(f"note: {in_options(message)}")

    def ended(self, summary: Summary) -> None:
        self.closed()
        self._print(
            f"{counted(summary.steps, 'step')}, {counted(summary.images, 'image')},"
            f" {_clock(summary.seconds)}"
        )
        if self._sample:
            self._print(f"samples: {self._sample}")
        self._print(f"model: {summary.output / 'model.safetensors'}")
        run = shlex.quote(str(summary.output))
        self._print(f"see how it went: img2img report {run}")
        if self._facts is None or self._facts.translates:
            self._print(f"use it: img2img translate --model {run} --input FOLDER --output RESULTS")

    def closed(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _smoothed(self) -> str:
        return "  ".join(f"{tag} {value:.3f}" for tag, value in self._losses.items())

    def _pace(self, progress: Progress) -> str:
        parts = [f"epoch {progress.epoch:.1f}", f"{progress.images_per_second:.1f} images/s"]
        left = None
        if progress.total_steps:
            images = (progress.total_steps - progress.step) * progress.images / progress.step
            left = images / max(progress.images_per_second, 1e-9)
        elif self._facts is not None and self._facts.minutes is not None:
            left = max(0.0, 60 * self._facts.minutes - progress.seconds)
        if left is not None:
            parts.append(f"{_clock(left)} left")
        return "  ".join(parts)

    def _refresh(self) -> None:
        """Update the lines below the bar."""
        if self._bar is not None:
            lines = {"held out": self._held_out, "samples": self._sample}
            if self._verbose:
                lines["losses"] = self._smoothed()
            self._bar.lines = tuple(f"{name:9} {text}" for name, text in lines.items() if text)

    def _move(self, what: str, done: int, total: int | None, details: str = "") -> None:
        if self._bar is None:
            self._bar = _BarAndLines(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TextColumn("{task.fields[details]}"),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._refresh()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, details=details)
        self._bar.update(self._tasks[what], completed=done, total=total, details=details)

    def _print(self, text: str, indent: int = 0) -> None:
        """Print a line; on a narrow terminal it is broken at spaces."""
        if self._console.is_terminal:
            text = textwrap.fill(
                text,
                self._console.width,
                subsequent_indent=" " * indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        # Lines under a bar are shown anew by the same rule; the terminal must not wrap them.
        self._console.print(escape(text), soft_wrap=not self._console.is_terminal)


def _compared(
    name: str, value: float, of_span: str, before: float | None, baseline: float | None
) -> str:
    """A held-out measure, compared with the last evaluation and with the untouched input."""
    measure = MEASURES.get(measure_of(name))
    sign = -1 if measure is not None and measure.higher_is_better else 1
    text = f"{name} {value:.4f}{of_span}"
    if before is not None:
        text += f", {'better' if sign * value < sign * before else 'no better'} than {before:.4f}"
    if baseline is not None:
        worse = sign * value >= sign * baseline
        text += f"; {'worse than the ' if worse else ''}untouched input {baseline:.4f}"
    return text


def _describe(facts: RunFacts) -> list[tuple[str, str]]:
    resized = "not resized" if facts.load_size is None else f"resized to {_size(facts.load_size)}"
    parameters = ", ".join(f"{name} {count:,}" for name, count in facts.parameters.items())
    memory = "" if facts.memory_bytes is None else f"about {_bytes(facts.memory_bytes)}"
    return [
        ("run", str(facts.output)),
        ("images", facts.images),
        ("values", facts.values),
        ("sizes", f"{resized}, cropped to {_size(facts.crop_size)}, {facts.batches}"),
        ("method", f"{facts.method} on {facts.device} in {facts.precision}"),
        ("parameters", parameters),
        ("memory", memory or "unknown on this system"),
        ("disk", f"up to {_bytes(facts.disk_bytes)}, {_bytes(facts.free_disk_bytes)} free"),
        ("time", _estimate(facts)),
    ]


def _size(height_width: tuple[int, int]) -> str:
    height, width = height_width
    return f"{width} x {height}"


def _estimate(facts: RunFacts) -> str:
    rate = f"{facts.step_seconds:.2f} s per step in a trial"
    if facts.minutes is not None and facts.step:
        rate = (
            f"--max-minutes {facts.minutes:g} is for the whole run, of which"
            f" {facts.seconds / 60:.3g} minutes are over"
        )
    if facts.total_steps is None:
        return f"{facts.minutes:g} minutes; {rate}"
    left = facts.total_steps - facts.step
    resumed = f" (from step {facts.step})" if facts.step else ""
    return f"{left} steps{resumed}, about {_clock(left * facts.step_seconds)}; {rate}"


def _of_span(distance: float, measures: Measures) -> str:
    """A distance in the numbers of the files, and relative to the span of the targets.

    For dark targets all distances are small.
    """
    span, unit = measures.spans.get("span"), measures.unit
    told = [f"{distance * unit:.3g} in the files' numbers"] if unit else []
    told += [f"{100 * distance / span:.2g} % of the targets' span"] if span else []
    return f" ({', '.join(told)})" if told else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _bytes(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
