"""Objects are written as one step that can be undone, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.settings import get_settings

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.labels import (
    Overlap,
    check_id,
    check_labels,
    create_labels,
    find_label,
    revert,
    write_object,
    write_objects,
)

FLAT = Plane((0, 1), (None, None))
#: An L, which no flip or turn brings to itself.
SHAPE = np.array([[1, 0], [1, 0], [1, 1]], bool)
BBOX = (2, 3, 5, 5)
INTEGERS = ["uint8", "int16", "uint16", "int32", "uint32", "int64"]


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.zeros((8, 10), np.uint8), name="cells")


def test_new_labels_lie_on_the_image(viewer):
    image = viewer.add_image(
        np.zeros((3, 8, 10, 3), np.uint8),
        rgb=True,
        name="cells",
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        units=("um", "nm", "nm"),
        axis_labels=("z", "y", "x"),
    )

    labels = create_labels(viewer, image)

    assert labels.data.shape == (3, 8, 10)
    assert labels.data.dtype == np.uint16
    assert labels.name == "cells objects"
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels
    corner = (2, 7, 9)
    assert labels.data_to_world(corner) == pytest.approx(image.data_to_world(corner))


def test_new_labels_have_the_full_resolution(viewer):
    image = viewer.add_image(
        [np.zeros((64, 80)), np.zeros((32, 40))], multiscale=True, rotate=20
    )

    labels = create_labels(viewer, image)

    assert labels.data.shape == (64, 80)
    assert labels.data_to_world((9, 4)) == pytest.approx(image.data_to_world((9, 4)))


def test_new_labels_do_not_take_the_selection(viewer, image):
    points = viewer.add_points(np.zeros((1, 2)), name="clicks")
    viewer.layers.selection.add(image)
    step = viewer.dims.current_step

    labels = create_labels(viewer, image)

    assert [layer.name for layer in viewer.layers] == [
        "cells",
        "cells objects",
        "clicks",
    ]
    assert set(viewer.layers.selection) == {image, points}
    assert labels not in viewer.layers.selection
    assert viewer.dims.current_step == step


@pytest.mark.parametrize("dtype", INTEGERS)
def test_an_object_becomes_its_number(viewer, image, dtype):
    labels = viewer.add_labels(np.zeros((8, 10), dtype))
    number = min(300, np.iinfo(dtype).max)

    edit = write_object(labels, image, FLAT, SHAPE, BBOX, number)

    expected = np.zeros((8, 10), dtype)
    expected[2:5, 3:5][SHAPE] = number
    np.testing.assert_array_equal(labels.data, expected)
    assert edit.size == 4
    np.testing.assert_array_equal(edit.after, [number] * 4)


def test_one_call_makes_one_step(viewer, image):
    before = np.zeros((8, 10), np.uint16)
    before[1:6, 4:9] = 5
    before[2, 2] = 7
    labels = viewer.add_labels(before.copy())
    steps = []
    labels.events.paint.connect(lambda event: steps.append(event.value))

    write_object(labels, image, FLAT, SHAPE, BBOX, 7, Overlap.REPLACE)

    (step,) = steps
    assert len(step) == 1  # one call
    _, old, new = step[0]
    assert (old != new).all()  # changed pixels only
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    labels.redo()
    assert (labels.data[2:5, 3:5][SHAPE] == 7).all()


def test_large_objects_are_one_step_too(viewer):
    image = viewer.add_image(np.zeros((900, 700), np.uint8))
    labels = create_labels(viewer, image)
    mask = np.ones((800, 600), bool)
    mask[300:310] = False
    steps, drawn = [], []
    labels.events.paint.connect(steps.append)
    labels.events.labels_update.connect(drawn.append)

    edit = write_object(labels, image, FLAT, mask, (50, 50, 850, 650), 3)

    assert len(steps) == 1
    (draw,) = drawn  # once, and all of it
    assert draw.offset == [50, 50]
    assert draw.data.shape == (800, 600)
    assert edit.size == mask.sum()
    np.testing.assert_array_equal(labels.data[50:850, 50:650] == 3, mask)
    labels.undo()
    assert not labels.data.any()


@pytest.fixture
def crowded(viewer, image):
    """Labels with others' pixels, own former ones, and background."""
    data = np.zeros((8, 10), np.uint16)
    data[2:4, 2:4] = 5  # another object; SHAPE covers [2:4, 3] of it
    data[4, 3:8] = 7  # the object's own; SHAPE covers [4, 3:5]
    return viewer.add_labels(data)


