"""Resumes a run from its newest good state, with notices of what has changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from img2img.config import DataConfig, RunConfig, read_yaml
from img2img.errors import ConfigError, ModelFileError
from img2img.models.checkpoint import load_state
from img2img.runs.data import layout_as_trained
from img2img.runs.directory import RunDirectory
from img2img.runs.facts import read_facts
from img2img.runs.log import Change
from img2img.runtime.devices import is_out_of_memory
from img2img.training.changes import changes_on_resume
from img2img.training.loop import Trainer
from img2img.training.session import Session


def data_as_begun(data: DataConfig, directory: RunDirectory) -> DataConfig:
    """`data`, with the settings that runs of older versions used implicitly.

    The layout is the one detected when the run began. Older runs read every file as RGB, and those
    from before ranges existed used the whole range of each file's type.
    """
    data = layout_as_trained(data, read_facts(directory.facts_path))
    if not directory.config_path.is_file():
        return data
    saved = read_yaml(directory.config_path).get("data")
    if not isinstance(saved, Mapping):
        return data
    then: dict[str, Any] = {}
    for side in "A", "B":
        known = saved[side] if isinstance(saved.get(side), Mapping) else {"range": "dtype"}
        now = getattr(data, side)
        before = {"channels": 3, "range": known.get("range", "auto")}
        missing = {key: before[key] for key in before if getattr(now, key) == "auto"}
        if "channels" not in known and missing:
            then[side] = now.model_copy(update=missing)
    return data.model_copy(update=then)


def note_changes(config: RunConfig, session: Session) -> list[Change]:
    """The settings that differ from those the run was started with; a notice reports each.

    Raises:
        ConfigError: the networks differ: the saved state does not fit others.
    """
    changes = changes_on_resume(read_yaml(session.directory.config_path), config)
    for change in changes:
        session.observer.noticed(str(change))
    return changes


def load_newest(trainer: Trainer, states: Sequence[Path], session: Session) -> None:
    """Load the newest state that all processes can read; a notice reports each unreadable one.

    Raises:
        ModelFileError: there is none. Such a run is not started again from nothing.
    """
    directory = session.directory
    for path in states:
        failure = ""
        try:
            _load(trainer, path)
        except ModelFileError as error:
            failure = str(error)
        failures = [each for each in session.processes.gather(failure) if each]
        if not failures:
            return
        session.observer.noticed(f"skipped: {failures[0]}")
        directory.skip(path)
    raise ModelFileError.of(
        directory.checkpoints,
        "every state is damaged or from another version; start a new run, perhaps with"
        f" `init_from={directory.model_path}`",
    )


def _load(trainer: Trainer, path: Path) -> None:
    state = load_state(path)
    try:
        trainer.load_state(state, path)
    except ConfigError as error:
        raise ModelFileError.of(path, str(error)) from None
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        what = f"{type(error).__name__}: {error}"
        raise ModelFileError.of(path, f"this version cannot read the state: {what}") from error
