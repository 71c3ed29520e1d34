"""Windows are chosen, and masks come back to the right place in the image.

The network is replaced by one that takes what is bright and connected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam3.core import search
from napari_sam3.core.candidate import Candidate
from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.ladder import Ladder, handicapped
from napari_sam3.core.likeness import likeness
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.search import WindowSearch, earlier_mask
from napari_sam3.core.window_decoder import WindowAnswers, WindowPrompt
from napari_sam3.core.windows import PADDING_VALUE, Window

SIZE = 64


def answers(logits: NDArray, scores: NDArray) -> WindowAnswers:
    """Number the windows of a call in the traits of their masks."""
    traits = np.broadcast_to(np.arange(len(logits))[:, None, None], (*scores.shape, 1))
    return WindowAnswers(logits, scores.astype(np.float32), traits.astype(np.float32))


class BrightDecoder:
    """Takes the bright component under the first positive click, or all in the box.

    Its score is best where the object fills a quarter of the window.
    """

    window_size = closer_size = SIZE

    def __init__(self) -> None:
        self.calls: list[Sequence[WindowPrompt]] = []
        self.sides: list[int] = []

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        self.calls.append(prompts)
        side = pixels.shape[1]
        self.sides.append(side)
        assert side in (self.window_size, self.closer_size)
        assert pixels.shape == (len(prompts), side, side, 3)
        assert pixels.dtype == np.uint8
        half = side // 2
        cells = pixels[..., 0].reshape(-1, half, 2, half, 2).mean((2, 4))
        taken = [self.take(*pair) for pair in zip(cells > 190, prompts)]
        share = np.array([mask.mean() for mask in taken])
        cut = [mask[[0, -1]].any() or mask[:, [0, -1]].any() for mask in taken]
        scores = (1 - np.abs(share - 0.25)) * np.where(cut, 0.5, 1.0)
        # Four masks as a network gives them: the answer and three that are less.
        logits = np.where(np.array(taken), 10, -10).astype(np.float32)
        return answers(
            np.stack([logits, np.full_like(logits, -10)], 1),
            np.stack([scores, np.zeros_like(scores)], 1),
        )

    def rank(self, ladder: Ladder) -> NDArray[np.float32]:
        return handicapped(ladder)

    def take(self, bright: NDArray[np.bool_], prompt: WindowPrompt) -> NDArray:
        labels, _ = ndimage.label(bright)
        if prompt.labels.any():
            row, col = (prompt.points[prompt.labels][0] // 2).astype(int)
            return (labels == labels[row, col]) & bright
        if prompt.box is not None:
            row0, col0, row1, col1 = np.round(prompt.box / 2).astype(int).clip(0)
            inside = np.zeros_like(bright)
            inside[row0:row1, col0:col1] = True
            return inside & bright
        return bright


class ScriptedDecoder(BrightDecoder):
    """Always finds the middle of a window; its scores are given per window."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = scores

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        self.calls.append(prompts)
        logits = np.full((len(prompts), 1, SIZE // 2, SIZE // 2), -10, np.float32)
        logits[..., 8:24, 8:24] = 10
        scores = [self.scores[i % len(self.scores)] for i in range(len(prompts))]
        return answers(logits, np.array(scores)[:, None])


class CornerDecoder(BrightDecoder):
    """Sees the object in the upper left corner of every window."""

    def take(self, bright: NDArray[np.bool_], prompt: WindowPrompt) -> NDArray:
        mask = np.zeros_like(bright)
        mask[:2, :2] = True
        return mask


class BlindDecoder(BrightDecoder):
    """Sees nothing."""

    def take(self, bright: NDArray[np.bool_], prompt: WindowPrompt) -> NDArray:
        return np.zeros_like(bright)


def disc(shape: tuple[int, int], row: float, col: float, radius: float) -> NDArray:
    rows, cols = np.indices(shape)
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def picture(*masks: NDArray) -> NDArray[np.uint8]:
    bright = np.any(masks, axis=0)
    grey = np.where(bright, 255, PADDING_VALUE).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def click(row: float, col: float) -> Prompt:
    return Prompt([(row, col)], [1])


def whole_mask(found: Candidate, shape: tuple[int, int]) -> NDArray[np.bool_]:
    return found.to_prediction(shape, 16).paste(shape) > 0


SMALL = disc((200, 240), 60, 70, 8)  # its closer look has one cell per pixel
LARGE = disc((200, 240), 120, 160, 35)
BOX = (52, 62, 69, 79)
IMAGE = picture(SMALL, LARGE)
PICTURE = ArrayPicture(IMAGE)


# ---- which windows ----------------------------------------------------------


@pytest.mark.parametrize(("best", "side"), [(0, 40), (1, 80), (2, 160), (3, 320)])
def test_the_window_with_the_best_score_is_looked_at_again(best, side):
    scores = [0.1] * 4
    scores[best] = 0.9
    search = WindowSearch(ScriptedDecoder(scores))
    image = np.zeros((400, 400, 3), np.uint8)
    ((found,),) = search.find(ArrayPicture(image), [click(200, 200)], 1)
    # What is found fills half of its window; the fitted one has 1.7 times that.
    assert found.map.grid.height == max(32, round(1.7 * side / 2))


def test_a_click_is_answered_in_two_calls():
    decoder = BrightDecoder()
    WindowSearch(decoder).find(PICTURE, [click(60, 70)], 1)
    # 40, 80 and 160 pixels, then the closer look.
    assert [len(prompts) for prompts in decoder.calls] == [3, 1]


def test_a_window_larger_than_the_image_is_looked_at_if_an_object_seems_as_large():
    decoder = BrightDecoder()
    WindowSearch(decoder).find(PICTURE, [click(120, 160)], 1)
    # 40, 80 and 160 pixels, then 320, then the closer look.
    assert [len(prompts) for prompts in decoder.calls] == [3, 1, 1]


def test_only_the_best_answer_gets_a_closer_look():
    decoder = BrightDecoder()
    (found,) = WindowSearch(decoder).find(PICTURE, [click(60, 70)], 3)
    assert len(found) == 3
    assert [len(prompts) for prompts in decoder.calls] == [3, 1]
    assert found[0].map.grid.height == 32  # 1.7 times 17 pixels, but at least 32
    assert {mask.map.grid.height for mask in found[1:]} <= {40, 80, 160, 320}


class SharpDecoder(BrightDecoder):
    """Takes all that is bright, in fitted windows of up to 128 pixels to the pixel.

    There it takes pits for a part of the object, and overlooks a corner.
    """

    closer_size = 256

    def take(self, bright: NDArray[np.bool_], prompt: WindowPrompt) -> NDArray:
        if len(bright) < 128:
            return bright
        filled = ndimage.binary_fill_holes(bright)
        rows, cols = np.nonzero(filled)
        if len(rows):
            filled[rows.min() : rows.min() + 10, cols.min() : cols.min() + 10] = False
        return filled


def test_ladder_and_fitted_windows_have_their_own_sizes():
    for prompt, sides in ((click(60, 70), [64, 256]), (Prompt(box=BOX), [256])):
        decoder = SharpDecoder()
        WindowSearch(decoder).find(PICTURE, [prompt], 1)
        assert decoder.sides == sides


@pytest.mark.parametrize(("best", "calls"), [(3, [6, 1]), (4, [6, 1, 1])])
def test_the_largest_windows_are_looked_at_if_an_object_seems_as_large(best, calls):
    image = np.broadcast_to(np.uint8(PADDING_VALUE), (3000, 2000, 3))
    scores = [0.1] * 6
    scores[best] = 0.9
    decoder = ScriptedDecoder(scores)
    WindowSearch(decoder).find(ArrayPicture(image), [click(1500, 1000)], 1)
    assert [len(prompts) for prompts in decoder.calls] == calls


def test_answers_come_best_first():
    search = WindowSearch(ScriptedDecoder([0.2, 0.4, 0.9, 0.7]))
    (found,) = search.find(
        ArrayPicture(np.zeros((200, 200, 3), np.uint8)), [click(100, 100)], 3
    )
    scores = [answer.score for answer in found]
    assert scores == sorted(scores, reverse=True)


def test_a_box_is_answered_from_one_fitted_window():
    decoder = BrightDecoder()
    box = Prompt(box=(52, 62, 69, 79))
    ((found,),) = WindowSearch(decoder).find(PICTURE, [box], 1)
    assert [len(prompts) for prompts in decoder.calls] == [1]
    assert found.map.grid[:4] == (45, 55, 32, 32)


def test_a_mask_is_answered_from_one_fitted_window():
    decoder = BrightDecoder()
    logits = np.where(SMALL, 5, -5)
    prompt = Prompt([(60, 70)], [1], mask_logits=logits)
    ((found,),) = WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert [len(prompts) for prompts in decoder.calls] == [1]
    assert found.map.grid[:4] == (45, 55, 32, 32)
    assert np.array_equal(whole_mask(found, SMALL.shape), SMALL)


def test_the_fitted_window_holds_the_clicks_beside_the_box():
    decoder = BrightDecoder()
    prompt = Prompt([(60, 120)], [1], box=(52, 62, 69, 79))
    ((found,),) = WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert found.map.grid.col0 + found.map.grid.width > 121


def test_a_negative_click_far_away_does_not_widen_the_window():
    decoder = BrightDecoder()
    box = (52, 62, 69, 79)
    search = WindowSearch(decoder)
    ((alone,),) = search.find(PICTURE, [Prompt(box=box)], 1)
    ((other,),) = search.find(PICTURE, [Prompt([(190, 230)], [0], box=box)], 1)
    assert other.map.grid == alone.map.grid


def test_an_empty_mask_alone_is_refused():
    prompt = Prompt(mask_logits=np.full((8, 8), -5))
    with pytest.raises(PromptError, match=r"is empty .*add a point or a box"):
        WindowSearch(BrightDecoder()).find(PICTURE, [prompt], 1)


def test_an_empty_mask_beside_a_click_says_nothing():
    decoder = BrightDecoder()
    prompt = Prompt([(60, 70)], [1], mask_logits=np.full((8, 8), -5))
    WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert all(told.mask is None for told in decoder.calls[0])


def test_a_background_click_has_the_ladder_looked_at_again():
    mask = np.where(np.arange(64).reshape(8, 8) > 20, 5, -5)
    clicks = [(60, 70), (150, 190)]
    for labels, windows in (([1, 1], 0), ([1, 0], 3)):
        decoder = BrightDecoder()
        prompt = Prompt(clicks, labels, mask_logits=mask)
        WindowSearch(decoder).find(PICTURE, [prompt], 1)
        # Those of the ladder know no earlier mask, all others do.
        told = [one for prompts in decoder.calls for one in prompts]
        assert sum(one.mask is None for one in told) == windows
        assert decoder.calls[0][0].mask is not None


# ---- what the windows are told ----------------------------------------------


class UnsureDecoder(ScriptedDecoder):
    """Is sure of the middle, and takes the cells around it for a little less likely."""

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        found = super().decode_windows(pixels, prompts)
        found.logits[..., 6:26, 6:26] = np.maximum(found.logits[..., 6:26, 6:26], -0.5)
        return found


def drawn_cells(prompt: Prompt, score: float) -> int:
    """Count the cells of the only answer."""
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    ((found,),) = WindowSearch(UnsureDecoder([score])).find(image, [prompt], 1)
    return int((found.map.logits > 0).sum())


@pytest.mark.parametrize("prompt", [click(100, 100), Prompt(box=(80, 80, 120, 120))])
def test_a_doubtful_first_answer_takes_what_is_nearly_likely(prompt):
    # ln 0.5 < -0.5 < ln 0.95; a ladder's windows cost up to 0.15.
    assert drawn_cells(prompt, 0.95) == 16**2
    assert drawn_cells(prompt, 0.5) == 20**2


def test_a_ladder_tells_which_of_its_masks_are_alike(monkeypatch):
    told = np.eye(3, dtype=np.float32)
    told[0, 1] = told[1, 0] = 1
    monkeypatch.setattr(search, "likeness", lambda *_: told)
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    decoder = ScriptedDecoder([0.9, 0.9, 0.5])
    ((_, other),) = WindowSearch(decoder).find(image, [click(100, 100)], 2)
    assert other.map.grid.height == 160  # not 80, which has the better score


def test_the_other_candidates_are_widened_too():
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    (found,) = WindowSearch(UnsureDecoder([0.5])).find(image, [click(100, 100)], 3)
    assert [int((one.map.logits > 0).sum()) for one in found] == [20**2] * 3


def test_a_correction_is_not_widened():
    logits = np.full((200, 200), -5, np.float32)
    logits[90:110, 90:110] = 5
    mask = Prompt([(100, 100), (101, 100)], [1, 1], mask_logits=logits)
    assert drawn_cells(mask, 0.5) == 16**2


def test_a_correction_of_another_scale_is_not_widened_and_follows_its_clicks():
    logits = np.full((200, 200), -5, np.float32)
    logits[20:180, 20:180] = 5
    clicks = [(100, 100), (104, 104)]  # both in the middle that is always found
    prompt = Prompt(clicks, [1, 0], mask_logits=logits)
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    decoder = UnsureDecoder([0.6])
    decoder.rank = lambda ladder: np.full_like(ladder.scores, 0.9)
    (masks,) = WindowSearch(decoder).find(image, [prompt], 3)
    assert len(decoder.calls) > 2  # the ladder answered
    for mask in masks:
        assert mask.map.holds(prompt.points).tolist() == [True, False]
        assert (mask.map.logits > 0).sum() < 16**2


@pytest.mark.parametrize("parts", [{}, {"box": (80, 80, 120, 120)}])
@pytest.mark.parametrize("decoder", [UnsureDecoder([0.5]), UnsureDecoder([0.9])])
def test_clicks_are_followed_without_an_earlier_mask_too(decoder, parts):
    prompt = Prompt([(100, 100), (104, 104), (100, 122)], [1, 0, 1], **parts)
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    (masks,) = WindowSearch(decoder).find(image, [prompt], 3)
    for mask in masks:
        assert mask.map.holds(prompt.points).tolist() == [True, False, True]


class LosingDecoder(ScriptedDecoder):
    """Sees nothing closer."""

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        found = super().decode_windows(pixels, prompts)
        if len(self.calls) > 1:
            found.logits[:] = -10
        return found


def test_a_closer_look_that_loses_the_click_is_not_taken():
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    decoder = LosingDecoder([0.9, 0.5, 0.5])
    ((found,),) = WindowSearch(decoder).find(image, [click(100, 100)], 1)
    assert len(decoder.calls) == 2
    assert (found.map.logits > 0).sum() == 16**2
    assert found.score == pytest.approx(0.9)


def test_one_click_on_nothing_finds_nothing():
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    (masks,) = WindowSearch(BlindDecoder()).find(image, [click(100, 100)], 3)
    assert not any((mask.map.logits > 0).any() for mask in masks)


def test_other_candidates_are_compared_with_the_mask_as_it_is_seen_closer(monkeypatch):
    compared: list[list[int]] = []

    def record(masks: list[Candidate]) -> NDArray[np.float32]:
        compared.append([mask.map.grid.height for mask in masks])
        return likeness(masks)

    monkeypatch.setattr(search, "likeness", record)
    image = ArrayPicture(np.zeros((200, 200, 3), np.uint8))
    decoder = ScriptedDecoder([0.6, 0.9, 0.5])
    WindowSearch(decoder).find(image, [click(100, 100)], 2)
    assert compared == [[40, round(1.7 * 40), 160, 320]]  # in the place of that of 80


def test_the_earlier_mask_is_carried_along():
    decoder = BrightDecoder()
    logits = np.where(SMALL, 5, -5)
    prompt = Prompt([(60, 70)], [1], mask_logits=logits)
    WindowSearch(decoder).find(PICTURE, [prompt], 1)
    (told,) = decoder.calls[0]
    # 32 pixels on 32 cells from (45, 55) on.
    assert np.array_equal(told.mask, logits[45:77, 55:87])


def test_the_first_look_knows_no_mask_and_the_closer_one_what_was_found():
    decoder = BrightDecoder()
    WindowSearch(decoder).find(PICTURE, [click(60, 70)], 1)
    first, (closer,) = decoder.calls
    assert all(told.mask is None for told in first)
    carried = closer.mask > 0
    truth = SMALL[45:77, 55:87]
    assert (carried & truth).sum() / (carried | truth).sum() > 0.7


def test_clicks_and_box_come_in_window_pixels():
    prompt = Prompt([(52, 62), (0, 0)], [1, 0], box=(52, 62, 69, 79))
    told = WindowPrompt.place(prompt, Window(44, 54, 32, 32), None, SIZE)
    assert told.points.tolist() == [[17, 17], [-87, -107]]
    assert told.labels.tolist() == [True, False]
    assert told.box.tolist() == [16, 16, 50, 50]
    assert told.mask is None


def test_earlier_mask_covers_the_image():
    assert earlier_mask(click(1, 1), (20, 30)) is None
    carried = earlier_mask(Prompt(mask_logits=np.ones((4, 6))), (20, 30))
    assert carried.grid == (0, 0, 20, 30, 4, 6)
    assert carried.bounds() == (0, 0, 20, 30)


def test_earlier_mask_covers_its_box():
    prompt = Prompt(mask_logits=[[-1, 1, -1, -1]], mask_box=(2, 3, 6, 11))
    carried = earlier_mask(prompt, (20, 30))
    assert carried.grid == (2, 3, 4, 8, 1, 4)
    assert carried.bounds() == (2, 5, 6, 7)


@pytest.mark.parametrize("place", [(2000, 3001), (0, 0), (4076, 4076)])
def test_a_small_mask_in_a_large_image_keeps_its_pixels(place):
    image = np.broadcast_to(np.uint8(PADDING_VALUE), (4096, 4096, 3))
    row, col = place
    truth = disc((20, 20), 9.5, 9.5, 9.8)
    truth[4:16, 9] = False  # a detail of a single pixel
    logits = np.pad(np.where(truth, 10.0, -10.0), 8, constant_values=-10)
    box = (row - 8, col - 8, row + 28, col + 28)
    decoder = BrightDecoder()
    prompt = Prompt([(row + 2, col + 9)], [1], mask_logits=logits, mask_box=box)
    WindowSearch(decoder).find(ArrayPicture(image), [prompt], 1)
    (told,) = decoder.calls[0]
    # The fitted window has 34 pixels, on 32 cells.
    window = Window(row - 7, col - 7, 34, 34)
    cells = np.repeat(np.repeat(told.mask, 34, 0), 34, 1).reshape(34, 32, 34, 32)
    seen = (cells.mean((1, 3)) > 0)[7:27, 7:27]
    assert window.height == round(1.7 * 20)
    assert (seen & truth).sum() / (seen | truth).sum() > 0.93
    # Over the whole image, as before, it is a few cells.
    coarse = Prompt(mask_logits=np.where(np.arange(256) == 125, 5, -5)[None])
    assert earlier_mask(coarse, (4096, 4096)).bounds() == (0, 2000, 4096, 2016)


# ---- where the answers lie --------------------------------------------------


@pytest.mark.parametrize("radius", [3, 5, 8, 8.5])
@pytest.mark.parametrize("centre", [(60, 70), (31, 200), (9, 9), (3, 120)])
def test_a_small_disc_is_found_to_the_pixel(centre, radius):
    truth = disc((80, 240), *centre, radius)
    ((found,),) = WindowSearch(BrightDecoder()).find(
        ArrayPicture(picture(truth)), [click(*centre)], 1
    )
    assert np.array_equal(whole_mask(found, truth.shape), truth)


def test_a_large_disc_is_found_but_for_its_rim():
    ((found,),) = WindowSearch(BrightDecoder()).find(PICTURE, [click(120, 160)], 1)
    mask = whole_mask(found, LARGE.shape)
    assert (mask & LARGE).sum() / (mask | LARGE).sum() > 0.95


def test_many_prompts_are_answered_like_one_by_one():
    prompts = [
        click(60, 70),
        Prompt(box=(80, 120, 160, 200)),
        click(120, 160),
        Prompt([(60, 70)], [1], mask_logits=np.where(SMALL, 5, -5)),
        click(10, 10),
    ]
    search = WindowSearch(BrightDecoder())
    together = search.find(PICTURE, prompts, 2)
    for prompt, answers in zip(prompts, together):
        (alone,) = search.find(PICTURE, [prompt], 2)
        assert len(answers) == len(alone) == 2
        for one, other in zip(answers, alone):
            assert one.score == other.score
            assert one.map.grid == other.map.grid
            assert np.array_equal(one.map.logits, other.map.logits)


def test_more_windows_than_fit_one_call():
    decoder = BrightDecoder()
    prompts = [click(60, 70)] * 30
    found = WindowSearch(decoder).find(PICTURE, prompts, 1)
    assert sum(map(len, decoder.calls)) == 30 * 3 + 30
    assert max(map(len, decoder.calls)) < 60
    for (answer,) in found:
        assert np.array_equal(whole_mask(answer, SMALL.shape), SMALL)


def test_no_prompts_have_no_answers():
    assert WindowSearch(BrightDecoder()).find(PICTURE, [], 3) == []


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 1), (13, 29), (-7, 5)])
@pytest.mark.parametrize("middle", [(120, 120), (121.3, 118.5)])
def test_answers_shift_with_the_image(middle, down, across):
    truth = disc((256, 256), *middle, 21)
    moved = np.roll(truth, (down, across), (0, 1))
    search = WindowSearch(BrightDecoder())
    row, col = np.round(middle)
    ((one,),) = search.find(ArrayPicture(picture(truth)), [click(row, col)], 1)
    ((other,),) = search.find(
        ArrayPicture(picture(moved)), [click(row + down, col + across)], 1
    )
    assert one.score == other.score
    here = one.to_prediction((256, 256), 16)
    there = other.to_prediction((256, 256), 16)
    assert np.array_equal(
        np.roll(here.paste((256, 256)), (down, across), (0, 1)),
        there.paste((256, 256)),
    )


