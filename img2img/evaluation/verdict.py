"""A sentence or two that say which of the compared models is best."""

from img2img.errors import counted
from img2img.evaluation.comparison import Compared, Comparison, primary_measure
from img2img.metrics.measure import short_number
from img2img.metrics.significance import CHANCE, times_as_long

# The verdict mentions that a model is slower than another by this factor or more.
SLOWER = 1.2


def verdict(comparison: Comparison) -> str:
    """A sentence or two that say which model is best, and how certain this is."""
    models = comparison.models
    measure = primary_measure(models) or next(iter(models[0].figures), None)
    if measure is None or any(measure not in model.figures for model in models):
        return "No measure was computed by which the models could be compared."
    higher = models[0].figures[measure].higher_is_better
    ranked = sorted(models, key=lambda model: model.figures[measure].value, reverse=higher)
    best, second = ranked[:2]
    sentences = [_lead(comparison, measure, best, second)]
    for slow, quick in ((best, second), (second, best)):
        if (times := times_as_long(slow.times, quick.times)) > SLOWER:
            sentences.append(f"{slow.name} takes {times:.1f} times as long.")
    figure = best.figures[measure]
    if figure.baseline is not None and figure.no_better:
        sentences.append(
            f"No model is better than the untouched input ({short_number(figure.baseline)})."
        )
    return " ".join(sentences)


def _lead(comparison: Comparison, measure: str, best: Compared, second: Compared) -> str:
    values = " against ".join(short_number(each.figures[measure].value) for each in (best, second))
    pair = {best.name, second.name}
    tests = (t for t in comparison.paired_tests if t.measure == measure)
    test = next((test for test in tests if {test.first, test.second} == pair), None)
    if test is None:
        return f"{best.name} has the better {measure}: {values}."
    wins, p = test.better if test.first == best.name else test.worse, test.p
    sure = "" if p is None else ", p < 0.001" if p < 0.001 else f", p {p:.2g}"
    tally = f"on {wins} of {counted(len(comparison.names), 'image')} ({measure} {values}{sure})"
    if p is not None and p > CHANCE:
        return f"{best.name} and {second.name} are too close to call: {best.name} is ahead {tally}."
    return f"{best.name} is better than {second.name} {tally}."
