"""What is wrong with a folder of images, all of it at once, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from img2img.data.sources import Item
from img2img.errors import DataProblems, some_names

Kind = Literal["unmatched", "ambiguous", "unreadable", "size"]

EXPLANATIONS: dict[Kind, str] = {
    "unmatched": "without a partner in the other domain",
    "ambiguous": "with the same name as another in their folder, so it is not clear which is the"
    " partner",
    "unreadable": "that cannot be read",
    "size": "whose two images have different aspect ratios",
}
# The ways on where the two images of pairs differ in shape.
UNEQUAL = (
    "`data.unequal=fit` crops the target to its input's shape, `pad` adds white borders, `stretch`"
    " distorts it"
)
# The same where nothing has a partner, and no way to match names finds one.
NO_PAIRS = (
    "if the two folders are not pairs, train cyclegan, which does not need pairs; if they are"
    " pairs with unrelated names, list them in a table, `data.pairs=FILE.csv`"
)


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a file or a pair from being used.

    Attributes:
        kind: `unmatched`, `ambiguous` (several files on one side of the pair), `unreadable` or
            `size` (the two images differ in shape).
        name: the file, or the pair.
        message: one sentence, naming the file.
        item: the pair or image that cannot be used; None where there is no pair to begin with.
    """

    kind: Kind
    name: str
    message: str
    item: Item | None = None


def refusal(
    problems: Sequence[Problem], proposal: object = None, *, any_pairs: bool = True
) -> DataProblems:
    """The error that ends a run on data with problems: a line a kind, and the ways on.

    Args:
        proposal: what might mend what finds no partner, in words.
        any_pairs: whether some have a partner.
    """
    lines = []
    for kind, explanation in EXPLANATIONS.items():
        those = [problem for problem in problems if problem.kind == kind]
        if those:
            names = some_names([problem.name for problem in those], 3)
            more = f"; the first: {those[0].message}" if kind == "unreadable" else ""
            more = f"; {UNEQUAL}" if kind == "size" else more
            lines.append(f"files {explanation}: {names}{more}")
    if proposal is not None:
        lines.append(f"some names nearly match: {proposal}")
    elif not any_pairs:
        lines.append(NO_PAIRS)
    if any_pairs:
        lines.append("fix or remove them, or leave them out by `data.skip_bad=true`")
    return DataProblems("\n".join(lines), [problem.message for problem in problems])