# ---- nothing there ----------------------------------------------------------


@pytest.mark.parametrize("label", [0, 1])
def test_nothing_found_is_an_empty_mask_around_the_click(label):
    prompt = Prompt([(60, 70)], [label])
    ((found,),) = WindowSearch(BlindDecoder()).find(PICTURE, [prompt], 1)
    assert not whole_mask(found, (200, 240)).any()
    row0, col0, row1, col1 = found.to_prediction((200, 240), 16).bbox
    assert row0 <= 60 < row1
    assert col0 <= 70 < col1


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("shape", [(200, 240), (30, 30), (1, 1)])
def test_what_is_found_beyond_the_image_leads_nowhere(shape, label):
    image = np.zeros((*shape, 3), np.uint8)
    prompt = Prompt([(0, 0)], [label])
    ((found,),) = WindowSearch(CornerDecoder()).find(ArrayPicture(image), [prompt], 1)
    row0, col0, row1, col1 = found.to_prediction(shape, 16).bbox
    assert row0 == col0 == 0 < min(row1, col1)


@pytest.mark.parametrize("far", [1e4, 1e9, 1e300])
def test_a_box_far_beyond_the_image_is_one_around_all_of_it(far):
    prompt = Prompt(box=(-far, -far, far, far))
    decoder = BrightDecoder()
    ((found,),) = WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert found.map.grid.height == round(1.7 * 240)
    assert decoder.calls[0][0].box.tolist() == [-SIZE, -SIZE, 2 * SIZE, 2 * SIZE]


