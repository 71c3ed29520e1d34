"""Files that are not read: damaged, dangerous, or something else."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.core.errors import CheckpointError, MemoryFullError
from napari_sam3.models.weights import pickled
from napari_sam3.models.weights.source import open_weights

TENSORS = {f"layer.{index}": torch.full((30, 30), float(index)) for index in range(4)}


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.trace),)


def read_all(path: Path) -> None:
    with open_weights(path) as source:
        for name in source.shapes:
            source.read(name)


def refusal(path: Path) -> str:
    """Return the message that a file is refused with; it names the file, and a way."""
    with pytest.raises(CheckpointError) as caught:
        read_all(path)
    message = str(caught.value)
    assert ";" in message
    assert message.endswith(".")
    return message


def write(path: Path, kind: str) -> Path:
    if kind == "safetensors":
        save_file(TENSORS, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors")
    torch.save(TENSORS, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("place", ["alone", "beside", "inside"])
def test_code_in_a_file_is_not_run(tmp_path: Path, is_zip: bool, place: str) -> None:
    trap = Trap(tmp_path / "trace")
    content = {
        "alone": trap,
        "beside": {"model": TENSORS, "trap": trap},
        "inside": {**TENSORS, "layer.9": trap},
    }[place]
    path = tmp_path / "w.pt"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)

    message = refusal(path)

    assert "could run code" in message
    assert not (tmp_path / "trace").exists()
    # The trap does snap where somebody steps into it.
    pickle.loads(pickle.dumps(trap))
    assert (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_plain_pickle_is_not_read(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "trace")
    for content in (trap, {"a": [1.0, 2.0]}, TENSORS):
        (tmp_path / "w.pt").write_bytes(pickle.dumps(content))
        refusal(tmp_path / "w.pt")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "w.pt", kind)
    data = path.read_bytes()
    places = {*range(12), 64, 300, len(data) // 2, *range(len(data) - 40, len(data))}
    places |= set(random.Random(0).sample(range(len(data)), 60))

    for place in sorted(places):
        path.write_bytes(data[:place])
        assert str(path) in refusal(path)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
@pytest.mark.filterwarnings("ignore")  # torch has doubts about some of them
def test_a_file_with_wrong_bytes_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "w.pt", kind)
    data = path.read_bytes()
    chance = random.Random(1)
    refused = 0

    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 3])):
            damaged[chance.randrange(1500)] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_all(path)
        except (CheckpointError, MemoryFullError):
            refused += 1

    assert refused


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin", ".unknown", ""])
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"<html>404 Not Found</html>" * 20, bytes(500)]
)
def test_other_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)

    assert str(path) in refusal(path)


def contained_in_itself() -> dict[str, object]:
    content: dict[str, object] = {"epoch": 1}
    content["model"] = content
    return content


@pytest.mark.parametrize(
    "content",
    [torch.ones(3), [torch.ones(3)], {}, {"epoch": 3}, {1: torch.ones(2)}, "text"],
)
def test_files_without_named_tensors_are_refused(
    tmp_path: Path, content: object
) -> None:
    torch.save(content, tmp_path / "w.pt")

    assert "give a file with a model's state dict" in refusal(tmp_path / "w.pt")


def test_a_file_that_contains_itself_is_refused(tmp_path: Path) -> None:
    torch.save(contained_in_itself(), tmp_path / "w.pt")

    assert "holds no named tensors" in refusal(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "name",
    ["none.pt", "none.safetensors", "no/folder/w.pt", "x" * 300 + ".pt", "a\0.pt"],
)
def test_files_that_are_not_there_are_refused(tmp_path: Path, name: str) -> None:
    assert "There is no weights file at" in refusal(tmp_path / name)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    one.symlink_to(other)
    other.symlink_to(one)

    assert "There is no weights file at" in refusal(one)
    assert "There is no weights file in" in refusal(tmp_path)


def test_folders_with_nothing_or_with_several_are_refused(tmp_path: Path) -> None:
    assert "There is no weights file in" in refusal(tmp_path)
    (tmp_path / "deep.pt").mkdir()
    assert "There is no weights file in" in refusal(tmp_path)
    for name in ("b.pt", "a.safetensors", "c.txt"):
        (tmp_path / name).write_bytes(b"")

    message = refusal(tmp_path)

    assert "(a.safetensors, b.pt); give the path of one" in message


def write_index(folder: Path, table: object) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": table}), "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {}}',
        '{"weight_map": null}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_other_texts_are_no_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    assert "is no index of shards; give" in refusal(path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden.safetensors",
        "../outside.safetensors",
        "inner/../../outside.safetensors",
        "folder/one.safetensors",
        "..\\outside.safetensors",
        "C:outside.safetensors",
        "one.safetensors\0",
        "one.pt",
        None,
        7,
        ["one.safetensors"],
    ],
)
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, name: object) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    for file in (tmp_path / "outside", folder / "one", folder / ".hidden"):
        save_file(TENSORS, file.with_name(f"{file.name}.safetensors"))
    path = write_index(folder, dict.fromkeys(TENSORS, name))

    assert "no .safetensors files beside it" in refusal(path)


def test_an_index_cannot_name_an_absolute_path(tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    save_file(TENSORS, outside)
    (tmp_path / "model").mkdir()
    path = write_index(tmp_path / "model", dict.fromkeys(TENSORS, str(outside)))

    assert "no .safetensors files beside it" in refusal(path)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "one.safetensors")
    table = {f"t{i}": f"{name}.safetensors" for i, name in enumerate("cab")}
    path = write_index(tmp_path, table | dict.fromkeys(TENSORS, "one.safetensors"))

    message = refusal(path)

    assert "asks for a.safetensors, b.safetensors, c.safetensors" in message
    assert "get all of its files" in message


def test_tensors_that_shards_lack_are_named(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "one.safetensors")
    table = dict.fromkeys([*TENSORS, "y", "x"], "one.safetensors")

    message = refusal(write_index(tmp_path, table))

    assert "promises x and 1 more tensors, which" in message


def test_of_several_shards_the_damaged_one_is_named(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "one.safetensors")
    data = (tmp_path / "one.safetensors").read_bytes()
    (tmp_path / "two.safetensors").write_bytes(data[:-1])
    table = {"layer.0": "one.safetensors", "layer.1": "two.safetensors"}

    message = refusal(write_index(tmp_path, table))

    assert message.startswith(str(tmp_path / "two.safetensors"))


@pytest.mark.parametrize("kind", ["folder", "w.pt", "w.safetensors", "an index"])
def test_where_the_right_to_read_lacks_it_is_said(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Not by changing rights: who runs tests as root may read everything.
    if kind == "folder":
        path = tmp_path
        monkeypatch.setattr(Path, "iterdir", refuse)
    elif kind == "an index":
        path = write_index(tmp_path, {"a": "b.safetensors"})
        monkeypatch.setattr(Path, "read_text", refuse)
    else:
        path = tmp_path / kind
        path.touch()
        monkeypatch.setattr("torch.load", refuse)
        monkeypatch.setattr("napari_sam3.models.weights.source.safe_open", refuse)

    assert "may not be read" in refusal(path)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_what_does_not_fit_into_memory_is_not_called_damaged(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    path = write(tmp_path / "w.pt", "old")
    monkeypatch.setattr(pickled.torch, "load", fail)

    with pytest.raises(MemoryFullError, match=re.escape(str(path))):
        open_weights(path)
