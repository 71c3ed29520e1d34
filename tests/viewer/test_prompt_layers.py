"""What lies on the prompt layers is read as seen, and put back as read."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes
from wrapt import ObjectProxy

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.planes import shown_plane
from napari_sam3.viewer.prompt_layers import (
    POINTS_NAME,
    SHAPES_NAME,
    add_marks,
    as_read,
    create_points,
    create_shapes,
    flip_polarity,
    is_owned,
    polarity_of,
    read_points,
    read_shapes,
    remove_marks,
    set_polarity,
)

FLAT = Plane((0, 1), (None, None))
SECOND = Plane((1, 2), (1, None, None))
TRIANGLE = OutlineMark(((1, 1), (1, 5), (6, 3)))


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def image(viewer: ViewerModel) -> Image:
    return viewer.add_image(np.zeros((40, 60), np.uint8), name="cells")


@pytest.fixture
def stack(viewer: ViewerModel) -> Image:
    return viewer.add_image(
        np.zeros((5, 40, 60), np.uint8),
        scale=(2, 0.5, 0.25),
        translate=(7, -3, 11),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )


def watch(layer: Points | Shapes, *names: str) -> list[tuple[str, str]]:
    """Note the events of a layer that tell of finished changes."""
    seen: list[tuple[str, str]] = []

    def note(event: object) -> None:
        action = str(getattr(event, "action", ""))
        if not action.endswith("ing"):
            seen.append((event.type, action))

    for name in names or ("data", "features"):
        getattr(layer.events, name).connect(note)
    return seen


# Making layers


def test_new_layers_lie_where_the_image_lies(viewer, stack):
    for layer in (create_points(viewer, stack), create_shapes(viewer, stack)):
        assert layer.ndim == 3
        assert layer.units == stack.units
        assert layer.axis_labels == stack.axis_labels
        for at in ((0, 0, 0), (1, 2, 3)):
            assert layer.data_to_world(at) == stack.data_to_world(at)


def test_new_layers_have_names_and_a_role(viewer, image):
    points, shapes = create_points(viewer, image), create_shapes(viewer, image)
    assert (points.name, shapes.name) == (POINTS_NAME, SHAPES_NAME)
    assert is_owned(points)
    assert is_owned(shapes)
    assert not is_owned(image)
    assert not is_owned(Points(metadata={"napari_sam3": "mine"}))


def test_the_axis_of_colours_gets_no_coordinate(viewer):
    image = viewer.add_image(np.zeros((40, 60, 3), np.uint8), rgb=True)
    assert create_points(viewer, image).ndim == 2
    assert create_shapes(viewer, image).ndim == 2


def test_sizes_go_with_the_image(viewer):
    image = viewer.add_image(np.broadcast_to(np.uint8(0), (9, 3000, 5000)))
    assert create_points(viewer, image).current_size == 100
    assert create_shapes(viewer, image).current_edge_width == 20


def test_clicks_show_their_side(viewer, image):
    layer = create_points(viewer, image)
    layer.add((1, 2))
    set_polarity(layer, False)
    layer.add((3, 4))
    first, second = layer.face_color
    assert first[2] > first[0]
    assert second[0] > second[2]
    assert [str(symbol) for symbol in layer.symbol] == ["disc", "x"]


# Reading clicks


def test_clicks_come_in_their_order(image):
    layer = Points([[3, 4.5], [0, 0]])
    assert read_points(layer, image, FLAT) == [PointMark(3, 4.5), PointMark(0, 0)]


def test_clicks_on_other_planes_do_not_count(stack):
    layer = Points([[1, 2, 3], [2, 2, 3], [1.4, 5, 6], [0.4, 7, 8]], scale=stack.scale)
    layer.translate, layer.units = stack.translate, stack.units
    marks = read_points(layer, stack, SECOND)
    assert marks == [PointMark(2, 3), PointMark(5, 6)]


def visible(layer: Points, viewer: ViewerModel) -> list[int]:
    """Return which points napari shows, asking it at each one's place."""
    found = []
    for index, at in enumerate(layer.data):
        world = np.array(layer.data_to_world(at))
        hidden = viewer.dims.not_displayed
        world[list(hidden)] = np.array(viewer.dims.point)[list(hidden)]
        if layer.get_value(world, world=True) == index:
            found.append(index)
    return found


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 1, 1), (0.5, 1, 1), (4, 2, 2)])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_what_counts_is_what_napari_shows_or_what_can_be_clicked(viewer, scale, at):
    image = viewer.add_image(np.zeros((4, 99, 9), np.uint8), scale=(2, 1, 1))
    depths = np.arange(0, 9, 0.25) * 2 / scale[0]
    rows = np.arange(len(depths)) * 2.0
    data = np.stack([depths, rows, np.full_like(rows, 4)], axis=1)
    layer = viewer.add_points(data, scale=scale, size=0.5)
    viewer.dims.set_point(0, 2 * at)
    plane = shown_plane(viewer, image)
    assert plane.index[0] == at
    marks = read_points(layer, image, plane)
    seen = set(visible(layer, viewer))
    assert seen
    # With the slider beside the plane's middle, but on the plane.
    seen.update(np.flatnonzero(np.abs(depths * scale[0] / 2 - at) <= 0.5).tolist())
    assert [mark.row / scale[1] for mark in marks] == [rows[i] for i in sorted(seen)]


