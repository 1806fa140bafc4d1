"""`img2img doctor`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from img2img.cli.output import console, print_json, printable


def doctor(
    run: Annotated[Path, typer.Argument(help="Run folder: of a run finished, stopped, or going.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what is wrong with a training, by what, and which settings may mend it.

    Example: img2img doctor runs/mine

    Reads the log of the run and writes doctor.png beside it, with what was looked at and the
    evidence in red. The exit status is 0 whatever is found; --json is for programs that want to
    know. docs/doctor.md says what is watched.
    """
    from img2img.doctor import Course, examine
    from img2img.doctor.course import LEAST
    from img2img.doctor.plot import draw
    from img2img.pages.run import read_run

    record = read_run(run)
    course = Course(record.lines)
    findings = examine(course, record.config)
    enough = course.losses >= LEAST
    picture = run / "doctor.png"
    draw(course, findings, picture)
    seen = f"{course.losses} lines of losses and {course.looks} looks at pictures"
    if as_json:
        told: dict[str, Any] = {
            "step": course.step,
            "losses": course.losses,
            "looks": course.looks,
            "enough": enough,
            "findings": [finding.as_dict() for finding in findings],
        }
        print_json(told)
        return
    console.print(printable(f"{run}: {course.step} steps, {seen}"), markup=False, soft_wrap=True)
    for finding in findings:
        console.print(f"\n[bold red]{finding.name}[/]: {finding.summary}", soft_wrap=True)
        console.print(f"  {printable(finding.evidence.text)}", markup=False, soft_wrap=True)
        for each in finding.proposals:
            console.print(f"  {each.flags}   {each.why}", markup=False, soft_wrap=True)
    if not findings and enough:
        console.print("nothing found that is wrong")
    elif not enough:
        least = f"{LEAST} lines of losses"
        console.print(f"too short a run to say more: the least is {least} (metrics.log_every)")
    if picture.is_file():
        console.print(printable(f"\nwrote {picture}"), markup=False, soft_wrap=True)
