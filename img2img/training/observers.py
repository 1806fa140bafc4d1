"""Those who watch a run and keep a record of it in the run folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from img2img.config import RunConfig
from img2img.errors import ConfigError, StorageError
from img2img.files import atomic_write, write_text
from img2img.images import Picture, write_picture
from img2img.training.events import Observer, Progress, RunFacts, Summary


class JsonLines(Observer):
    """`metrics.jsonl`: a JSON object a line, losses and measures alike."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def started(self, facts: RunFacts) -> None:
        # Steps after the state that is resumed will be made again: their lines would be double.
        kept = [line for line in read_metrics(self.path) if line["step"] <= facts.step]
        write_text(self.path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self._file = self.path.open("a", encoding="utf-8")

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        pace = {
            "images_per_second": round(progress.images_per_second, 3),
            "seconds": round(progress.seconds, 3),
            "lr": progress.lr,
        }
        self._write(progress, {**pace, **values})

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._write(progress, values)

    def closed(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, progress: Progress, values: Mapping[str, Any]) -> None:
        line = {"step": progress.step, "images": progress.images, "epoch": progress.epoch, **values}
        if self._file is None:
            return
        try:
            self._file.write(f"{json.dumps(line)}\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line cut short by a crash is left out."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


class TensorBoard(Observer):
    """TensorBoard events: curves and sample sheets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def started(self, facts: RunFacts) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = facts.step + 1 if facts.step else None
        self._writer = SummaryWriter(str(self.folder), purge_step=purge)

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        self.measured(progress, {**values, "lr": progress.lr})

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, progress.step)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        self._writer.add_image("samples", sheet.pixels, progress.step, dataformats="HWC")

    def closed(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WeightsAndBiases(Observer):
    """Weights & Biases, which needs the extra `[wandb]` and an account."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        try:
            import wandb
        except ImportError:
            raise ConfigError(
                "metrics.wandb: wandb is not installed: pip install 'img2img-gan[wandb]'"
            ) from None
        self._wandb = wandb
        self._folder = folder
        self._config = config
        self._run: Any = None

    def started(self, facts: RunFacts) -> None:
        self._run = self._wandb.init(
            dir=str(self._folder),
            name=self._folder.name,
            id=self._folder.name,
            resume="allow",
            project="img2img",
            config=self._config.model_dump(mode="json"),
        )

    def logged(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._run.log({**values, "lr": progress.lr}, step=progress.step)

    def measured(self, progress: Progress, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=progress.step)

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        self._run.log({"samples": self._wandb.Image(sheet.pixels)}, step=progress.step)

    def closed(self) -> None:
        if self._run is not None:
            self._run.finish()


class SampleSheets(Observer):
    """`samples/step-00000500.png`, and so on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sampled(self, progress: Progress, sheet: Picture) -> None:
        write_picture(self.folder / f"step-{progress.step:08d}.png", sheet)


class LossPlot(Observer):
    """`losses.png`, drawn from `metrics.jsonl` when the run ends."""

    def __init__(self, metrics: Path, path: Path) -> None:
        self.metrics = metrics
        self.path = path

    def ended(self, summary: Summary) -> None:
        from matplotlib.figure import Figure

        lines = read_metrics(self.metrics)
        tags = sorted({tag for line in lines for tag in line if "/" in tag})
        if not tags:
            return
        rows = (len(tags) + 2) // 3
        figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
        for index, tag in enumerate(tags):
            axes = figure.add_subplot(rows, 3, index + 1)
            points = [(line["step"], line[tag]) for line in lines if tag in line]
            axes.plot(
                *zip(*points, strict=True), linewidth=1, marker="." if len(points) < 9 else ""
            )
            axes.set_title(tag)
            axes.set_xlabel("step")
            axes.grid(alpha=0.3)
        with atomic_write(self.path) as temporary:
            figure.savefig(temporary, dpi=100)
