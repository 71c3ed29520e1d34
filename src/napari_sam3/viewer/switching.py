"""From one model to another: the earlier one answers until the new one is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event

from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_sam3.viewer.asking import Asking, told_as
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.fetching import spec_on_hub
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

    Its weights are got on a thread of their own, which may take hours: meanwhile the
    earlier model answers. Then the inference thread loads it. Both go on whatever
    happens to the image, and if they fail or are cancelled nothing has changed.

    Parameters
    ----------
    engine : Engine
        That loads.
    asking : Asking
        The session's way to the threads.
    choice : ModelChoice
        Who answers at first; loaded with the first question.
    wanted : ModelChoice, optional
        Who shall take its place; loaded when `begin` is called. Without it somebody
        has named the model, so that it may be downloaded.

    Attributes
    ----------
    loading : Signal
        The weights are here; until the end of the switch nobody can be asked.
    ended : Signal
        The switch is over; with the exception if it failed, else None.
    failed : Signal
        With the exception, when everybody else has heard of it. A first ``wanted``
        that fails is only warned about: nobody has just asked for it.
    """

    loading = Signal()
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
        self._allowed = {choice.model} if self._wanted is None else set[str]()
        self._is_here = spec_on_hub(choice.model) is None
        self._is_first = True
        self._is_loading = False
        self._fetching = 0
        self._given_up: Event | None = None

    @property
    def chosen(self) -> ModelChoice:
        """The model that is on its way, else the one that answers."""
        return self._wanted or self.choice

    @property
    def is_busy(self) -> bool:
        """Whether another model is on its way."""
        return self._wanted is not None

    @property
    def holds(self) -> bool:
        """Whether questions have to wait until a model is loaded, or here at all."""
        if self._wanted is None:
            return self._given_up is not None
        return self._is_loading or self._is_first or not self._is_here

    def may_download(self, model: str) -> bool:
        """Tell whether somebody has asked for a model's download in this session."""
        return model in self._allowed

    def start(self, choice: ModelChoice, *, may_download: bool) -> None:
        """Put another model in place; one that is on its way is given up.

        Parameters
        ----------
        choice : ModelChoice
            The model.
        may_download : bool
            Whether that was asked for; it then holds for the session.
        """
        if may_download:
            self._allowed.add(choice.model)
        if self._given_up is not None:
            self._given_up.set()
            self._asking.give_up(self._fetching)
        self._reset()
        self.problem, self._is_first = None, False
        self._wanted = None if choice == self.choice else choice
        if self._wanted is None:
            self.ended.emit(None)
        else:
            self.begin()

    def begin(self) -> None:
        """Get and load what is wanted, unless that has begun. Idempotent."""
        if self._given_up is not None or (self._wanted is None and self._is_here):
            return
        given_up = self._given_up = Event()
        choice = self.chosen
        if spec_on_hub(choice.model) is None:
            self._load(given_up)
            return
        may_download = self.may_download(choice.model)
        fetch = partial(self._engine.fetch, choice, may_download)
        is_known = self._wanted is not None
        self._fetching = self._asking.ask(
            partial(_tried, fetch, given_up) if is_known else fetch,
            partial(self._on_fetched if is_known else self._on_first, given_up),
            is_request=False,
            is_aside=True,
            otherwise=partial(self._on_cancelled, given_up),
        )

    def _on_first(self, given_up: Event, _: object) -> None:
        """Let the first model be asked, which is loaded with the first question."""
        if given_up is self._given_up:
            self._reset()
            self._is_here = True
            self.ended.emit(None)

    def _on_fetched(self, given_up: Event, error: Exception | None) -> None:
        if given_up is not self._given_up:
            return
        if error is None:
            self._load(given_up)
        else:
            self._end(error)

    def _load(self, given_up: Event) -> None:
        self._is_loading = True
        self.loading.emit()
        load = partial(self._engine.tracker, self.chosen)
        self._asking.ask(
            partial(_tried, load, given_up),
            partial(self._on_loaded, given_up),
            is_request=False,
            otherwise=partial(self._on_cancelled, given_up),
        )

    def _on_loaded(self, given_up: Event, error: Exception | None) -> None:
        if given_up is self._given_up:
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        wanted, was_first = self.chosen, self._is_first
        self._reset()
        self._is_first = False
        if error is None:
            self.choice, self._is_here = wanted, True
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
            self._reset()

    def _reset(self) -> None:
        self._wanted = self._given_up = None
        self._is_loading = False


def _tried(
    work: Callable[[Tell], object], given_up: Event, tell: Tell
) -> Exception | None:
    """Get or load a model; return what went wrong. Runs on a thread."""

    def tell_if_wanted(news: News) -> None:
        if given_up.is_set():
            raise Cancelled
        tell(news)

    try:
        work(tell_if_wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user hears of it
        # Frames hold images and weights, and the error lives on.
        return error.with_traceback(None)
    return None
