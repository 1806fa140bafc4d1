"""The report of a run, looked at as a person does: in a browser.

What charts say is read as their text content: that of losses is folded away at first.
"""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2img.errors import ConfigError
from img2img.pages import write_report
from tests.pages.conftest import Open

Command = Callable[..., Any]
Page = Any
HOSTILE = "<script>alert(1)<!--\"'&$x.png"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: Path, train: Command) -> Path:
    """Nine steps, each logged and measured, with a sheet after every third."""
    output: Path = tmp_path_factory.mktemp("report") / "run"
    often = ["metrics.log_every=1", "metrics.every=2", "samples.every=3", "data.holdout=0.5"]
    flags = [word for each in often for word in ("--set", each)]
    assert train(output, "--data", tiny_pairs, "--max-steps", 9, *flags).status == 0
    return output


@pytest.fixture(scope="module")
def report(run: Path) -> Path:
    return write_report(run, device="cpu")


def test_what_it_shows(report: Path, run: Path, open_page: Open) -> None:
    assert report == run / "report.html"
    page = open_page(report)
    assert page.title() == "Report of run"
    assert "finished after 9 steps" in page.locator("header").inner_text()
    headings = page.locator("h2").all_inner_texts()
    assert headings == [
        "Held-out images, AtoB",
        "Samples during training",
        "Held-out error",
        "What the doctor found",
        "Losses",
        "Time and memory",
        "Data",
        "Reproduce it",
    ]
    assert page.locator(".chart h3").all_text_contents()[0] == "val/l1"
    assert "img2img train pix2pix --config" in page.locator("pre").first.inner_text()
    text = page.locator("main").inner_text()
    assert "3 pairs to train, 3 held out" in text
    assert "peak memory of a training step" in text
    assert "The seed is 0. It ran with img2img" in text
    page.locator("summary").last.click()
    assert page.locator("details pre").inner_text() == (run / "config.yaml").read_text()


