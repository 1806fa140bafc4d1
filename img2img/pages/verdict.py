"""How well a run went, in a sentence or two."""

from collections.abc import Sequence

from img2img.doctor import Finding
from img2img.metrics.measure import MEASURES, measure_of
from img2img.runs.history import RunHistory
from img2img.runs.log import BASELINE, VAL
from img2img.runs.reading import Record

# The verdict mentions a stretch without improvement if it is this share of the steps or more.
STALLED = 0.2


def verdict(record: Record, findings: Sequence[Finding]) -> str:
    """How good translations of held-out images are, whether they still improve, and what is wrong.

    By the measure that selects the best model (`metrics.best`), or else by L1.
    """
    history = record.history
    if not history.step:
        return "Nothing has been logged yet."
    return " ".join([*_measured(history, record), _health(findings)])


def _measured(history: RunHistory, record: Record) -> list[str]:
    measure = record.config.metrics.best or "l1"
    tag, untouched = VAL + measure, BASELINE + measure
    if not (tag in history and len(history[tag])):
        return ["Held-out images have no targets, so nothing was measured: judge by the pictures."]
    series = history[tag]
    now = float(series.values[-1])
    higher = MEASURES[measure_of(measure)].higher_is_better
    sentences = [f"Held-out {measure} is {now:.4g}"]
    if untouched in history:
        base = float(history[untouched].values[-1])
        if (now <= base) if higher else (now >= base):
            sentences[0] += (
                f", and that of the untouched input is {base:.4g}: the translations are no better"
                " than their inputs"
            )
        elif higher:
            sentences[0] += f", and that of the untouched input is {base:.4g}"
        else:
            better = 100 * (1 - now / base)
            sentences[0] += f", {better:.0f} % below the untouched input's {base:.4g}"
    sentences[0] += "."
    best = int((series.values if higher else -series.values).argmax())
    best_at, steps = int(series.steps[best]), history.step
    if steps - best_at >= STALLED * steps:
        share = 100 * (steps - best_at) / steps
        sentences.append(f"It has not improved since step {best_at:,} ({share:.0f} % of the run).")
    elif len(series) > 1:
        sentences.append("It was still improving when it was last measured.")
    return sentences


def _health(findings: Sequence[Finding]) -> str:
    now = [finding.name for finding in findings if finding.now]
    if now:
        return f"The doctor warns of: {', '.join(now)}."
    passed = " now" if findings else ""
    return f"The doctor finds nothing wrong{passed}."
