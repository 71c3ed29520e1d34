"""Choosing a model: what is known of each, the change-over, and the way back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.machine import Machine
from napari_sam3.models.spec import ModelSpec
from napari_sam3.viewer.engine import Engine, ModelChoice
from napari_sam3.viewer.fetching import telling_bytes
from napari_sam3.viewer.inference import Cancelled, Job, News
from napari_sam3.viewer.remembered import beginning
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import Settings
from tests.big_model import MACHINE, SIZE, catalog_of_two, put_weights
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, Gate, disc, mask_after

SHAPE = (80, 100)
OBJECT, OTHER = (20.0, 30.0), (50.0, 60.0)


class Builder:
    """Builds fake models by their names; what a test likes happens before."""

    def __init__(self) -> None:
        self.models = {
            "nano": FakeTracker(model_id="nano"),
            "large": FakeTracker(9, model_id="large"),
            "larger": FakeTracker(12, model_id="larger"),
            "big": FakeTracker(15, model_id="big"),
        }
        self.before: dict[str, Callable[..., object]] = {}
        self.built: list[tuple[str, str]] = []

    def __call__(
        self, *, model: str, device: str, report, may_download: bool
    ) -> FakeTracker:
        assert not may_download  # others wait for this thread
        self.built.append((model, device))
        if model in self.before:
            self.before[model](report)
        if model not in self.models:
            raise CheckpointError(f"There is no {model}; choose another.")
        return self.models[model]


class Download:
    """Reports bytes until the test lets it finish, or somebody cancels it."""

    def __init__(self) -> None:
        self.begun, self.done = threading.Event(), threading.Event()
        self.was_cancelled = False
        self.was_allowed: bool | None = None
        self.error: Exception | None = None

    def get_weights(self, spec: ModelSpec, *, report, may_download: bool) -> None:
        """Take the place of `fetch_weights`."""
        assert spec is CATALOG["big"]
        self.was_allowed = may_download
        self(report)
        if self.error is not None:
            raise self.error

    def __call__(self, report: Callable[[int, int], object]) -> None:
        self.begun.set()
        try:
            while not self.done.wait(0.01):
                report(5, 5)
        except Cancelled:
            self.was_cancelled = True
            raise

    def wait(self) -> None:
        assert self.begun.wait(SECONDS)


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
def download() -> Download:
    """Return what takes the place of downloading "big"."""
    return Download()


@pytest.fixture
def engine(builder: Builder, download: Download):
    engine = Engine(build=builder, get_weights=download.get_weights)
    yield engine
    engine.thread.stop()


@pytest.fixture
def session(desk: ViewerModel, engine: Engine):
    """Return a session with one object clicked, answered by nano."""
    session = Session(desk, engine=engine)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    yield session
    session.close()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.session.show_error", texts.append)
    return texts


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.switching.show_warning", texts.append)
    return texts


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have nothing but "big" in the catalog, and its weights not here."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with catalog_of_two():
        yield tmp_path


def deliver_until(session: Session, condition: Callable[[], bool]) -> None:
    """Deliver as a window does, until something is so; nobody waits."""
    clock = threading.Event()
    for _ in range(3000):
        session.deliver()
        if condition():
            return
        clock.wait(0.01)
    raise AssertionError(session.status)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens on another thread."""
    clock = threading.Event()
    assert any(condition() or clock.wait(0.01) for _ in range(3000))


# The change-over


def test_clicks_during_loading_are_kept_and_answered_by_the_new_model(session, builder):
    gate = Gate()
    builder.before["large"] = gate
    session.model = "large"
    gate.wait()
    session.add_point(OTHER)
    session.deliver()
    assert session.is_switching
    assert session.model == "large"
    # What nano said is shown until then.
    np.testing.assert_array_equal(session.preview.mask, disc(SHAPE, *OBJECT))
    gate.opened.set()
    expected = disc(SHAPE, *OBJECT, 9) | disc(SHAPE, *OTHER, 9)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert not session.is_switching
    assert builder.models["nano"].predict_calls == 2  # the warm-up, and the first


