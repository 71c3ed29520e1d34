"""Published files are told apart, and whatever is wrong with one is named."""

from __future__ import annotations

import json

import pytest
import torch

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.build import build_tracker
from napari_sam3.models.layouts import LAYOUTS, expected_shapes
from napari_sam3.models.weights.layout import compare, recognise
from napari_sam3.models.weights.source import open_weights
from tests.models.sam3.reference import FOLDER
from tests.models.sam3.small import make_transformers_model, on_meta

META = {
    name: tuple(shape)
    for name, shape in json.loads((FOLDER / "sam3_click_keys.json").read_text()).items()
}
#: What Meta's files hold besides.
OTHERS = {
    "detector.backbone.vision_backbone.convs.0.conv_1x1.weight": (256, 256, 1, 1),
    "detector.backbone.language_backbone.encoder.weight": (3,),
    "detector.backbone.vision_backbone.trunk.blocks.0.attn.freqs_cis": (576, 32),
    "tracker.maskmem_tpos_enc": (7, 1, 1, 64),
    "tracker.obj_ptr_proj.layers.0.weight": (256, 256),
}
NEWER_NAMES = {
    "vision_backbone.sam2_convs.": "vision_backbone.interactive_convs.",
    "tracker.sam_prompt_encoder.": "tracker.model.interactive_sam_prompt_encoder.",
    "tracker.sam_mask_decoder.": "tracker.model.interactive_sam_mask_decoder.",
    "tracker.no_mem_embed": "tracker.model.interactivity_no_mem_embed",
}
#: SAM 3.1 has heads of the old names for something else.
PROPAGATION = {
    "tracker.model.sam_mask_decoder.iou_token.weight": (16, 256),
    "tracker.model.sam_mask_decoder.mask_tokens.weight": (48, 256),
    "detector.backbone.vision_backbone.propagation_convs.0.conv_1x1.weight": (1,),
}


def newer():
    shapes = {}
    for name, shape in META.items():
        for old, new in NEWER_NAMES.items():
            name = name.replace(old, new)  # noqa: PLW2901
        shapes[name] = shape
    return shapes | PROPAGATION


def transformers_shapes(*, is_published):
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    with torch.device("meta"):
        model = Sam3TrackerModel(Sam3TrackerConfig())
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if not is_published:
        return shapes
    renamed = {}
    for name, shape in shapes.items():
        published = name.replace("vision_encoder.neck.", "tracker_neck.")
        published = published.replace(
            "vision_encoder.backbone.", "detector_model.vision_encoder.backbone."
        )
        if published == name:
            published = f"tracker_model.{name}"
        renamed[published] = shape
    return renamed


@pytest.mark.parametrize(
    ("shapes", "name", "variant"),
    [
        (META | OTHERS, "SAM 3, as published by Meta", "sam3"),
        (newer() | OTHERS, "SAM 3.1, as published by Meta", "sam3.1"),
        (
            transformers_shapes(is_published=True),
            "SAM 3, as published for transformers",
            "sam3",
        ),
        (
            transformers_shapes(is_published=False),
            "SAM 3's tracker, as transformers names it",
            "sam3",
        ),
    ],
    ids=["sam3", "sam3.1", "transformers", "tracker"],
)
def test_a_published_file_is_recognised_and_whole(shapes, name, variant):
    layout = recognise(shapes, LAYOUTS)
    assert (layout.name, layout.variant) == (name, variant)
    findings = compare(shapes, layout, expected_shapes(layout))
    assert findings.describe() == []
    assert findings.is_whole
    assert findings.unused > 0


@pytest.mark.parametrize("shapes", [META, newer()], ids=["sam3", "sam3.1"])
@pytest.mark.parametrize("index", [0, 100, 300, 450, 554])
def test_one_tensor_less_is_named(shapes, index):
    layout = recognise(shapes, LAYOUTS)
    spared = (*PROPAGATION, layout.marker)
    used = [name for name in shapes if layout.rename(name) and name not in spared]
    lost = used[index % len(used)]
    shapes = {name: shape for name, shape in shapes.items() if name != lost}
    findings = compare(shapes, layout, expected_shapes(layout))
    target = layout.rename(lost)
    pieces = target if isinstance(target, tuple) else (target,)
    names = {getattr(piece, "name", piece) for piece in pieces}
    assert {name.partition("[")[0] for name in findings.missing} == names
    assert not findings.is_whole


def test_what_transformers_saves_again_is_read(tmp_path):
    # It puts a prefix before names that have it already.
    model = make_transformers_model()
    model.save_pretrained(tmp_path)
    with open_weights(tmp_path) as source:
        assert "tracker_model.detector_model" in "".join(source.shapes)
        layout = recognise(source.shapes, LAYOUTS)
        shapes = {n: tuple(t.shape) for n, t in on_meta().state_dict().items()}
        assert compare(source.shapes, layout, shapes).is_whole
    prefixed = {f"tracker_model.{name}": (1,) for name in source.shapes}
    again = recognise(prefixed, LAYOUTS)
    assert [again.rename(f"tracker_model.{name}") for name in source.shapes] == [
        layout.rename(name) for name in source.shapes
    ]


def test_tensors_that_the_network_does_not_know_are_named():
    shapes = META | {"tracker.sam_mask_decoder.new_head.weight": (3,)}
    layout = recognise(shapes, LAYOUTS)
    findings = compare(shapes, layout, expected_shapes(layout))
    assert findings.unknown == ("tracker.sam_mask_decoder.new_head.weight",)
    shapes = META | {"detector.backbone.vision_backbone.trunk.blocks.32.ls": (3,)}
    assert len(compare(shapes, layout, expected_shapes(layout)).unknown) == 1


def test_a_checkpoint_without_its_decoder_is_never_filled_with_chance(tmp_path):
    path = tmp_path / "finetuned.pt"
    marker = "tracker.sam_mask_decoder.obj_score_token.weight"
    trunk = "detector.backbone.vision_backbone.trunk.ln_pre.weight"
    torch.save(
        {"model": {name: torch.zeros(META[name]) for name in (marker, trunk)}}, path
    )
    with pytest.raises(CheckpointError, match=r"as published by Meta.*\d+ missing: "):
        build_tracker(model=path, device="cpu")