def test_hidden_points_do_not_count(image):
    layer = Points([[1, 1], [2, 2]], shown=[True, False])
    assert read_points(layer, image, FLAT) == [PointMark(1, 1)]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_points_that_are_nowhere_do_not_count(image):
    layer = Points([[np.nan, 1], [2, 2]])
    assert read_points(layer, image, FLAT) == [PointMark(2, 2)]


def test_an_invisible_layer_counts(image):
    layer = Points([[1, 1]], visible=False)
    assert read_points(layer, image, FLAT) == [PointMark(1, 1)]


def test_a_flat_layer_is_on_all_planes(stack):
    layer = Points([[-3 + 0.5 * 4, 11 + 0.25 * 6]], units=("um", "um"))
    for z in range(5):
        plane = Plane((1, 2), (z, None, None))
        assert read_points(layer, stack, plane) == [PointMark(4, 6)]


def test_a_flat_layer_cannot_lie_over_an_axis_it_lacks(stack):
    with pytest.raises(LayerError, match="cannot lie over"):
        read_points(Points([[1, 1]]), stack, Plane((0, 1), (None, None, 0)))


def test_a_layer_with_more_axes_is_refused(image):
    # Nobody knows which of its planes is meant.
    with pytest.raises(LayerError, match="3 axes and cannot lie over"):
        read_points(Points([[1, 1, 1]]), image, FLAT)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_tilted_layer_is_refused(stack):
    shear = np.eye(4)
    shear[1, 0] = 0.5
    layer = Points([[1, 1, 1]], affine=shear, name="askew")
    with pytest.raises(LayerError, match="'askew' is rotated or sheared"):
        read_points(layer, stack, SECOND)


def test_transposed_planes_swap_row_and_column(stack):
    layer = Points([[1, 2, 3]], scale=stack.scale, units=stack.units)
    layer.translate = stack.translate
    plane = Plane((2, 1), (1, None, None))
    assert read_points(layer, stack, plane) == [PointMark(3, 2)]
    side = Plane((0, 2), (None, 2, None))
    assert read_points(layer, stack, side) == [PointMark(1, 3)]


def test_units_are_told_apart(viewer):
    image = viewer.add_image(np.zeros((9, 9)), scale=(100, 100), units=("nm", "nm"))
    layer = Points([[0.3, 0.5]], units=("um", "um"))
    assert read_points(layer, image, FLAT) == [PointMark(3, 5)]


COLUMNS = [
    ["positive", "negative"],
    ["Foreground", "background"],
    [1, 0],
    [1.0, 0.0],
    [True, False],
    ["1", "0"],
    [None, "negative"],
    [np.nan, 0.0],
    pd.Categorical(["positive", "negative"]),
]


