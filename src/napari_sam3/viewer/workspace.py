"""What a session works on and how: layers, model, settings, and what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_sam3.core.errors import StateError
from napari_sam3.core.marks import Mark
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.engine import ModelChoice
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.labels import Overlap
from napari_sam3.viewer.offers import ModelOffer, ask_for_speed, model_offers
from napari_sam3.viewer.polarity import polarity_of, set_polarity
from napari_sam3.viewer.preview import Preview
from napari_sam3.viewer.scanning import scan_ids
from napari_sam3.viewer.seeing import Seeing
from napari_sam3.viewer.status import Status
from napari_sam3.viewer.switching import ModelProblem

if TYPE_CHECKING:
    from napari_sam3.models.machine import Machine

__all__ = ["MODES", "Workspace"]

MODES = ("one", "many")


class Workspace(Seeing):
    """The state of a session: everything that can be looked up and set.

    Parameters
    ----------
    bench : Bench
        Which does the work.
    """

    # What it works on

    @property
    def viewer(self) -> ViewerModel:
        """The viewer.

        Raises
        ------
        StateError
            If it is gone.
        """
        viewer = self._bench.viewer
        if viewer is None:
            raise StateError("The viewer of this session is gone; attach to another.")
        return viewer

    @property
    def image(self) -> Image | None:
        """The image that is segmented; at first the selected or topmost one."""
        return self._bench.follower.image

    @image.setter
    def image(self, layer: Image | None) -> None:
        self._check_open()
        self._bench.follower.image = layer
        if layer is not None:
            self._bench.visit()
        else:
            self._bench.script.leave_image()

    @property
    def points(self) -> Points | None:
        """The layer whose points are prompts; None makes a new one when needed."""
        return self._bench.drafting.points

    @points.setter
    def points(self, layer: Points | None) -> None:
        self._check_open()
        self._bench.drafting.points = layer
        self._echo_layer("points", layer)

    @property
    def shapes(self) -> Shapes | None:
        """The layer whose shapes are prompts; None makes a new one when needed."""
        return self._bench.drafting.shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        self._check_open()
        self._bench.drafting.shapes = layer
        self._echo_layer("shapes", layer)

    @property
    def labels(self) -> Labels | None:
        """The layer that objects are written to; None makes a new one when needed."""
        return self._bench.results.labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        self._check_open()
        self._bench.results.labels = layer
        scan_ids(self._bench.asking, self._bench.results)
        self._echo_layer("labels", layer)

    # How it works

    @property
    def model(self) -> str:
        """Catalog id or weights file of the model.

        Setting it loads the model, and downloads it first if need be. Meanwhile the
        earlier one answers, and while it is loaded prompts wait; if it cannot be, the
        earlier one stays, and `model_problem` says why.
        """
        return self._bench.switch.chosen.model

    @model.setter
    def model(self, model: str) -> None:
        self.choose_model(model=str(model))

    @property
    def device(self) -> str:
        """Where the model runs: "auto", "cpu", "cuda" or "mps"."""
        return self._bench.switch.chosen.device

    @device.setter
    def device(self, device: str) -> None:
        self.choose_model(device=str(device))

    def choose_model(
        self,
        model: str | None = None,
        device: str | None = None,
        *,
        may_download: bool = True,
    ) -> None:
        """Set `model` and `device` at once.

        Parameters
        ----------
        model, device : str, optional
            By default they stay.
        may_download : bool, optional
            Whether weights that are not on this machine, or damaged, are downloaded;
            else the model cannot be loaded then.
        """
        choice = ModelChoice(model or self.model, device or self.device)
        self._bench.choose(choice, may_download=may_download)

    @property
    def is_switching(self) -> bool:
        """Whether the model is still on its way, and an earlier one is there."""
        return self._bench.switch.is_busy

    @property
    def model_problem(self) -> ModelProblem | None:
        """Why the model that was chosen last is not the one that answers."""
        return self._bench.switch.problem

    @property
    def models(self) -> tuple[ModelOffer, ...]:
        """The catalog, with what is known of each model on this machine.

        How long they take is known after `measure_speed`.
        """
        return model_offers(self._bench.engine, self.device)

    @property
    def machine(self) -> Machine | None:
        """What `measure_speed` found out about the device that is chosen."""
        return self._bench.engine.machines.get(self.device)

    def measure_speed(self) -> None:
        """Find out how fast this machine is, so that `models` says it; see `wait`."""
        self._check_open()
        bench = self._bench
        ask_for_speed(bench.asking, bench.engine, self.device, bench.changed.emit)

    @property
    def mode(self) -> str:
        """Whether all prompts describe "one" object, or each its own: "many"."""
        return self._bench.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise StateError(f"The mode is {mode!r}; give 'one' or 'many'.")
        if mode != self._bench.mode:
            if mode == "many" and self._bench.drafting.draft.label is not None:
                self._bench.take_step(Draft())  # refining is about one object
            self._bench.mode = mode
            self._bench.script.add(f"s.mode = {mode!r}")
            self._bench.refresh()

    @property
    def overlap(self) -> Overlap:
        """Who gets pixels that belong to other objects already."""
        return self._bench.results.overlap

    @overlap.setter
    def overlap(self, overlap: Overlap | str) -> None:
        try:
            self._bench.results.overlap = Overlap(overlap)
        except ValueError:
            names = ", ".join(repr(str(one)) for one in Overlap)
            raise StateError(f"overlap is {overlap!r}; give one of {names}.") from None
        self._bench.script.add(f"s.overlap = {str(self.overlap)!r}")
        self._bench.changed.emit()

    @property
    def cleanup(self) -> Cleanup:
        """What is done about holes and sprinkles; acts on the preview at once."""
        return self._bench.cleanup

    @cleanup.setter
    def cleanup(self, cleanup: Cleanup) -> None:
        if cleanup != self._bench.cleanup:
            self._bench.cleanup = cleanup
            self._bench.script.add(f"s.cleanup = napari_sam3.{cleanup!r}")
            self._bench.refresh()

    @property
    def cache_budget(self) -> int:
        """Bytes that embeddings may hold, of all sessions of the process."""
        return self._bench.engine.cache.budget

    @cache_budget.setter
    def cache_budget(self, budget: int) -> None:
        self._bench.engine.cache.budget = budget

    @property
    def store_budget(self) -> int | None:
        """Bytes that embeddings may take on disk, of all programs; 0 keeps none.

        None if this session's engine has no store.
        """
        store = self._bench.engine.store
        return None if store is None else store.cap

    @store_budget.setter
    def store_budget(self, budget: int | None) -> None:
        store = self._bench.engine.store
        if store is None or budget is None:
            raise StateError(
                "Nothing is kept on disk by this session's engine; give it a store: "
                "Engine(store=EmbeddingStore())."
            )
        store.cap = budget

    @property
    def fetches_ahead(self) -> bool:
        """Whether neighbouring planes are encoded while you do nothing.

        It holds for all sessions of the process.
        """
        return self._bench.engine.fetches_ahead

    @fetches_ahead.setter
    def fetches_ahead(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise StateError(f"fetches_ahead is {value!r}; give True or False.")
        self._bench.engine.fetches_ahead = value

    # What there is

    @property
    def preview(self) -> Preview | None:
        """The mask of the prompts, None if there is none (yet)."""
        return self._bench.preview

    @property
    def status(self) -> Status:
        """What is going on."""
        return self._bench.asking.status

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._bench.asking.busy

    @property
    def refining(self) -> int | None:
        """Number of the object that is being refined, None for a new one."""
        return self._bench.drafting.draft.label

    @property
    def can_undo(self) -> bool:
        """Whether there is a step on the shown plane to take back."""
        key = self._bench.follower.key()
        return key is not None and self._bench.history.last(key) is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is a step on the shown plane to take again."""
        key = self._bench.follower.key()
        return key is not None and self._bench.history.next(key) is not None

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The prompts on the shown plane, in the order in which they came."""
        return self._bench.drafting.draft.dialogue.marks

    @property
    def polarity(self) -> bool:
        """Whether the next click is on the object (True) or on the background."""
        points = self._bench.drafting.points
        return True if points is None else polarity_of(points)

    @polarity.setter
    def polarity(self, positive: bool) -> None:
        set_polarity(self._bench.drafting.ensure_points(), positive)
        self._bench.changed.emit()

    def _echo_layer(self, name: str, layer: Any) -> None:
        value = "None" if layer is None else f"viewer.layers[{real(layer).name!r}]"
        self._bench.echo(f"s.{name} = {value}")
