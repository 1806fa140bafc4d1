"""Writing image files, in the format of the path's suffix."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from img2img.errors import ImageError
from img2img.images.channels import channel_names
from img2img.images.codecs import Codec, Writer
from img2img.images.codecs.files import codecs, suffix_of
from img2img.images.depths import Pixels
from img2img.images.formats import quietly
from img2img.images.picture import Frames, Picture, Size
from img2img.runtime.files import atomic_write

# Those that keep 8 bits a channel at most.
_SHALLOW = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib", ".gif", ".webp", ".avif")
_QUALITY = 95
# Those that keep no opacity.
OPAQUE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".bmp", ".dib")


def write_image(path: Path | str, image: Picture | Frames, quality: int = _QUALITY) -> None:
    """Write a picture, an animation, pages or a volume in the format of the suffix, atomically.

    | suffix | channels | values | alpha | metadata | several |
    | --- | --- | --- | --- | --- | --- |
    | .png, .apng | 1 to 4 | uint8, uint16 | yes | all | animation |
    | .tif, .tiff | any | any | yes | all but text; of GeoTIFF, OME, ImageJ | pages, volume |
    | .npy, .npz | any | any | no | none | volume |
    | .dcm | 1, 3 | integers, floats | no | of DICOM | volume |
    | .nii, .nii.gz | 1 | any but float16 | no | of NIfTI | volume |
    | .exr | any | float16, float32, uint32 | no | none | |
    | .hdr | 3 | float32 | no | none | |
    | .webp | 1, 3 | uint8 | yes | profile, EXIF, XMP | animation |
    | .avif, where Pillow has it | 1, 3 | uint8 | yes | profile, EXIF, XMP | animation, for ever |
    | .jpg, .jpeg, .jpe, .jfif, .jif | 1, 3 | uint8 | on white | all but text, to 64 KB each | |
    | .gif | 1, 3 | 256 colours a frame | yes or no | none | animation |
    | .bmp, .dib | 1, 3 | uint8 | on white | resolution | |

    Pixels of 16 bits keep their own numbers; in formats of 8 bits, their `values` become 0 to 255.
    Where there is no data, the file has its own value for that, or NaN, or 0.

    The metadata of an animation are those of its first frame. In WebP, frames that equal the one
    before may become one that is shown longer; in GIF, durations are in hundredths of a second.
    What the whole lasts is kept.

    Args:
        quality: of JPEG, WebP and AVIF, 1 to 100. JPEG and AVIF keep their colour at full
            resolution (4:4:4); WebP at 100 is lossless.

    Raises:
        ImageError: there is no such format, it does not hold such an image, or the picture is too
            large for it.
        StorageError: the disk refused.
    """
    path = Path(path)
    if isinstance(image, Frames):
        image = replace(image, frames=tuple(map(_named, image.frames)))
    else:
        image = _named(image)
    codec = _codec_for(path, image)
    with atomic_write(path) as temporary, _encoding(path):
        codec.write(temporary, image, quality)


def write_picture(path: Path | str, picture: Picture, quality: int = _QUALITY) -> None:
    """`write_image` of one picture."""
    write_image(path, picture, quality)


@contextmanager
def write_rows(
    path: Path | str, head: Picture, size: Size, dtype: npt.DTypeLike
) -> Iterator[Writer]:
    """Write a picture some rows at a time, from the first to the last, atomically.

    GeoTIFF, large TIFF and NPY are written as rows come; of other files, the rows are gathered.

    Args:
        head: the picture without rows, such as `open_rows` has: its channels, whether there is
            alpha, and what the file says besides.
        size: height and width.
        dtype: of the pixels.

    Raises:
        ImageError: the format of the suffix does not hold such a picture; not all rows came.
        StorageError: the disk refused.
    """
    path, head = Path(path), _named(head.rows(0, 0))
    codec = _codec_for(path, replace(head, pixels=head.pixels.astype(dtype)))
    with atomic_write(path) as temporary, ExitStack() as stack:
        counted = _Counted(path)
        with _encoding(path):
            if appended := codec.appended(temporary, head, size, dtype):
                counted.writer = stack.enter_context(appended)
        yield counted
        with _encoding(path):
            stack.close()
            if counted.rows != size[0]:
                raise ImageError(f"{counted.rows} rows of {size[0]} were written")
            if counted.gathered:
                codec.write(temporary, _joined(counted.gathered), _QUALITY)


class _Counted:
    """Passes rows on and counts them; without a writer, it gathers them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writer: Writer | None = None
        self.rows = 0
        self.gathered: list[Picture] = []

    def write(self, rows: Picture) -> None:
        self.rows += rows.size[0]
        if self.writer is None:
            self.gathered.append(rows)
        else:
            with _encoding(self._path):
                self.writer.write(rows)


def _joined(parts: Sequence[Picture]) -> Picture:
    """Rows that follow each other, as one picture."""

    def joined(planes: Sequence[Pixels | None]) -> Pixels | None:
        there = [plane for plane in planes if plane is not None]
        return np.concatenate(there) if there else None

    valid = None
    if any(part.valid is not None for part in parts):
        valid = joined([np.ones(p.size, bool) if p.valid is None else p.valid for p in parts])
    return replace(
        parts[0],
        pixels=np.concatenate([part.pixels for part in parts]),
        alpha=joined([part.alpha for part in parts]),
        valid=valid,
    )


def check_format(path: Path, image: Picture | Frames) -> None:
    """Raises ImageError where the format of the path's suffix does not hold such an image."""
    _codec_for(path, image)


def keeps_depth(suffix: str) -> bool:
    """Whether files of a suffix keep more than 8 bits a channel."""
    return suffix not in _SHALLOW


def _named(picture: Picture) -> Picture:
    """Without names of channels that say nothing, such as `R`, `G` and `B`."""
    count = picture.pixels.shape[2]
    if picture.channels in (None, channel_names(count)) or len(picture.channels or ()) != count:
        return replace(picture, channels=None)
    return picture


def _codec_for(path: Path, image: Picture | Frames) -> Codec:
    suffix, reasons = suffix_of(path), []
    for codec in codecs():
        if suffix in codec.written:
            reason = codec.refuses(image, suffix)
            if reason is None:
                return codec
            reasons.append(reason)
    held = [
        each
        for codec in codecs()
        for each in codec.written
        if codec.installed() and codec.refuses(image, each) is None
    ]
    what = reasons[-1] if reasons else "cannot write a picture in this format"
    raise ImageError.of(path, f"{what}; use {' '.join(dict.fromkeys(held))}")


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    """What the encoder finds wrong as an error of the file; what the disk says, as it is."""
    try:
        with quietly():
            yield
    except ImageError as error:
        raise ImageError.of(path, error.reason) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise ImageError.of(path, f"cannot be written in this format ({reason})") from None
