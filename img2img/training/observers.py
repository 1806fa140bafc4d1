"""Those who watch a run and keep a record of it in the run folder."""

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from platform import python_version
from typing import Any

import torch

from img2img import __version__
from img2img.config import read_yaml
from img2img.errors import ConfigError, StorageError
from img2img.images import Picture, write_picture
from img2img.runs.directory import RunDirectory
from img2img.runs.log import BASELINE, DIAGNOSTICS, DIVERGED, TARGETS, VAL, LogWriter, read_log
from img2img.runtime.files import atomic_write, write_text
from img2img.runtime.installation import install_extra
from img2img.training.events import Observer, Progress, RunFacts, Summary


class JsonLines(Observer):
    """`metrics.jsonl`: a JSON object a line, losses and measures alike.

    Where a run went on with other settings, a line says which.
    """

    def __init__(self, path: Path) -> None:
        self._log = LogWriter(path)

    def started(self, facts: RunFacts) -> None:
        self._log.begin(facts.step, facts.changes)

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        pace = {
            "images_per_second": round(progress.images_per_second, 3),
            "seconds": round(progress.seconds, 3),
            "waiting": round(progress.waiting, 4),
            "lr": progress.lr,
        }
        self._write(progress, {**pace, **values})

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._write(progress, values)

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        self._write(progress, signs)

    def diverged(self, progress: Progress, reason: str) -> None:
        self._write(progress, {DIVERGED: reason})

    def closed(self) -> None:
        self._log.close()

    def _write(self, progress: Progress, values: Mapping[str, Any]) -> None:
        where = {"step": progress.step, "images": progress.images, "epoch": progress.epoch}
        self._log.write({**where, **values})


class FactSheet(Observer):
    """`facts.json`: what was known when the run, or its last session, started."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, facts: RunFacts) -> None:
        versions = {"img2img": __version__, "torch": torch.__version__, "python": python_version()}
        known = {**asdict(facts), "versions": versions}
        write_text(self.path, f"{json.dumps(known, indent=2, default=str)}\n")


class TensorBoard(Observer):
    """TensorBoard events: curves and sample sheets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def started(self, facts: RunFacts) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Its writer has a thread, which passes an error on to the next call but prints it too.
        self._hook_before = threading.excepthook
        threading.excepthook = _unless_storage_failed
        with self._told():
            self._writer = SummaryWriter(str(self.folder), purge_step=facts.step + 1)

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        self.measured(progress, {**values, "lr": progress.lr})

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        with self._told():
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, progress.step)

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        self.measured(progress, signs)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        with self._told():
            self._writer.add_image("samples", sheet.pixels, progress.step, dataformats="HWC")

    def closed(self) -> None:
        if self._writer is not None:
            # What could not be written before cannot be written now: that error has been told.
            with suppress(OSError):
                self._writer.close()
            threading.excepthook = self._hook_before

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write {self.folder}: {error.strerror}") from error


def _unless_storage_failed(failure: threading.ExceptHookArgs) -> None:
    if not isinstance(failure.exc_value, OSError):
        threading.__excepthook__(failure)


class WeightsAndBiases(Observer):
    """Weights & Biases, which needs the extra `[wandb]` and an account."""

    def __init__(self, directory: RunDirectory) -> None:
        try:
            import wandb
        except ImportError:
            raise ConfigError(
                f"metrics.wandb: wandb is not installed: {install_extra('wandb')}"
            ) from None
        self._wandb = wandb
        self._directory = directory
        self._run: Any = None

    def started(self, facts: RunFacts) -> None:
        # A run is known by an id that stays with its folder: the next of that name is another.
        known = self._directory.folder / "wandb-id.txt"
        if not known.is_file():
            write_text(known, uuid.uuid4().hex[:12])
        try:
            self._run = self._wandb.init(
                dir=str(self._directory.folder),
                name=self._directory.folder.name,
                id=known.read_text(encoding="utf-8"),
                resume="allow",
                project="img2img",
                config=read_yaml(self._directory.config_path),
            )
        except self._wandb.Error as error:
            raise ConfigError(f"metrics.wandb: {error}") from None

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._run.log({**values, "lr": progress.lr}, step=progress.step)

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=progress.step)

    def examined(self, progress: Progress, signs: Mapping[str, float]) -> None:
        self.measured(progress, signs)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        self._run.log({"samples": self._wandb.Image(sheet.pixels)}, step=progress.step)

    def closed(self) -> None:
        if self._run is not None:
            self._run.finish()


class SampleSheets(Observer):
    """`samples/step-00000500.png`, and so on."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        write_picture(self._directory.sheet_path(progress.step), sheet)


class LossPlot(Observer):
    """`losses.png`, drawn from `metrics.jsonl` when the run ends."""

    def __init__(self, metrics: Path, path: Path) -> None:
        self.metrics = metrics
        self.path = path

    def ended(self, summary: Summary) -> None:
        from matplotlib.figure import Figure

        lines = read_log(self.metrics)
        # Diagnostics are the doctor's, who draws them; a baseline is in the chart of its measure.
        others = (DIAGNOSTICS, BASELINE, TARGETS)
        tags = {tag for line in lines for tag in line if "/" in tag and not tag.startswith(others)}
        if not tags:
            return
        # Held-out measures first, and larger: losses of a GAN do not tell how good it is.
        measures = sorted(tag for tag in tags if tag.startswith(VAL))
        losses = sorted(tags.difference(measures), key=lambda tag: (not tag.startswith("G/"), tag))
        above, below = -(-len(measures) // 2), -(-len(losses) // 3)
        figure = Figure(figsize=(12, 3.6 * above + 2.2 * below), layout="constrained")
        grid = figure.add_gridspec(above + below, 6, height_ratios=[3.6] * above + [2.2] * below)
        wide = 6 if len(measures) == 1 else 3
        places = [(*divmod(wide * n, 6), wide) for n in range(len(measures))]
        places += [(above + n // 3, n % 3 * 2, 2) for n in range(len(losses))]
        for tag, (row, column, width) in zip([*measures, *losses], places, strict=True):
            axes = figure.add_subplot(grid[row, column : column + width])
            points = [(line["step"], line[tag]) for line in lines if tag in line]
            axes.plot(
                *zip(*points, strict=True), linewidth=1, marker="." if len(points) < 9 else ""
            )
            untouched = BASELINE + tag.removeprefix(VAL)
            if levels := [line[untouched] for line in lines if untouched in line]:
                axes.axhline(levels[-1], color="grey", linestyle="--", label="untouched input")
                axes.legend()
            axes.set_title(f"held-out {tag.removeprefix(VAL)}" if tag in measures else tag)
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        with atomic_write(self.path) as temporary:
            figure.savefig(temporary, dpi=100)
