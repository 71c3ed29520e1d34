"""Clicks in a large plane beside the same clicks in a small one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.findings import Finding, compared, in_bytes, in_ms
from benchmarks.pyramid import CHUNK, REPEAT, CountingStore, Pyramid, cells_near, cut
from benchmarks.ratios import Comparison
from benchmarks.stand_ins import Subject
from benchmarks.studio import FIELD, Studio

__all__ = ["Read", "measure_clicks", "places", "read_finding"]

#: What a click in the large plane may take, as a multiple of one in the small plane.
_MOST_RATIO = 1.2
#: Bytes of pixels, decompressed, that a click may read of the large plane.
_MOST_READ = 2**24
#: Clicks in each place: the first one cold, the others warm.
_CLICKS = 4
_WHOLE_CLICKS = 2
#: How far from the middle of a place nano may look, in pixels.
_REACH = 1280

_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Read:
    """What a click read of a store.

    Parameters
    ----------
    chunks : int
        How many.
    nbytes : int
        As they are stored, compressed.
    """

    chunks: int
    nbytes: int

    @property
    def decoded(self) -> int:
        """Bytes of pixels in these chunks, also where they reach over the border."""
        return self.chunks * CHUNK * CHUNK * 2


@dataclass(slots=True, eq=False)
class _Desk:
    """A session on a plane, and what its clicks took.

    ``origin`` is the middle of what a small plane shows, None for the large plane.
    """

    studio: Studio
    store: CountingStore | None = None
    is_small: bool = False
    seconds: list[float] = field(default_factory=list)
    read: list[Read] = field(default_factory=list)

    def click(self, place: _Place, number: int) -> None:
        """Click on a cell of a place; the first time with nothing known of it."""
        # The cells are the same in all places, and so in the small plane.
        corner = np.array(place)
        row, col = (corner + FIELD / 2).tolist()
        position = cells_near(row, col, _CLICKS)[number]
        shown = np.zeros(2) if self.is_small else corner
        if number == 0:
            self.studio.look_at(*(shown + FIELD / 2).tolist())
            self.studio.forget()
        else:
            self.studio.clear()
        if self.store is not None:
            self.store.restart()
        self.seconds.append(self.studio.click((position - corner + shown).tolist()))
        store = self.store
        self.read.append(Read(store.chunks, store.nbytes) if store else Read(0, 0))


def places(side: int, count: int, seed: int = 0) -> list[_Place]:
    """Choose where a large plane is clicked in.

    Parameters
    ----------
    side : int
        Of the plane.
    count : int
        How many places; if there are not so many they come again.
    seed : int
        Of the choice.

    Returns
    -------
    list of (int, int)
        First pixels of parts of `FIELD` pixels. All show the same cells, and lie in
        the chunks in the same way.

    Raises
    ------
    ValueError
        If the plane is too small for one.
    """
    last = side - FIELD
    if last < 0:
        raise ValueError(f"A plane of {side} px has no room; give {FIELD} or more.")
    edges = range(0, last + 1, REPEAT)
    room = _REACH - FIELD // 2
    inner = [edge for edge in edges if room <= edge <= last - room] or list(edges)
    found = [(row, col) for row in inner for col in inner]
    np.random.default_rng(seed).shuffle(found)
    return [found[number % len(found)] for number in range(count)]


def measure_clicks(
    subject: Subject, pyramid: Pyramid, rounds: int
) -> tuple[list[Finding], list[Comparison]]:
    """Click in the large plane and in small ones, in turns.

    Parameters
    ----------
    subject : Subject
        The model.
    pyramid : Pyramid
        The large plane.
    rounds : int
        How many places are clicked in.

    Returns
    -------
    list of Finding
        For the table.
    list of Comparison
        With every time.
    """
    # The last one is for getting ready, and counts for nothing.
    *chosen, first = places(pyramid.side, rounds + 1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        small, pixels = cut(pyramid, *first, FIELD, folder / "small.zarr")
        planes = (list(pyramid.levels), list(small.levels), pixels)
        studios = [stack.enter_context(Studio(subject)) for _ in planes]
        desks = [
            _Desk(studios[0], pyramid.store),
            _Desk(studios[1], small.store, is_small=True),
            _Desk(studios[2], is_small=True),
        ]
        for studio, plane in zip(studios, planes, strict=True):
            studio.open(plane, (FIELD / 2, FIELD / 2))
        _take_turns(desks, [first])
        for desk in desks:
            desk.seconds.clear()
            desk.read.clear()
        _take_turns(desks, chosen)
        comparisons = _comparisons(pyramid.side, desks)
        findings = [
            compared(
                one, subject.name, _MOST_RATIO if "memory" not in one.task else None
            )
            for one in comparisons
        ]
        findings += _reading(subject.name, desks[0])
        findings.append(_in_whole(subject.name, desks[0], chosen))
    return findings, comparisons


def read_finding(task: str, model: str, read: Sequence[Read]) -> Finding:
    """Say what clicks read of the large plane, and hold the most to a bound.

    Parameters
    ----------
    task, model : str
        Which clicks, with whom.
    read : sequence of Read
        One for each click.

    Returns
    -------
    Finding
    """
    most = max(one.decoded for one in read)
    figures = (
        f"{int(np.median([one.chunks for one in read]))} chunks, "
        f"{in_bytes(np.median([one.nbytes for one in read]))}; at most "
        f"{max(one.chunks for one in read)} chunks, "
        f"{in_bytes(max(one.nbytes for one in read))}, "
        f"decoded **{in_bytes(most)}**"
    )
    aim = f"decoded ≤ {in_bytes(_MOST_READ)}"
    return Finding(task, model, figures, aim, most <= _MOST_READ)


def _take_turns(desks: Sequence[_Desk], chosen: Sequence[_Place]) -> None:
    """Click everywhere in all places, each click in one plane after the other."""
    for turn, place in enumerate(chosen):
        for number in range(_CLICKS):
            # Who comes first changes: the processor's caches are as the last left them.
            start = turn % len(desks)
            for desk in (*desks[start:], *desks[:start]):
                desk.click(place, number)


def _comparisons(side: int, desks: Sequence[_Desk]) -> list[Comparison]:
    found = []
    for where, other in zip(("in zarr", "in memory"), desks[1:], strict=True):
        for kind, clicks in (("cold", 0), ("warm", slice(1, None))):
            first_s, second_s = (
                tuple(np.reshape(desk.seconds, (-1, _CLICKS))[:, clicks].ravel())
                for desk in (desks[0], other)
            )
            task = f"{kind} click, {side:,}² to {FIELD:,}² {where}"
            names = (f"{side:,}²", f"{FIELD:,}² {where}")
            found.append(Comparison(task, *names, first_s, second_s))
    return found


def _reading(model: str, desk: _Desk) -> list[Finding]:
    cold = desk.read[::_CLICKS]
    warm = [one for number, one in enumerate(desk.read) if number % _CLICKS]
    return [
        read_finding("read by a cold click", model, cold),
        read_finding("read by a warm click", model, warm),
    ]


def _in_whole(model: str, desk: _Desk, chosen: Sequence[_Place]) -> Finding:
    """Click with the model seeing the whole plane, each time with nothing known."""
    desk.studio.clear()
    desk.studio.session.whole_plane = True
    desk.studio.session.wait()
    first = len(desk.read)
    for place in chosen[:_WHOLE_CLICKS]:
        desk.click(place, 0)
    finding = read_finding(
        "read by a cold click, whole plane", model, desk.read[first:]
    )
    took = in_ms(float(np.median(desk.seconds[first:])))
    return Finding(finding.task, model, f"{finding.figures}; {took}")