FULL = np.full((8, 8), 5, np.float32)


@pytest.mark.parametrize("far", [1e4, 1e9, 1e300])
def test_an_earlier_mask_far_beyond_the_image_counts_where_it_shows(far):
    prompt = Prompt(mask_logits=FULL, mask_box=(-far, -far, far, far))
    ((found,),) = WindowSearch(BrightDecoder()).find(PICTURE, [prompt], 1)
    assert found.map.grid.height == round(1.7 * 240)


@pytest.mark.parametrize(
    "box", [(-60, -60, -10, -10), (0, 240, 50, 300), (1e9, 1e9, 1e9 + 9, 1e9 + 9)]
)
def test_an_earlier_mask_beside_the_image_says_nothing(box):
    prompt = Prompt([(60, 70)], [1], mask_logits=FULL, mask_box=box)
    decoder = BrightDecoder()
    WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert all(told.mask is None for told in decoder.calls[0])
    with pytest.raises(PromptError, match="empty in the image"):
        WindowSearch(decoder).find(PICTURE, [Prompt(mask_logits=FULL, mask_box=box)], 1)


@pytest.mark.parametrize("parts", [{}, {"box": (40, 50, 80, 90)}])
@pytest.mark.parametrize("far", [1e3, 1e9])
def test_clicks_far_beyond_the_image_want_no_larger_window_than_its_edge(parts, far):
    # Of 200 x 240 pixels: the corner (199, 239) is the nearest.
    grids = []
    for corner in ((199, 239), (far, far)):
        prompt = Prompt([(60, 70), corner], [1, 1], **parts)
        ((found,),) = WindowSearch(BrightDecoder()).find(PICTURE, [prompt], 1)
        grids.append(found.map.grid)
    assert grids[0] == grids[1]


