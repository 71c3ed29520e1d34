"""A viewer without a window, a model without weights, and a session of both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, forget_calls


@pytest.fixture
def fake() -> FakeTracker:
    """Return the model that all sessions of the test get."""
    return FakeTracker()


@pytest.fixture
def engine(fake: FakeTracker) -> Iterator[Engine]:
    """Return an engine of its own; its thread ends with the test."""
    engine = Engine(build=lambda model, **_: fake)
    yield engine
    engine.thread.stop()


@pytest.fixture
def desk() -> ViewerModel:
    """Return a viewer with one grey image, 80 x 100, named "cells"."""
    viewer = ViewerModel()
    pixels = np.random.default_rng(0).integers(0, 255, (80, 100), dtype=np.uint8)
    viewer.add_image(pixels, name="cells")
    return viewer


@pytest.fixture
def cells_layer(desk: ViewerModel) -> Image:
    """Return the image of the desk."""
    return desk.layers["cells"]


@pytest.fixture
def session(desk: ViewerModel, engine: Engine, fake: FakeTracker) -> Iterator[Session]:
    """Return a session that has loaded its model and encoded the image."""
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    forget_calls(fake)
    yield session
    session.close()