def test_accepting_during_loading_takes_the_new_models_mask(session, builder):
    gate = Gate()
    builder.before["large"] = gate
    session.model = "large"
    session.accept_when_ready()
    session.deliver()
    assert session.labels is None
    gate.opened.set()
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.labels.data > 0, disc(SHAPE, *OBJECT, 9))
    assert session.labels.features["sam3_model"].iloc[-1] == "large"


def test_prompts_that_go_during_loading_take_their_mask_with_them(session, builder):
    gate = Gate()
    builder.before["large"] = gate
    session.model = "large"
    session.clear()
    assert session.preview is None
    gate.opened.set()
    session.wait(SECONDS)
    assert session.preview is None
    assert session.status.text == "ready: click on an object"


def test_a_download_goes_on_when_the_plane_is_left(builder, engine):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, *SHAPE), np.uint8), name="stack")
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    download = builder.before["large"] = Download()
    session.model = "large"
    download.wait()
    for step in (1, 2, 3):
        viewer.dims.set_current_step(0, step)
        session.add_point(OBJECT)
    download.done.set()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT, 9))
    assert not download.was_cancelled
    assert builder.built == [("nano", "auto"), ("large", "auto")]
    session.close()


def test_a_device_is_changed_like_a_model(session, builder):
    session.device = "cpu"
    session.model = "large"
    session.wait(SECONDS)
    assert (session.model, session.device) == ("large", "cpu")
    assert builder.built[-1] == ("large", "cpu")
    assert session.as_python().count("s.model = 'large'") == 1
    assert "s.device = 'cpu'" in session.as_python()


