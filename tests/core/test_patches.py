"""Windows lie in the plane, hold whole objects, and map there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_sam3.core.hint import SizeHint
from napari_sam3.core.patches import Lattice, Patch, patches, whole_patch
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prediction import LOGIT_LIMIT, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.windows import Window

quick = settings(deadline=None, max_examples=50)
few = settings(deadline=None, max_examples=20)

views = st.sampled_from([1, 8, 33, 512, 1008])
lengths = st.one_of(st.integers(1, 60), st.integers(1, 30_000))
shapes = st.tuples(lengths, lengths)
share = st.floats(0, 1)


def some_side(lattice: Lattice, wanted: float) -> int:
    return lattice.side(wanted * max(lattice.shape), may_magnify=True)


# ---- the lattice ------------------------------------------------------------


@quick
@given(shapes, views, share, share, share)
def test_windows_lie_in_the_plane(shape, view, row, col, wanted):
    lattice = Lattice(shape, view)
    patch = lattice.at(row * shape[0], col * shape[1], some_side(lattice, wanted))
    row0, col0, row1, col1 = patch.box
    assert 0 <= row0 < row1 <= shape[0]
    assert 0 <= col0 < col1 <= shape[1]
    assert min(patch.shape) >= 1


@quick
@given(shapes, views, share, share, share, share, share)
def test_what_is_no_larger_than_half_a_window_lies_wholly_in_one(
    shape, view, row, col, height, width, wanted
):
    lattice = Lattice(shape, view)
    side = some_side(lattice, wanted)
    tall, wide = height * side / 2, width * side / 2
    assume(tall <= shape[0] and wide <= shape[1])
    row0, col0 = row * (shape[0] - tall), col * (shape[1] - wide)
    patch = lattice.at(row0 + tall / 2, col0 + wide / 2, side)
    slack = 1e-6 + (0.5 if side % 2 else 0)  # an odd side has no half
    inner = (row0 + slack, col0 + slack, row0 + tall - slack, col0 + wide - slack)
    assert patch.holds(inner)


@quick
@given(shapes, views, share)
def test_a_side_is_as_large_as_wanted_and_not_twice_that(shape, view, wanted):
    lattice = Lattice(shape, view)
    length = wanted * max(shape)
    side = some_side(lattice, wanted)
    assert side >= min(length, max(shape))
    assert side < 2 * max(length, view / 8, 1)
    assert lattice.side(length) >= min(view, max(shape))


@quick
@given(shapes, views, share, share, share)
def test_no_window_shows_more_pixels_than_it_has_or_the_network_sees(
    shape, view, row, col, wanted
):
    lattice = Lattice(shape, view)
    patch = lattice.at(row * shape[0], col * shape[1], some_side(lattice, wanted))
    assert patch.shape[0] <= patch.window.height
    assert patch.shape[1] <= patch.window.width
    assert max(patch.shape) <= max(view, 4096)
    if patch != whole_patch(shape, view):
        assert max(patch.shape) <= view


@quick
@given(shapes, views, share, share)
def test_the_window_of_a_place_is_the_nearest_one(shape, view, row, col):
    lattice = Lattice(shape, view)
    assume(lattice.is_needed and view > 1)
    place = np.array([row * shape[0], col * shape[1]])
    patch = lattice.at(*place, view)
    middle = np.add(patch.box[:2], patch.box[2:]) / 2
    for step in (-(view // 2), view // 2):
        for other in (lattice.at(middle[0] + step, middle[1], view),):
            away = np.add(other.box[:2], other.box[2:]) / 2 - place
            assert (np.abs(middle - place) <= np.abs(away) + 1).all()


def test_nearby_places_share_a_window():
    lattice = Lattice((20_000, 20_000), 1008)
    places = np.random.default_rng(0).uniform(5000, 6008, (500, 2))
    assert len({lattice.at(*place, 1008) for place in places}) <= 9


@few
@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)), st.sampled_from([8, 65, 512])
)
def test_all_windows_cover_the_plane_and_none_twice(shape, view):
    found = Lattice(shape, view).all()
    assert len(set(found)) == len(found)
    seen = np.zeros(shape, bool)
    for patch in found:
        row0, col0, row1, col1 = patch.box
        seen[row0:row1, col0:col1] = True
        assert patch.is_plain
    assert seen.all()


@few
@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)), st.sampled_from([8, 65, 512])
)
def test_all_windows_are_those_that_places_have(shape, view):
    # Else what was embedded beforehand would be of no use.
    lattice = Lattice(shape, view)
    rng = np.random.default_rng(0)
    assume(lattice.is_needed)
    every = set(lattice.all())
    for row, col in rng.uniform((0, 0), shape, (50, 2)):
        assert lattice.at(row, col, view) in every


def test_what_to_embed_beforehand():
    whole = whole_patch((3000, 2000), 1008)
    assert patches((3000, 2000), 1008) == [whole]
    found = patches((3000, 2000), 1008, all_windows=True)
    assert found[0] == whole
    assert len(found) == 1 + 5 * 3
    assert patches((300, 200), 1008, all_windows=True) == [
        whole_patch((300, 200), 1008)
    ]


# ---- the whole plane --------------------------------------------------------


@quick
@given(st.tuples(st.integers(1, 4096), st.integers(1, 4096)), views)
def test_planes_up_to_4096_are_shown_whole_as_they_are(shape, view):
    patch = whole_patch(shape, view)
    assert patch.is_plain
    assert patch.box == (0, 0, *shape)
    prompt = Prompt([(0, 0)], [1], box=(0, 0, 1, 1))
    placed = patch.place(prompt)
    assert placed.points.tolist() == [[0, 0]]
    assert placed.box == (0, 0, 1, 1)


def test_larger_planes_are_reduced_to_twice_what_the_network_sees():
    patch = whole_patch((20_000, 10_000), 1008)
    assert patch.shape == (2016, 1008)
    assert patch.box == (0, 0, 20_000, 10_000)
    assert whole_patch((5000, 1), 1008).shape == (2016, 1)


def test_small_windows_are_shown_as_they_are():
    # The network enlarges them; 8 times as many pixels would say nothing more.
    patch = Lattice((3000, 3000), 1008).at(1500, 1500, 126)
    assert patch.is_plain
    assert patch.shape == (126, 126)


def test_a_window_of_a_thin_plane_is_as_thin():
    patch = Lattice((30, 9000), 512).at(15, 4000, 1024)
    assert patch.window == Window(0, 3584, 30, 1024)
    assert patch.shape == (15, 512)


def test_the_pixels_are_those_of_the_window():
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    patch = Patch(Window(20, 30, 40, 50), (40, 50))
    np.testing.assert_array_equal(patch.read(ArrayPicture(image)), image[20:60, 30:80])


# ---- prompts ----------------------------------------------------------------

windows = st.builds(
    lambda row0, col0, height, width, ratio: Patch(
        Window(row0, col0, height, width),
        (max(1, round(height * ratio)), max(1, round(width * ratio))),
    ),
    st.integers(0, 500),
    st.integers(0, 500),
    st.integers(1, 500),
    st.integers(1, 500),
    st.sampled_from([1.0, 0.5, 0.37, 2.0]),
)


@quick
@given(windows, share, share, share, share)
def test_clicks_and_boxes_go_there_and_back(patch, row, col, height, width):
    top, left, bottom, right = patch.box
    place = np.array([top + row * (bottom - top), left + col * (right - left)]) - 0.5
    box = (*(place - (height, width)), *(place + (1 + height, 1 + width)))
    placed = patch.place(Prompt([place], [1], box=box))
    assert placed.positive.min() >= -0.5 - 1e-9
    assert (placed.positive <= np.array(patch.shape) - 0.5 + 1e-9).all()
    origin = (top, left)
    back = (placed.points + 0.5) / patch.scale + origin - 0.5
    np.testing.assert_allclose(back, [place], atol=1e-6)
    corners = np.reshape(placed.box, (2, 2)) / patch.scale + origin
    np.testing.assert_allclose(corners.ravel(), box, atol=1e-6)
    # A click lies in its box, in whichever pixels.
    assert (placed.points[0] + 0.5 >= np.array(placed.box[:2]) - 1e-9).all()


def test_background_clicks_outside_are_left_out_and_inside_kept():
    patch = Patch(Window(100, 100, 50, 50), (50, 50))
    prompt = Prompt([(120, 120), (99, 120), (149.4, 149.4), (120, 151)], [1, 0, 0, 0])
    placed = patch.place(prompt)
    np.testing.assert_allclose(placed.points, [(20, 20), (49.4, 49.4)])
    assert placed.labels.tolist() == [True, False]


def test_an_earlier_mask_beside_the_window_says_nothing_there():
    patch = Patch(Window(100, 100, 50, 50), (50, 50))
    logits = np.full((4, 4), -5, np.float32)
    prompt = Prompt([(120, 120)], [1], mask_logits=logits, mask_box=(0, 0, 90, 90))
    placed = patch.place(prompt)
    placed.check_inside(patch.shape)
    assert placed.mask_logits is None
    near = Prompt([(120, 120)], [1], mask_logits=logits, mask_box=(90, 90, 130, 130))
    assert patch.place(near).mask_box == (-10, -10, 30, 30)


# ---- predictions ------------------------------------------------------------


def found_in(patch: Patch, row: float, col: float, radius: float) -> Prediction:
    """Return the disc that a perfect network finds in a patch, given in the plane."""
    rows, cols = (np.arange(n) + 0.5 for n in patch.shape)
    rows = rows / patch.scale[0] + patch.window.row0
    cols = cols / patch.scale[1] + patch.window.col0
    away = np.hypot(rows[:, None] - row, cols[None] - col)
    # Level lines that are discs, so that enlarging them has something to go by.
    logits = np.clip(radius - away, -20, 20).astype(np.float32)
    own = Grid(0, 0, *patch.shape, *patch.shape)
    low_res = resample(logits, own, Grid(0, 0, *patch.shape, 64, 64))
    return Prediction(logits, (0, 0, *patch.shape), 0.8, low_res)


@few
@given(
    st.sampled_from([(1.0, 60), (0.5, 60), (0.37, 90), (0.25, 120)]),
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
    st.integers(0, 200),
    st.integers(0, 300),
)
def test_masks_come_back_to_within_half_a_pixel(kind, row, col, row0, col0):
    ratio, side = kind
    shape = (500, 600)
    patch = Patch(Window(row0, col0, side, side), (round(side * ratio),) * 2)
    row, col = row0 + row * side, col0 + col * side
    lifted = patch.lift(found_in(patch, row, col, side / 5), shape, 64)
    mask = lifted.paste(shape) > 0
    rows, cols = np.nonzero(mask)
    assert rows.mean() + 0.5 == pytest.approx(row, abs=0.5)
    assert cols.mean() + 0.5 == pytest.approx(col, abs=0.5)
    # Half a pixel of what was seen.
    radius = np.sqrt(mask.sum() / np.pi)
    assert radius == pytest.approx(side / 5, abs=0.5 / ratio)
    assert lifted.seen == patch.box
    assert lifted.score == 0.8


@quick
@given(windows, share, share, share, share)
def test_crops_of_any_place_stay_in_the_window(patch, top, left, height, width):
    rows, cols = patch.shape
    row0, col0 = int(top * (rows - 1)), int(left * (cols - 1))
    row1 = min(rows, row0 + 1 + int(height * rows))
    col1 = min(cols, col0 + 1 + int(width * cols))
    logits = np.full((row1 - row0, col1 - col0), 3, np.float32)
    prediction = Prediction(
        logits, (row0, col0, row1, col1), 0.5, np.zeros((8, 8), np.float32)
    )
    lifted = patch.lift(prediction, (1000, 1000), 8)
    mine, box = patch.box, lifted.bbox
    assert mine[0] <= box[0] < box[2] <= mine[2]
    assert mine[1] <= box[1] < box[3] <= mine[3]
    if (row0, col0, row1, col1) == (0, 0, rows, cols):
        assert box == mine
        assert lifted.mask().all()  # up to the border: it is not the object's


@pytest.mark.parametrize("shape", [(50, 50), (20, 20)])
def test_where_nothing_was_found_nothing_is(shape):
    patch = Patch(Window(100, 100, 50, 50), shape)
    nothing = np.full((1, 1), -LOGIT_LIMIT, np.float32)
    low_res = np.full((8, 8), -LOGIT_LIMIT, np.float32)
    lifted = patch.lift(Prediction(nothing, (3, 3, 4, 4), 0.1, low_res), (300, 300), 8)
    assert not lifted.mask().any()
    assert (lifted.low_res == -LOGIT_LIMIT).all()
    empty = Prediction(np.zeros((0, 0), np.float32), (3, 3, 3, 3), 0.1, low_res)
    lifted = patch.lift(empty, (300, 300), 8)
    assert not lifted.mask().any()
    assert lifted.seen == patch.box


def test_the_whole_plane_as_it_is_changes_nothing_but_says_what_was_seen():
    logits = np.zeros((3, 4), np.float32)
    prediction = Prediction(logits, (1, 2, 4, 6), 0.5, np.zeros((8, 8), np.float32))
    lifted = whole_patch((30, 40), 1008).lift(prediction, (30, 40), 8)
    assert lifted.logits is logits
    assert lifted.seen == (0, 0, 30, 40)


def test_the_low_resolution_frame_is_that_of_the_plane():
    patch = Patch(Window(64, 0, 64, 64), (64, 64))
    logits = np.full((64, 64), 30, np.float32)
    mine = Prediction(logits, (0, 0, 64, 64), 0.5, np.full((4, 4), 9, np.float32))
    lifted = patch.lift(mine, (128, 128), 4)
    assert (lifted.low_res > 0).tolist() == [[False] * 4] * 2 + [
        [True] * 2 + [False] * 2
    ] * 2


def test_a_large_crop_with_a_small_mask_is_not_enlarged_as_a_whole():
    # Twice 1008 square, in a plane of 20,000: 1.6 GB for each candidate.
    patch = whole_patch((20_000, 20_000), 1008)
    logits = np.full(patch.shape, -5, np.float32)
    logits[1000:1010, 500:520] = 5
    low_res = np.zeros((8, 8), np.float32)
    lifted = patch.lift(
        Prediction(logits, (0, 0, *patch.shape), 0.5, low_res), (20_000, 20_000), 8
    )
    assert lifted.logits.nbytes < 2e6
    rows, cols = np.nonzero(lifted.mask())
    assert lifted.bbox[0] + rows.mean() == pytest.approx(1005 / 2016 * 20_000, abs=6)
    assert lifted.bbox[1] + cols.mean() == pytest.approx(510 / 2016 * 20_000, abs=6)


def test_a_hint_is_in_the_pixels_of_the_window():
    hint = SizeHint((40, 44), 400)
    prompt = Prompt(points=[[300, 300]], labels=[1], size_hint=hint)
    reduced = Patch(Window(200, 200, 400, 400), (100, 100)).place(prompt)
    assert reduced.size_hint == SizeHint((10, 11), 100)
    plain = Patch(Window(200, 200, 400, 400), (400, 400)).place(prompt)
    assert plain.size_hint == hint
    bare = Prompt(points=[[300, 300]], labels=[1])
    assert Patch(Window(200, 200, 400, 400), (100, 100)).place(bare).size_hint is None
