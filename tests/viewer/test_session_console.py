"""The console twin: positions, scripts, prompts kept, replayed and saved."""

from __future__ import annotations

import ast
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

import napari_sam3
from napari_sam3.core.errors import PromptError, StateError
from napari_sam3.core.journal import Journal
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.engine import Engine, ModelChoice
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker, hashed_scores
from tests.viewer.studio import SECONDS, disc, mask_after, names

SHAPE = (80, 100)
OBJECT = (20.0, 30.0)


# Positions


@pytest.fixture
def microns() -> ViewerModel:
    """Return a viewer that shows a stack with units."""
    viewer = ViewerModel()
    viewer.add_image(
        np.zeros((6, *SHAPE), np.uint8),
        scale=(2, 0.5, 0.25),
        translate=(10, -3, 7),
        units=("um", "um", "um"),
        name="stack",
    )
    viewer.dims.set_current_step(0, 1)
    return viewer


@pytest.fixture
def in_microns(microns, engine):
    session = Session(microns, engine=engine)
    yield session
    session.close()


def test_world_positions_count_scale_and_translate(in_microns):
    # Pixel (20, 30) of plane 3.
    in_microns.add_point((10 + 3 * 2, -3 + 20 * 0.5, 7 + 30 * 0.25), world=True)
    assert in_microns.viewer.dims.current_step[0] == 3
    assert in_microns.marks == (PointMark(20, 30),)
    # Two coordinates are of the shown plane.
    in_microns.add_point((-3 + 50 * 0.5, 7 + 60 * 0.25), world=True)
    assert in_microns.marks[1] == PointMark(50, 60)


def test_world_positions_have_the_units_of_the_world(in_microns, microns):
    viewer = microns
    viewer.add_points(np.zeros((1, 3)), units=("nm", "nm", "nm"), name="in nm")
    factor = 1.0 / float(
        (1 * viewer.dims.units[-1]).to(in_microns.image.units[-1]).magnitude
    )
    here = np.array([16, 7, 14.5]) * factor
    in_microns.add_point(here, world=True)
    assert in_microns.marks == (PointMark(20, 30),)


def test_world_boxes_are_two_opposite_corners(in_microns):
    # From the centre of pixel (10, 20) to that of (30, 44), in any order.
    low, high = (-3 + 10 * 0.5, 7 + 20 * 0.25), (-3 + 30 * 0.5, 7 + 44 * 0.25)
    in_microns.add_box((*high, *low), world=True)
    assert in_microns.marks == (BoxMark(10.5, 20.5, 30.5, 44.5),)


def test_world_outlines_are_outlines(in_microns):
    vertices = np.array([(10, 20), (10, 40), (30, 20)])
    world = vertices * (0.5, 0.25) + (-3, 7)
    in_microns.add_outline(world, world=True)
    (mark,) = in_microns.marks
    assert isinstance(mark, OutlineMark)
    np.testing.assert_allclose(mark.vertices, vertices)


def test_full_positions_go_to_their_plane(in_microns):
    in_microns.add_points([(4, 20, 30), (4, 50, 60)])
    assert in_microns.viewer.dims.current_step[0] == 4
    assert in_microns.marks == (PointMark(20, 30), PointMark(50, 60))
    with pytest.raises(PromptError, match="one plane at a time"):
        in_microns.add_points([(4, 20, 30), (5, 50, 60)])
    assert len(in_microns.marks) == 2


def test_one_step_is_undone_at_once(session):
    session.add_points([(20, 30), (50, 60)])
    session.change(
        add=[PointMark(5, 5, False), BoxMark(1, 1, 9, 9)], remove=[PointMark(20, 30)]
    )
    assert session.marks == (
        PointMark(50, 60),
        PointMark(5, 5, False),
        BoxMark(1, 1, 9, 9),
    )
    session.undo()
    assert session.marks == (PointMark(20, 30), PointMark(50, 60))


# Scripts


def run(script: str, viewer: ViewerModel, session: Session) -> None:
    """Run a script as the console does, on a session that is attached already."""
    ast.parse(script)

    def attach(given: ViewerModel) -> Session:
        assert given is viewer
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(napari_sam3, "attach", attach)
        exec(script, {"viewer": viewer})
    session.wait(SECONDS)