def test_the_progress_of_a_download_is_told(session, builder):
    seen = []
    session.status_changed.connect(seen.append)
    builder.before["large"] = lambda report: report(SIZE // 2, SIZE)
    session.model = "large"
    session.wait(SECONDS)
    (getting,) = [one for one in seen if one.text.startswith("getting")]
    assert getting.text == "getting large: 1.72 of 3.44 GB"
    assert getting.done / getting.total == pytest.approx(0.5, abs=0.001)


# The download


@pytest.mark.usefixtures("cache")
class TestDownload:
    """Of "big", whose clicks have a radius of 15; nano's have 6."""

    def test_meanwhile_the_earlier_model_answers_everybody(
        self, session, engine, download
    ):
        session.model = "big"
        download.wait()
        assert session.is_switching
        other = ViewerModel()
        other.add_image(np.zeros(SHAPE, np.uint8), name="other")
        second = Session(other, engine=engine)
        second.add_point(OTHER)
        np.testing.assert_array_equal(mask_after(second), disc(SHAPE, *OTHER))
        session.add_point(OTHER)
        both = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
        deliver_until(session, lambda: np.array_equal(session.preview.mask, both))
        session.accept_when_ready()
        deliver_until(session, lambda: session.labels is not None)
        np.testing.assert_array_equal(session.labels.data > 0, both)
        assert session.labels.features["sam3_model"].iloc[-1] == "nano"
        assert session.busy
        second.close()

    def test_then_the_new_one_answers_what_was_asked(self, session, download):
        session.model = "big"
        download.wait()
        session.add_point(OTHER)
        both = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
        deliver_until(session, lambda: np.array_equal(session.preview.mask, both))
        download.done.set()
        both = disc(SHAPE, *OBJECT, 15) | disc(SHAPE, *OTHER, 15)
        np.testing.assert_array_equal(mask_after(session), both)
        assert download.was_allowed
        assert (session.model, session.is_switching) == ("big", False)

    def test_while_it_is_loaded_clicks_wait(self, session, builder, download):
        gate = builder.before["big"] = Gate()
        download.done.set()
        session.model = "big"
        deliver_until(session, gate.entered.is_set)
        session.add_point(OTHER)
        session.accept_when_ready()
        session.deliver()
        assert session.labels is None
        gate.opened.set()
        session.wait(SECONDS)
        both = disc(SHAPE, *OBJECT, 15) | disc(SHAPE, *OTHER, 15)
        np.testing.assert_array_equal(session.labels.data > 0, both)

    def test_its_progress_is_told_when_nothing_else_is(
        self, session, download, monkeypatch
    ):
        getting = "getting big: 0 of 0 MB"
        session.model = "big"
        deliver_until(session, lambda: session.status.text == getting)
        assert session.status.busy
        session.add_point(OTHER)
        deliver_until(session, lambda: " ms" in session.status.text)
        for _ in range(10):
            time.sleep(0.01)
            session.deliver()
            assert " ms" in session.status.text  # so that it can be read
        monkeypatch.setattr("napari_sam3.viewer.asking._READING_SECONDS", 0.0)
        download.done.set()
        session.deliver()
        assert session.status.text == getting

    def test_cancelling_ends_it_at_once(self, session, download):
        session.model = "big"
        download.wait()
        session.cancel()
        assert (session.model, session.is_switching) == ("nano", False)
        session.wait(0.5)
        wait_until(lambda: download.was_cancelled)
        session.add_point(OTHER)
        both = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
        np.testing.assert_array_equal(mask_after(session), both)
        assert session.model_problem is None

    def test_cancelling_does_not_wait_for_a_silent_server(
        self, session, engine, monkeypatch
    ):
        silence = Gate()
        monkeypatch.setattr(engine, "_get_weights", lambda *_, **__: silence())
        session.model = "big"
        silence.wait()
        session.cancel()
        session.wait(5)
        assert not session.busy
        silence.opened.set()
        session.wait(SECONDS)
        assert session.model == "nano"

    @pytest.mark.parametrize("model", ["large", "nano"])
    def test_the_next_choice_ends_it(self, session, download, model):
        session.model = "big"
        download.wait()
        session.model = model
        session.wait(SECONDS)
        assert session.model == model
        wait_until(lambda: download.was_cancelled)

    def test_clicks_that_waited_are_answered_when_another_model_is_downloaded(
        self, session, builder, download
    ):
        gate = builder.before["large"] = Gate()
        session.model = "large"
        gate.wait()
        session.add_point(OTHER)
        session.model = "big"
        gate.opened.set()
        both = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
        deliver_until(session, lambda: np.array_equal(session.preview.mask, both))
        assert session.model == "big"
        assert session.is_switching

    def test_closing_the_session_ends_it(self, session, engine, download):
        session.model = "big"
        download.wait()
        session.close()
        wait_until(lambda: download.was_cancelled)

    def test_the_end_of_the_process_ends_it(self, session, engine, download):
        session.model = "big"
        download.wait()
        engine.thread.stop()
        assert download.was_cancelled

    def test_if_it_fails_the_earlier_model_stays(
        self, session, builder, download, told
    ):
        before = session.preview
        download.error = CheckpointError("It is refused; log in.")
        download.done.set()
        session.model = "big"
        with pytest.raises(CheckpointError, match="log in"):
            session.wait(SECONDS)
        assert session.model == "nano"
        assert session.preview is before
        assert session.status.text == "big could not be loaded; nano stays"
        assert session.model_problem.text == "It is refused; log in."
        assert ("big", "auto") not in builder.built
        assert told == []

    def test_a_device_that_is_not_there_is_refused_before(self, session, download):
        session.choose_model("big", "cuda:99")
        with pytest.raises(ModelError, match="device"):
            session.wait(SECONDS)
        assert not download.begun.is_set()

    def test_a_first_model_that_was_named_is_got_without_stopping_others(
        self, session, desk, engine, download, told
    ):
        download.error = CheckpointError("It is refused; log in.")
        first = Session(desk, engine=engine, choice=ModelChoice("big"))
        download.wait()
        assert download.was_allowed
        session.add_point(OTHER)
        both = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
        np.testing.assert_array_equal(mask_after(session), both)
        download.done.set()
        with pytest.raises(CheckpointError, match="log in"):
            first.wait(SECONDS)
        download.error = None
        first.add_point(OBJECT)  # tries again
        first.wait(SECONDS)
        assert first.preview.mask[tuple(map(int, OBJECT))]
        assert first.model == "big"
        first.close()

    def test_a_remembered_model_is_only_looked_at(
        self, desk, engine, builder, download, warned
    ):
        download.error = CheckpointError("It is damaged; get it again.")
        session = Session(
            desk, engine=engine, choice=ModelChoice("big"), fallback=ModelChoice()
        )
        download.wait()
        assert download.was_allowed is False
        lane = engine.thread.lane()
        lane.submit(Job(lambda tell: None))
        assert lane.fetch(SECONDS)  # what was asked for before is done
        assert builder.built == []
        download.done.set()
        session.wait(SECONDS)
        assert session.model == "nano"
        assert len(warned) == 1
        session.close()

    def test_a_model_is_not_downloaded_unless_that_is_allowed(self, session, download):
        download.done.set()
        session.choose_model("big", may_download=False)
        session.wait(SECONDS)
        assert download.was_allowed is False
        session.model = "nano"
        session.wait(SECONDS)
        session.model = "big"
        session.wait(SECONDS)
        assert download.was_allowed is True
        session.choose_model(device="cpu", may_download=False)
        session.wait(SECONDS)
        assert download.was_allowed is True  # that was said before

    def test_without_leave_the_hub_is_not_even_asked(self, desk, builder, monkeypatch):
        monkeypatch.setattr("napari_sam3.models.hub.Hub.connect", None)
        engine = Engine(build=builder)  # with the real `fetch_weights`
        session = Session(desk, engine=engine)
        session.choose_model("big", may_download=False)
        with pytest.raises(CheckpointError, match="are not on this machine"):
            session.wait(SECONDS)
        assert session.model == "nano"
        session.close()
        engine.thread.stop()

    def test_a_replay_downloads_what_was_named(self, session, download):
        download.done.set()
        session.accept()
        session.start_replay("big", may_download=False)
        session.wait(SECONDS)
        assert download.was_allowed is False
        assert session.replay("big").model == "big"
        assert download.was_allowed is True


# The way back


def test_a_model_that_cannot_be_loaded_leaves_the_earlier_one(session, told):
    before = session.preview
    session.model = "broken"
    with pytest.raises(CheckpointError, match="choose another"):
        session.wait(SECONDS)
    assert session.model == "nano"
    assert session.preview is before
    assert session.status.text == "broken could not be loaded; nano stays"
    assert session.status.is_error
    assert session.model_problem.model == "broken"
    assert session.model_problem.text == "There is no broken; choose another."
    assert told == []
    session.add_point(OTHER)  # nobody tries it again by himself
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert "broken" not in session.as_python()
    session.model = "nano"
    assert session.model_problem is None


def test_clicks_during_a_download_that_fails_are_answered_by_the_earlier_model(
    session, builder, told
):
    gate = Gate()
    builder.before["broken"] = gate
    session.model = "broken"
    session.add_point(OTHER)
    gate.opened.set()
    deliver_until(session, lambda: not session.busy)
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
    np.testing.assert_array_equal(session.preview.mask, expected)
    assert told == ["There is no broken; choose another."]


def test_a_click_that_was_not_answered_before_is_after_a_failure(
    session, builder, told
):
    gate = Gate()
    builder.models["nano"].on_predict = gate
    session.add_point(OTHER)
    gate.wait()
    session.model = "broken"
    gate.opened.set()
    deliver_until(session, lambda: not session.busy)
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
    np.testing.assert_array_equal(session.preview.mask, expected)


def test_what_the_earlier_model_encodes_is_given_up(session, desk, builder):
    gate, blocks = Gate(), []

    def on_block(done: int, total: int) -> None:
        blocks.append(done)
        gate()

    builder.models["nano"].on_block = on_block
    session.image = desk.add_image(np.ones(SHAPE, np.uint8), name="other")
    gate.wait()
    session.model = "large"
    gate.opened.set()
    session.wait(SECONDS)
    assert blocks == [1]
    assert session.model == "large"


def test_a_mask_of_another_model_is_not_accepted_unasked(session, builder, told):
    gate = Gate()
    builder.before["broken"] = gate
    session.model = "broken"
    session.accept_when_ready()
    gate.opened.set()
    deliver_until(session, lambda: not session.busy)
    session.add_point(OTHER)
    deliver_until(session, lambda: not session.busy)
    assert session.labels is None
    assert session.accept() == 1


def test_cancelling_a_download_leaves_the_earlier_model(session, builder):
    download = builder.before["large"] = Download()
    session.model = "large"
    download.wait()
    session.add_point(OTHER)
    session.cancel()
    assert session.model == "nano"
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, *OTHER)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert download.was_cancelled
    assert session.model_problem is None
    download.done.set()
    session.model = "large"
    np.testing.assert_array_equal(
        mask_after(session), disc(SHAPE, *OBJECT, 9) | disc(SHAPE, *OTHER, 9)
    )


