"""The catalog says what models there are without loading any."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from napari_sam3.core.errors import ModelError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, find_model

pytestmark = pytest.mark.usefixtures("cache")


def test_the_default_model_is_in_the_catalog():
    assert find_model(DEFAULT_MODEL).id == DEFAULT_MODEL


def test_models_are_listed_under_their_ids():
    assert [spec.id for spec in CATALOG.values()] == list(CATALOG)


def test_every_model_says_where_it_comes_from_and_what_it_costs():
    for spec in CATALOG.values():
        assert spec.family in ("nano", "sam1", "sam2", "sam3")
        assert spec.source
        assert spec.licence
        assert spec.licence_url.startswith("https://")
        assert spec.summary
        assert spec.parameters > 0
        assert spec.cost.encode > 0
        assert spec.cost.click > 0
        assert 0 < spec.cost.click_share <= 1
        assert 0 < spec.cost.encode_share <= 1


def test_a_model_ships_with_the_package_or_has_a_repository():
    for spec in CATALOG.values():
        assert (spec.path is None) == (spec.repo is not None)
        assert (spec.repo is None) == (not spec.files)
        assert spec.repo is None or spec.page_url.endswith(spec.repo)


def test_shapes_of_a_family_go_together():
    for spec in CATALOG.values():
        channels, rows, cols = spec.embedding_shape
        assert (channels, rows) == (256, cols)
        assert spec.low_res_size == 4 * rows


def test_hashes_are_hashes_and_no_two_files_have_the_same():
    files = [
        file
        for spec in CATALOG.values()
        for file in (*spec.files, *spec.alternatives)
        if file.sha256 is not None
    ]
    assert len(files) >= 8
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in files)
    assert all(file.size is not None for file in files)
    assert len({file.sha256 for file in files}) == len(files)


def test_only_those_of_meta_s_own_licence_are_gated():
    for spec in CATALOG.values():
        assert spec.gated == (spec.licence == "SAM License")


def test_an_unknown_model_is_refused_with_the_ids_that_there_are():
    with pytest.raises(
        ModelError, match=r"no model 'huge'; choose one of nano, sam3, "
    ):
        find_model("huge")


def test_a_file_that_is_here_has_a_size(tmp_path):
    path = tmp_path / "weights.safetensors"
    spec = replace(find_model("nano"), path=path)
    assert not spec.is_here
    assert spec.size is None
    path.write_bytes(b"12345")
    assert spec.is_here
    assert spec.here == (path,)
    assert spec.size == 5


def test_a_model_that_is_not_here_has_the_size_of_its_download():
    spec = find_model("sam3")
    assert not spec.is_here
    assert spec.size == 3_439_938_512
    assert find_model("sam-vit-huge").size is None


def test_the_wheel_stays_small():
    assert CATALOG["nano"].size <= 12_000_000


def test_looking_into_the_catalog_loads_nothing_heavy():
    script = (
        "import sys\n"
        "from napari_sam3.models.catalog import CATALOG\n"
        "[spec.is_here for spec in CATALOG.values()]\n"
        "sys.exit(', '.join({'huggingface_hub', 'numpy', 'torch', 'napari'} "
        "& set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 0
