"""Many planes: memory, going back to one, and opening an image again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.findings import Finding, in_bytes, in_ms, percentile_finding
from benchmarks.large_clicks import places
from benchmarks.pyramid import Pyramid, cells_near, draw_plane
from benchmarks.sam3_process import peak_memory
from benchmarks.stand_ins import Subject
from benchmarks.studio import FIELD, Studio
from napari_sam3.core.store import EmbeddingStore

__all__ = [
    "LazyStack",
    "flat_finding",
    "measure_memory",
    "measure_revisits",
    "measure_second_opening",
    "opening_finding",
    "resident",
]

#: Side of the stacks' planes.
_SIDE = 512
#: Embeddings that the budget holds.
_KEPT = 32
#: Bytes that memory may grow with each plane once everything has filled up: a
#: sixteenth of a plane's pixels.
_MOST_GROWTH = 32 * 2**10
#: Times that memory is looked at.
_LOOKS = 100
_MOST_REVISIT_MS = 150
_REVISITS = 40


class LazyStack:
    """A stack whose planes are drawn when they are read.

    Parameters
    ----------
    planes : int
        How many.
    side : int, optional
        Rows, and columns, of each.
    """

    def __init__(self, planes: int, side: int = _SIDE) -> None:
        self.shape = (planes, side, side)
        self.dtype = np.dtype(np.uint16)
        self.ndim = 3

    def __getitem__(self, index: Any) -> NDArray[np.uint16]:
        """Read a part of a plane, or of several."""
        chosen, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(chosen, slice):
            numbers = range(*chosen.indices(len(self)))
            return np.stack([self[(number, *rest)] for number in numbers])
        return draw_plane(int(chosen), self.shape[1])[tuple(rest)]

    def __len__(self) -> int:
        """Return how many planes there are."""
        return self.shape[0]

    def __array__(self, *_: object, **__: object) -> NDArray[np.uint16]:
        """Read all of it, as nobody should."""
        return self[:]


class _Opening(NamedTuple):
    """What opening an image took, until the first mask."""

    seconds: float
    encodings: int


def resident() -> int:
    """Return the bytes of memory that this process has now."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_memory()


