"""Each format of checkpoints comes through the hub as it was, and can be opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.spec import WeightsFile
from napari_sam3.models.weights.source import open_weights
from tests.models.hub_fixtures import REPO, make_spec


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "trunk.weight": torch.randn(64, 300, generator=generator),
        "trunk.bias": torch.randn(64, generator=generator).to(torch.bfloat16),
        "head.weight": torch.randn(3, 64, 5, 5, generator=generator),
    }


def write_shards(tensors: dict[str, torch.Tensor], folder: Path) -> list[Path]:
    table = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        file = f"model-{number}.safetensors"
        save_file({name: tensor}, folder / file)
        table[name] = file
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return [index, *(folder / file for file in table.values())]


def write(kind: str, tensors: dict[str, torch.Tensor], folder: Path) -> list[Path]:
    """Write a checkpoint; return its files, the one to be opened first."""
    if kind == "sharded safetensors":
        return write_shards(tensors, folder)
    if kind == "safetensors":
        path = folder / "model.safetensors"
        save_file(tensors, path)
    else:
        path = folder / "weights.pt"
        content = {"model": tensors, "epoch": 3} if "wrapped" in kind else tensors
        torch.save(
            content, path, _use_new_zipfile_serialization="before 1.6" not in kind
        )
    return [path]


@pytest.mark.parametrize("is_broken_off", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        "safetensors",
        "sharded safetensors",
        "pickle",
        "pickle, wrapped",
        "pickle of torch before 1.6",
    ],
)
def test_a_checkpoint_comes_through_as_it_was(
    hub, tensors, tmp_path, kind, is_broken_off
):
    files = []
    for path in write(kind, tensors, tmp_path):
        data = path.read_bytes()
        sha256 = hub.serve(REPO, path.name, data, small=path.suffix == ".json")
        known = None if path.suffix == ".json" else sha256
        files.append(WeightsFile(path.name, len(data), known))
    if is_broken_off:
        hub.breaks = [40_000]
    with open_weights(fetch_weights(make_spec(*files))) as source:
        assert source.format == kind.split(" of ")[0].split(",")[0]
        assert set(source.shapes) == set(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(source.read(name), tensor)
            assert source.read(name).dtype == tensor.dtype


@pytest.mark.parametrize("kind", ["safetensors", "pickle"])
def test_a_half_checkpoint_cannot_be_opened(tensors, tmp_path, kind):
    (path,) = write(kind, tensors, tmp_path)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(CheckpointError, match="get the file again"):
        open_weights(path)
