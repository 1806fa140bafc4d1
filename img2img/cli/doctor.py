"""`img2img doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from img2img.cli.output import console, print_json, printable

if TYPE_CHECKING:
    from img2img.doctor import Finding


def doctor(
    run: Annotated[Path, typer.Argument(help="Run folder: of a run finished, stopped, or going.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what is or was wrong with a training, and which settings may mend it.

    Example: img2img doctor runs/mine

    Reads the log of the run, and writes doctor.png into its folder: the curves that tell most, and
    in red where the evidence is. The exit status is 0 whatever is found; programs read --json.
    docs/doctor.md says what is watched.
    """
    from img2img.doctor import Course, follow
    from img2img.doctor.course import LEAST
    from img2img.doctor.plot import draw
    from img2img.pages.run import read_run

    record = read_run(run)
    course = Course(record.lines)
    findings = follow(record.lines, record.config)
    picture = draw(course, findings, run / "doctor.png")
    if as_json:
        print_json(
            {
                "step": course.step,
                "losses": course.losses,
                "looks": course.looks,
                "enough": course.losses >= LEAST,
                "findings": [_plain(finding, course.step) for finding in findings],
            }
        )
        return
    seen = f"{course.losses} lines of losses and {course.looks} looks at translations"
    _say(f"{run}: {course.step} steps, {seen}")
    for finding in findings:
        _tell(finding, course.step)
    if not findings and course.losses >= LEAST:
        _say("Nothing was found that is wrong.")
    if course.losses < LEAST:
        _say(f"That is too little to judge by: {LEAST} lines are the least (metrics.log_every).")
    elif course.looks == 0:
        _say("Translations were not looked at (doctor.every): what they show is not known.")
    if picture is not None:
        _say(f"wrote {picture}")


def _tell(finding: "Finding", step: int) -> None:
    when = f"first seen at step {finding.first}"
    if finding.last < step:
        when += f", last at {finding.last}"
    console.print(f"\n[bold red]{finding.name}[/], {when}", soft_wrap=True)
    _say(f"  {finding.summary}")
    _say(f"  {finding.evidence.text}")
    for each in finding.proposals:
        _say(f"    {each.flags}    # {each.why}")
    _say("")


def _plain(finding: "Finding", step: int) -> dict[str, Any]:
    return {
        "name": finding.name,
        "summary": finding.summary,
        "now": finding.last == step,
        "first": finding.first,
        "last": finding.last,
        "evidence": finding.evidence.text,
        "values": finding.evidence.values,
        "tags": finding.evidence.tags,
        "proposals": [
            {"settings": dict(each.settings), "why": each.why, "flags": each.flags}
            for each in finding.proposals
        ],
    }


def _say(text: str) -> None:
    console.print(printable(text), markup=False, soft_wrap=True)
