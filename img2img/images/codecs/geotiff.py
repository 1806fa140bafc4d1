"""GeoTIFF, with where on the ground its pixels are, by rasterio."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from img2img.errors import ImageError
from img2img.images.codecs.base import (
    CODECS,
    Codec,
    Reader,
    Writer,
    checked,
    has_module,
    not_held,
    plain,
    with_gaps,
    without_gaps,
)
from img2img.images.codecs.facts import FileFacts
from img2img.images.codecs.tiff import describe, is_tiff, tags_of_first
from img2img.images.depths import Depth, bands
from img2img.images.packing import Packing
from img2img.images.picture import Colours, Frames, Header, Picture, Size

# Sets of tags, of which each ties pixels to the ground: scale and tie; matrix; keys to a system.
_GEOGRAPHIC = ({33550, 33922}, {34264}, {34735})
# So many values are decoded at a time.
_BAND = 2**24
_RGB = ("red", "green", "blue")


@dataclass(frozen=True)
class GeoHeader(Header):
    """Where on the ground a picture is.

    Attributes:
        crs: the system of coordinates.
        transform: from columns and rows to coordinates.
        gcps: points on the ground whose pixels are known, and their system.
        tags: what else the file says, by the namespace of GDAL.
        names: of the bands, where the file has any.
        colorinterp: what each band shows, such as `red`, without alpha.
    """

    has_mask: ClassVar[bool] = True

    crs: Any = None
    transform: Any = None
    gcps: tuple[Any, Any] | None = None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    colorinterp: tuple[str, ...] = ()

    def resized(self, before: Size, after: Size) -> "GeoHeader":
        down, across = (old / new for new, old in zip(after, before, strict=True))
        a, b, c, d, e, f = [*self.transform][:6]
        scaled = type(self.transform)(a * across, b * down, c, d * across, e * down, f)
        gcps = self.gcps and ([_moved(point, down, across) for point in self.gcps[0]], self.gcps[1])
        # Without those of pixels, such as RPC.
        return replace(self, transform=scaled, gcps=gcps, tags={"": self.tags.get("", {})})


@CODECS.register("geotiff")
class GeoTiffCodec(Codec):
    """GeoTIFF with its coordinates, nodata, masks and names of bands, by rasterio."""

    written = (".tif", ".tiff")
    library, extra, kind = "rasterio", "geo", "GeoTIFF"
    special = True

    def recognizes(self, start: bytes, path: Path) -> bool:
        # Without rasterio, it is read as any other TIFF.
        if not (is_tiff(start) and has_module("rasterio")):
            return False
        tags, is_scaled = tags_of_first(path)
        return is_scaled or any(tied <= tags for tied in _GEOGRAPHIC)

    def probe(self, path: Path) -> FileFacts:
        with _opened(path) as file:
            return file.facts

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture:
        with _opened(path) as file:
            file.facts.check_size()
            return file.read(0, file.facts.size[0], indices=indices)

    @contextmanager
    def opened(self, path: Path) -> Iterator[Reader]:
        with _opened(path) as file:
            yield file

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Frames):
            return not_held(image)
        return None if isinstance(image.header, GeoHeader) else "not a picture of the ground"

    def write(self, path: Path, image: Picture, quality: int) -> None:
        with self.appended(path, image.rows(0, 0), image.size, image.pixels.dtype) as writer:
            step = max(1, _BAND // max(image.pixels[:1].size, 1))
            for start in range(0, image.size[0], step):
                writer.write(image.rows(start, min(start + step, image.size[0])))

    @contextmanager
    def appended(self, path: Path, head: Picture, size: Size, dtype: Any) -> Iterator[Writer]:
        rasterio = self.needed()
        header = head.header
        assert isinstance(header, GeoHeader)
        channels, packing = head.pixels.shape[2], header.packing
        packing = packing if packing and len(packing.scales) == channels else None
        dtype = np.dtype(packing.dtype if packing and packing.changes else dtype)
        options: dict[str, Any] = {"compress": "deflate", "zlevel": 1, "bigtiff": "if_safer"}
        options["predictor"] = {"f": 3}.get(dtype.kind, 2) if dtype.itemsize <= 4 else 1
        if min(size) >= 256:
            options |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
        if head.alpha is not None:
            options["alpha"] = "non-premultiplied"
        if head.icc:
            options["SOURCE_ICC_PROFILE"] = base64.b64encode(head.icc).decode()
        nodata = packing.nodata if packing and packing.changes else header.nodata
        nodata = nodata if _fits(nodata, dtype) else None
        shown = _shown(head, header)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=size[0],
            width=size[1],
            count=channels + (head.alpha is not None),
            dtype=dtype,
            crs=header.crs,
            transform=header.transform,
            nodata=nodata,
            photometric="rgb" if shown[:3] == _RGB else "minisblack",
            interleave="pixel",
            **options,
        ) as file:
            for namespace, tags in header.tags.items():
                file.update_tags(ns=namespace or None, **tags)
            if header.gcps:
                file.gcps = header.gcps
            for band, name in enumerate(head.channels or (), start=1):
                file.set_band_description(band, name)
            if head.colours and dtype in (np.uint8, np.uint16):
                file.write_colormap(1, dict(enumerate(head.colours.palette)))
            elif shown:
                kinds = [*shown, *["alpha"] * (head.alpha is not None)]
                file.colorinterp = [getattr(rasterio.enums.ColorInterp, kind) for kind in kinds]
            if packing:
                alpha = file.count - channels
                file.scales = (*packing.scales, *[1.0] * alpha)
                file.offsets = (*packing.offsets, *[0.0] * alpha)
                file.units = (*packing.units, *[""] * alpha)
            yield _Bands(file, nodata, packing)


@dataclass
class _Bands:
    file: Any
    nodata: float | None
    packing: Packing | None
    at: int = 0
    masked: bool = False

    def write(self, rows: Picture) -> None:
        height, width = rows.size
        window = ((self.at, self.at + height), (0, width))
        if self.packing and self.packing.changes:
            pixels = self.packing.packed(rows.pixels, rows.valid)
        else:
            pixels = with_gaps(rows, self.nodata)
        if rows.alpha is not None:
            pixels = np.dstack([pixels, rows.alpha])
        self.file.write(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), window=window)
        if self.nodata is None and pixels.dtype.kind != "f":
            self._write_mask(rows, window)
        self.at += height

    def _write_mask(self, rows: Picture, window: Any) -> None:
        """The mask, from the first rows with gaps on; those above it hold data."""
        height, width = rows.size
        if rows.valid is not None and not self.masked:
            self.masked = True
            for part in bands(self.at, width) if self.at else ():
                above = np.ones((part.stop - part.start, width), bool)
                self.file.write_mask(above, window=((part.start, part.stop), (0, width)))
        if self.masked:
            valid = np.ones((height, width), bool) if rows.valid is None else rows.valid
            self.file.write_mask(valid, window=window)


class _File:
    """An open GeoTIFF."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        if len(file.subdatasets) > 1:
            raise ImageError(
                f"{len(file.subdatasets)} images, of which rasterio reads one at a time: save each"
                " as its own file"
            )
        if len({*file.dtypes}) != 1:
            raise ImageError(f"bands of different types ({', '.join(dict.fromkeys(file.dtypes))})")
        self._stored = dtype = checked(file.dtypes[0])
        kinds = [each.name for each in file.colorinterp]
        shallow = dtype in (np.uint8, np.uint16)
        self._alpha = kinds.index("alpha") if shallow and "alpha" in kinds else None
        self._palette = None
        if kinds == ["palette"] and dtype == np.uint8:
            table = file.colormap(1)
            self._palette = tuple(table.get(each, (0, 0, 0))[:3] for each in range(256))
        names = [name for name in file.descriptions if name]
        count = file.count - (self._alpha is not None)
        self._packing = None if self._palette else self._packed()
        self._nodata, nodata = file.nodata, file.nodata
        if self._packing:
            dtype = np.dtype(self._packing.values_dtype)
            nodata = None if self._packing.changes else nodata
        self.facts = FileFacts(
            size=(file.height, file.width),
            channels=3 if self._palette else count,
            dtype=str(dtype),
            names=tuple(names) if len({*names}) == file.count == count else None,
            alpha=self._alpha is not None,
            nodata=nodata,
            palette=self._palette,
        )
        flags = {flag.name for band in file.mask_flag_enums for flag in band}
        self._has_mask = "per_dataset" in flags and "alpha" not in flags
        gcps = file.gcps
        namespaces = [space for space in file.tag_namespaces() if space in {"RPC", "GEOLOCATION"}]
        self._header = GeoHeader(
            nodata=nodata,
            packing=self._packing,
            crs=file.crs,
            transform=file.transform,
            gcps=gcps if gcps[0] else None,
            tags={space: file.tags(ns=space or None) for space in ("", *namespaces)},
            names=self.facts.names,
            colorinterp=tuple(kind for kind in kinds if kind not in {"alpha", "palette"}),
        )

    def _packed(self) -> Packing | None:
        """How bands without alpha store their values.

        Raises:
            ImageError: by a scale or an offset that is no number, or a scale of 0.
        """
        file = self._file
        own = [band for band in range(file.count) if band != self._alpha]
        scales, offsets, units = (
            [each[band] for band in own] for each in (file.scales, file.offsets, file.units)
        )
        for band, (scale, offset) in enumerate(zip(scales, offsets, strict=True), start=1):
            if not (np.isfinite([scale, offset]).all() and scale):
                raise ImageError(f"band {band} has scale {scale} and offset {offset}")
        dtype = cast(Depth, str(self._stored))
        return Packing.of(dtype, scales, offsets, units, file.nodata)

    @cached_property
    def head(self) -> Picture:
        return Picture(
            np.zeros((0, self.facts.size[1], self.facts.channels), self.facts.dtype),
            np.zeros((0, self.facts.size[1]), self.facts.dtype) if self.facts.alpha else None,
            header=self._header,
            channels=self.facts.names,
            **describe(self._path),
        )

    def read(self, start: int, stop: int, *, indices: bool = False) -> Picture:
        head, width = self.head, self.facts.size[1]
        count = self._file.count
        values = np.empty((stop - start, width, count), self._stored)
        mask = np.empty((stop - start, width), bool) if self._has_mask else None
        block = self._file.block_shapes[0][0]
        step = max(block, _BAND // (width * count) // block * block)
        for top in range(start, stop, step):
            bottom = min(top + step, stop)
            window, rows = ((top, bottom), (0, width)), slice(top - start, bottom - start)
            values[rows] = np.moveaxis(self._file.read(window=window), 0, 2)
            if mask is not None:
                mask[rows] = self._file.read_masks(1, window=window) > 0
        pixels, alpha = values, None
        if self._alpha is not None:
            alpha = np.ascontiguousarray(values[..., self._alpha])
            pixels = np.ascontiguousarray(np.delete(values, self._alpha, axis=2))
        pixels, valid = without_gaps(plain(pixels), self._nodata, mask)
        if self._packing:
            pixels = self._packing.unpacked(pixels, valid)
        if self._palette and indices:
            head = replace(head, colours=Colours(self._palette))
        elif self._palette:
            pixels = np.asarray(self._palette, np.uint8)[pixels[..., 0]]
            if valid is not None:
                pixels[~valid] = 0
        return replace(head, pixels=pixels, alpha=alpha, valid=valid)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    with GeoTiffCodec().needed().open(path, driver="GTiff") as file:
        yield _File(path, file)


def _moved(point: Any, down: float, across: float) -> Any:
    """A point on the ground, in a picture of another size."""
    row, col = point.row / down, point.col / across
    return type(point)(row, col, point.x, point.y, point.z, point.id, point.info)


def _shown(head: Picture, header: GeoHeader) -> tuple[str, ...]:
    """What each band shows: as their names say, or as in the file that the header is of.

    Of other bands than those of the file, nothing is known, except that three without names are
    red, green and blue.
    """
    channels = head.pixels.shape[2]
    if head.colours:
        return ()
    named = tuple(name.lower() for name in head.channels or ())
    if {*_RGB} <= {*named}:
        return tuple(name if name in _RGB else "undefined" for name in named)
    if len(header.colorinterp) == channels and head.channels == header.names:
        return header.colorinterp
    return _RGB if channels == 3 and head.channels is None else ()


def _fits(nodata: float | None, dtype: np.dtype[Any]) -> bool:
    if nodata is None or dtype.kind == "f":
        return nodata is not None
    info = np.iinfo(dtype)
    return bool(np.isfinite(nodata) and info.min <= nodata <= info.max)
