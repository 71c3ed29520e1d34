"""Prompts are checked once, when they are made, and never change after."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.prompt import Prompt

# ---- what a prompt holds ----------------------------------------------------


def test_lists_become_arrays():
    prompt = Prompt(points=[[1, 2], [3, 4]], labels=[1, 0])
    assert prompt.points.dtype == np.float64
    assert prompt.points.tolist() == [[1, 2], [3, 4]]
    assert prompt.labels.dtype == np.bool_
    assert prompt.labels.tolist() == [True, False]


def test_clicks_are_told_apart_by_their_sign():
    prompt = Prompt(points=[[1, 2], [3, 4], [5, 6]], labels=[1, 0, 1])
    assert prompt.positive.tolist() == [[1, 2], [5, 6]]
    assert prompt.negative.tolist() == [[3, 4]]


def test_a_box_alone_is_a_prompt():
    prompt = Prompt(box=np.array([0, 1, 2, 3]))
    assert prompt.box == (0.0, 1.0, 2.0, 3.0)
    assert all(type(edge) is float for edge in prompt.box)
    assert prompt.points.shape == (0, 2)
    assert prompt.labels.shape == (0,)
    assert prompt.mask_logits is None


def test_a_mask_alone_is_a_prompt():
    prompt = Prompt(mask_logits=[[1, -2, 3]])
    assert prompt.mask_logits.dtype == np.float32
    assert prompt.mask_logits.tolist() == [[1, -2, 3]]
    assert prompt.box is None


def test_a_mask_may_cover_a_part_of_the_image():
    prompt = Prompt(mask_logits=[[1, -2, 3]], mask_box=np.array([4, 5, 6, 8]))
    assert prompt.mask_box == (4.0, 5.0, 6.0, 8.0)
    assert all(type(edge) is float for edge in prompt.mask_box)
    assert Prompt(mask_logits=[[1]]).mask_box is None


def test_mask_logits_are_clamped():
    prompt = Prompt(mask_logits=[[-1e300, -32, 0.5, 33]])
    assert prompt.mask_logits.tolist() == [[-32, -32, 0.5, 32]]
    single = Prompt(mask_logits=np.array([[-99, 0.5, 33]], np.float32))
    assert single.mask_logits.tolist() == [[-32, 0.5, 32]]


def test_the_given_arrays_are_copied():
    points, labels = np.array([[1.0, 2.0]]), np.array([True])
    mask = np.zeros((2, 2), np.float32)
    prompt = Prompt(points, labels, mask_logits=mask)
    points[:], labels[:], mask[:] = 9, False, 9
    assert prompt.points.tolist() == [[1, 2]]
    assert prompt.labels.tolist() == [True]
    assert not prompt.mask_logits.any()


def test_a_prompt_cannot_be_changed():
    prompt = Prompt([[1, 2]], [1], (0, 0, 4, 4), [[0.0]])
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.box = None
    for array in (prompt.points, prompt.labels, prompt.mask_logits):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


# ---- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "empty; give at least a point, a box or a mask"),
        ({"points": [], "labels": []}, "empty; give at least"),
        ({"points": [[1, 2]]}, "1 points but 0 labels; give one label"),
        ({"labels": [1]}, "0 points but 1 labels; give one label"),
        ({"points": [[1, 2]], "labels": [1, 0]}, "1 points but 2 labels; give one"),
        ({"points": [[1, 2, 3]], "labels": [1]}, r"shape \(N, 2\), not \(1, 3\); one"),
        ({"points": [1, 2], "labels": [1]}, r"shape \(N, 2\), not \(2,\); one row"),
        ({"points": [[1, np.nan]], "labels": [1]}, "NaN or infinity; give finite"),
        ({"points": [[1, np.inf]], "labels": [1]}, "NaN or infinity; give finite"),
        ({"points": "here", "labels": [1]}, "must be numbers, not 'here'; give a list"),
        ({"points": [[1, 2], [3]], "labels": [1]}, "must be numbers"),
        ({"points": [[1, 2]], "labels": [2]}, r"list of 1 \(object\) and 0 .* \[2\]"),
        ({"points": [[1, 2]], "labels": [[1]]}, r"flat list of 1 \(object\) and 0"),
        ({"box": (0, 0, 4)}, r"four edges, not the shape \(3,\); give \(row0, col0"),
        ({"box": (4, 0, 4, 5)}, "is empty; its second corner must lie below and right"),
        ({"box": (0, 5, 4, 4)}, "is empty; its second corner must lie below and right"),
        ({"box": (0, 0, np.nan, 4)}, "Box edges hold NaN or infinity; give finite"),
        ({"mask_logits": [1, 2]}, r"shape \(h, w\), not \(2,\); give the low-res"),
        ({"mask_logits": np.zeros((0, 4))}, r"not \(0, 4\); give the low-resolution"),
        ({"mask_logits": [[np.nan]]}, "Mask logits hold NaN or infinity; give finite"),
        (
            {"mask_logits": np.array([[0, np.inf]], np.float32)},
            "Mask logits hold NaN or infinity; give finite",
        ),
        (
            {"mask_logits": np.array([[np.nan, 0]], np.float32)},
            "Mask logits hold NaN or infinity; give finite",
        ),
        (
            {"mask_logits": np.zeros((0, 4), np.float32)},
            r"not \(0, 4\); give the low-resolution",
        ),
        (
            {"points": [[1, 2]], "labels": [1], "mask_box": (0, 0, 4, 4)},
            "says where mask_logits lie, but there are none; give both",
        ),
        ({"mask_logits": [[1]], "mask_box": (0, 0, 4)}, "A mask box has four edges"),
        ({"mask_logits": [[1]], "mask_box": (4, 0, 4, 5)}, "The mask box .* is empty"),
        ({"mask_logits": [[1]], "mask_box": (0, 0, np.inf, 5)}, "Mask box edges hold"),
    ],
)
def test_what_says_nothing_is_refused_with_a_remedy(fields, message):
    with pytest.raises(PromptError, match=message):
        Prompt(**fields)


# ---- inside the image -------------------------------------------------------


@pytest.mark.parametrize("point", [(-0.5, -0.5), (0, 0), (3.5, 5.5), (1.2, 4.9)])
def test_a_click_on_any_pixel_is_inside(point):
    Prompt([point], [1]).check_inside((4, 6))


@pytest.mark.parametrize("point", [(-0.6, 0), (0, -0.6), (3.6, 0), (0, 5.6), (5, 3)])
def test_a_click_beyond_the_image_is_refused(point):
    prompt = Prompt([(0, 0), point], [1, 0])
    message = f"row {point[0]:g}, column {point[1]:g} is outside the image of 4 rows"
    with pytest.raises(PromptError, match=message):
        prompt.check_inside((4, 6))


@pytest.mark.parametrize("box", [(-2, -2, 1, 1), (3, 5, 9, 9), (-9, -9, 99, 99)])
def test_a_box_that_meets_the_image_is_inside(box):
    Prompt(box=box).check_inside((4, 6))


@pytest.mark.parametrize(
    "box", [(-2, 0, 0, 4), (0, -2, 4, 0), (4, 0, 5, 4), (0, 6, 4, 7)]
)
def test_a_box_beside_the_image_is_refused(box):
    with pytest.raises(PromptError, match="does not meet the image of 4 rows and 6"):
        Prompt(box=box).check_inside((4, 6))


@pytest.mark.parametrize("box", [(-9, 0, 0, 4), (0, 6, 4, 7)])
def test_a_mask_beside_the_image_is_refused(box):
    prompt = Prompt(mask_logits=[[1]], mask_box=box)
    with pytest.raises(PromptError, match=r"mask box .* does not meet the image of 4"):
        prompt.check_inside((4, 6))


# ---- hints ------------------------------------------------------------------


def test_a_hint_goes_with_a_prompt_but_is_none_by_itself():
    hint = SizeHint((30,))
    assert Prompt(points=[[1, 2]], labels=[1], size_hint=hint).size_hint is hint
    assert Prompt(box=(0, 0, 5, 5)).size_hint is None
    with pytest.raises(PromptError, match="empty"):
        Prompt(size_hint=hint)


@pytest.mark.parametrize("bad", [30, (30,), {"sizes_px": [30]}])
def test_what_is_no_hint_is_refused_with_a_remedy(bad):
    with pytest.raises(PromptError, match=r"give a SizeHint, such as SizeHint\("):
        Prompt(box=(0, 0, 5, 5), size_hint=bad)