# ---- the race between windows -------------------------------------------------

MIDDLE = (100, 120)
AWAY = (10, 12)


class TwoLooksDecoder(ScriptedDecoder):
    """Scores windows otherwise when it sees them closer."""

    def __init__(self, first: Sequence[float], closer: Sequence[float]) -> None:
        super().__init__(first)
        self.closer = closer

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        if self.calls:
            self.scores = self.closer
        return super().decode_windows(pixels, prompts)


@pytest.mark.parametrize(("second", "side"), [(0.84, 40), (0.86, 80)])
def test_a_larger_window_must_be_clearly_better(second, side):
    decoder = ScriptedDecoder([0.8, second, 0.1, 0.1])
    ((found,),) = WindowSearch(decoder).find(PICTURE, [Prompt([MIDDLE], [1])], 1)
    assert found.map.grid.height == round(1.7 * side / 2)


def test_a_closer_look_does_not_change_the_order():
    decoder = TwoLooksDecoder([0.9, 0.7, 0.6, 0.1], [0.2, 0.9, 0.1])
    (found,) = WindowSearch(decoder).find(PICTURE, [Prompt([MIDDLE], [1])], 3)
    # The first seen closer, with the ladder's score; the others as the ladder had them.
    assert [mask.map.grid.height for mask in found] == [34, 80, 160]
    assert [mask.score for mask in found] == pytest.approx([0.9, 0.65, 0.5])


