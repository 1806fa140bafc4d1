"""Translating videos: to a video with its sound and metadata, to images, or to an animation."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from img2img.engine.translator import Translator
from img2img.errors import ConfigError, DataError, ImageError, VideoError
from img2img.images import (
    MAX_PIXELS,
    OPAQUE_SUFFIXES,
    OURS,
    Animation,
    Picture,
    eight_bit,
    keeps_depth,
    read_image,
    write_image,
    write_picture,
)
from img2img.runtime.files import write_text
from img2img.runtime.pipeline import ahead
from img2img.translate.frames import FrameTranslator
from img2img.translate.masks import MaskedFrames, Masks, of_footage
from img2img.translate.options import RATE, VideoOptions
from img2img.translate.plan import Job
from img2img.video import Frame, is_video
from img2img.video.convert import Converted, FrameTransform, Notes, OnProgress, convert
from img2img.video.footage import Film, Footage, Stills, with_sizes
from img2img.video.probing import VideoInfo
from img2img.video.span import WHOLE

# Names of the images in folders of frames.
_NUMBERED = re.compile(r"\d{6,}\.\w+")
_EIGHT = 8
DROPOUT_OFF = "dropout is off in videos: with it, they would flicker"


def translate_video(
    translator: Translator,
    source: Footage | Path | str,
    target: Path | str,
    options: VideoOptions | None = None,
    *,
    elsewhere: Callable[[Path], Path] | None = None,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Translate a video, keeping its times, sound, subtitles, chapters, metadata and colour tags.

    Finished work survives a crash: the same call resumes it, and repeats at most about a minute.

    Args:
        target: the file to write; it becomes `.mkv` if its container cannot hold the sound.
        elsewhere: called with the `.mkv` name, returns the name to use; None: the `.mkv` name, if
            no such file exists.
        progress: called with (frames done, total), including frames of an earlier call.
        say: called with a line on anything unexpected.

    Raises:
        ConfigError: the encoding or the container is not available.
        DataError: another process is making the same file.
        VideoError: the video cannot be read, or a frame cannot be translated.
        StorageError: the folder of the target cannot be written to.
        TranslationInterrupted: Ctrl-C; the same call resumes the work.
        TranslationStopped: SIGTERM, or the disk is full; the same call resumes the work.
    """
    options = options or VideoOptions()
    target = Path(target)
    footage = _footage(source)
    transform = _transform(translator, footage, options, say)
    return convert(
        footage,
        target,
        transform,
        encoding=options.encoding,
        settings=json.dumps([translator.identity, options.stabilize, *_mask_of(footage, options)]),
        span=options.span,
        elsewhere=elsewhere,
        progress=progress,
        say=say,
    )


