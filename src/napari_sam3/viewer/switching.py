"""From one model to another: the earlier one answers until the new one is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Event

from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_sam3.viewer.asking import Asking, told_as
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.inference import Cancelled, News
from napari_sam3.viewer.status import Status

__all__ = ["ModelProblem", "ModelSwitch"]


@dataclass(frozen=True, slots=True)
class ModelProblem:
    """Why the model that was chosen last is not the one that answers.

    Parameters
    ----------
    model, device : str
        What was chosen.
    text : str
        What went wrong, and the remedy.
    """

    model: str
    device: str
    text: str


class ModelSwitch:
    """Which model answers, and which one is on its way.

    Loading, and downloading if need be, is a job of its own: it goes on whatever
    happens to the image meanwhile, and if it fails or is cancelled nothing has
    changed.

    Parameters
    ----------
    engine : Engine
        That loads.
    asking : Asking
        The session's way to the thread.
    choice : ModelChoice
        Who answers at first; loaded with the first question.
    wanted : ModelChoice, optional
        Who shall take its place; loaded when `begin` is called.

    Attributes
    ----------
    ended : Signal
        The switch is over; with the exception if it failed, else None.
    failed : Signal
        With the exception, when everybody else has heard of it. A first ``wanted``
        that fails is only warned about: nobody has just asked for it.
    """

    ended = Signal(object)
    failed = Signal(Exception)

    def __init__(
        self,
        engine: Engine,
        asking: Asking,
        choice: ModelChoice,
        wanted: ModelChoice | None = None,
    ) -> None:
        self.choice = choice
        self.problem: ModelProblem | None = None
        self._engine = engine
        self._asking = asking
        self._wanted = None if wanted == choice else wanted
        self._is_first = True
        self._given_up: Event | None = None

    @property
    def chosen(self) -> ModelChoice:
        """The model that is on its way, else the one that answers."""
        return self._wanted or self.choice

    @property
    def is_busy(self) -> bool:
        """Whether another model is on its way."""
        return self._wanted is not None

    def start(self, choice: ModelChoice) -> None:
        """Put another model in place; one that is on its way is given up."""
        if self._given_up is not None:
            self._given_up.set()
        self._given_up, self.problem, self._is_first = None, None, False
        self._wanted = None if choice == self.choice else choice
        if self._wanted is None:
            self.ended.emit(None)
        else:
            self.begin()

    def begin(self) -> None:
        """Load what is wanted, unless that has begun. Idempotent."""
        if self._wanted is None or self._given_up is not None:
            return
        given_up = self._given_up = Event()
        self._asking.ask(
            partial(_load, self._engine, self._wanted, given_up),
            partial(self._on_loaded, given_up),
            is_request=False,
            otherwise=partial(self._on_cancelled, given_up),
        )

    def _on_loaded(self, given_up: Event, error: Exception | None) -> None:
        if given_up is not self._given_up:
            return
        wanted, was_first = self.chosen, self._is_first
        self._wanted = self._given_up = None
        self._is_first = False
        if error is None:
            self.choice = wanted
            self.ended.emit(None)
            return
        self.problem = ModelProblem(wanted.model, wanted.device, told_as(error))
        self.ended.emit(error)
        if was_first:
            show_warning(
                f"The model of the last time, {wanted.name}, cannot be loaded, so "
                f"{self.choice.name} is used. {self.problem.text}"
            )
        else:
            self._asking.refuse(error)
            # The whole of it is long, and the panel shows it elsewhere.
            text = f"{wanted.name} could not be loaded; {self.choice.name} stays"
            self._asking.status = Status(text, is_error=True)
            self.failed.emit(error)

    def _on_cancelled(self, given_up: Event) -> None:
        if given_up is self._given_up:
            given_up.set()
            self._wanted = self._given_up = None


def _load(
    engine: Engine, choice: ModelChoice, given_up: Event, tell: Tell
) -> Exception | None:
    """Load a model; return what went wrong. Runs on the thread."""

    def tell_if_wanted(news: News) -> None:
        if given_up.is_set():
            raise Cancelled
        tell(news)

    try:
        engine.tracker(choice, tell_if_wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user hears of it
        # Frames hold images and weights, and the error lives on.
        return error.with_traceback(None)
    return None
