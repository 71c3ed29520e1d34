"""Errors that a user can act on: every message ends with the remedy."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "FileError",
    "ImageError",
    "LayerError",
    "MemoryFullError",
    "ModelError",
    "PromptError",
    "Sam3Error",
    "StateError",
]


class Sam3Error(Exception):
    """Base of all errors that this package raises on purpose."""


class ImageError(Sam3Error, ValueError):
    """An array that cannot be taken as an image as it is."""


class PromptError(Sam3Error, ValueError):
    """Points, labels, a box or a mask that do not describe an object."""


class StateError(Sam3Error, RuntimeError):
    """A call in the wrong order, such as ``predict`` before ``set_image``."""


class ModelError(Sam3Error, ValueError):
    """A model, device or dtype that is unknown or cannot be used here."""


class CheckpointError(Sam3Error, RuntimeError):
    """A weights file that is missing, damaged, or belongs to another network."""


class FileError(Sam3Error, OSError):
    """A file that cannot be read or written."""


class LayerError(Sam3Error, ValueError):
    """A layer, or a view of one, that cannot be prompted or written as it is."""


class MemoryFullError(Sam3Error, RuntimeError):
    """Not enough memory on the device or in the machine."""
