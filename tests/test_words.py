"""What is below the command line says nothing in its words: no flags, no command lines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import img2img

PACKAGE = Path(img2img.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]+")
COMMAND = re.compile(r"img2img (train|translate|data|evaluate|compare|demo|import|bench|video) ")
# Of another program, which it writes the command of: how packages are installed.
OTHERS = {"runtime/installation.py": {"--python"}}


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The constants of a module, docstrings and parts of f-strings too, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_flag_and_no_command_line_below_the_command_line() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("cli/"):
            continue
        for line, text in strings(path):
            said = [*FLAG.findall(text), *(match[0] for match in COMMAND.finditer(text))]
            if strange := {*said} - OTHERS.get(name, set()):
                found.append(f"{name}:{line}: {strange}")
    assert found == []


def test_the_search_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text('raise ValueError(f"{path}: give --skip-bad or run `img2img data check`")')
    text = " ".join(text for _, text in strings(module))
    assert FLAG.findall(text) == ["--skip-bad"]
    assert COMMAND.search(text)
