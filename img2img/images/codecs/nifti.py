"""NIfTI volumes, by nibabel, as slices along their third axis, in units.

Whatever the order that a scanner has stored, slices lie along Z from foot to head, +x (to the
patient's right) is to the right, and +y (to the front) is up; a volume is written in the order that
it was read in.
"""

import gzip
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from img2img.errors import ImageError
from img2img.images.codecs.base import (
    CODECS,
    START,
    Codec,
    checked,
    not_held,
    only,
    plain,
    with_gaps,
    without_gaps,
)
from img2img.images.codecs.facts import FileFacts
from img2img.images.depths import Pixels
from img2img.images.picture import Animation, Frames, Header, Picture, Size

_MAGICS = (b"n+1\0", b"ni1\0")
_TIME = 3
"""The number of the axis of time."""


@dataclass(frozen=True)
class NiftiHeader(Header):
    """The header of a volume, and where its voxels are in space."""

    header: Any = None
    affine: Any = None
    dimensions: int = 3

    def spacing(self, count: int) -> tuple[float, float, float] | None:
        from nibabel import affines, orientations

        sizes = [1.0, 1.0, 1.0]
        axes = orientations.io_orientation(self.affine)[:, 0]
        for axis, size in zip(axes, affines.voxel_sizes(self.affine), strict=True):
            sizes[int(axis)] = float(size)
        return sizes[0], sizes[1], sizes[2]

    def resized(self, before: Size, after: Size) -> "NiftiHeader":
        """Of slices along z: with voxels of another size, in the same place."""
        from nibabel import orientations

        down, across = (old / new for new, old in zip(after, before, strict=True))
        axes = orientations.io_orientation(self.affine)[:, 0]
        scales = np.array([(across, down, 1.0)[int(axis)] for axis in axes])
        change = np.diag([*scales, 1.0])
        change[:3, 3] = (scales - 1) / 2  # voxels are where their middle is
        affine = self.affine @ change
        header = self.header.copy()
        # Else a form that is kept apart would say the old one.
        header.set_sform(affine, code=int(header["sform_code"]) or 1)
        header.set_qform(affine, code=int(header["qform_code"]), strip_shears=True)
        return replace(self, affine=affine, header=header)


@CODECS.register("nifti")
class NiftiCodec(Codec):
    """NIfTI volumes with their affine, by nibabel."""

    suffixes = (".nii", ".nii.gz")
    written = (".nii", ".nii.gz")
    library, extra, kind = "nibabel", "medical", "NIfTI"

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start[344:348] in _MAGICS or start[4:8] == b"n+2\0"

    def probe(self, path: Path) -> FileFacts:
        image = self._opened(path)
        width, height, depth = _oriented(image)
        return FileFacts(
            size=(height, width),
            channels=3 if image.get_data_dtype().names else 1,
            dtype=str(_units(image)),
            pictures=depth,
            axis="z" if depth > 1 else None,
        )

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        facts = self.probe(path)
        if single:
            facts.check_single()
        facts.check_size()
        image = self._opened(path)
        volume = _volume(image, facts)
        shape = image.shape
        header = NiftiHeader(image.header.copy(), image.affine.copy(), len(shape))
        pictures = []
        for number in range(facts.pictures):
            # Rows from the highest y on, columns along x.
            values = volume[:, ::-1, number].swapaxes(0, 1)
            pixels, valid = without_gaps(np.ascontiguousarray(values))
            pictures.append(Picture(pixels, valid=valid, header=header))
        if len(pictures) == 1:
            return pictures[0]
        return Frames(tuple(pictures), axis="z", header=header)

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Animation):
            return not_held(image)
        pictures = image.frames if isinstance(image, Frames) else (image,)
        if len({(each.pixels.shape, each.pixels.dtype) for each in pictures}) != 1:
            return "holds slices of one size and type"
        if pictures[0].pixels.shape[2] != 1 or pictures[0].pixels.dtype == np.float16:
            return only("1 channel of integers, float32 or float64", pictures[0])
        return None

    def write(self, path: Path, image: Picture | Frames, quality: int) -> None:
        nibabel = self.needed()
        from nibabel import orientations

        pictures = image.frames if isinstance(image, Frames) else (image,)
        found = image.header if isinstance(image.header, NiftiHeader) else pictures[0].header
        volume = np.stack([with_gaps(picture)[..., 0] for picture in pictures], axis=2)
        volume = volume.swapaxes(0, 1)
        if not isinstance(found, NiftiHeader):
            place = None if found is None else found.place(len(pictures))
            if place is None:
                made = nibabel.Nifti1Image(volume[:, ::-1], np.eye(4))
            else:
                made = nibabel.Nifti1Image(volume[..., place.order], place.affine)
                made.set_sform(place.affine, code="scanner")
                made.set_qform(place.affine, code="scanner", strip_shears=True)
                made.header.set_xyzt_units("mm")
            nibabel.save(made, path)
            return
        volume = volume[:, ::-1]
        stored = orientations.io_orientation(found.affine)
        canonical = np.array([[0, 1], [1, 1], [2, 1]])
        turn = orientations.ornt_transform(canonical, stored)
        volume = orientations.apply_orientation(volume, turn)
        if found.dimensions == 2 and volume.shape[2] == 1:
            volume = volume[..., 0]
        header = found.header.copy()
        header.set_data_dtype(volume.dtype)
        header["scl_slope"], header["scl_inter"] = 1, 0
        header["cal_min"], header["cal_max"] = 0, 0
        kind = nibabel.Nifti2Image if header.sizeof_hdr == 540 else nibabel.Nifti1Image
        nibabel.save(kind(volume, found.affine, header), path)

    def _opened(self, path: Path) -> Any:
        nibabel = self.needed()
        packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(START)
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            if kind.header_class.may_contain_header(start):
                return kind.from_filename(path)
        raise ImageError("not a NIfTI file")


