"""What each step asks of the model, and which mask comes first in the answer."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.cli.demo import DEMO_IMAGE
from napari_sam3.cli.images import read_rgb
from napari_sam3.core.dialogue import Dialogue, Step, respond
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from tests.discs import DISCS, disc
from tests.fakes import FakeTracker

SHAPE = (60, 80)
IMAGE = np.zeros((*SHAPE, 3), np.uint8)
A, B, C = PointMark(20, 30), PointMark(20, 37), PointMark(40, 60)
NOT_A, NOT_B, NOT_C = (PointMark(m.row, m.col, False) for m in (A, B, C))
BOX = BoxMark(10, 20, 30, 45)
SQUARE = OutlineMark(((30, 50), (30, 58), (44, 58), (44, 50)))


def ask(*steps, tracker=None, image=IMAGE):
    tracker = tracker or FakeTracker()
    (embedding,) = tracker.embed([image])
    return respond(tracker, embedding, Dialogue(tuple(map(Step, steps))), {})


def mask_of(turn, shape=SHAPE) -> np.ndarray:
    return turn.prediction.paste(shape) > 0


def area(row0, col0, row1, col1) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[row0:row1, col0:col1] = True
    return mask


def iou(one, other) -> float:
    return (one & other).sum() / (one | other).sum()


# ---- what is asked ----------------------------------------------------------


def test_a_step_is_asked_with_all_clicks_and_the_mask_before():
    tracker = FakeTracker()
    first = ask([A], tracker=tracker)
    ask([A], [NOT_C], tracker=tracker)
    *_, alone, prompt = tracker.prompts
    assert alone.mask_logits is None
    assert prompt.points.tolist() == [[20, 30], [40, 60]]
    assert prompt.labels.tolist() == [True, False]
    assert np.array_equal(prompt.mask_logits, first.prediction.logits)
    assert prompt.mask_box == first.prediction.bbox


def test_several_boxes_are_one_around_them():
    tracker = FakeTracker()
    ask([BOX], [BoxMark(25, 40, 50, 60), A], tracker=tracker)
    assert [prompt.box for prompt in tracker.prompts] == [
        (10, 20, 30, 45),
        (10, 20, 50, 60),
    ]


def test_predictions_are_trimmed():
    tracker = FakeTracker()
    turn = ask([A], tracker=tracker)
    row0, col0, row1, col1 = turn.prediction.bbox
    # A disc of 13 pixels and the smallest margin.
    assert (row1 - row0, col1 - col0) == (29, 29)
    (embedding,) = tracker.embed([IMAGE])
    (whole,) = tracker.predict(embedding, [turn.prompt], multimask=True)
    for one, other in zip(turn.candidates, whole):
        assert one.logits.size < other.logits.size
        assert np.array_equal(one.paste(SHAPE) > 0, other.paste(SHAPE) > 0)


def test_the_best_candidate_comes_first():
    turn = ask([A], tracker=FakeTracker(scores=(0.2, 0.9, 0.5)))
    assert [candidate.score for candidate in turn.candidates] == [0.9, 0.5, 0.2]
    assert turn.prediction is turn.candidates[0]
    assert turn.prompt.points.tolist() == [[20, 30]]


def test_an_empty_mask_is_not_fed_back():
    # Discs of half a pixel, between pixels, hold none.
    tracker = FakeTracker(radius=0.5)
    assert not mask_of(ask([PointMark(20.5, 30.5)], tracker=tracker)).any()
    turn = ask([PointMark(20.5, 30.5)], [B], tracker=tracker)
    assert tracker.prompts[-1].mask_logits is None
    assert mask_of(turn).sum() == 1


def test_an_answer_tells_what_it_holds():
    turn = ask([A], [B])
    arrays = [a for p in turn.candidates for a in (p.logits, p.low_res)]
    expected = sum(array.nbytes for array in arrays) + turn.prompt.mask_logits.nbytes
    assert turn.nbytes == expected


# ---- contradictions ---------------------------------------------------------


def test_of_contradicting_clicks_on_a_pixel_the_last_counts():
    tracker = FakeTracker()
    ask([A, C], [PointMark(20.3, 29.7, False)], tracker=tracker)
    prompt = tracker.prompts[-1]
    assert prompt.points.tolist() == [[40, 60], [20.3, 29.7]]
    assert prompt.labels.tolist() == [True, False]
    ask([A, NOT_C], [C, A], tracker=tracker)
    assert tracker.prompts[-1].points.tolist() == [[20, 30], [40, 60], [20, 30]]
    assert tracker.prompts[-1].labels.all()


def test_taking_the_only_click_back_keeps_asking_about_the_mask():
    turn = ask([A], [NOT_A])
    assert not turn.kept
    assert not mask_of(turn)[20, 30]


def test_an_empty_answer_that_loses_its_click_stays():
    tracker = FakeTracker(radius=0.5)
    here, gone = PointMark(20.5, 30.5), PointMark(20.5, 30.5, False)
    turn = ask([here], [gone], tracker=tracker)
    assert tracker.predict_calls == 1
    assert not turn.kept
    assert len(turn.candidates) == 1
    assert not mask_of(turn).any()


# ---- the better mask is kept ------------------------------------------------


def falling(score):
    """Score first answers 0.9, and later ones ``score`` and less."""

    def scores(prompt):
        first = prompt.mask_logits is None
        return (0.9, 0.8, 0.7) if first else (score - 0.1, score, score - 0.2)

    return FakeTracker(scores=scores)


@pytest.mark.parametrize(
    ("score", "kept"), [(0.87, True), (0.885, False), (0.95, False)]
)
@pytest.mark.parametrize("agreeing", [PointMark(22, 30), NOT_C])
def test_a_worse_answer_does_not_replace_the_mask(score, kept, agreeing):
    first = ask([A], tracker=falling(score))
    turn = ask([A], [agreeing], tracker=falling(score))
    assert turn.kept == kept
    assert (turn.candidates[0].score == 0.9) == kept
    assert np.array_equal(mask_of(turn), mask_of(first)) or not kept
    assert [c.score for c in turn.candidates[-3:]] == pytest.approx(
        [score, score - 0.1, score - 0.2]
    )
    assert len(turn.candidates) == 3 + kept
    assert len(turn.prompt.points) == 2


@pytest.mark.parametrize("corrected", [B, C, PointMark(20, 32, False)])
def test_a_mask_that_contradicts_a_click_is_not_kept(corrected):
    turn = ask([A], [corrected], tracker=falling(0.1))
    assert not turn.kept
    row, col = int(corrected.row), int(corrected.col)
    assert mask_of(turn)[row, col] == corrected.positive


def test_a_mask_that_contradicts_an_earlier_click_is_not_kept():
    # The background's disc takes the click on the object away.
    steps = ([A, PointMark(20, 34, False)], [NOT_C])
    assert not mask_of(ask(*steps[:1], tracker=falling(0.1)))[20, 30]
    assert not ask(*steps, tracker=falling(0.1)).kept


@pytest.mark.parametrize("mark", [BoxMark(5, 5, 50, 70), SQUARE])
def test_a_box_or_outline_asks_for_something_else(mark):
    turn = ask([A], [mark], tracker=falling(0.1))
    assert not turn.kept
    assert mask_of(turn)[40, 55]


# ---- outlines ---------------------------------------------------------------


def test_an_outline_is_a_mask_at_full_resolution():
    tracker = FakeTracker()
    turn = ask([SQUARE], tracker=tracker)
    (prompt,) = tracker.prompts
    assert not len(prompt.points)
    assert prompt.box is None
    # 15 by 9 pixels, and a margin of 8 on each side.
    assert prompt.mask_box == (22, 42, 53, 67)
    assert prompt.mask_logits.shape == (31, 25)
    assert np.array_equal(mask_of(turn), area(30, 50, 45, 59))


def test_the_shape_of_an_outline_counts():
    triangle = OutlineMark(SQUARE.vertices[:3])
    one, other = mask_of(ask([SQUARE])), mask_of(ask([triangle]))
    assert 0.4 < other.sum() / one.sum() < 0.65


def test_an_outline_at_the_border():
    corner = OutlineMark(((-3, -3), (-3, 6), (6, 6), (6, -3)))
    assert np.array_equal(mask_of(ask([corner])), area(0, 0, 7, 7))


def test_an_outline_adds_to_the_mask():
    disc_a = mask_of(ask([A]))
    turn = ask([A], [SQUARE])
    assert np.array_equal(mask_of(turn), disc_a | area(30, 50, 45, 59))
    far = OutlineMark(((50, 70), (50, 78), (58, 78), (58, 70)))
    both = mask_of(ask([SQUARE, far]))
    assert np.array_equal(both, area(30, 50, 45, 59) | area(50, 70, 59, 79))


def test_an_outline_does_not_weaken_the_mask_under_it():
    tracker = FakeTracker()
    first = ask([A], tracker=tracker).prediction
    ask([A], [OutlineMark(((18, 28), (18, 33), (23, 33)))], tracker=tracker)
    prompt = tracker.prompts[-1]
    top, left = (int(edge) for edge in prompt.mask_box[:2])
    row0, col0, row1, col1 = first.bbox
    under = prompt.mask_logits[row0 - top : row1 - top, col0 - left : col1 - left]
    assert (under >= first.logits).all()


def test_nano_follows_the_shape_of_an_outline(tracker, cells):
    # A part of the dark ground, where nothing but the outline says what is meant.
    wide = OutlineMark(((90, 10), (90, 60), (105, 60), (105, 10)))
    tall = OutlineMark(((80, 28), (80, 42), (120, 42), (120, 28)))
    answers = []
    for outline in (wide, tall):
        mask = mask_of(ask([outline], tracker=tracker, image=cells), (200, 240))
        drawn = np.zeros((200, 240), bool)
        crop, (row0, col0, row1, col1) = outline.rasterize((200, 240))
        drawn[row0:row1, col0:col1] = crop
        assert iou(mask, drawn) > 0.6
        answers.append(mask)
    assert iou(*answers) < 0.5


def test_nano_finds_the_cell_that_was_outlined(tracker, cells):
    row, col, radius = DISCS[0]
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rough = np.array([row, col]) + (radius - 3) * np.stack(
        [np.sin(turn), np.cos(turn)], 1
    )
    found = mask_of(ask([OutlineMark(rough)], tracker=tracker, image=cells), (200, 240))
    assert iou(found, disc(*DISCS[0])) > 0.85


# ---- masks to refine --------------------------------------------------------

KNOWN = MaskMark.from_mask(area(12, 14, 18, 23)[10:20, 10:30], (10, 10, 20, 30), 0.6)


def test_a_mask_to_refine_is_its_own_answer():
    tracker = FakeTracker()
    turn = ask([KNOWN], tracker=tracker)
    assert tracker.predict_calls == 0
    assert turn.prompt is None
    assert turn.prediction.score == 0.6
    assert np.array_equal(mask_of(turn), area(12, 14, 18, 23))
    assert turn.prediction.low_res.shape == (64, 64)
    assert turn.prediction.low_res[16, 14] > 0 > turn.prediction.low_res[16, 40]
    assert turn.nbytes > 0


def test_a_mask_is_refined_by_what_comes_after():
    tracker = FakeTracker()
    turn = ask(
        [KNOWN], [PointMark(15, 24)], [PointMark(12, 14, False)], tracker=tracker
    )
    assert tracker.predict_calls == 2
    first = tracker.prompts[0]
    assert first.mask_box == (4, 6, 26, 31)
    assert first.points.tolist() == [[15, 24]]
    mask = mask_of(turn)
    assert mask[15, 24]
    assert mask[17, 20]
    assert not mask[12, 14]


def test_background_clicks_alone_refine_a_mask():
    assert not mask_of(ask([KNOWN], [PointMark(15, 16, False)]))[15, 16]


def test_nano_refines_a_mask(tracker, cells):
    truth = disc(*DISCS[2])
    left = truth & (np.arange(240) < DISCS[2][1])
    known = MaskMark.from_mask(left, (0, 0, 200, 240))
    click = PointMark(DISCS[2][0], DISCS[2][1] + 14)
    turn = ask([known], [click], tracker=tracker, image=cells)
    assert iou(mask_of(turn, (200, 240)), truth) > 0.9


def test_a_background_click_cuts_as_much_off_a_given_mask(tracker):
    image = read_rgb(DEMO_IMAGE)
    both, other = BoxMark(98, 308, 212, 376), PointMark(120, 334, positive=False)
    found = ask([both], tracker=tracker, image=image).prediction
    corrected = ask([both], [other], tracker=tracker, image=image).prediction
    given = MaskMark.from_mask(found.mask(), found.bbox, found.score)
    refined = ask([both], [given], [other], tracker=tracker, image=image).prediction
    lost, less = (found.mask().sum() - one.mask().sum() for one in (corrected, refined))
    assert lost > 500
    assert less > 0.6 * lost
