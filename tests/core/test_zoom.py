"""Large planes are answered from windows that follow the prompts and fit the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from napari_sam3.core.errors import PromptError
from napari_sam3.core.patches import Patch, patches
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.tracker import Tracker
from napari_sam3.core.windows import Window
from napari_sam3.core.zoom import Zoom

VIEW = 256
LOW = 64


class Coarse:
    """A tracker that finds the bright connected region, and sees 256 x 256 only.

    Its image is squeezed into that square, and its mask comes from there.
    """

    model_id, fingerprint = "coarse", "coarse-0"
    low_res_size, view_size, device, is_quick = LOW, VIEW, "cpu", True

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def embed(self, images: Sequence[Any], **_: Any) -> list[Embedding]:
        return [
            Embedding(
                ArrayPicture(one).read(Window(0, 0, *one.shape[:2]), VIEW, VIEW)[
                    ..., 0
                ],
                one.shape[:2],
                self.fingerprint,
                VIEW**2,
            )
            for one in images
        ]

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        for prompt in prompts:
            prompt.check_inside(embedding.image_shape)
        self.asked += prompts
        return [
            [self._find(embedding, prompt, n) for n in range(3 if multimask else 1)]
            for prompt in prompts
        ]

    def _find(self, embedding: Embedding, prompt: Prompt, number: int) -> Prediction:
        shape = embedding.image_shape
        regions = label(embedding.features > 100, connectivity=1)
        scale = np.divide(VIEW, shape)

        def at(points: np.ndarray) -> np.ndarray:
            cells = np.floor((points + 0.5) * scale).astype(int).clip(0, VIEW - 1)
            return regions[tuple(cells.T)]

        wanted = set(at(prompt.positive).tolist())
        if prompt.box is not None:
            corners = np.reshape(prompt.box, (2, 2)) * scale
            top, left, bottom, right = corners.round().astype(int).ravel().clip(0, VIEW)
            wanted |= set(np.unique(regions[top:bottom, left:right]).tolist())
        if prompt.mask_logits is not None:
            own = Grid(0, 0, *shape, VIEW, VIEW)
            box = prompt.mask_box or (0, 0, *shape)
            cells = Grid(
                *box[:2], box[2] - box[0], box[3] - box[1], *prompt.mask_logits.shape
            )
            wanted |= set(
                np.unique(regions[resample(prompt.mask_logits, cells, own) > 0])
            )
        wanted -= {0, *at(prompt.negative).tolist()}
        mask = np.isin(regions, list(wanted))
        logits = np.where(mask, 10, -10).astype(np.float32)
        cells = Grid(0, 0, *shape, VIEW, VIEW)
        rows, cols = (
            np.minimum((np.arange(n) + 0.5) * VIEW / n, VIEW - 1) for n in shape
        )
        return Prediction(
            logits[np.ix_(rows.astype(int), cols.astype(int))],
            (0, 0, *shape),
            0.9 - number / 10,
            resample(logits, cells, Grid(0, 0, *shape, LOW, LOW)),
        )

    def image_embedding(self, embedding: Embedding) -> Any:
        return embedding.features


class Desk:
    """A plane, a tracker, and how often each part of the plane was embedded."""

    def __init__(self, plane: np.ndarray, **options: Any) -> None:
        self.plane = plane
        self.coarse = Coarse()
        self.embedded: list[Patch] = []
        self.known: dict[Patch, Embedding] = {}
        self.first: list[list[Prediction]] = []
        image = np.repeat(plane[..., None], 3, axis=2)
        self.picture = ArrayPicture(image)
        self.zoom = Zoom(
            self.coarse, plane.shape, self.embed, on_first=self.first.append, **options
        )

    def embed(self, patch: Patch) -> Embedding:
        if patch not in self.known:
            self.embedded.append(patch)
            (self.known[patch],) = self.coarse.embed([patch.read(self.picture)])
        return self.known[patch]

    def ask(self, *prompts: Prompt, multimask: bool = True) -> list[Prediction]:
        found = self.zoom.predict(self.zoom.embedding(), prompts, multimask=multimask)
        return [answers[0] for answers in found]

    def mask(self, prompt: Prompt) -> np.ndarray:
        (found,) = self.ask(prompt)
        return found.paste(self.plane.shape) > 0


def plane(shape=(3000, 3000), *discs: tuple[float, float, float]) -> np.ndarray:
    """Return a plane with bright discs, given as (row, col, radius)."""
    pixels = np.full(shape, 20, np.uint8)
    for row, col, radius in discs:
        r0, c0 = (max(int(x - radius - 2), 0) for x in (row, col))
        part = pixels[r0 : int(row + radius + 3), c0 : int(col + radius + 3)]
        rows, cols = np.indices(part.shape)
        part[np.hypot(rows + r0 - row, cols + c0 - col) <= radius] = 220
    return pixels


def click(row: float, col: float, positive: bool = True) -> Prompt:
    return Prompt([(row, col)], [positive])


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def after(found: Prediction, *points: tuple[float, float, int]) -> Prompt:
    """Return the prompt of a correction: all clicks, and the mask that was shown."""
    shown = found.trimmed()
    return Prompt(
        [point[:2] for point in points],
        [point[2] for point in points],
        mask_logits=shown.logits,
        mask_box=shown.bbox,
    )


def test_it_is_a_tracker():
    assert isinstance(Desk(plane((40, 40))).zoom, Tracker)


# ---- the closer look --------------------------------------------------------


def test_a_small_object_is_found_exactly_through_a_closer_look_and_not_without():
    pixels = plane((3000, 3000), (1200, 1700, 12))
    prompt = click(1200, 1700)
    whole = (0.0, 0.0, 3000.0, 3000.0)
    looked = Desk(pixels, field=whole)
    assert iou(looked.mask(prompt), pixels > 100) > 0.97
    assert looked.embedded[0].window == Window(0, 0, 3000, 3000)
    assert looked.embedded[-1].window.height <= 256
    squashed = Desk(pixels, whole=True)
    assert iou(squashed.mask(prompt), pixels > 100) < 0.75


def test_an_object_that_is_large_enough_needs_no_closer_look():
    pixels = plane((1000, 1000), (400, 500, 180))
    desk = Desk(pixels, field=(0, 0, 1000, 1000))
    assert iou(desk.mask(click(400, 500)), pixels > 100) > 0.95
    assert len(desk.embedded) == 1
    assert desk.first == []


@pytest.mark.parametrize("radius", [5, 12, 40, 300])
def test_first_answers_come_exactly_when_a_closer_look_follows(radius):
    desk = Desk(plane((3000, 3000), (900, 900, radius)), field=(0, 0, 3000, 3000))
    (found,) = desk.ask(click(900, 900))
    assert len(desk.first) == (len(desk.embedded) > 1)
    assert len(desk.embedded) > 1 or radius == 300
    if desk.first:
        assert desk.first[0][0].seen == (0, 0, 3000, 3000)
    assert found.seen == desk.embedded[-1].box


def test_of_many_prompts_there_are_no_first_answers():
    desk = Desk(plane((3000, 3000), (900, 900, 9), (100, 100, 9)))
    desk.ask(click(900, 900), click(100, 100))
    assert desk.first == []


def test_the_whole_plane_is_never_looked_at_more_closely():
    desk = Desk(plane((3000, 3000), (900, 900, 25)), whole=True, field=(0, 0, 99, 99))
    desk.ask(click(900, 900))
    desk.ask(Prompt(box=(870, 870, 930, 930)))
    assert [patch.box for patch in desk.embedded] == [(0, 0, 3000, 3000)]
    assert desk.first == []


# ---- cut objects ------------------------------------------------------------


@pytest.mark.parametrize("at", [(1500, 1500), (1140, 1280), (1270, 1270), (1535, 1400)])
@pytest.mark.parametrize("radius", [60, 110, 350])
def test_objects_that_a_window_cuts_become_whole(at, radius):
    pixels = plane((3000, 3000), (*at, radius))
    # The user looks at the object's upper left corner, and clicks there.
    corner = np.array(at) - radius * 0.6
    field = (corner[0] - 90, corner[1] - 90, corner[0] + 90, corner[1] + 90)
    desk = Desk(pixels, field=field)
    assert iou(desk.mask(click(*corner)), pixels > 100) > 0.9
    assert len(desk.embedded) <= 4


def test_at_the_border_of_the_plane_nothing_is_cut():
    pixels = plane((3000, 3000), (0, 128, 100))
    desk = Desk(pixels, field=(0, 0, 250, 250))
    assert iou(desk.mask(click(20, 128)), pixels > 100) > 0.95
    assert len(desk.embedded) == 1


def test_an_object_of_any_size_takes_four_looks_at_most():
    pixels = np.full((5000, 5000), 220, np.uint8)
    desk = Desk(pixels, field=(2000, 2000, 2100, 2100))
    desk.ask(click(2050, 2050))
    assert len(desk.coarse.asked) <= 4
    assert len(desk.embedded) <= 4


def test_what_is_never_whole_ends_too():
    class Restless(Coarse):
        """Finds a strip to the right border of whatever it sees."""

        def predict(self, embedding, prompts, *, multimask):
            self.asked += prompts
            rows, cols = embedding.image_shape
            logits = np.full((rows, cols), -10, np.float32)
            logits[rows // 2 :, -1 - len(self.asked) % 3 :] = 10
            low_res = np.zeros((LOW, LOW), np.float32)
            return [
                [Prediction(logits, (0, 0, rows, cols), 0.9, low_res)] for _ in prompts
            ]

    desk = Desk(plane((4000, 4000)))
    desk.coarse = Restless()
    desk.zoom = Zoom(desk.coarse, (4000, 4000), desk.embed, field=(0, 0, 200, 200))
    desk.ask(click(100, 100))
    assert len(desk.coarse.asked) <= 4


# ---- which window comes first -----------------------------------------------


@pytest.mark.parametrize(
    ("length", "side"), [(100, 256), (300, 256), (400, 512), (900, 1024), (2900, 3000)]
)
def test_the_first_window_follows_the_field_of_view(length, side):
    desk = Desk(plane(), field=(50, 60, 50 + length, 60 + length))
    first = desk.zoom.first_patch()
    assert max(first.window.height, first.window.width) == side
    assert first == desk.zoom.first_patch(click(50 + length / 2, 60 + length / 2))


def test_all_clicks_in_the_window_of_the_field_are_answered_from_it():
    # Windows around each click would mean an encoding for most of them.
    desk = Desk(plane(), field=(1000, 1000, 1240, 1250))
    desk.zoom.embed_first()
    row0, col0, row1, col1 = desk.embedded[0].box
    rng = np.random.default_rng(0)
    for place in rng.uniform((row0, col0), (row1 - 1, col1 - 1), (50, 2)):
        assert desk.zoom.first_patch(click(*place)) == desk.embedded[0]


def test_a_click_elsewhere_gets_a_window_of_the_same_scale():
    desk = Desk(plane(), field=(1000, 1000, 1400, 1400))
    patch = desk.zoom.first_patch(click(2700, 30))
    assert patch.window.height == desk.zoom.first_patch().window.height
    assert patch.holds((2700, 30, 2701, 31))


def test_without_a_field_it_is_full_resolution_around_the_prompt():
    desk = Desk(plane())
    patch = desk.zoom.first_patch(click(2000, 1000))
    assert patch.shape == (VIEW, VIEW)
    assert patch.is_plain
    assert patch.holds((1950, 950, 2050, 1050))


def test_clicks_that_are_far_apart_and_boxes_fit_into_the_window():
    desk = Desk(plane(), field=(0, 0, 200, 200))
    both = Prompt([(100, 100), (900, 700)], [1, 1])
    assert desk.zoom.first_patch(both).holds((100, 100, 901, 701))
    box = Prompt(box=(100, 90, 2000, 1500))
    assert desk.zoom.first_patch(box).holds((100, 90, 2000, 1500))
    beyond = Prompt(box=(-50, -50, 120, 5000))
    assert desk.zoom.first_patch(beyond).holds((0, 0, 120, 3000))


def test_background_clicks_outside_of_the_window_say_nothing_there():
    pixels = plane((3000, 3000), (500, 500, 60))
    desk = Desk(pixels, field=(400, 400, 600, 600))
    prompt = Prompt([(500, 500), (2900, 2900)], [1, 0])
    assert iou(desk.mask(prompt), pixels > 100) > 0.95
    assert all(len(asked.points) == 1 for asked in desk.coarse.asked)
    # Nor do they make the window of a mask larger.
    (found,) = desk.ask(click(500, 500))
    shown = found.trimmed()
    mask_and_background = Prompt(
        [(2900, 2900)], [0], mask_logits=shown.logits, mask_box=shown.bbox
    )
    assert desk.zoom.first_patch(mask_and_background).window.height <= 512


def test_boxes_find_what_they_hold():
    pixels = plane((3000, 3000), (500, 500, 15), (560, 500, 15), (900, 900, 15))
    desk = Desk(pixels, field=(0, 0, 3000, 3000))
    truth = pixels > 100
    truth[700:] = False
    prompt = Prompt(box=(480, 480, 580, 520))
    assert iou(desk.mask(prompt), truth) > 0.85


# ---- corrections ------------------------------------------------------------


def corrected(desk: Desk, radius: float) -> list[Prediction]:
    """Return the answers to a click on the disc and to three corrections."""
    (found,) = desk.ask(click(1100, 1200))
    answers = [found]
    points = [(1100, 1200, 1)]
    for row, positive in ((radius * 0.5, 1), (radius + 30, 0), (-radius * 0.5, 1)):
        points.append((1100 + row, 1200, positive))
        answers += desk.ask(after(answers[-1], *points))
    return answers


FIELDS = [(0, 0, 3000, 3000), (900, 900, 1400, 1500), None]


@pytest.mark.parametrize("radius", [7, 12, 35, 60, 100])
@pytest.mark.parametrize("field", FIELDS)
def test_windows_do_not_change_while_correcting(radius, field):
    desk = Desk(plane((3000, 3000), (1100, 1200, radius), (2000, 300, 9)), field=field)
    answers = corrected(desk, radius)
    assert len({one.seen for one in answers}) == 1
    assert len(desk.embedded) <= 3
    truth = desk.plane > 100
    truth[1900:] = False
    assert iou(answers[-1].paste((3000, 3000)) > 0, truth) > 0.9


@pytest.mark.parametrize("radius", [150, 260, 400])
@pytest.mark.parametrize("field", FIELDS)
def test_of_objects_that_were_cut_the_first_correction_settles_the_window(
    radius, field
):
    desk = Desk(plane((3000, 3000), (1100, 1200, radius)), field=field)
    answers = corrected(desk, radius)
    assert len({one.seen for one in answers[1:]}) == 1
    assert len(desk.embedded) <= 5
    assert iou(answers[-1].paste((3000, 3000)) > 0, desk.plane > 100) > 0.9


def test_an_earlier_mask_says_at_once_which_window_shows_it():
    pixels = plane((3000, 3000), (1200, 1700, 12))
    desk = Desk(pixels, field=(0, 0, 3000, 3000))
    (found,) = desk.ask(click(1200, 1700))
    asked = len(desk.coarse.asked)
    desk.ask(after(found, (1200, 1700, 1), (1203, 1700, 1)))
    assert len(desk.coarse.asked) == asked + 1


def test_a_mask_alone_and_one_of_the_whole_plane_are_answered():
    pixels = plane((3000, 3000), (1200, 1700, 40))
    desk = Desk(pixels)
    (found,) = desk.ask(click(1200, 1700))
    shown = found.trimmed()
    alone = Prompt(mask_logits=shown.logits, mask_box=shown.bbox)
    assert iou(desk.mask(alone), pixels > 100) > 0.95
    coarse = np.full((30, 30), -10, np.float32)
    coarse[12, 17] = 10
    assert iou(desk.mask(Prompt(mask_logits=coarse)), pixels > 100) > 0.95


def test_an_earlier_mask_without_a_pixel_elsewhere_is_no_error():
    pixels = plane((3000, 3000), (1200, 1700, 40))
    nothing = np.full((4, 4), -5, np.float32)
    prompt = Prompt([(1200, 1700)], [1], mask_logits=nothing, mask_box=(0, 0, 50, 50))
    assert iou(Desk(pixels).mask(prompt), pixels > 100) > 0.95


# ---- many -------------------------------------------------------------------


def test_prompts_that_share_a_window_share_its_embedding():
    spots = [(1000 + 60 * r, 1000 + 60 * c, 20.0) for r in range(4) for c in range(4)]
    pixels = plane((3000, 3000), *spots)
    desk = Desk(pixels, field=(990, 990, 1240, 1240))
    found = desk.ask(*(click(*spot[:2]) for spot in spots))
    union = np.zeros(pixels.shape, bool)
    for one in found:
        union |= one.paste(pixels.shape) > 0
    assert iou(union, pixels > 100) > 0.95
    # The field's window, and at most its neighbours for those that it cuts.
    assert len(desk.embedded) <= 4


def test_many_get_what_each_gets_alone():
    rng = np.random.default_rng(2)
    spots = [(*rng.integers(100, 2900, 2), rng.integers(4, 60)) for _ in range(12)]
    pixels = plane((3000, 3000), *spots)
    prompts = [click(*spot[:2]) for spot in spots]
    together = Desk(pixels, field=(0, 0, 1500, 1500)).ask(*prompts, multimask=False)
    for prompt, one in zip(prompts, together):
        (alone,) = Desk(pixels, field=(0, 0, 1500, 1500)).ask(prompt, multimask=False)
        assert alone.bbox == one.bbox
        np.testing.assert_array_equal(alone.logits, one.logits)


# ---- what an answer depends on ----------------------------------------------


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_an_answer_depends_on_prompt_and_field_alone(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 5)))
    spots = [(*rng.integers(50, 1150, 2), rng.integers(3, 80)) for _ in range(15)]
    pixels = plane((1200, 1200), *spots)
    spot = spots[data.draw(st.integers(0, 14))]
    fields = [None, (0, 0, 1200, 1200), (300, 300, 600, 700)]
    field = data.draw(st.sampled_from(fields))
    fresh = Desk(pixels, field=field)
    used = Desk(pixels, field=field)
    for other in spots[:4]:
        used.ask(click(*other[:2]))
    (one,), (two,) = (desk.ask(click(*spot[:2])) for desk in (fresh, used))
    assert (one.bbox, one.score, one.seen) == (two.bbox, two.score, two.seen)
    np.testing.assert_array_equal(one.logits, two.logits)


def test_what_is_too_small_to_be_seen_is_looked_for_at_full_resolution():
    pixels = plane((3000, 3000), (1200, 1700, 4))
    desk = Desk(pixels, field=(0, 0, 3000, 3000))
    assert iou(desk.mask(click(1200, 1700)), pixels > 100) > 0.9
    assert not desk.first[0][0].mask().any()


@pytest.mark.parametrize("field", [(0, 0, 3000, 3000), (9, 9, 200, 200), None])
def test_where_nothing_is_found_the_answer_is_an_empty_mask(field):
    desk = Desk(plane(), field=field)
    assert not desk.mask(click(1500, 1500)).any()
    assert len(desk.embedded) <= 2


def test_a_closer_look_that_finds_nothing_does_not_take_a_mask_away():
    class Fickle(Coarse):
        def predict(self, embedding, prompts, *, multimask):
            if len(self.asked) == 1:
                prompts = [Prompt([(0, 0)], [1])]
            return super().predict(embedding, prompts, multimask=multimask)

    desk = Desk(plane((3000, 3000), (1200, 1700, 12)))
    desk.coarse = Fickle()
    desk.zoom = Zoom(desk.coarse, (3000, 3000), desk.embed, field=(0, 0, 3000, 3000))
    assert desk.mask(click(1200, 1700)).any()
    assert len(desk.coarse.asked) == 2


def test_prompts_beside_the_plane_are_refused():
    desk = Desk(plane((300, 300)))
    with pytest.raises(PromptError, match="outside"):
        desk.ask(click(300, 5))


def test_small_planes_are_seen_whole_and_small_objects_in_them_closely():
    pixels = plane((200, 180), (60, 70, 5))
    desk = Desk(pixels)
    assert iou(desk.mask(click(60, 70)), pixels > 100) > 0.95
    assert desk.embedded[0].box == (0, 0, 200, 180)
    assert len(desk.embedded) == 2


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (7, 3000)])
def test_thin_planes_are_no_trouble(shape):
    pixels = np.full(shape, 20, np.uint8)
    pixels[: shape[0] // 2 + 1, : shape[1] // 2 + 1] = 220
    desk = Desk(pixels, field=(0, 0, *shape))
    assert iou(desk.mask(click(0, 0)), pixels > 100) > 0.9


class Everything(Coarse):
    """Takes all that it sees for the object; less of it in the other candidates."""

    def _find(self, embedding, prompt, number):
        shape = embedding.image_shape
        logits = np.full(shape, -10, np.float32)
        rows, cols = (side >> number for side in shape)
        logits[:rows, :cols] = 10
        low_res = np.zeros((LOW, LOW), np.float32)
        return Prediction(logits, (0, 0, *shape), self.scores[number], low_res)


@pytest.mark.parametrize("side", [12_000, 40_000])
def test_masks_that_would_fill_the_memory_are_refused_or_left_out(side):
    tracker = Everything()

    def embed(patch):
        return Embedding(None, patch.shape, tracker.fingerprint, 1)

    zoom = Zoom(tracker, (side, side), embed, whole=True)
    prompt = [Prompt([(5, 5)], [1])]
    if side == 40_000:
        tracker.scores = (0.9, 0.5, 0.4)
        with pytest.raises(PromptError, match=r"1,600 million pixels.*zoom"):
            zoom.predict(zoom.embedding(), prompt, multimask=True)
    else:
        tracker.scores = (0.5, 0.9, 0.4)
        ((*found,),) = zoom.predict(zoom.embedding(), prompt, multimask=True)
        assert [mask.score for mask in found] == [0.9, 0.4]


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([64, 256, 1008, 1024])
)
@settings(max_examples=200, deadline=None)
def test_who_sees_all_is_answered_from_what_is_embedded_in_advance(rows, cols, view):
    tracker = Coarse()
    tracker.view_size = view
    whole = (0.0, 0.0, float(rows), float(cols))
    zoom = Zoom(tracker, (rows, cols), lambda patch: None, field=whole)
    assert zoom.first_patch() == patches((rows, cols), view)[0]
    middle = Prompt([((rows - 1) / 2, (cols - 1) / 2)], [1])
    assert zoom.first_patch(middle) == zoom.first_patch()


def test_one_object_that_is_too_large_does_not_stop_the_others():
    tracker = Everything()
    tracker.scores = (0.9, 0.5, 0.4)

    def embed(patch):
        return Embedding(None, patch.shape, tracker.fingerprint, 1)

    zoom = Zoom(tracker, (40_000, 40_000), embed, whole=True)
    prompts = [Prompt([(5, 5)], [1]), Prompt([(9, 9)], [1])]
    found = zoom.predict(zoom.embedding(), prompts, multimask=False)
    assert [[mask.mask().any() for mask in masks] for masks in found] == [[False]] * 2


def test_a_tracker_of_unknown_size_is_shown_the_whole_plane():
    class Unsized(Coarse):
        """As trackers were before sizes were asked for."""

        view_size = property()

        def __getattribute__(self, name):
            if name == "view_size":
                raise AttributeError(name)
            return super().__getattribute__(name)

    desk = Desk(np.zeros((3000, 2000, 3), np.uint8))
    seen = []

    def embed(patch):
        seen.append(patch)
        return Coarse().embed([patch.read(ArrayPicture(desk.plane))])[0]

    tracker = Unsized()
    zoom = Zoom(tracker, (3000, 2000), embed)
    zoom.predict(zoom.embedding(), [Prompt([(5, 5)], [1])], multimask=True)
    assert [patch.box for patch in seen] == [(0, 0, 3000, 2000)]
    assert seen[0].is_plain
