"""The colours of video frames: what a stream says of them, and YUV <-> RGB by it."""

from dataclasses import dataclass, replace

import numpy as np
from av import VideoFormat, VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from img2img.errors import VideoError
from img2img.images import Pixels

# The numbers of ITU-T H.273, which FFmpeg uses; a range of 0 is unspecified.
_RGB, _BT709, _UNSPECIFIED, _RESERVED, _BT601 = 0, 1, 2, 3, 6
_LIMITED, _FULL = 1, 2

# By default swscale interpolates chroma at half its resolution and rounds in a hurry.
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

# White of 16 bits as swscale makes it of YUV and takes it for YUV: 255 * 256, not 65535.
_WHITE = 65280


@dataclass(frozen=True)
class Colour:
    """The four tags as a stream has them: the numbers of ITU-T H.273.

    Attributes:
        range: 1 limited, 2 full, 0 unspecified.
        primaries: 2 is unspecified, for these three.
        transfer: the curve between light and values, which nothing here undoes.
        matrix: of YUV and RGB; 0 is RGB itself.
    """

    range: int
    primaries: int
    transfer: int
    matrix: int

    def resolved(self, size: tuple[int, int]) -> "Colour":
        """The tags with the range and the matrix that players take where a stream has none.

        Args:
            size: height and width. From 720 rows or 1280 columns it is BT.709, below it BT.601.
        """
        matrix = self.matrix
        if matrix in {_RGB, _UNSPECIFIED, _RESERVED}:
            matrix = _BT709 if size[0] >= 720 or size[1] >= 1280 else _BT601
        return replace(self, range=self.range or _LIMITED, matrix=matrix)

    def of_yuv(self, size: tuple[int, int]) -> "Colour":
        """The tags of the same colours in YUV: those of RGB itself cannot stay."""
        return self if self.matrix != _RGB else self.resolved(size)


class Converter:
    """Frames of one stream to RGB, or RGB to frames of one stream.

    Args:
        colour: the tags of the stream.
        size: height and width of the stream, which decide where the tags do not.
    """

    def __init__(self, colour: Colour, size: tuple[int, int]) -> None:
        self._colour = colour.resolved(size)
        self._height, self._width = size
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: VideoFrame, depth: int) -> Pixels:
        """The pixels, (H, W, 3): uint8 at a depth of 8 bits, uint16 over its whole range above.

        A frame of another size than the stream's, as broadcasts may have, is resized to it.

        Raises:
            VideoError: a pixel format or matrix that cannot be converted.
        """
        self._tag(frame)
        form = "rgb24" if depth == 8 else "rgb48le"
        pixels: Pixels = self._converted(frame, form, _FULL, self._width, self._height).to_ndarray()
        if depth > 8 and _has_matrix(frame.format):
            np.minimum(pixels, _WHITE, out=pixels)
            pixels += pixels >> 8
        return pixels

    def from_rgb(self, pixels: Pixels, form: str) -> VideoFrame:
        """A frame of a pixel format, of pixels as `to_rgb` gives them.

        Raises:
            VideoError: a pixel format or matrix that cannot be converted.
        """
        if pixels.dtype == np.uint16 and _has_matrix(VideoFormat(form)):
            pixels = pixels - (pixels >> 8)
        named = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=named)
        self._tag(frame)
        return self._converted(frame, form, self._colour.range, frame.width, frame.height)

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
                f"{frame.format.name} of matrix {self._colour.matrix} cannot be converted"
                f" to {form}: {error}"
            ) from error


def _has_matrix(form: VideoFormat) -> bool:
    """Whether colours of a pixel format are converted by a matrix: not those of RGB or grey."""
    return not form.is_rgb and len(form.components) >= 3
