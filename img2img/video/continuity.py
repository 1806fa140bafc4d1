"""Files that are not what they say: cut off at the end, or of parts whose times begin anew.

Recordings are joined by putting one behind the other, and streams are cut by a lost connection.
Both are read as what they show.
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

# FFmpeg's flag of formats whose times may begin anew within a file: transport streams and their
# like; and the limits that its own tool has: seconds that times fall, or rise at once.
_MAY_JUMP = 512
_BACK, _FORTH = Fraction(1, 10), Fraction(10)
_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"sidx"}
_EBML, _SEGMENT, _RIFF = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"RIFF"


@dataclass(frozen=True)
class Timeline:
    """The times of a file, as they are to be understood.

    Attributes:
        offsets: seconds to add to the times of each part of the file; empty: all are as they are.
        frames: how many packets its video has; None where it was not looked through.
        seconds: from its first to behind its last frame, by the times as understood.
    """

    offsets: tuple[Fraction, ...] = ()
    frames: int | None = None
    seconds: Fraction = Fraction(0)

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, step: Fraction) -> "Timeline":
        """Look a file through, if it is of a kind whose times may jump.

        Args:
            step: from one frame to the next, in seconds.
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
            pass  # reading meets it again, and says so
        if first is None or last is None:
            return cls()
        seconds = last + offsets[-1] + step - first
        return cls(tuple(offsets) if len(offsets) > 1 else (), count, seconds)


@dataclass
class Mender:
    """Moves the packets of a file, in their order, to where they belong."""

    timeline: Timeline
    _part: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _last: dict[int, Fraction] = field(default_factory=dict)

    def mend(self, packet: "Packet[Any]") -> None:
        """Change the packet's times. Each stream comes to the next part by itself."""
        offsets, time = self.timeline.offsets, _time(packet)
        if not offsets or time is None or not packet.time_base:
            return
        stream = packet.stream
        last = self._last.get(stream.index)
        # Of text, nothing may come for long.
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
    """Whether a file is shorter than it says: MP4 and MOV, Matroska and WebM, AVI say it."""
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
            if length < 8:  # 0: to the end of the file; else it is damaged, and not cut off
                return False
            end += length
        return end > size


def _ebml_end(head: bytes) -> int:
    """Where the segment ends whose beginning is in these bytes; 0: it does not say."""
    length, at = _ebml_size(head, 4)
    at += length
    if head[at : at + 4] != _SEGMENT:
        return 0
    length, begin = _ebml_size(head, at + 4)
    return begin + length if length else 0


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """A number as EBML writes sizes, 0 for an unknown one; and where it ends."""
    if at >= len(data) or not data[at]:
        return 0, at + 1
    width = 9 - data[at].bit_length()
    mask = (1 << 7 * width) - 1
    number = int.from_bytes(data[at : at + width]) & mask
    return 0 if number == mask else number, at + width
