"""Training windows say the truth about the pixels that they show."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from training import sampling
from training.augment import turn, turn_box, turn_point
from training.data import LabelledImage
from training.drafts import MAX_CLICKS
from training.places import covered
from training.prompted import choose_targets
from training.sampling import Batch, WindowStream
from training.settings import SampleSettings

COUNT = 12


def labelled(side: int = 160, radius: float = 22) -> LabelledImage:
    """Draw two discs, the first red and the second green, on blue."""
    rows, cols = np.indices((side, side))
    labels = np.zeros((side, side), np.int32)
    for label, (row, col) in enumerate([(50, 60), (100, 110)], 1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 <= radius**2] = label
    colours = np.array([(0, 0, 255), (255, 0, 0), (0, 255, 0)], np.uint8)
    return LabelledImage.build(colours[labels], labels)


def draw(monkeypatch=None, seed: int = 0, count: int = COUNT, **settings) -> Batch:
    """Draw a batch; with ``monkeypatch`` its colours are left as they are.

    Its windows have the plain size if nothing else is said.
    """
    settings = {"large_share": 0.0, "plane_share": 0.0, **settings}
    if monkeypatch is not None:
        monkeypatch.setattr(sampling, "change_appearance", lambda window, rng: window)
    stream = WindowStream([labelled()], count, seed, SampleSettings(**settings))
    return next(iter(stream))


def shown(batch: Batch, label: int) -> torch.Tensor:
    """Return where the windows show a label's colour, (B, S / 2, S / 2)."""
    pure = batch.pixels[..., label - 1].float() / 255
    return pure.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean((2, 4))


# ---- form -------------------------------------------------------------------


def test_shapes_and_dtypes():
    batch = draw(prompts=2, window=64)
    assert batch.pixels.shape == (COUNT, 64, 64, 3)
    assert batch.pixels.dtype == torch.uint8
    assert batch.truth.shape == (COUNT, 2, 32, 32)
    assert batch.area.shape == (COUNT, 2)
    assert batch.click.shape == (COUNT, 2, 2)
    assert batch.box.shape == (COUNT, 2, 4)
    assert batch.mask.shape == batch.truth.shape
    assert batch.has_mask.shape == (COUNT, 2)
    assert batch.points.shape == (COUNT, 2, MAX_CLICKS, 2)
    assert batch.labels.shape == (COUNT, 2, MAX_CLICKS)
    assert all(part.dtype == torch.float32 for part in batch[1:])


def test_the_same_seed_draws_the_same_windows():
    one, same, other = draw(seed=1), draw(seed=1), draw(seed=2)
    assert all(
        torch.equal(a.nan_to_num(-9), b.nan_to_num(-9)) for a, b in zip(one, same)
    )
    assert not torch.equal(one.pixels, other.pixels)


def test_batches_differ():
    stream = WindowStream([labelled()], 2, seed=0)
    one, other = islice(stream, 2)
    assert not torch.equal(one.pixels, other.pixels)


def test_images_without_objects_are_left_out():
    empty = LabelledImage.build(np.zeros((40, 40), np.uint8), np.zeros((40, 40), int))
    stream = WindowStream([empty, labelled()], 4, seed=0)
    assert [len(group) for group in stream.groups.values()] == [1]
    next(iter(stream))


# ---- truth ------------------------------------------------------------------


@pytest.mark.parametrize("ladder_share", [0.0, 1.0])
def test_the_truth_is_where_the_pixels_show_the_object(monkeypatch, ladder_share):
    batch = draw(monkeypatch, ladder_share=ladder_share, prompts=1)
    truth = batch.truth > 0.5
    # The prompted object is one of the two, and has its colour.
    colours = torch.stack([shown(batch, 1), shown(batch, 2)], 1) > 0.6
    common = (truth & colours).sum((2, 3)) / (truth | colours).sum((2, 3))
    large = truth.sum((1, 2, 3)) > 50
    assert large.sum() > COUNT / 2
    assert (common.amax(1)[large] > 0.8).all()
    assert (batch.truth.amax((1, 2, 3)) > 0).all()


def test_a_windows_objects_are_told_apart(monkeypatch):
    batch = draw(monkeypatch, ladder_share=1.0, prompts=2)
    one, other = batch.truth[:, 0] > 0.5, batch.truth[:, 1] > 0.5
    differ = ~(one == other).flatten(1).all(1)
    assert differ.any()
    assert not (one & other)[differ].any()


def test_truth_is_a_share():
    truth = draw().truth
    assert truth.min() == 0
    assert truth.max() == 1
    assert ((truth > 0) & (truth < 1)).any()


def centres(batch: Batch) -> torch.Tensor:
    """Return the middles of the first objects as shares of the window, (B, 2)."""
    first = batch.truth[:, 0]
    places = (torch.arange(first.shape[-1]) + 0.5) / first.shape[-1]
    total = first.sum((1, 2))
    rows = (first.sum(2) * places).sum(1) / total
    return torch.stack([rows, (first.sum(1) * places).sum(1) / total], 1)


