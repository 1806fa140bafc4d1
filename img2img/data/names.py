"""Matches the names of files in two folders.

Each way to match ignores more differences than the one before it. A name is the path of a file in
its folder, without the suffix.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import get_args

from img2img.config import Match

MATCHES: tuple[Match, ...] = get_args(Match)

# A number, a word, a word that begins with a capital within another, or one sign that is neither
# white space, nor one of those that only separate words.
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[^\w\s.,()\[\]-]")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# So many tokens of a beginning or an ending may be common to the names of a folder.
_LONGEST = 5

_Tokens = tuple[str, ...]
_Affix = tuple[_Tokens, _Tokens]
_NONE: _Affix = ((), ())


@dataclass(frozen=True)
class Keys:
    """The keys of the names in two folders; partners have the same key.

    If two names in one folder have the same key, neither is paired.

    Attributes:
        A: the key of each name in the first folder.
        B: the key of each name in the second folder.
        overlooked: number of words and numbers ignored at the beginning and end.
    """

    A: Mapping[str, str]
    B: Mapping[str, str]
    overlooked: int = 0

    @property
    def partners(self) -> int:
        """Number of names of A that have a partner."""
        return len(_once(self.A.values()) & _once(self.B.values()))


def keys(A: Sequence[str], B: Sequence[str], match: Match) -> Keys:
    """The keys of names. Equal names are always partners; this is how the others match.

    - `exact`: they do not;
    - `case`: ignore case, separators and leading zeros;
    - `suffix`: also ignore the shortest ending or beginning that most names in a folder share and
      without which most have a partner;
    - `number`: compare only the numbers.
    """
    equal = {*A} & {*B}
    same = {name: _itself(name) for name in equal}
    rest = [[name for name in names if name not in equal] for names in (A, B)]
    if match in ("exact", "number"):
        key = _itself if match == "exact" else _numbers
        one, other = ({name: key(name) for name in names} for names in rest)
        return Keys(same | one, same | other)
    split = [{name: _split(name) for name in names} for names in rest]
    affixes = _affixes(*split) if match == "suffix" else (_NONE, _NONE)
    one, other = (
        {name: _joined(folder, _without(tokens, affix)) for name, (folder, tokens) in names.items()}
        for names, affix in zip(split, affixes, strict=True)
    )
    return Keys(same | one, same | other, sum(map(_length, affixes)))


def best_match(
    A: Sequence[str], B: Sequence[str], least: Callable[[Match], int] = lambda _: 0
) -> Match | None:
    """The way to match with the most partners; among equals, the strictest.

    Args:
        least: number of names that must have a partner for a way to match to be chosen.
    """
    partners = {match: keys(A, B, match).partners for match in MATCHES}
    enough = [match for match in MATCHES if partners[match] >= least(match)]
    return max(enough, key=lambda match: partners[match], default=None)


def _itself(name: str) -> str:
    return f"={name}"


def _once(keys: Iterable[str]) -> set[str]:
    return {key for key, count in Counter(keys).items() if count == 1}


def _split(name: str) -> tuple[str, _Tokens]:
    """The folder of a name, and the rest split into words and numbers."""
    folder, _, stem = name.rpartition("/")
    tokens = _TOKEN.findall(_HUMP.sub(" ", stem))
    return _joined("", _tidy(_TOKEN.findall(folder))), _tidy(tokens)


def _tidy(tokens: Iterable[str]) -> _Tokens:
    return tuple((t.lstrip("0") or "0") if t.isdecimal() else t.casefold() for t in tokens)


def _joined(folder: str, tokens: _Tokens) -> str:
    """Join words, so that `two words` becomes `twowords`; numbers are kept apart."""
    return "".join([folder, "/", *(f"<{t}>" if t.isdecimal() else t for t in tokens)])


def _numbers(name: str) -> str:
    """The numbers of a name; a name without numbers is returned itself and has no partner."""
    folder, tokens = _split(name)
    numbers = tuple(token for token in tokens if token.isdecimal())
    return _joined(folder, numbers) if numbers else _itself(name)


def _without(tokens: _Tokens, affix: _Affix) -> _Tokens:
    """The tokens without a beginning and an ending, if they have them and something is left."""
    beginning, ending = affix
    if ending and tokens[-len(ending) :] == ending and len(tokens) > len(ending):
        tokens = tokens[: -len(ending)]
    if beginning and tokens[: len(beginning)] == beginning and len(tokens) > len(beginning):
        tokens = tokens[len(beginning) :]
    return tokens


def _affixes(
    A: Mapping[str, tuple[str, _Tokens]], B: Mapping[str, tuple[str, _Tokens]]
) -> tuple[_Affix, _Affix]:
    """The shortest beginnings and endings without which most names have a partner."""
    unique = [
        {
            affix: _once(_joined(folder, _without(t, affix)) for folder, t in names.values())
            for affix in _common(names)
        }
        for names in (A, B)
    ]
    best, most = (_NONE, _NONE), -1
    for one, other in sorted(product(*unique), key=lambda both: sum(map(_length, both))):
        count = len(unique[0][one] & unique[1][other])
        if count > most:
            best, most = (one, other), count
        if most == min(len(A), len(B)):
            break
    return best


def _common(names: Mapping[str, tuple[str, _Tokens]]) -> Iterator[_Affix]:
    """Beginnings and endings that more than half of the names share."""
    beginnings: list[_Tokens] = [()]
    endings: list[_Tokens] = [()]
    for length in range(1, _LONGEST + 1):
        for found, part in ((beginnings, slice(length)), (endings, slice(-length, None))):
            parts = Counter(t[part] for _, t in names.values() if len(t) > length)
            for affix, count in parts.most_common(1):
                # Outermost is a word: numbers tell images apart.
                outermost = affix[0] if found is beginnings else affix[-1]
                if 2 * count > len(names) and not outermost.isdecimal():
                    found.append(affix)
    yield from product(beginnings, endings)


def _length(affix: _Affix) -> int:
    return sum(map(len, affix))
