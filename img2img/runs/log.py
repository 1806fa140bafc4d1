"""The log of a run, `metrics.jsonl`: a line of JSON for what was measured at a step."""

from pathlib import Path
from typing import Any

from img2img.errors import ConfigError
from img2img.runtime.files import json_lines


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line cut short by a crash is left out.

    Raises:
        ConfigError: another line is damaged, or it cannot be read.
    """
    try:
        found = list(json_lines(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    lines = []
    for number, line in enumerate(found, start=1):
        if isinstance(line, dict) and _is_step(line.get("step")):
            lines.append(line)
        elif number < len(found):
            raise ConfigError(f"{path}: line {number} is damaged; remove it, or put back the file")
    return lines


def _is_step(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63
