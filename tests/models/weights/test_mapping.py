"""Reading a tensor of a large file reads that tensor, and not the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models.weights.source import open_weights

#: Opens a file, reads all tensors but looks at one, and tells what memory that took.
PROGRAM = """
import sys
from pathlib import Path
import torch
from napari_sam3.models.weights.source import open_weights

def resident():
    # Pages of files count only where they were looked at.
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

with open_weights(Path(sys.argv[1])) as source:
    source.read("small")
    before = resident()
    tensors = {name: source.read(name) for name in source.shapes}
assert tensors["small"].tolist() == [1, 2, 3]
read = resident() - before
tensors["large0"].sum()
print(read, resident() - before)
"""
MEGABYTE = 1 << 20
#: Of each large tensor.
SIZE = 30 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("form", [".safetensors", ".pt"])
def test_only_what_is_looked_at_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"w{form}"
    tensors = {f"large{i}": torch.zeros(SIZE // 4) for i in range(3)}
    tensors["small"] = torch.tensor([1, 2, 3])
    if form == ".pt":
        torch.save({"model": tensors}, path)
    else:
        save_file(tensors, path)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    read, summed = map(int, done.stdout.split())
    assert read < 4 * MEGABYTE
    # So the measure does see what is looked at.
    assert SIZE - MEGABYTE < summed < SIZE + 8 * MEGABYTE


def test_files_of_old_torch_are_read_though_they_cannot_be_mapped(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    source = open_weights(path)

    path.write_bytes(b"")

    assert source.read("a").tolist() == [1, 1, 1]


@pytest.mark.parametrize("form", [".safetensors", ".pt"])
def test_changing_a_tensor_does_not_change_the_file(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"w{form}"
    if form == ".pt":
        torch.save({"a": torch.ones(3)}, path)
    else:
        save_file({"a": torch.ones(3)}, path)
    before = path.read_bytes()

    with open_weights(path) as source:
        source.read("a").add_(1)

    assert path.read_bytes() == before
