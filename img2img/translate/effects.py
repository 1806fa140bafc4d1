"""Which options do something for which kind of input; what an option cannot do is an error.

docs/inference.md has the table, too.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from img2img.errors import DataError
from img2img.translate.sequences import is_animated

# What there is to do: what is read, and, where it is another kind, what is made of it.
PICTURE, ANIMATION, SEQUENCE, VIDEO = "picture", "animation", "sequence", "video"
AS_VIDEO, AS_ANIMATION, AS_FRAMES = " to video", " to animation", " to frames"
_IMAGES = {PICTURE, ANIMATION, SEQUENCE}
VIDEOS = {VIDEO, ANIMATION + AS_VIDEO, SEQUENCE + AS_VIDEO}
_FROM_VIDEO = {VIDEO + AS_ANIMATION, VIDEO + AS_FRAMES}
_MOVING = {ANIMATION, SEQUENCE, SEQUENCE + AS_ANIMATION} | VIDEOS | _FROM_VIDEO
KINDS = (PICTURE, *sorted(_MOVING))

# By option, the kinds that it does something for. With the first ones all files have to be of them,
# as a part of the result would lack what was asked for; the others say how what is of them is
# written.
OF_ALL: Mapping[str, Collection[str]] = {
    "stabilize": _MOVING,
    "every": _MOVING,
    "start": _MOVING,
    "end": _MOVING,
    "fps": {SEQUENCE + AS_VIDEO, SEQUENCE + AS_ANIMATION},
    "compare": _IMAGES,
    "gallery": _IMAGES,
}
OF_SOME: Mapping[str, Collection[str]] = {
    "frames": {VIDEO + AS_FRAMES},
    "codec": VIDEOS,
    "crf": VIDEOS,
    "preset": VIDEOS,
    "pixel-format": VIDEOS,
    "container": VIDEOS,
    "format": _IMAGES | {VIDEO + AS_FRAMES},
    "quality": _IMAGES | _FROM_VIDEO | {SEQUENCE + AS_ANIMATION},
}
_NAMES = {
    PICTURE: "a single picture",
    ANIMATION: "an animation",
    SEQUENCE: "a sequence",
    VIDEO: "a video",
    "frames": "frames",
}
_INSTEAD = {
    "fps": "it is for a sequence that becomes one video: --output clip.mp4",
    "compare": "it is for pictures, animations and sequences",
    "gallery": "it is for pictures, animations and sequences",
    "frames": "it is for videos",
    "format": "it is for images: of a video, --output and --container say what it becomes",
    "quality": "it is for images: of a video, --crf says how good it is",
}
_MOVES = "it is for videos, animations and sequences of numbered pictures"
_WRITES = "it is for what becomes a video: --output clip.mp4, or --container"


def check_options(given: Collection[str], kinds: Mapping[Path, str]) -> None:
    """See whether each option does something.

    Args:
        given: names of the options, without dashes.
        kinds: what each file is; some of `KINDS`.

    Raises:
        DataError: one does not, and for which file.
    """
    for option in given:
        served = OF_ALL.get(option) or OF_SOME[option]
        left = [path for path, kind in kinds.items() if kind not in served]
        if not left or (option in OF_SOME and len(left) < len(kinds)):
            continue
        first = f"{left[0]}{f', the first of {len(left)},' if len(left) > 1 else ''}"
        why = _INSTEAD.get(option) or (_MOVES if option in OF_ALL else _WRITES)
        what = _called(left[0], kinds[left[0]])
        raise DataError(f"--{option} would do nothing here: {first} is {what}; {why}")


def _called(path: Path, kind: str) -> str:
    if kind == SEQUENCE:
        return "of a sequence that stays pictures"
    if kind == PICTURE and is_animated(path):  # which nobody has asked until now
        return _NAMES[ANIMATION]
    return " that becomes ".join(_NAMES[part] for part in kind.split(" to "))
