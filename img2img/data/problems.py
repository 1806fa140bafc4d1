"""Reports all problems of a folder of images at once, with ways to solve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from img2img.data.sources import Item
from img2img.errors import DataProblems, some_names

Kind = Literal["unmatched", "ambiguous", "unreadable", "slices", "size"]

EXPLANATIONS: dict[Kind, str] = {
    "unmatched": "without a partner in the other domain",
    "ambiguous": "with the same name as another in their folder, so that the partner is not clear",
    "unreadable": "that cannot be read",
    "slices": "whose volumes differ in their number of slices",
    "size": "whose two images have different aspect ratios",
}
# The ways on where the two images of pairs differ in shape.
UNEQUAL = (
    "`data.unequal=fit` crops the target to its input's shape, `pad` adds white borders, `stretch`"
    " distorts it"
)
# The same where nothing has a partner, and no way to match names finds one.
NO_PAIRS = (
    "if the images are not pairs, use cyclegan, which needs none; if they are pairs with"
    " unrelated names, list them in a table, `data.pairs=FILE.csv`"
)


@dataclass(frozen=True)
class Problem:
    """A reason why a file or a pair cannot be used.

    Attributes:
        kind: `unmatched`, `ambiguous` (several files on one side of the pair), `unreadable`,
            `slices` (volumes differ in their number) or `size` (the images differ in shape).
        name: the name of the file or of the pair.
        message: one sentence that names the file.
        item: the pair or image that cannot be used; None if it never formed a pair.
    """

    kind: Kind
    name: str
    message: str
    item: Item | None = None


def refusal(
    problems: Sequence[Problem], proposal: object = None, *, any_pairs: bool = True
) -> DataProblems:
    """The error for data with problems: a line for each kind, and the ways to solve them.

    Args:
        proposal: a remedy for missing partners, as text.
        any_pairs: whether any images have a partner.
    """
    lines = []
    for kind, explanation in EXPLANATIONS.items():
        those = [problem for problem in problems if problem.kind == kind]
        if those:
            names = some_names([problem.name for problem in those], 3)
            told = kind in {"unreadable", "slices"}
            more = f"; the first: {those[0].message}" if told else ""
            more = f"; {UNEQUAL}" if kind == "size" else more
            lines.append(f"files {explanation}: {names}{more}")
    if proposal is not None:
        lines.append(f"some names nearly match: {proposal}")
    elif not any_pairs:
        lines.append(NO_PAIRS)
    if any_pairs:
        lines.append("fix or remove them, or leave them out with `data.skip_bad=true`")
    return DataProblems("\n".join(lines), [problem.message for problem in problems])
