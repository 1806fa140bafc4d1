"""The report of a run: one file that shows how it went and what came of it."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import fmean, median

from img2img import __version__
from img2img.data.dataset import DataSet
from img2img.data.sources import CountProgress
from img2img.doctor import Finding, follow
from img2img.engine.sizing import Scale
from img2img.errors import Img2ImgError, ModelFileError
from img2img.evaluation.held_out import Example, HeldOut, held_out
from img2img.evaluation.items import bytes_each, spread
from img2img.html import embedded, page, text
from img2img.images import read_picture
from img2img.pages.curves import Curves, as_json, charts, read_curves
from img2img.pages.fragments import (
    facts_table,
    figure,
    grid,
    remark,
    resource,
    section,
    sides,
    tiles,
)
from img2img.pages.verdict import verdict
from img2img.runs.directory import RunDirectory
from img2img.runs.reading import Record, is_number, read_run
from img2img.runtime.files import write_text
from img2img.training.build import method_class
from img2img.training.data_of import data_of

# Together with all else a page stays under 15 MB.
_BYTES_OF_SHEETS = 4_000_000
_BYTES_OF_EXAMPLES = 9_000_000
# Sample sheets on the page, and the longer side of each in pixels.
_SHEETS = 30
_SHEET_SIDE = 1100


def write_report(
    run: Path,
    output: Path | None = None,
    *,
    examples: int = 8,
    scale: Scale = "auto",
    device: str = "auto",
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a run, finished or not, as one HTML file; return where.

    What the run folder does not hold yet, or what of the data is gone, is told in its place.

    Args:
        output: by default `report.html` in the run folder.
        examples: how many of the best held-out images are shown, and as many of the worst.
        scale: at which size held-out images are translated; see `Translator`.
        device: where held-out images are translated.
        progress: called with (images translated, images).
        say: told what a person might want to know; None: they are warnings.

    Raises:
        ConfigError: it is no run folder, or no such device.
        StorageError: the disk refused.
    """
    record = read_run(run)
    curves = read_curves(record.lines)
    found, missing = _data(record, progress)
    translated: list[HeldOut] = []
    if found is not None and found.held_out and examples:
        ways = len(method_class(record.config).translations)
        most = bytes_each(_BYTES_OF_EXAMPLES, ways * 2 * examples * 3)
        try:
            translated = list(
                held_out(run, found, most, scale=scale, device=device, progress=progress, say=say)
            )
        except ModelFileError as error:
            missing = str(error)
    findings = follow(record.lines, record.config)
    body = "\n".join(
        [
            "<main>",
            f'<p class="verdict">{text(verdict(record, findings))}</p>',
            tiles(_summary(record, translated)),
            *_examples(translated, examples, missing, found),
            section("Samples through training", *_course(record)),
            section("Held-out error", *_measures(curves)),
            section("What the doctor found", *_findings(findings)),
            section("Losses", *_losses(curves)),
            section("Time and memory", facts_table(_costs(record, translated))),
            section("Data", facts_table(_data_facts(record, found, missing))),
            section("Reproduce it", *_reproduce(record, translated, scale)),
            "</main>",
            f'<script type="application/json" id="curves">{as_json(curves)}</script>',
        ]
    )
    path = output or run / "report.html"
    style, script = resource("report.css"), resource("report.js") + resource("sides.js")
    remarks = remark(f"{record.config.method}, {_state(record)}")
    title = f"Report of {run.resolve().name}"
    write_text(path, page(title, remarks, body, style=style, script=script, sealed=True))
    return path


def _data(record: Record, progress: CountProgress | None) -> tuple[DataSet | None, str]:
    """The data that the run is about, or why it is not there."""
    try:
        return data_of(record.config, record.facts, progress), ""
    except Img2ImgError as error:
        return None, str(error)


def _state(record: Record) -> str:
    planned = record.planned_steps
    if planned is None:
        return f"{record.steps:,} steps made"
    if record.steps >= planned:
        return f"finished after {record.steps:,} steps"
    if record.ended_by_patience:
        return f"ended after {record.steps:,} of {planned:,} steps, as it got no better"
    return f"{record.steps:,} of {planned:,} steps made"


