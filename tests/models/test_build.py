"""A name or a file becomes a model, or an error says what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.core.tracker import Tracker
from napari_sam3.models.build import build_tracker


def test_a_file_of_weights_becomes_a_tracker(weights):
    tracker = build_tracker(model=weights, device="cpu")
    assert isinstance(tracker, Tracker)
    assert tracker.model_id == "random"
    assert tracker.device == torch.device("cpu")


def test_the_path_may_be_a_string(weights):
    assert build_tracker(model=str(weights), device="cpu").model_id == "random"


@pytest.mark.parametrize("disambiguate", [True, False])
def test_scripts_for_sam_3_may_ask_for_temporal_disambiguation(weights, disambiguate):
    build_tracker(disambiguate, model=weights, device="cpu")
    build_tracker(
        apply_temporal_disambiguation=disambiguate, model=weights, device="cpu"
    )


def test_an_unknown_id_is_refused():
    with pytest.raises(ModelError, match="no model 'nanoo'; choose one of nano"):
        build_tracker(model="nanoo")


@pytest.mark.parametrize(
    "name", ["missing.safetensors", "no/such/place.safetensors", 300 * "a"]
)
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"no weights file at .*; give the path"):
        build_tracker(model=tmp_path / name)


def test_a_folder_may_hold_the_weights(weights):
    assert build_tracker(model=weights.parent, device="cpu").low_res_size == 256


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no weights file in"):
        build_tracker(model=tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 2000, -1])
def test_a_truncated_file_is_refused(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cannot be read .* get the file again"):
        build_tracker(model=weights)


def test_another_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"cannot be read .* no weights file"):
        build_tracker(model=path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_pickles_of_tensors_are_read(weights, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    torch.save({"model": load_file(weights)}, path)
    tracker = build_tracker(model=path, device="cpu")
    same = build_tracker(model=weights, device="cpu")
    assert tracker.fingerprint.split("-")[-1] == same.fingerprint.split("-")[-1]


class Harmful:
    def __reduce__(self):
        return exit, (1,)


def test_pickles_of_more_than_tensors_are_not_read(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"model": Harmful()}, path)
    with pytest.raises(CheckpointError, match=r"could run code.*safetensors"):
        build_tracker(model=path)


@pytest.mark.parametrize("name", ["sam2.1", "sam4", "", 300 * "a"])
def test_a_name_is_no_path(name, tmp_path, monkeypatch):
    (tmp_path / "sam4").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="choose one of nano"):
        build_tracker(model=name)


@pytest.mark.parametrize("model", [5, None, 1.5])
def test_what_is_no_name_is_refused(model):
    with pytest.raises(ModelError, match="give a name or a weights file"):
        build_tracker(model=model)


@pytest.mark.parametrize("arguments", [("nano",), (False, "nano"), ("weights.pt",)])
def test_a_model_in_the_place_of_a_flag_is_refused(arguments):
    with pytest.raises(ModelError, match=r"build_tracker\(model="):
        build_tracker(*arguments)


def test_scripts_for_sam_3_may_ask_for_a_backbone(weights):
    build_tracker(True, with_backbone=True, model=weights, device="cpu")


def test_another_networks_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"image_encoder.patch.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(CheckpointError, match=r"no network that .* models doctor"):
        build_tracker(model=path)


def test_a_missing_tensor_is_named(weights):
    state = load_file(weights)
    del state["decoder.masks.bias"]
    save_file(state, weights)
    with pytest.raises(CheckpointError, match=r"1 missing: decoder\.masks\.bias"):
        build_tracker(model=weights)


def test_a_tensor_too_many_is_named(weights):
    state = load_file(weights)
    save_file({**state, "decoder.extra": torch.zeros(1)}, weights)
    with pytest.raises(CheckpointError, match=r"1 unknown: decoder\.extra"):
        build_tracker(model=weights)


def test_a_tensor_of_another_shape_is_named(weights):
    state = load_file(weights)
    state["decoder.masks.weight"] = torch.zeros(5, 16, 1, 1)
    save_file(state, weights)
    message = r"decoder\.masks\.weight \(5, 16, 1, 1\) instead of \("
    with pytest.raises(CheckpointError, match=message):
        build_tracker(model=weights)


def test_device_and_dtype_are_checked_before_the_file():
    with pytest.raises(ModelError, match="is no device"):
        build_tracker(model="missing.safetensors", device="gpu")
    with pytest.raises(ModelError, match="no dtype"):
        build_tracker(model="missing.safetensors", dtype="float64")


def test_weights_in_float16_are_the_same_network(weights, tmp_path):
    half = tmp_path / "half.safetensors"
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(weights).items()
    }
    save_file(state, half)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    one, other = (
        tracker.image_embedding(tracker.embed([image])[0])
        for tracker in (
            build_tracker(model=path, device="cpu") for path in (weights, half)
        )
    )
    assert other.dtype == torch.float32
    assert torch.allclose(one, other, atol=0.02 * float(one.abs().max()))


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("cells.safetensors", "cells"),
        ("sam2.1-hiera-tiny", "sam2.1-hiera-tiny"),
        ("nano.safetensors", "nano.safetensors"),
        ("nano", "./nano"),
    ],
)
def test_a_file_is_never_called_like_a_model_of_the_catalog(
    weights, tmp_path, name, called
):
    path = tmp_path / name
    if "." not in name or name.startswith("sam2"):
        path.mkdir()
        weights.rename(path / "model.safetensors")
    else:
        weights.rename(path)
    assert build_tracker(model=path, device="cpu").model_id == called