def test_the_next_choice_ends_a_download(session, builder):
    download = builder.before["large"] = Download()
    session.model = "large"
    download.wait()
    session.model = "larger"
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT, 12))
    assert download.was_cancelled
    assert session.model == "larger"


def test_going_back_ends_a_download(session, builder):
    download = builder.before["large"] = Download()
    session.model = "large"
    download.wait()
    session.model = "nano"
    assert not session.is_switching
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    assert download.was_cancelled
    assert session.model == "nano"


def test_a_closed_session_ends_its_download(session, builder):
    download = builder.before["large"] = Download()
    session.model = "large"
    download.wait()
    session.close()
    session._bench.engine.thread.stop()
    assert download.was_cancelled


# The beginning


def test_a_first_model_that_cannot_be_loaded_gives_way_with_one_warning(
    desk, engine, builder, told, warned
):
    session = Session(
        desk, engine=engine, choice=ModelChoice("broken"), fallback=ModelChoice()
    )
    assert session.model == "broken"
    session.add_point(OBJECT)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    session.add_point(OTHER)
    session.wait(SECONDS)
    assert session.model == "nano"
    assert told == []
    assert len(warned) == 1
    assert warned[0].startswith("The model of the last time, broken, cannot be loaded")
    assert "choose another" in warned[0]
    assert [model for model, _ in builder.built].count("broken") == 1
    assert "broken" not in session.as_python()
    session.close()


