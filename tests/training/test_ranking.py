"""The ladder head learns to choose, from ladders whose overlaps are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam3.core.ladder import NUMBERS
from napari_sam3.core.window_decoder import WindowAnswers
from napari_sam3.core.windows import Window, ladder_windows
from napari_sam3.models.nano.ranking import LadderHead
from training import ladders as ladders_module
from training import ranking
from training.command import TrainingError
from training.data import LabelledImage
from training.ladders import Ladders, collect, overlaps
from training.ranking import calibrate, choose, learn, loss

TRAITS, MASKS = 5, 28


@pytest.fixture(autouse=True)
def _threads():
    """Give torch its threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def squares() -> LabelledImage:
    """Draw two squares of 20 pixels, the second one in a corner of the image."""
    labels = np.zeros((90, 90), np.int32)
    labels[30:50, 30:50], labels[70:90, 70:90] = 1, 2
    image = np.where(labels > 0, 200, 60).astype(np.uint8)
    return LabelledImage.build(image, labels, modality="fluorescence_nuclei")


class KnowingTracker:
    """Finds in every window the square that its middle shows, and three other masks.

    The second one is the left half of it, the third is empty, the last is all.
    """

    window_size = 32

    def __init__(self, traits: int = TRAITS) -> None:
        self.traits = traits

    def decode_windows(self, pixels, prompts):
        bright = pixels[..., 0] > 130
        cells = bright.reshape(-1, 16, 2, 16, 2).mean((2, 4)) > 0.5
        masks = np.zeros((len(pixels), 4, 16, 16), np.bool_)
        masks[:, 0] = cells
        masks[:, 1, :, :8] = cells[..., :8]
        masks[:, 3] = True
        logits = np.where(masks, np.float32(9), np.float32(-9))
        scores = np.full(logits.shape[:2], 0.5, np.float32)
        traits = np.ones((*scores.shape, self.traits), np.float32)
        return WindowAnswers(logits, scores, traits)


# ---- overlaps ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(24, 24, 32, 32), [1, 0.5, 0, 400 / 32**2]),
        # Both squares, but only a cell of 16 pixels of the other one.
        (Window(10, 10, 64, 64), [400 / 416, 240 / 400, 0, 400 / 64**2]),
        # A quarter of the square is all that is seen of it.
        (Window(40, 40, 16, 16), [100 / 400, 80 / 400, 0, 100 / (300 + 16**2)]),
    ],
)
def test_overlaps_are_with_the_whole_object(window, expected):
    image = squares()
    side = 16
    per_cell = window.height // side
    rows = window.row0 + (np.arange(side) + 0.5) * per_cell
    cols = window.col0 + (np.arange(side) + 0.5) * per_cell
    seen = image.labels[np.ix_(rows.astype(int), cols.astype(int))] > 0
    masks = np.zeros((4, side, side), np.bool_)
    masks[0], masks[3] = seen, True
    masks[1, :, :8] = seen[:, :8]
    logits = np.where(masks, np.float32(3), np.float32(-3))
    # The same, counted in pixels of the image.
    truth = image.labels == 1
    counted = []
    for mask in masks:
        drawn = np.zeros((200, 200), np.bool_)
        row0, col0 = window.row0, window.col0
        large = np.kron(mask, np.ones((per_cell, per_cell))) > 0
        drawn[row0 : row0 + window.height, col0 : col0 + window.width] = large
        outside = drawn.sum() - drawn[:90, :90].sum()
        common = (drawn[:90, :90] & truth).sum()
        counted.append(common / ((drawn[:90, :90] | truth).sum() + outside))
    found = overlaps(image, 0, window, logits)
    assert found == pytest.approx(counted, abs=1e-6)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("images", "count", "said"),
    [
        ([squares()], 0, "at least one for each worker"),
        ([], 3, "No image has a labelled object"),
    ],
)
def test_nothing_to_collect_is_told(images, count, said):
    with pytest.raises(TrainingError, match=said):
        collect(KnowingTracker(), images, count, 0)


