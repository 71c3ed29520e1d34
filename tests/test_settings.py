"""Settings that outlive napari, and nonsense in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_sam3
from napari_sam3 import StateError
from napari_sam3.viewer.labels import Overlap
from napari_sam3.viewer.settings import Settings, read_settings, save_setting

MANIFEST = Path(napari_sam3.__file__).parent / "napari.yaml"

VALUES = {
    "device": "cpu",
    "cache_mb": 300,
    "store_gb": 1.5,
    "fetches_ahead": False,
    "contrast": "percentiles",
    "use_hints": False,
    "max_hole_area": 12.5,
    "max_sprinkle_area": 3.0,
    "keep_clicked": True,
    "overlap": Overlap.REPLACE,
}


@pytest.fixture
def known(plugin_settings, npe2pm, tmp_path) -> Path:
    """Have napari know the plugin; return the file that it keeps settings in."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return tmp_path / "napari-sam3.yaml"


def test_without_the_plugin_there_are_defaults(plugin_settings):
    save_setting("device", "cpu")  # is not remembered, and no error
    assert read_settings() == Settings()


def test_the_manifests_defaults_are_ours(known):
    assert read_settings() == Settings()


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_what_is_saved_is_read(known, name, value):
    save_setting(name, value)
    found = getattr(read_settings(), name)
    assert found == value
    assert type(found) is type(value)


def test_a_model_is_an_id_or_a_file(known, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.touch()
    save_setting("model", str(path))
    assert read_settings().model == str(path)
    path.unlink()  # on a stick that is not plugged in
    assert read_settings().model == "nano"


def test_whole_numbers_are_fine_where_parts_are(known):
    save_setting("max_hole_area", 7)
    assert read_settings().max_hole_area == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "no such model"),
        ("device", "toaster"),
        ("cache_mb", 0),
        ("contrast", "loud"),
        ("max_hole_area", -1.0),
        ("max_sprinkle_area", float("nan")),
        ("keep_clicked", "yes"),
        ("overlap", "fight"),
    ],
)
def test_nonsense_is_not_saved(known, name, value):
    with pytest.raises(StateError, match=f"cannot be the setting '{name}'"):
        save_setting(name, value)
    assert read_settings() == Settings()


SHOW = "settings = read_settings(); print(settings.device, settings.cache_mb)"


def start(folder: Path, code: str) -> str:
    """Run code in a fresh napari with its settings in a folder."""
    environment = {**os.environ, "NAPARI_CONFIG": str(folder / "settings.yaml")}
    lines = (
        "from napari_sam3.viewer.settings import read_settings, save_setting\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_settings_outlive_the_process(tmp_path):
    start(tmp_path, "save_setting('device', 'cpu'); save_setting('cache_mb', 99)")
    assert start(tmp_path, SHOW) == "cpu 99"


def test_a_file_full_of_nonsense_gives_defaults(tmp_path):
    (tmp_path / "napari-sam3.yaml").write_text(
        "model: {device: toaster, cache_mb: -4, model: [1]}\ncleanup: 7\n"
    )
    assert start(tmp_path, SHOW) == "auto 2048"
