"""Image files and what is in them: reading, writing, listing, and pixels <-> tensors.

Everything that knows about file formats, bit depths, orientation, transparency or colour profiles
is here; the rest of the program sees RGB pixels, or tensors in [-1, 1].
"""

import io
import os
import re
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageCms, TiffImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base as Tag
from torch import Tensor

from img2img.errors import ImageError
from img2img.files import atomic_write

# uint8 or uint16; numpy's type parameters cannot say "one of these two" usefully.
Pixels = npt.NDArray[Any]

# What a header may promise before anything is decoded: 512 megapixels are 1.5 GB of 8-bit RGB.
MAX_PIXELS = 512 * 2**20

READABLE = ".png .jpg .jpeg .jfif .webp .tif .tiff .bmp .gif .ppm .pgm .pnm .avif"  # fmt: skip
IMAGE_SUFFIXES = frozenset(READABLE.split())
# Pictures too, but of kinds that are not read: so that a person hears of what is passed over.
UNREADABLE = ".heic .heif .jxl .jp2 .tga .psd .svg .exr .hdr .dng .cr2 .cr3 .nef .arw .raf"
UNREADABLE_SUFFIXES = frozenset(UNREADABLE.split())

# Pillow's own bound is global and lower, and it warns well below it; `read_picture` checks ours.
Image.MAX_IMAGE_PIXELS = max(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or 0)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Remarks on damaged metadata, a line a file; damaged pixels are errors.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True, eq=False)
class Picture:
    """What an image file holds, upright.

    Attributes:
        pixels: uint8 or uint16, (height, width, 3), RGB.
        alpha: opacity, of the same dtype, (height, width); None where the file has none.
        icc: the file's RGB colour profile, untouched.
        exif: the file's EXIF block, its orientation reset to upright.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels.shape[:2]
        return height, width

    def composited(self) -> Pixels:
        """The pixels as seen on white: colour that transparency hides becomes white.

        This is what networks are given. The alpha channel itself stays in the picture, so that it
        can be written back beside the translated pixels.
        """
        if self.alpha is None:
            return self.pixels
        top = np.iinfo(self.pixels.dtype).max
        # At most 65535 * 65535 + 32767, which uint32 still holds.
        alpha = self.alpha.astype(np.uint32)[..., None]
        mixed = self.pixels * alpha + (top - alpha) * np.uint32(top)
        return ((mixed + top // 2) // top).astype(self.pixels.dtype)

    def columns(self, start: int, stop: int) -> "Picture":
        """The part of the picture between two columns."""
        alpha = None if self.alpha is None else self.alpha[:, start:stop]
        return replace(self, pixels=self.pixels[:, start:stop], alpha=alpha)


def list_images(folder: Path) -> list[Path]:
    """All image files under `folder`, recursive, in natural order (`2.png` before `10.png`).

    Hidden files and folders and the `__MACOSX` folders of archives are passed over. Linked folders
    are followed.
    """
    found = [path for path in _walk(folder, set()) if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def count_unreadable(folder: Path) -> Counter[str]:
    """How many files under `folder` are pictures of a kind that is not read, by suffix."""
    suffixes = (path.suffix.lower() for path in _walk(folder, set()))
    return Counter(suffix for suffix in suffixes if suffix in UNREADABLE_SUFFIXES)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key under which numbers inside names count by their value."""
    # A split by a group puts the digits at odd places, so that like meets like in comparisons. The
    # name itself comes last: `01` and `1` must have one order too.
    parts = re.split(r"([0-9]+)", name)
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)] + [(0, name)]


def _walk(folder: Path, above: set[Path]) -> Iterator[Path]:
    """All files but hidden ones."""
    real = folder.resolve()
    if real in above:  # a link to a folder that it lies in
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            path = folder / entry.name
            if entry.is_dir():
                yield from _walk(path, above | {real})
            else:
                yield path