@pytest.mark.parametrize(
    ("overlap", "others", "own"),
    [
        (Overlap.KEEP, 4, [(4, 3), (4, 4)]),
        (Overlap.REPLACE, 2, [(2, 3), (3, 3), (4, 3), (4, 4)]),
        (Overlap.BACKGROUND, 4, [(4, col) for col in range(3, 8)]),
    ],
)
def test_overlap_decides_who_gets_pixels(image, crowded, overlap, others, own):
    former = (np.ones((1, 5), bool), (4, 3, 5, 8))

    write_object(crowded, image, FLAT, SHAPE, BBOX, 7, overlap, former=former)

    assert (crowded.data == 5).sum() == others
    assert [tuple(place) for place in np.argwhere(crowded.data == 7)] == own


def test_own_pixels_far_from_the_former_box_stay(image, crowded):
    crowded.data[7, 9] = 7

    write_object(crowded, image, FLAT, SHAPE, BBOX, 7)

    assert crowded.data[7, 9] == 7
    assert crowded.data[4, 7] == 7


def test_an_object_below_others_changes_nothing(viewer, image):
    labels = viewer.add_labels(np.full((8, 10), 5, np.uint16))
    steps = []
    labels.events.paint.connect(steps.append)

    edit = write_object(labels, image, FLAT, SHAPE, BBOX, 7)

    assert edit.size == 0
    assert steps == []


def test_many_objects_are_one_step(viewer, image):
    data = np.zeros((8, 10), np.uint16)
    data[0, 0] = 9
    labels = viewer.add_labels(data.copy())
    ids = np.array([[1, 1, 0], [2, 0, 3]], np.uint16)
    steps = []
    labels.events.paint.connect(steps.append)

    edit = write_objects(
        labels, image, FLAT, ids, (0, 0, 2, 3), numbers={1: 300, 2: 301}
    )

    assert len(steps) == 1
    np.testing.assert_array_equal(labels.data[:2, :3], [[9, 300, 0], [301, 0, 0]])
    assert edit.size == 2
    labels.undo()
    np.testing.assert_array_equal(labels.data, data)


@pytest.mark.parametrize(
    ("overlap", "corner"),
    [(Overlap.KEEP, 9), (Overlap.BACKGROUND, 9), (Overlap.REPLACE, 40)],
)
def test_many_objects_with_their_numbers(viewer, image, overlap, corner):
    data = np.zeros((8, 10), np.uint16)
    data[0, 0] = 9
    labels = viewer.add_labels(data)

    write_objects(labels, image, FLAT, np.array([[40, 41]]), (0, 0, 1, 2), overlap)

    assert labels.data[0, :2].tolist() == [corner, 41]


def test_many_objects_that_do_not_fit_change_nothing(viewer, image):
    labels = viewer.add_labels(np.zeros((8, 10), np.uint8))

    with pytest.raises(LayerError, match="255"):
        write_objects(labels, image, FLAT, np.array([[255, 256]]), (0, 0, 1, 2))

    assert not labels.data.any()


def test_revert_spares_what_was_done_since(image, crowded):
    before = crowded.data.copy()
    edit = write_object(crowded, image, FLAT, SHAPE, BBOX, 8, Overlap.REPLACE)
    crowded.data_setitem((np.array([3]), np.array([3])), 9)

    undone = revert(crowded, edit)

    before[3, 3] = 9
    np.testing.assert_array_equal(crowded.data, before)
    assert undone.size == edit.size - 1
    revert(crowded, undone)
    assert (crowded.data == 8).sum() == edit.size - 1


