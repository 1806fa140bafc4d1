"""Names that mean the same, and those that must not."""

import pytest

from img2img.data.names import best_match, keys


def partners(A: list[str], B: list[str], match: str | None = None) -> dict[str, str]:
    """The way to match that is best, unless one is named; and what it pairs."""
    found = keys(A, B, match or best_match(A, B))  # type: ignore[arg-type]
    by_key: dict[str, list[str]] = {}
    for name, key in found.B.items():
        by_key.setdefault(key, []).append(name)
    once = {name for name, key in found.A.items() if [*found.A.values()].count(key) == 1}
    pairs = {
        n: by_key[k][0] for n, k in found.A.items() if n in once and len(by_key.get(k, [])) == 1
    }
    assert len(pairs) == found.partners
    return pairs


WAYS = {
    "exact": ({"a": "a", "b/c": "b/c"}, "exact"),
    "case": ({"House": "house", "tree_1": "Tree 1", "b/x-y": "B/X Y"}, "case"),
    "numbers": ({f"frame{n}": f"Frame_{n:04d}" for n in (1, 10, 100, 11)}, "case"),
    "suffix": ({f"Animal {n:02d} sketch": f"animal_{n:02d}-final" for n in range(12)}, "suffix"),
    "prefix": ({f"in_{n}": f"out_{n}" for n in "xyz"}, "suffix"),
    "one side": ({f"{n}": f"{n}_fake_B" for n in (1, 2, 10)}, "suffix"),
    "humps": ({"houseA": "houseB", "mouseA": "mouseB"}, "suffix"),
    "cities": (
        {f"ulm/ulm_{n:06d}_leftImg8bit": f"ulm/ulm_{n:06d}_gtFine_color" for n in range(3)},
        "suffix",
    ),
    "letters": ({f"絵 {n} 下書き": f"絵 {n} 完成" for n in range(3)}, "suffix"),
    "number": ({"cat 01": "1", "dog 02": "2", "emu 10": "10"}, "number"),
}


@pytest.mark.parametrize("way", WAYS)
def test_partners(way: str) -> None:
    wanted, match = WAYS[way]
    A, B = [*wanted], [*wanted.values()][::-1]
    assert partners(A, B) == wanted
    assert best_match(A, B) == match
    assert partners(B, A) == {b: a for a, b in wanted.items()}


def test_a_stray_name_is_no_hindrance() -> None:
    A = [*(f"{n} sketch" for n in range(9)), "notes"]
    assert partners(A, [f"{n} final" for n in range(9)]) == {
        f"{n} sketch": f"{n} final" for n in range(9)
    }


@pytest.mark.parametrize("match", ["case", "suffix", "number"])
def test_numbers_are_whole(match: str) -> None:
    assert partners(["f1", "f2", "f11"], ["f 10", "f 20", "f 110"], match) == {}
    assert partners(["1 23", "4 56"], ["12 3", "45 6"], match) == {}


@pytest.mark.parametrize("match", ["case", "suffix", "number"])
def test_what_could_be_either_is_neither(match: str) -> None:
    assert partners(["1", "01"], ["001"], match) == {}
    assert partners(["cat-2"], ["cat 2", "Cat_02"], match) == {}
    # But the same name is the partner, whatever else there is.
    assert partners(["1", "01"], ["1"], match) == {"1": "1"}


def test_names_that_have_nothing_in_common() -> None:
    assert partners(["cat sketch"], ["dog final"]) == {}
    assert partners(["1 sketch"], ["10 final"]) == {}
    assert partners(["north/1"], ["south/1"]) == {}
    assert partners([], ["a"]) == {}


def test_the_shortest_beginnings_and_endings_do_not_count() -> None:
    # By leaving out "left", too, both would be cat.
    A, B = ["cat left a", "cat right a"], ["cat left b", "cat right b"]
    assert partners(A, B) == {"cat left a": "cat left b", "cat right a": "cat right b"}
    assert keys(A, B, "suffix").overlooked == 2
