"""The run folder: what a run leaves on the disk and is resumed from."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from img2img import config as configuration
from img2img.checkpoint import (
    MODEL_NAME,
    ModelSpec,
    load_state,
    save_model,
    save_state,
)
from img2img.config import RunConfig
from img2img.errors import ConfigError, ModelFileError
from img2img.files import atomic_write, write_text

# A full state is several times a model: only the newest are kept.
STATES_KEPT = 2


class Store:
    """Names and keeps the files of one run.

    Args:
        folder: the run folder.
        models_kept: how many models of earlier steps are kept in `checkpoints/`.
    """

    def __init__(self, folder: Path, models_kept: int = 3) -> None:
        self.folder = folder
        self.models_kept = models_kept
        self.config_path = folder / "config.yaml"
        self.metrics_path = folder / "metrics.jsonl"
        self.model_path = folder / MODEL_NAME
        self.best_path = folder / "best.safetensors"
        self.samples = folder / "samples"
        self.checkpoints = folder / "checkpoints"

    def open(self, resume: bool) -> None:
        """Refuse a folder with something in it, unless it is to be resumed.

        Raises:
            ConfigError: the folder is not empty, or is a file.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: a file, where the run folder should be")
        if not resume and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ConfigError(
                f"{self.folder} is not empty: go on with what is in it by --resume,"
                " or choose another --output"
            )

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

    def newest_state(self, notice: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest training state that is intact; `notice` hears of those that are not."""
        for path in reversed(self._files("state")):
            try:
                return load_state(path)
            except ModelFileError as error:
                notice(f"skipped: {error}")
        return None

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.checkpoints.glob(f"{kind}-*.safetensors"))

    def _prune(self, kind: str, keep: int) -> None:
        for path in self._files(kind)[:-keep]:
            path.unlink(missing_ok=True)
