"""The run configuration: one typed tree of keys from several sources.

Later sources override earlier ones: the method's recipe (`configs/<method>.yaml`), the user's file,
single keys, assignments `key=value`. Keys are the same everywhere. A component's section
(generator, objective, ...) has its `name` and the arguments of that part, which the registry checks
when it builds the part; `losses` and `settings` are checked by the method.
"""

from img2img.config.base import Component, Section
from img2img.config.data import (
    AugmentConfig,
    DataConfig,
    Direction,
    GrowConfig,
    Match,
    PairingConfig,
    SideConfig,
    Unequal,
)
from img2img.config.files import preset_summary, presets, read_yaml, recipes
from img2img.config.loading import check, check_settings, dump, load_config
from img2img.config.renaming import renewed
from img2img.config.sections import MetricsConfig, RunConfig, ScheduleConfig, TopKConfig
from img2img.errors import nearest

__all__ = [
    "AugmentConfig",
    "Component",
    "DataConfig",
    "Direction",
    "GrowConfig",
    "Match",
    "MetricsConfig",
    "PairingConfig",
    "RunConfig",
    "ScheduleConfig",
    "Section",
    "SideConfig",
    "TopKConfig",
    "Unequal",
    "check",
    "check_settings",
    "dump",
    "load_config",
    "nearest",
    "preset_summary",
    "presets",
    "read_yaml",
    "recipes",
    "renewed",
]