def translate_to_images(
    translator: Translator,
    source: Footage | Path | str,
    target: Path | str,
    options: VideoOptions | None = None,
    *,
    animated: bool = False,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """Translate a video, or pictures, to numbered images in a folder, or to one animated image.

    The images are `000001.png` and so on, with 8 or 16 bits like the video. Images that an earlier
    call wrote to the folder are removed first. An animation has 8 bits, and all of its frames are
    held in memory at once.

    Args:
        target: the folder; or, of an animated GIF, WebP, PNG or AVIF, the file.

    Raises:
        ConfigError: there are too many frames for an animation.
        DataError: the folder contains files that no earlier call wrote.
        VideoError: the video cannot be read, has no frames between `start` and `end`, or a frame
            cannot be translated.
        StorageError: the folder or the file cannot be written.
    """
    begun = time.monotonic()
    options, target, footage = options or VideoOptions(), Path(target), _footage(source)
    info, note = footage.info, Notes(say)
    suffix = target.suffix if animated else f".{(options.image_format or 'png').lstrip('.')}"
    note(*info.remarks, *_losses(info, suffix.lower(), moving=animated))
    transform = _transform(translator, footage, options, say)
    translated = transform(with_sizes(footage.frames(options.span), info, note))
    if animated:
        written = _to_animation(translated, target, info, options)
    else:
        written = _to_images(translated, target, suffix.lower(), options)
    total = info.frames if options.span == WHOLE else None
    done = concealed = 0
    size = info.upright_size
    for frame in written:
        done, concealed = done + 1, concealed + frame.concealed
        size = frame.pixels.shape[:2]
        if progress:
            progress(done, total)
    if not done:
        raise VideoError.of(info.path, "no frames between `start` and `end`")
    return Converted(target, size, done, concealed, 0, time.monotonic() - begun, tuple(note.lines))


def _to_images(
    frames: Iterator[Frame], folder: Path, suffix: str, options: VideoOptions
) -> Iterator[Frame]:
    _clear(folder)

    def write(numbered: tuple[int, Frame]) -> Frame:
        number, frame = numbered
        picture = Picture(frame.pixels, frame.alpha)
        write_picture(folder / f"{number:06d}{suffix}", picture, options.quality_used)
        return frame

    return ahead(write, enumerate(frames, 1), workers=2, bound=4)


def _to_animation(
    frames: Iterator[Frame], target: Path, info: VideoInfo, options: VideoOptions
) -> Iterator[Frame]:
    pictures: list[Picture] = []
    times: list[int] = []
    for frame in frames:
        alpha = None if frame.alpha is None else eight_bit(frame.alpha)
        pictures.append(Picture(eight_bit(frame.pixels), alpha))
        times.append(frame.pts)
        height, width = pictures[0].size
        if len(pictures) > (most := MAX_PIXELS // (height * width)):
            raise ConfigError.of(
                info.path,
                f"an animation can have at most {most} frames of {width} x {height}, and these are"
                " more; take fewer (`end`, `every`) or smaller ones (`max_side`), or make a video",
            )
        end = frame.pts + options.every * (frame.duration or info.step)
        yield frame
    if len(pictures) == 1:
        write_image(target, pictures[0], options.quality_used)
    elif pictures:
        spans = pairwise([*times, end])
        lasting = tuple(round((end - time) * info.time_base * 1000) for time, end in spans)
        write_image(target, Animation(tuple(pictures), lasting), options.quality_used)


def _losses(info: VideoInfo, suffix: str, *, moving: bool) -> tuple[str, ...]:
    """A line on everything that is lost when frames become images in this format; or none.

    Args:
        moving: whether all frames become one animation.
    """
    shallow = moving or not keeps_depth(suffix)
    lines = {
        f"{info.depth} bits per channel become 8": shallow and info.depth > _EIGHT,
        "colours are reduced to 256 per frame": suffix == ".gif",
        "transparency is replaced by white": info.alpha and suffix in OPAQUE_SUFFIXES,
        "transparency becomes all or nothing": info.alpha and suffix == ".gif",
        f"{suffix} cannot hold sound": moving and info.sound,
    }
    said = [line for line, lost in lines.items() if lost]
    return ("; ".join(said),) if said else ()


def _clear(folder: Path) -> None:
    """Create the folder for frames, and remove those of an earlier call."""
    mark = folder / OURS
    if folder.is_dir() and any(folder.iterdir()) and not mark.exists():
        raise DataError.of(
            folder, "contains files that img2img did not make; choose another `output`"
        )
    write_text(mark, "")
    for path in folder.iterdir():
        if _NUMBERED.fullmatch(path.name):
            path.unlink()


def footage_of(job: Job, translator: Translator, options: VideoOptions) -> Footage:
    """The source of a job's frames.

    Raises:
        ImageError: a picture cannot be read, or is not an animation.
    """
    full_range = translator.values.full_range
    if job.frames:
        return replace(Stills.of_files(job.frames, options.fps or RATE), seen=full_range)
    if is_video(job.source):
        return Film(job.source)
    image = read_image(job.source)
    if not isinstance(image, Animation):
        raise ImageError.of(job.source, "a single picture, so it cannot become a video")
    return replace(Stills.of_animation(job.source, image), seen=full_range)


def _footage(source: Footage | Path | str) -> Footage:
    return Film(Path(source)) if isinstance(source, str | Path) else source


def _mask_of(footage: Footage, options: VideoOptions) -> list[Any]:
    masks = Masks.of(options)
    return masks.identity(*of_footage(footage)) if masks else []


def _transform(
    translator: Translator, footage: Footage, options: VideoOptions, say: Callable[[str], None]
) -> FrameTransform:
    """The translator of the frames. Reports the scale, and that dropout is off."""
    if translator.spec.dropout:
        say(DROPOUT_OFF)
    transform = FrameTranslator(translator, options.stabilize)
    say(transform.translator.describe_scale(footage.info.upright_size))
    masks = Masks.of(options)
    if masks is None:
        return transform
    translator.require_same_domain()
    return MaskedFrames(transform, masks, footage)