@pytest.mark.parametrize("values", COLUMNS, ids=str)
@pytest.mark.parametrize("name", ["polarity", "label"])
def test_sides_are_read_from_others_features(image, values, name):
    layer = Points([[1, 1], [2, 2]], features=pd.DataFrame({name: values}))
    marks = read_points(layer, image, FLAT)
    assert [mark.positive for mark in marks] == [True, False]


@pytest.mark.parametrize(
    "features", [{}, {"area": [0, 0]}, {"label": [0, 17]}, {"label": ["cell", "0"]}]
)
def test_without_sides_all_are_positive(image, features):
    layer = Points([[1, 1], [2, 2]], features=features)
    assert all(mark.positive for mark in read_points(layer, image, FLAT))
    assert polarity_of(layer)


def test_a_strange_polarity_is_refused(image):
    layer = Points([[1, 1]], features={"polarity": ["north"]})
    with pytest.raises(LayerError, match=r"'north'.*change it"):
        read_points(layer, image, FLAT)


def test_many_clicks_are_read(image):
    data = np.random.default_rng(0).uniform(0, 40, (10_000, 2))
    sides = np.arange(10_000) % 3 > 0
    layer = Points(data, features={"polarity": sides})
    marks = read_points(layer, image, FLAT)
    assert [mark.positive for mark in marks] == sides.tolist()
    np.testing.assert_allclose([(m.row, m.col) for m in marks], data, atol=1e-6)


# Reading shapes


def rectangle(*corners: float, z: float | None = None) -> np.ndarray:
    row0, col0, row1, col1 = corners
    flat = np.array([(row0, col0), (row0, col1), (row1, col1), (row1, col0)], float)
    return flat if z is None else np.insert(flat, 0, z, axis=1)


def test_a_rectangle_is_a_box_of_pixel_edges(image):
    layer = Shapes([rectangle(9.5, 9.5, 19.5, 29.5)], shape_type="rectangle")
    assert read_shapes(layer, image, FLAT) == [BoxMark(10, 10, 20, 30)]


def test_a_rectangle_drawn_from_below_is_the_same_box(image):
    layer = Shapes([rectangle(19.5, 29.5, 9.5, 9.5)], shape_type="rectangle")
    assert read_shapes(layer, image, FLAT) == [BoxMark(10, 10, 20, 30)]


def test_a_rectangle_in_a_turned_layer_is_an_outline(image):
    layer = Shapes([rectangle(0, 0, 10, 20)], shape_type="rectangle", rotate=30)
    (mark,) = read_shapes(layer, image, FLAT)
    expected = [layer.data_to_world(corner) for corner in layer.data[0]]
    np.testing.assert_allclose(mark.vertices, expected, atol=0.005)


def test_a_rectangle_turned_by_a_right_angle_is_a_box(image):
    layer = Shapes([rectangle(0, 0, 10, 20)], shape_type="rectangle", rotate=90)
    (mark,) = read_shapes(layer, image, FLAT)
    assert isinstance(mark, BoxMark)
    assert sorted([mark.row1 - mark.row0, mark.col1 - mark.col0]) == [10, 20]


def test_an_ellipse_is_its_outline(image):
    layer = Shapes([rectangle(10, 20, 30, 50)], shape_type="ellipse")
    (mark,) = read_shapes(layer, image, FLAT)
    assert len(mark.vertices) == 64
    offset = (np.array(mark.vertices) - (20, 35)) / (10, 15)
    np.testing.assert_allclose(np.hypot(*offset.T), 1, atol=1e-3)


@pytest.mark.parametrize("kind", ["polygon", "path"])
def test_polygons_and_paths_are_outlines(image, kind):
    layer = Shapes([np.array(TRIANGLE.vertices)], shape_type=kind)
    assert read_shapes(layer, image, FLAT) == [TRIANGLE]