def test_revert_on_other_data_refuses(image, crowded):
    edit = write_object(crowded, image, FLAT, SHAPE, BBOX, 8)
    crowded.data = np.zeros((3, 3), np.uint16)

    with pytest.raises(LayerError, match="shape"):
        revert(crowded, edit)


def test_indices_are_those_of_the_layer(viewer):
    image = viewer.add_image(np.zeros((4, 6, 5), np.uint8))
    labels = create_labels(viewer, image)

    plane = Plane((2, 0), (None, 3, None))
    edit = write_object(labels, image, plane, SHAPE, (0, 1, 3, 3), 6)

    assert (labels.data[edit.indices] == 6).all()
    assert len(edit.indices) == labels.ndim
    assert edit.size == (labels.data == 6).sum() == 4


@pytest.mark.parametrize("axes", [(1, 2), (2, 1), (0, 2), (2, 0), (0, 1), (1, 0)])
def test_planes_of_a_stack_in_any_order(viewer, axes):
    image = viewer.add_image(np.zeros((6, 7, 8), np.uint8))
    labels = create_labels(viewer, image)
    (hidden,) = {0, 1, 2} - set(axes)
    index = [None, None, None]
    index[hidden] = 4
    plane = Plane(axes, tuple(index))

    write_object(labels, image, plane, SHAPE, BBOX, 9)

    shown = np.moveaxis(labels.data, (hidden, *axes), (0, 1, 2))
    expected = np.zeros(shown.shape, np.uint16)
    expected[4, 2:5, 3:5][SHAPE] = 9
    np.testing.assert_array_equal(shown, expected)
    mask, bbox = find_label(labels, image, plane, 9)
    np.testing.assert_array_equal(mask, SHAPE)
    assert bbox == BBOX


def truth(labels, image, mask, bbox):
    """Ask the nearest image pixel for each label pixel, one by one."""
    result = np.zeros(labels.data.shape, bool)
    for place in np.ndindex(result.shape):
        row, col = image.world_to_data(labels.data_to_world(place))
        row, col = round(row - bbox[0]), round(col - bbox[1])
        if 0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]:
            result[place] = mask[row, col]
    return result


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (2.1, 2.1)},
        {"scale": (0.4, 0.7), "translate": (0.13, 0.2)},
        {"translate": (-3, 2)},
        {"scale": (-1, 1), "translate": (9, 0)},
        {"rotate": 90, "translate": (20.3, 0.1)},
        {"rotate": 33, "translate": (6.1, -4.3)},
        {"shear": [0.4]},
        {"affine": [[1.3, 0.2, 1.1], [-0.3, 0.8, 2.2], [0, 0, 1]]},
    ],
)
def test_labels_may_lie_otherwise_than_the_image(viewer, place):
    rng = np.random.default_rng(0)
    mask = rng.random((9, 7)) > 0.4
    bbox = (3, 2, 12, 9)
    image = viewer.add_image(
        np.zeros((14, 12), np.uint8), scale=(1.07, 0.9), translate=(0.31, -0.17)
    )
    labels = viewer.add_labels(np.zeros((25, 27), np.uint16), **place)

    write_object(labels, image, FLAT, mask, bbox, 4)

    expected = truth(labels, image, mask, bbox)
    assert expected.any()
    np.testing.assert_array_equal(labels.data == 4, expected)


def test_units_count(viewer):
    image = viewer.add_image(
        np.zeros((8, 10), np.uint8), scale=(500, 500), units=("nm", "nm")
    )
    labels = viewer.add_labels(
        np.zeros((8, 10), np.uint16), scale=(0.5, 0.5), units=("um", "um")
    )

    write_object(labels, image, FLAT, SHAPE, BBOX, 4)

    np.testing.assert_array_equal(labels.data[2:5, 3:5] == 4, SHAPE)
    assert (labels.data == 4).sum() == 4


