"""Pairs of images, and which of them are held out from training."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from img2img.config import DataConfig
from img2img.data.layouts import Split, find_splits, find_splits_of_two
from img2img.data.problems import Problem
from img2img.data.sources import Pair
from img2img.errors import ConfigError

AUTO_FRACTION = 0.05


@dataclass(frozen=True)
class PairedData:
    """What was found.

    Attributes:
        layout: one phrase that says where, such as `trainA/ + trainB/ (held out: testA/ + testB/)`.
        train: the pairs to train on.
        held_out: the pairs never trained on.
        problems: the files that found no partner.
    """

    layout: str
    train: list[Pair]
    held_out: list[Pair]
    problems: list[Problem]


def find_pairs(
    data: DataConfig, seed: int, leave_out: Collection[Pair] = frozenset()
) -> PairedData:
    """Find the pairs and hold some of them out, as `data.holdout` says. Nothing is decoded.

    A held-out fraction depends on the seed and on each pair's name alone, so that it hardly changes
    when pairs are added.

    Args:
        leave_out: pairs to pass over, before any are held out.

    Raises:
        ConfigError: no folder is given, or the split that `data.holdout` names is not there.
        DataError: the folder is missing, or holds no images in a known layout.
    """
    if data.root_a is not None and data.root_b is not None:
        splits = find_splits_of_two(data.root_a, data.root_b)
    elif data.root is not None:
        splits = find_splits(data.root)
    else:
        raise ConfigError("data.root: give a folder of pairs, with --data DIR")
    train = splits["train"]
    pairs = [pair for pair in train.pairs if pair not in leave_out]
    held = _held_out_split(data, splits)
    if held is not None:
        problems = train.problems + held.problems
        layout = f"{train.where} (held out: {held.where})"
        held_out = [pair for pair in held.pairs if pair not in leave_out]
        return PairedData(layout, pairs, held_out, problems)
    if data.holdout == "none":
        return PairedData(f"{train.where} (none held out)", pairs, [], train.problems)
    fraction = data.holdout if isinstance(data.holdout, float) else AUTO_FRACTION
    kept, chosen = _divide(pairs, fraction, seed)
    layout = f"{train.where} (held out: {len(chosen)} of them, chosen by the seed)"
    return PairedData(layout, kept, chosen, train.problems)


def _held_out_split(data: DataConfig, splits: dict[str, Split]) -> Split | None:
    if data.holdout == "auto":
        return splits.get("val", splits.get("test"))
    if data.holdout in {"val", "test"}:
        if data.holdout not in splits:
            raise ConfigError(
                f"data.holdout: there is no {data.holdout!r} beside {splits['train'].where},"
                f" only {', '.join(splits)}; auto takes what is there"
            )
        return splits[str(data.holdout)]
    return None


def _divide(pairs: Sequence[Pair], fraction: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs to keep and the fraction to hold out; at least one each where there are two."""
    count = min(max(1, round(fraction * len(pairs))), len(pairs) - 1) if len(pairs) > 1 else 0

    def lot(pair: Pair) -> bytes:
        return hashlib.sha256(f"{seed} {pair.name}".encode(errors="surrogateescape")).digest()

    chosen = {pair.name for pair in sorted(pairs, key=lot)[:count]}
    kept = [pair for pair in pairs if pair.name not in chosen]
    return kept, [pair for pair in pairs if pair.name in chosen]
