"""Jobs that need no model, such as downloads: each on a thread of its own."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable

__all__ = ["Beside"]

#: How long the interpreter waits at its end. A download goes on where it stopped, so
#: that one which waits for a silent server may be cut off.
_FAREWELL_SECONDS = 1.0


class Beside:
    """Threads beside the one on which models are asked; what runs there may take hours.

    They are daemons, or a script without a window would never end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, Callable[[], object]] = {}
        self._is_registered = False

    def start(self, work: Callable[[], object], cancel: Callable[[], object]) -> None:
        """Run something.

        Parameters
        ----------
        work : callable
            Must hold no viewer, layer or widget, and not raise.
        cancel : callable
            Makes it end soon; called when the process ends.
        """

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._running.pop(threading.current_thread(), None)

        thread = threading.Thread(target=run, name="napari-sam3 beside", daemon=True)
        with self._lock:
            if not self._is_registered:
                self._is_registered = True
                atexit.register(self.stop)
            self._running[thread] = cancel
            thread.start()

    def stop(self) -> None:
        """Cancel all that runs, and wait a moment for it. Idempotent."""
        with self._lock:
            self._is_registered = False
            running = dict(self._running)
        atexit.unregister(self.stop)
        for cancel in running.values():
            cancel()
        end = time.monotonic() + _FAREWELL_SECONDS
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
