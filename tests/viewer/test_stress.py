"""Two thousand edits against a slow model: what is painted is always true."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray

from napari_sam3.core.dialogue import Dialogue, Step, opening, respond
from napari_sam3.core.errors import Sam3Error
from napari_sam3.core.finish import Finish
from napari_sam3.core.image import to_rgb
from napari_sam3.core.marks import Mark, PointMark
from napari_sam3.core.painting import find_objects
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.planes import shown_plane
from napari_sam3.viewer.prompt_layers import read_points, read_shapes
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, forget_calls

SHAPE = (48, 56)
EDITS = 2000


def model() -> FakeTracker:
    return FakeTracker(radius=4, tolerance=0, low_res_size=16, blocks=2)


def pixels(seed: int) -> NDArray[np.uint8]:
    """Return three planes of stripes, each plane others."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 2, (3, 1, SHAPE[1] // 4), dtype=np.uint8) * 200
    return np.broadcast_to(np.repeat(columns, 4, axis=2), (3, *SHAPE)).copy()


class Truth:
    """Answers what the layers of the shown plane say, without any session."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.tracker = model()

    def marks(self, session: Session) -> list[Mark]:
        image = self._viewer.layers["stack"]
        plane = shown_plane(self._viewer, image)
        marks: list[Mark] = []
        if session.points is not None:
            marks += read_points(session.points, image, plane)
        if session.shapes is not None:
            marks += read_shapes(session.shapes, image, plane)
        return marks

    def mask(self, session: Session) -> NDArray[np.bool_]:
        plane = shown_plane(self._viewer, self._viewer.layers["stack"])
        rgb = to_rgb(self._viewer.layers["stack"].data[plane.index[0]])
        (embedding,) = self.tracker.embed([rgb])
        marks = self.marks(session)
        negative = [m for m in marks if isinstance(m, PointMark) and not m.positive]
        objects = [mark for mark in marks if mark not in negative]
        mask = np.zeros(SHAPE, np.bool_)
        if not objects:
            return mask
        if session.mode == "one":
            dialogue = Dialogue((Step(tuple(marks)),))
            turn = respond(self.tracker, embedding, dialogue, {})
            found = [(Finish().crop(turn.prediction, turn.prompt, SHAPE), turn)]
            parts = [(crop, one.prediction.bbox) for crop, one in found]
        else:
            prompts = [
                opening(Dialogue((Step((one, *negative)),)), SHAPE) for one in objects
            ]
            answers = find_objects(self.tracker, embedding, prompts, Finish())
            parts = [(one.mask, one.bbox) for one in answers]
        for crop, (row0, col0, row1, col1) in parts:
            mask[row0:row1, col0:col1] |= crop
        return mask


def painted(viewer: ViewerModel) -> NDArray[np.bool_]:
    """Return what the preview's layer shows on the shown plane."""
    mask = np.zeros(SHAPE, np.bool_)
    layer = next((one for one in viewer.layers if one.name == "SAM3 preview"), None)
    if layer is None or not layer.visible:
        return mask
    depth, row, col = (round(at) for at in layer.translate)
    if depth == viewer.dims.current_step[0]:
        rows, cols = layer.data.shape[1:]
        mask[row : row + rows, col : col + cols] = layer.data[0] != 0
    return mask


