"""Pieces of HTML that the pages have in common."""

from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files

from img2img.html import slider, text

_HERE = files(__name__.rpartition(".")[0])


def resource(name: str) -> str:
    """A file that lies beside this one."""
    return _HERE.joinpath(name).read_text(encoding="utf-8")


def section(heading: str, *parts: str) -> str:
    """A section, of parts that are HTML; the empty ones are left out."""
    return "\n".join(["<section>", f"<h2>{text(heading)}</h2>", *filter(None, parts), "</section>"])


def remark(words: str) -> str:
    """A sentence or two of plain text."""
    return f"<p>{text(words)}</p>"


def tiles(facts: Iterable[tuple[str, str]]) -> str:
    """The few numbers that one looks for first, each below its name."""
    pairs = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts
    )
    return f'<dl class="tiles">{pairs}</dl>'


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Names on the left, values on the right."""
    rows = "\n".join(
        f"<tr><th>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in facts
    )
    return f'<div class="scroll"><table>\n{rows}\n</table></div>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    strong: Collection[tuple[int, int]] = frozenset(),
) -> str:
    """A table whose first column names its rows; a cell may have several lines.

    On a narrow screen each row becomes a block, in which cells say which column they are of.

    Args:
        strong: the cells that stand out, by row and column from 0.
    """
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    lines = []
    for number, row in enumerate(rows):
        cells = [f'<th scope="row">{text(row[0])}</th>']
        for column, cell in enumerate(row[1:], start=1):
            words = text(cell)
            words = f"<b>{words}</b>" if (number, column) in strong else words
            cells.append(f'<td data-of="{text(head[column])}">{words}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return (
        f'<div class="scroll numbers" tabindex="0"><table>\n<tr>{top}</tr>\n{body}\n</table></div>'
    )


def grid(figures: Iterable[str]) -> str:
    """Figures side by side, as many as there is room for."""
    return "\n".join(['<div class="grid">', *figures, "</div>"])


def figure(
    name: str,
    pictures: Sequence[tuple[str, str]],
    size: tuple[int, int],
    label: str,
    remarks: Sequence[str],
    *,
    left: int = 0,
) -> str:
    """A slider between pictures, with a name and remarks below; see `img2img.html.slider`."""
    notes = "".join(f"<span>{text(words)}</span>" for words in remarks)
    return (
        f"<figure>\n{slider(pictures, size, label, left=left)}\n"
        f'<figcaption>{text(name)} <span class="remarks">{notes}</span></figcaption>\n</figure>'
    )


def sides(named: Sequence[tuple[str, Sequence[str], int]]) -> str:
    """Lists to choose from which pictures stand on the sides of the sliders of a section.

    Args:
        named: for each side its name, the names of the pictures, and which is there at first.
    """
    lists = "\n".join(
        f"<label>{text(side)} <select>"
        + "".join(
            f'<option value="{index}"{" selected" if index == chosen else ""}>{text(what)}</option>'
            for index, what in enumerate(choices)
        )
        + "</select></label>"
        for side, choices, chosen in named
    )
    return f'<div class="sides">\n{lists}\n</div>'
