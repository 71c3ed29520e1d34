"""Weights files of every form, and what is in them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_sam3.core.errors import CheckpointError, StateError
from napari_sam3.models.weights.source import TensorSource, open_weights

LONG_NAME = "block." * 50  # 300 characters


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(3, 4, generator=generator),
        "a.bias": torch.randn(4, generator=generator).to(torch.bfloat16),
        "b.weight": torch.randn(2, 3, 1, 1, generator=generator).to(torch.float16),
        "b.count": torch.tensor(7),
        "b.scale": torch.tensor(0.5),
        "c.empty": torch.empty(0, 5),
        LONG_NAME: torch.randn(6, generator=generator),
    }


def write_shards(folder: Path, tensors: dict[str, Tensor], count: int = 3) -> Path:
    table = {}
    for index in range(count):
        name = f"model-{index + 1:05}-of-{count:05}.safetensors"
        part = dict(list(tensors.items())[index::count])
        save_file(part, folder / name)
        table |= dict.fromkeys(part, name)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": table}), "utf-8")
    return path


def write_safetensors(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, folder / "any name.safetensors")
    return folder / "any name.safetensors"


def torch_writer(
    name: str, wrapper: str | None = None, *, is_zip: bool = True
) -> Callable[[Path, dict[str, Tensor]], Path]:
    def write(folder: Path, tensors: dict[str, Tensor]) -> Path:
        content: object = tensors
        if wrapper is not None:
            content = {"epoch": 3, "lr": 0.1, wrapper: tensors, "extra": [1, "two"]}
        path = folder / name
        torch.save(content, path, _use_new_zipfile_serialization=is_zip)
        return path

    return write


FORMS = {
    "safetensors": (write_safetensors, "safetensors"),
    "shards": (write_shards, "sharded safetensors"),
    ".pt": (torch_writer("w.pt"), "pickle"),
    ".PTH": (torch_writer("w.PTH"), "pickle"),
    ".bin": (torch_writer("pytorch_model.bin"), "pickle"),
    ".ckpt": (torch_writer("w.ckpt"), "pickle"),
    "old .pth": (torch_writer("w.pth", is_zip=False), "pickle"),
    "in model": (torch_writer("w.pt", "model"), "pickle"),
    "in state_dict": (torch_writer("w.pt", "state_dict"), "pickle"),
    "in model_state": (torch_writer("w.pt", "model_state"), "pickle"),
    "old, in model": (torch_writer("w.pt", "model", is_zip=False), "pickle"),
}


@pytest.mark.parametrize("opened_by", ["path", "folder"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(
    form: str, opened_by: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    write, format_name = FORMS[form]
    path = write(tmp_path, tensors)
    (tmp_path / "README.md").write_text("# What this is")
    (tmp_path / "config.json").write_text("{}")

    with open_weights(path if opened_by == "path" else tmp_path) as source:
        found = {name: source.read(name) for name in source.shapes}

    assert source.path == path
    assert source.format == format_name
    assert source.shapes == {name: tuple(t.shape) for name, t in tensors.items()}
    # They outlive the source.
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_what_is_nested_twice_is_found(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"model": {"state_dict": tensors, "step": 1}}, tmp_path / "w.pt")

    assert open_weights(tmp_path).shapes.keys() == tensors.keys()


def test_the_largest_of_several_dictionaries_is_taken(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    content = {"model": tensors, "state_dict": {"mean": torch.ones(1)}, "ema": tensors}
    torch.save(content, tmp_path / "w.pt")

    assert open_weights(tmp_path).shapes.keys() == tensors.keys()


def test_parameters_become_ordinary_tensors(tmp_path: Path) -> None:
    torch.save({"w": torch.nn.Parameter(torch.ones(3))}, tmp_path / "w.pt")

    tensor = open_weights(tmp_path).read("w")

    assert not tensor.requires_grad
    assert type(tensor) is torch.Tensor


def test_tensors_without_numbers_of_their_own_are_left_out(tmp_path: Path) -> None:
    content = {
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.empty(3, device="meta"),
        "plain": torch.ones(2),
    }
    torch.save(content, tmp_path / "w.pt")

    assert open_weights(tmp_path).shapes == {"plain": (2,)}


def test_a_folder_with_model_safetensors_is_taken_for_that(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    torch.save({"other": torch.ones(1)}, tmp_path / "sam3.pt")

    assert open_weights(tmp_path).path == tmp_path / "model.safetensors"


def test_hidden_files_of_a_folder_do_not_count(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = write_safetensors(tmp_path, tensors)
    (tmp_path / "._any name.safetensors").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._model.safetensors.index.json").write_bytes(b"\0\5\x16\7")

    assert open_weights(tmp_path).path == path


def test_links_to_files_and_folders_are_followed(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    folder = tmp_path / "blobs"
    folder.mkdir()
    write_shards(folder, tensors)
    (tmp_path / "snapshot").mkdir()
    for file in folder.iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(file)
    (tmp_path / "link").symlink_to(tmp_path / "snapshot", target_is_directory=True)

    with open_weights(tmp_path / "link") as source:
        assert torch.equal(source.read("a.weight"), tensors["a.weight"])


@pytest.mark.parametrize("form", FORMS)
def test_a_source_is_read_on_another_thread(
    form: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    source = open_weights(FORMS[form][0](tmp_path, tensors))
    found: dict[str, Tensor] = {}

    def read() -> None:
        with source:
            for name in source.shapes:
                found[name] = source.read(name)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()

    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("form", ["safetensors", "shards", ".pt"])
def test_unknown_names_and_closed_sources_are_refused(
    form: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    source = open_weights(FORMS[form][0](tmp_path, tensors))

    with pytest.raises(CheckpointError, match=r"no tensor 'd\.weight'; ask for one"):
        source.read("d.weight")
    source.close()
    source.close()
    with pytest.raises(StateError, match="is closed; open it again"):
        source.read("a.weight")


def test_what_becomes_unreadable_meanwhile_is_a_damaged_file(tmp_path: Path) -> None:
    def read(name: str) -> Tensor:
        raise OSError(5, "Input/output error")

    source = TensorSource(tmp_path / "w.pt", "pickle", {"w": (1,)}, read)

    with pytest.raises(CheckpointError, match=r"Input/output error\); get the file"):
        source.read("w")
