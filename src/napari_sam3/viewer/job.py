"""What is computed on another thread, and what is said about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cancelled", "Job", "News", "Outcome", "Tell"]


class Cancelled(BaseException):
    """Raised inside a job that nobody waits for any more.

    Not an `Exception`, so that no handler of errors on the way takes it for one.
    """


@dataclass(frozen=True, slots=True)
class News:
    """What a running job says about itself.

    Parameters
    ----------
    text : str
        Such as ``"encoding…"``.
    done, total : int
        Progress; a total of 0 says that it is not known.
    gives_way : bool
        Whether the job ends here if a newer request waits: what it did so far is
        kept, what it would do next may not be wanted any more.
    interim : object, optional
        What is known so far, to be shown until the outcome is there.
    """

    text: str
    done: int = 0
    total: int = 0
    gives_way: bool = False
    interim: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Something to compute on the inference thread.

    A job that was offered (`Lane.offer`) is done only while nothing else is to do, in
    any lane, and given up as soon as something is.

    Parameters
    ----------
    work : callable
        Called with a function that takes `News` and raises `Cancelled` when the
        job is no longer wanted. It must hold no viewer, layer or widget.
    context : hashable
        What the job is about, such as plane and model. A newer job about the
        same lets it end, as its by-products are useful; another context
        cancels it.
    is_request : bool
        Whether only the newest of these is wanted; others wait in a queue.
    is_aside : bool
        Whether it needs no model and may take long, such as a download: it runs at
        once, on a thread of its own.
    """

    work: Callable[[Callable[[News], None]], Any]
    context: Hashable = None
    is_request: bool = True
    is_aside: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a job ended: a value or an error, or neither if it was cancelled.

    Parameters
    ----------
    ticket : int
        Of the job.
    value : object
        What it returned.
    error : Exception, optional
        What it raised.
    was_cancelled : bool
        Whether it was given up.
    """

    ticket: int
    value: Any = None
    error: Exception | None = None
    was_cancelled: bool = False


#: Takes what a job says about itself, and ends it when nobody wants it any more.
Tell = Callable[[News], None]
