"""What the session is doing, in words for the status line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """One line about what happens.

    Parameters
    ----------
    text : str
        For people.
    busy : bool
        Whether something is being computed.
    done, total : int
        Progress of it; a total of 0 says that it is not known.
    is_error : bool
        Whether the text says what went wrong, and the remedy.
    """

    text: str = ""
    busy: bool = False
    done: int = 0
    total: int = 0
    is_error: bool = False
