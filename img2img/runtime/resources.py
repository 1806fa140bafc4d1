"""Files that ship with the package: the recipes and the demo's images.

In the repository they are in `configs/` and `datasets/`; the wheel has copies inside the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def bundled(name: str) -> Path:
    """The path of a shipped file or folder, such as `configs/demo.yaml`; it may not exist."""
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.exists() else _PACKAGE.parent / name
