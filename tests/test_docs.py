"""What the documentation claims, held against the code."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import img2img
from img2img.config import load_config
from img2img.doctor import CONDITIONS
from img2img.export import export_model
from tests.video.clips import make_clip

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the repository")


def test_configuration_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == build.text(), "run `make docs`"


def test_the_site_is_built_without_a_warning_and_has_every_public_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "api.html").read_text(encoding="utf-8")
    names = {*img2img.__all__} - {"__version__"}
    assert {name for name in names if f'id="img2img.{name}"' not in page} == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *Path("docs").glob("*.md")])
def test_every_file_and_link_named_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+?)\)", prose):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_assignments_in_the_readme_are_valid() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assignments = re.findall(r"--set '?([\w.]+=[^\s'`]+)", text)
    assert assignments
    load_config("pix2pix", assignments=assignments)


def condition_rows() -> list[str]:
    """The table of conditions in docs/doctor.md: name, what it is, thresholds, keys proposed."""
    configs = [load_config(method) for method in ("pix2pix", "cyclegan")]
    rows = []
    for part in CONDITIONS:
        remedies = [
            made for config in configs for each in part.factory().remedies if (made := each(config))
        ]
        keys = dict.fromkeys(key for remedy in remedies for key in remedy.settings)
        limits = ", ".join(f"{name} {value:g}" for name, value in part.defaults().items())
        shown = ", ".join(f"`{key}`" for key in keys)
        rows.append(f"| `{part.name}` | {part.summary} | {limits} | {shown} |")
    return rows


def test_the_table_of_conditions_is_up_to_date() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = page.partition("| proposed keys |")[2].strip().splitlines()[1:]
    assert [row for row in table if row.startswith("|")] == condition_rows()


def test_the_examples_in_python_run(tmp_path: Path, tiny_run: Path, tiny_pairs: Path) -> None:
    """One after the other, as a reader would; `runs/icons` is any model."""
    pages = ("docs/evaluate.md", "docs/inference.md", "docs/report.md", "docs/video.md")
    for page in ("README.md", *pages):
        here = tmp_path / Path(page).stem
        (here / "runs").mkdir(parents=True)
        shutil.copytree(tiny_run, here / "runs" / "icons")
        shutil.copytree(tiny_pairs / "A", here / "photos")
        for split in ("train", "test"):
            shutil.copytree(tiny_pairs, here / "datasets" / "icons" / split)
        shutil.copy(tiny_pairs / "A" / "0.png", here / "photo.png")
        make_clip(here / "clip.mp4", times=range(5))
        shutil.copytree(tiny_pairs, here / "pairs")
        text = (ROOT / page).read_text(encoding="utf-8")
        examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        assert examples
        for code in examples:
            subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=here)
    assert len(list((tmp_path / "inference" / "translated").glob("*.png"))) == 6


FILES = {".onnx": "onnx", ".xml": "openvino", ".pt2": "torch"}


@pytest.mark.parametrize("number", range(4))
def test_the_examples_of_running_exported_models_run(
    number: int, tmp_path: Path, tiny_run: Path, tiny_pairs: Path
) -> None:
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) == 4
    code = examples[number]
    shutil.copytree(tiny_run, tmp_path / "runs" / "icons")
    shutil.copy(tiny_pairs / "A" / "0.png", tmp_path / "photo.png")
    suffix, name = next(
        (found for found in FILES.items() if f'"icons{found[0]}"' in code), (None, "")
    )
    if suffix:
        photo = tmp_path / "photo.png"
        pixels = suffix == ".onnx"
        export_model(tiny_run, tmp_path / f"icons{suffix}", name, pixels=pixels, images=photo)
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=tmp_path)
    if "translated.png" in code:
        assert (tmp_path / "translated.png").is_file()