def read_picture(path: Path | str) -> Picture:
    """Read an image file of any usual kind as upright RGB.

    Grey, palette, 1-bit and CMYK files become RGB (CMYK through its profile, where it has one);
    16-bit PNG, TIFF and PGM keep their 16 bits. Of an animation or a document of several pages, the
    first is read. A colour profile is kept when it describes RGB.

    Raises:
        ImageError: the file cannot be opened, is no image, is damaged, is larger than `MAX_PIXELS`,
            or holds samples other than 1 to 8 or 16 bit.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(_too_large(f"{image.width} x {image.height}"))
            return _decode(image, data)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: {_too_large('these')}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not an image, or not of a known format") from None
    except MemoryError:
        raise ImageError(f"{path}: too large for the memory of this machine") from None
    except Exception as error:  # decoders raise whatever the damage leads them to
        raise ImageError(f"{path}: damaged or truncated ({error})") from None


def _too_large(size: str) -> str:
    return f"{size} pixels are more than the {MAX_PIXELS} that are read"


def _decode(image: Image.Image, data: bytes) -> Picture:
    deep = _is_deep(image, data)
    # Also for 16-bit files, which Pillow reads as 8-bit: unlike OpenCV it notices a truncated file.
    image.load()
    icc = image.info.get("icc_profile")
    orientation = _orientation(image)
    exif = _upright_exif(image, orientation)
    if deep:
        array = _decode_deep(image, data)
    elif icc and image.mode == "CMYK" and _colour_space(icc) == b"CMYK":
        array = _cmyk_to_srgb(image, icc)
        icc = None
    else:
        array = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if image.format != "TIFF":  # both decoders turn a TIFF upright themselves
        array = _turned(array, orientation)
    return Picture(
        pixels=np.ascontiguousarray(array[..., :3]),
        alpha=np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None,
        icc=icc if _colour_space(icc) == b"RGB " else None,
        exif=exif,
    )


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether the file has 16 bits a sample. Other depths than those and 1 to 8 are refused."""
    if image.format == "PNG":
        return data[24] == 16  # the bit depth in the IHDR chunk
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = max(image.tag_v2.get(Tag.BitsPerSample, (1,)))
        kinds = image.tag_v2.get(Tag.SampleFormat, (1,))
        unsigned = set(kinds) == {1}
        if bits > 8 and not (bits == 16 and unsigned and _is_grey_or_rgb(image)):
            what = {2: " signed", 3: " floating-point"}.get(max(kinds), "")
            raise ImageError(
                f"{bits}-bit{what} samples of mode {image.mode} are not supported:"
                " convert the file to 8-bit, or to 16-bit grey or RGB"
            )
        return bool(bits == 16)
    return image.format == "PPM" and image.mode == "I"


def _is_grey_or_rgb(image: TiffImagePlugin.TiffImageFile) -> bool:
    return bool(image.tag_v2.get(Tag.PhotometricInterpretation) in {1, 2})


def _decode_deep(image: Image.Image, data: bytes) -> Pixels:
    """A 16-bit file as uint16 RGB or RGBA. Pillow has no such mode; OpenCV reads them, as BGR."""
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise ImageError("this kind of 16-bit file cannot be decoded")
    channels = 1 if array.ndim == 2 else array.shape[2]
    if channels == 1:
        rgb = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
        hidden = image.info.get("transparency")  # a grey value that stands for "nothing here"
        if not isinstance(hidden, int):
            return rgb
        alpha = np.where(rgb[..., :1] == hidden, 0, 65535).astype(np.uint16)
        return np.concatenate([rgb, alpha], axis=2)
    if channels not in {3, 4}:
        raise ImageError(f"a 16-bit file of {channels} channels is not supported")
    to_rgb = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(array, to_rgb))


def _colour_space(icc: bytes | None) -> bytes:
    """Four letters in a profile's header, such as `RGB ` or `GRAY`."""
    return b"" if icc is None else icc[16:20]


def _cmyk_to_srgb(image: Image.Image, icc: bytes) -> Pixels:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except ImageCms.PyCMSError:  # a broken profile; the ink values themselves are still there
        converted = None
    return np.asarray(converted or image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(Tag.Orientation, 1))
    except Exception:  # a damaged block says nothing about the pixels
        return 1


def _upright_exif(image: Image.Image, orientation: int) -> bytes | None:
    """The file's EXIF block, saying "upright". A damaged one is dropped."""
    block = image.info.get("exif")
    if orientation == 1 or block is None:
        return block
    try:
        exif = image.getexif()
        exif[Tag.Orientation] = 1
        return exif.tobytes()
    except Exception:
        return None


# Orientation, as EXIF numbers it -> what makes the picture upright.
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


def _turned(array: Pixels, orientation: int) -> Pixels:
    turn = _TURNS.get(orientation)
    return array if turn is None else turn(array)


