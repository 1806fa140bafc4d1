"""What the commands have in common when they talk to a person or to a program."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
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

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)


def say_error(message: str) -> None:
    """One error, on standard error."""
    error_console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


def say_note(message: str) -> None:
    """Something worth knowing, on standard error."""
    error_console.print(f"note: {message}", markup=False, soft_wrap=True)


def printable(text: str) -> str:
    r"""Text in which what a terminal would not show, as names may hold, is an escape like `\n`."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def print_json(value: Any) -> None:
    """JSON alone on standard output."""
    print(json.dumps(value, indent=2))


class _Rate(ProgressColumn):
    """Images a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} images/s" if task.speed else "")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of images on standard error; yields what moves it: (done, total)."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not error_console.is_terminal,  # where it would leave an empty line
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
