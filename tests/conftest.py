"""What many tests share: the embedded model and an image with known cells."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from napari_sam3 import SAM3InteractiveImagePredictor, Tracker, build_tracker
from tests.discs import DISCS, disc

#: Programs that tests start, not modules with doctests.
collect_ignore_glob = ["scripts/*"]


@pytest.fixture(scope="session", autouse=True)
def no_store_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep embeddings of tests out of the user's store, in child processes, too."""
    os.environ["NAPARI_SAM3_CACHE"] = str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def tracker() -> Tracker:
    """Return the embedded model, loaded once."""
    torch.manual_seed(0)
    return build_tracker(device="cpu")


@pytest.fixture
def predictor(tracker: Tracker) -> SAM3InteractiveImagePredictor:
    """Return a predictor without an image."""
    return SAM3InteractiveImagePredictor(tracker)


@pytest.fixture(scope="session")
def cells() -> np.ndarray:
    """Draw bright discs on a dark, noisy ground, (200, 240, 3) uint8.

    `tests.discs.DISCS` says where.
    """
    rng = np.random.default_rng(0)
    image = 40 + rng.normal(0, 6, (200, 240))
    for place in DISCS:
        image[disc(*place)] += 120
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
