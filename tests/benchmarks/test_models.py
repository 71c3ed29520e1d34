"""The table of models measures the networks that are built."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import models
from napari_sam3.models.catalog import CATALOG

BYTES = {"kept_bytes": 29_100_000, "peak_bytes": 2**31}


def test_each_model_of_the_catalog_is_measured(monkeypatch, capsys):
    asked = []

    def in_process(spec, dtype):
        asked.append((spec.id, dtype))
        return {"encode": 2.5, "click": 0.05, "operations": 5e12, **BYTES}

    monkeypatch.setattr(models, "_in_process", in_process)
    monkeypatch.setattr(models, "is_faster_in_half", lambda device: True)
    assert models.main([]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == list(CATALOG)
    assert (
        "| 5,000 G | 2.5 s | 50 ms | 2.5 s | 50 ms | 29.1 MB | 2.0 GiB |" in table[-1]
    )
    assert ("nano", "bfloat16") not in asked
    assert ("sam3", "bfloat16") in asked


@pytest.mark.parametrize("model", ["nano", "sam2.1-tiny"])
def test_a_random_model_answers(model):
    tracker = models.random_tracker(CATALOG[model])
    (embedding,) = tracker.embed([np.zeros((40, 60, 3), np.uint8)])
    assert tracker.image_embedding(embedding).shape[1] == 256
    assert tracker.model_id == model


@pytest.mark.parametrize("model", CATALOG)
def test_each_model_has_a_network(model):
    # Found before anything is measured for an hour.
    spec = CATALOG[model]
    if spec.family != "nano":
        assert models.layout_of(spec).family == spec.family