def test_rounding_far_from_the_origin_moves_no_pixel(viewer):
    place = {"scale": (0.1, 0.3), "translate": (1e6 + 0.1, -3e5 - 0.7), "rotate": 7}
    image = viewer.add_image(np.zeros((900, 700), np.uint8), **place)
    labels = viewer.add_labels(np.zeros((900, 700), np.uint16), **place)
    mask = np.indices((800, 600)).sum(axis=0) % 2 == 0

    write_object(labels, image, FLAT, mask, (50, 60, 850, 660), 4)

    np.testing.assert_array_equal(labels.data[50:850, 60:660] == 4, mask)


def test_flat_labels_over_a_stack(viewer):
    image = viewer.add_image(np.zeros((4, 8, 10), np.uint8))
    labels = viewer.add_labels(np.zeros((8, 10), np.uint16))

    write_object(labels, image, Plane((1, 2), (3, None, None)), SHAPE, BBOX, 4)

    np.testing.assert_array_equal(labels.data[2:5, 3:5] == 4, SHAPE)


def test_labels_of_a_coarser_stack(viewer):
    image = viewer.add_image(np.zeros((8, 8, 10), np.uint8))
    labels = viewer.add_labels(np.zeros((4, 8, 10), np.uint16), scale=(2, 1, 1))

    write_object(labels, image, Plane((1, 2), (6, None, None)), SHAPE, BBOX, 4)

    assert (labels.data[3, 2:5, 3:5] == 4).sum() == (labels.data == 4).sum() == 4


@pytest.mark.parametrize(
    ("shape", "place", "plane", "reason"),
    [
        ((4, 8, 10), {"translate": (9, 0, 0)}, (1, 2), "reach"),
        ((8, 10), {}, (0, 2), "lacks an axis"),
        ((4, 8, 10), {"rotate": (10, 0, 0)}, (0, 2), "askew"),
        ((5, 4, 8, 10), {}, (1, 2), "4 dimensions"),
    ],
)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_labels_without_that_plane_refuse(viewer, shape, place, plane, reason):
    image = viewer.add_image(np.zeros((4, 8, 10), np.uint8))
    labels = viewer.add_labels(np.zeros(shape, np.uint16), **place)
    index = tuple(None if axis in plane else 1 for axis in range(3))

    with pytest.raises(LayerError, match=f"{reason}.*choose"):
        write_object(labels, image, Plane(plane, index), SHAPE, BBOX, 4)

    assert not labels.data.any()


def test_an_extra_axis_of_size_one_is_no_question(viewer, image):
    labels = viewer.add_labels(np.zeros((1, 8, 10), np.uint16), translate=(7, 0, 0))

    write_object(labels, image, FLAT, SHAPE, BBOX, 4)

    np.testing.assert_array_equal(labels.data[0, 2:5, 3:5] == 4, SHAPE)


@pytest.mark.parametrize("place", [{"translate": (50, 50)}, {"scale": (40, 40)}])
def test_an_object_without_a_pixel_refuses(viewer, image, place):
    labels = viewer.add_labels(np.zeros((8, 10), np.uint16), **place)

    with pytest.raises(LayerError, match="covers no pixel"):
        write_object(labels, image, FLAT, SHAPE, BBOX, 4)


def test_an_object_half_outside_the_labels_is_cut(viewer, image):
    labels = viewer.add_labels(np.zeros((4, 10), np.uint16))

    write_object(labels, image, FLAT, SHAPE, BBOX, 4)

    assert [tuple(one) for one in np.argwhere(labels.data)] == [(2, 3), (3, 3)]


def read_only(array):
    array.flags.writeable = False
    return array


def read_only_zarr(array):
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, shape=array.shape, dtype=array.dtype)
    return zarr.open_array(store, mode="r")


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (read_only, r"r\+.*add_labels\(numpy.array\(.*\.data\)"),
        (read_only_zarr, r"r\+"),
        (lambda a: [read_only(a), a[::2, ::2]], r"r\+.*data\[0\]"),
        (lambda a: [a, read_only_zarr(a[::2, ::2])], r"a size.*number 1.*r\+"),
    ],
    ids=["numpy", "zarr", "multiscale", "a size"],
)
def test_what_cannot_be_written_says_how_to_go_on(viewer, image, make, remedy):
    labels = viewer.add_labels(make(np.zeros((8, 10), np.uint16)))

    with pytest.raises(LayerError, match=remedy):
        write_object(labels, image, FLAT, SHAPE, BBOX, 4)


