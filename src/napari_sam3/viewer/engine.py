"""What all sessions of the process share: the thread, the models, the embeddings."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from napari_sam3.core.embeddings import EmbeddingCache
from napari_sam3.core.errors import MemoryFullError
from napari_sam3.core.recent import Recent
from napari_sam3.core.store import EmbeddingStore, shared_store
from napari_sam3.core.tracker import Tracker
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
from napari_sam3.viewer.job import Tell
from napari_sam3.viewer.scenes import Scenes

if TYPE_CHECKING:
    from napari_sam3.models.machine import Machine

__all__ = ["Engine", "ModelChoice", "Tell", "shared_engine"]

#: Models that stay loaded, the last ones used: going back and forth is immediate.
_MODELS_KEPT = 2
_Value = TypeVar("_Value")


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
    scenes : Scenes
        What is known of planes.
    fetches_ahead : bool
        Whether neighbouring planes are encoded while nothing else is to do.
    machines : dict of str to Machine
        How fast this machine is, by device, once that was measured.
    fingerprints : dict of str to str
        Of the models that were loaded, by catalog id or weights file.
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
        self.scenes = Scenes(self.sparing, budget, store)
        self.fetches_ahead = fetches_ahead
        self.machines: dict[str, Machine] = {}
        self.fingerprints: dict[str, str] = {}
        self._build = build
        self._get_weights = get_weights
        self._trackers = Recent(_MODELS_KEPT)

    @property
    def cache(self) -> EmbeddingCache:
        """The embeddings in memory."""
        return self.scenes.cache

    @property
    def store(self) -> EmbeddingStore | None:
        """What keeps embeddings on disk."""
        return self.scenes.store

    @store.setter
    def store(self, store: EmbeddingStore | None) -> None:
        self.scenes.store = store

    @property
    def seconds(self) -> dict[tuple[str, str], float]:
        """How long the last image took, by fingerprint and device."""
        return self.scenes.seconds

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

    def _free(self, tracker: Tracker | ModelChoice, but: Hashable = None) -> int:
        freed = self.scenes.free(but)
        devices = [tracker.device]
        for choice in [c for c in self._trackers if self._trackers[c] is not tracker]:
            del self._trackers[choice]
        if isinstance(tracker, ModelChoice):
            devices = ["cuda", "mps"]
        for device in devices:
            free_memory(device)
        return freed


@cache
def shared_engine() -> Engine:
    """Return the one engine of this process, made when first asked for."""
    return Engine(store=shared_store(), fetches_ahead=True)