def _summary(record: Record, translated: Sequence[HeldOut]) -> Iterator[tuple[str, str]]:
    yield "steps", f"{record.steps:,}"
    if is_number(images := record.last("images")):
        yield "images seen", f"{images:,}"
    if is_number(seconds := record.last("seconds")):
        yield "training time", _duration(seconds)
    best = record.config.metrics.best
    if best is not None and is_number(value := record.last(f"val/{best}")):
        yield f"held-out {best}, last", f"{value:.4g}"
    for each in translated:
        if each.error is not None:
            way = f"{each.direction}, scale: {each.scale}"
            yield f"{each.measure}, whole images, {way}", f"{each.error:.4g}"
        if each.baseline is not None:
            yield f"the same of the untouched input, {each.direction}", f"{each.baseline:.4g}"


def _measures(curves: Curves) -> Iterator[str]:
    drawn = charts(curves, measures=True)
    if drawn:
        yield f'<div class="grid wide">\n{drawn}\n</div>'
    else:
        yield remark("Nothing has been measured on held-out images.")


def _losses(curves: Curves) -> Iterator[str]:
    drawn = charts(curves, measures=False)
    if not drawn:
        yield remark("Nothing has been logged yet.")
        return
    words = (
        "Move over a chart, or go through it with the arrow keys: all charts show the numbers of"
        " one step."
    )
    if curves.lines > 1:
        words += f" A point is the mean of {curves.lines} lines of the log."
    yield (
        "<details><summary>Losses, scores and what the doctor watches</summary>\n"
        f'{remark(words)}\n<div class="grid">\n{drawn}\n</div>\n</details>'
    )


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield remark("Nothing wrong in what the run has logged.")
    for each in findings:
        when = f"first seen at step {each.first:,}"
        when += "" if each.now else f", last at {each.last:,}; it has passed"
        yield f"<h3>{text(each.name)}</h3>"
        yield remark(f"{each.summary} ({when}: {each.evidence.text})")
        if each.now and each.proposals:
            lines = (f"{proposal.flags}    # {proposal.why}" for proposal in each.proposals)
            yield f"<pre>{text(chr(10).join(lines))}</pre>"


def _course(record: Record) -> Iterator[str]:
    if not record.sheets:
        yield remark("No samples have been saved yet.")
        return
    chosen = spread(list(record.sheets.items()), _SHEETS)
    most = _BYTES_OF_SHEETS // len(chosen)
    images, failed = [], []
    for step, path in chosen:
        try:
            address = embedded(read_picture(path), _SHEET_SIDE, most)
        except Img2ImgError as error:
            failed.append(str(error))
            continue
        hidden = "" if step == chosen[-1][0] else " hidden"
        images.append(f'<img{hidden} src="{address}" alt="step {step:,}" decoding="async">')
    if images:
        last = len(images) - 1
        yield (
            '<div class="course">\n<label>through training'
            f' <input type="range" min="0" max="{last}" value="{last}"> <output></output></label>\n'
            + "\n".join(images)
            + "\n</div>"
        )
    yield from map(remark, failed)


