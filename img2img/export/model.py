"""Exporting: writing a generator in another format, and proving that it does the same there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from img2img.config import Component, Direction
from img2img.engine.backends.eager import Eager
from img2img.engine.exportable import Fixed
from img2img.engine.exported import Description
from img2img.engine.loading import choose_generator
from img2img.engine.onnx_export import check_opset
from img2img.engine.sizing import pad_to_fit
from img2img.errors import (
    ConfigError,
    DataError,
    ExportFailed,
    Img2ImgError,
    ModelFileError,
    nearest_path,
    shortened,
)
from img2img.export.base import FORMATS
from img2img.images import Pixels, eight_bit, list_images, read_picture, resized
from img2img.networks import Generator
from img2img.runtime.files import atomic_write
from img2img.runtime.resources import bundled

# What an export may differ from PyTorch's float32 on the worst picture, in grey levels of 255 on
# average: by the order of sums, and by float16 weights.
TOLERANCE, HALF_TOLERANCE = 0.05, 0.5
# How many pictures are compared, and the pixels to a side that larger ones are reduced to.
MOST_PICTURES, MOST_SIDE = 16, 512
# Pixels to a side of the small ones.
_SMALL = 64
_BUNDLED = "datasets/earth/test/A"


@dataclass(frozen=True)
class Exported:
    """What was written, and how near it is to PyTorch's float32."""

    files: list[Path]
    """The one to name first."""
    format: str
    generator: str
    """Its name in the model."""
    direction: str
    pixels: bool
    half: bool
    bytes: int
    """Of all files."""
    images: int
    """How many images were compared."""
    mean: float
    """The mean difference on the worst of them, in grey levels of 255."""
    largest: float
    """The largest difference of a value."""
    tolerance: float
    """What `mean` was allowed to be."""


def export_model(
    model: Path | str,
    output: Path | str | None = None,
    format: str = "onnx",
    *,
    direction: Direction | None = None,
    pixels: bool = False,
    half: bool = False,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    opset: int | None = None,
    images: Path | str | None = None,
    tolerance: float | None = None,
) -> Exported:
    """Write one generator of a model for other programs.

    Before the file takes its name, it is loaded and run on pictures of several sizes, alone and in
    a batch, and compared with PyTorch's float32.

    Args:
        model: a model file or run folder.
        output: the file, or a folder for it; None: beside the model. What is there is replaced.
        format: a name in `FORMATS`.
        direction: which generator to take, where the model holds both ways.
        pixels: uint8 [N, H, W, 3] in and out; else float32 [N, 3, H, W] as the network has it.
        half: weights in float16.
        size: height and width of all pictures that the file takes, in pixels; None: any.
        batch: how many it takes at once; None: any number.
        opset: version of ONNX's operators, from 11 on; None: 18.
        images: a picture, or a folder of which the first 16 are taken, to compare on; None: some
            that come with the package.
        tolerance: the most that the mean difference may be on any picture, in grey levels of 255;
            None: 0.05, or 0.5 with `half`.

    Raises:
        ConfigError: no such format, its packages are not installed, or the model has no such form.
        ModelFileError: there is no model.
        ExportFailed: the exported model differs too much, or does not run; nothing is written.
    """
    part = FORMATS.build(Component(name=format), "format")
    if reason := part.missing():
        raise ConfigError(f"format {format}: {reason}")
    if opset is not None:
        if part.opset is None:
            raise ConfigError(f"opset: only for onnx, not for {format}")
        check_opset(opset)
        part.opset = opset
    if tolerance is None:
        tolerance = HALF_TOLERANCE if half else TOLERANCE
    elif not tolerance >= 0:
        raise ConfigError(f"tolerance: {tolerance} is not a number of at least 0")
    path = Path(model)
    file, name = choose_generator(path, direction)
    spec, generator = file.specs[name], file.generator(name)
    if (spec.in_channels, spec.out_channels) != (3, 3):
        raise ModelFileError.of(
            path,
            f"translates {spec.in_channels} channels to {spec.out_channels}; only models"
            " of RGB images can be exported",
        )
    ranges = [each for each in (spec.input, spec.output) if not each.whole]
    if pixels and ranges:
        told = " and ".join(dict.fromkeys(map(str, ranges)))
        raise ConfigError(
            f"pixels: {path} translates values in {told}, which uint8 pixels cannot"
            " hold; export it without, for floats from -1 to 1"
        )
    which = f"-{spec.direction}" if len(file.specs) > 1 else ""
    own = path / "model" if path.is_dir() else path.with_suffix("")
    target = _target(own.with_name(f"{own.name}{which}{part.suffix}"), output, part.suffix)
    pictures = _pictures(Path(images) if images else bundled(_BUNDLED))
    Fixed(batch, size).check(spec.size_multiple, spec.min_size)
    description = Description(
        generator=name, pixels=pixels, half=half, batch=batch, size=size, spec=spec
    )

    with atomic_write(target) as temporary:
        try:
            part.write(temporary, generator, description)
            run = part.open(temporary)
            differences = _differences(generator, run, pictures, description)
        except (Img2ImgError, OSError, MemoryError):
            raise
        except Exception as error:  # whatever exporter or runtime cannot do
            why = shortened(" ".join(str(error).split()))
            raise ExportFailed(
                f"{format}: this model cannot be exported in this format: {why}"
            ) from error
        means, tops = zip(*differences, strict=True)
        mean, largest = max(means), max(tops)
        if not mean <= tolerance:
            raise ExportFailed.of(
                target,
                f"not written: it differs from PyTorch's float32 by {mean:.3g} grey"
                f" levels on average and {largest:.3g} at most on the worst of {len(means)}"
                f" images, and {tolerance:g} on average are allowed",
            )
        written = sum(file.stat().st_size for file in temporary.parent.iterdir())
        files = [target, *(target.with_suffix(suffix) for suffix in part.beside)]
        # First what the file that one names cannot do without.
        for other in files[1:]:
            with atomic_write(other) as place:
                temporary.with_suffix(other.suffix).replace(place)
    return Exported(
        files=files,
        format=format,
        generator=name,
        direction=spec.direction,
        pixels=pixels,
        half=half,
        bytes=written,
        images=len(means),
        mean=mean,
        largest=largest,
        tolerance=tolerance,
    )


