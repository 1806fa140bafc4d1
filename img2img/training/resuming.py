"""Going on from a saved state: the newest that is good."""

from collections.abc import Sequence
from pathlib import Path

from img2img.errors import ConfigError, ModelFileError
from img2img.models.checkpoint import load_state
from img2img.runs.directory import RunDirectory
from img2img.runtime.devices import is_out_of_memory
from img2img.runtime.processes import Processes
from img2img.training.events import Observer
from img2img.training.loop import Trainer


def go_on(
    trainer: Trainer,
    states: Sequence[Path],
    directory: RunDirectory,
    observer: Observer,
    processes: Processes,
) -> None:
    """Load the first state that all processes can go on from, and say which they cannot.

    Raises:
        ModelFileError: there is none. Nothing is begun over a run that cannot be gone on with.
    """
    for path in states:
        failure = ""
        try:
            _load(trainer, path)
        except ModelFileError as error:
            failure = str(error)
        failures = [each for each in processes.gather(failure) if each]
        if not failures:
            return
        observer.noticed(f"skipped: {failures[0]}")
        directory.skip(path)
    raise ModelFileError(
        f"{directory.checkpoints}: every state is damaged, or of another version; start"
        f" another run, perhaps with `init_from={directory.model_path}`"
    )


def _load(trainer: Trainer, path: Path) -> None:
    state = load_state(path)
    try:
        trainer.load_state(state, path)
    except ConfigError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        what = f"{type(error).__name__}: {error}"
        raise ModelFileError(f"{path}: not a state that this version can read: {what}") from error
