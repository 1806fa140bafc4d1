"""Starting from another model's weights."""

from pathlib import Path

from img2img.checkpoint import load_model
from img2img.data.samples import Direction
from img2img.errors import ConfigError, some_names
from img2img.training.method import Method


def init_from(path: Path, method: Method, data: Direction) -> list[str]:
    """Give each generator the weights of a model file's generator of the same direction.

    Layers are matched by name; those that the file lacks, or has in another shape, keep their own
    weights.

    Args:
        data: the direction that the data is read in.

    Returns:
        A line on each generator: what was taken, and which layers do not match.

    Raises:
        ModelFileError: there is no model, or it is damaged.
        ConfigError: it has no generator of such a direction, or not a single layer of one fits.
    """
    model = load_model(path)
    sources = {spec.direction: name for name, spec in model.specs.items()}
    directions = {name: method.direction(name, data) for name in method.generators}
    if not {*directions.values()} & {*sources}:
        raise ConfigError(f"init_from: {path} translates {' and '.join(sources)} only")
    told: list[str] = []
    for name, generator in method.generators.items():
        direction = directions[name]
        if direction not in sources:
            told.append(f"{name} starts anew: {path} translates {' and '.join(sources)} only")
            continue
        source = sources[direction]
        spec, theirs = model.specs[source], model.tensors[source]
        own = generator.state_dict()
        taken = {
            key: tensor
            for key, tensor in theirs.items()
            if key in own and own[key].shape == tensor.shape
        }
        others = sorted(own.keys() ^ theirs.keys() | (own.keys() & theirs.keys()) - taken.keys())
        if not taken:
            settings = " ".join(f"{key}={value}" for key, value in spec.arguments.items())
            raise ConfigError(
                f"init_from: no layer of {path} fits {name}; its {source} is"
                f" {spec.architecture} with {settings}: set generator.* likewise"
            )
        generator.load_state_dict(taken, strict=False)
        differing = f"; these do not match: {some_names(others)}" if others else ""
        count = f"{len(taken)} of {len(own)} layers"
        told.append(f"{name} starts from {source} of {path}, {count}{differing}")
    return told
