"""Masks after cleaning, drawn: ``#`` is object, ``.`` is background."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_sam3.core.cleanup import clean
from napari_sam3.core.errors import PromptError


def mask(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def drawn(array: np.ndarray) -> list[str]:
    return ["".join(".#"[int(pixel)] for pixel in row) for row in array]


# A hole of one pixel at (1, 1), one of two at (1, 3) and (1, 4).
HOLES = mask(
    "######",
    "#.#..#",
    "######",
)

# Components of one, two and six pixels.
SPRINKLES = mask(
    "#..##...",
    "......##",
    "......##",
    "......##",
)


# ---- nothing to do ----------------------------------------------------------


def test_by_default_nothing_is_changed():
    assert drawn(clean(HOLES)) == drawn(HOLES)
    assert drawn(clean(SPRINKLES)) == drawn(SPRINKLES)


def test_the_given_mask_is_left_alone():
    given_mask = HOLES.copy()
    cleaned = clean(given_mask, max_hole_area=9, negative=[[0, 0]])
    assert drawn(given_mask) == drawn(HOLES)
    assert not np.shares_memory(cleaned, given_mask)
    assert not np.shares_memory(clean(given_mask), given_mask)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 4)])
def test_an_empty_mask_stays_empty(shape):
    empty = np.zeros(shape, bool)
    cleaned = clean(
        empty,
        max_hole_area=5,
        max_sprinkle_area=5,
        keep_clicked=True,
        positive=[[1, 1]],
        negative=[[2, 2]],
    )
    assert cleaned.shape == shape
    assert cleaned.dtype == np.bool_
    assert not cleaned.any()


def test_a_full_mask_stays_full():
    full = np.ones((3, 4), bool)
    assert clean(full, max_hole_area=50, max_sprinkle_area=50).all()


# ---- holes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("area", "middle"),
    [
        (0, "#.#..#"),
        (0.9, "#.#..#"),
        (1, "###..#"),
        (1.9, "###..#"),
        (2, "######"),
        (np.inf, "######"),
    ],
)
def test_holes_of_up_to_the_area_are_filled(area, middle):
    assert drawn(clean(HOLES, max_hole_area=area))[1] == middle


def test_bays_are_no_holes():
    bay_and_hole = mask(
        "......",
        ".####.",
        "...#.#",
        ".####.",
        "......",
    )
    assert drawn(clean(bay_and_hole, max_hole_area=99)) == [
        "......",
        ".####.",
        "...###",
        ".####.",
        "......",
    ]


def test_background_at_the_border_is_no_hole():
    notched = mask(
        "#.###",
        "###.#",
        ".####",
    )
    assert drawn(clean(notched, max_hole_area=99)) == ["#.###", "#####", ".####"]


def test_diagonal_neighbours_enclose_a_hole():
    diamond = mask(
        "..#..",
        ".#.#.",
        "..#..",
    )
    assert drawn(clean(diamond, max_hole_area=1)) == ["..#..", ".###.", "..#.."]


def test_holes_that_touch_at_a_corner_are_two():
    steps = mask(
        "####",
        "#.##",
        "##.#",
        "####",
    )
    assert clean(steps, max_hole_area=1).all()


def test_what_lies_in_a_hole_does_not_count():
    nucleus = mask(
        "#####",
        "#...#",
        "#.#.#",
        "#...#",
        "#####",
    )
    assert drawn(clean(nucleus, max_hole_area=7)) == drawn(nucleus)
    assert clean(nucleus, max_hole_area=8).all()


def test_filling_leaves_no_pit_where_a_sprinkle_was():
    nucleus = np.ones((5, 5), bool)
    nucleus[1:4, 1:4] = mask("...", ".#.", "...")
    assert clean(nucleus, max_hole_area=8, max_sprinkle_area=1).all()


# ---- sprinkles --------------------------------------------------------------


@pytest.mark.parametrize(
    ("area", "first_row"),
    [
        (0, "#..##..."),
        (0.9, "#..##..."),
        (1, "...##..."),
        (1.9, "...##..."),
        (2, "........"),
    ],
)
def test_components_of_up_to_the_area_are_removed(area, first_row):
    expected = [first_row, *drawn(SPRINKLES)[1:]]
    assert drawn(clean(SPRINKLES, max_sprinkle_area=area)) == expected


def test_diagonal_neighbours_are_one_component():
    line = mask(
        "#....##",
        ".#...##",
        "..#..##",
    )
    assert drawn(clean(line, max_sprinkle_area=2)) == drawn(line)


def test_the_largest_is_kept_if_all_are_small():
    expected = ["........", *drawn(SPRINKLES)[1:]]
    assert drawn(clean(SPRINKLES, max_sprinkle_area=99)) == expected


def test_of_equals_the_uppermost_is_kept():
    dots = mask("...#", "#...", "..#.")
    assert drawn(clean(dots, max_sprinkle_area=1)) == ["...#", "....", "...."]


def test_a_clicked_sprinkle_is_kept():
    cleaned = clean(SPRINKLES, max_sprinkle_area=2, positive=[[0, 3]])
    assert drawn(cleaned)[0] == "...##..."


def test_only_the_clicked_is_kept_if_all_are_small():
    cleaned = clean(SPRINKLES, max_sprinkle_area=99, positive=[[0, 0]])
    assert drawn(cleaned) == ["#.......", "........", "........", "........"]


def test_an_object_counts_with_its_filled_holes():
    ring = mask(
        "###...#",
        "#.#....",
        "###....",
    )
    cleaned = clean(ring, max_hole_area=1, max_sprinkle_area=8)
    assert drawn(cleaned) == ["###....", "###....", "###...."]


# ---- negative clicks --------------------------------------------------------


def test_a_hole_with_a_negative_click_stays_open():
    cleaned = clean(HOLES, max_hole_area=9, negative=[[1, 4]])
    assert drawn(cleaned) == ["######", "###..#", "######"]


@pytest.mark.parametrize("area", [0, 9])
def test_a_negative_click_takes_its_pixel_out_and_no_more(area):
    full = np.ones((3, 4), bool)
    cleaned = clean(full, max_hole_area=area, negative=[[1, 2]])
    assert drawn(cleaned) == ["####", "##.#", "####"]


def test_a_negative_click_outdoes_a_positive_one():
    cleaned = clean(np.ones((1, 3), bool), positive=[[0, 1]], negative=[[0, 1]])
    assert drawn(cleaned) == ["#.#"]


# ---- keep_clicked -----------------------------------------------------------


def test_keep_clicked_keeps_what_is_clicked():
    cleaned = clean(SPRINKLES, keep_clicked=True, positive=[[0, 0], [0, 4]])
    assert drawn(cleaned) == ["#..##...", "........", "........", "........"]


@pytest.mark.parametrize("positive", [None, [], [[3, 0]], [[99, 99]]])
def test_keep_clicked_keeps_all_if_nothing_is_clicked(positive):
    cleaned = clean(SPRINKLES, keep_clicked=True, positive=positive)
    assert drawn(cleaned) == drawn(SPRINKLES)


def test_keep_clicked_removes_sprinkles_if_nothing_is_clicked():
    cleaned = clean(SPRINKLES, keep_clicked=True, max_sprinkle_area=1)
    assert drawn(cleaned)[0] == "...##..."


def test_without_keep_clicked_all_is_kept():
    assert drawn(clean(SPRINKLES, positive=[[0, 0]])) == drawn(SPRINKLES)


def test_a_click_into_a_filled_hole_hits_the_object():
    ring = mask(
        "###..##",
        "#.#..##",
        "###..##",
    )
    cleaned = clean(ring, max_hole_area=1, keep_clicked=True, positive=[[1, 1]])
    assert drawn(cleaned) == ["###....", "###....", "###...."]


# ---- where the clicks are ---------------------------------------------------


@pytest.mark.parametrize(
    ("point", "hit"),
    [
        ((0, 0), (0, 0)),
        ((1.4, 1.6), (1, 2)),
        ((0.5, 1.5), (1, 2)),
        ((-0.5, -0.5), (0, 0)),
        ((2.5, 3.5), (2, 3)),  # the image's lower right corner
        ((2.5, 0), (2, 0)),
    ],
)
def test_a_click_falls_on_the_nearest_pixel(point, hit):
    cleaned = clean(np.ones((3, 4), bool), negative=[point])
    assert np.argwhere(~cleaned).tolist() == [list(hit)]


def test_clicks_are_pixels_of_the_image():
    cleaned = clean(np.ones((2, 3), bool), negative=[[11, 22]], origin=(10, 20))
    assert drawn(cleaned) == ["###", "##."]


@pytest.mark.parametrize("point", [(-1, 0), (0, -0.6), (2, 0), (0, 3), (1e300, 0)])
def test_clicks_outside_the_crop_say_nothing(point):
    assert clean(np.ones((2, 3), bool), negative=[point]).all()


def test_the_edge_of_a_crop_is_not_the_edge_of_the_image():
    full = np.ones((2, 3), bool)
    assert clean(full, negative=[[1.5, 0]], image_shape=(9, 9)).all()
    at_edge = clean(full, negative=[[1.5, 0]], image_shape=(2, 9))
    assert drawn(at_edge) == ["###", ".##"]


# ---- errors -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["max_hole_area", "max_sprinkle_area"])
@pytest.mark.parametrize("area", [-1, -0.1, np.nan])
def test_areas_must_not_be_negative(name, area):
    with pytest.raises(PromptError, match=f"{name}.*0 to turn it off"):
        clean(HOLES, **{name: area})


@pytest.mark.parametrize(
    "value",
    [HOLES.astype(np.uint8), HOLES.astype(float), HOLES[None], HOLES[0], [[True]]],
)
def test_masks_must_be_bool_and_flat(value):
    with pytest.raises(PromptError, match="logits > 0"):
        clean(value)


@pytest.mark.parametrize("points", [[1, 2], [[1, 2, 3]], [[np.nan, 0]], "ab", [[1], 2]])
@pytest.mark.parametrize("name", ["positive", "negative"])
def test_clicks_must_be_pairs_of_numbers(name, points):
    with pytest.raises(PromptError, match="Clicks must be"):
        clean(HOLES, **{name: points})


# ---- properties -------------------------------------------------------------

MASKS = npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=9))
AREAS = st.integers(0, 12) | st.just(999)
CLICKS = st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 9)), max_size=4)
OPTIONS = st.fixed_dictionaries(
    {
        "max_hole_area": AREAS,
        "max_sprinkle_area": AREAS,
        "positive": CLICKS,
        "negative": CLICKS,
        "keep_clicked": st.booleans(),
    }
)


def neighbours(array: np.ndarray, row: int, col: int, *, corners: bool) -> list:
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)] if corners else []
    around = [(row + down, col + right) for down, right in steps]
    return [
        p
        for p in around
        if all(0 <= i < n for i, n in zip(p, array.shape, strict=True))
    ]


def pieces(array: np.ndarray, *, corners: bool) -> list[set[tuple[int, int]]]:
    """Flood fill, one pixel after the other: the slow and plain truth."""
    left = {(int(row), int(col)) for row, col in np.argwhere(array)}
    found = []
    while left:
        piece, front = set(), [left.pop()]
        while front:
            pixel = front.pop()
            piece.add(pixel)
            near = left.intersection(neighbours(array, *pixel, corners=corners))
            left -= near
            front += near
        found.append(piece)
    return sorted(found, key=min)


def plainly_cleaned(
    array, max_hole_area, max_sprinkle_area, positive, negative, keep_clicked
):
    result = array.copy()
    for row, col in negative:
        if 0 <= row < array.shape[0] and 0 <= col < array.shape[1]:
            result[row, col] = False
    for hole in pieces(~result, corners=False):
        is_open = any(
            len(neighbours(array, *pixel, corners=False)) < 4 for pixel in hole
        )
        if len(hole) <= max_hole_area and not is_open and not hole & set(negative):
            result[tuple(zip(*hole, strict=True))] = True
    components = pieces(result, corners=True)
    clicked = [c for c in components if c & set(positive)]
    kept = [c for c in components if c in clicked or len(c) > max_sprinkle_area]
    if keep_clicked and clicked:
        kept = clicked
    elif not kept and components:
        kept = [max(components, key=len)]
    result[:] = False
    for component in kept:
        result[tuple(zip(*component, strict=True))] = True
    return result


@settings(max_examples=300, deadline=None)
@given(MASKS, OPTIONS)
def test_it_is_what_a_flood_fill_gives(array, options):
    assert drawn(clean(array, **options)) == drawn(plainly_cleaned(array, **options))


@settings(max_examples=200, deadline=None)
@given(MASKS, OPTIONS)
def test_cleaning_twice_changes_nothing_more(array, options):
    once = clean(array, **options)
    assert drawn(clean(once, **options)) == drawn(once)


@settings(max_examples=100, deadline=None)
@given(MASKS, OPTIONS)
def test_negative_pixels_are_background(array, options):
    cleaned = clean(array, **options)
    for row, col in options["negative"]:
        if 0 <= row < array.shape[0] and 0 <= col < array.shape[1]:
            assert not cleaned[row, col]


@settings(max_examples=100, deadline=None)
@given(MASKS, CLICKS)
def test_without_options_it_is_the_identity(array, positive):
    assert drawn(clean(array, positive=positive)) == drawn(array)


@settings(max_examples=100, deadline=None)
@given(MASKS, AREAS, AREAS)
def test_larger_areas_fill_more_and_remove_more(array, area, more):
    less, more = sorted((area, more))
    filled = clean(array, max_hole_area=less)
    assert (array <= filled).all()
    assert (filled <= clean(array, max_hole_area=more)).all()
    left = clean(array, max_sprinkle_area=less)
    assert (left <= array).all()
    assert (clean(array, max_sprinkle_area=more) <= left).all()


@settings(max_examples=100, deadline=None)
@given(MASKS, OPTIONS)
def test_a_crop_is_cleaned_as_the_whole_image_is(array, options):
    image = np.pad(array, ((3, 2), (5, 1)))
    # The clicks are pixels of the image, and some of them are not in the crop.
    of_crop = clean(array, **options, origin=(3, 5), image_shape=image.shape)
    of_image = clean(image, **options)
    assert drawn(np.pad(of_crop, ((3, 2), (5, 1)))) == drawn(of_image)