@pytest.mark.parametrize(
    ("kind", "vertices"),
    [
        ("line", [[1, 1], [5, 5]]),
        ("path", [[1, 1], [5, 5]]),
        ("path", [[1, 1], [5, 5], [9, 9]]),
        ("path", [[1, 1], [5, 7], [1, 1]]),
        ("rectangle", rectangle(3, 3, 3, 9)),
        ("rectangle", rectangle(3, 3, 3, 3)),
        ("ellipse", rectangle(3, 3, 3, 9)),
    ],
)
def test_what_holds_no_area_is_ignored(image, kind, vertices):
    layer = Shapes([np.array(vertices, float)], shape_type=kind)
    assert read_shapes(layer, image, FLAT) == []


def test_shapes_on_other_planes_do_not_count(stack):
    data = [rectangle(0, 0, 9, 9, z=z) for z in (0, 1, 2)]
    data.append(data[1] + [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]])
    layer = Shapes(data, shape_type="rectangle", scale=stack.scale, units=stack.units)
    layer.translate = stack.translate
    assert read_shapes(layer, stack, SECOND) == [BoxMark(0.5, 0.5, 9.5, 9.5)]


def test_an_empty_layer_holds_nothing(viewer, stack):
    assert read_points(create_points(viewer, stack), stack, SECOND) == []
    assert read_shapes(create_shapes(viewer, stack), stack, SECOND) == []


# Adding and removing


MARKS = [
    PointMark(3.25, 4.5),
    BoxMark(1, 2, 10, 20.5),
    PointMark(6, 7, positive=False),
    TRIANGLE,
    PointMark(3.25, 4.5),
]


def both(viewer: ViewerModel, image: Image) -> tuple[Points, Shapes]:
    return create_points(viewer, image), create_shapes(viewer, image)


def read(points: Points, shapes: Shapes, image: Image, plane: Plane) -> list:
    return [*read_points(points, image, plane), *read_shapes(shapes, image, plane)]


@pytest.mark.parametrize("plane", [SECOND, Plane((2, 0), (None, 7, None))])
def test_what_is_added_is_read(viewer, stack, plane):
    points, shapes = both(viewer, stack)
    add_marks(points, shapes, stack, plane, MARKS)
    found = read(points, shapes, stack, plane)
    assert found == [MARKS[0], MARKS[2], MARKS[4], MARKS[1], MARKS[3]]
    assert found == read(points, shapes, stack, plane)
    other = Plane(plane.axes, tuple(None if i is None else 3 for i in plane.index))
    assert read(points, shapes, stack, other) == []


@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.floats(-10, 70_000), min_size=1, max_size=5),
    turn=st.floats(-180, 180),
    scale=st.floats(0.01, 100),
    shift=st.floats(-1e4, 1e4),
    box=st.tuples(*[st.floats(0, 30_000)] * 2, *[st.floats(0.1, 30_000)] * 2),
)
def test_what_is_added_under_any_transform_is_read(rows, turn, scale, shift, box):
    image = Image(
        np.zeros((2, 2)), rotate=turn, scale=(scale, scale), translate=(shift, -shift)
    )
    points = Points(ndim=2, scale=(3, 0.5), translate=(4, shift))
    shapes = Shapes(ndim=2, rotate=image.rotate, scale=image.scale)
    shapes.translate = image.translate
    row, col, height, width = box
    marks = [PointMark(r, 2 * r) for r in rows]
    marks += [BoxMark(row, col, row + height, col + width), TRIANGLE]
    settled = [as_read(mark) for mark in marks]
    add_marks(points, shapes, image, FLAT, settled)
    found = read(points, shapes, image, FLAT)
    assert [hash(mark) for mark in found] == [hash(mark) for mark in settled]
    remove_marks(points, shapes, image, FLAT, marks)
    assert read(points, shapes, image, FLAT) == []


