"""Click on a cell, get its mask: promptable segmentation for microscopy.

Importing the package is cheap; torch is loaded when a model is first built.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.core.errors import (
        CheckpointError,
        FileError,
        ImageError,
        ModelError,
        PromptError,
        Sam3Error,
        StateError,
    )
    from napari_sam3.core.image import to_rgb
    from napari_sam3.core.prediction import Embedding, Prediction
    from napari_sam3.core.prompt import Prompt
    from napari_sam3.core.tracker import Tracker
    from napari_sam3.models.build import build_tracker
    from napari_sam3.predictor import SAM3InteractiveImagePredictor

__all__ = [
    "CheckpointError",
    "Embedding",
    "FileError",
    "ImageError",
    "ModelError",
    "Prediction",
    "Prompt",
    "PromptError",
    "SAM3InteractiveImagePredictor",
    "Sam3Error",
    "StateError",
    "Tracker",
    "__version__",
    "build_tracker",
    "to_rgb",
]

_HOMES = {
    "core.errors": (
        "CheckpointError",
        "FileError",
        "ImageError",
        "ModelError",
        "PromptError",
        "Sam3Error",
        "StateError",
    ),
    "core.image": ("to_rgb",),
    "core.prediction": ("Embedding", "Prediction"),
    "core.prompt": ("Prompt",),
    "core.tracker": ("Tracker",),
    "models.build": ("build_tracker",),
    "predictor": ("SAM3InteractiveImagePredictor",),
}
_MODULE_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-sam3")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
