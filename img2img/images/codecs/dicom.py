"""DICOM, by pydicom: values in units, rescaled and without a window.

Results are copies that say so: derived images with identifiers of their own, of the same patient
and study.
"""

import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from img2img.errors import ImageError
from img2img.images.codecs.base import CODECS, Codec, checked, not_held, only, plain, without_gaps
from img2img.images.codecs.dicom_space import decimal, place_of, scaled
from img2img.images.codecs.facts import FileFacts
from img2img.images.depths import Pixels, Valid, fits
from img2img.images.picture import Animation, Frames, Header, Picture, Size
from img2img.images.space import Place

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_TIMED = ("FrameTime", "FrameTimeVector", "CineRate")
# Types that rescaled integers may have, the first that holds them; else float32.
_INTEGERS = (np.uint8, np.int16, np.uint16)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DEEP = f"{_SECONDARY_CAPTURE}.3"
_MULTI_FRAME = {8: f"{_SECONDARY_CAPTURE}.2", 16: _DEEP}
# Of the file that it was: how its values are stored and shown, and what identifies it.
_OF_THE_FILE = (
    *(
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "SOPClassUID",
        "NumberOfFrames",
        "PlanarConfiguration",
    ),
    *("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "FrameTimeVector"),
    *("PixelPaddingRangeLimit", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"),
    *(
        "VOILUTFunction",
        "VOILUTSequence",
        "ModalityLUTSequence",
        "RescaleType",
        "IconImageSequence",
    ),
    *("RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor"),
    *("BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
    *("GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData"),
    *("PixelAspectRatio", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    "DoseGridScaling",
)


# Of the series that the results of one process make of the series of their files.
_MADE_HERE = uuid.uuid4().hex


@dataclass(frozen=True)
class DicomHeader(Header):
    """A data set without its pixels."""

    dataset: Any = None

    def resized(self, before: Size, after: Size) -> "DicomHeader":
        down, across = (old / new for new, old in zip(after, before, strict=True))
        return replace(self, dataset=scaled(self.dataset, down, across))

    def place(self, count: int) -> Place | None:
        return place_of(self.dataset, count)


@CODECS.register("dicom")
class DicomCodec(Codec):
    """DICOM in its own units, of one frame or several, by pydicom."""

    suffixes = (".dcm", ".dicom")
    written = (".dcm",)
    library, extra, kind = "pydicom", "medical", "DICOM"
    special = True  # it may begin like a TIFF, for programs that know no DICOM

    def recognizes(self, start: bytes, path: Path) -> bool:
        return start[128:132] == b"DICM"

    def probe(self, path: Path) -> FileFacts:
        return _facts(self._dataset(path, pixels=False))

    def read(self, path: Path, *, indices: bool = False, single: bool = False) -> Picture | Frames:
        facts = self.probe(path)
        if single:
            facts.check_single()
        facts.check_size()
        dataset = self._dataset(path, pixels=True)
        frames = _values(dataset, facts)
        for keyword in _PIXELS:
            if keyword in dataset:
                delattr(dataset, keyword)
        header = DicomHeader(dataset)
        pictures = tuple(_picture(values, dataset, facts, header) for values in frames)
        if len(pictures) == 1:
            return pictures[0]
        return Frames(pictures, axis=facts.axis or "page", header=header)

    def refuses(self, image: Picture | Frames, suffix: str) -> str | None:
        if isinstance(image, Animation):
            return not_held(image)
        pictures = image.frames if isinstance(image, Frames) else (image,)
        if len({(each.pixels.shape, each.pixels.dtype) for each in pictures}) != 1:
            return "holds frames of one size and type"
        channels, dtype = pictures[0].pixels.shape[2], pictures[0].pixels.dtype
        if channels == 1 or (channels == 3 and dtype == np.uint8):
            return None
        return only("1 channel, or 3 channels of uint8", pictures[0])

    def write(self, path: Path, image: Picture | Frames, quality: int) -> None:
        pydicom = self.needed()
        pictures = image.frames if isinstance(image, Frames) else (image,)
        header = image.header if isinstance(image.header, DicomHeader) else pictures[0].header
        dataset, series = pydicom.Dataset(), None
        if isinstance(header, DicomHeader):
            dataset.update(header.dataset)
            series = dataset.get("SeriesInstanceUID")
        for keyword in _OF_THE_FILE:
            if keyword in dataset:
                delattr(dataset, keyword)
        _describe(dataset, pydicom, series)
        nodata = None if pictures[0].header is None else pictures[0].header.nodata
        everywhere = np.ones(pictures[0].size, bool)
        valid = np.stack([everywhere if each.valid is None else each.valid for each in pictures])
        _store(dataset, np.stack([each.pixels for each in pictures]), valid, nodata)
        dataset.save_as(path, enforce_file_format=True)

    def _dataset(self, path: Path, *, pixels: bool) -> Any:
        # Old files have no preamble.
        dataset = self.needed().dcmread(path, force=True, defer_size=None if pixels else 256)
        if not len(dataset):
            raise ImageError("not a DICOM file")
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            uncompressed = {(False, True): "1.2.1", (False, False): "1.2.2"}
            end = uncompressed.get((bool(implicit), bool(little)), "1.2")
            dataset.file_meta.TransferSyntaxUID = f"1.2.840.10008.{end}"
        return dataset


def _facts(dataset: Any) -> FileFacts:
    if not any(keyword in dataset for keyword in _PIXELS):
        kind = f" ({dataset.Modality})" if dataset.get("Modality") else ""
        raise ImageError(f"a DICOM without pixels{kind}, where an image is needed")
    size = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if 0 in size:
        raise ImageError("a DICOM image without a size")
    colour = dataset.PhotometricInterpretation == "PALETTE COLOR" or dataset.SamplesPerPixel == 3
    frames = int(dataset.get("NumberOfFrames") or 1)
    timed = any(dataset.get(keyword) for keyword in _TIMED)
    return FileFacts(
        size=size,
        channels=3 if colour else 1,
        dtype=str(_stored(dataset) if colour else _units(dataset)),
        pictures=frames,
        axis=None if frames == 1 else "t" if timed else "z",
        nodata=None,
    )


def _stored(dataset: Any) -> np.dtype[Any]:
    if "FloatPixelData" in dataset:
        return np.dtype(np.float32)
    if "DoubleFloatPixelData" in dataset:
        return np.dtype(np.float64)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return np.dtype(f"u{dataset.RedPaletteColorLookupTableDescriptor[2] // 8}")
    bits = int(dataset.BitsAllocated)
    if bits == 1:
        return np.dtype(np.uint8)
    return checked(f"{'i' if dataset.PixelRepresentation else 'u'}{bits // 8}")


def _rescale(dataset: Any) -> tuple[float, float]:
    """Slope and intercept: of the image, of a dose, or the same of all frames."""
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None:
        slope = dataset.get("DoseGridScaling")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if slope is None and shared and "PixelValueTransformationSequence" in shared[0]:
        transformation = shared[0].PixelValueTransformationSequence[0]
        slope, intercept = transformation.RescaleSlope, transformation.RescaleIntercept
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _ends(dataset: Any) -> tuple[int, int]:
    """The lowest and the highest value that can be stored."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    return (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if dataset.PixelRepresentation
        else (0, 2**bits - 1)
    )


def _units(dataset: Any) -> np.dtype[Any]:
    """The type of rescaled values: of integers, the smallest that holds them all."""
    stored, (slope, intercept) = _stored(dataset), _rescale(dataset)
    if stored.kind == "f" or (slope, intercept) == (1, 0):
        return stored
    if not (slope.is_integer() and intercept.is_integer()):
        return np.dtype(np.float32)
    low, high = sorted(end * slope + intercept for end in _ends(dataset))
    fitting = (
        each for each in _INTEGERS if np.iinfo(each).min <= low and high <= np.iinfo(each).max
    )
    return np.dtype(next(fitting, np.float32))


def _is_inverted(dataset: Any) -> bool:
    """Whether low values are shown bright, and are no units that mean something by themselves."""
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    units = bool(dataset.get("PixelRepresentation")) or _rescale(dataset) != (1, 0)
    return inverted and not units


def _values(dataset: Any, facts: FileFacts) -> Pixels:
    """All frames in units, (frames, height, width, channels)."""
    from pydicom.pixels import apply_color_lut

    stored = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    shape = (facts.pictures, *facts.size, facts.channels)
    values: Pixels = plain(stored).reshape(shape)
    if facts.channels == 3:
        return values
    if int(dataset.get("BitsAllocated", 8)) == 1:
        values = values * np.uint8(255)
    if _is_inverted(dataset) and values.dtype.kind in "iu":
        low, high = _ends(dataset)
        values = (low + high - values.astype(np.int64)).astype(values.dtype)
    slope, intercept = _rescale(dataset)
    if (slope, intercept) == (1, 0):
        return values
    if facts.dtype.startswith("float"):
        return np.asarray(values * slope + intercept, facts.dtype)
    return np.asarray(values.astype(np.int64) * int(slope) + int(intercept), facts.dtype)


def _picture(values: Pixels, dataset: Any, facts: FileFacts, header: Header) -> Picture:
    padding = dataset.get("PixelPaddingValue")
    nodata = None
    if padding is not None and facts.channels == 1 and "PixelPaddingRangeLimit" not in dataset:
        slope, intercept = _rescale(dataset)
        low, high = _ends(dataset)
        nodata = (low + high - padding if _is_inverted(dataset) else padding) * slope + intercept
    pixels, valid = without_gaps(values, nodata)
    return Picture(pixels, valid=valid, header=replace(header, nodata=nodata))


def _describe(dataset: Any, pydicom: Any, series: str | None) -> None:
    """What identifies a copy, and says that it is one; copies of one series are one series."""
    uid = pydicom.uid.generate_uid
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPInstanceUID = uid()
    dataset.SeriesInstanceUID = uid(entropy_srcs=[series, _MADE_HERE]) if series else uid()
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, uid())
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate"):
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    rest = [*dataset.get("ImageType", [])][2:]
    dataset.ImageType = ["DERIVED", "SECONDARY", *rest]
    dataset.DerivationDescription = "image-to-image translation"
    dataset.ConversionType = "WSD"  # workstation
    dataset.Modality = dataset.get("Modality") or "OT"


def _store(dataset: Any, values: Pixels, valid: Valid, nodata: float | None) -> None:
    """The pixels, (frames, height, width, channels), in integers and a rescale.

    What does not fit into 16 bits is exact to a half of 1/65535 of its range, or of 32 bits. Where
    there is no data, pixels have a value that is said to be padding.

    Args:
        valid: (frames, height, width), where there is data.
        nodata: the value for that, where the type has it.
    """
    used, padding = values[valid], None
    has_gaps = used.size < values.size
    most = 65534 if has_gaps else 65535
    frames, height, width, channels = values.shape
    slope, intercept = 1.0, 0.0
    low, high = (float(used.min()), float(used.max())) if used.size else (0.0, 0.0)
    if values.dtype in (np.uint8, np.uint16, np.int16):
        if has_gaps:
            known = nodata is not None and fits(nodata, values.dtype)
            padding = int(nodata if nodata is not None and known else np.iinfo(values.dtype).min)
            values = np.where(valid[..., None], values, values.dtype.type(padding))
    elif high - low <= most or values.dtype not in (np.uint32, np.int32):
        whole = values.dtype.kind in "iu" or not np.mod(used, 1).any()
        if whole and high - low <= most:
            intercept = low
        else:
            # As they will be read: numbers of at most 16 characters.
            slope = float(f"{(high - low) / most or 1.0:.9e}")
            intercept = float(f"{low:.8e}")
        padding = 65535 if has_gaps else None
        values = np.full(values.shape, 65535, np.uint16)
        values[valid] = np.rint((used.astype(np.float64) - intercept) / slope).clip(0, most)
    bits = values.itemsize * 8
    dataset.SOPClassUID = _SECONDARY_CAPTURE if frames == 1 else _MULTI_FRAME.get(bits, _DEEP)
    if frames > 1 and channels == 3:
        dataset.SOPClassUID = f"{_SECONDARY_CAPTURE}.4"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = height, width, channels
    dataset.PhotometricInterpretation = "RGB" if channels == 3 else "MONOCHROME2"
    if channels == 3:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    if padding is not None and channels == 1:
        dataset.PixelPaddingValue = padding
    for keyword, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        if keyword in dataset:
            delattr(dataset, keyword)
        if channels == 1:
            setattr(dataset, keyword, decimal(value))
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