def test_its_commands_give_its_figures(
    report: Path, run: Path, open_page: Open, img2img: Command
) -> None:
    """At the scale, and of the images, that they were taken at."""
    page = open_page(report)
    (line,) = (
        line
        for line in page.locator("pre").all_inner_texts()[-2].splitlines()
        if line.startswith("img2img evaluate")
    )
    outcome = img2img(*shlex.split(line)[1:], "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)["l1"]
    assert found["n"] == 3
    tiles = page.locator(".tiles").inner_text()
    assert f"L1 to the target, AtoB (whole images, scale: {found['scale']})" in tiles
    assert f"{found['value']:.4g}" in tiles
    assert f"{found['baseline']:.4g}" in tiles


def test_what_was_left_out_in_training_is_left_out(
    tmp_path: Path, train: Command, make_image: Any, open_page: Open, img2img: Command
) -> None:
    """Of pairs some of which cannot be used, only what was held out then is measured."""
    for number in range(20):
        make_image(f"d/A/{number}.png", (32, 32), seed=number)
        make_image(f"d/B/{number}.png", (32, 20 if number % 2 else 32), seed=number)
    run = tmp_path / "run"
    flags = ["--skip-bad", "--max-steps", 1, "--set", "data.holdout=0.3"]
    outcome = train(run, "--data", tmp_path / "d", *flags)
    assert outcome.status == 0, outcome.err
    assert "7 pairs to train, 3 held out" in outcome.out
    facts = json.loads((run / "facts.json").read_text())
    assert len(facts["held_out"]) == 6
    held_out = {Path(path).stem for path in facts["held_out"]}
    # Images that come later change which ones a share of them is.
    for number in range(100, 140):
        for domain in "AB":
            make_image(f"d/{domain}/{number}.png", (32, 32), seed=number)
    found = img2img("evaluate", "--model", run, "--measures", "l1", "--json")
    names = {*json.loads(found.out)["l1"]["per_image"]}
    assert names <= {f"A/{name}" for name in held_out}
    for path in (tmp_path / "d").rglob("1[0-3][0-9].png"):
        path.unlink()
    for known in (facts, {k: v for k, v in facts.items() if k not in ("held_out", "left_out")}):
        (run / "facts.json").write_text(json.dumps(known))
        text = open_page(write_report(run, device="cpu")).locator("main").inner_text()
        assert "7 pairs to train, 3 held out" in text
        assert "All 3 held-out images were translated" in text


def test_charts_are_read_by_keyboard_and_by_pointer(
    report: Path, run: Path, open_page: Open
) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["G/l1"] for line in lines if "G/l1" in line}
    measured = {line["step"]: line["val/l1"] for line in lines if "val/l1" in line}
    page = open_page(report)
    page.locator("summary").first.click()
    chart = page.locator(".chart", has=page.locator("h3", has_text="G/l1"))
    others = page.locator(".chart", has=page.locator("h3", has_text="val/l1"))
    assert chart.locator("[data-curve]").text_content() == f"{losses[9]:.4g}"
    chart.locator("input").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert chart.locator(".step").text_content() == others.locator(".step").text_content() == "3"
    assert chart.locator("[data-curve]").text_content() == f"{losses[3]:.4g}"
    assert others.locator("[data-curve]").first.text_content() == f"{measured[2]:.4g}"
    (baseline,) = {line["baseline/l1"] for line in lines if "baseline/l1" in line}
    assert f"untouched input {baseline:.4g}" in others.locator(".values").inner_text()
    spoken = chart.locator("input").get_attribute("aria-valuetext")
    assert spoken == f"step 3: l1 {losses[3]:.4g}"
    box = chart.locator(".plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.78 * box["width"], box["y"] + box["height"] / 2)
    assert chart.locator(".step").text_content() == "7"
    page.mouse.down()
    page.mouse.up()
    page.keyboard.press("ArrowLeft")
    assert chart.locator(".step").text_content() == "6"


def test_what_curves_are_compared_with_is_dashed_in_their_charts(
    report: Path, open_page: Open
) -> None:
    page = open_page(report)
    names = page.locator(".chart h3").all_text_contents()
    assert not [name for name in names if "wanted" in name or name.startswith("targets/")]
    for name, dashed in {"val/l1": "untouched input", "diagnostics/grid": "targets"}.items():
        chart = page.locator(".chart", has=page.locator("h3", has_text=name))
        assert chart.locator("polyline.dashed").count() == 1
        assert dashed in (chart.locator(".values .dashed").text_content() or "")
    charts = page.locator(".chart")
    assert all(charts.locator("> p").all_text_contents())
    assert {" ".join(each.split()) for each in charts.locator(".axis").all_text_contents()} == {
        "049 steps"
    }


def test_it_opens_with_a_verdict(tmp_path: Path, run: Path, open_page: Open) -> None:
    judged = tmp_path / "judged"
    shutil.copytree(run, judged)
    first = {"images": 1, "epoch": 0.3, "baseline/l1": 0.08}

    def opened(*values: float) -> str:
        lines = [{**first, "step": 3 + n, "val/l1": value} for n, value in enumerate(values)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (judged / "metrics.jsonl").write_text(text)
        page = open_page(write_report(judged, examples=0))
        words: str = page.locator("main > :first-child").inner_text()
        return words

    better = opened(0.08, 0.06, 0.04)
    assert "Held-out l1 is 0.04, 50 % below the untouched input's 0.08." in better
    assert "still improving" in better
    worse = opened(0.02, 0.09, 0.1)
    assert "that of the untouched input is 0.08: the translations are no better" in worse
    assert "has not improved since step 3 (40 % of the run)" in worse


def test_nothing_is_blank_that_was_not_scrolled_to(report: Path, open_page: Open) -> None:
    page = open_page(report)
    pictures = page.locator("img").all()
    assert len(pictures) > 9
    assert all(each.evaluate("picture => picture.complete") for each in pictures)
    assert all(each.evaluate("picture => picture.naturalWidth") for each in pictures)


def test_samples_through_training(report: Path, open_page: Open) -> None:
    page = open_page(report)
    shown = page.locator(".timeline img:visible")
    assert shown.get_attribute("alt") == "step 9"
    page.locator(".timeline input").focus()
    page.keyboard.press("Home")
    assert shown.get_attribute("alt") == "step 3"
    assert page.locator(".timeline output").inner_text() == "step 3"
    assert shown.evaluate("picture => picture.complete && picture.naturalWidth") > 100


def test_sliders_between_input_target_and_result(report: Path, open_page: Open) -> None:
    page = open_page(report)
    figures = page.locator("figure:has(.pair)")
    assert figures.count() == 3
    remarks = figures.locator("span span:first-child").all_text_contents()
    errors = [float(text.split()[-1]) for text in remarks]
    assert errors == sorted(errors[:2]) + errors[2:]  # the best, then the worst
    assert errors[2] == max(errors)
    pair = figures.first.locator(".pair")
    pair.scroll_into_view_if_needed()
    visible = pair.locator("img:visible")
    assert [alt.rpartition(": ")[2] for alt in alts(visible)] == ["input", "result"]
    clip = "pair => getComputedStyle(pair.querySelector('.right')).clipPath"
    assert "50%" in pair.evaluate(clip)
    pair.locator("input").focus()
    page.keyboard.press("End")
    assert "100%" in pair.evaluate(clip)
    box = pair.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.up()
    at = float(pair.evaluate("pair => pair.querySelector('input').value"))
    assert at == pytest.approx(25, abs=2)  # as the handle is a few pixels wide
    assert f"{at:g}%" in pair.evaluate(clip)
    page.locator("select").first.select_option("target")
    assert [alt.rpartition(": ")[2] for alt in alts(visible)] == ["target", "result"]


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_and_in_the_dark(report: Path, open_page: Open, dark: bool) -> None:
    page = open_page(report, width=360, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    colours = page.evaluate(
        "['backgroundColor', 'color'].map(key => getComputedStyle(document.body)[key])"
    )
    background, ink = (sum(map(int, c[4:-1].split(","))) for c in colours)
    assert (background < 150 < 600 < ink) if dark else (ink < 150 < 600 < background)


def test_every_control_is_reached_by_tab_and_seen(report: Path, open_page: Open) -> None:
    page = open_page(report)
    for summary in page.locator("summary").all():
        summary.click()
    controls = page.locator("input, select, summary").count()
    reached = set()
    for _ in range(controls + 20):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
        outline = page.evaluate(
            "[document.activeElement, document.activeElement.parentElement]"
            ".map(element => getComputedStyle(element).outlineStyle)"
        )
        on_body = page.evaluate("document.activeElement === document.body")
        assert on_body or set(outline) != {"none"}
    assert len(reached) >= controls


def test_names_do_no_harm(tmp_path: Path, run: Path, tiny_pairs: Path, open_page: Open) -> None:
    folder, data = tmp_path / HOSTILE, tmp_path / "data" / "A"
    shutil.copytree(run, folder)
    shutil.copytree(tiny_pairs, data.parent)
    for domain in "AB":
        for number in range(6):
            path = data.parent / domain / f"{number}.png"
            path.rename(path.with_name(f"{number} {HOSTILE}"))
    edit(folder / "config.yaml", str(tiny_pairs), str(data.parent))
    with (folder / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"step": 9, "images": 9, "epoch": 3, f"G/{HOSTILE}": 1.5}) + "\n")
    page = open_page(write_report(folder, device="cpu"))
    assert page.title() == f"Report of {HOSTILE}"
    assert f"G/{HOSTILE}" in page.locator(".chart h3").all_text_contents()
    captions = page.locator("figure:has(.pair) figcaption").all_text_contents()
    assert sum(HOSTILE.removesuffix(".png") in caption for caption in captions) == 3
    assert page.locator("script").count() == 2


def test_a_run_that_has_only_begun(tmp_path: Path, run: Path, open_page: Open) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(run / "config.yaml", begun)
    page = open_page(write_report(begun))
    text = page.locator("body").inner_text()
    assert "0 of 9 steps made" in text
    assert "Nothing has been logged yet." in text
    assert "No samples have been saved yet." in text
    assert "the run has saved no model yet" in text


def test_an_interrupted_run_whose_data_is_gone(tmp_path: Path, run: Path, open_page: Open) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (stopped / "metrics.jsonl").write_text("".join(lines[:6]) + '{"step": 5, "ima')
    (stopped / "samples" / "step-00000003.png").write_bytes(b"no picture")
    edit(stopped / "config.yaml", "root: ", "root: /moved-")
    page = open_page(write_report(stopped))
    text = page.locator("body").inner_text()
    assert f"{json.loads(lines[5])['step']} of 9 steps made" in text
    assert "/moved-" in page.locator("section", has_text="Held-out images").first.inner_text()
    assert "3 pairs to train, 3 held out" in text  # as it was when it started
    assert "step-00000003.png" in text
    assert page.locator(".timeline input").get_attribute("max") == "1"


def test_values_that_are_no_numbers(tmp_path: Path, run: Path, open_page: Open) -> None:
    wild = tmp_path / "wild"
    shutil.copytree(run, wild)
    first = {"step": 1, "images": 1, "epoch": 0.3}
    lines = [{**first, "G/l1": float("nan"), "G/adv": 2.0}, {**first, "G/adv": "much"}, {"step": 2}]
    lines.append({**first, "G/adv": 10**400})
    (wild / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = open_page(write_report(wild, examples=0))
    assert page.locator(".chart h3").all_text_contents() == ["G/adv"]
    assert page.locator(".chart [data-curve]").text_content() == "2"


@pytest.mark.parametrize("aligned", [True, False])
def test_cyclegan_both_ways(
    tmp_path: Path,
    img2img: Command,
    tiny: list[str],
    tiny_pairs: Path,
    open_page: Open,
    aligned: bool,
) -> None:
    output = tmp_path / "cycle"
    flags = ["--set", "generator.name=unet", "--set", "metrics.every=1"]
    if aligned:
        held = f"data.holdout={tiny_pairs}", "data.holdout_aligned=true"
        data = tmp_path / "copy"
        shutil.copytree(tiny_pairs, data)
        flags += ["--data", str(data), *(word for each in held for word in ("--set", each))]
    else:
        flags += [
            "--data",
            str(tiny_pairs),
            "--set",
            "data.holdout=0.34",
            "--set",
            "metrics.best=cycle",
        ]
    outcome = img2img("train", "cyclegan", "--output", output, "--max-steps", 2, *tiny, *flags)
    assert outcome.status == 0, outcome.err
    page = open_page(write_report(output, device="cpu"))
    assert page.locator("h2", has_text="Held-out images").all_inner_texts() == [
        "Held-out images, AtoB",
        "Held-out images, BtoA",
    ]
    words = "L1 to the target" if aligned else "L1 to the input after translating back"
    assert page.locator("h3", has_text=f"Best by {words}").count() == 2
    assert page.locator("figure:has(.pair)").count() == (12 if aligned else 4)
    chart = page.locator(".chart", has=page.locator("h3", has_text="D/real"))
    values = chart.locator(".values > span").all_text_contents()
    assert [text.split()[0] for text in values] == ["A", "B"]


def test_wrong_use(tmp_path: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        write_report(run, tmp_path / "r.html", device="nonsense")
    assert not (tmp_path / "r.html").exists()
    with pytest.raises(ConfigError, match=r"not a run folder, because it has no config\.yaml"):
        write_report(tmp_path)


def alts(pictures: Any) -> list[str]:
    return [picture.get_attribute("alt") for picture in pictures.all()]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
