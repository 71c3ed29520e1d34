"""What a command tells while it works and when it is done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = ["Progress", "Stopwatch", "print_json", "table"]


class Stopwatch:
    """Measures the stages of a command, in their order.

    Attributes
    ----------
    seconds : dict of str to float
        Per stage.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch.stage("read image"):
    ...     pass
    >>> list(watch.seconds)
    ['read image']
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done within the ``with`` statement."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    @property
    def total(self) -> float:
        """Seconds since it was made, what no stage measured included."""
        return time.perf_counter() - self._start

    def summary(self) -> str:
        """Return all stages in one line."""
        parts = [f"{name} {seconds:.2f}" for name, seconds in self.seconds.items()]
        return f"{', '.join(parts)}; together {self.total:.2f} s"


class Progress:
    """One line on a terminal that says what is being done; nothing elsewhere.

    Parameters
    ----------
    stream : TextIO, optional
        By default standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_seen = self._stream.isatty()
        self._width = 0

    def say(self, text: str) -> None:
        """Replace the line."""
        if self._is_seen:
            self._stream.write(f"\r{text:<{self._width}}")
            self._stream.flush()
            self._width = len(text)

    def share(self, text: str) -> Callable[[int, int], None]:
        """Return what says how much of something is done.

        Parameters
        ----------
        text : str
            What is being done.

        Returns
        -------
        callable
            Takes how much is done, and of how much.
        """
        return lambda done, total: self.say(f"{text}: {done / max(total, 1):.0%}")

    def __enter__(self) -> Progress:
        """Begin with no line."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Clear the line, so that an error or the results stand alone."""
        self.clear()

    def clear(self) -> None:
        """Clear the line, so that something else can be printed there."""
        if self._width:
            self._stream.write(f"\r{'':<{self._width}}\r")
            self._stream.flush()
            self._width = 0


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Lay out rows below headings.

    Parameters
    ----------
    rows : sequence of mapping
        Per row the columns' values; floats are given two decimals.
    columns : mapping of str to str
        From keys of the rows to headings, in order. Numbers stand on the right.

    Returns
    -------
    str
        Lines without a last newline.

    Examples
    --------
    >>> print(table([{"id": 1, "score": 0.5}], {"id": "object", "score": "score"}))
    object  score
         1   0.50
    """
    cells = [[_text(row[key]) for key in columns] for row in rows]
    grid = [list(columns.values()), *cells]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    numeric = [bool(rows) and isinstance(rows[0][key], (int, float)) for key in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        for line in grid
    ]
    return "\n".join(line.rstrip() for line in lines)


def print_json(content: object) -> None:
    """Print one JSON document."""
    print(json.dumps(content, indent=2))


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
