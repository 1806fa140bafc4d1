"""Output that the commands share, for people and for programs."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from img2img.cli.wording import in_options
from img2img.errors import ConfigError, shortened

# Characters of a line that is said; more than ten names of files.
LONGEST = 4000


class Console(RichConsole):
    """A console that ignores a closed pipe (as by `head`), so that the work continues."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # what is buffered would fail again at the end
        os.close(nowhere)


console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)


def escape_what_encodings_lack() -> None:
    """Make both streams escape characters that their encoding lacks.

    Standard error does so by itself. Standard output may be a file or pipe in cp1252, while a path
    may be in any script; this must not end the work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def parsed_size(option: str, text: str | None) -> tuple[int, int] | None:
    """Height and width from an option's value `WxH`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = (int(match[2]), int(match[1])) if match else (0, 0)
    if not all(size):
        raise ConfigError(
            f"--{option}: {text!r} is not a size; write width x height, such as 640x480"
        )
    return size


def say(line: str, to: Console = console) -> None:
    """Print a line as it is, without markup."""
    to.print(printable(line), markup=False, soft_wrap=True)


def say_error(message: str) -> None:
    """Print an error on standard error."""
    lines = _shown(message)
    error_console.print(f"[bold red]error:[/] {escape(lines)}", soft_wrap=True)


def say_note(message: str) -> None:
    """Print a note on standard error."""
    error_console.print(f"note: {_shown(message)}", markup=False, soft_wrap=True)


def _shown(message: str) -> str:
    """A message in the terms of the command, with lines of limited length."""
    lines = in_options(message).splitlines()
    return "\n".join(shortened(printable(line), LONGEST) for line in lines)


def printable(text: str) -> str:
    r"""Text in which what a terminal would not show, as names may hold, is an escape like `\n`."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def print_json(value: Any) -> None:
    """Print JSON, and nothing else, on standard output."""
    print(json.dumps(value, indent=2))


def split_names(text: str | None) -> list[str] | None:
    """The names in a text `a, b` as a list; None if it is None."""
    return [name.strip() for name in text.split(",")] if text else None


def seconds(option: str, text: str | None) -> float | None:
    """A time from `12.5`, `1:30` or `1:02:03`.

    Raises:
        ConfigError: it is not a time; the message names the option.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,7}(?:\.\d{1,9})?)", text)
    if frames := re.fullmatch(r"(\d{1,4}:\d{1,2}:\d{1,2})[:;](\d{1,2})", text):
        raise ConfigError(
            f"--{option}: {text!r} ends in a frame number, but a fraction of a second is needed;"
            f" at 25 frames per second that is {frames[1]}.{4 * int(frames[2]) % 100:02d}"
        )
    if match is None:
        raise ConfigError(f"--{option}: {text!r} is not a time; write it as 12.5, 1:30 or 1:02:03")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + rest


def frame_rate(text: str) -> Fraction:
    """A frame rate from `25`, `29.97` (which means the broadcast rate) or `30000/1001`."""
    match = re.fullmatch(r"\d{1,6}(\.\d{1,6})?|\d{1,9}/[1-9]\d{0,8}", text)
    rate = Fraction(text) if match else Fraction(0)
    if not 0 < rate <= 1000:
        raise ConfigError(
            f"--fps: {text!r} is not a frame rate; write it as 25, 29.97 or 30000/1001"
        )
    broadcast = Fraction(1000 * round(rate), 1001)
    return broadcast if "." in text and abs(rate - broadcast) < Fraction(1, 100) else rate


class _Rate(ProgressColumn):
    """Shows images, or parts of an image, per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class Counter:
    """Updates the progress bars for files, for parts of a large image, and for frames."""

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._images = bar.add_task(what, total=None)
        self._parts = bar.add_task("parts of a large image", total=None, visible=False)
        self._frames = bar.add_task("frames", total=None, visible=False)
        self._video = ""

    def __call__(self, done: int, total: int | None) -> None:
        self._bar.update(self._images, completed=done, total=total)

    def parts(self, done: int, total: int) -> None:
        self._bar.update(self._parts, completed=done, total=total, visible=done < total)

    def frames(self, video: str, done: int, total: int | None) -> None:
        if video != self._video:
            self._video = video
            self._bar.reset(self._frames, description=f"frames of {escape(printable(video))}")
        self._bar.update(self._frames, completed=done, total=total, visible=done != total)


@contextmanager
def counting(what: str, *, wanted: bool = True) -> Iterator[Counter]:
    """A progress bar on standard error, if that is a terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not (wanted and error_console.is_terminal),  # where it would leave an empty line
    ) as bar:
        yield Counter(bar, what)
