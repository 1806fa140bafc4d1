"""The run folder: what a run leaves on the disk and is resumed from."""

import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from img2img import config as configuration
from img2img.checkpoint import MODEL_NAME, load_state, save_model, save_state
from img2img.config import RunConfig
from img2img.errors import ConfigError, ModelFileError
from img2img.files import atomic_write, locked, remove_leftovers, write_text
from img2img.spec import ModelSpec

# A full state is several times a model: only the newest are kept.
STATES_KEPT = 2


class Store:
    """Names and keeps the files of one run.

    Args:
        folder: the run folder.
        models_kept: how many models of earlier steps are kept in `checkpoints/`.
        again: the command that goes on with the run, for messages; None: `img2img train --resume`.
    """

    def __init__(self, folder: Path, models_kept: int = 3, again: str | None = None) -> None:
        self.folder = folder
        self.models_kept = models_kept
        self.again = again or f"img2img train --resume {shlex.quote(str(folder))}"
        self._lock_path = folder / ".lock"
        self.config_path = folder / "config.yaml"
        self.metrics_path = folder / "metrics.jsonl"
        self.facts_path = folder / "facts.json"
        self.model_path = folder / MODEL_NAME
        self.best_path = folder / "best.safetensors"
        self.samples = folder / "samples"
        self.checkpoints = folder / "checkpoints"

    @contextmanager
    def opened(self, resume: bool) -> Iterator[None]:
        """Have the folder to oneself while this context lasts.

        Raises:
            ConfigError: the folder is a file, or has something in it and is not to be resumed, or
                another run is using it.
            StorageError: it cannot be made or written to.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: a file, where the run folder should be")
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        if not resume and any(path != self._lock_path for path in there):
            raise ConfigError(
                f"{self.folder} is not empty: go on with what is in it by {self.again}, or choose"
                " another --output"
            )
        made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        busy = ConfigError(
            f"{self.folder}: another run is writing to this folder; wait for it, or choose another"
            " --output"
        )
        try:
            with locked(self._lock_path, busy):
                for folder in (self.folder, self.checkpoints, self.samples):
                    remove_leftovers(folder)
                yield
        finally:
            with suppress(OSError):  # of a folder with something in it
                for path in made:
                    path.rmdir()

    def save_config(self, config: RunConfig) -> None:
        write_text(self.config_path, configuration.dump(config))

    def save_model(
        self, step: int, specs: Mapping[str, ModelSpec], generators: Mapping[str, nn.Module]
    ) -> None:
        """Write the model of a step, and make it the run's `model.safetensors`."""
        path = self.checkpoints / f"model-{step:08d}.safetensors"
        save_model(path, specs, generators)
        with atomic_write(self.model_path) as temporary:
            shutil.copyfile(path, temporary)
        self._prune("model", self.models_kept)

    def save_best(
        self, specs: Mapping[str, ModelSpec], generators: Mapping[str, nn.Module]
    ) -> None:
        save_model(self.best_path, specs, generators)

    def save_state(self, step: int, state: Mapping[str, Any]) -> Path:
        path = self.checkpoints / f"state-{step:08d}.safetensors"
        save_state(path, state)
        self._prune("state", STATES_KEPT)
        return path

    def newest_state(self, notice: Callable[[str], None]) -> tuple[dict[str, Any], Path] | None:
        """The newest training state that is intact, with its file; `notice` hears of the others.

        Returns:
            None where there is none at all.

        Raises:
            ModelFileError: there are some, and all are damaged.
        """
        paths = self._files("state")
        for path in reversed(paths):
            try:
                return load_state(path), path
            except ModelFileError as error:
                notice(f"skipped: {error}")
        if paths:
            raise ModelFileError(
                f"{self.checkpoints}: every state is damaged; start another run, perhaps with"
                f" --init-from {self.model_path}"
            )
        return None

    def discard_after(self, step: int) -> None:
        """Remove what was saved after a step that the run goes on from: it will be made again."""
        for kind in ("state", "model"):
            for path in self._files(kind):
                if int(path.stem.partition("-")[2]) > step:
                    path.unlink(missing_ok=True)

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.checkpoints.glob(f"{kind}-{'[0-9]' * 8}.safetensors"))

    def _prune(self, kind: str, keep: int) -> None:
        for path in self._files(kind)[:-keep]:
            path.unlink(missing_ok=True)