def test_each_layer_tells_of_it_once_and_when_all_is_there(viewer, image):
    points, shapes = both(viewer, image)
    points.add((9, 9))
    seen = {"points": watch(points), "shapes": watch(shapes)}
    read_then: list[list[PointMark]] = []
    for name in ("data", "features"):
        getattr(points.events, name).connect(
            lambda event: (
                read_then.append(read_points(points, image, FLAT))
                if str(getattr(event, "action", "changed")) == "changed"
                else None
            )
        )
    add_marks(points, shapes, image, FLAT, MARKS)
    assert seen["points"] == [("data", "changed"), ("features", "")]
    assert seen["shapes"] == [("data", "added"), ("features", "")]
    assert len(read_then) == 2
    for marks in read_then:
        assert marks == [PointMark(9, 9), MARKS[0], MARKS[2], MARKS[4]]


def test_adding_leaves_the_rest_as_it_is(viewer, image):
    points, _ = both(viewer, image)
    points.add([(1, 1), (2, 2)])
    points.features = points.features.assign(note=["a", "b"])
    points.size = [3, 4]
    points.selected_data = {0}
    set_polarity(points, False)
    add_marks(points, None, image, FLAT, [PointMark(5, 5), PointMark(6, 6, False)])
    assert points.features["note"].tolist()[:2] == ["a", "b"]
    assert points.size.tolist()[:2] == [3, 4]
    assert set(points.selected_data) == {0}
    assert not polarity_of(points)
    assert str(points.current_symbol) == "x"
    assert [str(symbol) for symbol in points.symbol] == ["disc"] * 3 + ["x"]
    signs = [mark.positive for mark in read_points(points, image, FLAT)]
    assert signs == [True, True, True, False]
    colours = points.face_color
    assert (colours[2] == colours[0]).all()
    assert (colours[3] != colours[0]).any()


def test_negative_clicks_fit_into_others_layers(image):
    layer = Points([[1, 1]])
    add_marks(layer, None, image, FLAT, [PointMark(2, 2, positive=False)])
    signs = [mark.positive for mark in read_points(layer, image, FLAT)]
    assert signs == [True, False]
    assert polarity_of(layer)


@pytest.mark.parametrize("values", COLUMNS, ids=str)
def test_others_columns_keep_their_words(image, values):
    layer = Points([[1, 1]], features=pd.DataFrame({"label": list(values)[:1]}))
    before = layer.features["label"].dtype
    add_marks(layer, None, image, FLAT, [PointMark(2, 2, positive=False)])
    assert [mark.positive for mark in read_points(layer, image, FLAT)] == [True, False]
    assert list(layer.features) == ["label"]
    if before.kind in "bif":
        assert layer.features["label"].dtype == before
    if values[0] == "Foreground":
        assert layer.features["label"].tolist() == ["Foreground", "Background"]


@pytest.mark.parametrize("known", [True, 1, 1.0, "TRUE", "foreground"])
def test_a_missing_word_is_the_opposite_of_a_known_one(image, known):
    column = pd.Series([known, None], dtype=object)
    layer = Points([[1, 1], [2, 2]], features={"polarity": column})
    layer.selected_data = {0}
    flip_polarity(layer)
    signs = [mark.positive for mark in read_points(layer, image, FLAT)]
    assert signs == [False, True]
    assert type(layer.features["polarity"][0]) is type(known)


def test_a_missing_layer_is_told(viewer, image):
    points, shapes = both(viewer, image)
    with pytest.raises(LayerError, match="There is no layer for this prompt"):
        add_marks(None, shapes, image, FLAT, [TRIANGLE, PointMark(1, 1)])
    with pytest.raises(LayerError, match="There is no layer for this prompt"):
        add_marks(points, None, image, FLAT, [PointMark(1, 1), TRIANGLE])
    assert read(points, shapes, image, FLAT) == []
    add_marks(points, None, image, FLAT, [PointMark(1, 1)])
    remove_marks(points, None, image, FLAT, [PointMark(1, 1), TRIANGLE])
    assert len(points.data) == 0


def test_masks_are_no_part_of_a_layer(viewer, image):
    points, shapes = both(viewer, image)
    mask = MaskMark.from_mask(np.ones((2, 2), bool), (0, 0, 2, 2))
    add_marks(points, shapes, image, FLAT, [mask])
    remove_marks(points, shapes, image, FLAT, [mask])
    assert read(points, shapes, image, FLAT) == []
    assert as_read(mask) is mask


