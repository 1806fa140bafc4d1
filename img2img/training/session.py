"""What is around a training: one call of `train`."""

from dataclasses import dataclass

from img2img.runs.directory import RunDirectory
from img2img.runtime.processes import ALONE, Processes
from img2img.training.events import Observer
from img2img.training.stopping import StopRequest


@dataclass(frozen=True)
class Session:
    """One call of `train`.

    Attributes:
        directory: where models and states go.
        observer: told of everything.
        stop: asked between steps.
        processes: those that train together.
    """

    directory: RunDirectory
    observer: Observer
    stop: StopRequest
    processes: Processes = ALONE
