"""What holds for any configuration: whose value counts, what a new name drops, and files of it."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from img2img.config import RunConfig, check, dump, load_config
from img2img.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("error")  # of old names of keys, which are not used here

rates = st.integers(1, 80).map(lambda eighths: eighths / 8)
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**32 - 1),
    "precision": st.sampled_from(["auto", "fp32", "bf16"]),
    "data.batch_size": st.integers(1, 512),
    "data.root": st.sampled_from(["images", "a b/ü", "1", "null.d"]),
    "data.augment.color_on": st.sampled_from(["input", "both"]),
    "data.A.range": st.sampled_from(["dtype", [0, 4095], {"percentiles": [0.1, 99.9]}]),
    "generator.ngf": st.integers(1, 512),
    "optimizer.lr": rates,
    "optimizer.clip": st.none() | rates,
    "ema.half_life": st.none() | rates,
    "critic.top_k": st.none() | st.just({"share": 0.5, "images": 10}),
    "losses.reconstruction": st.lists(
        st.fixed_dictionaries({"name": st.just("l1"), "weight": rates}), max_size=3
    ),
    "settings.anything": st.text("abc: {[#'\"\\\n1", max_size=9) | st.booleans() | st.integers(),
    "activation_checkpointing": st.booleans(),
}
some_keys = st.fixed_dictionaries({}, optional=KEYS)
# Small as they are, examples need not be shrunk, which takes minutes.
anything = settings(
    deadline=None, max_examples=40, database=None, phases=[Phase.explicit, Phase.generate]
)


def tree_of(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        section = tree
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return tree


def load(
    file: Mapping[str, Any], flags: Mapping[str, Any], assigned: Mapping[str, Any]
) -> RunConfig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.yaml")
        path.write_text(yaml.safe_dump(tree_of(file), allow_unicode=True), encoding="utf-8")
        assignments = [f"{key}={json.dumps(value)}" for key, value in assigned.items()]
        return load_config("pix2pix", path, flags, assignments)


def value_of(config: RunConfig, key: str) -> Any:
    found: Any = config.model_dump(mode="json")
    for name in key.split("."):
        found = found.get(name)
    return found


@anything
@given(some_keys, some_keys, some_keys)
def test_the_last_source_with_a_key_decides(
    file: dict[str, Any], flags: dict[str, Any], assigned: dict[str, Any]
) -> None:
    found, recipe = load(file, flags, assigned), load_config("pix2pix")
    for key in KEYS:
        given_by = [source for source in (file, flags, assigned) if key in source]
        assert value_of(found, key) == (given_by[-1][key] if given_by else value_of(recipe, key))


generators = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["unet", "resnet", "resnet_6blocks"]),
        "ngf": st.integers(1, 64),
        "norm": st.sampled_from(["batch", "instance", "none"]),
        "attention": st.booleans(),
    },
)


@anything
@given(generators, generators, generators)
def test_a_new_name_drops_the_arguments_of_the_old_part(
    file: dict[str, Any], flags: dict[str, Any], assigned: dict[str, Any]
) -> None:
    sources = file, flags, assigned
    recipe = load_config("pix2pix").generator
    name, arguments = recipe.name, recipe.arguments
    for source in sources:
        if source.get("name", name) != name:
            name, arguments = source["name"], {}
        arguments |= {key: value for key, value in source.items() if key != "name"}
    dotted = [{f"generator.{key}": value for key, value in s.items()} for s in sources]
    found = load(*dotted).generator
    assert (found.name, found.arguments) == (name, arguments)


@anything
@given(some_keys)
def test_a_saved_configuration_is_read_back_as_it_was(values: dict[str, Any]) -> None:
    config = load(values, {}, {})
    text = dump(config)
    assert check(yaml.safe_load(text)) == config
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "config.yaml")
        saved.write_text(text, encoding="utf-8")
        assert load_config("pix2pix", saved=saved) == config


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("source", ["file", "flags", "assigned"])
def test_an_old_name_of_a_key(source: str) -> None:
    sources: dict[str, dict[str, Any]] = {"file": {}, "flags": {}, "assigned": {}}
    sources[source] = {"checkpointing": True}
    with pytest.warns(UserWarning, match="checkpointing is now called activation_checkpointing"):
        found = load(**sources)
    assert found.activation_checkpointing


def test_an_old_name_in_a_saved_configuration(tmp_path: Path) -> None:
    """The program rewrites that file itself: nothing is said."""
    saved = tmp_path / "config.yaml"
    text = dump(load_config("pix2pix", assignments=["activation_checkpointing=true"]))
    saved.write_text(text.replace("activation_checkpointing", "checkpointing"), encoding="utf-8")
    assert load_config("pix2pix", saved=saved).activation_checkpointing
    assert check(yaml.safe_load(saved.read_text())).activation_checkpointing


def test_both_names_of_a_key() -> None:
    assignments = ["checkpointing=true", "activation_checkpointing=false"]
    with pytest.raises(ConfigError, match=r"^checkpointing is the old name of activation_checkp"):
        load_config("pix2pix", assignments=assignments)