def test_one_item_goes_for_each_mark(viewer, image):
    points, shapes = both(viewer, image)
    add_marks(points, shapes, image, FLAT, MARKS)
    points.features = points.features.assign(note=["a", "b", "c"])
    points.selected_data = {1}
    seen = {"points": watch(points), "shapes": watch(shapes)}
    remove_marks(points, shapes, image, FLAT, [MARKS[0], MARKS[3], PointMark(0, 0)])
    # Of the two equal ones the last one went.
    assert points.features["note"].tolist() == ["a", "b"]
    assert set(points.selected_data) == {1}
    assert read(points, shapes, image, FLAT) == [MARKS[0], MARKS[2], MARKS[1]]
    assert seen["points"] == [("data", "removed"), ("features", "")]
    assert seen["shapes"] == [("data", "removed"), ("features", "")]


def test_removing_clicks_does_not_ask_the_shapes(viewer, image):
    points, other = create_points(viewer, image), Shapes(ndim=3)
    add_marks(points, other, image, FLAT, [PointMark(1, 1)])
    remove_marks(points, other, image, FLAT, [PointMark(1, 1)])
    assert len(points.data) == 0
    add_marks(points, other, image, FLAT, [PointMark(1, 1)])
    with pytest.raises(LayerError, match="cannot lie over"):
        remove_marks(points, other, image, FLAT, [PointMark(1, 1), TRIANGLE])
    assert len(points.data) == 1


def test_removing_leaves_other_planes_and_features(viewer, stack):
    points, shapes = both(viewer, stack)
    third = Plane((1, 2), (2, None, None))
    for plane in (third, SECOND):
        add_marks(points, shapes, stack, plane, MARKS)
    shapes.features = pd.DataFrame({"note": list("abcd")})
    shapes.edge_color = ["red", "green", "blue", "white"]
    remove_marks(points, shapes, stack, SECOND, MARKS[1:4])
    kept = [MARKS[0], MARKS[2], MARKS[4], MARKS[1], MARKS[3]]
    assert read(points, shapes, stack, third) == kept
    assert read(points, shapes, stack, SECOND) == [MARKS[0], MARKS[4]]
    assert shapes.features["note"].tolist() == ["a", "b"]
    np.testing.assert_allclose(
        shapes.edge_color[:, :2], [[1, 0], [0, 0.50196]], atol=0.01
    )
    negative = [mark.positive for mark in read_points(points, stack, third)]
    assert negative == [True, False, True]


def test_removing_all_and_adding_again_gives_the_same(viewer, stack):
    points, shapes = both(viewer, stack)
    for _ in range(3):
        add_marks(points, shapes, stack, SECOND, MARKS)
        found = read(points, shapes, stack, SECOND)
        assert Counter(found) == Counter(MARKS)
        remove_marks(points, shapes, stack, SECOND, found)
        assert len(points.data) == len(shapes.data) == 0


# Positive and negative


def test_the_next_click_takes_the_side_and_the_last_one_keeps_its_own(viewer, image):
    layer = create_points(viewer, image)
    layer.add((1, 1))
    assert set(layer.selected_data) == {0}
    set_polarity(layer, False)
    assert not polarity_of(layer)
    assert [mark.positive for mark in read_points(layer, image, FLAT)] == [True]
    assert [str(symbol) for symbol in layer.symbol] == ["disc"]
    layer.add((2, 2))
    set_polarity(layer, True)
    layer.add((3, 3))
    signs = [mark.positive for mark in read_points(layer, image, FLAT)]
    assert signs == [True, False, True]
    assert layer.features["polarity"].tolist() == ["positive", "negative", "positive"]


def test_saying_the_same_again_says_nothing(viewer, image):
    layer = create_points(viewer, image)
    seen = watch(layer, "data", "features", "feature_defaults", "current_symbol")
    set_polarity(layer, True)
    assert seen == []
    set_polarity(layer, False)
    assert [name for name, _ in seen] == ["feature_defaults", "current_symbol"]


