"""Renders the library's names in messages as options of the running command.

The library writes parameters and configuration keys in backticks: `skip_existing`,
`data.resize=none`. If the running command has such an option, the user sees its flag.
"""

import re
import shlex
from collections.abc import Iterable
from typing import Any

# Keys of the configuration that have an option, by the name of its parameter.
OPTIONS_OF_KEYS = {
    "data.root": "data",
    "data.root_a": "data_a",
    "data.inputs": "data_a",
    "data.root_b": "data_b",
    "data.layout=side_by_side": "side_by_side",
    "data.match": "match",
    "data.pairs": "pairs",
    "data.unequal": "unequal",
    "data.direction": "direction",
    "data.batch_size": "batch_size",
    "data.crop_size": "crop_size",
    "data.load_size": "load_size",
    "data.workers": "workers",
    "data.skip_bad": "skip_bad",
    "schedule.steps": "max_steps",
    "schedule.total_epochs": "max_epochs",
    "schedule.minutes": "max_minutes",
    "init_from": "init_from",
    "on_nonfinite": "on_nonfinite",
    "device": "device",
    "precision": "precision",
    "seed": "seed",
}
_NAME = re.compile(r"`((?!\d)\w+(?:\.\w+)*)(?:=([^`\n]*))?`")

# Of the command that is running, by their names.
_parameters: dict[str, Any] = {}


def now_running(parameters: Iterable[Any]) -> None:
    """Set the command that messages are for, by its parameters in Click."""
    _parameters.clear()
    _parameters.update((each.name, each) for each in parameters)


def in_options(message: str) -> str:
    """A message of the library in the terms of the running command.

    `skip_existing` becomes --skip-existing, `output=a.mp4` becomes --output a.mp4, and a key
    without an option, `data.resize=none`, becomes --set data.resize=none. Names that the command
    does not have stay in backticks; keys without a value become plain text.
    """
    return _NAME.sub(_in_options, message)


def _in_options(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    if (pair := OPTIONS_OF_KEYS.get(f"{name}={value}")) in _parameters:
        name, value = pair, None
    parameter = _parameters.get(OPTIONS_OF_KEYS.get(name, name))
    if parameter is not None:
        return _given(parameter, value)
    if "." not in name:
        return match[0]
    if value is not None and "assignments" in _parameters:
        return f"--set {shlex.quote(f'{name}={value}')}"
    return match[0].strip("`")


def _given(parameter: Any, value: str | None) -> str:
    """A parameter as written on the command line."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper()
    option = str(parameter.opts[0])
    if not parameter.is_flag:
        return option if value is None else f"{option} {shlex.quote(value)}"
    off = parameter.secondary_opts if str(value).lower() == "false" else ()
    return str(next(iter(off), option))
