"""Which objects are measured, and what is written down of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.tracker import no_report
from training.data import LabelledImage, load_split
from training.protocol import choose_images, choose_objects, measure, object_region
from training.responders import Question, TrackerResponder


def image_with_areas(modality: str, *areas: int) -> LabelledImage:
    labels = np.zeros((2 * len(areas), 200), np.uint16)
    for index, area in enumerate(areas):
        labels[2 * index, :area] = index + 1
    image = np.zeros(labels.shape, np.uint8)
    return LabelledImage.build(image, labels, name="a.png", modality=modality)


def test_specks_are_not_measured():
    areas = (49, 50, 99, 100)
    assert choose_objects(image_with_areas("nuclei", *areas), 8) == [2, 3, 4]
    assert choose_objects(image_with_areas("em_sem_axons", *areas), 8) == [4]


def test_the_same_few_objects_are_chosen_every_time():
    image = image_with_areas("nuclei", *[60] * 30)
    chosen = choose_objects(image, 5)
    assert len(set(chosen)) == 5
    assert chosen == sorted(chosen) == choose_objects(image, 5)
    assert chosen != [1, 2, 3, 4, 5]


def test_fewer_objects_are_some_of_more():
    image = image_with_areas("nuclei", *[60] * 30)
    assert set(choose_objects(image, 4)) < set(choose_objects(image, 8))


def images_of(dataset: str, count: int) -> list[LabelledImage]:
    empty = np.zeros((2, 2), np.uint8)
    return [
        LabelledImage.build(empty, empty, name=f"{dataset}{n}", dataset=dataset)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (4, ["a0", "a2", "a4", "a6", "b0", "b1", "b2"]),
        (1, ["a0", "b0"]),
        (9, [f"a{n}" for n in range(7)] + ["b0", "b1", "b2"]),
    ],
)
def test_no_more_images_than_wanted_spread_over_each_data_set(count, kept):
    images = images_of("a", 7) + images_of("b", 3)
    assert [image.name for image in choose_images(images, count)] == kept


def test_an_objects_pixels_are_its_own(data_folder):
    (image, _) = load_split(data_folder, "test")
    region = object_region(image, 2)
    assert (region.within((0, 0, *image.labels.shape)) == (image.labels == 2)).all()


class Oracle:
    """Knows the labels; says the truth, or a shifted one."""

    model_id = fingerprint = "oracle"
    low_res_size, device = 16, torch.device("cpu")
    is_quick = True

    def __init__(self, labels: np.ndarray, shift: int = 0) -> None:
        self.labels, self.shift = labels, shift
        self.asked = 0

    def embed(self, images, *, report=no_report):
        return [Embedding(None, image.shape[:2], "oracle", 0) for image in images]

    def predict(self, embedding, prompts, *, multimask):
        self.asked += 1
        (prompt,) = prompts
        if len(prompt.points):
            row, col = prompt.positive[0].astype(int)
        else:
            row, col = (int(edge) + 5 for edge in prompt.box[:2])
        truth = np.roll(self.labels == self.labels[row, col], self.shift, 0)
        logits = np.where(truth, 9, -9).astype(np.float32)
        low_res = np.zeros((16, 16), np.float32)
        box = (0, 0, *truth.shape)
        masks = [Prediction(logits, box, 0.9, low_res)]
        masks += [Prediction(0 * logits - 9, box, 0.1, low_res)] * 2
        return [masks[: 3 if multimask else 1]]

    def image_embedding(self, embedding):
        raise NotImplementedError


def test_a_perfect_model_reaches_one(data_folder):
    (image, _) = load_split(data_folder, "test")
    model = Oracle(image.labels)
    results = measure(TrackerResponder(model), [image], 8, 4)
    assert [r.label for r in results] == [1, 2]
    for r in results:
        assert r.area == 400
        assert r.clicks == [1.0] * 4
        assert r.scores == pytest.approx([0.9] * 4)
        assert r.best_of_three == r.box == r.box_clicks == 1
    # Nothing is left to be clicked: one click and one box for each object.
    assert model.asked == 4


def test_a_mask_that_is_a_little_off_gets_all_clicks(data_folder):
    (image, _) = load_split(data_folder, "test")
    model = Oracle(image.labels, shift=2)
    (first, _) = measure(TrackerResponder(model), [image], 8, 3)
    assert first.clicks == pytest.approx([18 / 22] * 3)
    assert first.box == pytest.approx(18 / 22)
    assert model.asked == 2 * (3 + 1 + 2)


def test_images_without_objects_are_passed_over():
    empty = image_with_areas("nuclei", 10)
    assert measure(TrackerResponder(Oracle(empty.labels)), [empty], 8, 3) == []


def test_masks_are_kept_for_pictures_if_wanted(data_folder):
    (image, _) = load_split(data_folder, "test")
    responder = TrackerResponder(Oracle(image.labels, shift=2))
    (one, _) = measure(responder, [image], 8, 7, keep=True)
    assert [len(one.shown[n].clicks) for n in (1, 5)] == [1, 5]
    assert one.shown[5].iou == one.clicks[4]
    assert one.shown[5].chosen.memory is None
    (bare, _) = measure(responder, [image], 8, 7)
    assert bare.shown == {}


def test_the_sizes_of_earlier_objects_are_known(data_folder):
    (image, _) = load_split(data_folder, "test")
    asked: list[Question] = []

    class Listening(TrackerResponder):
        def answer(self, question):
            asked.append(question)
            return super().answer(question)

    measure(Listening(Oracle(image.labels)), [image], 8, 1)
    assert [question.known_sizes for question in asked] == [(), (), (20.0,), (20.0,)]
