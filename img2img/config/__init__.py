"""The run configuration: one typed tree, from YAML, flags and `--set key=value`.

Precedence, the later wins: the method's own recipe (`configs/<method>.yaml`), `--config FILE`,
flags, `--set`. Keys are the same everywhere. A component's section (generator, objective, ...) is
its `name` plus that class's own arguments, which the registry checks when the part is built.
"""

from img2img.config.files import preset_summary, presets, read_yaml, recipes
from img2img.config.loading import check, dump, load_config
from img2img.config.sections import (
    AugmentConfig,
    Component,
    DataConfig,
    GrowConfig,
    Match,
    MetricsConfig,
    PairingConfig,
    RunConfig,
    ScheduleConfig,
    SideConfig,
    TopKConfig,
    Unequal,
)
from img2img.errors import nearest

__all__ = [
    "AugmentConfig",
    "Component",
    "DataConfig",
    "GrowConfig",
    "Match",
    "MetricsConfig",
    "PairingConfig",
    "RunConfig",
    "ScheduleConfig",
    "SideConfig",
    "TopKConfig",
    "Unequal",
    "check",
    "dump",
    "load_config",
    "nearest",
    "preset_summary",
    "presets",
    "read_yaml",
    "recipes",
]