def test_a_first_model_that_is_there_is_the_only_one_to_be_loaded(
    desk, engine, builder
):
    session = Session(
        desk, engine=engine, choice=ModelChoice("large"), fallback=ModelChoice()
    )
    session.add_point(OBJECT)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT, 9))
    assert builder.built == [("large", "auto")]
    assert "attach(viewer, model='large')" in session.as_python()
    session.close()


def test_without_an_image_no_model_is_loaded(engine, builder):
    session = Session(
        ViewerModel(),
        engine=engine,
        choice=ModelChoice("large"),
        fallback=ModelChoice(),
    )
    session.wait(SECONDS)
    assert builder.built == []
    session.close()


def test_what_settings_name_is_begun_with_and_can_give_way():
    assert beginning(Settings(), None, None) == (ModelChoice(), None, "")
    cuda = ModelChoice("nano", "cuda")
    assert beginning(Settings(device="cuda"), None, None) == (cuda, ModelChoice(), "")
    explicit = beginning(Settings(model="big"), "mine.pt", "cpu")
    assert explicit == (ModelChoice("mine.pt", "cpu"), None, "")


def test_settings_download_nothing(cache):
    begin = beginning(Settings(model="big"), None, None)
    assert begin.choice == ModelChoice()
    assert "big" in begin.warning
    assert begin.warning.endswith("model menu to download them again.")
    put_weights(cache)
    begin = beginning(Settings(model="big"), None, None)
    assert begin == (ModelChoice("big"), ModelChoice(), "")


# What there is


def test_models_say_what_the_catalog_and_this_machine_know(session, cache):
    nano, big = session.models
    assert (nano.model, nano.is_here, nano.licence) == ("nano", True, "BSD-3-Clause")
    assert (big.is_here, big.size, big.is_gated) == (False, SIZE, True)
    assert (big.seconds_per_image, big.seconds_per_click) == (None, None)
    assert str(big) == (
        "big: a model for tests · 3.4 GB to download · "
        "SAM License, to be accepted first"
    )
    session._bench.engine.machines["auto"] = MACHINE
    (_, big) = session.models
    assert (big.seconds_per_image, big.seconds_per_click) == (20, 0.2)
    assert big.speed == "about 20 s an image and 0.2 s a click"
    put_weights(cache)
    (_, big) = session.models
    assert (big.is_here, big.size, big.is_gated) == (True, 7, False)


