"""Crops change nothing: the user hears what the public predictor says."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import build_tracker
from training.data import LabelledImage
from training.protocol import measure
from training.regions import Region
from training.responders import (
    Answer,
    Click,
    PredictorResponder,
    Question,
    TrackerResponder,
)


@pytest.fixture(scope="module")
def nano():
    return build_tracker(model="nano", device="cpu")


@pytest.fixture(scope="module")
def cells() -> LabelledImage:
    """Draw discs of three sizes, two of them touching and one at the border."""
    rng = np.random.default_rng(1)
    rows, cols = np.ogrid[:150, :190]
    labels = np.zeros((150, 190), np.int32)
    for label, (row, col, radius) in enumerate(
        [(40, 40, 22), (42, 80, 19), (120, 150, 9), (140, 5, 16)], 1
    ):
        labels[np.hypot(rows - row, cols - col) < radius] = label
    image = np.where(labels > 0, 130, 70) + rng.normal(0, 18, labels.shape)
    grey = image.clip(0, 255).astype(np.uint8)
    return LabelledImage.build(grey, labels, name="cells")


@pytest.mark.parametrize(("windows", "objects"), [(True, 2), (False, 1)])
def test_crops_give_the_figures_of_the_predictors_masks(nano, cells, windows, objects):
    tracker = nano if windows else nano.without_windows()
    in_crops = measure(TrackerResponder(tracker), [cells], objects, 3)
    in_images = measure(PredictorResponder(tracker), [cells], objects, 3)
    assert len(in_crops) == objects
    assert in_crops == in_images
    # With perfect masks nothing would be compared.
    assert min(one.clicks[0] for one in in_crops) < 1


def test_crops_are_the_predictors_masks(nano, cells):
    responders = [TrackerResponder(nano), PredictorResponder(nano)]
    clicks = (Click(40, 40, True), Click(42, 80, False))
    found = []
    for responder in responders:
        responder.set_image(np.ascontiguousarray(cells.image))
        (first, *_) = responder.answer(Question(clicks[:1]))
        box = (20, 15, 62, 100)
        found.append(responder.answer(Question(clicks, box, first, ambiguous=False)))
    for one, other in zip(*found, strict=True):
        assert one.region.bounds == other.region.bounds
        assert (one.region.pixels == other.region.pixels).all()
        assert one.score == other.score
        assert (one.memory == other.memory).all()
    assert not found[0][0].region.within((42, 80, 43, 81)).any()


class Noting:
    """Stands for the predictor, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: dict = {}

    def predict(self, **arguments):
        self.asked = arguments
        return np.zeros((1, 4, 4), bool), np.zeros(1), np.zeros((1, 2, 2))


@pytest.mark.parametrize(
    ("hints", "sizes", "told"),
    [(True, (20.0, 30.0), True), (True, (), False), (False, (20.0,), False)],
)
def test_known_sizes_are_told_if_wanted(nano, hints, sizes, told):
    responder = PredictorResponder(nano, hints=hints)
    responder._predictor = noting = Noting()
    responder.answer(Question((Click(1, 2, True),), known_sizes=sizes))
    assert ("size_hint" in noting.asked) == told
    if told:
        assert noting.asked["size_hint"].sizes_px == sizes
        assert noting.asked["size_hint"].view_px is None


def test_the_predictor_gets_x_before_y(nano):
    responder = PredictorResponder(nano)
    responder._predictor = noting = Noting()
    earlier = Answer(Region(np.zeros((0, 0), bool)), 0.5, np.ones((2, 2)))
    responder.answer(Question((Click(1, 2, False),), (3, 4, 5, 7), earlier, False))
    asked = noting.asked
    assert asked["point_coords"].tolist() == [[2, 1]]
    assert asked["point_labels"].tolist() == [False]
    assert asked["box"].tolist() == [4, 3, 7, 5]
    assert asked["mask_input"].shape == (1, 2, 2)
    assert asked["multimask_output"] is False
