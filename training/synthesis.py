"""Made-up microscope pictures with labels, to train on shapes of every kind.

``python -m training.synthesis --sheet sheet.png`` writes a sheet of examples.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.camera import render
from training.scenes import boundaries, draw_scene


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
        One of `training.scenes.FAMILIES`; at random if not given.

    Returns
    -------
    image : np.ndarray, uint8, shape (size, size, 3)
    labels : np.ndarray, uint16, shape (size, size)
        0 is background; the objects are 1 to n, each connected.
    """
    scene = draw_scene(rng, size, family)
    return render(rng, scene), scene.labels.astype(np.uint16)


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
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sheet = contact_sheet(arguments.count, arguments.seed)
    Image.fromarray(sheet).save(arguments.sheet)


if __name__ == "__main__":
    main()
