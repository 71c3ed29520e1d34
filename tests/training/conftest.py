"""A data folder as small as can be, and weights that nobody trained."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from napari_sam3.models.nano.network import NanoNet

COLUMNS = ("split", "dataset", "image", "labels", "kind", "modality")


def draw_squares(seed: int, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Draw two bright squares; a grey image and its labels 1 and 2."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.uint16)
    for label, corner in enumerate(rng.integers(4, 24, (2, 2)), 1):
        row, col = corner + 40 * (label - 1)
        labels[row : row + 20, col : col + 20] = label
    grey = np.where(labels > 0, 200, 60) + rng.integers(0, 20, labels.shape)
    return grey.astype(np.uint8), labels


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Write six images to train with, one of them held out, and two to test with."""
    folder = tmp_path / "data"
    rows = []
    for split, count in (("train", 6), ("test", 2)):
        (folder / split / "squares").mkdir(parents=True)
        for index in range(count):
            grey, labels = draw_squares(index)
            image, truth = f"squares/{index}.png", f"squares/{index}.labels.png"
            Image.fromarray(grey).save(folder / split / image)
            Image.fromarray(labels).save(folder / split / truth)
            rows.append((split, "squares", image, truth, "2d", "fluorescence_nuclei"))
    rows.append(("train", "stacks", "a.tif", "a.labels.tif", "3d", "em_sem_axons"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the weights of a network that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(NanoNet().state_dict(), path)
    return path
