"""The observers that write the records of a run to its folder."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from img2img.config import MetricsConfig, read_yaml
from img2img.errors import ConfigError, StorageError
from img2img.images import Picture, write_picture
from img2img.runs.directory import RunDirectory
from img2img.runs.facts import RunFacts, save_facts
from img2img.runs.history import RunHistory
from img2img.runs.log import BASELINE, DIAGNOSTICS, TARGETS, VAL, LogWriter, read_log
from img2img.runtime.files import atomic_write, write_text
from img2img.runtime.installation import install_extra
from img2img.training.events import Observation, Observer, Progress, Summary


def recorders(directory: RunDirectory, metrics: MetricsConfig) -> list[Observer]:
    """The observers that write the records of a run."""
    found: list[Observer] = [
        LogFile(directory.metrics_path),
        FactsFile(directory.facts_path),
        SampleSheets(directory),
        LossPlot(directory.metrics_path, directory.folder / "losses.png"),
    ]
    if metrics.tensorboard:
        found.append(TensorBoard(directory.folder / "tensorboard"))
    if metrics.wandb:
        found.append(WeightsAndBiases(directory))
    return found


class LogFile(Observer):
    """`metrics.jsonl`; see `runs.log`."""

    def __init__(self, path: Path) -> None:
        self._log = LogWriter(path)

    def started(self, facts: RunFacts) -> None:
        self._log.begin(facts.step, facts.changes)

    def observed(self, observation: Observation) -> None:
        self._log.write(observation.line())

    def closed(self) -> None:
        self._log.close()


class FactsFile(Observer):
    """`facts.json`; see `runs.facts`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, facts: RunFacts) -> None:
        save_facts(self.path, facts)


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
        with self._as_storage_error():
            self._writer = SummaryWriter(str(self.folder), purge_step=facts.step + 1)

    def observed(self, observation: Observation) -> None:
        with self._as_storage_error():
            for tag, value in _curves(observation).items():
                self._writer.add_scalar(tag, value, observation.progress.step)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        with self._as_storage_error():
            self._writer.add_image("samples", sheet.pixels, progress.step, dataformats="HWC")

    def closed(self) -> None:
        if self._writer is not None:
            # What could not be written before cannot be written now: that error has been told.
            with suppress(OSError):
                self._writer.close()
            threading.excepthook = self._hook_before

    @contextmanager
    def _as_storage_error(self) -> Iterator[None]:
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

    def observed(self, observation: Observation) -> None:
        if curves := _curves(observation):
            self._run.log(curves, step=observation.progress.step)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        self._run.log({"samples": self._wandb.Image(sheet.pixels)}, step=progress.step)

    def closed(self) -> None:
        if self._run is not None:
            self._run.finish()


def _curves(observation: Observation) -> dict[str, float]:
    """All numbers of an observation; if it has losses, also the learning rate."""
    rate = {"lr": observation.progress.lr} if observation.losses else {}
    return observation.scalars() | rate


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

        history = RunHistory(read_log(self.metrics))
        # The doctor draws diagnostics; a baseline is in the chart of its measure.
        others = (DIAGNOSTICS, BASELINE, TARGETS)
        tags = {tag for tag in history.tags() if not tag.startswith(others)}
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
            series = history[tag]
            marker = "." if len(series) < 9 else ""
            axes.plot(series.steps, series.values, linewidth=1, marker=marker)
            untouched = BASELINE + tag.removeprefix(VAL)
            if untouched in history:
                level = history[untouched].values[-1]
                axes.axhline(level, color="grey", linestyle="--", label="untouched input")
                axes.legend()
            axes.set_title(f"held-out {tag.removeprefix(VAL)}" if tag in measures else tag)
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        with atomic_write(self.path) as temporary:
            figure.savefig(temporary, dpi=100)
