"""Errors as notifications, so that a click never ends in a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error, show_warning

from napari_sam3.core.errors import LayerError, PromptError, Sam3Error, StateError

__all__ = ["told"]

#: What a user mends with the next click, unlike a file that cannot be read.
_SLIPS = (LayerError, PromptError, StateError)


@contextmanager
def told() -> Iterator[None]:
    """Tell the user about our own errors; others are bugs and go on.

    Examples
    --------
    >>> with told():
    ...     pass
    """
    try:
        yield
    except _SLIPS as error:
        show_warning(str(error))
    except Sam3Error as error:
        show_error(str(error))
