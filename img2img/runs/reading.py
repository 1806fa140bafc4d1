"""Reads the folder of a run that is finished, stopped or still training."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from img2img.config import RunConfig
from img2img.metrics.measure import MEASURES, measure_of
from img2img.runs.directory import RunDirectory
from img2img.runs.facts import SavedFacts, read_facts
from img2img.runs.history import RunHistory
from img2img.runs.log import VAL, is_number, read_log


@dataclass(frozen=True)
class Record:
    """The contents of a run folder.

    Attributes:
        config_text: the text of `config.yaml`.
        lines: the lines of `metrics.jsonl` that have a step, images and an epoch.
        sheets: the sample sheets by step, in ascending order.
    """

    folder: Path
    config: RunConfig
    config_text: str
    lines: list[dict[str, Any]]
    facts: SavedFacts
    sheets: dict[int, Path]

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return max((line["step"] for line in self.lines), default=0)

    @property
    def planned_steps(self) -> int | None:
        """The length of the run; None if it is not known yet."""
        schedule = self.config.schedule
        if not self.lines:
            return schedule.steps
        step, images, epoch = (self.lines[-1][key] for key in ("step", "images", "epoch"))
        return schedule.planned_steps(round(images / epoch), round(images / step))

    @property
    def stopped_early(self) -> bool:
        """Whether the run was ended by early stopping (`metrics.patience`)."""
        best, patience = self.config.metrics.best, self.config.metrics.patience
        values = self.history[f"{VAL}{best}"].values
        if patience is None or not len(values):
            return False
        known = MEASURES.get(measure_of(str(best)))
        place = values.argmax() if known and known.higher_is_better else values.argmin()
        return bool(len(values) - 1 - place >= patience)

    @cached_property
    def history(self) -> RunHistory:
        """The log by tag."""
        return RunHistory(self.lines)

    def last(self, tag: str) -> Any:
        """The last value of a tag; None if there is none."""
        return next((line[tag] for line in reversed(self.lines) if tag in line), None)


def read_run(folder: Path) -> Record:
    """Read the contents of a run folder.

    Raises:
        ConfigError: it is not a run folder, or its configuration is damaged.
    """
    directory = RunDirectory(folder)
    return Record(
        folder,
        directory.config(),
        directory.config_path.read_text(encoding="utf-8"),
        [line for line in read_log(directory.metrics_path) if _is_line(line)],
        read_facts(directory.facts_path),
        _sheets(directory.samples),
    )


def _is_line(line: Mapping[str, Any]) -> bool:
    return all(is_number(line.get(key)) and line[key] > 0 for key in ("step", "images", "epoch"))


def _sheets(folder: Path) -> dict[int, Path]:
    steps = {path: path.stem.removeprefix("step-") for path in folder.glob("step-*.png")}
    known = {int(step): path for path, step in steps.items() if step.isdecimal()}
    return dict(sorted(known.items()))
