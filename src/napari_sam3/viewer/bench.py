"""Where prompts, model and labels meet: the workings of a session."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_sam3.core.dialogue import Dialogue
from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.asking import Asking
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.drafting import Drafting
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.follower import ImageFollower
from napari_sam3.viewer.hints import Hints
from napari_sam3.viewer.history import Change, Draft, History
from napari_sam3.viewer.jobs import (
    ManyQuestion,
    Question,
    answer,
    answer_many,
    prepare,
    says_where,
    single_objects,
)
from napari_sam3.viewer.looks import Sight
from napari_sam3.viewer.outlook import Outlook
from napari_sam3.viewer.preview import Preview, PreviewLayer
from napari_sam3.viewer.replies import ManyReply, Reply, in_words, preview_of
from napari_sam3.viewer.results import Results, Written
from napari_sam3.viewer.script import Script
from napari_sam3.viewer.sources import PlaneKey, PlaneSource
from napari_sam3.viewer.status import Status
from napari_sam3.viewer.switching import ModelSwitch

__all__ = ["Bench"]


class Bench:
    """Keeps the preview true to the prompts, whatever happens in which order.

    `Session` is its public face. A reply is painted only if nothing that it
    depends on has changed since it was asked for. A draft that refines an object is
    asked about when the object's mask is there.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.
    engine : Engine
        Thread, models, embeddings.
    choice : ModelChoice
        The model to begin with.
    fallback : ModelChoice, optional
        Who answers if that one cannot be loaded.
    """

    preview_changed = Signal(object)
    changed = Signal()
    answered = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        engine: Engine,
        choice: ModelChoice,
        fallback: ModelChoice | None = None,
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self.engine = engine
        self.mode = "one"
        self.cleanup = Cleanup()
        self.history = History()
        self.script = Script()
        self.script.begin(choice)
        self.preview: Preview | None = None
        self.reply: Reply | ManyReply | None = None
        self._layer = PreviewLayer()
        self._asked: tuple[Any, ...] | None = None
        self._encoded: tuple[Any, ...] | None = None
        self._was_held = False
        self.is_closed = False
        self.asking = Asking(engine)
        self.switch = ModelSwitch(engine, self.asking, fallback or choice, choice)
        self.follower = ImageFollower(viewer)
        self.outlook = Outlook(viewer, self.follower, engine, self.asking)
        self.results = Results(viewer)
        self.hints = Hints(viewer, self.follower, self.results)
        self.drafting = Drafting(viewer, self.follower, self.hints.next)
        self.follower.moved.connect(self._on_moved)
        self.follower.lost.connect(self._on_lost)
        self.drafting.edited.connect(self._on_edited)
        self.asking.failed.connect(self._on_failed)
        self.switch.loading.connect(self._on_loading)
        self.switch.ended.connect(self._on_switched)
        self.drafting.layers_changed.connect(self.changed.emit)
        self.drafting.trouble_changed.connect(self.refresh)
        self.results.changed.connect(self.changed.emit)
        self.drafting.layer_removed.connect(self._on_layer_removed)
        self.results.layer_removed.connect(self._on_layer_removed)

    @property
    def viewer(self) -> ViewerModel | None:
        """The viewer, None if it is gone."""
        return self._viewer()

    @property
    def image(self) -> Image:
        """The image.

        Raises
        ------
        LayerError
            If there is none.
        """
        if self.follower.image is None:
            raise LayerError("There is no image; open one first.")
        return self.follower.image

    @property
    def choice(self) -> ModelChoice:
        """The model that answers."""
        return self.switch.choice

    def choose(self, choice: ModelChoice, *, may_download: bool) -> None:
        """Have another model answer as soon as it is loaded."""
        if self.is_closed:
            self.switch.choice = choice
        elif choice == self.switch.chosen:
            self.switch.problem = None  # nobody asks for the other one any more
            self.changed.emit()
        else:
            self.switch.start(choice, may_download=may_download)
            self._resume()

    def ask(self) -> None:
        """Ask for what the draft describes; hide what it does not any more."""
        try:
            source = self.follower.source()
            finish = self.cleanup.finish(self.image, source.key.plane)
            self.drafting.check()
        except LayerError as error:
            self._withdraw()
            self.asking.status = Status(str(error), is_error=self.has_image)
            return
        if self.drafting.draft.is_incomplete:
            self._withdraw()
            return
        self.switch.begin()
        dialogues = self.dialogues()
        source = self.outlook.framed(source, has_prompts=bool(dialogues))
        plane = (source.key, self.choice, source.stamp, self.sight, self.whole)
        asked = (plane, self.mode, dialogues, finish)
        if asked == self._asked:
            return
        if not dialogues or self._asked is None or self._asked[0][0] != source.key:
            self.show(None)
        if self.switch.holds:
            self._was_held = True  # until it is known who answers
            return
        self._asked = asked
        then: Callable[[Any], None] = partial(self._on_reply, source)
        meanwhile: Callable[[Any], None] | None = None
        if dialogues and self.mode == "one":
            question = Question(source, self.choice, dialogues[0], finish)
            meanwhile = partial(self._on_interim, source.key)
            work: Callable[[Tell], Any] = partial(answer, self.engine, question)
        elif dialogues:
            many = ManyQuestion(source, self.choice, dialogues, finish)
            work = partial(answer_many, self.engine, many)
        elif plane == self._encoded:
            self.asking.supersede()
            self._on_prepared(plane, source)
            return
        else:
            work = partial(prepare, self.engine, source, self.choice)
            then = partial(self._on_prepared, plane, source)
        # The stamp makes no other context: what is encoded is looked at again.
        self.asking.ask(work, then, context=plane[:2], meanwhile=meanwhile)

    @property
    def sight(self) -> Sight:
        """How the model sees the image."""
        return self.follower.sight

    @sight.setter
    def sight(self, sight: Sight) -> None:
        self.follower.sight = sight

    @property
    def whole(self) -> bool:
        """Whether the model sees the whole plane at once."""
        return self.follower.whole

    @whole.setter
    def whole(self, whole: bool) -> None:
        self.follower.whole = whole
        self.refresh()

    @property
    def is_awaiting(self) -> bool:
        """Whether the mask of the shown plane's prompts is still to come."""
        return self.drafting.draft.is_incomplete or (
            (self.asking.is_asking or self.switch.holds) and bool(self.dialogues())
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the shown plane."""
        return self.follower.source().shape

    @property
    def has_image(self) -> bool:
        """Whether there is an image layer to work on."""
        return self.follower.image is not None

    def dialogues(self) -> tuple[Dialogue, ...]:
        """Return what has to be answered: nothing, one object, or many."""
        dialogue = self.drafting.draft.dialogue
        if not says_where(dialogue):
            return ()
        return (dialogue,) if self.mode == "one" else single_objects(dialogue)

    def show(self, reply: Reply | ManyReply | None) -> None:
        """Paint a reply into the preview's layer, or hide it."""
        self.reply = reply
        self._paint(reply)

    def _paint(self, reply: Reply | ManyReply | None) -> None:
        viewer = self._viewer()
        source = None if reply is None else self.follower.source()
        preview = (
            None if reply is None or source is None else preview_of(reply, source.shape)
        )
        self.outlook.show(source, reply)
        if preview == self.preview:
            return
        self.preview = preview
        if viewer is not None:
            if preview is None or source is None:
                self._layer.hide()
            else:
                self._layer.show(viewer, self.image, source.key.plane, preview)
        self.preview_changed.emit(preview)

    def prepare_layers(self) -> None:
        """Make the layers that the first click needs."""
        viewer = self._viewer()
        self.drafting.ensure_points()
        if viewer is not None:
            self._layer.prepare(viewer, self.image)

    def take_step(self, after: Draft, written: Written | None = None) -> None:
        """Make a draft the current one, as a step that can be undone."""
        key = self.follower.source().key
        change = Change(self.drafting.draft, after, written)
        self.drafting.put(after)
        self.history.push(key, change)
        self.refresh()

    def refresh(self) -> None:
        """Ask again, and tell that something has changed."""
        self.ask()
        self.changed.emit()

    def echo(self, line: str) -> int:
        """Note a line of Python for what was just done on the shown plane."""
        self.visit()
        return self.script.add(line)

    def visit(self) -> None:
        """Note which plane of which image is shown."""
        viewer, image = self._viewer(), self.follower.image
        if viewer is not None and image is not None:
            dims = viewer.dims
            steps = {axis: dims.current_step[axis] for axis in dims.not_displayed}
            self.script.visit(image.name, dims.order, steps)

    def undo(self) -> bool:
        """Take the last step on the shown plane back; False if there is none."""
        key = self.follower.key()
        change = None if key is None else self.history.last(key)
        if key is None or change is None:
            return False
        self._retrace(key, change, change.before, self.history.back)
        return True

    def redo(self) -> bool:
        """Take the step that was undone again; False if there is none."""
        key = self.follower.key()
        change = None if key is None else self.history.next(key)
        if key is None or change is None:
            return False
        self._retrace(key, change, change.after, self.history.forth)
        return True

    def cancel(self) -> None:
        """Give up what is being computed; prompts stay."""
        if self.asking.busy:
            if self.asking.is_asking:
                # What is still shown answers earlier prompts.
                self._withdraw()
            was_busy = self.switch.is_busy
            self.asking.cancel()
            if was_busy:
                self.script.fall_back(self.choice)
                self._on_switched()  # the earlier model goes on
            self.changed.emit()
            if not self.asking.is_asking:
                self.asking.status = Status("cancelled")

    def close(self) -> None:
        """Let go of the viewer; layers with the user's work stay. Idempotent."""
        self.is_closed = True
        self.asking.close()
        self._layer.remove()
        self.outlook.close()
        for part in (self.drafting, self.results, self.follower):
            part.close()

    def _withdraw(self) -> None:
        """Ask nothing, and show nothing."""
        self._asked = None
        self.asking.supersede()
        self.show(None)

    def _retrace(
        self,
        key: PlaneKey,
        change: Change,
        draft: Draft,
        note: Callable[[PlaneKey, Written | None], None],
    ) -> None:
        # The pixels first: if they cannot be had back, the step was not taken.
        written = change.written and self.results.swap(change.written)
        note(key, written)
        self.drafting.put(draft)
        self.refresh()
        if change.written is not None and written is None:
            show_warning(
                f"The layer {change.written.name!r} is gone: only the prompts are back."
            )

    def _on_moved(self) -> None:
        if self.follower.image is not None:
            self.results.turn_to(self.follower.image)
        self.drafting.sync(by_user=False)
        self.refresh()

    def _on_lost(self, layer_id: UUID) -> None:
        if self._asked is not None and self._asked[0][0].layer_id == layer_id:
            self._asked = None
        self.engine.scenes.forget_layer(layer_id)
        self.outlook.forget(layer_id)
        viewer = self._viewer()
        if viewer is not None and all(x.unique_id != layer_id for x in viewer.layers):
            self.drafting.forget(layer_id)
            self.history.forget(layer_id)

    def _on_edited(
        self, key: PlaneKey, before: Draft, after: Draft, by_user: bool
    ) -> None:
        if by_user:
            self.history.push(key, Change(before, after))
            self.visit()
            self.script.edit(before, after)
        self.refresh()

    def _on_layer_removed(self, name: str) -> None:
        # Where the lines run it is still there.
        self.echo(f"s.{name} = None")

    def _on_failed(self, error: Exception) -> None:
        self._asked = None  # so that the same may be tried again
        self.show(None)

    def _on_loading(self) -> None:
        # What the earlier model is doing is not wanted any more.
        self._was_held |= self.asking.is_asking
        self.asking.supersede()

    def _on_switched(self, error: Exception | None = None) -> None:
        if error is None:
            self.script.use(self.choice)
        else:
            self.script.fall_back(self.choice)
        self._resume()

    def _resume(self) -> None:
        """Ask what was held back, unless it still has to wait."""
        if not self.switch.holds:
            if self._was_held and self._asked is not None:
                self._asked = self._asked[:1]  # the plane: ask, and show until then
            self._was_held = False
        self.refresh()

    def _on_prepared(
        self, plane: tuple[Any, ...], source: PlaneSource, _: None = None
    ) -> None:
        self._encoded = plane
        self.outlook.fetch_ahead(source, self.choice)
        self.asking.status = Status("ready: click on an object")

    def _on_interim(self, key: PlaneKey, reply: Reply) -> None:
        """Show a first answer; it cannot be accepted yet."""
        if key == self.follower.key():
            self._paint(reply)

    def _on_reply(self, source: PlaneSource, reply: Reply | ManyReply) -> None:
        if source.key != self.follower.key():
            return
        self.outlook.answered = source
        self.show(reply)
        words = in_words(reply, self.drafting.draft)
        self.asking.status = Status(words + self.outlook.in_words(source, reply))
        self.changed.emit()
        self.answered.emit()
        self.outlook.fetch_ahead(source, self.choice)
