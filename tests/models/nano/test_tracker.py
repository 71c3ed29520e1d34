"""nano fulfils the protocol; with random weights, for only its form counts here."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest
import torch

from napari_sam3.core.candidate import candidates
from napari_sam3.core.errors import ImageError, ModelError, PromptError
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Tracker, WindowTracker
from napari_sam3.core.window_decoder import Seen, WindowPrompt, describe
from napari_sam3.core.windows import Window, ladder_windows
from napari_sam3.models.nano.tracker import NanoTracker

CLICK = Prompt([(20, 30)], [1])
BOX = Prompt(box=(10, 20, 30, 45))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture
def tracker(network) -> NanoTracker:
    return NanoTracker(network)


@pytest.fixture
def whole(network) -> NanoTracker:
    return NanoTracker(network, windows=False)


def same(one, other) -> bool:
    return (
        one.bbox == other.bbox
        and np.allclose(one.logits, other.logits, atol=1e-4)
        and np.allclose(one.low_res, other.low_res, atol=1e-4)
        and one.score == pytest.approx(other.score, abs=1e-4)
    )


# ---- the protocol -----------------------------------------------------------


def test_it_is_a_tracker(tracker):
    assert isinstance(tracker, Tracker)
    assert tracker.model_id == "nano"
    assert tracker.low_res_size == 256
    assert tracker.device == torch.device("cpu")
    assert tracker.window_size == 128
    assert tracker.closer_size == 160


def test_it_does_not_learn(tracker):
    assert not any(p.requires_grad for p in tracker.network.parameters())
    assert not tracker.network.training


# ---- embeddings -------------------------------------------------------------


def test_images_of_any_size_are_embedded_in_order(tracker):
    images = [noise(60, 40), noise(1, 1), noise(33, 700), noise(8, 8), noise(20, 9)]
    embeddings = tracker.embed(images)
    assert [one.image_shape for one in embeddings] == [i.shape[:2] for i in images]
    assert {one.fingerprint for one in embeddings} == {tracker.fingerprint}
    for image, together in zip(images, embeddings):
        (alone,) = tracker.embed([image])
        assert torch.allclose(
            tracker.image_embedding(alone),
            tracker.image_embedding(together),
            rtol=1e-4,
            atol=1e-4,
        )


def test_an_embedding_says_how_much_it_holds(tracker):
    image = noise(60, 40)
    (embedding,) = tracker.embed([image])
    # Features of 512 x 512 pixels at strides 2 (16 channels), 4 to 32 (64).
    cells = 16 * 256**2 + 64 * (128**2 + 64**2 + 32**2 + 16**2)
    assert embedding.nbytes == 4 * cells + image.nbytes


def test_no_images_have_no_embeddings(tracker):
    assert tracker.embed([]) == []


@pytest.mark.parametrize("shape", [(60, 40), (600, 500)])
def test_the_image_embedding_has_the_reference_shape(tracker, shape):
    (embedding,) = tracker.embed([noise(*shape)])
    features = tracker.image_embedding(embedding)
    assert features.shape == (1, 256, 64, 64)
    assert features.dtype == torch.float32
    assert features.is_contiguous()
    assert features.isfinite().all()


def test_another_models_embedding_is_refused(tracker, network):
    other = NanoTracker(copy.deepcopy(network), model_id="other")
    (embedding,) = other.embed([noise(60, 40)])
    with pytest.raises(ModelError, match=r"of other-.*embed the image again"):
        tracker.predict(embedding, [CLICK], multimask=True)


def test_other_weights_of_the_same_name_are_told_apart(network):
    again, changed = copy.deepcopy(network), copy.deepcopy(network)
    with torch.no_grad():
        changed.decoder.masks.bias += 1e-3
    tracker, twin, other = (NanoTracker(net) for net in (network, again, changed))
    assert other.model_id == tracker.model_id == "nano"
    assert twin.fingerprint == tracker.fingerprint
    assert other.fingerprint != tracker.fingerprint
    (embedding,) = other.embed([noise(60, 40)])
    with pytest.raises(ModelError, match="embed the image again"):
        tracker.predict(embedding, [CLICK], multimask=True)


def test_an_embedding_does_not_follow_its_array(tracker):
    image = noise(60, 40)
    (embedding,) = tracker.embed([image])
    before = tracker.predict(embedding, [CLICK], multimask=False)[0][0]
    image[:] = 0
    after = tracker.predict(embedding, [CLICK], multimask=False)[0][0]
    np.testing.assert_array_equal(before.logits, after.logits)


@pytest.mark.parametrize("image", [np.zeros((9, 9)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(tracker, image):
    with pytest.raises(ImageError):
        tracker.embed([image])


def test_threads_get_the_same_answers(tracker):
    (embedding,) = tracker.embed([noise(90, 120)])
    prompts = [Prompt(points=[[20 + 7 * n, 30 + 9 * n]], labels=[1]) for n in range(8)]

    def ask(prompt):
        return tracker.predict(embedding, [prompt], multimask=False)[0][0]

    expected = [ask(prompt) for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(ask, prompts), strict=True):
            np.testing.assert_allclose(one.low_res, other.low_res, atol=1e-4)


# ---- progress and cancelling ------------------------------------------------


class CancelledError(Exception):
    pass


@pytest.mark.parametrize("count", [1, 2, 6])
def test_progress_is_told_between_the_encoders_blocks(tracker, count):
    seen = []
    tracker.embed(
        [noise(60, 40)] * count, report=lambda done, total: seen.append((done, total))
    )
    done, totals = zip(*seen)
    assert set(totals) == {16 * count}
    assert list(done) == sorted(done)
    assert (done[0], done[-1]) == (0, 16 * count)
    # Every block of every batch of four, besides a start for each image.
    assert len(seen) == count + 16 * -(-count // 4)


def test_telling_progress_changes_no_bit(tracker):
    images = [noise(60, 40), noise(90, 30)]
    silent = tracker.embed(images)
    for one, other in zip(silent, tracker.embed(images, report=lambda *_: None)):
        assert torch.equal(tracker.image_embedding(one), tracker.image_embedding(other))
        assert torch.equal(one.features.whole.fine, other.features.whole.fine)


@pytest.mark.parametrize("last", [0, 1, 9, 32])
def test_what_the_report_raises_ends_the_encoding(tracker, last):
    image, seen = noise(60, 40), []
    (before,) = tracker.embed([image])

    def report(done, total):
        seen.append(done)
        if done >= last:
            raise CancelledError

    with pytest.raises(CancelledError):
        tracker.embed([image, image], report=report)
    assert len([done for done in seen if done >= last]) == 1
    # The tracker goes on as if it had not been asked.
    (after,) = tracker.embed([image])
    assert torch.equal(tracker.image_embedding(before), tracker.image_embedding(after))
    assert not torch.is_inference_mode_enabled()


def test_it_can_be_built_and_asked_on_other_threads(weights):
    image = noise(90, 120)

    def work(_):
        tracker = NanoTracker.load(weights)
        (embedding,) = tracker.embed([image])
        return tracker.predict(embedding, [CLICK], multimask=True)[0]

    expected = work(None)
    with ThreadPoolExecutor(2) as pool:
        for answers in pool.map(work, range(4)):
            assert all(same(*pair) for pair in zip(expected, answers, strict=True))


# ---- predictions ------------------------------------------------------------


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize(("multimask", "count"), [(True, 3), (False, 1)])
def test_each_prompt_gets_its_candidates(network, windows, multimask, count):
    tracker = NanoTracker(network, windows=windows)
    (embedding,) = tracker.embed([noise(60, 90)])
    answers = tracker.predict(embedding, [CLICK, BOX], multimask=multimask)
    assert [len(row) for row in answers] == [count, count]
    for row in answers:
        scores = [mask.score for mask in row]
        assert scores == sorted(scores, reverse=True)
        for mask in row:
            assert 0 <= mask.score <= 1
            assert mask.low_res.shape == (256, 256)
            assert np.abs(mask.low_res).max() <= 32 + 1e-3
            row0, col0, row1, col1 = mask.bbox
            assert 0 <= row0 < row1 <= 60
            assert 0 <= col0 < col1 <= 90


@pytest.mark.parametrize("windows", [True, False])
def test_objects_are_answered_alone_as_among_others(network, windows):
    tracker = NanoTracker(network, windows=windows)
    (embedding,) = tracker.embed([noise(60, 90)])
    prompts = [CLICK, BOX, Prompt([(1, 1), (50, 80)], [1, 0])]
    together = tracker.predict(embedding, prompts, multimask=False)
    for prompt, (answer,) in zip(prompts, together):
        ((alone,),) = tracker.predict(embedding, [prompt], multimask=False)
        assert same(answer, alone)


def test_no_prompts_have_no_answers(tracker):
    (embedding,) = tracker.embed([noise(60, 90)])
    assert tracker.predict(embedding, [], multimask=True) == []


def test_without_windows_the_answer_covers_the_image(whole):
    (embedding,) = whole.embed([noise(60, 90)])
    ((answer,),) = whole.predict(embedding, [CLICK], multimask=False)
    assert answer.bbox == (0, 0, 60, 90)


def test_with_windows_the_answer_covers_a_part(tracker):
    (embedding,) = tracker.embed([noise(600, 900)])
    prompt = Prompt(box=(300, 400, 340, 420))
    ((answer,),) = tracker.predict(embedding, [prompt], multimask=False)
    assert answer.bbox == (286, 376, 354, 444)


def test_an_earlier_mask_is_heard(tracker):
    (embedding,) = tracker.embed([noise(60, 90)])
    square = np.full((256, 256), -20.0)
    square[60:120, 60:120] = 20
    ring = square.copy()
    ring[80:100, 80:100] = -20
    one, other = (
        tracker.predict(embedding, [Prompt(mask_logits=earlier)], multimask=False)
        for earlier in (square, ring)
    )
    assert one[0][0].bbox == other[0][0].bbox
    assert not same(one[0][0], other[0][0])


@pytest.mark.parametrize(
    "prompt", [Prompt([(500, 5)], [1]), Prompt(box=(90, 0, 95, 9))]
)
def test_prompts_beyond_the_image_are_refused(tracker, prompt):
    (embedding,) = tracker.embed([noise(60, 90)])
    with pytest.raises(PromptError, match="image of 60 rows and 90"):
        tracker.predict(embedding, [prompt], multimask=False)


@pytest.mark.parametrize("windows", [True, False])
def test_a_huge_box_is_one_around_the_image(network, windows):
    tracker = NanoTracker(network, windows=windows)
    (embedding,) = tracker.embed([noise(60, 90)])
    huge, large = (
        tracker.predict(embedding, [Prompt(box=box)], multimask=False)
        for box in ((-1e300, -1e300, 1e300, 1e300), (-60, -90, 600, 900))
    )
    assert same(huge[0][0], large[0][0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_thin_images_can_be_prompted(tracker, shape):
    (embedding,) = tracker.embed([noise(*shape)])
    prompt = Prompt([(0, 0)], [1])
    ((answer,),) = tracker.predict(embedding, [prompt], multimask=False)
    assert answer.paste(shape).shape == shape


def test_windows_of_both_sizes_are_decoded(tracker):
    earlier = np.zeros((80, 80), np.float32)
    for size, mask in ((128, None), (160, earlier)):
        told = WindowPrompt(np.array([[9.0, 9.0]]), np.array([True]), None, mask)
        answers = tracker.decode_windows(noise(2, size, size), [told, told])
        assert answers.logits.shape == (2, 4, size // 2, size // 2)
        assert answers.scores.shape == (2, 4)
        assert answers.traits.shape[:2] == (2, 4)
        assert ((answers.scores > 0) & (answers.scores < 1)).all()


def test_a_ladder_is_ranked_by_its_own_head(tracker):
    windows = ladder_windows(np.array([[30.0, 45.0]]), (60, 90))
    prompt = WindowPrompt(np.array([[64.0, 64.0]]), np.array([True]), None, None)
    pixels = noise(len(windows), 128, 128)
    answers = tracker.decode_windows(pixels, [prompt] * len(windows))
    seen = [
        Seen(candidates(window, logits, scores), traits)
        for window, logits, scores, traits in zip(windows, *answers, strict=True)
    ]
    ladder = describe(CLICK, windows, seen)
    scores = tracker.rank(ladder)
    assert scores.shape == (3, 4)
    assert scores.dtype == np.float32
    parts = (ladder.traits, ladder.numbers())
    tokens = (torch.from_numpy(part.reshape(1, 12, -1)) for part in parts)
    with torch.inference_mode():
        expected = tracker.network.ranking(*tokens).sigmoid().reshape(3, 4)
    assert np.allclose(scores, expected, atol=1e-6)
    # It has learnt nothing, but looks at what it judges.
    assert not np.allclose(scores, scores[0, 0], atol=1e-4)


# ---- number formats ---------------------------------------------------------


def test_bfloat16_answers_roughly_the_same(network):
    image = noise(60, 90)
    features = []
    for dtype in (torch.float32, torch.bfloat16):
        tracker = NanoTracker(copy.deepcopy(network), dtype=dtype)
        (embedding,) = tracker.embed([image])
        ((answer,),) = tracker.predict(embedding, [BOX], multimask=False)
        assert answer.logits.dtype == np.float32
        features.append(tracker.image_embedding(embedding))
    one, other = features
    assert other.dtype == torch.float32
    assert not torch.equal(one, other)
    assert (one - other).abs().mean() < 0.05 * one.abs().mean()


# ---- pictures that are read where prompts are -------------------------------


class Watched:
    """A picture that notes what is read of it."""

    def __init__(self, image: np.ndarray) -> None:
        self._picture = ArrayPicture(image)
        self.windows: list[Window] = []

    @property
    def shape(self) -> tuple[int, int]:
        return self._picture.shape

    def read(self, window: Window, rows: int, cols: int) -> np.ndarray:
        self.windows.append(window)
        return self._picture.read(window, rows, cols)


def test_opening_reads_and_encodes_nothing(tracker, monkeypatch):
    picture = Watched(noise(200, 300))
    monkeypatch.setattr(tracker.network, "embed", None)
    embedding = tracker.open(picture)
    assert isinstance(tracker, WindowTracker)
    assert picture.windows == []
    assert embedding.image_shape == (200, 300)
    assert embedding.fingerprint == tracker.fingerprint
    assert embedding.nbytes == 0


@pytest.mark.parametrize("multimask", [False, True])
def test_what_was_opened_is_answered_as_what_was_embedded(tracker, multimask):
    image = noise(200, 300)
    earlier = np.random.default_rng(1).normal(0, 5, (40, 50)).astype(np.float32)
    masked = Prompt([(50, 60)], [1], mask_logits=earlier, mask_box=(30, 40, 70, 90))
    prompts = [CLICK, BOX, masked, Prompt([(0, 299), (199, 0)], [1, 0])]
    picture = Watched(image)
    (embedded,) = tracker.embed([image])
    opened = tracker.predict(tracker.open(picture), prompts, multimask=multimask)
    known = tracker.predict(embedded, prompts, multimask=multimask)
    assert picture.windows
    for one, other in zip(chain(*opened), chain(*known)):
        assert (one.bbox, one.score, one.seen) == (other.bbox, other.score, other.seen)
        assert np.array_equal(one.logits, other.logits)
        assert np.array_equal(one.low_res, other.low_res)


def test_what_was_opened_has_no_features_of_the_whole(tracker):
    embedding = tracker.open(Watched(noise(40, 50)))
    with pytest.raises(ModelError, match="use embed"):
        tracker.image_embedding(embedding)
    with pytest.raises(ModelError, match="use embed"):
        tracker.to_arrays(embedding)
    with pytest.raises(ModelError, match="use embed"):
        tracker.without_windows().predict(embedding, [CLICK], multimask=False)


def test_without_windows_it_answers_from_the_whole_view(network):
    twin = copy.deepcopy(network)
    tracker, whole = NanoTracker(network), NanoTracker(twin, windows=False)
    (embedding,) = tracker.embed([noise(60, 80)])
    other = tracker.without_windows()
    assert other.fingerprint == tracker.fingerprint
    (mine,), (theirs,) = (
        one.predict(embedding, [CLICK], multimask=True) for one in (other, whole)
    )
    assert all(same(a, b) for a, b in zip(mine, theirs))
    assert {one.bbox for one in mine} == {(0, 0, 60, 80)}
    (windowed,) = tracker.predict(embedding, [CLICK], multimask=True)
    assert {one.bbox for one in windowed} != {(0, 0, 60, 80)}  # it is as it was


# ---- arrays -----------------------------------------------------------------


def test_an_embedding_comes_back_from_its_arrays(tracker):
    image = noise(60, 80)
    (embedding,) = tracker.embed([image])
    arrays = tracker.to_arrays(embedding)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    back = tracker.from_arrays(arrays, image)
    assert back.image_shape == (60, 80)
    assert back.fingerprint == embedding.fingerprint
    assert back.nbytes == embedding.nbytes
    again = tracker.to_arrays(back)
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)
    # The whole view is rounded, the windows are read from the image itself.
    (one,), (other,) = (
        tracker.predict(e, [CLICK], multimask=False) for e in (embedding, back)
    )
    assert np.array_equal(one[0].logits, other[0].logits)
    rounded = tracker.without_windows().predict(back, [CLICK], multimask=False)
    exact = tracker.without_windows().predict(embedding, [CLICK], multimask=False)
    assert np.allclose(rounded[0][0].logits, exact[0][0].logits, atol=0.2)


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "none"])
def test_arrays_of_something_else_are_refused(tracker, change):
    image = noise(60, 80)
    arrays = tracker.to_arrays(tracker.embed([image])[0])
    if change == "missing":
        del arrays["fine"]
    elif change == "extra":
        arrays["more"] = arrays["fine"]
    elif change == "shape":
        arrays["level0"] = arrays["level0"][..., :-1]
    else:
        arrays = {}
    with pytest.raises(ModelError, match="embed the image again"):
        tracker.from_arrays(arrays, image)
