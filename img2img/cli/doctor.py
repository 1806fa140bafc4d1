"""`img2img doctor`."""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from img2img.cli import completion
from img2img.cli.options import AsJson
from img2img.cli.output import console, print_json, say
from img2img.errors import counted

if TYPE_CHECKING:
    from img2img.doctor import Finding
    from img2img.doctor.proposals import Proposal


def doctor(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder of a finished, stopped or running training.",
            autocompletion=completion.runs,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Find what went wrong in a training run, and which settings may fix it.

    Example: img2img doctor runs/mine

    Reads the run's log and writes doctor.png to its folder: the most important curves, with the
    evidence in red. The exit status is 0 whatever is found; scripts can use --json. docs/doctor.md
    explains what is checked.
    """
    from img2img.doctor import follow
    from img2img.doctor.plot import draw
    from img2img.doctor.trends import MIN_LINES
    from img2img.runs.reading import read_run

    record = read_run(run)
    history = record.history
    findings = follow(record.lines, record.config)
    if as_json:
        print_json(
            {
                "step": history.step,
                "losses": history.losses,
                "probes": history.probes,
                "enough": history.losses >= MIN_LINES,
                "findings": [_plain(finding) for finding in findings],
            }
        )
        draw(history, findings, run / "doctor.png")
        return
    lines = counted(history.losses, "line")
    probes = counted(history.probes, "health probe")
    _say(f"{run}: {counted(history.step, 'step')}, {lines} of losses and {probes}")
    for finding in findings:
        _tell(finding, history.step)
    if findings:
        _say("")
    if not findings and history.losses >= MIN_LINES:
        _say("No problem was found.")
    if not findings and history.losses < MIN_LINES:
        _say(
            f"It is too early to tell: the log needs at least {MIN_LINES} lines of losses"
            " (metrics.log_every sets how often one is written)."
        )
    elif history.probes == 0 and history.losses:
        _say("No health probes were taken (see doctor.every), so translations were not checked.")
    picture = draw(history, findings, run / "doctor.png")
    if picture is not None:
        _say(f"wrote {picture}")


def _tell(finding: "Finding", step: int) -> None:
    when = f"first seen at step {finding.first}"
    if finding.last < step:
        when += f", last at {finding.last}"
    console.print(f"\n[bold red]{finding.name}[/], {when}", soft_wrap=True)
    _say(f"  {finding.summary}")
    at = f" (at step {finding.worst}, the worst)" if finding.worst < step else ""
    _say(f"  {finding.evidence.text}{at}")
    if not finding.now:
        _say("    no longer present, so nothing needs to be changed")
    else:
        for each in finding.proposals:
            _say(f"    {_flags(each)}    # {each.why}")


def _flags(proposal: "Proposal") -> str:
    """A proposal as options of `img2img train`."""
    return " ".join(f"--set {shlex.quote(each)}" for each in proposal.assignments)


def _plain(finding: "Finding") -> dict[str, Any]:
    return {
        "name": finding.name,
        "summary": finding.summary,
        "now": finding.now,
        "first": finding.first,
        "worst": finding.worst,
        "last": finding.last,
        "evidence": finding.evidence.text,
        "values": {
            name: value if math.isfinite(value) else None
            for name, value in finding.evidence.values.items()
        },
        "tags": finding.evidence.tags,
        "proposals": [
            {"settings": dict(each.settings), "why": each.why, "flags": _flags(each)}
            for each in (finding.proposals if finding.now else ())
        ],
    }


def _say(text: str) -> None:
    say(text)
