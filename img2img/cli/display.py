"""Training as a person watches it: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as Bar,
)
from rich.text import Text

from img2img.doctor.course import TARGETS, VAL
from img2img.training.events import Observer, Progress, RunFacts, Summary

# Where there is no terminal: seconds between two lines.
PLAIN_SECONDS = 10.0
# Share of the newest value in a smoothed loss.
SMOOTHING = 0.3


class _BarAndLosses(Bar):
    """A progress bar with a line of losses under it."""

    losses = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield Text(self.losses, style="dim")


class Display(Observer):
    """Shows a run on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._losses: dict[str, float] = {}
        self._said = 0.0
        self._bar: _BarAndLosses | None = None
        self._tasks: dict[str, TaskID] = {}

    def preparing(self, what: str, done: int, total: int) -> None:
        if self._console.is_terminal:
            self._move(what, done, total)
            if done == total and self._bar is not None:
                self._bar.remove_task(self._tasks.pop(what))

    def started(self, facts: RunFacts) -> None:
        for name, value in _describe(facts):
            self._print(f"{name:12}{value}")
        if facts.disk_bytes > facts.free_disk_bytes:
            self.noticed("the disk may fill up before the end")

    def stepped(self, progress: Progress) -> None:
        if self._console.is_terminal:
            self._move("training", progress.step, progress.total_steps, _pace(progress))

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            before = self._losses.get(tag, value)
            self._losses[tag] = before + SMOOTHING * (value - before)
        if self._bar is not None:
            self._bar.losses = self._smoothed()
        now = time.monotonic()
        ends = progress.step == progress.total_steps
        if not self._console.is_terminal and (ends or now - self._said >= PLAIN_SECONDS):
            self._said = now
            total = f"/{progress.total_steps}" if progress.total_steps else ""
            self._print(f"step {progress.step}{total}  {_pace(progress)}  {self._smoothed()}")

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        span = values.get(f"{TARGETS}span")
        shown = "  ".join(
            f"{tag} {value:.4f}{_of_span(value, span) if tag == f'{VAL}l1' else ''}"
            for tag, value in values.items()
            if not tag.startswith(TARGETS)
        )
        self._print(f"step {progress.step}  held out: {shown}")

    def noticed(self, message: str) -> None:
        self._print(f"note: {message}")

    def ended(self, summary: Summary) -> None:
        self.closed()
        span = summary.spans.get("span")
        measures = "".join(
            f", held-out {k} {v:.4f}{_of_span(v, span) if k == 'l1' else ''}"
            for k, v in summary.measures.items()
        )
        self._print(
            f"{summary.steps} steps, {summary.images} images, {_clock(summary.seconds)}{measures}"
        )
        self._print(f"model: {summary.output / 'model.safetensors'}")

    def closed(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _smoothed(self) -> str:
        return "  ".join(f"{tag} {value:.3f}" for tag, value in self._losses.items())

    def _move(self, what: str, done: int, total: int | None, details: str = "") -> None:
        if self._bar is None:
            self._bar = _BarAndLosses(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[details]}"),
                console=self._console,
                transient=True,
            )
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, details=details)
        self._bar.update(self._tasks[what], completed=done, total=total, details=details)

    def _print(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)


def _describe(facts: RunFacts) -> list[tuple[str, str]]:
    resized = "as they are" if facts.load_size is None else f"resized to {_size(facts.load_size)}"
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
    rate = f"{facts.step_seconds:.2f} s a step in a trial"
    if facts.total_steps is None:
        return f"{facts.minutes:g} minutes; {rate}"
    left = facts.total_steps - facts.step
    resumed = f" (from step {facts.step})" if facts.step else ""
    return f"{left} steps{resumed}, about {_clock(left * facts.step_seconds)}; {rate}"


def _pace(progress: Progress) -> str:
    parts = [f"epoch {progress.epoch:.1f}", f"{progress.images_per_second:.1f} images/s"]
    if progress.total_steps:
        images_a_step = progress.images / progress.step
        left = (progress.total_steps - progress.step) * images_a_step
        parts.append(f"ETA {_clock(left / max(progress.images_per_second, 1e-9))}")
    return "  ".join(parts)


def _of_span(distance: float, span: float | None) -> str:
    """What a distance is beside the values that the targets span: of dark ones, all are small."""
    return f" ({100 * distance / span:.2g} % of the targets' span)" if span else ""


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