def test_a_time_that_was_measured_replaces_the_prediction(session, download, cache):
    download.done.set()
    engine = session._bench.engine
    engine.machines["auto"] = MACHINE
    assert session.models[0].is_measured  # nano has been asked
    assert not session.models[1].is_measured
    session.model = "big"
    session.wait(SECONDS)
    big = session.models[1]
    assert big.is_measured
    assert big.seconds_per_image == engine.seconds["big-0", "cpu"] < 20


def test_the_time_is_that_of_the_last_image(session, builder, desk):
    session._bench.engine.machines["auto"] = MACHINE
    before = session.models[0].seconds_per_image
    builder.models["nano"].on_block = lambda *_: time.sleep(before + 0.01)
    session.image = desk.add_image(np.ones(SHAPE, np.uint8), name="slower")
    session.wait(SECONDS)
    assert session.models[0].seconds_per_image > before


def test_the_time_is_not_that_of_a_file_of_the_same_name(session, builder):
    session._bench.engine.machines["auto"] = MACHINE
    before = session.models[0].seconds_per_image
    builder.models["/mine/nano.pt"] = FakeTracker(model_id="nano", version="mine")
    session.model = "/mine/nano.pt"
    session.wait(SECONDS)
    assert session.models[0].seconds_per_image == before


def test_what_has_to_be_installed_is_said(session, cache, monkeypatch):
    def absent(*names: str) -> None:
        found = "napari_sam3.viewer.offers.find_spec"
        monkeypatch.setattr(found, lambda name: None if name in names else object())

    absent()
    assert session.models[1].install == ""
    absent("transformers")
    assert session.models[1].install == 'pip install "napari-sam3[families]"'
    absent("transformers", "filelock")
    assert session.models[1].install == 'pip install "napari-sam3[families,hub]"'
    put_weights(cache)  # needs no download any more
    assert session.models[1].install == 'pip install "napari-sam3[families]"'
    assert session.models[0].install == ""


def test_the_machine_is_measured_once_on_the_inference_thread(
    session, builder, monkeypatch
):
    threads = []

    def measure(device: str, *, seconds: float) -> Machine:
        threads.append(threading.get_ident())
        return MACHINE

    monkeypatch.setattr(
        "napari_sam3.viewer.offers.leave_a_core",
        lambda device: threads.append(str(device)),
    )
    session.device = "cpu"
    session.wait(SECONDS)
    monkeypatch.setattr("napari_sam3.viewer.offers.measure", measure)
    before = session.status
    changes = []
    session.changed.connect(lambda: changes.append(session.machine))
    assert session.machine is None
    session.measure_speed()
    session.measure_speed()
    session.wait(SECONDS)
    session.measure_speed()
    assert session.machine is MACHINE
    assert changes[-1] is MACHINE
    # With as many threads as models compute with.
    assert threads == ["cpu", builder.models["nano"].threads[0]]
    assert session.status == before


def test_a_device_that_is_not_there_has_no_speed(session, told, monkeypatch):
    def measure(device: str, *, seconds: float) -> Machine:
        raise ModelError("This machine has no such device; use another.")

    monkeypatch.setattr("napari_sam3.viewer.offers.measure", measure)
    session.measure_speed()
    session.wait(SECONDS)
    assert session.machine is None
    assert session.preview is not None
    assert told == []


# Progress


def test_progress_fits_into_a_progress_bar_and_is_not_told_too_often():
    news: list[News] = []
    report = telling_bytes("sam3", news.append)
    for done in range(0, 2**40 + 1, 2**30):
        report(done, 2**40)
    assert 2 <= len(news) < 100
    assert all(one.total < 2**31 for one in news)
    assert news[-1].done == news[-1].total
    assert news[-1].text == "getting sam3: 1099.51 of 1099.51 GB"
    report = telling_bytes("tiny", news.append)
    report(3_000_000, 156_000_000)
    assert news[-1].text == "getting tiny: 3 of 156 MB"
    assert (news[-1].done, news[-1].total) == (3_000_000, 156_000_000)