def test_collected_ladders_know_the_overlaps_of_their_masks(monkeypatch):
    tracker = KnowingTracker()
    monkeypatch.setattr(ladders_module, "_SHORTER", 0.0)
    ladders = collect(tracker, [squares()], 6, 0, change=False)
    assert ladders.traits.shape == (6, MASKS, TRAITS)
    assert ladders.numbers.shape == (6, MASKS, len(NUMBERS))
    assert ladders.iou.shape == (6, MASKS)
    # 40, 80 and 160 pixels hold 90; four masks of each.
    assert (~ladders.missing).sum(1).tolist() == [12] * 6
    assert ladders.missing[:, 12:].all()
    iou = ladders.iou[:, :12].view(6, 3, 4)
    assert (iou[..., 2] == 0).all()
    assert iou[:, 0, 0].max() > 0.8
    # The largest windows show both squares in cells of ten pixels.
    assert iou[:, 2, 0].max() < 0.7
    assert iou[:, 2, 0].min() > 0.2
    # All of a window of 160 pixels is 64 times the square.
    assert iou[:, 2, 3].numpy() == pytest.approx(1 / 64, rel=0.02)
    assert iou[:, 1, 3].numpy() == pytest.approx(1 / 16, rel=0.1)


def test_half_of_the_ladders_lack_their_largest_window():
    ladders = collect(KnowingTracker(), [squares()], 40, 0, change=False)
    counts = (~ladders.missing).sum(1).tolist()
    assert set(counts) == {8, 12}
    assert 10 < counts.count(8) < 30


def test_some_ladders_are_around_several_clicks(monkeypatch):
    image = squares()
    prompts = []
    monkeypatch.setattr(
        ladders_module,
        "ladder_windows",
        lambda clicks, shape: ladder_windows(clicks, shape)[:2],
    )
    draw = ladders_module._draw_prompt
    monkeypatch.setattr(
        ladders_module,
        "_draw_prompt",
        lambda *arguments: (
            prompts.append((arguments[1], draw(*arguments))) or prompts[-1][1]
        ),
    )
    collect(KnowingTracker(), [image], 40, 0, change=False)
    counts = [(len(p.positive), len(p.negative)) for _, p in prompts]
    assert len(counts) == 40
    assert 24 < counts.count((1, 0)) < 40
    assert max(positive for positive, _ in counts) in (2, 3)
    assert max(negative for _, negative in counts) in (1, 2)
    for index, prompt in prompts:
        rows, cols = prompt.points.astype(int).T
        on = image.labels[rows, cols] == image.ids[index]
        assert np.array_equal(on, prompt.labels)


def test_the_same_seed_collects_the_same_ladders():
    one, same, other = (
        collect(KnowingTracker(), [squares()], 4, seed) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.numbers, other.numbers)


# ---- learning ------------------------------------------------------------------


def made_up(count: int, seed: int) -> Ladders:
    """Make ladders in which one number tells each mask's overlap; four are missing."""
    generator = torch.Generator().manual_seed(seed)
    iou = torch.rand(count, 8, generator=generator)
    numbers = torch.randn(count, 8, len(NUMBERS), generator=generator) * 0.1
    numbers[..., NUMBERS.index("stability")] = 2 * iou - 1
    # What is missing would be the best choice of all.
    numbers[:, 4:, NUMBERS.index("stability")] = 2
    iou[:, 4:] = -1
    traits = torch.zeros(count, 8, TRAITS)
    return Ladders(traits, numbers, iou)


def measured(head: torch.nn.Module, ladders: Ladders) -> list[float]:
    """Return the loss, and the mean overlap of what is chosen."""
    with torch.inference_mode():
        told = loss(head, ladders).item()
    return [told, choose(head, ladders)[1].mean().item()]