class User:
    """Does anything, in any order."""

    def __init__(self, session: Session, viewer: ViewerModel, seed: int) -> None:
        self.session = session
        self.viewer = viewer
        self.rng = np.random.default_rng(seed)
        # Each pixel is clicked once: contradictions depend on the order of clicks.
        spots = self.rng.permutation(np.prod(SHAPE))
        self.spots = iter(np.transpose(np.unravel_index(spots, SHAPE)).tolist())
        self.dropped: dict[str, Layer] = {}
        self.done: Counter[str] = Counter()
        self.weights: dict[Callable[[], object], float] = {
            self.click: 20,
            self.click_by_hand: 20,
            self.click_the_background: 10,
            self.move_a_point: 10,
            self.flip_a_point: 6,
            self.remove_a_point: 10,
            self.box: 5,
            self.outline: 4,
            self.remove_a_shape: 5,
            self.go_to_a_plane: 10,
            self.undo: 14,
            self.redo: 8,
            self.accept: 5,
            self.accept_later: 3,
            self.clear: 3,
            self.switch_the_mode: 4,
            self.drop_a_layer: 1.5,
            self.bring_a_layer_back: 1.5,
            self.cancel: 2,
            self.new_pixels: 0.5,
            self.drop_the_preview: 0.5,
        }

    def act(self) -> None:
        acts = list(self.weights)
        chances = np.array(list(self.weights.values()))
        act = acts[self.rng.choice(len(acts), p=chances / chances.sum())]
        try:
            act()
        except Sam3Error:
            return  # nothing to accept, or no room for it
        self.done[act.__name__] += 1

    def click(self) -> None:
        self.session.add_point(next(self.spots))

    def click_by_hand(self) -> None:
        self.session.start_clicking(bool(self.rng.random() < 0.8))
        plane = self.viewer.dims.current_step[0]
        self.session.points.add([[plane, *next(self.spots)]])

    def click_the_background(self) -> None:
        self.session.add_point(next(self.spots), positive=False)

    def _one_point(self) -> int | None:
        """Return a point of the shown plane: others cannot be seen and grasped."""
        if self.session.points is None:
            return None
        plane = self.viewer.dims.current_step[0]
        here = np.flatnonzero(self.session.points.data[:, 0] == plane)
        return int(self.rng.choice(here)) if len(here) else None

    def move_a_point(self) -> None:
        index = self._one_point()
        if index is not None:
            data = self.session.points.data.copy()
            data[index, 1:] = next(self.spots)
            self.session.points.data = data

    def flip_a_point(self) -> None:
        index = self._one_point()
        if index is not None:
            self.session.points.selected_data = {index}
            self.session.flip()
            self.session.points.selected_data = set()

    def remove_a_point(self) -> None:
        index = self._one_point()
        if index is not None:
            self.session.points.remove([index])

    def box(self) -> None:
        row, col = (int(self.rng.integers(0, size - 9)) for size in SHAPE)
        self.session.add_box((row, col, row + 9, col + 7))

    def outline(self) -> None:
        row, col = (int(self.rng.integers(0, size - 12)) for size in SHAPE)
        self.session.add_outline([(row, col), (row + 11, col + 3), (row + 4, col + 11)])

    def remove_a_shape(self) -> None:
        if self.session.shapes is not None and len(self.session.shapes.data):
            plane = self.viewer.dims.current_step[0]
            data = self.session.shapes.data
            here = [i for i, shape in enumerate(data) if shape[0, 0] == plane]
            if here:
                self.session.shapes.remove([int(self.rng.choice(here))])

    def go_to_a_plane(self) -> None:
        self.viewer.dims.set_current_step(0, int(self.rng.integers(3)))

    def undo(self) -> None:
        self.session.undo()

    def redo(self) -> None:
        self.session.redo()

    def accept(self) -> None:
        self.session.accept_all()

    def accept_later(self) -> None:
        self.session.accept_when_ready()

    def clear(self) -> None:
        self.session.clear()

    def switch_the_mode(self) -> None:
        self.session.mode = "many" if self.session.mode == "one" else "one"

    def _some_kind(self) -> str:
        return str(self.rng.choice(["points", "shapes"]))

    def drop_a_layer(self) -> None:
        kind = self._some_kind()
        layer = getattr(self.session, kind)
        if layer is not None:
            self.dropped[kind] = layer
            self.viewer.layers.remove(layer)

    def bring_a_layer_back(self) -> None:
        kind = self._some_kind()
        layer = self.dropped.pop(kind, None)
        if layer is not None:
            self.viewer.layers.append(layer)
            setattr(self.session, kind, layer)

    def cancel(self) -> None:
        self.session.cancel()

    def new_pixels(self) -> None:
        self.viewer.layers["stack"].data = pixels(int(self.rng.integers(1000)))

    def drop_the_preview(self) -> None:
        if "SAM3 preview" in self.viewer.layers:
            self.viewer.layers.remove("SAM3 preview")