@pytest.mark.parametrize(("label", "score"), [(0, 0.4), (1, 0.5)])
def test_a_mask_that_contradicts_a_click_counts_less(label, score):
    prompt = Prompt([MIDDLE, (100, 123)], [1, label])
    ((found,),) = WindowSearch(ScriptedDecoder([0.5])).find(PICTURE, [prompt], 1)
    assert found.score == pytest.approx(score)


@pytest.mark.parametrize(("ladder", "calls"), [(0.3, 2), (0.49, 2), (0.51, 3)])
def test_the_earlier_mask_is_left_only_for_a_better_one(ladder, calls):
    mask = np.full((20, 24), -5)
    mask[8:12, 10:14] = 5
    # One call for the fitted window, one for the ladder, perhaps one to look closer.
    decoder = TwoLooksDecoder([0.5], [ladder])
    prompt = Prompt([MIDDLE, AWAY], [1, 0], mask_logits=mask)
    WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert len(decoder.calls) == calls


def test_a_late_correction_does_not_leave_the_earlier_mask():
    mask = np.full((20, 24), -5)
    mask[8:12, 10:14] = 5
    decoder = TwoLooksDecoder([0.1], [0.9])
    clicks = [MIDDLE, MIDDLE, AWAY, AWAY]
    prompt = Prompt(clicks, [1, 1, 0, 0], mask_logits=mask)
    WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert len(decoder.calls) == 1


