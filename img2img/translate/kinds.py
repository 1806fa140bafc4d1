"""The kinds of input and output, and which options apply to each.

An option that would have no effect is an error. docs/inference.md has the same table.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path

from img2img.errors import DataError
from img2img.translate.sequences import is_animated


class Kind(StrEnum):
    """What a file is and, if that is different, what it becomes."""

    PICTURE = "picture"
    ANIMATION = "animation"
    ANIMATION_TO_VIDEO = "animation to video"
    SEQUENCE = "sequence"
    SEQUENCE_TO_ANIMATION = "sequence to animation"
    SEQUENCE_TO_VIDEO = "sequence to video"
    VIDEO = "video"
    VIDEO_TO_ANIMATION = "video to animation"
    VIDEO_TO_FRAMES = "video to frames"


# Kinds that are translated file by file. All others are translated frame by frame.
IMAGES = {Kind.PICTURE, Kind.ANIMATION, Kind.SEQUENCE}
TO_VIDEO = {Kind.VIDEO, Kind.ANIMATION_TO_VIDEO, Kind.SEQUENCE_TO_VIDEO}
_MOVING = {*Kind} - {Kind.PICTURE}
_ENCODED = ("codec", "crf", "preset", "pixel_format", "container")

# The kinds that each option applies to. An option of the first table must apply to every file, or
# some results would lack what was asked for; one of the second says how files of its kinds are
# written, and others may be present.
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
    Kind.SEQUENCE: "part of a sequence that stays pictures",
    Kind.SEQUENCE_TO_ANIMATION: "a sequence that becomes an animation",
    Kind.SEQUENCE_TO_VIDEO: "a sequence that becomes a video",
    Kind.VIDEO: "a video",
    Kind.VIDEO_TO_ANIMATION: "a video that becomes an animation",
    Kind.VIDEO_TO_FRAMES: "a video that becomes frames",
}
_SERVES = {
    **dict.fromkeys(
        ("stabilize", "every", "start", "end"),
        "it applies to videos, animations and sequences of numbered pictures",
    ),
    "fps": "it applies to sequences that become one video: `output=clip.mp4`",
    **dict.fromkeys(("compare", "gallery"), "it applies to pictures, animations and sequences"),
    "frames": "it applies to videos",
    **dict.fromkeys(
        _ENCODED, "it applies to files that become videos: `output=clip.mp4`, or `container`"
    ),
    "image_format": "it applies to images; choose the format of a video with `output` or"
    " `container`",
    "quality": "it applies to images; set the quality of a video with `crf`",
}


def check_options(given: Collection[str], kinds: Mapping[Path, Kind]) -> None:
    """Check that each option has an effect.

    Args:
        given: names of options. Options that apply to all kinds are ignored.
        kinds: the kind of each file.

    Raises:
        DataError: an option has no effect; the message names it and the first such file.
    """
    for option in given:
        served = FOR_ALL.get(option) or FOR_SOME.get(option) or {*Kind}
        left = [path for path, kind in kinds.items() if kind not in served]
        if not left or (option in FOR_SOME and len(left) < len(kinds)):
            continue
        first, kind = left[0], kinds[left[0]]
        if kind is Kind.PICTURE and is_animated(first):  # not looked at until now
            kind = Kind.ANIMATION
        of = f", the first of {len(left)}," if len(left) > 1 else ""
        raise DataError(
            f"`{option}` would have no effect: {first}{of} is {_CALLED[kind]}; {_SERVES[option]}"
        )
