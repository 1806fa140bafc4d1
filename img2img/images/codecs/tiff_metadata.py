"""What a TIFF says of its pixels: nodata, names of channels, sizes in the world."""

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from tifffile import TiffFile, TiffPage, TiffPageSeries

from img2img.images.codecs.tiff_writing import TiffHeader
from img2img.images.tiff import GDAL_METADATA, NODATA

_KEPT_OF_IMAGEJ = ("spacing", "unit", "yunit", "zunit", "finterval", "fps", "Info")


def nodata_in(page: TiffPage) -> float | None:
    """The value of pixels without data, as GDAL writes it."""
    tag = page.tags.get(NODATA)
    try:
        return None if tag is None else float(str(tag.value).strip(" \0"))
    except ValueError:
        return None


def names_in(tiff: TiffFile, page: TiffPage) -> tuple[str, ...] | None:
    """Names of the channels, by OME, ImageJ, or as GDAL writes them."""
    tag = page.tags.get(GDAL_METADATA)
    found: Sequence[str | None] = ()
    if tiff.is_ome:
        found = [each.get("Name") for each in _elements(tiff.ome_metadata, "Channel")]
    elif tiff.is_imagej:
        found = (tiff.imagej_metadata or {}).get("Labels") or ()
    elif tag is not None:
        found = [
            each.text
            for each in _elements(str(tag.value), "Item")
            if each.get("role") == "description"
        ]
    every = [name for name in found if name]
    return tuple(every) if every and len({*every}) == len(found) else None


def is_scaled(page: TiffPage) -> bool:
    """Whether values are not the numbers that are stored, as GDAL describes it."""
    tag, plain = page.tags.get(GDAL_METADATA), {"scale": 1, "offset": 0}
    return tag is not None and any(
        float(each.text or "nan") != plain[role]
        for each in _elements(str(tag.value), "Item")
        if (role := each.get("role")) in plain
    )


def header_of(
    tiff: TiffFile, page: TiffPage, series: TiffPageSeries | None, *, pages: bool = False
) -> TiffHeader | None:
    """What a result is written with again; None: nothing is said.

    Args:
        page: the first.
        series: what all pages are together, where the file says so.
        pages: whether pages are channels of one picture.
    """
    kind, about = "", dict[str, Any]()
    if series is not None and series.kind == "ome":
        kind = "ome"
        for element in _elements(tiff.ome_metadata, "Pixels"):
            for key, value in element.attrib.items():
                if key.startswith(("PhysicalSize", "TimeIncrement")):
                    about[key] = value if key.endswith("Unit") else float(value)
    elif series is not None and series.kind == "imagej":
        kind = "imagej"
        found = tiff.imagej_metadata or {}
        about = {key: found[key] for key in _KEPT_OF_IMAGEJ if key in found}
    separate = pages or (series is not None and "C" in series.axes)
    if separate and not kind:
        kind = "shaped"
    nodata, resolution = nodata_in(page), None
    if "XResolution" in page.tags and page.resolutionunit == 1:
        resolution = (*page.resolution, 1)
    if not kind and nodata is None and resolution is None:
        return None
    return TiffHeader(kind, separate, about, resolution, nodata=nodata)


def _elements(xml: str | None, name: str) -> list[ElementTree.Element]:
    """The elements of a name, of the first image that an OME document describes."""
    try:
        root = ElementTree.fromstring(xml or "<none/>")
    except ElementTree.ParseError:
        return []
    image = next((each for each in root.iter() if each.tag.endswith("}Image")), root)
    return [each for each in image.iter() if each.tag.rpartition("}")[2] == name]
