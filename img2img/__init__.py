"""Image-to-image translation with GANs.

The public names are imported on first use, so that `import img2img` does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from img2img.config import RunConfig as RunConfig
    from img2img.config import load_config as load_config
    from img2img.engine.options import TranslatorOptions as TranslatorOptions
    from img2img.engine.translator import Translator as Translator
    from img2img.errors import Img2ImgError as Img2ImgError
    from img2img.evaluation.comparison import compare_models as compare_models
    from img2img.evaluation.folders import evaluate_folders as evaluate_folders
    from img2img.evaluation.models import evaluate_model as evaluate_model
    from img2img.export import export_model as export_model
    from img2img.images import Animation as Animation
    from img2img.images import Frames as Frames
    from img2img.images import Picture as Picture
    from img2img.images import as_picture as as_picture
    from img2img.images import read_image as read_image
    from img2img.images import read_picture as read_picture
    from img2img.images import write_image as write_image
    from img2img.images import write_picture as write_picture
    from img2img.models.checkpoint import load_model as load_model
    from img2img.models.checkpoint import save_model as save_model
    from img2img.models.spec import ModelSpec as ModelSpec
    from img2img.pages import write_comparison as write_comparison
    from img2img.pages import write_report as write_report
    from img2img.training.run import train as train
    from img2img.translate.folder import translate_folder as translate_folder

__version__ = "0.1.0"

_HOMES = {
    "Animation": "img2img.images",
    "Frames": "img2img.images",
    "Img2ImgError": "img2img.errors",
    "ModelSpec": "img2img.models.spec",
    "Picture": "img2img.images",
    "RunConfig": "img2img.config",
    "Translator": "img2img.engine.translator",
    "TranslatorOptions": "img2img.engine.options",
    "compare_models": "img2img.evaluation.comparison",
    "evaluate_folders": "img2img.evaluation.folders",
    "evaluate_model": "img2img.evaluation.models",
    "export_model": "img2img.export",
    "load_config": "img2img.config",
    "load_model": "img2img.models.checkpoint",
    "read_image": "img2img.images",
    "as_picture": "img2img.images",
    "read_picture": "img2img.images",
    "save_model": "img2img.models.checkpoint",
    "train": "img2img.training.run",
    "translate_folder": "img2img.translate.folder",
    "write_comparison": "img2img.pages",
    "write_image": "img2img.images",
    "write_picture": "img2img.images",
    "write_report": "img2img.pages",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
