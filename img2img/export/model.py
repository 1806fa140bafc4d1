"""Exporting a generator to another format, and verifying that its results are the same there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from img2img.config import Component, Direction
from img2img.data.sources import ImageSource
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
    nearest_path,
    shortened,
)
from img2img.export.base import FORMATS
from img2img.images import RGB, Domain, Pixels, eight_bit, list_images, read_picture, resized
from img2img.networks import Generator
from img2img.runtime.files import atomic_write
from img2img.runtime.resources import bundled

# Maximum mean difference from PyTorch's float32 on the worst picture, in grey levels of 255: due to
# the order of sums, and due to float16 weights.
TOLERANCE, HALF_TOLERANCE = 0.05, 0.5
# Maximum number of pictures that are compared, and the longer side that they are reduced to.
MOST_PICTURES, MOST_SIDE = 16, 512
# Side of the small picture, in pixels.
_SMALL = 64
_BUNDLED = "datasets/earth/test/A"


@dataclass(frozen=True)
class Exported:
    """The files that an export has written, and how far their results are from float32."""

    files: list[Path]
    """The files written; the main one first."""
    format: str
    """Name of the format."""
    generator: str
    """Name of the generator in the model."""
    direction: str
    """Translation direction of the generator."""
    pixels: bool
    """Whether input and output are uint8 pixels."""
    half: bool
    """Whether the weights are float16."""
    bytes: int
    """Total size of the files."""
    images: int
    """Number of images that were compared."""
    mean: float
    """Mean difference on the worst image, in grey levels of 255."""
    largest: float
    """Largest difference of any value, in grey levels of 255."""
    tolerance: float
    """Maximum that was allowed for `mean`."""


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
    """Export one generator of a model to a file for other programs.

    Before the file gets its name, it is loaded by its runtime, run on pictures of several sizes,
    singly and in a batch, and compared with PyTorch's float32.

    Args:
        model: a model file or run folder.
        output: the file, or a folder for it; None: next to the model. An existing file is replaced.
        format: a name in `FORMATS`.
        direction: translation direction of a two-way model.
        pixels: make input and output uint8 [N, H, W, C] instead of float32 [N, C, H, W], which is
            possible if the model translates 8-bit images to 8-bit images.
        half: store weights in float16.
        size: fix height and width of the images, in pixels; None: any size.
        batch: fix the batch size; None: any.
        opset: ONNX operator set version, 11 or newer; None: 18.
        images: a picture to verify the export on, or a folder, of which the first 16 are used;
            None: pictures that come with the package, with as many channels as the model takes.
        tolerance: maximum mean difference on any picture, in grey levels of 255; None: 0.05, or 0.5
            with `half`.

    Raises:
        ConfigError: the format is unknown or its packages are not installed, or it does not support
            the model or an option.
        ModelFileError: there is no model, or it needs a style or noise.
        ExportFailed: the exported model does not run or differs too much; nothing is written.
    """
    part = FORMATS.build(Component(name=format), "format")
    if reason := part.missing():
        raise ConfigError(f"format {format}: {reason}")
    if opset is not None:
        if part.opset is None:
            raise ConfigError(f"`opset`: only for `format` onnx, not for {format}")
        check_opset(opset)
        part.opset = opset
    if tolerance is None:
        tolerance = HALF_TOLERANCE if half else TOLERANCE
    elif not tolerance >= 0:
        raise ConfigError(f"`tolerance`: {tolerance} is less than 0")
    path = Path(model)
    file, name = choose_generator(path, direction)
    spec, generator = file.specs[name], file.generator(name)
    if pixels and not (_is_eight_bit(spec.input) and _is_eight_bit(spec.output)):
        raise ConfigError(
            f"`pixels`: {path} translates {spec.input.summary}, to {spec.output.summary}, which"
            " uint8 pixels cannot hold; export it without `pixels`, with floats from -1 to 1"
        )
    which = f"-{spec.direction}" if len(file.specs) > 1 else ""
    own = path / "model" if path.is_dir() else path.with_suffix("")
    target = _target(own.with_name(f"{own.name}{which}{part.suffix}"), output, part.suffix)
    pictures = _pictures(Path(images) if images else None, spec.input)
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
        except Exception as error:  # whatever the exporter or the runtime raises
            why = shortened(" ".join(str(error).split()))
            raise ExportFailed(
                f"this model cannot be exported to the `format` {format}: {why}"
            ) from error
        means, tops = zip(*differences, strict=True)
        mean, largest = max(means), max(tops)
        if not mean <= tolerance:
            raise ExportFailed.of(
                target,
                f"not written: it differs from PyTorch's float32 by {mean:.3g} grey"
                f" levels on average and {largest:.3g} at most on the worst of {len(means)}"
                f" images, but only {tolerance:g} on average is allowed (`tolerance`)",
            )
        written = sum(file.stat().st_size for file in temporary.parent.iterdir())
        files = [target, *(target.with_suffix(suffix) for suffix in part.other_suffixes)]
        # First the files that the main one depends on.
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
        raise ConfigError(f"`output`: {target} must end in {suffix}")
    return target


def _is_eight_bit(domain: Domain) -> bool:
    """Whether uint8 pixels hold all that the images of a domain can."""
    return domain.kind == "image" and domain.dtype == "uint8" and domain.whole and domain.clip


def _pictures(path: Path | None, domain: Domain) -> list[Pixels]:
    """A picture, or the first ones of a folder, reduced to sizes that run quickly.

    Those of the package, where `path` is None, are given the channels of the domain.
    """
    if path is None:
        channels = np.arange(len(domain.channels)) % len(RGB)
        found = [read_picture(file).pixels[..., channels] for file in _files(bundled(_BUNDLED))]
    else:
        found = [ImageSource(file, domain=domain).read().composited() for file in _files(path)]
    pictures = []
    for pixels in found:
        height, width = pixels.shape[:2]
        factor = min(1.0, MOST_SIDE / max(height, width))
        size = max(1, round(factor * height)), max(1, round(factor * width))
        pictures.append(resized(eight_bit(pixels), size))
    return pictures


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"`images`: {path}: no such file or folder{nearest_path(path)}")
    files = list_images(path)[:MOST_PICTURES] if path.is_dir() else [path]
    if not files:
        raise DataError(f"`images`: {path}: no images in this folder")
    return files


def _batches(
    pictures: Sequence[Pixels], multiple: int, least: int, fixed: Fixed
) -> Iterator[Tensor]:
    """Batches to compare: each picture singly, the first one small, and some together, upright.

    If the size is fixed, pictures are resized to it; if the batch is, they are repeated to fill it.
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
    """Mean and largest difference from eager float32 for each image, in grey levels."""
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
            raise ValueError(f"its output is {tuple(got.shape)} instead of {tuple(wanted.shape)}")
        # NaN counts as the largest difference.
        apart = (got - wanted).abs().nan_to_num(nan=255).flatten(1)
        found += zip(apart.mean(1).tolist(), apart.amax(1).tolist(), strict=True)
    return found
