"""The catalog says what models there are without loading any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sam3.core.errors import ModelError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, find_model


def test_the_default_model_is_in_the_catalog():
    assert find_model(DEFAULT_MODEL).id == DEFAULT_MODEL


def test_models_are_listed_under_their_ids():
    assert [spec.id for spec in CATALOG.values()] == list(CATALOG)


def test_every_model_says_where_it_comes_from():
    for spec in CATALOG.values():
        assert spec.family
        assert spec.source
        assert spec.licence
        assert spec.summary


def test_an_unknown_model_is_refused_with_the_ids_that_there_are():
    with pytest.raises(ModelError, match="no model 'huge'; choose one of nano"):
        find_model("huge")


def test_a_file_that_is_here_has_a_size(tmp_path):
    path = tmp_path / "weights.safetensors"
    spec = replace(find_model("nano"), path=path)
    assert not spec.is_here
    assert spec.size is None
    path.write_bytes(b"12345")
    assert spec.is_here
    assert spec.size == 5


def test_the_wheel_stays_small():
    assert CATALOG["nano"].size <= 12_000_000
