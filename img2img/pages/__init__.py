"""Reports of runs and comparisons of models, each a single self-contained HTML file."""

from img2img.pages.comparison import write_comparison
from img2img.pages.report import write_report

__all__ = ["write_comparison", "write_report"]