def test_views_show_whole_objects_anywhere(monkeypatch):
    views = draw(monkeypatch, count=60, ladder_share=0.0, view_share=1.0, prompts=1)
    fitted = draw(monkeypatch, count=60, ladder_share=0.0, view_share=0.0, prompts=1)
    seen = views.truth.sum((2, 3))
    assert torch.allclose(seen, views.area, rtol=0.25)
    away = [(centres(batch) - 0.5).abs().amax(1) for batch in (views, fitted)]
    assert (away[0] > 0.25).float().mean() > 0.4
    assert (away[1] > 0.25).float().mean() < 0.2
    # As a small object of a plane, or as a large one of a small image.
    size = seen.sqrt().flatten() / views.truth.shape[-1]
    assert size.min() < 0.16  # 1.6 times the whole image
    assert size.max() > 0.3


def test_some_batches_are_one_view_of_a_plane(monkeypatch):
    batch = draw(monkeypatch, plane_share=1.0, prompts=2, window=64)
    assert batch.pixels.shape == (1, 256, 256, 3)
    assert batch.truth.shape == (1, 2, 128, 128)
    assert batch.click.isnan().all()
    stream = WindowStream([labelled()], 4, 3, SampleSettings(window=32))
    sides = [batch.pixels.shape[1] for batch in islice(stream, 100)]
    assert set(sides) == {32, 48, 128}
    assert sides.count(32) > sides.count(48) > sides.count(128) > 3


# ---- areas ------------------------------------------------------------------


def rim(truth: torch.Tensor) -> torch.Tensor:
    """Return how much of the object lies on the window's border, (B, P)."""
    return truth[..., [0, -1], :].sum((2, 3)) + truth[..., [0, -1]].sum((2, 3))


def test_the_area_of_a_whole_object_is_what_is_seen_of_it():
    batch = draw(ladder_share=0.0, prompts=1)
    whole = rim(batch.truth) == 0
    assert whole.any()
    seen = batch.truth.sum((2, 3))
    assert torch.allclose(seen[whole], batch.area[whole], rtol=0.05)


def test_the_area_counts_what_lies_beyond_the_window():
    batch = draw(count=40, seed=4, ladder_share=1.0, prompts=1)
    cut = rim(batch.truth) > 40
    assert cut.any()
    seen = batch.truth.sum((2, 3))
    assert (batch.area[cut] > 1.03 * seen[cut]).all()
    assert (batch.area[cut] > 1.5 * seen[cut]).any()


# ---- clicks and boxes -------------------------------------------------------


