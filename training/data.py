"""Labelled images in memory, and which objects they hold."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from training.command import TrainingError

__all__ = ["VALIDATION_EVERY", "LabelledImage", "check_datasets", "load_split"]

#: Every so-manieth training image of a modality is kept for validation.
VALIDATION_EVERY = 12

#: Objects under this many pixels are not trained on: mostly label debris.
_MIN_AREA = 25


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One 2D image with the objects in it.

    Parameters
    ----------
    name : str
        Path below the data folder.
    dataset, modality : str
        As in the manifest.
    image : ndarray of shape (rows, columns, 3) and dtype uint8
        A grey image is a read-only view with its channel repeated.
    labels : ndarray of shape (rows, columns) and dtype int32
        0 is background.
    ids : ndarray of shape (n,)
        The objects' labels.
    boxes : ndarray of shape (n, 4)
        ``(row0, col0, row1, col1)``, half-open.
    areas : ndarray of shape (n,)
        In pixels.
    """

    name: str
    dataset: str
    modality: str
    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]

    @classmethod
    def build(
        cls,
        image: NDArray[np.uint8],
        labels: NDArray[np.integer],
        *,
        name: str = "",
        dataset: str = "synthetic",
        modality: str = "synthetic",
    ) -> LabelledImage:
        """Index the objects of a labelled image."""
        if image.ndim == 2:
            image = np.broadcast_to(image[..., None], (*image.shape, 3))
        objects = labels.astype(np.int32)
        areas = np.bincount(objects.ravel())
        slices = ndimage.find_objects(objects)
        ids = [i + 1 for i, s in enumerate(slices) if s and areas[i + 1] >= _MIN_AREA]
        boxes = [
            (s[0].start, s[1].start, s[0].stop, s[1].stop)
            for s in (slices[i - 1] for i in ids)
        ]
        return cls(
            name,
            dataset,
            modality,
            image[..., :3],
            objects,
            np.array(ids, np.int64),
            np.array(boxes, np.int64).reshape(-1, 4),
            areas[ids].astype(np.int64) if ids else np.empty(0, np.int64),
        )


def _read_eight_bit(path: Path) -> NDArray[np.uint8]:
    image = imread(path)
    if image.dtype != np.uint8:
        low, high = np.percentile(image, (0.1, 99.9))
        image = np.clip((image - low) / max(high - low, 1e-6) * 255, 0, 255)
    return np.asarray(image).astype(np.uint8)


def check_datasets(names: Collection[str], images: Collection[LabelledImage]) -> None:
    """Refuse names of data sets that are not there, which may be misspelt.

    Raises
    ------
    TrainingError
        If a name is of no image; the message has those that there are.
    """
    known = sorted({image.dataset for image in images})
    for name in names:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "there are no images"
            raise TrainingError(f"There is no data set {name!r}; {there}.")


def _rows(folder: Path, part: str) -> list[dict[str, str]]:
    """Read the manifest's rows of 2D images."""
    path = folder / "manifest.csv"
    if not path.is_file():
        raise TrainingError(
            f"There is no manifest.csv in {folder}; give the folder of the images that "
            "training/README.md describes."
        )
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["kind"] == "2d" and row["split"] == part]


def load_split(folder: Path, split: str) -> list[LabelledImage]:
    """Read the 2D images of a split.

    Parameters
    ----------
    folder : Path
        The data folder; it holds ``manifest.csv`` and the splits.
    split : {"train", "validation", "test"}
        Validation is a fixed part of the training images, never trained on. For
        images with several label files, all of them go to the same part.

    Returns
    -------
    list of LabelledImage
        In the manifest's order.

    Raises
    ------
    TrainingError
        If there is no manifest in the folder.
    """
    part = "test" if split == "test" else "train"
    rows = _rows(folder, part)
    if split != "test":
        seen: dict[str, dict[str, int]] = {}
        chosen = []
        for row in rows:
            order = seen.setdefault(row["dataset"] + row["modality"].split("_")[0], {})
            index = order.setdefault(row["image"], len(order))
            held_out = index % VALIDATION_EVERY == 5
            if held_out == (split == "validation"):
                chosen.append(row)
        rows = chosen
    result = []
    for row in rows:
        base = folder / part
        result.append(
            LabelledImage.build(
                _read_eight_bit(base / row["image"]),
                imread(base / row["labels"]),
                name=row["labels"],
                dataset=row["dataset"],
                modality=row["modality"],
            )
        )
    return result
