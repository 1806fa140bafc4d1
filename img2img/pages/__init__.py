"""Pages that tell of runs and models, each one file with all that it shows."""

from img2img.pages.comparison import write_comparison
from img2img.pages.report import write_report

__all__ = ["write_comparison", "write_report"]
