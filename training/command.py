"""What the commands of this folder have in common: errors are told, not traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_sam3.core.errors import Sam3Error

__all__ = ["TrainingError", "errors_told"]


class TrainingError(Exception):
    """Something that was asked for in a wrong way; the message has the remedy."""


@contextmanager
def errors_told() -> Iterator[None]:
    """End a command with the message of an error that a user can act on.

    Raises
    ------
    SystemExit
        Instead of a `TrainingError` or an error of the package.
    """
    try:
        yield
    except (TrainingError, Sam3Error) as error:
        raise SystemExit(f"Error: {error}") from error
