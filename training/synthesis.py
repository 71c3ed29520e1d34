"""Made-up microscope pictures with labels, to train on shapes of every kind.

``python -m training.synthesis --sheet sheet.png`` writes a sheet of examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from napari_sam3.core.files import write_atomically
from training.adherent import adherent
from training.camera import render
from training.colonies import bacteria, cocci, yeasts
from training.data import LabelledImage
from training.electron import axons, neurites
from training.exposure import Specimen, expose
from training.fluorescence import cytoplasm, nuclei
from training.materials import droplets, leaves, pebbles
from training.monolayers import monolayer
from training.scenes import FAMILIES as SHAPES
from training.scenes import boundaries, draw_scene
from training.tissues import histology, organoids, plant

# Families that know their own looks, each with its share of the pictures; loose
# objects of all shapes and looks make up the rest.
SPECIMENS: dict[str, tuple[Callable[[np.random.Generator, int], Specimen], float]] = {
    "colony": (bacteria, 0.18),
    "cocci": (cocci, 0.04),
    "yeast_colony": (yeasts, 0.06),
    "monolayer": (monolayer, 0.06),
    "adherent": (adherent, 0.06),
    "nuclei": (nuclei, 0.05),
    "cytoplasm": (cytoplasm, 0.06),
    "neurites": (neurites, 0.05),
    "axons": (axons, 0.04),
    "histology": (histology, 0.05),
    "plant": (plant, 0.05),
    "organoids": (organoids, 0.05),
    "droplets": (droplets, 0.04),
    "pebbles": (pebbles, 0.03),
    "leaves": (leaves, 0.05),
}
FAMILIES = (*SHAPES, *SPECIMENS)


def synthesize(
    rng: np.random.Generator, size: int = 320, family: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture and its labels.

    Parameters
    ----------
    rng : np.random.Generator
        The picture follows from its state alone.
    size : int, default 320
        Side of the picture.
    family : str, optional
        One of `FAMILIES`; at random, by its share, if not given.

    Returns
    -------
    image : np.ndarray, uint8, shape (size, size, 3)
    labels : np.ndarray, uint16, shape (size, size)
        0 is background; the objects are 1 to n, each connected.
    """
    family = family or _pick(rng)
    if family not in SPECIMENS:
        scene = draw_scene(rng, size, family)
        return render(rng, scene), scene.labels.astype(np.uint16)
    draw = SPECIMENS[family][0]
    specimen = draw(rng, size)
    while not specimen.labels.any():
        specimen = draw(rng, size)
    return expose(rng, specimen), specimen.labels.astype(np.uint16)


def draw_synthetic(count: int, cache: Path) -> list[LabelledImage]:
    """Draw procedural images once per run folder; the cache is whole or not there."""
    if not cache.exists():
        drawn = [synthesize(np.random.default_rng((7, i))) for i in range(count)]
        images, labels = (np.stack(part) for part in zip(*drawn, strict=True))
        write_atomically(
            cache, lambda file: np.savez(file, images=images, labels=labels)
        )
    with np.load(cache) as stored:
        pairs = zip(stored["images"], stored["labels"], strict=True)
        return [LabelledImage.build(image, labels) for image, labels in pairs]


def _pick(rng: np.random.Generator) -> str:
    """Draw one of `FAMILIES` by its share."""
    odds = [share for _, share in SPECIMENS.values()]
    rest = (1 - sum(odds)) / len(SHAPES)
    return str(rng.choice(FAMILIES, p=[rest] * len(SHAPES) + odds))


def outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw the outlines of objects into a picture, in yellow.

    Parameters
    ----------
    image : np.ndarray, uint8, shape (h, w, 3)
        The picture.
    labels : np.ndarray, integer, shape (h, w)
        0 is background.

    Returns
    -------
    np.ndarray, uint8, shape (h, w, 3)
    """
    result = image.copy()
    result[boundaries(labels)] = (255, 255, 0)
    return result


def contact_sheet(count: int, seed: int, size: int = 320) -> np.ndarray:
    """Examples in rows of eight, each with its outlined copy below.

    Parameters
    ----------
    count : int
        Rounded up to full rows.
    seed : int
        Example i is drawn from the seed sequence (seed, i).
    size : int, default 320
        Side of every picture.

    Returns
    -------
    np.ndarray, uint8, shape (rows * 2 * size, 8 * size, 3)
    """
    rows = []
    for start in range(0, count, 8):
        pairs = []
        for i in range(start, start + 8):
            image, labels = synthesize(np.random.default_rng((seed, i)), size)
            pairs.append(np.concatenate([image, outlined(image, labels)]))
        rows.append(np.concatenate(pairs, 1))
    return np.concatenate(rows)


def main() -> None:
    """Write a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--count", type=int, default=32, help="in rows of eight")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sheet = contact_sheet(arguments.count, arguments.seed)
    Image.fromarray(sheet).save(arguments.sheet)


if __name__ == "__main__":
    main()