def test_the_given_click_lies_on_its_object():
    batch = draw(ladder_share=1.0, prompts=2)
    first = batch.click[:, 0]
    assert not first.isnan().any()
    row, col = (first // 2).long().T
    assert (batch.truth[torch.arange(COUNT), 0, row, col] > 0).all()


def test_the_given_click_is_in_the_middle_of_its_window():
    first = draw(ladder_share=1.0).click[:, 0]
    assert ((first - 64).abs() < 4).all()


def test_only_the_first_object_of_a_ladders_window_has_a_click():
    batch = draw(ladder_share=1.0, prompts=3)
    assert batch.click[:, 1:].isnan().all()
    assert draw(ladder_share=0.0).click.isnan().all()


def test_boxes_are_there_as_often_as_asked():
    assert draw(ladder_share=0.0, box_share=0.0).box.isnan().all()
    assert not draw(ladder_share=0.0, box_share=1.0).box.isnan().any()
    some = draw(ladder_share=0.0, box_share=0.5).box.isnan()
    assert some.any()
    assert not some.all()
    assert (some.all(-1) == some.any(-1)).all()


def test_boxes_lie_around_their_objects():
    batch = draw(ladder_share=0.0, box_share=1.0, prompts=1)
    for truth, (row0, col0, row1, col1) in zip(batch.truth[:, 0], batch.box[:, 0]):
        assert row0 < row1
        assert col0 < col1
        rows, cols = torch.nonzero(truth > 0.5).T
        overlap = torch.zeros_like(truth)
        low = [max(0, round(float(edge) / 2)) for edge in (row0, col0)]
        high = [max(0, round(float(edge) / 2)) for edge in (row1, col1)]
        overlap[low[0] : high[0], low[1] : high[1]] = 1
        tight = torch.zeros_like(truth)
        tight[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1] = 1
        common = (overlap * tight).sum() / torch.maximum(overlap, tight).sum()
        assert common > 0.5


@pytest.mark.parametrize("code", range(8))
def test_points_and_boxes_turn_along_with_the_pixels(code):
    array = np.zeros((8, 8), int)
    array[1:3, 4:7] = 1
    array[1, 6] = 2
    turned = turn(array, code)
    ((row, col),) = np.argwhere(turned == 2)
    assert turn_point((1.5, 6.5), code, 8) == [row + 0.5, col + 0.5]
    rows, cols = np.nonzero(turned)
    tight = [rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]
    assert turn_box((1, 4, 3, 7), code, 8) == tight


def test_the_click_is_on_the_same_place_in_turned_windows(monkeypatch):
    # Pixels that say where they are, in an image as large as its windows.
    rows, cols = np.indices((64, 64))
    labels = (np.maximum(abs(rows - 20), abs(cols - 40)) < 9).astype(np.int32)
    image = np.stack([4 * rows, 4 * cols, 0 * rows], -1).astype(np.uint8)
    monkeypatch.setattr(sampling, "change_appearance", lambda window, rng: window)
    stream = WindowStream(
        [LabelledImage.build(image, labels)],
        40,
        0,
        SampleSettings(ladder_share=1.0, large_share=0.0, plane_share=0.0),
    )
    batch = next(iter(stream))
    seen = set()
    for pixels, truth, click in zip(batch.pixels, batch.truth[:, 0], batch.click[:, 0]):
        row, col = (click / 2).long()
        assert truth[row, col] > 0
        at = pixels[int(click[0]), int(click[1]), :2].float() / 4
        assert ((at - torch.tensor([20, 40])).abs() < 9.5).all()
        # Which way rows and columns run tells the symmetry.
        down = pixels[68, 64, :2].float() - pixels[60, 64, :2].float()
        seen.add((int(down.abs().argmax()), bool(down.sum() > 0)))
    assert len(seen) == 4


# ---- what was done before -----------------------------------------------------


def test_first_clicks_and_boxes_alone_have_no_draft():
    first = draw(ladder_share=1.0, draft_share=1.0, scribble_share=0.0, prompts=1)
    boxed = draw(ladder_share=0.0, draft_share=0.0, scribble_share=0.0)
    for batch in (first, boxed):
        assert not batch.has_mask.any()
        assert not batch.mask.any()
        assert (batch.labels == -1).all()


def at(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Read maps (B, P, h, w) at points (B, P, N, 2) in window pixels."""
    row, col = (points / 2).long().clamp(0, maps.shape[-1] - 1).unbind(-1)
    flat = maps.flatten(2)
    return flat.gather(2, row * maps.shape[-1] + col)


def test_drafts_turn_along_with_their_objects():
    batch = draw(count=16, ladder_share=0.0, draft_share=1.0)
    assert batch.has_mask.mean() > 0.8
    drawn, truth = batch.mask > 0, batch.truth > 0.5
    overlap = (drawn & truth).sum((2, 3)) / truth.sum((2, 3)).clamp(min=1)
    assert overlap[batch.has_mask == 1].median() > 0.5
    # Clicks obey the truth, and the mask but for what its rim lost to smoothing.
    for label in (0, 1):
        named = batch.labels == label
        assert named.sum() > 10
        assert (at(truth.float(), batch.points)[named] == label).all()
        agreed = at(drawn.float(), batch.points)[named] == label
        assert agreed.float().mean() > 0.8


def test_lines_lie_on_their_objects():
    batch = draw(ladder_share=0.0, draft_share=0.0, scribble_share=1.0, prompts=1)
    named = batch.labels == 1
    assert named.sum() > 3 * COUNT
    assert (batch.labels[~named] == -1).all()
    assert not batch.has_mask.any()
    assert (at((batch.truth > 0.5).float(), batch.points)[named] == 1).all()


# ---- larger windows -----------------------------------------------------------


def test_some_batches_have_fewer_and_larger_windows():
    batch = draw(count=4, window=64, large_share=1.0, ladder_share=1.0)
    assert batch.pixels.shape == (2, 96, 96, 3)
    assert batch.truth.shape == batch.mask.shape == (2, 3, 48, 48)
    assert batch.click.isnan().all()  # none of them around a first click
    settings = SampleSettings(window=32, plane_share=0.0)
    stream = WindowStream([labelled()], 2, 0, settings)
    sides = [batch.pixels.shape[1] for batch in islice(stream, 60)]
    assert set(sides) == {32, 48}
    assert 5 <= sides.count(48) <= 27


# ---- which objects --------------------------------------------------------------


@pytest.mark.parametrize(("cut", "targets"), [(10, {0, 1}), (28, {0})])
def test_objects_that_are_mostly_beyond_a_window_are_not_prompted_in_it(cut, targets):
    labels = np.zeros((100, 100), np.int32)
    labels[10:50, 10:50], labels[10:50, 60:100] = 1, 2
    image = LabelledImage.build(np.zeros((100, 100), np.uint8), labels)
    seen = labels[:, : 100 - cut]
    rng = np.random.default_rng(0)
    assert set(choose_targets(image, 0, seen, 1.0, 3, rng)) == targets


def test_shares_of_cells_are_exact():
    inside = np.zeros((8, 8), np.bool_)
    inside[:4, :4] = True
    inside[0, 4] = inside[5:8, 4:7] = True
    assert covered(inside).tolist() == [[1, 1 / 16], [0, 9 / 16]]
