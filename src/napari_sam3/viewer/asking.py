"""A session's questions to the inference thread, and its answers in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from psygnal import Signal

from napari_sam3.core.errors import Sam3Error
from napari_sam3.viewer.engine import Engine, Tell
from napari_sam3.viewer.inference import Job, News, Outcome
from napari_sam3.viewer.status import Status

__all__ = ["Asking", "told_as"]

#: Seconds for which an answer can be read before a download's progress is told again.
_READING_SECONDS = 2.0


class _Waiting(NamedTuple):
    """What a job's outcome is waited for with."""

    then: Callable[[Any], None]
    otherwise: Callable[[], object] | None
    meanwhile: Callable[[Any], object] | None
    is_request: bool
    is_aside: bool


class Asking:
    """Hands jobs in and delivers what comes back, on the caller's thread.

    Parameters
    ----------
    engine : Engine
        With the thread.

    Attributes
    ----------
    status_changed : Signal
        With the new `Status`.
    failed : Signal
        With the exception of a job.
    started : Signal
        Something will have to be delivered.
    """

    status_changed = Signal(Status)
    failed = Signal(Exception)
    started = Signal()

    def __init__(self, engine: Engine) -> None:
        self._lane = engine.thread.lane()
        self._waiting: dict[int, _Waiting] = {}
        self._newest_request = 0
        self._status = Status()
        self._since = 0.0
        self._progress: tuple[int, News] | None = None
        self._error: Exception | None = None

    @property
    def status(self) -> Status:
        """What is going on."""
        return self._status

    @status.setter
    def status(self, status: Status) -> None:
        if status != self._status:
            self._status, self._since = status, time.monotonic()
            self.status_changed.emit(status)

    @property
    def busy(self) -> bool:
        """Whether answers are still to come, or to be delivered."""
        return self._lane.pending > 0

    @property
    def is_asking(self) -> bool:
        """Whether the newest request has not been answered yet."""
        return self._newest_request in self._waiting

    def ask(
        self,
        work: Callable[[Tell], Any],
        then: Callable[[Any], None],
        *,
        context: Hashable = None,
        is_request: bool = True,
        is_aside: bool = False,
        otherwise: Callable[[], object] | None = None,
        meanwhile: Callable[[Any], object] | None = None,
    ) -> int:
        """Compute something on the inference thread.

        Parameters
        ----------
        work : callable
            Runs there; see `Job`.
        then : callable
            Gets its value on the thread that delivers; of requests only the
            newest one's is called.
        context : hashable, optional
            See `Job`.
        is_request : bool, optional
            Whether it replaces earlier requests.
        is_aside : bool, optional
            Whether it runs on a thread of its own instead; see `Job`.
        otherwise : callable, optional
            Called instead of ``then`` if it fails or is cancelled.
        meanwhile : callable, optional
            Gets what is known so far; see `News`. Of requests only the newest one's is
            called.

        Returns
        -------
        int
            Its ticket, for `give_up`.
        """
        self._error = None
        ticket = self._lane.submit(Job(work, context, is_request, is_aside))
        self._waiting[ticket] = _Waiting(
            then, otherwise, meanwhile, is_request, is_aside
        )
        if is_request:
            self._newest_request = ticket
        if not self._status.busy:
            self.status = Status("waiting…", busy=True)
        self.started.emit()
        return ticket

    def offer(self, work: Callable[[Tell], object]) -> None:
        """Have something done while nothing else is to do; nobody waits for it."""
        self._lane.offer(Job(work))

    def drop_offer(self) -> None:
        """Give up what was offered."""
        self._lane.drop_offer()

    def give_up(self, ticket: int) -> None:
        """Give up a job that runs aside, without a word; others go on."""
        self._waiting.pop(ticket, None)
        self._lane.drop_aside(ticket)

    def supersede(self) -> None:
        """Give up what was requested; what else was asked for goes on."""
        self._newest_request = 0
        self._lane.drop_request()

    def cancel(self) -> None:
        """Give up all that was asked."""
        self._newest_request = 0
        self._lane.cancel()
        # Nobody wants to hear of their progress, either.
        given_up, self._waiting = self._waiting, {}
        for one in given_up.values():
            if one.otherwise is not None:
                one.otherwise()

    def refuse(self, error: Exception) -> None:
        """Tell who waits that something could not be done with an answer."""
        self._error = error
        self.status = Status(told_as(error), is_error=True)

    def close(self) -> None:
        """Give up all, for good. Idempotent."""
        self._waiting.clear()
        self._lane.close()

    def deliver(self) -> None:
        """Handle all that has come, without waiting."""
        while self._deliver_one(0.0):
            pass
        self._tell_progress()

    def wait(self, timeout: float | None = None) -> None:
        """Deliver until nothing is to come any more.

        Raises
        ------
        TimeoutError
            If that takes longer than ``timeout`` seconds.
        Exception
            What the last job raised.
        """
        self._take_error()  # what went wrong before was told when it did
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.busy:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(
                    f"There is no answer after {timeout:g} s ({self.status.text}); "
                    "give it longer."
                )
            self._deliver_one(left)
        if (error := self._take_error()) is not None:
            raise error

    def _take_error(self) -> Exception | None:
        error, self._error = self._error, None
        return error

    def _deliver_one(self, timeout: float | None) -> bool:
        item = self._lane.fetch(timeout)
        if item is None:
            return False
        ticket, message = item
        if isinstance(message, News):
            one = self._waiting.get(ticket)
            # An earlier request may do what the newest one waits for, such as encode;
            # if nothing is wanted any more, it says nothing, either.
            if one is not None and one.is_aside:
                self._progress = (ticket, message)
                self._tell_progress()
            elif one is not None and (not one.is_request or self.is_asking):
                self.status = _progress(message)
            is_newest = one is not None and (
                not one.is_request or ticket == self._newest_request
            )
            if one is not None and is_newest and one.meanwhile and message.interim:
                one.meanwhile(message.interim)
            return True
        one = self._waiting.pop(ticket, None)
        if one is not None and (not one.is_request or ticket == self._newest_request):
            self._handle(message, one)
        if not self.busy and self._status.busy:
            self.status = Status()
        return True

    def _tell_progress(self) -> None:
        """Say how far a download is, when nothing else is going on."""
        if self._progress is None:
            return
        if self._progress[0] not in self._waiting:
            self._progress = None
            return
        others = any(
            not one.is_aside and (not one.is_request or ticket == self._newest_request)
            for ticket, one in self._waiting.items()
        )
        was_read = time.monotonic() - self._since >= _READING_SECONDS
        if not others and (self._status.busy or was_read):
            self.status = _progress(self._progress[1])

    def _handle(self, outcome: Outcome, one: _Waiting) -> None:
        if outcome.error is not None:
            self._error = outcome.error
            self.status = Status(told_as(outcome.error), is_error=True)
            if one.otherwise is not None:
                one.otherwise()
            self.failed.emit(outcome.error)
        elif not outcome.was_cancelled:
            one.then(outcome.value)


def _progress(news: News) -> Status:
    return Status(news.text, busy=True, done=news.done, total=news.total)


def told_as(error: Exception) -> str:
    """Say what went wrong, to people."""
    if isinstance(error, Sam3Error):
        return str(error)
    return (
        f"{type(error).__name__}: {error}. This is not your mistake; please report it "
        "with what you did."
    )
