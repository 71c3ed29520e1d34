"""The classic method does what a classic method can; chance does nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3 import build_tracker
from training.baselines import (
    BASELINES,
    RANDOM,
    WATERSHED,
    WHOLE,
    OtsuWatershed,
    build_baselines,
    random_nano,
)
from training.data import LabelledImage
from training.protocol import measure, object_region
from training.responders import Click, Question, TrackerResponder


def discs(*circles: tuple[int, int, int], bright: bool = True) -> LabelledImage:
    """Draw discs (row, col, radius) with some noise."""
    rng = np.random.default_rng(2)
    labels = np.zeros((120, 140), np.int32)
    rows, cols = np.ogrid[:120, :140]
    for label, (row, col, radius) in enumerate(circles, 1):
        labels[np.hypot(rows - row, cols - col) < radius] = label
    grey = np.where((labels > 0) == bright, 170, 60) + rng.normal(0, 10, labels.shape)
    return LabelledImage.build(grey.clip(0, 255).astype(np.uint8), labels, name="discs")


APART = ((35, 40, 20), (80, 100, 15))
TOUCHING = ((60, 45, 22), (60, 83, 22))


@pytest.mark.parametrize("bright", [True, False])
def test_a_disc_is_found_by_one_click_or_its_box(bright):
    results = measure(OtsuWatershed(), [discs(*APART, bright=bright)], 8, 2)
    assert len(results) == 2
    for one in results:
        assert one.clicks[0] > 0.9
        assert one.box > 0.9
        assert one.best_of_three == one.clicks[0]


def responder(image: LabelledImage) -> OtsuWatershed:
    method = OtsuWatershed()
    method.set_image(np.ascontiguousarray(image.image))
    return method


def test_discs_that_touch_are_cut():
    image = discs(*TOUCHING)
    (found,) = responder(image).answer(Question((Click(60, 45, True),)))
    assert found.region.iou(object_region(image, 1)) > 0.85


def test_clicks_add_regions_and_take_them_away():
    image = discs(*APART)
    method = responder(image)
    clicks = (Click(35, 40, True), Click(80, 100, True), Click(82, 98, False))
    (both,) = method.answer(Question(clicks[:2]))
    assert both.region.area == pytest.approx((image.labels > 0).sum(), rel=0.1)
    (without,) = method.answer(Question((clicks[0], Click(80, 100, False))))
    assert without.region.iou(object_region(image, 1)) > 0.9
    # Clicks of both kinds share a region.
    (shared,) = method.answer(Question(clicks))
    second = shared.region.within((60, 80, 100, 120))
    assert 0 < second.sum() < object_region(image, 2).area
    assert second[20, 20]
    assert not second[22, 18]


def test_what_is_dark_can_be_clicked_on_too():
    image = discs(*APART)
    (found,) = responder(image).answer(Question((Click(5, 130, True),)))
    assert not (found.region.within((0, 0, 120, 140)) & (image.labels > 0)).sum() > 40
    assert found.region.within((5, 130, 6, 131)).all()


def test_a_box_bounds_the_mask_whatever_is_clicked():
    image = discs(*TOUCHING)
    method = responder(image)
    box = object_region(image, 1).bounds
    for click in (Click(60, 83, True), Click(60, 60, False)):
        (found,) = method.answer(Question((click,), box))
        row0, col0, row1, col1 = found.region.bounds
        assert row0 >= box[0]
        assert col0 >= box[1]
        assert row1 <= box[2]
        assert col1 <= box[3]
        assert found.region.area > 0


def test_a_hole_in_a_box_is_filled():
    image = discs((60, 60, 30), (60, 60, 10))
    pixels = np.array(image.image)
    pixels[image.labels == 2] = 60
    method = OtsuWatershed()
    method.set_image(pixels)
    (found,) = method.answer(Question((), object_region(image, 1).bounds))
    assert found.region.within((60, 60, 61, 61)).all()


def test_a_flat_image_is_one_region():
    flat = OtsuWatershed()
    flat.set_image(np.full((20, 30, 3), 7, np.uint8))
    (found,) = flat.answer(Question((Click(3, 4, True),)))
    assert found.region.within((3, 4, 4, 5)).all()
    (boxed,) = flat.answer(Question((), (2, 2, 9, 9)))
    assert boxed.region.area > 0


def test_random_weights_are_the_same_always_and_leave_the_dice_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = random_nano(torch.device("cpu")), random_nano(torch.device("cpu"))
    assert torch.rand(1) == expected
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint.startswith("random-")


def test_random_weights_are_worse_than_nano():
    image = discs(*APART)
    nano = build_tracker(model="nano", device="cpu")
    baselines = build_baselines(nano, whole=False)
    assert tuple(baselines) == BASELINES
    (trained,) = measure(TrackerResponder(nano), [image], 1, 1)
    (chance,) = measure(baselines[RANDOM], [image], 1, 1)
    (whole,) = measure(baselines[WHOLE], [image], 1, 1)
    assert trained.clicks[0] > chance.clicks[0] + 0.3
    assert trained.box > chance.box + 0.2
    assert whole.clicks[0] > chance.clicks[0] + 0.3
    assert whole != trained


def test_only_what_a_model_can_do_without_is_taken_from_it():
    nano = build_tracker(model="nano", device="cpu")
    whole = build_baselines(nano.without_windows(), whole=True)
    assert tuple(whole) == (WATERSHED, RANDOM)
