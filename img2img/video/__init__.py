"""Video files: what is in one, its frames, and frames encoded, each at its own time.

Everything that knows about codecs, containers, colour matrices and display rotation is here; the
rest of the program sees upright RGB frames with the times of the file.
"""

from img2img.video.codecs import Encoding, check_encoding
from img2img.video.colour import Colour
from img2img.video.encoding import SegmentWriter, joined_packets, joined_stream
from img2img.video.probing import UNREADABLE_VIDEOS, VIDEO_SUFFIXES, VideoInfo, is_video, probe
from img2img.video.reading import Frame, frames
from img2img.video.span import Span

__all__ = [
    "UNREADABLE_VIDEOS",
    "VIDEO_SUFFIXES",
    "Colour",
    "Encoding",
    "Frame",
    "SegmentWriter",
    "Span",
    "VideoInfo",
    "check_encoding",
    "frames",
    "is_video",
    "joined_packets",
    "joined_stream",
    "probe",
]
