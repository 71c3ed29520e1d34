"""Each published form of SAM 3 comes from a hub and gives the same network."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models.download import fetch_weights
from napari_sam3.models.layouts import LAYOUTS
from napari_sam3.models.sam3.load import load
from napari_sam3.models.spec import WeightsFile
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.weights.layout import recognise
from napari_sam3.models.weights.source import open_weights
from tests.models.hub_fixtures import (  # noqa: F401
    REPO,
    cache,
    hub,
    make_spec,
)
from tests.models.sam3.reference import FOLDER
from tests.models.sam3.small import SMALL, make_network, on_meta
from tests.models.sam3.test_keys import NEWER_NAMES, PROPAGATION

META = json.loads((FOLDER / "sam3_click_keys.json").read_text())
POINT = re.compile(r".*point_embeddings\.(\d)\.weight")


def in_metas_words(network):
    """Return a network's tensors as Meta's file has them, by the names alone."""
    state = network.state_dict()
    (layout,) = [one for one in LAYOUTS if one.name == "SAM 3, as published by Meta"]
    tensors = {}
    for name in META:
        block = re.search(r"blocks\.(\d+)\.", name)
        if block and int(block[1]) >= SMALL.depth:
            continue
        point, target = POINT.fullmatch(name), layout.rename(name)
        if name.endswith("trunk.pos_embed"):
            table = state["trunk.pos_embed"]
            tensors[name] = torch.cat((torch.full_like(table[:, :1], 9), table), dim=1)
        elif ".attn.qkv." in name:
            prefix, kind = name.split(".trunk.")[1].split("qkv.")
            parts = [state[f"trunk.{prefix}{one}_proj.{kind}"] for one in "qkv"]
            tensors[name] = torch.cat(parts)
        elif point:
            row = int(point[1])
            tensors[name] = state["prompt_encoder.point_embed"][row : row + 1].clone()
        elif target is None:
            tensors[name] = torch.zeros(3)  # of no use for clicks
        else:
            tensors[name] = state[target]
    return tensors


def in_newer_words(network):
    tensors = {}
    for name, tensor in in_metas_words(network).items():
        for old, new in NEWER_NAMES.items():
            name = name.replace(old, new)  # noqa: PLW2901
        tensors[name] = tensor
    # Where SAM 3.1 has something else under SAM 3's names, it is not taken for it.
    return tensors | {name: torch.full((2,), 7.0) for name in PROPAGATION}


def write(form, network, folder):
    """Write a checkpoint; return its files, the one to be opened first."""
    if form == "sam3.pt":
        torch.save({"model": in_metas_words(network)}, folder / form)
    elif form == "sam3.1_multiplex.pt":
        torch.save(in_newer_words(network), folder / form)
    elif form == "model.safetensors":
        save_file(in_metas_words(network), folder / form)
    else:
        names = sorted(tensors := in_metas_words(network))
        table = {}
        for number, part in enumerate((names[::2], names[1::2])):
            shard = f"model-0000{number + 1}-of-00002.safetensors"
            save_file({name: tensors[name] for name in part}, folder / shard)
            table |= dict.fromkeys(part, shard)
        (folder / form).write_text(json.dumps({"weight_map": table}))
        return [folder / form, *(folder / name for name in sorted(set(table.values())))]
    return [folder / form]


def answer(network):
    generator = torch.Generator().manual_seed(1)
    view = torch.randn(1, 3, SMALL.size, SMALL.size, generator=generator)
    clicks = ViewPrompts(
        torch.tensor([[[30.0, 50.0], [90.0, 20.0]]]), torch.tensor([[1, 0]])
    )
    with torch.inference_mode():
        features = network.encode(view, lambda: None)
        return network.decode(features, clicks, multimask=True)


@pytest.mark.parametrize(
    "form",
    [
        "sam3.pt",
        "sam3.1_multiplex.pt",
        "model.safetensors",
        "model.safetensors.index.json",
    ],
)
def test_a_published_form_gives_the_same_network(hub, form, tmp_path):  # noqa: F811
    network = make_network()
    files = []
    for path in write(form, network, tmp_path):
        data = path.read_bytes()
        digest = hub.serve(REPO, path.name, data, small=path.suffix == ".json")
        known = None if path.suffix == ".json" else digest
        files.append(WeightsFile(path.name, len(data), known))
    hub.breaks = [100_000]
    with open_weights(fetch_weights(make_spec(*files))) as source:
        layout = recognise(source.shapes, LAYOUTS)
        assert layout.variant == ("sam3.1" if "3.1" in form else "sam3")
        loaded = load(
            source,
            layout,
            model_id="small",
            device=torch.device("cpu"),
            dtype=torch.float32,
            network=on_meta(),
        )
    for ours, wanted in zip(answer(loaded.network), answer(network), strict=True):
        torch.testing.assert_close(ours, wanted)
