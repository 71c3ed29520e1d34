"""A draft is open while the axes of the view change."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core.errors import LayerError
from napari_sam3.core.marks import PointMark
from napari_sam3.viewer.session import Session
from tests.viewer.studio import SECONDS, disc, mask_after


@pytest.fixture
def stack(desk, cells_layer):
    """Put a stack into the viewer in place of the image."""
    image = desk.add_image(
        np.zeros((5, 60, 80), np.uint8), scale=(3, 0.5, 0.5), units="um", name="stack"
    )
    desk.layers.remove(cells_layer)
    desk.dims.set_current_step(0, 2)
    return image


@pytest.fixture
def session(desk, stack, engine):
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    yield session
    session.close()


def test_a_transposed_view_turns_the_draft(session, desk, stack):
    session.add_point((20, 50))
    np.testing.assert_array_equal(mask_after(session), disc((60, 80), 20, 50))
    desk.dims.transpose()
    assert session.marks == (PointMark(50, 20),)
    np.testing.assert_array_equal(mask_after(session), disc((80, 60), 50, 20))
    session.add_point((70, 10))
    label = session.accept()
    desk.dims.transpose()
    assert session.marks == ()
    expected = disc((60, 80), 20, 50) | disc((60, 80), 10, 70)
    np.testing.assert_array_equal(session.labels.data[2] == label, expected)


def test_a_rolled_view_shows_what_lies_on_its_plane(session, desk, stack):
    session.add_point((20, 50))
    mask_after(session)
    desk.dims.roll()  # (2, 0, 1): z down, rows across, columns by the slider
    desk.dims.set_point(2, 50 * 0.5)
    assert session.marks == (PointMark(2, 20),)
    desk.dims.set_point(2, 40 * 0.5)
    assert session.marks == ()
    assert session.preview is None
    desk.dims.order = (0, 1, 2)
    assert session.marks == (PointMark(20, 50),)
    np.testing.assert_array_equal(mask_after(session), disc((60, 80), 20, 50))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_draft_outlives_a_view_that_cannot_be_cut(session, desk, stack):
    session.add_point((20, 50))
    mask_after(session)
    for spoil, mend, words in (
        (
            lambda: setattr(desk.dims, "ndisplay", 3),
            lambda: setattr(desk.dims, "ndisplay", 2),
            "switch to 2D",
        ),
        (
            lambda: setattr(stack, "shear", [0.3, 0, 0]),
            lambda: setattr(stack, "shear", [0, 0, 0]),
            "reset rotate, shear and affine",
        ),
    ):
        spoil()
        session.wait(SECONDS)
        assert session.preview is None
        assert session.status.is_error
        assert words in session.status.text
        with pytest.raises(LayerError, match=words):
            session.add_point((3, 3))
        mend()
        assert session.marks == (PointMark(20, 50),)
        np.testing.assert_array_equal(mask_after(session), disc((60, 80), 20, 50))
        assert not session.status.is_error
    assert session.accept() == 1


def test_points_with_more_axes_than_the_image_are_refused_in_words(session, desk):
    session.add_point((20, 50))
    mask_after(session)
    ours = session.points
    session.points = desk.add_points(ndim=4, name="movie")
    session.wait(SECONDS)
    assert session.status.is_error
    assert "'movie' has 4 axes and cannot lie over this plane" in session.status.text
    session.points = ours
    np.testing.assert_array_equal(mask_after(session), disc((60, 80), 20, 50))
