"""Settings of a resumed run that differ from those it was started with."""

from collections.abc import Mapping, Sequence
from typing import Any

from img2img.config import RunConfig, renewed
from img2img.errors import ConfigError
from img2img.losses import OBJECTIVES
from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.runs.log import Change
from img2img.training.build import ONCE_IN_EVERY_CONFIG, method_class
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.schedule import SCHEDULES

_OF_NETWORKS = ("method", "generator", "discriminator")


def changes_on_resume(saved: Mapping[str, Any], config: RunConfig) -> list[Change]:
    """The settings that differ from those the run was started with.

    Raises:
        ConfigError: the networks differ, so the saved state does not fit.
    """
    then, now = _leaves(renewed(saved)), _leaves(config.model_dump(mode="json"))
    # A run has had the defaults of settings that are newer than it.
    bare = RunConfig.model_validate(
        {key: value for key, value in config if RunConfig.model_fields[key].is_required()}
    )
    of_parts = {
        "generator": GENERATORS.find(config.generator, "generator").defaults(),
        "discriminator": DISCRIMINATORS.find(config.discriminator, "discriminator").defaults(),
        "objective": OBJECTIVES.find(config.objective, "objective").defaults(),
        "optimizer": OPTIMIZERS.find(config.optimizer, "optimizer").defaults(),
        "schedule": SCHEDULES.find(config.schedule, "schedule").defaults(),
        "losses": {name: [] for name in ONCE_IN_EVERY_CONFIG},
        "settings": method_class(config.method).settings.model_construct().model_dump(mode="json"),
    }
    usual = _leaves(bare.model_dump(mode="json")) | _leaves(of_parts)
    keys = then.keys() | now.keys()
    changes: list[Change] = []
    for key in sorted(keys, key=lambda key: (not key.endswith(".name"), key)):  # names first
        before, after = (known.get(key, usual.get(key)) for known in (then, now))
        if before == after or key in ("schedule.measured_steps", "init_from"):
            continue
        if before == "auto" and key not in then:  # it was decided since
            continue
        changes.append(Change(key, before, after))
    _check_networks(changes)
    return changes


def _check_networks(changes: Sequence[Change]) -> None:
    """Refuse to resume a run if its saved state no longer fits its networks."""
    others = [x for x in changes if x.key.partition(".")[0] in _OF_NETWORKS]
    if others:
        # If it is another network, its arguments differ anyway.
        named = [change for change in others if change.key.endswith(".name")]
        told = "; ".join(
            f"{x.key}: the run was started with {x.before}, not {x.after}" for x in named or others
        )
        raise ConfigError(f"{told}; a run can only be resumed with the same networks")


def _leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a tree by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found.update(_leaves(value, f"{path}{key}."))
        else:
            found[f"{path}{key}"] = value
    return found
