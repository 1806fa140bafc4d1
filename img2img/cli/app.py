"""The `img2img` command and its subcommands.

torch and everything that needs it are imported inside the commands, so that `--help` is fast.
"""

import errno
import logging
import os
import shlex
import warnings
from pathlib import Path
from threading import Timer
from typing import Annotated, Any, TextIO

import typer

from img2img import __version__
from img2img.cli.bench import bench
from img2img.cli.catalogue import list_parts
from img2img.cli.command import Command, Group
from img2img.cli.compare import compare
from img2img.cli.data import data_app
from img2img.cli.demo import demo
from img2img.cli.doctor import doctor
from img2img.cli.evaluate import evaluate
from img2img.cli.export import export
from img2img.cli.importing import import_
from img2img.cli.info import info
from img2img.cli.lasting import lasting_output
from img2img.cli.output import escape_what_encodings_lack, say_error, say_note
from img2img.cli.report import report
from img2img.cli.statuses import WRONG, status_of
from img2img.cli.train import train
from img2img.cli.translate import translate
from img2img.cli.video import video_app
from img2img.errors import DataProblems, Img2ImgError, ProcessLost, Stopped

# Seconds in which a process that has lost another may end by itself.
GRACE = 30.0
_RESUME = {"train": "train --resume", "demo": "demo --output"}
_show_others = warnings.showwarning


class Commands(Group):
    """Commands that report the user's errors in a line or two, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Img2ImgError as error:
            if ctx.params.get("debug"):
                raise
            with lasting_output():  # whoever reads it may be gone; the exit status counts
                message = f"{error}{_way_on(ctx.invoked_subcommand, error)}"
                if not isinstance(error, Stopped):
                    say_error(message)
                # Of several processes one speaks, unless that may be the one that is gone.
                elif os.environ.get("RANK", "0") == "0" or isinstance(error, ProcessLost):
                    say_note(message)
            status = status_of(error)
            if isinstance(error, ProcessLost):
                _end_within(GRACE, status)
            raise typer.Exit(status) from None
        except OSError as error:  # a path that the system refuses: too long, no permission ...
            if ctx.params.get("debug") or error.errno == errno.EPIPE:
                raise
            say_error(str(error))
            raise typer.Exit(WRONG) from None


def _end_within(seconds: float, status: int) -> None:
    """End the process even if communication with a lost process never returns."""
    end = Timer(seconds, os._exit, (status,))
    end.daemon = True
    end.start()


def _way_on(command: str | None, error: Img2ImgError) -> str:
    """The next step after an error: the command that says more, or that resumes the run."""
    if isinstance(error, DataProblems):
        return "; `img2img data check` explains each of them"
    if not error.resumable or error.path is None or command not in _RESUME:
        return ""
    return f"; resume with: img2img {_RESUME[command]} {shlex.quote(str(error.path))}"


app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: img2img demo. Exit status: 0 done, 1 done in part, 2 wrong use or input, "
    "75 stopped early but resumable, 130 Ctrl-C.",
)
app.command(cls=Command)(train)
app.command(cls=Command)(translate)
app.command(cls=Command)(evaluate)
app.command(cls=Command)(bench)
app.command("import", cls=Command)(import_)
app.command(cls=Command)(info)
app.command(cls=Command)(export)
app.command(cls=Command)(doctor)
app.command(cls=Command)(report)
app.command(cls=Command)(compare)
app.command("list", cls=Command)(list_parts)
app.add_typer(data_app, name="data")
app.add_typer(video_app, name="video")
app.command(cls=Command)(demo)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"img2img {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Also show the traceback of an error.")
    ] = False,
) -> None:
    """Translate images with GANs that you train on your own pictures."""


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show warnings of img2img itself as notes, without a line of source code."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        say_note(str(message))
    else:
        _show_others(message, category, filename, lineno, file, line)


def _silence_libraries() -> None:
    """Silence libraries that would write to standard error what img2img reports itself."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # SVT-AV1 says what it does, unless told to keep to errors.
    os.environ.setdefault("SVT_LOG", "1")


def main() -> None:
    """The console script."""
    escape_what_encodings_lack()
    warnings.showwarning = _show_warning
    _silence_libraries()
    app(prog_name="img2img")
