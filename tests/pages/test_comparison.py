"""Comparisons of models, and their page."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from img2img.engine.translator import Translator
from img2img.errors import ConfigError, DataError, ImageError
from img2img.evaluation.comparison import Comparison, compare_models
from img2img.evaluation.models import evaluate_model
from img2img.evaluation.verdict import verdict
from img2img.export import export_model
from img2img.images import Picture, read_picture
from img2img.metrics.measure import mean_figure
from img2img.metrics.significance import paired_test
from img2img.pages import write_comparison
from tests.models.compat.published import Unet
from tests.pages.conftest import Open

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory, tiny_pairs: Path, train: Command) -> Path:
    output: Path = tmp_path_factory.mktemp("runs") / "other"
    flags = ["--seed", 5, "--set", "optimizer.lr=0.01"]
    assert train(output, "--data", tiny_pairs, "--max-steps", 40, *flags).status == 0
    return output


@pytest.fixture(scope="module")
def compared(tiny_run: Path, other_run: Path, tiny_pairs: Path) -> Comparison:
    return compare_models([tiny_run, other_run], tiny_pairs, examples=4, device="cpu")


def test_what_is_measured(compared: Comparison, tiny_run: Path, tiny_pairs: Path) -> None:
    assert compared.names == tuple(str(number) for number in range(6))
    assert [model.name for model in compared.models] == ["tiny", "other"]
    tiny = compared.models[0]
    translator = Translator.load(tiny_run, device="cpu")
    errors = []
    for number in range(6):
        A, B = (read_picture(tiny_pairs / domain / f"{number}.png") for domain in "AB")
        result = translator.translate(A)
        errors.append(np.abs(result.pixels.astype(float) - B.pixels).mean() / 255)
    assert tiny.figures["l1"].per_image == pytest.approx(errors, abs=1e-6)
    assert tiny.figures["l1"].value == pytest.approx(np.mean(errors), abs=1e-6)
    assert tiny.bytes == (tiny_run / "model.safetensors").stat().st_size
    assert 4 * (tiny.parameters or 0) == pytest.approx(tiny.bytes, rel=0.3)
    assert tiny.seconds > 0


def test_what_all_hold_out(
    tiny_run: Path, other_run: Path, tiny_pairs: Path, tmp_path: Path
) -> None:
    options: Any = {"measures": ["l1"], "device": "cpu", "examples": 0}
    found = compare_models([tiny_run, tiny_run / "best.safetensors"], **options)
    apart = evaluate_model(tiny_run, measures=["l1"], device="cpu")
    assert found.names == apart.names
    assert found.trained_on is False
    with pytest.raises(DataError, match="hold out different images: give a data set"):
        compare_models([tiny_run, other_run], **options)
    lone = shutil.copy(tiny_run / "model.safetensors", tmp_path)
    with pytest.raises(
        ConfigError, match="not in a run folder, so it has no held-out images; give a data set"
    ):
        compare_models([tiny_run, Path(lone)], **options)
    folders = tiny_pairs / "A", tiny_pairs / "B"
    assert len(compare_models([tiny_run, other_run], folders, **options).names) == 6


def test_who_wins(compared: Comparison) -> None:
    one, other = (model.figures["l1"].per_image for model in compared.models)
    assert one
    assert other
    found = next(each for each in compared.paired_tests if each.measure == "l1")
    assert (found.first, found.second) == ("tiny", "other")
    assert found.better == sum(a < b for a, b in zip(one, other, strict=True))
    assert found.difference == pytest.approx(np.mean(one) - np.mean(other))
    assert found.better + found.worse + found.equal == 6


def test_images_come_by_disagreement(compared: Comparison) -> None:
    apart = [each.disagreement for each in compared.most_different]
    assert len(apart) == 4
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] > 0


def test_the_page(compared: Comparison, tmp_path: Path, open_page: Open) -> None:
    path = tmp_path / "compare.html"
    write_comparison(compared, path)
    page = open_page(path)
    assert page.title() == "tiny and other"
    found = next(each for each in compared.paired_tests if each.measure == "l1")
    better, worse = sorted(compared.models, key=lambda model: model.figures["l1"].value)
    wins = found.better if found.first == better.name else found.worse
    words = page.locator("main > :first-child").inner_text()
    assert words.startswith(f"{better.name} is better than {worse.name} on {wins} of 6 images (l1")
    assert "6 images AtoB" in page.locator("header").inner_text()
    rows = page.locator("table").first.locator("tr")
    cells = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    assert cells[0][1:] == ["tiny", "other", "untouched input"]
    assert cells[1][0] == "l1 ↓"
    baseline = compared.models[0].figures["l1"].baseline
    assert cells[1][3] == f"{baseline:.3g}"
    (scales,) = (row[1:] for row in cells if row[0] == "scale")
    assert scales == ["native", "native", "–"]
    best = rows.nth(1).locator("td").nth(compared.models.index(better)).locator("b")
    assert best.inner_text().startswith(f"{better.figures['l1'].value:.3g}\n[")
    names = [caption.split()[0] for caption in page.locator("figcaption").all_text_contents()]
    assert names == [each.name for each in compared.most_different]
    pair = page.locator(".pair").first
    pair.scroll_into_view_if_needed()
    assert shown(pair) == ["tiny", "other"]
    page.locator("select").first.select_option("input")
    page.locator("select").nth(1).select_option("target")
    assert shown(pair) == ["input", "target"]
    page.locator("select").first.select_option("target")
    assert shown(pair) == ["target"]
    assert pair.locator("img.right").count() == 0
    pair.locator("input").focus()
    page.locator("select").nth(1).select_option("other")
    pair.locator("input").press("Home")
    clip = "pair => getComputedStyle(pair.querySelector('.right')).clipPath"
    assert "0%" in pair.evaluate(clip) or pair.evaluate(clip) == "inset(0px)"


def test_the_untouched_input(compared: Comparison, tiny_pairs: Path) -> None:
    A, B = ([read_picture(tiny_pairs / d / f"{n}.png").pixels for n in range(6)] for d in "AB")
    l1 = np.mean([np.abs(a.astype(float) - b).mean() / 255 for a, b in zip(A, B, strict=True)])
    for model in compared.models:
        assert model.figures["l1"].baseline == pytest.approx(l1, abs=1e-6)
    assert compared.trained_on is True
    assert "No model is better" not in verdict(compared)
    worse = [
        replace(m, figures={"l1": replace(m.figures["l1"], baseline=0.01)}) for m in compared.models
    ]
    assert "No model is better than the untouched input (0.01)." in verdict(
        replace(compared, models=worse)
    )


def test_side_by_side_images_are_halved(tiny_run: Path, tiny_pairs: Path, tmp_path: Path) -> None:
    """In a comparison as in training: each half is of its own domain."""
    (tmp_path / "test").mkdir()
    for number in range(3):
        halves = [read_picture(tiny_pairs / d / f"{number}.png").pixels for d in "AB"]
        Image.fromarray(np.hstack(halves)).save(tmp_path / "test" / f"{number}.png")
    models = [tiny_run, tiny_run / "model.safetensors"]
    found = compare_models(models, tmp_path, measures=["l1"], device="cpu", examples=0)
    apart = compare_models(models, tiny_pairs, measures=["l1"], device="cpu", examples=0)
    assert found.models[0].figures["l1"].per_image == pytest.approx(
        apart.models[0].figures["l1"].per_image[:3]  # type: ignore[index]
    )


def test_scale_of_a_comparison(tiny_run: Path, tiny_pairs: Path, tmp_path: Path) -> None:
    for domain in "AB":
        (tmp_path / "test" / domain).mkdir(parents=True)
        large = Image.open(tiny_pairs / domain / "0.png").resize((96, 96))
        large.save(tmp_path / "test" / domain / "0.png")
    models = [tiny_run, tiny_run / "model.safetensors"]
    found = {
        scale: compare_models(
            models, tmp_path, scale=scale, measures=["l1"], device="cpu", examples=0
        ).to_json()["models"][0]
        for scale in ("auto", "native", "trained")
    }
    assert [each["scale"] for each in found.values()] == ["trained", "native", "trained"]
    auto, native, trained = (each["figures"]["l1"]["value"] for each in found.values())
    assert auto == trained != native


def test_who_wins_may_be_chance(compared: Comparison) -> None:
    (l1,) = (each for each in compared.paired_tests if each.measure == "l1")
    unsure = replace(compared, paired_tests=[replace(l1, p=0.4)])
    assert "tiny and other" in verdict(unsure) or "other and tiny" in verdict(unsure)
    assert "are too close to call" in verdict(unsure)
    assert "p 0.4" in verdict(unsure)


def test_a_slower_model_is_said_where_that_is_clear(compared: Comparison) -> None:
    def said(one: list[float], other: list[float]) -> str:
        pairs = zip(compared.models, (one, other), strict=True)
        models = [replace(model, times=tuple(times)) for model, times in pairs]
        return verdict(replace(compared, models=models))

    busy = [1.0, 5.0, 1.0, 9.0, 1.0, 2.0, 1.0, 1.0]
    twice = [2 * seconds for seconds in busy]
    assert "other takes 2.0 times as long." in said(busy, twice)
    assert "tiny takes 2.0 times as long." in said(twice, busy)
    assert "as long" not in said(busy, [1.1 * seconds for seconds in busy])
    assert "as long" not in said(busy, busy[::-1])
    # Their medians differ 3 times, but it is now the one and now the other that takes longer.
    assert "as long" not in said([1, 1, 1, 3, 9, 9, 3, 3], [9, 9, 9, 1, 1, 1, 1, 1])
    assert "as long" not in said([1.0] * 3, [4.0] * 3)  # as three coins may fall


def test_models_take_turns(
    tiny_run: Path, tiny_pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translators: list[int] = []

    def translate(self: Translator, picture: Picture) -> Picture:
        translators.append(id(self))
        return picture

    monkeypatch.setattr(Translator, "translate", translate)
    models = [tiny_run, tiny_run / "model.safetensors"]
    found = compare_models(models, tiny_pairs, measures=["l1"], device="cpu", examples=0)
    first, second = translators[:2]
    assert translators == [first, second, second, first] * 3
    assert all(len(model.times) == 6 for model in found.models)
    tree = found.to_json()["models"]
    assert [each["seconds"] for each in tree] == [model.seconds for model in found.models]


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_on_a_phone(
    compared: Comparison, tmp_path: Path, open_page: Open, dark: bool
) -> None:
    write_comparison(compared, tmp_path / "c.html")
    page = open_page(tmp_path / "c.html", width=360, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for table in page.locator(".numbers").all():
        assert table.evaluate("table => table.scrollWidth - table.clientWidth") == 0
        assert table.locator("td").first.evaluate(
            "cell => getComputedStyle(cell, '::before').content"
        ) in ('"tiny"', '"measure"')


def test_two_hundred_noisy_images_stay_below_15_mb(
    tmp_path: Path, tiny_run: Path, other_run: Path, open_page: Open
) -> None:
    data = tmp_path / "data"
    for domain in "AB":
        (data / domain).mkdir(parents=True)
    for number in range(200):
        pixels = np.random.default_rng(number).integers(0, 256, (192, 192, 3), dtype=np.uint8)
        for domain in "AB":
            Image.fromarray(pixels).save(data / domain / f"{number}.bmp")
    found = compare_models(
        [tiny_run, other_run], data, examples=200, measures=["l1"], device="cpu", scale="native"
    )
    path = tmp_path / "large.html"
    write_comparison(found, path)
    assert 6e6 < path.stat().st_size < 15e6
    assert open_page(path).locator(".pair").count() == 200


def test_models_of_all_kinds(
    tmp_path: Path, tiny_run: Path, tiny_pairs: Path, open_page: Open
) -> None:
    reference = tmp_path / "latest_net_G.pth"
    torch.save(Unet().state_dict(), reference)
    models = [tiny_run, tiny_run / "model.safetensors", reference]
    try:
        [exported] = export_model(tiny_run, tmp_path / "m.onnx", "onnx").files
        models.append(exported)
    except ConfigError:  # its runtime is not installed
        pass
    found = compare_models(models, tiny_pairs, measures=["l1"], say=lambda _: None, device="cpu")
    names = ["tiny", "model.safetensors", "latest_net_G.pth", "m.onnx"][: len(models)]
    assert [model.name for model in found.models] == names
    same = found.paired_tests[0]
    assert (same.better, same.worse, same.equal, same.p) == (0, 0, 6, 1)
    assert found.models[2].bytes == reference.stat().st_size
    write_comparison(found, tmp_path / "c.html")
    assert open_page(tmp_path / "c.html").locator("option").count() == 2 * (2 + len(models))


def test_images_without_targets(
    tmp_path: Path, tiny_run: Path, other_run: Path, tiny_pairs: Path, open_page: Open
) -> None:
    data, named_input = tmp_path / "data", tmp_path / "input"
    shutil.copytree(other_run, named_input)
    shutil.copytree(tiny_pairs / "A", data / "A")
    (data / "B").mkdir()
    shutil.copy(tiny_pairs / "B" / "0.png", data / "B" / "another.png")
    said: list[str] = []
    found = compare_models([tiny_run, named_input], data, device="cpu", say=said.append)
    assert any("the names do not match" in words for words in said)
    assert found.paired_tests == []
    assert len(found.most_different) == 6
    write_comparison(found, tmp_path / "c.html")
    page = open_page(tmp_path / "c.html")
    assert "The images have no targets" in page.locator("main").inner_text()
    assert page.locator("select").first.locator("option").all_inner_texts() == [
        "input",
        "tiny",
        "input",
    ]


def test_json_alone(
    img2img: Command, tmp_path: Path, tiny_run: Path, other_run: Path, tiny_pairs: Path
) -> None:
    page = tmp_path / "c.html"
    line = ["compare", tiny_run, other_run, "--data", tiny_pairs, "--output", page, "--json"]
    tree = json.loads(img2img(*line, "--measures", "l1,psnr").out)
    assert tree["images"] == 6
    assert tree["page"] == str(page)
    assert set(tree["models"][0]["figures"]) == {"l1", "psnr"}
    assert {"value", "low", "high", "n"} < set(tree["models"][0]["figures"]["l1"])
    assert [each["measure"] for each in tree["paired_tests"]] == ["l1", "psnr"]


def test_wrong_use(tmp_path: Path, tiny_run: Path, tiny_pairs: Path, train: Command) -> None:
    with pytest.raises(ConfigError, match="two or more models"):
        compare_models([tiny_run], tiny_pairs)
    with pytest.raises(ConfigError, match="unknown measure 'l2'"):
        compare_models([tiny_run, tiny_run], tiny_pairs, measures=["l2"])
    with pytest.raises(DataError):
        compare_models([tiny_run, tiny_run], tmp_path / "nothing")
    back = tmp_path / "back"
    flags = ["--max-steps", 1, "--direction", "BtoA"]
    assert train(back, "--data", tiny_pairs, *flags).status == 0
    with pytest.raises(ConfigError, match=r"translates AtoB, but .*back translates BtoA"):
        compare_models([tiny_run, back], tiny_pairs)
    broken = tmp_path / "broken"
    shutil.copytree(tiny_pairs, broken)
    (broken / "A" / "3.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"3\.png"):
        compare_models([tiny_run, tiny_run], broken)


def test_paired_test_of_known_values() -> None:
    better = mean_figure("l1", [0.1] * 8, 0)
    worse = mean_figure("l1", [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1], 0)
    found = paired_test(("a", better), ("b", worse))
    assert (found.better, found.worse, found.equal) == (7, 0, 1)
    assert found.difference == pytest.approx(-0.0875)
    assert found.p == pytest.approx(2 / 2**7, abs=0.005)  # of 2^7 ways two are as extreme
    assert found.low is not None
    assert found.high is not None
    assert found.low < -0.0875 < found.high <= 0
    turned = paired_test(("b", worse), ("a", better))
    assert (turned.better, turned.worse) == (0, 7)
    peaks = mean_figure("psnr", [float("inf"), 20.0], 0)
    found = paired_test(("a", peaks), ("b", mean_figure("psnr", [float("inf"), 10.0], 0)))
    assert (found.better, found.equal, found.difference, found.p) == (1, 1, None, None)


def shown(pair: Any) -> list[str]:
    found = pair.locator("img:visible").all()
    return [picture.get_attribute("alt").rpartition(": ")[2] for picture in found]
