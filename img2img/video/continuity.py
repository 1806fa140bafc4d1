"""Files that are truncated, or joined from parts whose timestamps start again.

Recordings may have been joined with `cat`, and downloads cut off by a lost connection. Both are
read as far as possible, one part after another.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# FFmpeg's flag for formats whose timestamps may start again within a file, such as transport
# streams; and the limits of FFmpeg's own tool: a jump back or forth by more seconds is a new part.
_MAY_JUMP = 512
_BACK, _FORTH = Fraction(1, 10), Fraction(10)
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"sidx"}
_EBML, _SEGMENT, _RIFF = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"RIFF"


@dataclass(frozen=True)
class Timeline:
    """How to interpret the timestamps of a file.

    Attributes:
        offsets: seconds to add to the timestamps of each part of the file; empty if it has one
            part.
        frames: number of video packets; None if they were not counted.
        seconds: duration of the video with these offsets.
    """

    offsets: tuple[Fraction, ...] = ()
    frames: int | None = None
    seconds: Fraction = Fraction(0)

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, step: Fraction) -> "Timeline":
        """The timeline of a file, which is read to its end if its timestamps may jump.

        Args:
            step: seconds from one frame to the next.
        """
        if not container.format.flags & _MAY_JUMP:
            return cls()
        offsets = [Fraction(0)]
        first: Fraction | None = None
        last: Fraction | None = None
        count = 0
        try:
            for packet in container.demux(stream):
                time = _time(packet)
                if not packet.size or time is None:
                    continue
                count += 1
                if last is not None and _jumps(last, time, forth=True):
                    offsets.append(offsets[-1] + last + step - time)
                first, last = time if first is None else first, time
        except av.FFmpegError:
            pass  # reading the frames will raise it again
        if first is None or last is None:
            return cls()
        seconds = last + offsets[-1] + step - first
        return cls(tuple(offsets) if len(offsets) > 1 else (), count, seconds)


@dataclass
class Mender:
    """Corrects the timestamps of a file's packets, in order."""

    timeline: Timeline
    _part: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _last: dict[int, Fraction] = field(default_factory=dict)

    def mend(self, packet: "Packet[Any]") -> None:
        """Correct a packet's timestamps. Each stream enters the next part on its own."""
        offsets, time = self.timeline.offsets, _time(packet)
        if not offsets or time is None or not packet.time_base:
            return
        stream = packet.stream
        last = self._last.get(stream.index)
        # Subtitles may pause for a long time.
        if last is not None and _jumps(last, time, forth=stream.type in {"video", "audio"}):
            self._part[stream.index] += 1
        self._last[stream.index] = time
        ticks = round(offsets[min(self._part[stream.index], len(offsets) - 1)] / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks


def _time(packet: "Packet[Any]") -> Fraction | None:
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None or not packet.time_base else ticks * packet.time_base


def _jumps(last: Fraction, time: Fraction, *, forth: bool) -> bool:
    return time < last - _BACK or (forth and time > last + _FORTH)


def is_cut_off(path: Path) -> bool:
    """Whether a file is shorter than it declares, as MP4, MOV, Matroska, WebM and AVI do."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head[:4] == _RIFF:
            return 8 + int.from_bytes(head[4:8], "little") > size
        if head[:4] == _EBML:
            return _ebml_end(head) > size
        end = 0
        if head[4:8] not in _BOXES:
            return False
        while end < size:
            file.seek(end)
            box = file.read(16)
            length = int.from_bytes(box[:4])
            if length == 1:
                length = int.from_bytes(box[8:16])
            if length < 8:  # 0: to the end of the file; otherwise damaged, but not cut off
                return False
            end += length
        return end > size


def _ebml_end(head: bytes) -> int:
    """End of the Matroska segment that begins in these bytes; 0 if unknown."""
    length, at = _ebml_size(head, 4)
    at += length
    if head[at : at + 4] != _SEGMENT:
        return 0
    length, begin = _ebml_size(head, at + 4)
    return begin + length if length else 0


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """A size in EBML's encoding, 0 if unknown, and the position after it."""
    if at >= len(data) or not data[at]:
        return 0, at + 1
    width = 9 - data[at].bit_length()
    mask = (1 << 7 * width) - 1
    number = int.from_bytes(data[at : at + width]) & mask
    return 0 if number == mask else number, at + width
