"""Planes that were looked at: their pixels, embeddings and answers, kept and let go."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, MutableMapping
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from napari_sam3.core.dialogue import Memo
from napari_sam3.core.embeddings import EmbeddingCache
from napari_sam3.core.look import Look
from napari_sam3.core.patches import Patch
from napari_sam3.core.picture import Picture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.recent import Recent, Under
from napari_sam3.core.scene import open_scene
from napari_sam3.core.store import EmbeddingStore
from napari_sam3.core.stored import embed_stored
from napari_sam3.core.tracker import Tracker
from napari_sam3.core.zoom import Zoom
from napari_sam3.viewer.job import News, Tell

if TYPE_CHECKING:
    from napari_sam3.viewer.sources import PlaneKey, PlaneSource

__all__ = ["KeyedScene", "Scenes"]

#: Bytes of answers that stay known, so that the next click needs one prediction.
_TURNS_BUDGET = 2**28
#: Bytes of answers of the many-objects mode: those of thousands of cells, so that
#: clean-up and a further click need not ask for them again.
_OBJECTS_BUDGET = 2**28

#: Bytes of pixels that stay read, so that the next click nearby reads nothing.
_TILES_BUDGET = 2**28

_Value = TypeVar("_Value")


class _Sparing(Protocol):
    """Computes something, with less of everything else if memory is full."""

    def __call__(
        self,
        compute: Callable[[], _Value],
        tracker: Tracker,
        tell: Tell,
        key: Hashable = None,
    ) -> _Value: ...


class _PlaneVersion(NamedTuple):
    """What is looked at, and by which model."""

    plane: PlaneKey
    version: tuple[Hashable, Look, Hashable]
    fingerprint: str


class KeyedScene(NamedTuple):
    """A plane, ready to be asked about; see `Scene`.

    Attributes
    ----------
    key : hashable
        Of all that an answer depends on besides the prompts: the plane's pixels, how
        they are seen, the model, and the field of view where it matters.
    tracker : Tracker
        Who is asked.
    embedding : Embedding
        What it is asked about.
    """

    key: Hashable
    tracker: Tracker
    embedding: Embedding


class Scenes:
    """What is known of planes. For the inference thread, if not said otherwise.

    Parameters
    ----------
    spare : callable
        As `Engine.sparing`.
    budget : int
        Bytes that embeddings may hold.
    store : EmbeddingStore, optional
        Keeps embeddings on disk.

    Attributes
    ----------
    cache : EmbeddingCache
        The embeddings; may be used from anywhere.
    store : EmbeddingStore or None
        That keeps them on disk.
    seconds : dict of (str, str) to float
        How long the last image took, by fingerprint and device.
    """

    def __init__(
        self, spare: _Sparing, budget: int, store: EmbeddingStore | None
    ) -> None:
        self._spare = spare
        self.cache = EmbeddingCache(budget)
        self.store = store
        self.seconds: dict[tuple[str, str], float] = {}
        self._turns = Recent(_TURNS_BUDGET, lambda turn: turn.nbytes)
        self._objects = Recent(_OBJECTS_BUDGET, lambda one: one.logits.nbytes)
        self._tiles = Recent(_TILES_BUDGET, lambda tile: tile.nbytes)
        self._versions: dict[tuple[PlaneKey, Hashable], tuple[int, Hashable]] = {}
        self._losses: Counter[UUID] = Counter()
        self._lost: SimpleQueue[UUID] = SimpleQueue()

    @property
    def has_room(self) -> bool:
        """Whether one more embedding fits without another one having to go."""
        return self.cache.nbytes + self.cache.largest <= self.cache.budget

    def open(
        self,
        tracker: Tracker,
        source: PlaneSource,
        tell: Tell,
        on_first: Callable[[list[Prediction]], object] | None = None,
        *,
        may_free: bool = True,
    ) -> KeyedScene:
        """Return a plane to ask about; what has to be encoded is, when it is asked.

        Runs on the thread.

        Parameters
        ----------
        tracker : Tracker
            The model.
        source : PlaneSource
            The plane.
        tell : callable
            Takes `News`.
        on_first : callable, optional
            Called with the first answers, if a closer look follows.
        may_free : bool, optional
            Whether other embeddings make way if memory is full.
        """
        self._clear_up()
        if source.before_read is None:
            source = replace(source, before_read=lambda: tell(News("reading…")))
        version = (self._version(source), source.look, source.seen)
        key = _PlaneVersion(source.key, version, tracker.fingerprint)
        picture = source.picture(self._tiles, key)
        scene = open_scene(
            tracker,
            picture,
            partial(self._embedding, tracker, picture, key, tell, may_free),
            field=source.box,
            whole=source.whole,
            on_first=on_first,
        )
        # A model that chooses its windows itself answers alike from anywhere.
        is_framed = isinstance(scene.tracker, Zoom)
        view = (source.box, source.whole) if is_framed else None
        return KeyedScene((key, view), *scene)

    def encode_ahead(
        self,
        tracker: Tracker,
        source: PlaneSource,
        tell: Tell,
        *,
        may_free: bool = True,
    ) -> None:
        """Encode what the next click on a plane will need. Runs on the thread."""
        scene = self.open(tracker, source, tell, may_free=may_free)
        if isinstance(scene.tracker, Zoom):
            scene.tracker.embed_first()

    def _embedding(
        self,
        tracker: Tracker,
        picture: Picture,
        key: _PlaneVersion,
        tell: Tell,
        may_free: bool,
        patch: Patch,
    ) -> Embedding:
        """Return a patch's embedding: known, from disk, or computed."""
        layer_id = key.plane.layer_id
        losses = self._losses[layer_id]
        place = (key, patch)
        embedding = self.cache.get(place)
        if embedding is not None:
            return embedding
        tell(News("reading…"))
        pixels = patch.read(picture)
        started: list[float] = []

        def report(done: int, total: int) -> None:
            if not started:
                started.append(time.perf_counter())
            tell(News("encoding…", done, total))

        compute = partial(embed_stored, tracker, pixels, self.store, report)
        embedding = (
            self._spare(compute, tracker, tell, place) if may_free else compute()
        )
        if started:
            seconds = time.perf_counter() - started[0]
            self.seconds[tracker.fingerprint, str(tracker.device)] = seconds
        self.cache.put(place, embedding)
        if self._losses[layer_id] != losses:  # meanwhile
            self.cache.evict(lambda one: one == place)
        return embedding

    def turns(self, key: Hashable) -> Memo:
        """Return the known answers for an embedding's key. For the thread."""
        return Under(self._turns, key)

    def objects(self, key: Hashable) -> MutableMapping[Any, Any]:
        """Return the known single objects for an embedding's key. For the thread."""
        return Under(self._objects, key)

    def forget_layer(self, layer_id: UUID) -> None:
        """Free what is known about a layer that went away or got other data.

        From any thread.
        """
        self._losses[layer_id] += 1
        self._lost.put(layer_id)
        self.cache.evict(lambda key: _plane(key).layer_id == layer_id)

    def _clear_up(self) -> None:
        """Forget answers about layers that are gone. Runs on the thread."""
        lost = set()
        while not self._lost.empty():
            lost.add(self._lost.get())
        for place in [one for one in self._versions if one[0].layer_id in lost]:
            del self._versions[place]
        for known in (self._turns, self._objects):
            for key in [key for key in known if _plane(key[0]).layer_id in lost]:
                del known[key]
        for key in [key for key in self._tiles if key[0][0].plane.layer_id in lost]:
            del self._tiles[key]

    def free(self, but: Hashable = None) -> int:
        """Forget as much as can be; return the bytes that were freed.

        Parameters
        ----------
        but : hashable, optional
            Of the scene or the embedding that is needed.
        """
        needed = None
        if but is not None:
            # Of a large plane only the window that was looked at last.
            own = [key for key in self.cache.keys() if _scene(key) == _scene(but)]  # noqa: SIM118
            needed = own[-1] if own else None
        freed = self.cache.evict(lambda key: key != needed)
        freed += self._tiles.weight
        self._tiles.clear()
        self._turns.clear()
        return freed

    def _version(self, source: PlaneSource) -> Hashable:
        """Tell a plane's contents from what they were, hashing them only if need be.

        A new stamp says that the layer was drawn anew: another plane, or other
        pixels. Lazy arrays and large ones are not read for that, as it may take long:
        they count as other ones when the layer gets other data.
        """
        place = (source.key, source.seen)
        known = self._versions.get(place)
        if known is not None and known[0] == source.stamp:
            return known[1]
        checksum = source.checksum()
        version = ("data", source.edition) if checksum is None else ("sum", checksum)
        if known is not None and known[1] != version:
            self.cache.evict(
                lambda key: (
                    _plane(key) == source.key
                    and _scene(key).version[2] == source.seen
                    and _scene(key).version[0] != version
                )
            )
        self._versions[place] = (source.stamp, version)
        return version


def _scene(key: Any) -> _PlaneVersion:
    """Return the first part of the keys of embeddings and scenes."""
    first = key[0]
    assert isinstance(first, _PlaneVersion)
    return first


def _plane(key: Hashable) -> PlaneKey:
    return _scene(key).plane