def test_selecting_a_click_takes_its_side(viewer, image):
    layer = create_points(viewer, image)
    add_marks(layer, None, image, FLAT, [PointMark(1, 1), PointMark(2, 2, False)])
    layer.selected_data = {1}
    assert not polarity_of(layer)
    layer.selected_data = {0}
    assert polarity_of(layer)
    assert str(layer.current_symbol) == "disc"


def test_flipping_turns_the_selected_and_the_next_click(viewer, image):
    layer = create_points(viewer, image)
    layer.add([(1, 1), (2, 2), (3, 3)])
    layer.features = layer.features.assign(note=["a", "b", "c"])
    layer.selected_data = {0, 2}
    colours = layer.face_color.copy()
    seen = watch(layer)
    upcoming: list[bool] = []
    layer.events.features.connect(lambda: upcoming.append(polarity_of(layer)))
    flip_polarity(layer)
    signs = [mark.positive for mark in read_points(layer, image, FLAT)]
    assert signs == [False, True, False]
    assert seen == [("features", "")]
    assert upcoming == [False]
    assert layer.features["note"].tolist() == ["a", "b", "c"]
    assert (layer.face_color[0] != colours[0]).any()
    assert (layer.face_color[1] == colours[1]).all()
    assert [str(symbol) for symbol in layer.symbol] == ["x", "disc", "x"]
    flip_polarity(layer)
    assert all(mark.positive for mark in read_points(layer, image, FLAT))
    np.testing.assert_array_equal(layer.face_color, colours)
    assert polarity_of(layer)


def test_while_points_are_added_only_the_next_click_is_flipped(viewer, image):
    layer = create_points(viewer, image)
    layer.mode = "add"
    layer.add((1, 1))
    assert layer.selected_data == {0}  # napari's doing
    flip_polarity(layer)
    layer.add((2, 2))
    assert [m.positive for m in read_points(layer, image, FLAT)] == [True, False]


def test_without_a_selection_only_the_next_click_is_flipped(viewer, image):
    layer = create_points(viewer, image)
    layer.add((1, 1))
    layer.selected_data = set()
    flip_polarity(layer)
    assert not polarity_of(layer)
    assert read_points(layer, image, FLAT) == [PointMark(1, 1)]


@pytest.mark.parametrize("values", [None, *COLUMNS], ids=str)
def test_others_layers_are_flipped_in_their_words(image, values):
    features = None if values is None else pd.DataFrame({"label": values})
    layer = Points([[1, 1], [2, 2]], features=features)
    before = [mark.positive for mark in read_points(layer, image, FLAT)]
    symbols = layer.symbol.tolist()
    layer.selected_data = {0, 1}
    flip_polarity(layer)
    after = [mark.positive for mark in read_points(layer, image, FLAT)]
    assert after == [not positive for positive in before]
    assert layer.symbol.tolist() == symbols
    set_polarity(layer, True)
    layer.data = np.array([[1, 1], [2, 2], [3, 3]])
    set_polarity(layer, False)
    layer.data = np.array([[1, 1], [2, 2], [3, 3], [4, 4]])
    marks = read_points(layer, image, FLAT)
    assert [mark.positive for mark in marks[2:]] == [True, False]


def test_everything_works_through_proxies(viewer, stack):
    proxy = ObjectProxy(viewer)  # as napari hands viewers and layers to plugins
    image = ObjectProxy(viewer.layers[0])
    points, shapes = map(ObjectProxy, both(proxy, image))
    assert is_owned(points)
    plane = shown_plane(proxy, image)
    add_marks(points, shapes, image, plane, MARKS)
    assert Counter(read(points, shapes, image, plane)) == Counter(MARKS)
    points.selected_data = {0}
    flip_polarity(points)
    set_polarity(points, True)
    assert polarity_of(points)
    signs = [mark.positive for mark in read_points(points, image, plane)]
    assert signs == [False, False, True]
    remove_marks(points, shapes, image, plane, read(points, shapes, image, plane))
    assert len(points.data) == len(shapes.data) == 0
