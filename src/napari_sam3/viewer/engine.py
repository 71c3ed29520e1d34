"""What all sessions of the process share: the thread, the models, the embeddings."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, MutableMapping
from dataclasses import replace
from functools import cache, partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

from napari_sam3.core.dialogue import Step, Turn
from napari_sam3.core.embeddings import EmbeddingCache
from napari_sam3.core.errors import MemoryFullError
from napari_sam3.core.look import Look
from napari_sam3.core.patches import Patch
from napari_sam3.core.picture import Picture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.recent import Recent, Under
from napari_sam3.core.scene import open_scene
from napari_sam3.core.store import EmbeddingStore, shared_store
from napari_sam3.core.stored import embed_stored
from napari_sam3.core.tracker import Tracker
from napari_sam3.core.zoom import Zoom
from napari_sam3.models.build import build_tracker
from napari_sam3.models.device import (
    free_memory,
    is_out_of_memory,
    leave_a_core,
)
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.loading import load_torch_libraries
from napari_sam3.models.warmup import warm_up
from napari_sam3.viewer.choice import ModelChoice
from napari_sam3.viewer.fetching import get_model, telling_bytes
from napari_sam3.viewer.inference import InferenceThread, News

if TYPE_CHECKING:
    from napari_sam3.models.machine import Machine
    from napari_sam3.viewer.sources import PlaneKey, PlaneSource

__all__ = ["Engine", "ModelChoice", "Tell", "shared_engine"]

#: Takes what a job says about itself, and ends it when nobody wants it any more.
Tell = Callable[[News], None]

#: Models that stay loaded, the last ones used: going back and forth is immediate.
_MODELS_KEPT = 2
#: Bytes of answers that stay known, so that the next click needs one prediction.
_TURNS_BUDGET = 2**28
#: Bytes of answers of the many-objects mode: those of thousands of cells, so that
#: clean-up and a further click need not ask for them again.
_OBJECTS_BUDGET = 2**28

#: Bytes of pixels that stay read, so that the next click nearby reads nothing.
_TILES_BUDGET = 2**28

_Value = TypeVar("_Value")


class _PlaneVersion(NamedTuple):
    """What is looked at, and by which model."""

    plane: PlaneKey
    version: tuple[Hashable, Look]
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


class Engine:
    """The inference thread with what it works on.

    Methods whose docstring says so run on that thread only; the others may be
    called from anywhere.

    Parameters
    ----------
    build : callable, optional
        As `build_tracker`; called with the keywords ``model``, ``device``,
        ``report`` and ``may_download``, which is always False: what may be
        downloaded was, by `fetch`.
    get_weights : callable, optional
        As `fetch_weights`; called with an entry of the catalog and the keywords
        ``report`` and ``may_download``.
    budget : int, optional
        Bytes that embeddings may hold.
    store : EmbeddingStore, optional
        Keeps embeddings on disk.
    fetches_ahead : bool, optional
        Whether neighbouring planes are encoded while nothing else is to do.

    Attributes
    ----------
    store : EmbeddingStore or None
        That keeps embeddings on disk.
    fetches_ahead : bool
        Whether neighbouring planes are encoded while nothing else is to do.
    machines : dict of str to Machine
        How fast this machine is, by device, once that was measured.
    fingerprints : dict of str to str
        Of the models that were loaded, by catalog id or weights file.
    seconds : dict of (str, str) to float
        How long the last image took, by fingerprint and device.
    """

    def __init__(
        self,
        build: Callable[..., Tracker] = build_tracker,
        *,
        get_weights: Callable[..., object] = fetch_weights,
        budget: int = 2 * 2**30,
        store: EmbeddingStore | None = None,
        fetches_ahead: bool = False,
    ) -> None:
        self.thread = InferenceThread()
        self.cache = EmbeddingCache(budget)
        self.store = store
        self.fetches_ahead = fetches_ahead
        self.machines: dict[str, Machine] = {}
        self.fingerprints: dict[str, str] = {}
        self.seconds: dict[tuple[str, str], float] = {}
        self._build = build
        self._get_weights = get_weights
        self._trackers = Recent(_MODELS_KEPT)
        self._turns = Recent(_TURNS_BUDGET, lambda turn: turn.nbytes)
        self._objects = Recent(_OBJECTS_BUDGET, lambda one: one.logits.nbytes)
        self._tiles = Recent(_TILES_BUDGET, lambda tile: tile.nbytes)
        self._versions: dict[PlaneKey, tuple[int, Hashable]] = {}
        self._losses: Counter[UUID] = Counter()
        self._lost: SimpleQueue[UUID] = SimpleQueue()

    def fetch(self, choice: ModelChoice, may_download: bool, tell: Tell) -> None:
        """Have a model's weights on this machine, whole, so that it can be loaded.

        Runs on any thread but the inference thread, which others wait for.

        Parameters
        ----------
        choice : ModelChoice
            The model; nothing is done for a weights file, or one that is shipped.
        may_download : bool
            Whether that was asked for; else the weights are only checked.
        tell : callable
            Takes `News`; what it raises ends it.

        Raises
        ------
        CheckpointError, ModelError
            As `fetch_weights`; or if there is no such device.
        """
        get_model(self._get_weights, choice, may_download, tell)

    def tracker(self, choice: ModelChoice, tell: Tell) -> Tracker:
        """Return a loaded model; load it first if need be. Runs on the thread."""
        tracker: Tracker | None = self._trackers.get(choice)
        if tracker is None:
            tracker = self.sparing(partial(self._load, choice, tell), choice, tell)
            self._trackers[choice] = tracker
        return tracker

    def loaded(self, choice: ModelChoice) -> Tracker | None:
        """Return a model if it is loaded. Runs on the thread."""
        found: Tracker | None = self._trackers.get(choice)
        return found

    @property
    def has_room(self) -> bool:
        """Whether one more embedding fits without another one having to go."""
        return self.cache.nbytes + self.cache.largest <= self.cache.budget

    def _load(self, choice: ModelChoice, tell: Tell) -> Tracker:
        tell(News(f"loading {choice.name}…"))
        load_torch_libraries()
        report = telling_bytes(choice.name, tell)
        tracker = self._build(
            model=choice.model,
            device=choice.device,
            report=report,
            may_download=False,
        )
        self.fingerprints[choice.model] = tracker.fingerprint
        warming = f"warming up {choice.name}…"
        tell(News(warming))
        # scikit-image takes a quarter of a second when it is first used: for the
        # clean-up here, for the colours of Labels layers in napari.
        import skimage.color  # noqa: F401

        from napari_sam3.core import cleanup  # noqa: F401

        leave_a_core(tracker.device)
        warm_up(tracker, report=lambda done, total: tell(News(warming, done, total)))
        return tracker

    def scene(
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
        version = (self._version(source), source.look)
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
        scene = self.scene(tracker, source, tell, may_free=may_free)
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
            self.sparing(compute, tracker, tell, place) if may_free else compute()
        )
        if started:
            seconds = time.perf_counter() - started[0]
            self.seconds[tracker.fingerprint, str(tracker.device)] = seconds
        self.cache.put(place, embedding)
        if self._losses[layer_id] != losses:  # meanwhile
            self.cache.evict(lambda one: one == place)
        return embedding

    def turns(self, key: Hashable) -> MutableMapping[tuple[Step, ...], Turn]:
        """Return the known answers for an embedding's key. For the thread."""
        return Under(self._turns, key)

    def objects(self, key: Hashable) -> MutableMapping[Any, Any]:
        """Return the known single objects for an embedding's key. For the thread."""
        return Under(self._objects, key)

    def sparing(
        self,
        compute: Callable[[], _Value],
        tracker: Tracker | ModelChoice,
        tell: Tell,
        key: Hashable = None,
    ) -> _Value:
        """Compute; if memory is full, free the embeddings and try once more.

        Runs on the thread.

        Parameters
        ----------
        compute : callable
            The work.
        tracker : Tracker or ModelChoice
            Who does it, or will when it is loaded; other models go then, too.
        tell : callable
            Takes `News`.
        key : hashable, optional
            Of the scene or the embedding that it needs; the others go first.

        Raises
        ------
        MemoryFullError
            If it is full all the same.
        """
        try:
            return compute()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        freed = self._free(tracker, but=key)
        tell(News(f"memory was full: freed {freed / 2**20:.0f} MB, trying again…"))
        try:
            return compute()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Not in there: the error holds what filled the memory.
        self._free(tracker)
        what = "this image"
        if isinstance(tracker, ModelChoice):
            what = tracker.name
        raise MemoryFullError(
            f"The memory (device {str(tracker.device)!r}) is too small for {what}, "
            "even with all embeddings freed; choose a smaller model, the device 'cpu', "
            "or close other programs."
        )

    def forget_layer(self, layer_id: UUID) -> None:
        """Free what is known about a layer that went away or got other data."""
        self._losses[layer_id] += 1
        self._lost.put(layer_id)
        self.cache.evict(lambda key: _plane(key).layer_id == layer_id)

    def _clear_up(self) -> None:
        """Forget answers about layers that are gone. Runs on the thread."""
        lost = set()
        while not self._lost.empty():
            lost.add(self._lost.get())
        for plane in [plane for plane in self._versions if plane.layer_id in lost]:
            del self._versions[plane]
        for known in (self._turns, self._objects):
            for key in [key for key in known if _plane(key[0]).layer_id in lost]:
                del known[key]
        for key in [key for key in self._tiles if key[0][0].plane.layer_id in lost]:
            del self._tiles[key]

    def _free(self, tracker: Tracker | ModelChoice, but: Hashable = None) -> int:
        needed = None
        if but is not None:
            # Of a large plane only the window that was looked at last.
            own = [key for key in self.cache.keys() if _scene(key) == _scene(but)]  # noqa: SIM118
            needed = own[-1] if own else None
        freed = self.cache.evict(lambda key: key != needed)
        freed += self._tiles.weight
        self._tiles.clear()
        self._turns.clear()
        devices = [tracker.device]
        for choice in [c for c in self._trackers if self._trackers[c] is not tracker]:
            del self._trackers[choice]
        if isinstance(tracker, ModelChoice):
            devices = ["cuda", "mps"]
        for device in devices:
            free_memory(device)
        return freed

    def _version(self, source: PlaneSource) -> Hashable:
        """Tell a plane's contents from what they were, hashing them only if need be.

        A new stamp says that the layer was drawn anew: another plane, or other
        pixels. Lazy arrays are not read for that, as it may take long.
        """
        known = self._versions.get(source.key)
        if known is not None and known[0] == source.stamp:
            return known[1]
        checksum = source.checksum()
        version = ("stamp", source.stamp) if checksum is None else ("sum", checksum)
        if known is not None and known[1] != version:
            self.cache.evict(
                lambda key: (
                    _plane(key) == source.key and _scene(key).version[0] != version
                )
            )
        self._versions[source.key] = (source.stamp, version)
        return version


@cache
def shared_engine() -> Engine:
    """Return the one engine of this process, made when first asked for."""
    return Engine(store=shared_store(), fetches_ahead=True)


def _scene(key: Any) -> _PlaneVersion:
    """Return the first part of the keys of embeddings and scenes."""
    first = key[0]
    assert isinstance(first, _PlaneVersion)
    return first


def _plane(key: Hashable) -> PlaneKey:
    return _scene(key).plane