class JudgingDecoder(ScriptedDecoder):
    """Ranks a ladder's windows as it is told to, and keeps the ladder."""

    def __init__(self, ranks: Sequence[float]) -> None:
        super().__init__([0.5])
        self.ranks = np.array(ranks, np.float32)[:, None]
        self.ladders: list[Ladder] = []

    def rank(self, ladder: Ladder) -> NDArray[np.float32]:
        self.ladders.append(ladder)
        return self.ranks[: len(ladder.windows)]


def test_answers_are_ordered_as_the_decoder_ranks_them():
    decoder = JudgingDecoder([0.1, 0.2, 0.9, 0.3])
    (found,) = WindowSearch(decoder).find(PICTURE, [Prompt([MIDDLE], [1])], 4)
    # The best of 160 pixels is seen closer, in 1.7 times its half.
    assert [mask.map.grid.height for mask in found] == [136, 320, 80, 40]
    assert [mask.score for mask in found] == pytest.approx([0.9, 0.3, 0.2, 0.1])


def test_a_decoder_is_shown_the_whole_ladder():
    # The third of the early windows is the best, so a fourth follows.
    decoder = JudgingDecoder([0.4, 0.4, 0.5, 0.4])
    clicks = [MIDDLE, (100, 123), (100, 128)]
    WindowSearch(decoder).find(PICTURE, [Prompt(clicks, [1, 0, 0])], 1)
    first, ladder = decoder.ladders
    assert [window.height for window in first.windows] == [40, 80, 160]
    assert [window.height for window in ladder.windows] == [40, 80, 160, 320]
    assert ladder.logits.shape == (4, 1, SIZE // 2, SIZE // 2)
    assert ladder.scores.tolist() == [[0.5]] * 4
    assert ladder.traits[:, 0, 0].tolist() == [0, 1, 2, 0]
    assert ladder.contradicted.tolist() == [[2]] * 4
    assert ladder.clicks == 3


HINTED = [
    (None, 40, 0.8),
    (SizeHint(sizes_px=(80, 80, 80)), 160, 0.75),
    (SizeHint(sizes_px=(20,)), 40, 0.8),
    (SizeHint(view_px=4000), 160, 0.75 - 0.05 * np.log2(100 / 80)),
]


@pytest.mark.parametrize(("hint", "side", "score"), HINTED)
def test_a_size_hint_can_make_another_scale_win(hint, side, score):
    # Masks of 20, 40, 80 and 160 pixels; windows cost 0.05 per doubling.
    decoder = ScriptedDecoder([0.8, 0.7, 0.85, 0.1])
    prompt = Prompt([MIDDLE], [1], size_hint=hint)
    ((found,),) = WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert found.map.grid.height == round(1.7 * side / 2)
    assert found.rating == pytest.approx(score)


def test_a_hint_neither_widens_a_mask_nor_leads_below_nothing():
    hint = SizeHint(sizes_px=(4000, 4000, 4000), view_px=80000)
    image = ArrayPicture(np.zeros((200, 240, 3), np.uint8))
    for score, rating in ((0.95, 0.45), (0.31, -0.19)):
        areas = []
        for size_hint in (None, hint):
            prompt = Prompt([MIDDLE], [1], size_hint=size_hint)
            decoder = UnsureDecoder([score])
            decoder.rank = lambda ladder: ladder.scores
            ((found,),) = WindowSearch(decoder).find(image, [prompt], 1)
            areas.append(int((found.map.logits > 0).sum()))
        assert areas[0] == areas[1]
        assert found.score == pytest.approx(score)
        assert found.rating == pytest.approx(rating, abs=0.01)
        assert found.to_prediction((200, 240), 256).score == max(found.rating, 0)


def test_the_better_of_two_masks_of_wrong_sizes_is_chosen():
    hint = SizeHint(sizes_px=(4000, 4000, 4000), view_px=80000)
    decoder = ScriptedDecoder([0.45, 0.48, 0.1, 0.1])
    decoder.rank = lambda ladder: ladder.scores
    prompt = Prompt([MIDDLE], [1], size_hint=hint)
    ((found,),) = WindowSearch(decoder).find(PICTURE, [prompt], 1)
    assert found.map.grid.height == round(1.7 * 40)  # the middle of 80 pixels


def test_a_hint_changes_no_score_of_a_box():
    scores = []
    for hint in (None, SizeHint(sizes_px=(500, 500, 500), view_px=4000)):
        prompt = Prompt(box=BOX, size_hint=hint)
        ((found,),) = WindowSearch(BrightDecoder()).find(PICTURE, [prompt], 1)
        scores.append(found.score)
    assert scores[0] == scores[1]


# ---- corrections --------------------------------------------------------------

SQUARE = np.zeros((200, 240), np.bool_)
SQUARE[60:135, 80:155] = True  # its fitted window has 128 pixels
PIT = (slice(92, 98), slice(146, 152))


def correct(
    earlier: NDArray[np.bool_], point: tuple[int, int]
) -> tuple[SharpDecoder, NDArray[np.bool_]]:
    """Click on what an earlier mask of a square with a pit lacks."""
    truth = SQUARE.copy()
    truth[PIT] = False
    prompt = Prompt(
        [(97, 117), point], [1, 1], mask_logits=np.where(earlier, 5.0, -5.0)
    )
    decoder = SharpDecoder()
    search = WindowSearch(decoder)
    ((found,),) = search.find(ArrayPicture(picture(truth)), [prompt], 1)
    return decoder, whole_mask(found, truth.shape)


def test_what_no_click_asked_for_is_left_as_it_was():
    earlier = SQUARE.copy()
    earlier[90:100, 145:155] = False
    _, found = correct(earlier, (91, 153))
    # The decoder overlooks this corner.
    assert found[60:70, 80:90].all()
    assert np.array_equal(found[:80], SQUARE[:80])
    assert np.array_equal(found[110:], SQUARE[110:])


def test_a_correction_is_looked_at_once():
    earlier = SQUARE.copy()
    earlier[:, 125:] = False
    decoder, found = correct(earlier, (91, 153))
    assert decoder.sides == [256]
    assert found[62:133, 127:153].all()  # pits are seen in small windows alone


def test_without_clicks_a_mask_may_change_everywhere():
    prompt = Prompt(mask_logits=np.where(SQUARE, 5.0, -5.0))
    decoder = SharpDecoder()
    search = WindowSearch(decoder)
    ((found,),) = search.find(ArrayPicture(picture(SQUARE)), [prompt], 1)
    assert decoder.sides == [256]
    assert not whole_mask(found, SQUARE.shape)[61:69, 81:89].any()