def fresh_viewer() -> ViewerModel:
    """Return a viewer with two images, spots and boxes, the same each time."""
    viewer = ViewerModel()
    rng = np.random.default_rng(3)
    viewer.add_image(rng.integers(0, 255, (4, 60, 70), dtype=np.uint8), name="stack")
    viewer.add_image(rng.integers(0, 255, (60, 70), dtype=np.uint8), name="flat")
    viewer.add_points(
        [(0, 9, 9), (0, 30, 30), (1, 20, 50), (1, 9, 9)], name="spots", size=2
    )
    viewer.add_labels(np.zeros((4, 60, 70), np.uint16), name="mine")
    viewer.layers.selection.active = viewer.layers["stack"]
    return viewer


def test_the_lines_are_what_one_would_write(session):
    session.add_point(OBJECT)
    session.add_point((24, 30), positive=False)
    session.add_box((10, 10, 30, 40))
    session.wait(SECONDS)
    session.next_candidate()
    session.accept()
    session.refine(1)
    session.undo()
    session.cleanup = Cleanup(max_hole_area=5)
    session.cleanup = Cleanup(max_hole_area=7)
    session.mode = "many"
    session.add_points([(1, 2), (3, 4)])
    assert session.as_python() == (
        "import napari_sam3\n"
        "\n"
        "s = napari_sam3.attach(viewer)\n"
        "s.image = viewer.layers['cells']\n"
        "s.add_point((20.0, 30.0))\n"
        "s.add_point((24.0, 30.0), positive=False)\n"
        "s.add_box((10.0, 10.0, 30.0, 40.0))\n"
        "s.wait()\n"
        "s.next_candidate()\n"
        "s.accept()\n"
        "s.refine(1)\n"
        "s.undo()\n"
        "s.cleanup = napari_sam3.Cleanup(max_hole_area=7, max_sprinkle_area=0.0, "
        "keep_clicked=False, unit='px')\n"
        "s.mode = 'many'\n"
        "s.add_points([(1.0, 2.0), (3.0, 4.0)])\n"
    )


def test_another_model_than_the_default_is_in_the_script(desk, engine):
    session = Session(desk, engine=engine, choice=ModelChoice("sam2.1-tiny", "cpu"))
    assert "attach(viewer, model='sam2.1-tiny', device='cpu')" in session.as_python()
    session.close()


DEEDS: dict[str, Any] = {
    "click": lambda s, a, b: s.add_point((a, b)),
    "background": lambda s, a, b: s.add_point((b % 55, a), positive=False),
    "clicks": lambda s, a, b: s.add_points([(a, b), (b % 55, a)]),
    "box": lambda s, a, b: s.add_box((a / 2, b / 2, a / 2 + 9.25, b / 2 + 8)),
    "outline": lambda s, a, b: s.add_outline([(a, b), (a, b + 9), (a + 9, b)]),
    "undo": lambda s, a, b: s.undo(),
    "redo": lambda s, a, b: s.redo(),
    "clear": lambda s, a, b: s.clear(),
    "plane": lambda s, a, b: s.viewer.dims.set_current_step(0, a % 4),
    "turn": lambda s, a, b: setattr(
        s.viewer.dims, "order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)][a % 3]
    ),
    "mode": lambda s, a, b: setattr(s, "mode", ("one", "many")[a % 2]),
    "overlap": lambda s, a, b: setattr(s, "overlap", ("keep", "replace")[a % 2]),
    "cleanup": lambda s, a, b: setattr(s, "cleanup", Cleanup(max_hole_area=a)),
    "candidate": lambda s, a, b: (s.wait(SECONDS), s.next_candidate(1 - 2 * (a % 2))),
    "accept": lambda s, a, b: s.accept_all(),
    "later": lambda s, a, b: (s.accept_when_ready(), s.wait(SECONDS)),
    "refine": lambda s, a, b: (s.refine(1 + a % 3), s.wait(SECONDS)),
    "quickly": lambda s, a, b: (
        s.refine(1 + a % 3),
        s.add_point((a, b)),
        s.wait(SECONDS),
    ),
    "spots": lambda s, a, b: setattr(s, "points", s.viewer.layers["spots"]),
    "own": lambda s, a, b: setattr(s, "points", None),
    "mine": lambda s, a, b: setattr(s, "labels", s.viewer.layers["mine"]),
    "image": lambda s, a, b: setattr(
        s, "image", s.viewer.layers[("stack", "flat")[a % 2]]
    ),
    "draw": lambda s, a, b: fits(s) and s.points.add([nd(s, a, b)]),
    "delete": lambda s, a, b: fits(s) and s.points.remove(shown(s)[:1]),
    "drop": lambda s, a, b: (
        s.points is not None
        and s.points.name != "spots"
        and s.viewer.layers.remove(s.points)
    ),
    "drop labels": lambda s, a, b: (
        s.labels is not None
        and s.labels.name != "mine"
        and s.viewer.layers.remove(s.labels)
    ),
    "flip": lambda s, a, b: s.flip(),
}


