"""What a file is and becomes, and which options do something for it.

An option that would do nothing is an error. docs/inference.md has the table, too.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path

from img2img.errors import DataError
from img2img.translate.sequences import is_animated


class Kind(StrEnum):
    """What is read, and, where it is another kind, what it becomes."""

    PICTURE = "picture"
    ANIMATION = "animation"
    ANIMATION_TO_VIDEO = "animation to video"
    SEQUENCE = "sequence"
    SEQUENCE_TO_ANIMATION = "sequence to animation"
    SEQUENCE_TO_VIDEO = "sequence to video"
    VIDEO = "video"
    VIDEO_TO_ANIMATION = "video to animation"
    VIDEO_TO_FRAMES = "video to frames"


# What is translated file by file; all else goes through frame by frame.
IMAGES = {Kind.PICTURE, Kind.ANIMATION, Kind.SEQUENCE}
TO_VIDEO = {Kind.VIDEO, Kind.ANIMATION_TO_VIDEO, Kind.SEQUENCE_TO_VIDEO}
_MOVING = {*Kind} - {Kind.PICTURE}
_ENCODED = ("codec", "crf", "preset", "pixel_format", "container")

# By option, the kinds that it does something for. With the first ones all files have to be of them,
# as a part of the result would lack what was asked for; the others say how what is of them is
# written.
FOR_ALL: Mapping[str, Collection[Kind]] = {
    **dict.fromkeys(("stabilize", "every", "start", "end"), _MOVING),
    "fps": {Kind.SEQUENCE_TO_VIDEO, Kind.SEQUENCE_TO_ANIMATION},
    **dict.fromkeys(("compare", "gallery"), IMAGES),
}
FOR_SOME: Mapping[str, Collection[Kind]] = {
    "frames": {Kind.VIDEO_TO_FRAMES},
    **dict.fromkeys(_ENCODED, TO_VIDEO),
    "image_format": IMAGES | {Kind.VIDEO_TO_FRAMES},
    "quality": {*Kind} - TO_VIDEO,
}

_CALLED = {
    Kind.PICTURE: "a single picture",
    Kind.ANIMATION: "an animation",
    Kind.ANIMATION_TO_VIDEO: "an animation that becomes a video",
    Kind.SEQUENCE: "of a sequence that stays pictures",
    Kind.SEQUENCE_TO_ANIMATION: "a sequence that becomes an animation",
    Kind.SEQUENCE_TO_VIDEO: "a sequence that becomes a video",
    Kind.VIDEO: "a video",
    Kind.VIDEO_TO_ANIMATION: "a video that becomes an animation",
    Kind.VIDEO_TO_FRAMES: "a video that becomes frames",
}
_SERVES = {
    **dict.fromkeys(
        ("stabilize", "every", "start", "end"),
        "it is for videos, animations and sequences of numbered pictures",
    ),
    "fps": "it is for a sequence that becomes one video: `output=clip.mp4`",
    **dict.fromkeys(("compare", "gallery"), "it is for pictures, animations and sequences"),
    "frames": "it is for videos",
    **dict.fromkeys(_ENCODED, "it is for what becomes a video: `output=clip.mp4`, or `container`"),
    "image_format": "it is for images: `output` and `container` say what a video becomes",
    "quality": "it is for images: `crf` is the quality of a video",
}


def check_options(given: Collection[str], kinds: Mapping[Path, Kind]) -> None:
    """See whether each option does something.

    Args:
        given: names of options; those that concern all kinds are passed over.
        kinds: what each file is.

    Raises:
        DataError: one does not, and for which file.
    """
    for option in given:
        served = FOR_ALL.get(option) or FOR_SOME.get(option) or {*Kind}
        left = [path for path, kind in kinds.items() if kind not in served]
        if not left or (option in FOR_SOME and len(left) < len(kinds)):
            continue
        first, kind = left[0], kinds[left[0]]
        if kind is Kind.PICTURE and is_animated(first):  # which nobody has asked until now
            kind = Kind.ANIMATION
        of = f", the first of {len(left)}," if len(left) > 1 else ""
        raise DataError(
            f"`{option}` would do nothing here: {first}{of} is {_CALLED[kind]}; {_SERVES[option]}"
        )
