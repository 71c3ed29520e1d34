"""Published forms of weights files: each gives the same network, or says why not."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models import families
from napari_sam3.models.view.tracker import ViewTracker
from napari_sam3.models.weights.layout import Layout, compare, recognise
from tests.models.families.metas_names import TWINS, as_metas_sam1, as_metas_sam2

State = dict[str, torch.Tensor]


def test_every_form_of_sam1_gives_the_same_network(
    sam1_model: Any, load_as: Callable[..., ViewTracker], tmp_path: Path
) -> None:
    state = dict(sam1_model.state_dict())
    metas = as_metas_sam1(state)
    micro = {
        "model_state": {f"sam.{name}": tensor for name, tensor in metas.items()},
        "decoder_state": {"decoder.weight": torch.zeros(2)},
        "epoch": 3,
    }
    one_twin, other_twin = (
        {name: tensor for name, tensor in state.items() if name != gone}
        for gone in TWINS
    )

    found = [
        load_as(content, tmp_path / name, kind)
        for content, name, kind in (
            (state, "twice.safetensors", "sam1"),
            (other_twin, "first.safetensors", "sam1"),
            (one_twin, "second.safetensors", "sam1 without twin"),
            (metas, "sam_vit_b.pth", "sam1 meta"),
            (micro, "vit_b_lm.pt", "sam1 micro-sam"),
        )
    ]

    assert len({tracker.fingerprint for tracker in found}) == 1
    assert found[0].fingerprint.startswith("small-")
    assert found[0].fingerprint.endswith("-float32")


def test_both_forms_of_sam2_give_the_same_network(
    sam2_model: Any, load_as: Callable[..., ViewTracker], tmp_path: Path
) -> None:
    state = dict(sam2_model.state_dict())
    video = state | {"memory_attention.layer_norm.weight": torch.ones(256)}

    found = [
        load_as(content, tmp_path / name, kind)
        for content, name, kind in (
            (state, "image.safetensors", "sam2"),
            (video, "video.safetensors", "sam2"),
            ({"model": as_metas_sam2(state)}, "sam2.1_hiera_tiny.pt", "sam2 meta"),
        )
    ]

    assert len({tracker.fingerprint for tracker in found}) == 1


@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_other_weights_have_another_fingerprint(
    family: str,
    load_as: Callable[..., ViewTracker],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    tracker = request.getfixturevalue(f"{family}_tracker")
    state = dict(request.getfixturevalue(f"{family}_model").state_dict())
    bias = "mask_decoder.iou_prediction_head.proj_out.bias"
    state[bias] = state[bias] + 0.01

    other = load_as(state, tmp_path / "other.safetensors", family)

    assert other.fingerprint != tracker.fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda state: state.pop("mask_decoder.iou_token.weight"),
            r"1 missing: mask_decoder\.iou_token\.weight",
        ),
        (
            lambda state: state.update(
                {"image_encoder.blocks.0.a.weight": torch.ones(1)}
            ),
            r"1 unknown: image_encoder\.blocks\.0\.a\.weight",
        ),
        (
            lambda state: state.update({"image_encoder.neck.1.bias": torch.ones(7)}),
            r"another shape: image_encoder\.neck\.1\.bias \(7,\) instead of \(256,\)",
        ),
    ],
)
def test_a_file_of_another_network_is_refused_by_the_names_of_its_tensors(
    change: Callable[[State], object],
    words: str,
    sam1_model: Any,
    load_as: Callable[..., ViewTracker],
    tmp_path: Path,
) -> None:
    state = as_metas_sam1(dict(sam1_model.state_dict()))
    change(state)

    with pytest.raises(CheckpointError, match=words):
        load_as(state, tmp_path / "sam.pth", "sam1 meta")


def test_a_lacking_point_embedding_of_sam2_is_named(
    sam2_model: Any, small: dict[str, Layout]
) -> None:
    state = as_metas_sam2(dict(sam2_model.state_dict()))
    del state["sam_prompt_encoder.point_embeddings.2.weight"]
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    layout = small["sam2 meta"]

    findings = compare(shapes, layout, families.expected_shapes(layout))

    assert len(findings.missing) == 1
    assert "prompt_encoder.point_embed.weight" in findings.missing[0]


def test_nothing_of_a_loaded_network_is_without_numbers(
    sam1_tracker: ViewTracker, sam2_tracker: ViewTracker
) -> None:
    for tracker in (sam1_tracker, sam2_tracker):
        network = tracker.network
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            assert tensor.device.type == "cpu", name
            assert tensor.isfinite().all(), name
            assert not tensor.requires_grad, name
        assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    ("family", "variant", "millions"),
    [
        ("sam1", "vit_b", 93.7),
        ("sam1", "vit_l", 312.3),
        ("sam1", "vit_h", 641.1),
        ("sam2", "tiny", 31.4),
        ("sam2", "small", 38.5),
        ("sam2", "base_plus", 73.3),
        ("sam2", "large", 216.9),
    ],
)
def test_every_size_has_the_parameters_that_are_published(
    family: str, variant: str, millions: float
) -> None:
    layouts = [
        layout
        for layout in families.LAYOUTS
        if (layout.family, layout.variant) == (family, variant)
    ]
    assert len({layout.name for layout in layouts}) == {"sam1": 3, "sam2": 2}[family]

    shapes = families.expected_shapes(layouts[0])

    count = sum(math.prod(shape) for shape in shapes.values())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("layout", families.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_recognised_by_its_markers(layout: Layout) -> None:
    shapes = {layout.marker: (1,)} | dict(layout.markers or {})

    assert recognise(shapes, families.LAYOUTS) is layout


def test_importing_the_families_does_not_import_transformers() -> None:
    code = (
        "import sys; from napari_sam3.models import families; "
        "assert len(families.LAYOUTS) > 10; assert 'transformers' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_transformers_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(ModelError, match=r'pip install "napari-sam3\[families\]"'):
        families.expected_shapes(families.LAYOUTS[0])


def test_a_broken_torchvision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            try:
                raise RuntimeError("operator torchvision::nms does not exist")
            except RuntimeError as error:
                raise ModuleNotFoundError(f"Could not import {name}") from error

    monkeypatch.setitem(sys.modules, "transformers", Broken("transformers"))

    with pytest.raises(
        ModelError, match=r"::nms does not exist.*uninstall torchvision"
    ):
        families.expected_shapes(families.LAYOUTS[0])