def fits(session: Session) -> bool:
    points, image = session.points, session.image
    return points is not None and points.ndim == image.ndim


def hidden(session: Session) -> dict[int, int]:
    dims, lacking = session.viewer.dims, 3 - session.points.ndim
    return {a - lacking: dims.current_step[a] for a in dims.not_displayed[lacking:]}


def nd(session: Session, row: int, col: int) -> list[float]:
    position = [row % 4, col] if session.points.ndim == 2 else [row % 4, col, row]
    for axis, step in hidden(session).items():
        position[axis] = step
    return position


def shown(session: Session) -> list[int]:
    """Return the points of the shown plane, what a user can select."""
    at = hidden(session)
    return [
        index
        for index, point in enumerate(session.points.data)
        if all(abs(point[axis] - step) <= 0.5 for axis, step in at.items())
    ]


deeds = st.lists(
    st.tuples(st.sampled_from(list(DEEDS)), st.integers(0, 50), st.integers(0, 50)),
    min_size=3,
    max_size=14,
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)
@given(deeds)
def test_the_script_gives_identical_labels_in_a_fresh_viewer(done):
    with ExitStack() as stack:
        fake = FakeTracker(scores=hashed_scores)
        engine = Engine(build=lambda model, **_: fake)
        stack.callback(engine.thread.stop)
        viewers, sessions = [], []
        for _ in range(2):
            viewers.append(fresh_viewer())
            sessions.append(Session(viewers[-1], engine=engine))
            stack.callback(sessions[-1].close)
        for name, a, b in done:
            with suppress(napari_sam3.Sam3Error):  # such as: nothing to accept
                DEEDS[name](sessions[0], a, b)
        with suppress(napari_sam3.Sam3Error):
            sessions[0].accept_all()
        script = sessions[0].as_python()
        with suppress(napari_sam3.Sam3Error):  # of the last prompts, as above
            run(script, viewers[1], sessions[1])
        shown_now = sessions[0].viewer.dims
        viewers[1].dims.order = shown_now.order
        viewers[1].dims.current_step = shown_now.current_step
        sessions[1].image = sessions[1].viewer.layers[sessions[0].image.name]
        ours, theirs = (
            None if session.labels is None else session.labels.data.tobytes()
            for session in sessions
        )
        assert ours == theirs, script
        assert sessions[0].marks == sessions[1].marks, script


# Prompts that are kept


def some_objects(session: Session) -> dict[int, np.ndarray]:
    """Accept three objects of all kinds; return their masks."""
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point((24, 30), positive=False)
    session.accept()
    session.add_outline([(40, 10), (40, 40), (70, 10)])
    session.wait(SECONDS)
    session.next_candidate()
    session.accept()
    session.mode = "many"
    session.add_points([(15, 80), (60, 80)])
    session.accept_all()
    session.refine(3)
    session.add_point((15, 85))
    session.accept()
    session.wait(SECONDS)
    return {int(n): session.labels.data == n for n in np.unique(session.labels.data)}


def test_the_journal_is_kept_in_the_layer(session, desk):
    some_objects(session)
    notes = session.labels.metadata["napari_sam3"]
    journal = Journal.from_json(notes)
    assert sorted(label for label, _ in journal) == [1, 2, 3, 4]
    by_label = {record.label: record for record in journal.values()}
    assert by_label[1].dialogue.marks == (PointMark(*OBJECT), PointMark(24, 30, False))
    assert by_label[2].dialogue.steps[-1].choice == 1
    assert (by_label[1].alone, by_label[4].alone) == (True, False)
    assert any(isinstance(mark, MaskMark) for mark in by_label[3].dialogue.marks)
    assert {record.model for record in journal.values()} == {"nano"}
    assert by_label[1].fingerprint == "fake-0"


