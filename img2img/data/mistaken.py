"""Messages for a path that is not a folder of images: what it is, and what to use instead."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from img2img.errors import nearest_path, some_names
from img2img.images import (
    is_run,
    list_own,
    readable_suffixes,
    suffix_of,
    unreadable_suffixes,
    walk,
)

_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


def no_folder(path: Path) -> str:
    """The message for a path that is not a folder."""
    suffix = path.suffix.lower()
    if not path.exists():
        return f"{path}: no such folder{nearest_path(path)}"
    if suffix_of(path) in readable_suffixes():
        return f"{path}: this is a single picture, not a folder; use the folder that contains it"
    if suffix in _ARCHIVES:
        return f"{path}: this is an archive, not a folder; unpack it and use the unpacked folder"
    if suffix in _video_suffixes():
        return f"{path}: this is a video, not a folder; {_take_frames(path)}"
    return f"{path}: this is not a folder"


def no_images(folder: Path) -> str:
    """The message for a folder in which no image is found."""
    if is_run(folder):
        return f"{folder}: this is a run folder, not a folder of images to train on"
    return f"{folder}: contains no images{_instead(folder)}"


def _instead(folder: Path) -> str:
    """Describe the contents of a folder without images."""
    found = sorted(walk(folder))
    kinds = Counter(map(suffix_of, found))
    unread = ", ".join(f"{kind} ({kinds[kind]})" for kind in kinds if kind in unreadable_suffixes())
    own = [str(path) for path in list_own(folder)]
    if archives := _of_kind(found, _ARCHIVES):
        return f", only archives: {some_names(archives, 3)}; unpack the one with the images"
    if videos := _of_kind(found, _video_suffixes()):
        return f", only videos: {some_names(videos, 3)}; {_take_frames(Path(videos[0]))}"
    if unread:
        return f" in a supported format, only {unread}; convert them to PNG"
    if own:
        return f" except results of img2img: {some_names(own, 3)}"
    return "" if any(folder.iterdir()) else ": the folder is empty"


def _of_kind(files: Iterable[Path], suffixes: frozenset[str]) -> list[str]:
    return [file.name for file in files if file.suffix.lower() in suffixes]


def _video_suffixes() -> frozenset[str]:
    from img2img.video import VIDEO_SUFFIXES  # whose libraries only a mistake is worth loading for

    return VIDEO_SUFFIXES


def _take_frames(video: Path) -> str:
    return f"extract its frames first, for example by: ffmpeg -i {video.name} frames/%06d.png"