def _examples(
    translated: Sequence[HeldOut], most: int, missing: str, found: DataSet | None
) -> Iterator[str]:
    if not translated:
        why = missing or ("none are asked for" if found and found.held_out else "none are held out")
        yield section("Held-out images", remark(f"No translations to show: {why}."))
    for each in translated:
        examples = each.examples
        words = f"{len(examples)} of {each.count} held-out images were translated"
        if len(examples) == each.count:
            words = f"All {each.count} held-out images were translated"
        elif len(examples) + len(each.failed) < each.count:
            words += ", evenly spaced,"
        words += " with the run's newest model"
        words += f" (scale: {each.scale})." if each.scale else "."
        if each.error is not None and each.baseline is not None and each.error >= each.baseline:
            words += " That is no better than the untouched input."
        parts = [remark(words)]
        if examples and len(names := [what for what, _ in examples[0].pictures]) > 2:
            parts.append(sides([("left", names[:-1], 0)]))
        if each.ranked:
            best = examples[: min(most, (len(examples) + 1) // 2)]
            worst = examples[: len(best) - 1 : -1][:most]
            parts += [f"<h3>Best by {text(each.measure)}</h3>", grid(map(_shown, best))]
            parts += ["<h3>Worst</h3>", grid(map(_shown, worst))] if worst else []
        else:
            parts.append(grid(map(_shown, spread(examples, 2 * most))))
        if each.failed:
            parts += ["<h3>Not translated</h3>", facts_table(each.failed.items())]
        yield section(f"Held-out images, {each.direction}", *parts)


def _shown(example: Example) -> str:
    pictures = [(address, f"{example.name}: {what}") for what, address in example.pictures]
    label = f"{example.name}: more of the left, or of the result"
    before = "" if example.baseline is None else f"of the input {example.baseline:.4f}, here "
    remarks = [] if example.error is None else [f"L1 {before}{example.error:.4f}"]
    return figure(example.name, pictures, example.size, label, remarks)


def _costs(record: Record, translated: Sequence[HeldOut]) -> Iterator[tuple[str, str]]:
    facts = record.facts
    if is_number(seconds := record.last("seconds")):
        yield "training", _duration(seconds)
    rates = [x["images_per_second"] for x in record.lines if is_number(x.get("images_per_second"))]
    if rates:
        yield "images a second", f"{median(rates):.3g} (median)"
    waits = [line["waiting"] for line in record.lines if is_number(line.get("waiting"))]
    if waits:
        yield "waiting for images", f"{100 * fmean(waits):.1f} % of the time"
    yield "computed on", f"{record.config.device} in {record.config.precision}"
    if is_number(memory := facts.get("memory_bytes")):
        yield "memory in training", f"{memory / 1e9:.2f} GB at the peak of a step"
    if isinstance(networks := facts.get("parameters"), dict):
        counts = [f"{name} {n:,}" for name, n in networks.items() if is_number(n)]
        yield "weights", ", ".join(counts)
    model = RunDirectory(record.folder).model_path
    if model.is_file():
        yield "model file", f"{model.stat().st_size / 1e6:.1f} MB"
    for each in translated:
        if each.seconds is not None:
            yield (
                f"a translation {each.direction}",
                f"{1e3 * each.seconds:.1f} ms per picture (median) on {each.device} in fp32",
            )


def _data_facts(record: Record, found: DataSet | None, missing: str) -> Iterator[tuple[str, str]]:
    data, facts = record.config.data, record.facts
    for name, folder in (
        ("folder", data.root),
        ("folder of A", data.root_a),
        ("folder of B", data.root_b),
    ):
        if folder is not None:
            yield name, str(folder)
    if found is not None:
        yield "layout", found.layout
        yield "images", f"{found.counts}, {len(found.held_out)} held out"
    else:
        yield "now", missing
        if isinstance(facts.get("images"), str):
            yield "when it was trained", facts["images"]
    if isinstance(facts.get("batches"), str):
        yield "steps", facts["batches"]
    for name, size in (("resized to", data.load_size), ("crops", data.crop_size)):
        if size != "auto" and not (name == "resized to" and data.resize == "none"):
            yield name, f"{size[1]} × {size[0]} pixels"
    yield "direction", data.direction


def _reproduce(record: Record, translated: Sequence[HeldOut], scale: Scale) -> Iterator[str]:
    run = str(record.folder)
    again = f"{run.rstrip('/')}-again"
    method, config = record.config.method, str(RunDirectory(record.folder).config_path)
    versions = record.facts.get("versions")
    lines = [
        ["pip", "install", f"img2img-gan=={__version__}"],
        ["img2img", "train", method, "--config", config, "--output", again],
        [
            *("img2img", "translate", "--model", run, "--input", "photos"),
            *("--output", "translated", "--scale", scale),
        ],
        *(_evaluating(run, each, scale) for each in translated if each.error is not None),
        ["img2img", "report", run, "--scale", scale],
    ]
    yield f"<pre>{text(chr(10).join(map(shlex.join, lines)))}</pre>"
    words = f"The seed is {record.config.seed}."
    if isinstance(versions, dict):
        words += " It ran with " + ", ".join(f"{k} {v}" for k, v in versions.items()) + "."
    yield remark(words)
    yield (
        f"<details><summary>config.yaml, with all that was decided</summary>"
        f"<pre>{text(record.config_text)}</pre></details>"
    )


def _evaluating(run: str, made: HeldOut, scale: Scale) -> list[str]:
    """The command that gives the error of held-out images."""
    measure = "l1" if made.baseline is not None else "cycle"
    way = ["--direction", made.direction, "--measures", measure, "--scale", scale]
    return ["img2img", "evaluate", "--model", run, *way]


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