def _oriented(image: Any) -> tuple[int, int, int]:
    """Width, height and depth, as slices are seen.

    Raises:
        ImageError: it is no volume, or lies nowhere in space.
    """
    from nibabel import orientations

    shape = image.shape
    more = [size for size in shape[3:] if size > 1]
    if more:
        what = "a time series" if len(shape) == _TIME + 1 else f"{len(shape)} dimensions"
        raise ImageError(
            f"{' x '.join(map(str, shape))}, {what}, where one volume is needed: save each as its"
            " own file"
        )
    if len(shape) < 2 or 0 in shape:
        raise ImageError(f"an array of shape {shape}, where a volume is needed")
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) == 0:
        raise ImageError("its affine is zero or singular, so that its axes lie nowhere in space")
    where = orientations.io_orientation(affine)[:, 0]
    sizes = [1, 1, 1]
    for axis, size in zip(where, (*shape, 1)[:3], strict=True):
        sizes[int(axis)] = int(size)
    return sizes[0], sizes[1], sizes[2]


def _units(image: Any) -> np.dtype[Any]:
    stored = image.get_data_dtype()
    if stored.names:
        return np.dtype(np.uint8)
    stored = checked(stored).newbyteorder("=")
    if (image.dataobj.slope, image.dataobj.inter) == (1, 0):
        return stored
    return np.dtype(np.float64 if stored.itemsize == 8 else np.float32)


def _volume(image: Any, facts: FileFacts) -> Pixels:
    """Values in units, (width, height, depth, channels)."""
    from nibabel import orientations

    if facts.channels == 3:
        stored = np.asarray(image.dataobj)
        values = np.stack([stored[name] for name in "RGB"], axis=-1)
    else:
        stored = image.dataobj.get_unscaled()
        if str(stored.dtype.newbyteorder("=")) != facts.dtype:
            values = stored * float(image.dataobj.slope) + float(image.dataobj.inter)
            values = values.astype(facts.dtype)
        else:
            values = plain(np.asarray(stored))
        values = values[..., None]
    values = values.reshape(*(*image.shape, 1)[:3], facts.channels)
    turn = orientations.io_orientation(image.affine)
    return cast(Pixels, orientations.apply_orientation(values, turn))