def test_labels_on_disk_opened_for_reading_refuse(viewer, image, tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros((8, 10), np.uint16))
    labels = viewer.add_labels(np.load(tmp_path / "labels.npy", mmap_mode="r"))

    with pytest.raises(LayerError, match="read-only"):
        check_labels(labels, image)


def test_locked_labels_refuse(viewer, image):
    labels = viewer.add_labels(np.zeros((8, 10), np.uint16))
    labels.editable = False

    with pytest.raises(LayerError, match="editable = True"):
        check_labels(labels, image)


def test_other_layers_are_no_labels(image):
    with pytest.raises(LayerError, match="Labels layer"):
        check_labels(image)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16"])
def test_numbers_must_fit_the_type(viewer, dtype):
    labels = viewer.add_labels(np.zeros((4, 4), dtype))
    largest = int(np.iinfo(dtype).max)

    check_id(labels, largest)

    for number in (0, largest + 1):
        with pytest.raises(LayerError, match=f"{dtype}.*{largest}.*Convert data type"):
            check_id(labels, number)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_zarr_arrays_are_written_as_one_step(viewer, dtype):
    image = viewer.add_image(np.zeros((4, 8, 10), np.uint8))
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(4, 8, 10), chunks=(1, 4, 4), dtype=dtype
    )
    array[2, 3, 3] = 9
    labels = viewer.add_labels(array)
    viewer.dims.set_point(0, 2)
    plane = Plane((1, 2), (2, None, None))

    edit = write_object(labels, image, plane, SHAPE, BBOX, 200)

    assert array[2, 2:5, 3:5].tolist() == [[200, 0], [9, 0], [200, 200]]
    assert labels.get_value((2, 4, 4), world=True) == 200  # what is shown, too
    assert edit.size == 3
    labels.undo()
    assert np.count_nonzero(array[:]) == 1


class SlicesOnly:
    """An array like h5py's: basic indices, and no arrays of indices."""

    def __init__(self, array, broken=False):
        self.array, self.broken = array, broken
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        if any(isinstance(one, np.ndarray) for one in np.atleast_1d(key)):
            raise TypeError("no arrays of indices")
        return self.array[key].copy()

    def __setitem__(self, key, value):
        if self.broken:
            raise OSError("disk full")
        self.array[key] = value


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_arrays_that_only_know_slices(viewer, axes):
    image = viewer.add_image(np.zeros((8, 10), np.uint8))
    array = np.zeros((8, 10), np.uint16)
    labels = viewer.add_labels(SlicesOnly(array))
    plane = Plane(axes, (None, None))

    edit = write_object(labels, image, plane, SHAPE, BBOX, 4)

    shown = array if axes == (0, 1) else array.T
    np.testing.assert_array_equal(shown[2:5, 3:5] == 4, SHAPE)
    assert labels.get_value((4, 4) if axes == (0, 1) else (3, 2)) == 4
    revert(labels, edit)
    assert not array.any()


