"""The one thread on which models are loaded and asked, and the way to it and back.

Every session has a `Lane`. What a user does quickly replaces what waits in the
lane; what runs goes on, unless it is about something else. Answers wait in the
lane's outbox until the main thread fetches them: nothing here calls back into
napari or Qt, so a viewer may vanish at any time.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from napari_sam3.viewer.beside import Beside
from napari_sam3.viewer.job import Cancelled, Job, News, Outcome

__all__ = ["Cancelled", "InferenceThread", "Job", "Lane", "News", "Outcome"]

#: How long the interpreter waits at its end for a block that is being computed.
_FAREWELL_SECONDS = 10.0


class Lane:
    """One session's way to the thread: at most one request waits, the newest.

    All methods may be called from any thread; a session calls them from the
    main one.

    Parameters
    ----------
    thread : InferenceThread
        Shared by all lanes.
    """

    def __init__(self, thread: InferenceThread) -> None:
        self._thread = thread
        self._lock = threading.Lock()
        self._tickets = 0
        self._request: tuple[int, Job] | None = None
        self._queue: deque[tuple[int, Job]] = deque()
        self._running: tuple[int, Job] | None = None
        self._asides: dict[int, Job] = {}
        self._outbox: SimpleQueue[tuple[int, News | Outcome]] = SimpleQueue()
        self._open = 0
        #: Of the job that was offered last. Not the job: it holds arrays.
        self._offered: threading.Event | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """Jobs whose outcomes have not been fetched; cancelled ones included."""
        with self._lock:
            return self._open

    def submit(self, job: Job) -> int:
        """Hand a job in.

        Parameters
        ----------
        job : Job
            A request replaces the one that waits, whose outcome is "cancelled".

        Returns
        -------
        int
            Its ticket: later jobs have higher ones.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("This lane is closed; open a new one.")
            self._tickets += 1
            self._open += 1
            entry = (self._tickets, job)
            if job.is_aside:
                self._asides[entry[0]] = job
            elif job.is_request:
                self._drop_waiting()
                self._request = entry
                running = self._running
                if (
                    running is not None
                    and running[1].is_request
                    and running[1].context != job.context
                ):
                    running[1].cancelled.set()
            else:
                self._queue.append(entry)
        if job.is_aside:
            work = partial(self._run_aside, *entry)
            self._thread.beside.start(work, job.cancelled.set)
        else:
            self._thread.wake(self)
        return entry[0]

    def offer(self, job: Job) -> None:
        """Hand in a job for when nothing else is to do; see `Job`.

        It takes the place of an earlier one. Nothing comes of it but what it leaves
        in caches: no news, no outcome, and nobody waits for it.
        """
        with self._lock:
            if self._closed:
                return
            if self._offered is not None:
                self._offered.set()
            self._offered = job.cancelled
        self._thread.rest_with(job)

    def drop_offer(self) -> None:
        """Give up the job that was offered, also if it runs."""
        with self._lock:
            if self._offered is not None:
                self._offered.set()
                self._offered = None

    def drop_request(self) -> None:
        """Give up the request that runs or waits; other jobs go on."""
        with self._lock:
            self._drop_waiting()
            if self._running is not None and self._running[1].is_request:
                self._running[1].cancelled.set()

    def drop_aside(self, ticket: int) -> None:
        """Give up a job that runs aside, if it still does.

        Its outcome is there at once, though a silent server may hold its thread.
        """
        with self._lock:
            job = self._asides.pop(ticket, None)
            if job is not None:
                job.cancelled.set()
                self._put(ticket, Outcome(ticket, was_cancelled=True))

    def cancel(self) -> None:
        """Give up everything that runs or waits."""
        for ticket in tuple(self._asides):
            self.drop_aside(ticket)
        self.drop_offer()
        with self._lock:
            self._drop_waiting()
            for ticket, _ in self._queue:
                self._put(ticket, Outcome(ticket, was_cancelled=True))
            self._queue.clear()
            if self._running is not None:
                self._running[1].cancelled.set()

    def close(self) -> None:
        """Cancel, and take no more jobs. Idempotent."""
        self.cancel()
        with self._lock:
            self._closed = True

    def fetch(self, timeout: float | None = 0.0) -> tuple[int, News | Outcome] | None:
        """Return the next news or outcome with its ticket.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for one; None for ever, 0 not at all.

        Returns
        -------
        tuple of int and News or Outcome, or None
            None if nothing came.
        """
        try:
            item = (
                self._outbox.get_nowait()
                if timeout == 0
                else self._outbox.get(timeout=timeout)
            )
        except Empty:
            return None
        if isinstance(item[1], Outcome):
            with self._lock:
                self._open -= 1
        return item

    def run_next(self) -> bool:
        """Run one waiting job; called by the thread. False if there is none."""
        with self._lock:
            # A click before anything that takes its time.
            if self._request is not None:
                entry, self._request = self._request, None
            elif self._queue:
                entry = self._queue.popleft()
            else:
                return False
            self._running = entry
        outcome = self._run(*entry)
        with self._lock:
            self._running = None
            self._put(entry[0], outcome)
        return True

    def _run_aside(self, ticket: int, job: Job) -> None:
        outcome = self._run(ticket, job)
        with self._lock:
            if self._asides.pop(ticket, None) is not None:
                self._put(ticket, outcome)

    def _run(self, ticket: int, job: Job) -> Outcome:
        def tell(news: News) -> None:
            if job.cancelled.is_set() or (news.gives_way and self._request is not None):
                raise Cancelled
            self._outbox.put((ticket, news))

        try:
            if job.cancelled.is_set():
                raise Cancelled
            return Outcome(ticket, job.work(tell))
        except Cancelled:
            return Outcome(ticket, was_cancelled=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user hears of it
            # Frames hold images and embeddings, and the outcome lives on.
            return Outcome(ticket, error=error.with_traceback(None))

    def _drop_waiting(self) -> None:
        if self._request is not None:
            ticket = self._request[0]
            self._put(ticket, Outcome(ticket, was_cancelled=True))
            self._request = None

    def _put(self, ticket: int, outcome: Outcome) -> None:
        self._outbox.put((ticket, outcome))


class InferenceThread:
    """Runs the jobs of all lanes, one at a time, on a thread that stays.

    A thread of its own per prediction would set torch up anew each time. It
    starts with the first job and lives until the process ends; then the running
    job is cancelled and waited for, as torch must not be cut off in the middle.

    Attributes
    ----------
    beside : Beside
        Runs what needs no model.
    """

    def __init__(self) -> None:
        self.beside = Beside()
        self._ready: SimpleQueue[Lane | Job | None] = SimpleQueue()
        self._resting: Job | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._lane: Lane | None = None

    def lane(self) -> Lane:
        """Open a lane."""
        return Lane(self)

    def wake(self, lane: Lane) -> None:
        """Tell that a lane has a job; one for idle times makes way."""
        self._put(lane)

    def rest_with(self, job: Job) -> None:
        """Run a job as soon as nothing else is to do, until something is."""
        self._put(job)

    def _put(self, item: Lane | Job) -> None:
        with self._lock:
            if self._resting is not None:
                self._resting.cancelled.set()
            if self._thread is None:
                # A daemon, or a script without a window would never end.
                self._thread = threading.Thread(
                    target=self._work, name="napari-sam3 inference", daemon=True
                )
                self._thread.start()
                atexit.register(self.stop)
        self._ready.put(item)

    def stop(self) -> None:
        """Cancel what runs and end the thread. Idempotent."""
        self.beside.stop()
        with self._lock:
            thread, self._thread = self._thread, None
            lane = self._lane
            if self._resting is not None:
                self._resting.cancelled.set()
        if thread is None:
            return
        atexit.unregister(self.stop)
        if lane is not None:
            lane.cancel()
        self._ready.put(None)
        thread.join(_FAREWELL_SECONDS)

    def _work(self) -> None:
        while (item := self._ready.get()) is not None:
            if isinstance(item, Job):
                self._rest(item)
            else:
                self._lane = item
                # One job per wake-up: lanes take turns.
                item.run_next()
                self._lane = None
            del item

    def _rest(self, job: Job) -> None:
        """Run a job for idle times, unless something else waits already."""

        def tell(news: News) -> None:
            if job.cancelled.is_set() or not self._ready.empty():
                raise Cancelled

        with self._lock:
            self._resting = job
        # What goes wrong unasked goes wrong again when it is asked for, and is told.
        with suppress(Cancelled, Exception):
            tell(News("resting"))
            job.work(tell)
        with self._lock:
            self._resting = None
