"""Fixtures of the tests that download: a hub, an empty cache, a model to fetch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.models import download
from napari_sam3.models.spec import ModelSpec, WeightsFile
from tests.models.hub_server import HubServer, run_hub

REPO = "someone/cells"
NAME = "model.safetensors"
_VARIABLES = (
    "HF_ASSETS_CACHE HF_HUB_CACHE HF_HUB_DISABLE_IMPLICIT_TOKEN HF_HUB_OFFLINE "
    "HF_HUB_DISABLE_SYMLINKS HF_TOKEN HUGGINGFACE_HUB_CACHE HUGGING_FACE_HUB_TOKEN "
    "TRANSFORMERS_OFFLINE"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """Return an empty home of Hugging Face's library."""
    for name in _VARIABLES.split():
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "hugging face"
    monkeypatch.setenv("HF_HOME", str(home))
    return home


@pytest.fixture
def hub(cache: Path, monkeypatch) -> Iterator[HubServer]:
    """Return a hub that everything is asked of."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    # What the library has read when it was imported.
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(download, "_PAUSE", 0.01)
    with run_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()


@pytest.fixture(scope="session")
def content() -> bytes:
    """Return 400 kB that cannot be compressed."""
    return np.random.default_rng(0).bytes(400_000)


@pytest.fixture
def spec(hub: HubServer, content: bytes) -> ModelSpec:
    """Return a model of one file, which the hub serves."""
    sha256 = hub.serve(REPO, NAME, content)
    return make_spec(WeightsFile(NAME, len(content), sha256))


def make_spec(*files: WeightsFile, gated: bool = False) -> ModelSpec:
    """Return an entry for the catalog."""
    return ModelSpec(
        id="cells",
        family="nano",
        source=f"huggingface.co/{REPO}",
        licence="BSD-3-Clause",
        summary="for tests",
        page_url=f"https://huggingface.co/{REPO}",
        repo=REPO,
        files=files,
        gated=gated,
    )
