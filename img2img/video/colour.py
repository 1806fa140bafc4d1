"""The colours of video frames: a stream's colour tags, and conversion between YUV and RGB."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from av import VideoFormat, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from img2img.errors import VideoError
from img2img.images import Pixels

# The numbers of ITU-T H.273, which FFmpeg uses; a range of 0 is unspecified.
_RGB, _BT709, _UNSPECIFIED, _RESERVED, _BT601 = 0, 1, 2, 3, 6
_LIMITED, _FULL = 1, 2

# By default swscale interpolates chroma at half its resolution and rounds coarsely.
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_PLANES_WITH_ALPHA = 4
# White in 16 bits, as swscale converts it from and to YUV: 255 * 256, not 65535.
_WHITE = 65280


@dataclass(frozen=True)
class Colour:
    """The four colour tags of a stream, as numbers of ITU-T H.273.

    Attributes:
        range: 1 limited, 2 full, 0 unspecified.
        primaries: colour primaries. Here and in the next two, 2 is unspecified.
        transfer: the curve between light and values, which is never changed.
        matrix: the matrix between YUV and RGB; 0 means that the stream is RGB.
    """

    range: int
    primaries: int
    transfer: int
    matrix: int

    def resolved(self, size: tuple[int, int]) -> "Colour":
        """The tags, completed with the range and matrix that players assume if there are none.

        Args:
            size: height and width. From 720 rows or 1280 columns on, the matrix is BT.709, below
                it BT.601.
        """
        matrix = self.matrix
        if matrix in {_RGB, _UNSPECIFIED, _RESERVED}:
            matrix = _BT709 if size[0] >= 720 or size[1] >= 1280 else _BT601
        return replace(self, range=self.range or _LIMITED, matrix=matrix)

    def held_by(
        self, matrices: Collection[int], size: tuple[int, int], *, limited: bool
    ) -> "Colour":
        """The nearest tags that a codec can record.

        Args:
            matrices: the matrices that the codec supports; empty: all.
            size: height and width.
            limited: whether the codec supports only limited range.
        """
        there = self.resolved(size)
        held = replace(self, range=_LIMITED) if limited and there.range != _LIMITED else self
        if matrices and there.matrix not in matrices:
            held = replace(held, matrix=_BT709)
        elif matrices:
            held = replace(held, matrix=there.matrix)
        return held

    def of_yuv(self, size: tuple[int, int]) -> "Colour":
        """The tags of the same colours as YUV; only those of RGB differ."""
        return self if self.matrix != _RGB else self.resolved(size)


class Converter:
    """Converts the frames of a stream to RGB, and RGB to frames.

    Args:
        colour: the colour tags of the stream.
        size: height and width of the stream, which decide what missing tags mean.
    """

    def __init__(self, colour: Colour, size: tuple[int, int]) -> None:
        self._colour = colour.resolved(size)
        self._height, self._width = size
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: VideoFrame, depth: int) -> Pixels:
        """The pixels, (H, W, 3): uint8 for a depth of 8 bits, otherwise uint16 in full range.

        A frame whose size differs from the stream's, as in some broadcasts, is scaled to fit, with
        black bars if its aspect ratio differs.

        Raises:
            VideoError: the pixel format or matrix cannot be converted.
        """
        pixels = self._packed(frame, "rgb24" if depth == 8 else "rgb48le")
        if depth > 8 and _has_matrix(frame.format):
            np.minimum(pixels, _WHITE, out=pixels)
            pixels += pixels >> 8
        return pixels

    def to_alpha(self, frame: VideoFrame, depth: int) -> Pixels | None:
        """The alpha channel, (H, W), of the same type as the pixels; None if there is none."""
        if not any(part.is_alpha for part in frame.format.components):
            return None
        top = 255 if depth == 8 else 65535
        if len(frame.planes) == _PLANES_WITH_ALPHA and (frame.height, frame.width) == (
            self._height,
            self._width,
        ):
            # Not with swscale, which does not map opaque 10-bit alpha to opaque 16-bit alpha.
            levels = 2 ** frame.format.components[-1].bits - 1
            plane = _plane(frame).astype(np.uint32)
            opacity: Pixels = (plane * top + levels // 2) // levels
            return opacity.astype(np.uint8 if depth == 8 else np.uint16)
        return self._packed(frame, "rgba" if depth == 8 else "rgba64le")[..., 3].copy()

    def from_rgb(self, pixels: Pixels, form: str, alpha: Pixels | None = None) -> VideoFrame:
        """A frame in a pixel format, from pixels and alpha like those of `to_rgb` and `to_alpha`.

        Raises:
            VideoError: the pixel format or matrix cannot be converted.
        """
        if pixels.dtype == np.uint16 and _has_matrix(VideoFormat(form)):
            pixels = pixels - (pixels >> 8)
        named = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=named)
        self._tag(frame)
        made = self._converted(frame, form, self._colour.range, frame.width, frame.height)
        if alpha is not None:
            top, levels = np.iinfo(alpha.dtype).max, 2 ** made.format.components[-1].bits - 1
            _plane(made)[:] = (alpha.astype(np.uint32) * levels + top // 2) // top
        return made

    def _packed(self, frame: VideoFrame, form: str) -> Pixels:
        self._tag(frame)
        height, width = self.fitted((frame.height, frame.width))
        shown: Pixels = self._converted(frame, form, _FULL, width, height).to_ndarray()
        if (height, width) == (self._height, self._width):
            return shown
        pixels = np.zeros((self._height, self._width, shown.shape[2]), shown.dtype)
        top, left = (self._height - height) // 2, (self._width - width) // 2
        pixels[top : top + height, left : left + width] = shown
        return pixels

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """The largest size with the aspect ratio of a frame that fits into the stream's."""
        factor = min(self._height / size[0], self._width / size[1])
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def _tag(self, frame: VideoFrame) -> None:
        frame.colorspace, frame.color_range = self._colour.matrix, self._colour.range

    def _converted(
        self, frame: VideoFrame, form: str, to_range: int, width: int, height: int
    ) -> VideoFrame:
        if frame.format.is_rgb:
            frame.color_range = _FULL
        try:
            return self._reformatter.reformat(
                frame,
                width,
                height,
                form,
                interpolation=_ACCURATE,
                dst_color_range=to_range,
            )
        except (OSError, ValueError, NotImplementedError) as error:
            raise VideoError(
                f"frames in {frame.format.name} with colour matrix {self._colour.matrix} cannot be"
                f" converted to {form}: {error}"
            ) from error


def _plane(frame: VideoFrame) -> Pixels:
    """The alpha plane of a planar frame, (H, W), to read or write."""
    deep = frame.format.components[-1].bits > 8
    plane = np.asarray(memoryview(frame.planes[_PLANES_WITH_ALPHA - 1]))
    rows: Pixels = plane.view(np.uint16 if deep else np.uint8).reshape(frame.height, -1)[
        :, : frame.width
    ]
    return rows


def _has_matrix(form: VideoFormat) -> bool:
    """Whether a pixel format is converted with a matrix: not RGB or grey."""
    return not form.is_rgb and len(form.components) >= 3