def test_a_head_learns_to_prefer_the_better_mask():
    torch.manual_seed(0)
    head = LadderHead(TRAITS)
    check = made_up(200, 1)
    before, chosen_before = measured(head, check)
    learn(head, made_up(256, 0), steps=60, seed=0)
    after, chosen = measured(head, check)
    best = float(check.iou.amax(1).mean())
    assert chosen_before < best - 0.15
    assert chosen > best - 0.05
    # Nobody can predict better than to know every overlap.
    known = check.iou[check.iou >= 0].double()
    least = torch.nn.functional.binary_cross_entropy(known, known).item()
    assert least < after < least + 0.03 < before
    assert not head.training


def test_the_loss_knows_nothing_of_what_is_missing():
    torch.manual_seed(0)
    head = LadderHead(TRAITS)
    ladders = made_up(5, 0)
    shorter = Ladders(*(part[:, :4] for part in ladders))
    assert measured(head, ladders) == pytest.approx(measured(head, shorter), abs=1e-5)


class TellingHead(torch.nn.Module):
    """Gives the scores that it was given."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, traits, numbers, missing):
        return self.scores


def test_a_better_choice_has_the_smaller_loss():
    iou = torch.tensor([[0.9, 0.3, -1]])
    ladders = Ladders(torch.zeros(1, 3, 1), torch.zeros(1, 3, 1), iou)
    found = [
        measured(TellingHead(torch.tensor([scores])), ladders)
        for scores in ([2.0, -1.0, 9.0], [-1.0, 2.0, 9.0])
    ]
    assert found[0][0] < found[1][0]
    assert [chosen for _, chosen in found] == pytest.approx([0.9, 0.3])


def test_calibration_makes_predictions_of_chosen_masks_true_and_keeps_their_order():
    torch.manual_seed(0)
    head = LadderHead(TRAITS)
    learn(head, made_up(256, 0), steps=60, seed=0)
    with torch.no_grad():  # as if it had learnt to be far too sure
        head.last.weight *= 3
        head.last.bias.fill_(2)
    check, fresh = made_up(300, 1), made_up(300, 2)
    scores, iou = choose(head, fresh)
    assert scores.sigmoid().mean() > iou.mean() + 0.08
    calibrate(head, check)
    after, same = choose(head, fresh)
    assert torch.equal(same, iou)
    assert after.sigmoid().mean() == pytest.approx(float(iou.mean()), abs=0.02)
    assert torch.equal(after.argsort(), scores.argsort())


def test_the_command_changes_the_ranking_alone(
    data_folder, random_weights, tmp_path, capsys, monkeypatch
):
    tracker = KnowingTracker(traits=128)
    monkeypatch.setattr(ranking, "NanoTracker", lambda network: tracker)
    state = load_file(random_weights)
    older = {k: v for k, v in state.items() if not k.startswith("ranking.")}
    source, target = tmp_path / "weights.safetensors", tmp_path / "ranked.safetensors"
    save_file(older, source)
    arguments = [str(data_folder), str(source), "-o", str(target), "--synthetic", "0"]
    ranking.main([*arguments, "--ladders", "8", "--check", "3", "--steps", "2"])
    ranked = load_file(target)
    assert ranked.keys() == state.keys()
    assert all(torch.equal(ranked[name], older[name]) for name in older)
    assert "validation: chosen 0." in capsys.readouterr().out


def test_weights_that_lack_more_than_the_ranking_are_refused(
    data_folder, random_weights, tmp_path
):
    state = load_file(random_weights)
    del state["decoder.masks.bias"]
    save_file(state, tmp_path / "weights.safetensors")
    paths = [str(tmp_path / "weights.safetensors"), "-o", str(tmp_path / "ranked")]
    with pytest.raises(RuntimeError, match=r"decoder\.masks\.bias"):
        ranking.main([str(data_folder), *paths, "--synthetic", "0"])
    assert not (tmp_path / "ranked").exists()


def test_missing_weights_are_told_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(ranking, "draw_synthetic", lambda *_: pytest.fail("drawn"))
    with pytest.raises(SystemExit, match=r"none cannot be read: .*; give"):
        ranking.main(["DATA", str(tmp_path / "none"), "-o", str(tmp_path / "out")])
