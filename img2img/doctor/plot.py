"""Plots the series that the doctor reads, with the evidence in red."""

from collections.abc import Sequence
from pathlib import Path

from img2img.doctor.condition import Finding
from img2img.runs.history import RunHistory
from img2img.runtime.files import atomic_write

COLUMNS = 3
# What is always drawn if it was logged, by the start of the tags.
USUAL = (
    "D/accuracy",
    "D/adv",
    "G/adv",
    "D/gradient",
    "G/gradient",
    "diagnostics/diversity",
    "diagnostics/change",
    "diagnostics/correlation",
    "diagnostics/train_l1",
    "diagnostics/held_out_l1",
)


def draw(history: RunHistory, findings: Sequence[Finding], path: Path) -> Path | None:
    """Draw the most important series and, in red, the evidence for the findings.

    Returns:
        The path of the plot; None if the run has logged nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    usual = [tag for start in USUAL for tag in history.tags(start) if "_target" not in tag]
    marked = [tag for finding in findings for tag in finding.evidence.tags]
    tags = [tag for tag in dict.fromkeys([*marked, *usual]) if tag in history]
    if not tags:
        return None
    rows = -(-len(tags) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.4 * rows), layout="constrained")
    for place, tag in enumerate(tags, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        series = history[tag]
        axes.plot(series.steps, series.values, linewidth=1, marker="." if len(series) < 9 else "")
        spoken = [finding for finding in findings if tag in finding.evidence.tags]
        for finding in spoken:
            since = min(finding.evidence.since, finding.first)
            axes.axvspan(since, finding.last, color="tab:red", alpha=0.15)
        names = ", ".join(finding.name for finding in spoken)
        axes.set_title(f"{tag}: {names}" if spoken else tag, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)
    return path