def census() -> Counter[type]:
    """Count what takes memory."""
    gc.collect()
    kinds = (Embedding, Prediction, Prompt)
    return Counter(type(one) for one in gc.get_objects() if type(one) in kinds)


class Watch:
    """Holds what is shown against the truth, at each paint and whenever asked."""

    def __init__(self, session: Session, viewer: ViewerModel) -> None:
        self._session = session
        self._viewer = viewer
        self.truth = Truth(viewer)
        self.stale: list[str] = []
        self.paints = 0
        session.preview_changed.connect(self._on_paint)

    def check(self, when: str) -> None:
        expected = self.truth.mask(self._session)
        shown = self._session.preview
        mask = np.zeros(SHAPE, np.bool_) if shown is None else shown.mask
        if not np.array_equal(mask, expected):
            self.stale.append(f"{when}: the mask of other prompts")
        if not np.array_equal(painted(self._viewer), mask):
            self.stale.append(f"{when}: the layer shows something else")

    def check_quiet(self, when: str) -> None:
        """Wait until nothing is to come; then what is shown is the last word."""
        with suppress(Sam3Error):  # of what was to be accepted later
            self._session.wait(SECONDS)
        self._session.wait(SECONDS)
        assert not self._session.busy
        if self._session.status.text == "cancelled":
            assert self._session.preview is None  # until something is asked again
        else:
            self.check(when)

    def _on_paint(self, preview: object) -> None:
        if preview is not None:
            self.paints += 1
            self.check(f"paint {self.paints}")


@pytest.fixture
def slow_engine(fake: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    # Little is remembered, so that remembering without end would be seen.
    monkeypatch.setattr("napari_sam3.viewer.scenes._TURNS_BUDGET", 2**21)
    monkeypatch.setattr("napari_sam3.viewer.scenes._OBJECTS_BUDGET", 2**17)
    rng, never = np.random.default_rng(0), threading.Event()
    fake.on_predict = lambda prompts: never.wait(rng.choice([0, 0.001, 0.005]))
    fake.on_block = lambda done, total: never.wait(rng.choice([0, 0.001]))
    # Four planes, so that some have to be encoded again.
    budget = 4 * 3 * SHAPE[0] * SHAPE[1]
    engine = Engine(build=lambda model, **_: fake, budget=budget)
    yield engine
    engine.thread.stop()


@pytest.fixture
def fake() -> FakeTracker:
    return model()


def inference_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if "sam3" in one.name}


@pytest.mark.slow
def test_two_thousand_edits_paint_no_stale_mask(monkeypatch, slow_engine, fake):
    told: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.session.show_error", told.append)
    others = inference_threads()
    viewer = ViewerModel()
    viewer.add_image(pixels(0), name="stack")
    session = Session(viewer, engine=slow_engine)
    user, watch = User(session, viewer, seed=1), Watch(session, viewer)
    counts, before = [], census()
    for number in range(1, EDITS + 1):
        user.act()
        if user.rng.random() < 0.4:
            session.deliver()
        is_quarter = number % (EDITS // 4) == 0
        if user.rng.random() < 0.08 or is_quarter:
            watch.check_quiet(f"after {number} edits")
        if is_quarter:
            for one in (fake, watch.truth.tracker):
                forget_calls(one)
            counts.append(census() - before)
        assert not watch.stale, (number, watch.stale[:3], user.done)
    assert all("accept" in text or "belong to other" in text for text in told), told
    # All of it happened, and often.
    assert watch.paints > 100
    assert min(user.done[act.__name__] for act in user.weights) >= 3, user.done
    # Nothing piles up: thousands were made, some hundred fit into what may be kept.
    for kind, most in ((Embedding, 4), (Prediction, 1000), (Prompt, 400)):
        assert max(count[kind] for count in counts) <= most, counts
    session.close()
    slow_engine.thread.stop()
    assert inference_threads() <= others