def measure_memory(
    subject: Subject, planes: int, *, whole: bool = False
) -> tuple[list[Finding], list[tuple[int, int]]]:
    """Click once in every plane of a stack, with a budget of `_KEPT` embeddings.

    Parameters
    ----------
    subject : Subject
        The model.
    planes : int
        How many.
    whole : bool, optional
        Whether it sees whole planes: nano then has embeddings to keep.

    Returns
    -------
    list of Finding
        For the table.
    list of (int, int)
        After how many planes the process had how many bytes.
    """
    name = _name(subject, whole)
    with Studio(subject) as studio:
        studio.session.whole_plane = whole
        studio.open(LazyStack(planes))
        largest = studio.engine.cache.largest
        if largest:
            studio.session.cache_budget = _KEPT * largest
        every = max(1, planes // _LOOKS)
        cells = _cells()
        seen = []
        for plane in range(planes):
            studio.click(cells[plane % len(cells)], plane)
            if (plane + 1) % every == 0:
                seen.append((plane + 1, resident()))
        kept = len(studio.engine.cache)
    finding = flat_finding(name, seen)
    told = f"{finding.figures}; {kept} embeddings kept" if largest else finding.figures
    return [Finding(finding.task, name, told, finding.aim, finding.holds)], seen


def flat_finding(model: str, seen: Sequence[tuple[int, int]]) -> Finding:
    """Hold the growth of memory to a bound, over the second half of the planes.

    Parameters
    ----------
    model : str
        Who answered.
    seen : sequence of (int, int)
        After how many planes there were how many bytes.

    Returns
    -------
    Finding
    """
    planes, nbytes = np.array(seen, np.float64).T
    later = planes > planes[-1] / 2
    growth = float(np.polyfit(planes[later], nbytes[later], 1)[0])
    tenth = max(1, len(seen) // 10)
    told = ", ".join(f"{n / 2**20:.0f}" for n in nbytes[tenth - 1 :: tenth])
    figures = (
        f"{told} MiB; in the second half **{growth / 2**10:+.1f} KiB** with each plane"
    )
    task = f"memory over {int(planes[-1]):,} planes of {_SIDE}²"
    aim = f"≤ {in_bytes(_MOST_GROWTH)}"
    return Finding(task, model, figures, aim, growth <= _MOST_GROWTH)


def measure_revisits(subject: Subject) -> list[Finding]:
    """Go back to planes that are known, and click there.

    Parameters
    ----------
    subject : Subject
        The model. One that keeps embeddings is measured with them in memory, and
        with them on disk; nano from windows, and with whole planes.

    Returns
    -------
    list of Finding
    """
    findings = []
    for whole in (False,) if subject.keeps_embeddings else (False, True):
        name = _name(subject, whole)
        has_embeddings = whole or subject.keeps_embeddings
        seconds = _revisit(subject, whole, from_disk=False)
        findings.append(_revisited("in memory", name, seconds))
        if has_embeddings:
            seconds = _revisit(subject, whole, from_disk=True)
            findings.append(_revisited("on disk", name, seconds))
    return findings


def measure_second_opening(subject: Subject, path: Path) -> list[Finding]:
    """Open a large plane twice, as two programs one after the other would.

    Parameters
    ----------
    subject : Subject
        The model; one that keeps no embeddings sees the whole plane.
    path : Path
        Of the pyramid.

    Returns
    -------
    list of Finding
    """
    whole = not subject.keeps_embeddings
    with TemporaryDirectory() as folder:
        first, second = (_open(subject, path, Path(folder), whole) for _ in range(2))
    return [opening_finding(_name(subject, whole), first, second)]


def opening_finding(
    model: str, first: tuple[float, int], second: tuple[float, int]
) -> Finding:
    """Hold the second opening to no encoding at all.

    Parameters
    ----------
    model : str
        Who answered.
    first, second : (float, int)
        Seconds until the first mask, and what the encoder did: blocks, or calls.

    Returns
    -------
    Finding
        Missed, too, if the first one encoded nothing: then nothing was seen.
    """
    figures = (
        f"first {in_ms(first[0])}, {first[1]} blocks of the encoder; second "
        f"{in_ms(second[0])}, **{second[1]}** blocks"
    )
    holds = first[1] > 0 and second[1] == 0
    return Finding("opening to first mask", model, figures, "second: 0 blocks", holds)


def _name(subject: Subject, whole: bool) -> str:
    return f"{subject.name}, whole plane" if whole else subject.name


def _cells() -> list[list[float]]:
    """Return cells that lie wholly in a plane of a stack."""
    middles = cells_near(_SIDE / 2, _SIDE / 2, 25)
    inside = ((middles > 40) & (middles < _SIDE - 40)).all(axis=1)
    return [[float(row), float(col)] for row, col in middles[inside]]


def _revisited(where: str, name: str, seconds: Sequence[float]) -> Finding:
    task = f"going back to a plane and clicking, known {where}"
    return percentile_finding(task, name, seconds, _MOST_REVISIT_MS)


def _revisit(subject: Subject, whole: bool, *, from_disk: bool) -> list[float]:
    """Return the seconds of clicks in planes that were visited before."""
    # A dear encoder gets fewer planes; each is gone back to several times.
    planes = _KEPT if subject.tracker.is_quick else _KEPT // 4
    cells = _cells()
    with ExitStack() as stack:
        store = None
        if from_disk:
            store = EmbeddingStore(Path(stack.enter_context(TemporaryDirectory())))
        studio = stack.enter_context(Studio(subject, store))
        studio.session.whole_plane = whole
        studio.open(LazyStack(planes))
        for plane in range(planes):
            studio.click(cells[0], plane)
            studio.clear()
        seconds = []
        before = subject.encodings
        for turn in range(_REVISITS):
            if from_disk:
                studio.engine.cache.clear()
            # Each time another plane, and a cell that was not clicked there.
            cell = cells[1 + turn // planes]
            seconds.append(studio.click(cell, 5 * turn % planes))
            studio.clear()
        if (whole or subject.keeps_embeddings) and subject.encodings != before:
            raise RuntimeError("A known plane was encoded again; nothing was measured.")
    return seconds


def _open(subject: Subject, path: Path, folder: Path, whole: bool) -> _Opening:
    """Open a plane with all that a new process has, but for the loaded model."""
    with Studio(subject, EmbeddingStore(folder)) as studio:
        studio.session.whole_plane = whole
        # Loads the model, and what is imported when a click comes.
        studio.open(draw_plane(0, 128))
        studio.click((64.0, 64.0))
        before = subject.encodings
        start = time.perf_counter()
        pyramid = Pyramid.open(path)
        row, col = (edge + FIELD / 2 for edge in places(pyramid.side, 1)[0])
        studio.open(list(pyramid.levels), (row, col))
        studio.click(cells_near(row, col, 1)[0].tolist())
        return _Opening(time.perf_counter() - start, subject.encodings - before)
