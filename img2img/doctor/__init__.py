"""The doctor finds faults of a run in its log; importing it registers all conditions."""

from img2img.doctor.condition import CONDITIONS, Evidence, Finding, Rounds, examine, follow
from img2img.registry import import_submodules
from img2img.runs.history import RunHistory

import_submodules(__name__, __path__)

__all__ = [
    "CONDITIONS",
    "Evidence",
    "Finding",
    "Rounds",
    "RunHistory",
    "examine",
    "follow",
]
