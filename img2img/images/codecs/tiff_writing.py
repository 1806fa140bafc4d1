"""Writing TIFF: with axes, and of more than 4 GB, by tifffile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from img2img.images.codecs.base import Writer, with_gaps
from img2img.images.picture import Frames, Header, Picture, Size
from img2img.images.tiff import GDAL_METADATA, NODATA, named_channels

# The least of what is in 4 GB files that is not pixels.
LARGE = 2**32 - 2**25


_OF_OME = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")


@dataclass(frozen=True)
class TiffHeader(Header):
    """What a TIFF says besides its pixels.

    Attributes:
        kind: `ome`, `imagej`, `shaped` as tifffile writes axes, or empty.
        separate: whether channels are planes of their own, not samples of a pixel.
        about: what that says of the picture, as tifffile writes it: sizes of pixels and the like.
        resolution: pixels a unit, across and down, and the unit, where that is no inch.
    """

    kind: str = ""
    separate: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    resolution: tuple[float, float, int] | None = None

    def resized(self, before: Size, after: Size) -> "TiffHeader":
        down, across = (new / old for new, old in zip(after, before, strict=True))
        about = dict(self.about)
        for key, factor in (("PhysicalSizeX", across), ("PhysicalSizeY", down)):
            if key in about:
                about[key] /= factor
        resolution = self.resolution
        if resolution:
            resolution = (resolution[0] * across, resolution[1] * down, resolution[2])
        return replace(self, about=about, resolution=resolution)


def nodata_of(picture: Picture) -> float | None:
    """The value of pixels without data, as the header says."""
    return None if picture.header is None else picture.header.nodata


def write_by_tifffile(path: Path, image: Picture | Frames) -> bool:
    """Write what has axes, or is too large for a file of less than 4 GB; False: it is neither.

    Nor is it what has alpha.
    """
    pictures = image.frames if isinstance(image, Frames) else (image,)
    header = image.header
    first = pictures[0]
    if not isinstance(header, TiffHeader):
        header = header or first.header
        spacing = None if header is None else header.spacing(len(pictures))
        header = _spaced(spacing, first, len(pictures), nodata_of(first))
    between = {"z": "Z", "t": "T"}.get(image.axis) if isinstance(image, Frames) else None
    large = sum(picture.pixels.nbytes for picture in pictures) > LARGE
    alike = len({(picture.pixels.shape, picture.pixels.dtype) for picture in pictures}) == 1
    opaque = all(picture.alpha is None for picture in pictures)
    if not (header.kind or between or large) or not (alike and opaque):
        return False
    channels = first.pixels.shape[2]
    values = np.stack([with_gaps(picture, header.nodata) for picture in pictures])
    kind = header.kind
    if kind == "imagej" and first.pixels.dtype not in (np.uint8, np.uint16, np.float32):
        kind = ""  # ImageJ has no others
    colour = (
        channels == 3
        and not header.separate
        and first.channels is None
        and first.pixels.dtype in ([np.uint8] if kind == "imagej" else [np.uint8, np.uint16])
    )
    about = dict(header.about) if kind == header.kind else {}
    if colour:
        axes = f"{between or 'I'}YXS" if len(values) > 1 else "YXS"
    elif channels == 1:
        values = values[..., 0]
        axes = f"{between or 'I'}YX" if len(values) > 1 else "YX"
    else:
        values = np.moveaxis(values, 3, 1)  # channels are pages
        axes = f"{between or 'I'}CYX" if len(pictures) > 1 else "CYX"
    values = values if len(pictures) > 1 else values[0]
    if kind == "ome" and first.channels is not None:
        about["Channel"] = {"Name": [*first.channels]}
    if kind == "imagej":
        axes = axes.replace("I", "Z")
    options: dict[str, Any] = {}
    if first.dpi:
        options = {"resolution": first.dpi, "resolutionunit": 2}
    if header.resolution:
        options = {"resolution": header.resolution[:2], "resolutionunit": header.resolution[2]}
    if kind != "imagej":
        options |= {"compression": "zlib", "compressionargs": {"level": 1}, "maxworkers": 1}
        options["predictor"] = first.pixels.dtype.kind in "iu"
    tifffile.imwrite(
        path,
        values,
        imagej=kind == "imagej",
        ome=kind == "ome",
        bigtiff=large,
        photometric="rgb" if colour else "minisblack",
        metadata={"axes": axes, **about},
        **options,
    )
    return True


def _spaced(
    spacing: tuple[float, float, float] | None, first: Picture, count: int, nodata: float | None
) -> TiffHeader:
    """The header of a file that is not from a TIFF: as OME has it, if distances are known."""
    if spacing is None or first.pixels.dtype.name not in _OF_OME:
        return TiffHeader(nodata=nodata)
    about: dict[str, Any] = {}
    for axis, size in zip("XYZ"[: 3 if count > 1 else 2], spacing, strict=False):
        about |= {f"PhysicalSize{axis}": float(f"{size:.6g}"), f"PhysicalSize{axis}Unit": "mm"}
    across, down, _ = spacing
    return TiffHeader("ome", about=about, resolution=(10 / across, 10 / down, 3), nodata=nodata)


@dataclass(frozen=True)
class _Appended:
    """A TIFF of one uncompressed strip, at the place for the next row."""

    file: BinaryIO
    dtype: np.dtype[Any]
    nodata: float | None

    def write(self, rows: Picture) -> None:
        values = with_gaps(rows, self.nodata)
        if rows.alpha is not None:
            values = np.dstack([values, rows.alpha])
        self.file.write(np.ascontiguousarray(values, self.dtype).tobytes())


@contextmanager
def append_to(path: Path, head: Picture, size: Size, dtype: np.dtype[Any]) -> Iterator[Writer]:
    """Rows of a file that may be larger than 4 GB. EXIF and XMP are not kept."""
    channels, nodata = head.pixels.shape[2], nodata_of(head)
    colour = channels == 3 and head.channels is None and dtype.kind == "u"
    samples = channels + (head.alpha is not None)
    extra = [0] * (0 if colour else channels - 1) + [2] * (head.alpha is not None)
    texts = {
        GDAL_METADATA: named_channels(head.channels) if head.channels else None,
        NODATA: None if nodata is None else f"{nodata:.17g}",
    }
    place = tifffile.memmap(
        path,
        shape=(*size, samples) if samples > 1 else size,
        dtype=dtype,
        photometric="rgb" if colour else "minisblack",
        planarconfig="contig" if samples > 1 else None,
        extrasamples=extra or None,
        metadata=None,
        iccprofile=head.icc,
        resolution=head.dpi,
        resolutionunit=2,
        extratags=[(tag, 2, None, text, True) for tag, text in texts.items() if text],
    )
    with path.open("r+b") as file:
        file.seek(place.offset)
        yield _Appended(file, place.dtype, nodata)
