"""Which options do something for which kind of input; what an option cannot do is an error.

docs/inference.md has the table, too.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from img2img.errors import DataError, some_names

# What there is to do: what is read, and, where it is another kind, what is made of it.
PICTURE, ANIMATION, SEQUENCE, VIDEO = "picture", "animation", "sequence", "video"
AS_VIDEO, AS_ANIMATION, AS_FRAMES = " to video", " to animation", " to frames"
_IMAGES = {PICTURE, ANIMATION, SEQUENCE}
_VIDEOS = {VIDEO, ANIMATION + AS_VIDEO, SEQUENCE + AS_VIDEO}
_FROM_VIDEO = {VIDEO + AS_ANIMATION, VIDEO + AS_FRAMES}
_MOVING = {ANIMATION, SEQUENCE, SEQUENCE + AS_ANIMATION} | _VIDEOS | _FROM_VIDEO
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
    "codec": _VIDEOS,
    "crf": _VIDEOS,
    "preset": _VIDEOS,
    "pixel-format": _VIDEOS,
    "container": _VIDEOS,
    "format": _IMAGES | {VIDEO + AS_FRAMES},
    "quality": _IMAGES | _FROM_VIDEO | {SEQUENCE + AS_ANIMATION},
}
_NAMES = {
    PICTURE: "a single picture",
    SEQUENCE: "pictures that stay pictures",
    ANIMATION: "an animation",
    VIDEO: "a video",
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
_WRITES = "it is for what becomes a video"


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
        kind = kinds[left[0]]
        what = _NAMES.get(kind, f"{kind.replace(' to ', ' that becomes ')}")
        names = some_names([str(path) for path in left], most=3)
        why = _INSTEAD.get(option) or (_MOVES if option in OF_ALL else _WRITES)
        alone = f"{left[0]} is {what}" if len(left) == 1 else f"of {names}, the first is {what}"
        raise DataError(f"--{option} would do nothing here: {alone}; {why}")