def test_a_new_session_knows_the_prompts_of_the_layer(session, desk, engine):
    some_objects(session)
    labels = session.labels
    session.close()
    again = Session(desk, engine=engine)
    again.image = desk.layers["cells"]
    again.labels = labels
    again.refine(1)
    assert mask_after(again).sum() == (labels.data == 1).sum()
    assert again.marks[:2] == (PointMark(*OBJECT), PointMark(24, 30, False))
    again.close()


def test_undo_takes_the_prompts_out_of_the_journal_and_redo_back(session):
    session.add_point(OBJECT)
    session.accept()
    notes = session.labels.metadata["napari_sam3"]
    session.undo()
    assert session.labels.metadata["napari_sam3"]["objects"] == []
    assert list(session.labels.features["index"]) == []
    session.redo()
    assert session.labels.metadata["napari_sam3"] == notes
    session.refine(1)
    session.add_point((40, 40))
    session.accept()
    session.undo()
    assert session.labels.metadata["napari_sam3"] == notes


def test_replay_with_the_same_model_agrees_wholly(session):
    some_objects(session)
    before = session.labels.data.copy()
    report = session.replay()
    assert [one.record.label for one in report.objects] == [1, 2, 3, 4]
    assert [one.iou for one in report.objects] == [1.0] * 4
    assert report.mean_iou == 1.0
    assert report.labels is None
    np.testing.assert_array_equal(session.labels.data, before)
    assert session.status.text == "replayed 4 objects, mean IoU 1.00"


def test_exported_prompts_give_the_objects_again_elsewhere(session, engine, tmp_path):
    masks = some_objects(session)
    path = tmp_path / "prompts.json"
    session.export_prompts(path)
    viewer = ViewerModel()
    viewer.add_image(session.image.data.copy(), name="cells")
    other = Session(viewer, engine=engine)
    other.load_prompts(path)
    assert not other.labels.data.any()
    report = other.replay(write=True)
    assert [one.iou for one in report.objects] == [None] * 4
    assert report.mean_iou is None
    assert "gone" in str(report)
    for label, mask in masks.items():
        np.testing.assert_array_equal(report.labels.data == label, mask)
    # New objects do not take the numbers of those that are only remembered.
    other.add_point((50, 60))
    assert other.accept() == 5
    journal = Journal.from_json(other.labels.metadata["napari_sam3"])
    assert sorted(label for label, _ in journal) == [1, 2, 3, 4, 5]
    other.close()


def test_saved_labels_have_their_prompts_beside_them(session, tmp_path):
    some_objects(session)
    session.save_labels(tmp_path / "cells.tif")
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "cells.tif"), session.labels.data
    )
    journal = Journal.load(tmp_path / "cells.prompts.json")
    assert journal.to_json() == session.labels.metadata["napari_sam3"]
    session.save_labels(tmp_path / "more")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells.prompts.json",
        "cells.tif",
        "more.prompts.json",
        "more.tif",
    ]


def test_loading_prompts_lets_objects_be_refined_with_them(session, desk, tmp_path):
    some_objects(session)
    session.export_prompts(tmp_path / "p.json")
    copy = desk.add_labels(session.labels.data.copy(), name="copy")
    session.labels = copy
    session.load_prompts(tmp_path / "p.json")
    session.refine(1)
    session.wait(SECONDS)
    assert session.marks[:2] == (PointMark(*OBJECT), PointMark(24, 30, False))
    assert "s.load_prompts(" in session.as_python()


def test_a_replay_that_was_cancelled_says_so(session):
    some_objects(session)
    session.start_replay()
    session.cancel()
    session.wait(SECONDS)
    assert session.status.text == "cancelled"
    assert session.replay().mean_iou == 1.0


def test_nothing_remembered_nothing_replayed(session, desk):
    session.labels = desk.add_labels(np.ones(SHAPE, np.uint8))
    with pytest.raises(StateError, match="remembers"):
        session.replay()


def test_many_clicks_of_one_object_make_one_features_row(session):
    session.add_points([OBJECT, (22, 33)])
    session.accept()
    features = session.labels.features.set_index("index")
    assert features.loc[1, "sam3_prompts"] == 2
    assert names(session.viewer.layers)[1] == "cells objects"
    assert session.labels.data[20, 30] == disc(SHAPE, *OBJECT)[20, 30]
