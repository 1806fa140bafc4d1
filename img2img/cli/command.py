"""The common behaviour of all commands: help, and errors for a wrong command line."""

import re
import shlex
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from img2img.cli.output import say_error
from img2img.cli.statuses import WRONG
from img2img.cli.wording import now_running
from img2img.errors import nearest, some_names, unknown
from img2img.runtime.files import NO_ADDRESS, is_address

# Of which every way to use a command wrongly is one. Typer's copy of Click has no public name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

# A hyphen at which no line is broken, for as long as lines are made: options stay whole.
_WHOLE = "\N{NON-BREAKING HYPHEN}"


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Write options and arguments in their panels, with unbroken names."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            usual = "Arguments" if param.param_type_name == "argument" else "Options"
            panel = getattr(param, "rich_help_panel", None) or usual
            name, text = record[0].replace(" range>", ">"), record[1]
            panels.setdefault(panel, []).append((name, text.replace("-", _WHOLE)))
    for panel, records in panels.items():
        with formatter.section(panel):
            formatter.write_dl(records)


class Command(TyperCommand):
    """A command with panels in its help, and a sentence as its summary."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        now_running(self.params)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(_WHOLE, "-")

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        self.help = (self.help or "").replace("-", _WHOLE)
        super().format_help_text(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)

    def get_short_help_str(self, limit: int = 0) -> str:
        return (self.help or "").partition("\n")[0]


class Group(TyperGroup):
    """A group of commands, whose name alone shows the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        now_running(())
        return super().parse_args(ctx, args or ["--help"])

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(_WHOLE, "-")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def get_short_help_str(self, limit: int = 0) -> str:
        return self.help or ""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; a wrong one gives a one-line error and status 2."""
        words = [*(sys.argv[1:] if args is None else args)]
        extra |= {"standalone_mode": False, "windows_expand_args": windows_expand_args}
        try:
            _refuse_addresses(words)
            status = super().main(words, prog_name, complete_var, **extra)
        except UsageError as error:
            if not standalone_mode:
                raise
            say_error(_answer(error, words))
            status = WRONG
        sys.exit(status)


def _refuse_addresses(words: Sequence[str]) -> None:
    for before, word in pairwise(["", *words]):
        name, _, value = word.rpartition("=")
        option = name or (before if before.startswith("-") else "")
        if is_address(value):
            raise typer.BadParameter(f"{option} {value}: {NO_ADDRESS}".lstrip())


def _answer(error: Any, words: Sequence[str]) -> str:
    """Explain what is wrong with a command line, and what would be right."""
    if error.ctx is None:
        return str(error.message)
    path = error.ctx.command_path
    return f"{path}: {_reason(error, error.ctx, error.ctx.command, _after(path, words))}"


def _reason(error: Any, ctx: Any, command: Any, words: list[str]) -> str:
    param = getattr(error, "param", None)
    reason: str = error.message.removeprefix("Value error, ")
    missing = param is not None and not reason
    if missing or "unexpected extra" in reason:
        given, spare, _ = command.make_parser(ctx).parse_args([*words])
        if spare:
            return _about_spare(command, ctx, given, spare, words)
    if hasattr(error, "possibilities"):
        options = [option for param in command.get_params(ctx) for option in param.opts]
        name = error.option_name
        hint = (_as_a_key(name) if "--set" in options else "") or nearest(name, options)
        reason = f"unknown option {name}{hint}; see {ctx.command_path} -h"
    elif missing and param is not None:
        reason = f"missing: {param.help}"
    elif match := re.fullmatch(r"'(.*)' is not one of ('.*')\.?", reason):
        reason = unknown("value", match[1], re.findall("'(.*?)'", match[2]))
    elif match := re.match("No such command '(.*?)'", reason):
        reason = unknown("command", match[1], [*command.commands])
    if param is None:
        return reason
    is_option = param.param_type_name == "option"
    return f"{param.opts[0] if is_option else (param.metavar or param.name).upper()}: {reason}"


def _as_a_key(option: str) -> str:
    """` (did you mean ...?)` if the configuration has a key with the name of the option."""
    from img2img.config import read_yaml, recipes
    from img2img.config.mistakes import keys_called

    word = option.lstrip("-").replace("-", "_")
    for recipe in recipes().values():
        for key in keys_called(word, read_yaml(recipe)):
            return f" (did you mean --set {key}=...?)"
    return ""


def _after(path: str, words: Sequence[str]) -> list[str]:
    """The words after the name of a command."""
    rest = [*words]
    for name in path.split()[1:]:
        rest = rest[rest.index(name) + 1 :]
    return rest


def _about_spare(
    command: Any, ctx: Any, given: Any, spare: Sequence[str], words: Sequence[str]
) -> str:
    """Explain words that no option or argument accepts, and where they may belong."""
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in given]
    if given.get("resume"):
        return f"to resume a run, name only the run: {ctx.command_path} --resume {spare[0]}"
    required = [p for p in options if p.required]
    if len(required) >= len(spare):
        named = [
            word for p, value in zip(required, spare, strict=False) for word in (p.opts[0], value)
        ]
        rest = [word for word in words if word not in spare]
        return f"each option needs its name: {ctx.command_path} {shlex.join([*named, *rest])}"
    if any(p.name == "assignments" for p in command.params) and all(map(_is_assignment, spare)):
        meant = " ".join(f"--set {shlex.quote(word)}" for word in spare)
        return f"unexpected argument: {shlex.join(spare[:3])} (did you mean {meant}?)"
    before = words[: [*words].index(spare[0])]
    if len(before) > 1 and before[-2].startswith("-") and not before[-1].startswith("-"):
        option, files = before[-2], [before[-1], *spare]
        return (
            f"{option} takes one value, but was given {some_names(files, 3)}. Quote a"
            f" pattern, so that the shell does not expand it: {option}"
            f" {shlex.quote(_pattern(files))}"
        )
    inputs = [p for p in options if p.name != "output" and "<path>" in p.get_help_record(ctx)[0]]
    two = [p for p in inputs if p.name in ("data_a", "data_b")]
    meant_by = [*zip(two if len(two) == len(spare) else inputs[:1], spare, strict=False)]
    meant = " ".join(f"{p.opts[0]} {shlex.quote(value)}" for p, value in meant_by)
    where = f" (did you mean {meant}?)" if meant else ""
    return f"unexpected argument: {shlex.join(spare[:3])}{where}; see {ctx.command_path} -h"


def _is_assignment(word: str) -> bool:
    return re.match(r"[A-Za-z_]\w*(\.\w+)*=", word) is not None


def _pattern(files: Sequence[str]) -> str:
    """The pattern from which a shell may have expanded these files."""
    paths = [PurePath(file) for file in files]
    suffixes = {path.suffix for path in paths}
    return str(paths[0].with_name(f"*{suffixes.pop() if len(suffixes) == 1 else ''}"))