def _target(default: Path, output: Path | str | None, suffix: str) -> Path:
    target = default if output is None else Path(output)
    if target.is_dir():
        return target / default.name
    if target.suffix.lower() != suffix:
        raise ConfigError(f"output: {target}: the name must end in {suffix}")
    return target


def _pictures(path: Path) -> list[Pixels]:
    """The first pictures of a folder, or the one that a file is, at sizes that are quick to run."""
    if not path.exists():
        raise DataError(f"images: {path}: no such file or folder{nearest_path(path)}")
    files = list_images(path)[:MOST_PICTURES] if path.is_dir() else [path]
    if not files:
        raise DataError(f"images: {path}: no images")
    pictures = []
    for file in files:
        picture = read_picture(file)
        height, width = picture.size
        factor = min(1.0, MOST_SIDE / max(height, width))
        size = max(1, round(factor * height)), max(1, round(factor * width))
        pictures.append(resized(eight_bit(picture.composited()), size))
    return pictures


def _batches(
    pictures: Sequence[Pixels], multiple: int, least: int, fixed: Fixed
) -> Iterator[Tensor]:
    """Each picture alone; the first one small; and some together, higher than wide.

    What is fixed is as it has to be: pictures are resized, and come as often as it takes.
    """
    side = -(-max(least, _SMALL) // multiple) * multiple
    if fixed.size:
        sized = [resized(each, fixed.size) for each in pictures]
    else:
        sized = [pad_to_fit(each, multiple, least) for each in pictures]
        sized.append(resized(pictures[0], (side, side)))
    for each in sized:
        yield torch.from_numpy(np.stack([each] * (fixed.batch or 1)))
    some = [pictures[number % len(pictures)] for number in range(fixed.batch or 3)]
    size = fixed.size or (side + multiple, side)
    yield torch.from_numpy(np.stack([resized(each, size) for each in some]))


def _differences(
    generator: Generator,
    run: Callable[[Tensor], Tensor],
    pictures: Sequence[Pixels],
    description: Description,
) -> list[tuple[float, float]]:
    """The mean and the largest difference from eager float32, of each image, in grey levels."""
    pixels, fixed = description.pixels, description.fixed
    black, white = description.spec.value_range
    exact = Eager(generator, torch.device("cpu"), "fp32")
    found: list[tuple[float, float]] = []
    for levels in _batches(pictures, generator.size_multiple, generator.min_size, fixed):
        x = levels.movedim(-1, 1).float() * ((white - black) / 255) + black
        wanted = (exact.run(x) - black) * (255 / (white - black))
        with torch.inference_mode():
            got = run(levels if pixels else x.contiguous())
        if pixels:
            wanted, got = wanted.round().clamp(0, 255), got.movedim(-1, 1).float()
        else:
            got = (got - black) * (255 / (white - black))
        if got.shape != wanted.shape:
            raise ValueError(f"it gives {tuple(got.shape)} for {tuple(wanted.shape)}")
        # Not a number counts as far apart.
        apart = (got - wanted).abs().nan_to_num(nan=255).flatten(1)
        found += zip(apart.mean(1).tolist(), apart.amax(1).tolist(), strict=True)
    return found