def test_a_full_disk_is_told_before_anything_changes(viewer, image):
    labels = viewer.add_labels(SlicesOnly(np.zeros((8, 10), np.uint16), broken=True))

    with pytest.raises(LayerError, match="disk full"):
        write_object(labels, image, FLAT, SHAPE, BBOX, 4)


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
@pytest.mark.parametrize(
    "look",
    [
        lambda viewer, labels: setattr(labels, "visible", False),
        lambda viewer, labels: viewer.dims.set_point(0, 30),
        lambda viewer, labels: setattr(viewer.dims, "ndisplay", 3),
        lambda viewer, labels: setattr(viewer.dims, "order", (2, 0, 1)),
        lambda viewer, labels: setattr(labels, "contour", 1),
    ],
    ids=["hidden", "elsewhere", "3D", "transposed", "contour"],
)
def test_whatever_is_shown(viewer, dtype, look):
    image = viewer.add_image(np.zeros((40, 8, 10), np.uint8))
    labels = viewer.add_labels(np.zeros((6, 8, 10), dtype))
    look(viewer, labels)

    write_object(labels, image, Plane((1, 2), (2, None, None)), SHAPE, BBOX, 300)

    np.testing.assert_array_equal(labels.data[2, 2:5, 3:5] == 300, SHAPE)
    labels.undo()
    assert not labels.data.any()


@pytest.mark.parametrize("visible", [True, False])
def test_layers_that_are_not_loaded_yet(visible):
    get_settings().experimental.async_ = True
    try:
        viewer = ViewerModel()
        image = viewer.add_image(np.zeros((8, 10), np.uint8))
        labels = viewer.add_labels(np.zeros((8, 10), np.int32), visible=visible)

        write_object(labels, image, FLAT, SHAPE, BBOX, 300)

        np.testing.assert_array_equal(labels.data[2:5, 3:5] == 300, SHAPE)
        labels.undo()
        assert not labels.data.any()
    finally:
        get_settings().experimental.async_ = False


def test_a_label_is_found_completely(viewer):
    image = viewer.add_image(np.zeros((3000, 900), np.uint8))
    data = np.zeros((3000, 900), np.uint16)
    data[5, 800] = data[2990:2995, 7] = data[1500, 300] = 4
    data[100:200, 100:200] = 3
    labels = viewer.add_labels(data)

    mask, bbox = find_label(labels, image, FLAT, 4)

    assert bbox == (5, 7, 2995, 801)
    np.testing.assert_array_equal(mask, data[5:2995, 7:801] == 4)
    assert find_label(labels, image, FLAT, 5) is None


def test_a_label_is_found_in_chunks(viewer):
    image = viewer.add_image(np.zeros((70, 90), np.uint8))
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(70, 90), chunks=(16, 16), dtype=np.uint16
    )
    array[60:65, 3:9] = 4
    labels = viewer.add_labels(array)

    mask, bbox = find_label(labels, image, FLAT, 4)

    assert bbox == (60, 3, 65, 9)
    assert mask.all()


def test_a_label_outside_the_image_is_not_found(viewer, image):
    data = np.zeros((8, 30), np.uint16)
    data[3, 20] = 4
    data[4, 8:15] = 6
    labels = viewer.add_labels(data)

    assert find_label(labels, image, FLAT, 4) is None
    _, bbox = find_label(labels, image, FLAT, 6)
    assert bbox == (4, 8, 5, 10)


@pytest.mark.parametrize(
    "place", [{"scale": (2, 2), "translate": (0.5, 0.5)}, {"rotate": 25}]
)
def test_what_was_written_is_found_and_cleared(viewer, place):
    rows, cols = np.mgrid[:60, :60]
    disc = np.hypot(rows - 30, cols - 30) < 25
    image = viewer.add_image(np.zeros((100, 120), np.uint8))
    labels = viewer.add_labels(np.zeros((100, 120), np.uint16), **place)
    write_object(labels, image, FLAT, disc, (20, 30, 80, 90), 4)

    former = find_label(labels, image, FLAT, 4)
    mask, bbox = former
    whole = np.zeros((100, 120), bool)
    whole[bbox[0] : bbox[2], bbox[1] : bbox[3]] = mask
    painted = np.zeros_like(whole)
    painted[20:80, 30:90] = disc
    assert (whole & painted).sum() / (whole | painted).sum() > 0.9

    write_object(
        labels, image, FLAT, np.ones((9, 9), bool), (50, 60, 59, 69), 4, former=former
    )
    _, bbox = find_label(labels, image, FLAT, 4)
    assert bbox[0] >= 49
    assert bbox[2] <= 60
