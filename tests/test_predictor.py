"""The predictor's contract, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam3 import (
    ImageError,
    ModelError,
    PromptError,
    SAM3InteractiveImagePredictor,
    SizeHint,
    StateError,
)
from tests.discs import DISCS, disc
from tests.fakes import FakeTracker

POINT = {"point_coords": np.array([[70, 60]]), "point_labels": np.array([1])}
BOX = np.array([50, 40, 91, 81])
POINTS3 = np.array([[[c, r]] for r, c, _ in DISCS[:3]], float)
ONES3 = np.ones((3, 1))


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


# --- what comes back ---


def test_a_point_gives_three_masks_of_the_clicked_cell(predictor, cells):
    predictor.set_image(cells)
    masks, scores, low_res = predictor.predict(**POINT)
    assert (masks.shape, masks.dtype) == ((3, 200, 240), np.bool_)
    assert (scores.shape, scores.dtype) == ((3,), np.float32)
    assert (low_res.shape, low_res.dtype) == ((3, 256, 256), np.float32)
    assert np.abs(low_res).max() <= 32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert iou(masks[scores.argmax()], disc(*DISCS[0])) > 0.8


@pytest.mark.parametrize("index", range(len(DISCS)))
def test_each_cell_is_found_by_its_box(predictor, cells, index):
    row, col, radius = DISCS[index]
    predictor.set_image(cells)
    box = [col - radius, row - radius, col + radius + 1, row + radius + 1]
    masks, scores, _ = predictor.predict(box=box, multimask_output=False)
    assert masks.shape == (1, 200, 240)
    assert scores.shape == (1,)
    assert iou(masks[0], disc(row, col, radius)) > 0.85


def test_logits_above_the_threshold_are_the_masks(tracker, cells):
    predictor = SAM3InteractiveImagePredictor(
        tracker, mask_threshold=0.5, max_hole_area=1e4, max_sprinkle_area=30
    )
    predictor.set_image(cells)
    masks, _, _ = predictor.predict(**POINT)
    logits, _, _ = predictor.predict(**POINT, return_logits=True)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits > 0.5, masks)


def test_the_threshold_may_be_changed(predictor, cells):
    predictor.set_image(cells)
    assert predictor.mask_threshold == 0.0
    larger = predictor.predict(box=BOX, multimask_output=False)[0]
    predictor.mask_threshold = 2.0
    smaller = predictor.predict(box=BOX, multimask_output=False)[0]
    assert larger.sum() > smaller.sum()
    with pytest.raises(ModelError, match="mask_threshold"):
        predictor.mask_threshold = 99


def test_a_higher_threshold_gives_smaller_masks(tracker, cells):
    areas = []
    for threshold in (-2.0, 0.0, 2.0):
        predictor = SAM3InteractiveImagePredictor(tracker, mask_threshold=threshold)
        predictor.set_image(cells)
        areas.append(int(predictor.predict(box=BOX, multimask_output=False)[0].sum()))
    assert areas[0] > areas[1] > areas[2] > 0


def test_shares_of_the_image_are_the_same_as_pixels(predictor, cells):
    predictor.set_image(cells)
    size = np.array([240, 200])
    pixels = predictor.predict(**POINT, box=BOX, return_logits=True)
    shares = predictor.predict(
        point_coords=POINT["point_coords"] / size,
        point_labels=POINT["point_labels"],
        box=BOX / np.tile(size, 2),
        return_logits=True,
        normalize_coords=False,
    )
    for one, other in zip(pixels, shares, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_far_corner_is_a_point_in_shares(predictor, cells):
    predictor.set_image(cells)
    predictor.predict([[1.0, 1.0]], [1], normalize_coords=False)
    with pytest.raises(PromptError, match="outside"):
        predictor.predict([[1.01, 1.0]], [1], normalize_coords=False)


def test_objects_in_one_call(predictor, cells):
    predictor.set_image(cells)
    masks, scores, low_res = predictor.predict(POINTS3, ONES3)
    assert masks.shape == (3, 3, 200, 240)
    assert scores.shape == (3, 3)
    assert low_res.shape == (3, 3, 256, 256)
    boxes = [[c - r, y - r, c + r + 1, y + r + 1] for y, c, r in DISCS]
    masks, scores, _ = predictor.predict(box=boxes, multimask_output=False)
    assert masks.shape == (4, 1, 200, 240)
    assert scores.shape == (4, 1)
    for mask, place in zip(masks[:, 0], DISCS, strict=True):
        assert iou(mask, disc(*place)) > 0.8


def test_padding_points_say_nothing(predictor, cells):
    predictor.set_image(cells)
    plain = predictor.predict(**POINT, return_logits=True)
    padded = predictor.predict([[70, 60], [5, 5]], [1, -1], return_logits=True)
    np.testing.assert_allclose(plain[0], padded[0], atol=1e-4)


def test_fed_back_logits_and_a_click_take_a_neighbour_away(predictor, cells):
    predictor.set_image(cells)
    both = disc(*DISCS[0]) | disc(*DISCS[1])
    grid = Image.fromarray(np.where(both, 8, -8).astype(np.float32))
    mask_input = np.asarray(grid.resize((256, 256), Image.Resampling.BILINEAR))[None]
    masks, _, _ = predictor.predict(
        [[70, 60], [150, 60]], [1, 0], mask_input=mask_input, multimask_output=False
    )
    assert iou(masks[0], disc(*DISCS[0])) > 0.6


def test_a_mask_alone_is_a_prompt(predictor, cells):
    predictor.set_image(cells)
    _, _, low_res = predictor.predict(box=BOX, multimask_output=False)
    masks, _, _ = predictor.predict(mask_input=low_res, multimask_output=False)
    assert iou(masks[0], disc(*DISCS[0])) > 0.8


def test_embedding_shape_and_device(predictor, cells):
    predictor.set_image(cells)
    embedding = predictor.get_image_embedding()
    assert isinstance(embedding, torch.Tensor)
    assert embedding.shape == (1, 256, 64, 64)
    assert embedding.std() > 0
    assert predictor.device == torch.device("cpu")
    predictor.set_image_batch([cells, cells[:100]])
    assert predictor.get_image_embedding().shape == (2, 256, 64, 64)


# --- equal results for equal questions ---


def logits_of(predictor, image, **prompt) -> np.ndarray:
    predictor.set_image(image)
    return predictor.predict(**prompt, return_logits=True)[0]


@pytest.mark.parametrize("prompt", [POINT, {"box": BOX}], ids=["point", "box"])
@pytest.mark.parametrize(
    "variant",
    [Image.fromarray, np.asfortranarray, lambda image: image[..., 0]],
    ids=["PIL", "F-ordered", "grey"],
)
def test_the_form_of_the_image_does_not_matter(predictor, cells, prompt, variant):
    expected = logits_of(predictor, cells, **prompt)
    got = logits_of(predictor, variant(cells), **prompt)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_repeated_calls_are_equal(predictor, cells):
    predictor.set_image(cells)
    first = predictor.predict(**POINT, return_logits=True)
    predictor.predict(box=BOX)
    again = predictor.predict(**POINT, return_logits=True)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_one_object_is_the_same_alone_and_among_others(predictor, cells):
    predictor.set_image(cells)
    together = predictor.predict(POINTS3, ONES3, return_logits=True)
    for index in range(3):
        alone = predictor.predict(POINTS3[index], ONES3[index], return_logits=True)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, other[index], atol=1e-4)


def test_an_image_is_the_same_alone_and_in_a_batch(predictor, cells):
    images = [cells, cells[:120].copy(), cells[:, ::-1].copy()]
    predictor.set_image_batch(images)
    batch = predictor.predict_batch(
        [POINT["point_coords"], None, None],
        [POINT["point_labels"], None, None],
        [None, BOX, BOX],
        return_logits=True,
    )
    embeddings = predictor.get_image_embedding()
    prompts = (POINT, {"box": BOX}, {"box": BOX})
    for index, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        predictor.set_image(image)
        alone = predictor.predict(**prompt, return_logits=True)
        for part, all_parts in zip(alone, batch, strict=True):
            np.testing.assert_allclose(part, all_parts[index], atol=1e-4)
        np.testing.assert_allclose(
            predictor.get_image_embedding()[0], embeddings[index], atol=1e-4
        )


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (7, 13), (64, 32)])
@pytest.mark.parametrize("multimask", [True, False])
def test_masks_shift_with_the_image(predictor, cells, shift, multimask):
    """Whole pixels, and the ground goes on as it looks beyond the border."""
    down, right = shift
    ground = np.full((400, 480, 3), 127, np.uint8)
    here, there = ground.copy(), ground.copy()
    here[80:280, 100:340] = cells
    there[80 + down : 280 + down, 100 + right : 340 + right] = cells
    results = []
    for image, offset in ((here, (0, 0)), (there, shift)):
        predictor.set_image(image)
        logits, scores, _ = predictor.predict(
            [[170 + offset[1], 140 + offset[0]]],
            [1],
            return_logits=True,
            multimask_output=multimask,
        )
        row, col = 80 + offset[0], 100 + offset[1]
        results.append((logits[:, row : row + 200, col : col + 240], scores))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-4)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4)


def test_the_callers_array_may_change_later(predictor, cells):
    image = cells.copy()
    predictor.set_image(image)
    expected = predictor.predict(**POINT, return_logits=True)[0]
    image[:] = 0
    got = predictor.predict(**POINT, return_logits=True)[0]
    np.testing.assert_array_equal(got, expected)


# --- cleaning ---


def ring(row: int, col: int) -> np.ndarray:
    rows, cols = np.mgrid[:200, :240]
    distance = np.hypot(rows - row, cols - col)
    image = np.where((distance < 30) & (distance > 9), 200, 40).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2)


def test_a_background_click_keeps_its_pixel_out(tracker):
    predictor = SAM3InteractiveImagePredictor(tracker, max_hole_area=1e6)
    predictor.set_image(ring(100, 120))
    for multimask in (True, False):
        masks, _, _ = predictor.predict(
            [[120, 78], [120, 100]], [1, 0], multimask_output=multimask
        )
        assert not masks[:, 100, 120].any()


def test_holes_are_filled_up_to_the_area(tracker, cells):
    """A steep threshold tears holes; only the area decides what is filled."""
    from scipy import ndimage

    def holes(area: float) -> list[int]:
        predictor = SAM3InteractiveImagePredictor(
            tracker, mask_threshold=3.0, max_hole_area=area
        )
        predictor.set_image(ring(100, 120))
        mask = predictor.predict(
            [[92, 100]], [1], mask_input=_ring_logits(), multimask_output=False
        )[0][0]
        filled = ndimage.binary_fill_holes(mask)
        labelled, count = ndimage.label(filled & ~mask)
        return [int((labelled == n + 1).sum()) for n in range(count)]

    raw = holes(0)
    assert raw, "the model's mask has no hole to fill"
    assert all(area > max(raw) - 1 for area in holes(max(raw) - 1))
    assert holes(max(raw)) == []


def _ring_logits() -> np.ndarray:
    inside = Image.fromarray(np.where(ring(100, 120)[..., 0] > 100, 20.0, -20.0))
    return np.asarray(inside.resize((256, 256)), np.float32)[None]


# --- what is refused, and how ---


def test_the_order_of_calls(predictor, cells):
    for call in (predictor.predict, predictor.predict_batch):
        with pytest.raises(StateError, match="set_image"):
            call()
    with pytest.raises(RuntimeError, match="set_image"):
        predictor.get_image_embedding()
    predictor.set_image(cells)
    with pytest.raises(StateError, match="call predict"):
        predictor.predict_batch([None])
    predictor.set_image_batch([cells])
    with pytest.raises(StateError, match="call predict_batch"):
        predictor.predict(**POINT)
    predictor.reset_predictor()
    with pytest.raises(StateError, match="set_image"):
        predictor.predict(**POINT)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "empty"),
        ({"point_coords": np.empty((0, 2)), "point_labels": []}, "empty"),
        ({"point_coords": [[70, 60]]}, "point_labels is missing"),
        ({"point_labels": [1]}, "point_coords is missing"),
        ({"point_coords": [[70, 60]], "point_labels": [1, 0]}, "one label per point"),
        ({"point_coords": [70, 60], "point_labels": [1]}, r"\(N, 2\)"),
        ({"point_coords": [[70, np.nan]], "point_labels": [1]}, "finite"),
        ({"point_coords": [[240, 60]], "point_labels": [1]}, "outside"),
        ({"point_coords": [[70, -1]], "point_labels": [1]}, "outside"),
        ({"point_coords": [[70, 60]], "point_labels": [7]}, "must be 1"),
        ({"point_coords": "here", "point_labels": [1]}, "numbers"),
        ({"box": [1, 2, 3]}, r"\(4,\)"),
        ({"box": [90, 40, 50, 80]}, "x0 < x1"),
        ({"box": [300, 300, 310, 310]}, "does not meet"),
        ({"box": [0, 0, np.inf, 9]}, "finite"),
        ({"mask_input": np.zeros((1, 288, 288))}, "256"),
        ({"mask_input": np.zeros((2, 256, 256))}, "256"),
        ({"box": np.ones((2, 4)) * [1, 1, 9, 9], **POINT}, "different numbers"),
    ],
)
def test_bad_prompts_are_refused_in_words(predictor, cells, prompt, message):
    predictor.set_image(cells)
    with pytest.raises(PromptError, match=message) as caught:
        predictor.predict(**prompt)
    assert isinstance(caught.value, ValueError)


def test_an_empty_mask_says_nothing(predictor, cells):
    predictor.set_image(cells)
    nothing = np.full((1, 256, 256), -5.0)
    with pytest.raises(PromptError, match="is empty"):
        predictor.predict(mask_input=nothing)
    plain = predictor.predict(**POINT, return_logits=True)
    beside = predictor.predict(**POINT, mask_input=nothing, return_logits=True)
    np.testing.assert_allclose(plain[0], beside[0], atol=1e-4)


def test_a_mask_of_the_wrong_size_says_which_is_right(predictor, cells):
    predictor.set_image(cells)
    with pytest.raises(PromptError, match=r"\(1, 256, 256\)"):
        predictor.predict(**POINT, mask_input=np.zeros((1, 64, 64)))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, bool])
def test_other_dtypes_name_the_normaliser(predictor, cells, dtype):
    with pytest.raises(ImageError, match="to_rgb"):
        predictor.set_image(cells.astype(dtype))


def test_a_refused_image_leaves_the_old_one(predictor, cells):
    predictor.set_image(cells)
    with pytest.raises(ImageError):
        predictor.set_image(cells.astype(float))
    assert predictor.predict(**POINT)[0].shape == (3, 200, 240)


def test_batch_lists_fit_the_images(predictor, cells):
    with pytest.raises(PromptError, match="list of images"):
        predictor.set_image_batch([])
    with pytest.raises(PromptError, match="list of images"):
        predictor.set_image_batch(cells)
    predictor.set_image_batch([cells, cells])
    with pytest.raises(PromptError, match="each of the 2"):
        predictor.predict_batch(box_batch=[BOX])
    with pytest.raises(PromptError, match="must be a list"):
        predictor.predict_batch(5)
    with pytest.raises(PromptError, match="Image 1 of the batch"):
        predictor.predict_batch(box_batch=[BOX, None])


@pytest.mark.parametrize(
    "arguments",
    [
        {"sam_model": "nano"},
        {"mask_threshold": float("nan")},
        {"mask_threshold": 40},
        {"max_hole_area": -1},
        {"max_sprinkle_area": float("nan")},
        {"mask_threshold": "0"},
        {"max_hole_area": None},
    ],
)
def test_bad_settings_are_refused(tracker, arguments):
    with pytest.raises(ModelError):
        SAM3InteractiveImagePredictor(**{"sam_model": tracker, **arguments})


# --- hints: our extension ---


@pytest.fixture
def asked() -> FakeTracker:
    return FakeTracker()


def test_a_hint_reaches_the_model(asked):
    predictor = SAM3InteractiveImagePredictor(asked)
    predictor.set_image(np.zeros((80, 90, 3), np.uint8))
    hint = SizeHint(sizes_px=(30, 32), view_px=70)
    predictor.predict([[20, 30]], [1], size_hint=hint)
    predictor.predict(box=[[0.1, 0.1, 0.5, 0.5]] * 2, normalize_coords=False)
    predictor.predict(
        box=[[0.1, 0.1, 0.5, 0.5]] * 2, normalize_coords=False, size_hint=hint
    )
    found = [prompt.size_hint for prompt in asked.prompts]
    assert found == [hint, None, None, hint, hint]


def test_a_batch_has_one_hint_or_one_per_image(asked):
    predictor = SAM3InteractiveImagePredictor(asked)
    predictor.set_image_batch([np.zeros((80, 90, 3), np.uint8)] * 2)
    points, labels = [[[20, 30]]] * 2, [[1]] * 2
    one, two = SizeHint((30,)), SizeHint((40,))
    for hint in (one, [one, two], [None, two], None):
        predictor.predict_batch(points, labels, size_hint=hint)
    found = [prompt.size_hint for prompt in asked.prompts]
    assert found == [one, one, one, two, None, two, None, None]
    with pytest.raises(PromptError, match="size_hint must be a list with one entry"):
        predictor.predict_batch(points, labels, size_hint=[one])


def test_a_hint_is_given_by_name_and_by_nothing_else(asked):
    predictor = SAM3InteractiveImagePredictor(asked)
    predictor.set_image(np.zeros((80, 90, 3), np.uint8))
    hint = SizeHint((30,))
    with pytest.raises(TypeError):
        predictor.predict([[20, 30]], [1], None, None, True, False, True, hint)
    with pytest.raises(PromptError, match="give a SizeHint"):
        predictor.predict([[20, 30]], [1], size_hint=30)
    with pytest.raises(PromptError, match="empty"):
        predictor.predict(size_hint=hint)


# --- earlier masks that are remembered at full resolution ---


class FakeWindowTracker(FakeTracker):
    """Says that it looks through windows; answers as before."""

    def open(self, picture):
        raise NotImplementedError

    def without_windows(self):
        raise NotImplementedError


def told_again(tracker, image, *, change: float = 0.0):
    """Hand back the second of three masks; what the model was told, and its mask."""
    predictor = SAM3InteractiveImagePredictor(tracker)
    predictor.set_image(image)
    masks, _, low_res = predictor.predict([[300, 200]], [1])
    earlier = low_res[1:2] + np.float32(change)
    predictor.predict([[300, 200]], [1], mask_input=earlier)
    return predictor, tracker.prompts[-1], masks[1], earlier


def test_a_windowed_model_is_given_its_masks_at_full_resolution():
    tracker = FakeWindowTracker()
    image = np.zeros((400, 600, 3), np.uint8)
    predictor, told, mask, earlier = told_again(tracker, image)
    row0, col0, row1, col1 = map(int, told.mask_box)
    assert np.array_equal(told.mask_logits > 0, mask[row0:row1, col0:col1])
    assert (told.mask_logits > 0).sum() == mask.sum() > 100
    # Another image knows nothing of it; nor does the same one, set again.
    predictor.set_image(image)
    predictor.predict([[300, 200]], [1], mask_input=earlier)
    assert tracker.prompts[-1].mask_box is None
    assert np.array_equal(tracker.prompts[-1].mask_logits, earlier[0])


def test_a_windowed_model_is_given_other_masks_as_they_are():
    image = np.zeros((400, 600, 3), np.uint8)
    _, told, _, earlier = told_again(FakeWindowTracker(), image, change=0.5)
    assert told.mask_box is None
    assert np.array_equal(told.mask_logits, earlier[0])


def test_other_models_are_given_exactly_what_was_handed_back():
    image = np.zeros((400, 600, 3), np.uint8)
    _, told, _, earlier = told_again(FakeTracker(), image)
    assert told.mask_box is None
    assert told.mask_logits.dtype == np.float32
    assert np.array_equal(told.mask_logits, earlier[0])


def test_masks_of_a_batch_are_those_of_their_image():
    tracker = FakeWindowTracker()
    predictor = SAM3InteractiveImagePredictor(tracker)
    predictor.set_image_batch([np.zeros((400, 600, 3), np.uint8)] * 2)
    places = [[[300, 200]], [[100, 90]]]
    _, _, low_res = predictor.predict_batch(places, [[1]] * 2, multimask_output=False)
    for masks, known in ((low_res, True), (low_res[::-1], False)):
        predictor.predict_batch(places, [[1]] * 2, mask_input_batch=masks)
        told = tracker.prompts[-2:]
        assert [one.mask_box is not None for one in told] == [known] * 2


def test_many_objects_get_their_own_masks_back():
    tracker = FakeWindowTracker()
    predictor = SAM3InteractiveImagePredictor(tracker)
    predictor.set_image(np.zeros((400, 600, 3), np.uint8))
    points, labels = [[[300, 200]], [[100, 90]]], [[1], [1]]
    masks, _, low_res = predictor.predict(points, labels, multimask_output=False)
    predictor.predict(points, labels, mask_input=low_res, multimask_output=False)
    for told, mask in zip(tracker.prompts[-2:], masks[:, 0], strict=True):
        row0, col0, row1, col1 = map(int, told.mask_box)
        assert (told.mask_logits > 0).sum() == mask.sum()
        assert np.array_equal(told.mask_logits > 0, mask[row0:row1, col0:col1])
