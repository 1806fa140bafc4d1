"""Write `docs/configuration.md` from the code: `python docs/build.py`."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from img2img.config import Component, RunConfig
from img2img.diffaug import AUGMENTATIONS
from img2img.losses import OBJECTIVES, RECONSTRUCTIONS, REGULARIZERS
from img2img.networks import DISCRIMINATORS, GENERATORS
from img2img.plugins import OWN
from img2img.registry import Part, Registry
from img2img.training import METHODS
from img2img.training.optimizers import OPTIMIZERS
from img2img.training.schedule import SCHEDULES

TARGET = Path(__file__).with_name("configuration.md")

HEAD = """# Configuration

A run is described by one tree of keys. They are the same in YAML, in `--set key.sub=value` and in
Python.

## Where settings come from

Each source overrides those before it:

1. the recipe of the method, such as `configs/pix2pix.yaml`: the published settings;
2. `--config FILE`: a YAML file with any part of the tree, of your own or one that is shipped;
3. options of the command, such as `--max-steps`;
4. `--set`.

```console
$ img2img train pix2pix --data datasets/icons --config pix2pix-modern.yaml \\
    --output runs/set --max-steps 20 --set optimizer.lr_d=1e-4
```

The run folder's `config.yaml` is the result, with a value for every `auto`. Give it to
`--config` to train again with the same settings.

## Components

A component (generator, discriminator, objective, a loss, the optimizer, the schedule) is a section
with a `name` and the arguments of that part, listed below. Changing the name drops the arguments of
the old part.

```yaml
discriminator: {name: multiscale, n_scales: 3}
regularizers: [{name: r1, weight: 1}]
```

## What auto means

- `device`: CUDA, else MPS, else the CPU
- `precision`: bfloat16 or float16 if the hardware is faster with it, else float32
- `data.crop_size`: 256 for images of 256 pixels and up, else the largest power of two that fits;
  `data.load_size` is 286/256 of it
- `data.A.range`, `data.B.range`: see [Depth of values](data.md#depth-of-values)
- `data.holdout`: the `val` folder, else `test`, else 5 % drawn by the seed
- `generator.num_downs`: as many as the crop size allows (the first crop size, if crops grow), at
  most 8
- `metrics.every`, `doctor.every`: see [Keys](#keys)

`data.augment.geometry` and `data.augment.color` are lists of Albumentations transforms, each with
its `name` and arguments; `img2img list transforms` shows all of them.

## Keys

| key | default | meaning |
| --- | --- | --- |
"""

CATALOGUES: dict[str, Registry[Any]] = {
    "Generators": GENERATORS,
    "Discriminators": DISCRIMINATORS,
    "Objectives": OBJECTIVES,
    "Regularizers": REGULARIZERS,
    "Augmentations of the critics' images": AUGMENTATIONS,
    "Reconstruction losses": RECONSTRUCTIONS,
    "Optimizers": OPTIMIZERS,
    "Schedules": SCHEDULES,
}


def text() -> str:
    """The whole page."""
    lines = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in keys(RunConfig)]
    page = HEAD + "\n".join(lines) + "\n" + methods()
    for title, registry in CATALOGUES.items():
        page += f"\n## {title}\n\n| name | what it is | arguments |\n| --- | --- | --- |\n"
        for part in _own(registry):
            arguments = ", ".join(f"`{key}: {_yaml(v)}`" for key, v in part.defaults().items())
            page += f"| `{part.name}` | {part.summary} | {arguments} |\n"
    return page


def methods() -> str:
    """The methods, with the keys of `losses` and `settings` that each takes."""
    page = "\n## Methods\n\n| name | what it is | its own keys |\n| --- | --- | --- |\n"
    for part in _own(METHODS):
        method: Any = part.factory
        own = [f"`losses.{name}`: {meaning}" for name, meaning in method.losses.items()]
        own += [f"`{key}` = {d}: {text}" for key, d, text in keys(method.settings, "settings.")]
        page += f"| `{part.name}` | {part.summary} | {'<br>'.join(own)} |\n"
    return page


def keys(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key below a section: its dotted path, its default and its meaning."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Component
        if nested and isinstance(kind, type):
            yield from keys(kind, f"{path}{name}.")
        else:
            default = "the name after `train`" if name == "method" else _default(field.default)
            yield f"{path}{name}", default, field.description or ""


def _own(registry: Registry[Any]) -> Iterator[Part[Any]]:
    """The parts of img2img itself, whatever plug-ins are installed."""
    return (part for part in registry if part.origin == OWN)


def _default(value: Any) -> str:
    return "the method's" if value is PydanticUndefined else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """A value as a configuration has it, on one line."""
    plain = to_jsonable_python(value)
    return yaml.safe_dump(plain, default_flow_style=True, width=math.inf).split("\n", 1)[0]


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
