"""A sentence or two on which of the compared models is best."""

from img2img.evaluation.comparison import Compared, Comparison, primary_measure
from img2img.metrics.measure import short_number
from img2img.metrics.significance import CHANCE, times_as_long

# The verdict mentions that a model is slower than another by this factor or more.
SLOWER = 1.2


def verdict(comparison: Comparison) -> str:
    """Which model is the best, and how sure that is, in a sentence or two."""
    models = comparison.models
    measure = primary_measure(models) or next(iter(models[0].figures), None)
    if measure is None or any(measure not in model.figures for model in models):
        return "Nothing was measured that compares the models."
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
            "No model is better than the untouched input, which has"
            f" {short_number(figure.baseline)}."
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
    counted = f"on {wins} of {len(comparison.names)} images ({measure} {values}{sure})"
    if p is not None and p > CHANCE:
        return (
            f"{best.name} and {second.name} are too close to call: {best.name} is ahead {counted}."
        )
    return f"{best.name} is better than {second.name} {counted}."
