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
        LayerError,
        MemoryFullError,
        ModelError,
        PromptError,
        Sam3Error,
        StateError,
    )
    from napari_sam3.core.hint import SizeHint
    from napari_sam3.core.image import to_rgb
    from napari_sam3.core.marks import BoxMark, OutlineMark, PointMark
    from napari_sam3.core.prediction import Embedding, Prediction
    from napari_sam3.core.prompt import Prompt
    from napari_sam3.core.tracker import Tracker
    from napari_sam3.models.build import build_tracker
    from napari_sam3.predictor import SAM3InteractiveImagePredictor
    from napari_sam3.viewer.cleanup import Cleanup
    from napari_sam3.viewer.session import Session
    from napari_sam3.widgets.attach import attach

__all__ = [
    "BoxMark",
    "CheckpointError",
    "Cleanup",
    "Embedding",
    "FileError",
    "ImageError",
    "LayerError",
    "MemoryFullError",
    "ModelError",
    "OutlineMark",
    "PointMark",
    "Prediction",
    "Prompt",
    "PromptError",
    "SAM3InteractiveImagePredictor",
    "Sam3Error",
    "Session",
    "SizeHint",
    "StateError",
    "Tracker",
    "__version__",
    "attach",
    "build_tracker",
    "to_rgb",
]

_HOMES = {
    "core.errors": (
        "CheckpointError",
        "FileError",
        "ImageError",
        "LayerError",
        "MemoryFullError",
        "ModelError",
        "PromptError",
        "Sam3Error",
        "StateError",
    ),
    "core.hint": ("SizeHint",),
    "core.image": ("to_rgb",),
    "core.marks": ("BoxMark", "OutlineMark", "PointMark"),
    "core.prediction": ("Embedding", "Prediction"),
    "core.prompt": ("Prompt",),
    "core.tracker": ("Tracker",),
    "models.build": ("build_tracker",),
    "predictor": ("SAM3InteractiveImagePredictor",),
    "viewer.cleanup": ("Cleanup",),
    "viewer.session": ("Session",),
    "widgets.attach": ("attach",),
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
