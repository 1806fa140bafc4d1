"""The surroundings of the training loop: one call of `train`."""

from dataclasses import dataclass

from img2img.runs.directory import RunDirectory
from img2img.runtime.processes import ALONE, Processes
from img2img.training.events import Observer
from img2img.training.stopping import StopRequest


@dataclass(frozen=True)
class Session:
    """The folder, observer and processes of one call of `train`.

    Attributes:
        directory: the run folder, which gets models and states.
        observer: gets all events.
        stop: the request to stop, checked between steps.
        processes: the processes that train together.
    """

    directory: RunDirectory
    observer: Observer
    stop: StopRequest
    processes: Processes = ALONE
