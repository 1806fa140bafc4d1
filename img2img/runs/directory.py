"""The files of a run folder: their paths, and saving models and states."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from torch import nn

from img2img import config as configuration
from img2img.config import RunConfig, check, read_yaml
from img2img.errors import ConfigError, nearest_path
from img2img.models.checkpoint import MODEL_NAME, save_model, save_state
from img2img.models.spec import ModelSpec
from img2img.runtime.files import atomic_write, locked, remove_leftovers, write_text

# A full state is several times as large as a model: only the newest are kept.
STATES_KEPT = 2


class RunDirectory:
    """Names and writes the files of one run.

    Args:
        folder: the run folder.
        models_kept: number of models of earlier steps to keep in `checkpoints/`.
    """

    def __init__(self, folder: Path, models_kept: int = 3) -> None:
        self.folder = folder
        self.models_kept = models_kept
        self._lock_path = folder / ".lock"
        self.config_path = folder / "config.yaml"
        self.metrics_path = folder / "metrics.jsonl"
        self.facts_path = folder / "facts.json"
        self.model_path = folder / MODEL_NAME
        self.best_path = folder / "best.safetensors"
        self.samples = folder / "samples"
        self.checkpoints = folder / "checkpoints"
        self._skipped: set[Path] = set()

    @contextmanager
    def opened(self, resume: bool) -> Iterator[None]:
        """Create and lock the folder; the lock is held within this context.

        Raises:
            ConfigError: the folder is a file, is in use by another run, or is not empty and the run
                is not to be resumed.
            StorageError: the folder cannot be created or written to.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError.of(self.folder, "this is a file, but `output` must be a folder")
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        if not resume and any(path != self._lock_path for path in there):
            raise ConfigError(
                f"{self.folder} is not empty; choose another `output`",
                path=self.folder,
                resumable=True,
            )
        made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        busy = ConfigError.of(
            self.folder,
            "another run is writing to this folder; wait until it ends, or choose another `output`",
        )
        try:
            with locked(self._lock_path, busy):
                for folder in (self.folder, self.checkpoints, self.samples):
                    remove_leftovers(folder)
                yield
        finally:
            with suppress(OSError):  # a folder that is not empty
                for path in made:
                    path.rmdir()

    def config(self) -> RunConfig:
        """The configuration of the run.

        Raises:
            ConfigError: it is no run folder, or its configuration is damaged.
        """
        if not self.config_path.is_file():
            near = "" if self.folder.exists() else nearest_path(self.folder)
            raise ConfigError.of(
                self.folder, f"not a run folder, because it has no {self.config_path.name}{near}"
            )
        try:
            return check(read_yaml(self.config_path))
        except ConfigError as error:
            if str(self.config_path) in str(error):
                raise
            raise ConfigError.of(self.config_path, f"{error}") from None

    def sheet_path(self, step: int) -> Path:
        """The path of the sample sheet of a step."""
        return self.samples / f"step-{step:08d}.png"

    def save_config(self, config: RunConfig) -> None:
        write_text(self.config_path, configuration.dump(config))

    def save_model(
        self, step: int, specs: Mapping[str, ModelSpec], generators: Mapping[str, nn.Module]
    ) -> None:
        """Save the model of a step, also as the run's `model.safetensors`."""
        path = self.checkpoints / f"model-{step:08d}.safetensors"
        save_model(path, specs, generators)
        with atomic_write(self.model_path) as temporary:
            shutil.copyfile(path, temporary)
        self._prune("model", self.models_kept, step)

    def save_best(
        self, specs: Mapping[str, ModelSpec], generators: Mapping[str, nn.Module]
    ) -> None:
        save_model(self.best_path, specs, generators)

    def save_state(self, step: int, state: Mapping[str, Any]) -> Path:
        path = self.checkpoints / f"state-{step:08d}.safetensors"
        if path in self._skipped:
            path.rename(_unused(path.with_name(f"skipped-{path.name}")))
            self._skipped.remove(path)
        save_state(path, state)
        self._prune("state", STATES_KEPT, step)
        return path

    def states(self) -> list[Path]:
        """The states from which the run can be resumed, newest first."""
        return self._files("state")[::-1]

    def skip(self, path: Path) -> None:
        """Mark a state that cannot be read, to be renamed if the run reaches its step again."""
        self._skipped.add(path)

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.checkpoints.glob(f"{kind}-{'[0-9]' * 8}.safetensors"))

    def _prune(self, kind: str, keep: int, step: int) -> None:
        """Delete all but the newest `keep` files of steps up to this one.

        Later files, which are from other sessions, are kept, and so is anything that is not a file.
        """
        done = [path for path in self._files(kind) if int(path.stem.partition("-")[2]) <= step]
        for path in done[:-keep]:
            if path not in self._skipped and path.is_file():
                path.unlink(missing_ok=True)


def _unused(path: Path) -> Path:
    """The path, or if it exists, one with a number before its name."""
    names = chain([path], (path.with_name(f"{number}-{path.name}") for number in count(2)))
    return next(each for each in names if not os.path.lexists(each))
