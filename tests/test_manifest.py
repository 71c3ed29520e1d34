"""What `npe2 validate` overlooks in the manifest."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path
from typing import Any

import napari
import pytest
import yaml
from app_model.expressions import Expr
from npe2 import PluginManifest
from npe2.manifest.contributions import ContributionPoints

import napari_sam3
from napari_sam3.widgets import commands
from napari_sam3.widgets.keys import KEYS

PATH = Path(napari_sam3.__file__).parent / "napari.yaml"
RAW: dict[str, Any] = yaml.safe_load(PATH.read_text())
CONTRIBUTIONS: dict[str, Any] = RAW["contributions"]
COMMANDS = {command["id"]: command for command in CONTRIBUTIONS["commands"]}

#: Menus that plugins may add to (napari 0.9), of those that suit us.
MENUS = {"napari/layers/segment", "napari/layers/annotate"}
#: Names that expressions may use (napari 0.9).
CONTEXT = {"num_layers", "active_layer_type", "num_selected_labels_layers"}


def load(python_name: str) -> Any:
    module, _, name = python_name.partition(":")
    return getattr(import_module(module), name)


def expressions() -> list[str]:
    entries = chain(COMMANDS.values(), *CONTRIBUTIONS["menus"].values())
    clauses = [(entry.get("when"), entry.get("enablement")) for entry in entries]
    return [clause for pair in clauses for clause in pair if clause is not None]


def test_npe2_takes_it():
    PluginManifest.from_file(PATH)


def test_every_top_level_field_is_one():
    assert set(RAW) <= set(PluginManifest.model_fields)
    assert set(CONTRIBUTIONS) <= set(ContributionPoints.model_fields)


def test_it_is_the_manifest_of_this_distribution():
    entry_points = distribution("napari-sam3").entry_points
    (entry,) = entry_points.select(group="napari.manifest")
    assert entry.name == RAW["name"] == "napari-sam3"
    assert entry.value == "napari_sam3:napari.yaml"


def test_both_menus_open_the_same_dock():
    # napari names a dock after the display name in one menu, the name in another.
    assert RAW["display_name"] == RAW["name"]


def test_commands_are_told_apart():
    assert len(COMMANDS) == len(CONTRIBUTIONS["commands"])
    titles = [command["title"] for command in COMMANDS.values()]
    assert len(set(titles)) == len(titles)
    assert all(title.strip() for title in titles)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_can_be_called(command):
    assert command["id"].startswith("napari-sam3.")
    assert callable(load(command["python_name"]))


def test_what_is_offered_is_a_command():
    offered = [
        entry["command"]
        for entries in (
            CONTRIBUTIONS["widgets"],
            CONTRIBUTIONS["sample_data"],
            *CONTRIBUTIONS["menus"].values(),
        )
        for entry in entries
    ]
    assert offered
    assert set(offered) <= set(COMMANDS)


def test_menus_are_there():
    assert set(CONTRIBUTIONS["menus"]) <= MENUS


def test_expressions_can_be_read():
    assert expressions()
    for text in expressions():
        Expr.parse(text)
        names = {
            node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)
        }
        assert names <= CONTEXT


def test_the_widget_gets_its_viewer_by_name():
    (widget,) = CONTRIBUTIONS["widgets"]
    panel = load(COMMANDS[widget["command"]]["python_name"])
    assert "napari_viewer" in inspect.signature(panel).parameters


def palette() -> list[Any]:
    not_there = {entry["command"] for entry in CONTRIBUTIONS["widgets"]}
    not_there |= {entry["command"] for entry in CONTRIBUTIONS["sample_data"]}
    return [load(c["python_name"]) for i, c in COMMANDS.items() if i not in not_there]


@pytest.mark.parametrize("command", palette(), ids=lambda command: command.__name__)
def test_the_palettes_commands_get_their_viewer_by_annotation(command):
    assert command.__module__ == commands.__name__
    (parameter,) = inspect.signature(command).parameters.values()
    assert parameter.annotation == "napari.Viewer"
    assert eval(parameter.annotation, {"napari": napari}) is napari.Viewer


def test_what_has_a_key_is_in_the_palette():
    by_key = {command.__name__ for command in KEYS.values()} - {"refine"}
    assert by_key <= {command.__name__ for command in palette()}


@pytest.mark.parametrize("sample", ["nuclei", "stack"])
def test_samples_are_layers(sample):
    (entry,) = [one for one in CONTRIBUTIONS["sample_data"] if one["key"] == sample]
    ((_, about, kind),) = load(COMMANDS[entry["command"]]["python_name"])()
    assert kind == "image"
    assert about["name"]


def test_settings_say_what_they_are():
    for category in CONTRIBUTIONS["configurations"].values():
        for setting in category["properties"].values():
            assert setting["description"].endswith(".")
            assert "default" in setting
            if "enum" in setting:
                assert setting["default"] in setting["enum"]