def write_picture(path: Path | str, picture: Picture, quality: int = 95) -> None:
    """Write a picture in the format of the path's suffix, atomically.

    | suffix | bits | alpha | profile, EXIF |
    | --- | --- | --- | --- |
    | .png, .tif, .tiff | 8 or 16, as the pixels are | yes | yes (a 16-bit TIFF: profile only) |
    | .webp | 8 | yes | yes |
    | .jpg, .jpeg, .jfif | 8 | composited on white | yes |
    | .bmp | 8 | composited on white | no |

    Args:
        quality: of JPEG and lossy WebP, 1 to 100. JPEG keeps its colour at full resolution (4:4:4).

    Raises:
        ImageError: there is no such format, or the picture is too large for it.
        StorageError: the disk refused.
    """
    path = Path(path)
    encode = _ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise ImageError(
            f"{path}: cannot write this format; use one of {' '.join(WRITABLE_SUFFIXES)}"
        )
    try:
        data = encode(picture, quality)
    except Exception as error:  # whatever the encoder finds wrong, mostly the size
        raise ImageError(f"{path}: cannot be written in this format ({error})") from None
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def eight_bit(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Pixels as uint8, rounded to the nearest."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _encode_png(picture: Picture, quality: int) -> bytes:
    if picture.pixels.dtype == np.uint8:
        return _encode_8bit(picture, "PNG")
    bgr = cv2.cvtColor(
        _with_alpha(picture), cv2.COLOR_RGB2BGR if picture.alpha is None else cv2.COLOR_RGBA2BGRA
    )
    _, encoded = cv2.imencode(".png", bgr)
    data = encoded.tobytes()
    # OpenCV writes no metadata: its chunks go between the header (8 + 25 bytes) and the pixels.
    chunks = b""
    if picture.icc:
        chunks += _png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc))
    if picture.exif:
        chunks += _png_chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0"))
    return data[:33] + chunks + data[33:]


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _encode_tiff(picture: Picture, quality: int) -> bytes:
    if picture.pixels.dtype == np.uint8:
        return _encode_8bit(picture, "TIFF", compression="tiff_adobe_deflate")
    # Neither Pillow nor OpenCV writes 16-bit colour with a profile: one deflated strip by hand.
    array = _with_alpha(picture)
    height, width, channels = array.shape
    strip = zlib.compress(array.astype("<u2").tobytes())
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[Tag.ImageWidth] = width
    tags[Tag.ImageLength] = height
    tags[Tag.BitsPerSample] = (16,) * channels
    tags[Tag.Compression] = 8  # deflate
    tags[Tag.PhotometricInterpretation] = 2  # RGB
    tags[Tag.StripOffsets] = 0  # counted from the end of the directory
    tags[Tag.SamplesPerPixel] = channels
    tags[Tag.RowsPerStrip] = height
    tags[Tag.StripByteCounts] = len(strip)
    if channels == 4:
        tags[Tag.ExtraSamples] = 2  # alpha, not multiplied into the colours
    if picture.icc:
        tags.tagtype[Tag.InterColorProfile] = 7  # bytes
        tags[Tag.InterColorProfile] = picture.icc
    return b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8) + strip


def _encode_webp(picture: Picture, quality: int) -> bytes:
    return _encode_8bit(picture, "WEBP", quality=quality)


def _encode_jpeg(picture: Picture, quality: int) -> bytes:
    return _encode_8bit(_opaque(picture), "JPEG", quality=quality, subsampling="4:4:4")


def _encode_bmp(picture: Picture, quality: int) -> bytes:
    return _encode_8bit(_opaque(picture), "BMP")


_ENCODERS: dict[str, Callable[[Picture, int], bytes]] = {
    ".png": _encode_png,
    ".jpg": _encode_jpeg,
    ".jpeg": _encode_jpeg,
    ".jfif": _encode_jpeg,
    ".webp": _encode_webp,
    ".tif": _encode_tiff,
    ".tiff": _encode_tiff,
    ".bmp": _encode_bmp,
}
WRITABLE_SUFFIXES = tuple(_ENCODERS)


def _encode_8bit(picture: Picture, kind: str, **options: Any) -> bytes:
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.exif:
        options["exif"] = picture.exif
    buffer = io.BytesIO()
    Image.fromarray(eight_bit(_with_alpha(picture))).save(buffer, kind, **options)
    return buffer.getvalue()


def _with_alpha(picture: Picture) -> Pixels:
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def _opaque(picture: Picture) -> Picture:
    return replace(picture, pixels=picture.composited(), alpha=None)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (height, width) with the published filter, Pillow's antialiased bicubic.

    OpenCV's filter of that name aliases when it shrinks.
    """
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
        for plane in pixels.astype(np.float32).transpose(2, 0, 1)
    ]
    levels: Pixels = np.dstack([np.asarray(plane) for plane in planes])
    return levels.round().clip(0, 65535).astype(np.uint16)


def to_tensor(pixels: Pixels) -> Tensor:
    """(height, width, 3) uint8 or uint16 -> float32 (3, height, width) in [-1, 1]."""
    # In numpy: torch would spread this over threads, which fight for cores with the training.
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    planes /= np.float32(np.iinfo(pixels.dtype).max / 2)
    planes -= 1
    return torch.from_numpy(planes)


def to_pixels(image: Tensor, dtype: npt.DTypeLike = np.uint8) -> Pixels:
    """(channels, height, width) in [-1, 1] -> (height, width, channels) uint8 or uint16.

    Rounded to the nearest value and clamped. (The reference implementation truncates, which makes
    every picture half a grey level darker.)
    """
    top = np.iinfo(dtype).max
    levels = image.detach().float().add(1).mul_(top / 2).round_().clamp_(0, top)
    # torch's uint16 has few operations: cross over as int32.
    whole = levels.to(torch.uint8 if top == 255 else torch.int32).permute(1, 2, 0)
    return np.ascontiguousarray(whole.cpu().numpy(), dtype=dtype)
