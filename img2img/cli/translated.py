"""Prints the report on translated files."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from img2img.cli.output import console, error_console, print_json, printable, say, say_note
from img2img.cli.wording import in_options
from img2img.errors import counted, some_names

if TYPE_CHECKING:
    from img2img.models.spec import ModelSpec
    from img2img.translate.report import Report
    from img2img.video.convert import Converted

FAILURES_SHOWN = 20


def say_report(report: "Report", spec: "ModelSpec", as_json: bool) -> None:
    """Print the report, as JSON or text, and notes on results that may be surprising.

    Args:
        spec: the specification of the model.
    """
    from img2img.engine.sizing import scale_summary

    if as_json:
        print_json(report.to_json())
    else:
        _say_results(report)
    for path, reason in [*report.failed.items()][:FAILURES_SHOWN]:
        say(f"failed: {path}: {in_options(reason)}", error_console)
    if len(report.failed) > FAILURES_SHOWN:
        more = len(report.failed) - FAILURES_SHOWN
        error_console.print(f"... and {more} more; --json lists them all")
    if report.applied_scales and not as_json:
        say_note(scale_summary(report.applied_scales, report.scale, spec))
    if report.unsupported:
        counts = report.unsupported.items()
        kinds = ", ".join(f"{suffix} ({count})" for suffix, count in counts)
        say_note(f"skipped, because these formats are not supported: {kinds}")
    if report.left_out:
        names = some_names([str(path) for path in report.left_out], most=3)
        say_note(
            f"left out, because img2img made them: {names}; to translate one, pass it as --input"
        )


def _say_results(report: "Report") -> None:
    """Print the results: as a table on a terminal, otherwise as lines."""
    speed = f"{report.images_per_second:.1f} images/s"
    where = printable(str(report.output))
    page = printable(str(report.gallery)) if report.gallery else None
    if console.is_terminal:
        table = Table(show_header=False)
        table.add_column(style="bold")
        table.add_row("translated", f"{len(report.written)} ({speed})")
        if report.skipped:
            table.add_row("skipped", f"{len(report.skipped)}, already there")
        if report.failed:
            table.add_row("failed", str(len(report.failed)), style="red")
        table.add_row("results", Text(where))
        if page:
            table.add_row("gallery", Text(page))
        console.print(table)
    else:
        line = f"{len(report.written)} translated to {where}"
        if report.skipped:
            line += f", {len(report.skipped)} already there"
        if report.failed:
            line += f", {len(report.failed)} failed"
        say(f"{line} ({speed})")
        if page:
            say(f"open it: {page}")
    for path, made in report.videos.items():
        say(_about(path, made))


def _about(path: Path, made: "Converted") -> str:
    """A line about a translated video."""
    new = made.frames - made.resumed
    line = f"{path}: {counted(made.frames, 'frame')} to {made.target}"
    if made.resumed:
        line += f", {made.resumed} of them made by an earlier call"
    if made.concealed:
        line += f"; {made.concealed} could not be decoded, and the frame before them is repeated"
    return f"{line} ({new / made.seconds:.1f} frames/s)" if made.seconds else line
