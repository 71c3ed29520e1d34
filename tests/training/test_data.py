"""Labelled images are read and indexed as the manifest says."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from training.data import VALIDATION_EVERY, LabelledImage, load_split


def labels_of(*areas: int) -> np.ndarray:
    """Label one row per object, 1 to n."""
    labels = np.zeros((2 * len(areas), 60), np.uint16)
    for index, area in enumerate(areas):
        labels[2 * index, :area] = index + 1
    return labels


def test_objects_are_indexed_and_debris_left_out():
    labels = labels_of(30, 24, 0, 25)
    image = LabelledImage.build(np.zeros(labels.shape, np.uint8), labels)
    assert image.ids.tolist() == [1, 4]
    assert image.areas.tolist() == [30, 25]
    assert image.boxes.tolist() == [[0, 0, 1, 30], [6, 0, 7, 25]]
    assert image.labels.dtype == np.int32
    assert np.array_equal(image.labels, labels)


def test_an_image_without_objects():
    image = LabelledImage.build(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16))
    assert image.ids.shape == (0,)
    assert image.boxes.shape == (0, 4)
    assert image.areas.shape == (0,)


def test_grey_is_shown_in_three_channels_without_a_copy():
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = LabelledImage.build(grey, np.zeros((4, 4), int)).image
    assert image.shape == (4, 4, 3)
    assert np.shares_memory(image, grey)
    assert (image == grey[..., None]).all()


def test_alpha_is_left_out():
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 3] = 255
    image = LabelledImage.build(rgba, np.zeros((4, 4), int)).image
    assert image.shape == (4, 4, 3)
    assert not image.any()


def test_the_splits_of_a_folder(data_folder):
    splits = {
        name: [image.name for image in load_split(data_folder, name)]
        for name in ("train", "validation", "test")
    }
    # The sixth of every twelve images is held out; stacks are not read.
    assert splits == {
        "train": [f"squares/{n}.labels.png" for n in range(5)],
        "validation": ["squares/5.labels.png"],
        "test": [f"squares/{n}.labels.png" for n in range(2)],
    }


def test_images_keep_what_the_manifest_says(data_folder):
    image = load_split(data_folder, "test")[0]
    assert image.dataset == "squares"
    assert image.modality == "fluorescence_nuclei"
    assert image.ids.tolist() == [1, 2]
    assert image.areas.tolist() == [400, 400]
    assert image.image.dtype == np.uint8


def test_all_label_files_of_an_image_go_to_the_same_part(data_folder):
    manifest = data_folder / "manifest.csv"
    with manifest.open() as file:
        rows = list(csv.DictReader(file))
    fifth, sixth = rows[4], rows[5]
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([*rows[:5], fifth, sixth, sixth])
    assert len(load_split(data_folder, "train")) == 6
    names = [image.name for image in load_split(data_folder, "validation")]
    assert names == ["squares/5.labels.png"] * 2
    assert VALIDATION_EVERY == 12


@pytest.mark.parametrize("scale", [1, 257])
def test_images_of_16_bits_are_stretched(data_folder, scale):
    path = data_folder / "test" / "squares" / "0.png"
    grey = np.asarray(Image.open(path)).astype(np.uint16) * scale
    Image.fromarray(grey).save(path)
    image = load_split(data_folder, "test")[0].image
    assert image.dtype == np.uint8
    assert image.min() == 0
    assert image.max() == 255
