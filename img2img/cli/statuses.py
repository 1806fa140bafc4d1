"""Exit statuses by kind of error."""

from collections.abc import Mapping
from typing import Final

from img2img.errors import (
    ExportFailed,
    Img2ImgError,
    Stopped,
    TrainingDiverged,
    TrainingInterrupted,
    TranslationInterrupted,
)

IN_PART: Final = 1
WRONG: Final = 2
RESUMABLE: Final = 75
INTERRUPTED: Final = 130

# The nearest class of an error counts.
STATUSES: Mapping[type[BaseException], int] = {
    Img2ImgError: WRONG,
    TrainingDiverged: IN_PART,
    ExportFailed: IN_PART,
    Stopped: RESUMABLE,
    TrainingInterrupted: INTERRUPTED,
    TranslationInterrupted: INTERRUPTED,
}


def status_of(error: Img2ImgError) -> int:
    """The exit status for an error."""
    return next(STATUSES[each] for each in type(error).__mro__ if each in STATUSES)
