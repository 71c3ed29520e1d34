"""Named tensors of a weights file, read one by one."""

from __future__ import annotations

import json
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_sam3.core.errors import CheckpointError, MemoryFullError, StateError
from napari_sam3.models.device import is_out_of_memory
from napari_sam3.models.spec import PICKLE_SUFFIXES, WEIGHTS_SUFFIXES
from napari_sam3.models.weights.pickled import read_pickle

__all__ = ["TensorSource", "open_weights"]

_INDEX = ".index.json"
#: A file's name and nothing else, on any system: no folder, no drive, not hidden.
_SHARD = re.compile(r"[^./\\:\0][^/\\:\0]*\.safetensors")
#: What readers raise, besides their own types, where a file is not as it should be.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


class TensorSource:
    """The tensors of a weights file, or of several that belong together.

    Close it, or use it in a ``with`` statement. Nothing but names and shapes is read
    until `read` is called, and what is read stays mapped to the file where its
    format allows that: all but torch's from before version 1.6. A mapped file must
    not be written to; it may be renamed or deleted, except on Windows, which refuses
    that until what was read is let go.

    It may be read on another thread than the one that opened it.

    Parameters
    ----------
    path : Path
        What was opened.
    format : str
        ``"safetensors"``, ``"sharded safetensors"`` or ``"pickle"``.
    shapes : mapping of str to tuple of int
        Of each tensor, by its name in the file.
    read : callable
        Returns the tensor of a name.
    resources : ExitStack, optional
        What to close.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], Tensor],
        resources: ExitStack | None = None,
    ) -> None:
        self.path = path
        self.format = format
        self.shapes = dict(shapes)
        self._read: Callable[[str], Tensor] | None = read
        self._resources = resources or ExitStack()

    def read(self, name: str) -> Tensor:
        """Return one tensor, on the CPU, in the file's dtype.

        Parameters
        ----------
        name : str
            One of ``shapes``.

        Raises
        ------
        CheckpointError
            If there is no such tensor, or the file has become unreadable.
        MemoryFullError
            If it does not fit into memory.
        StateError
            If the source is closed.
        """
        if self._read is None:
            raise StateError(f"{self.path} is closed; open it again.")
        if name not in self.shapes:
            raise CheckpointError(
                f"{self.path} holds no tensor {name!r}; ask for one of its `shapes`."
            )
        try:
            # Files may hold parameters, which would have all that is made of them
            # recorded for training.
            return self._read(name).detach()
        except (OSError, RuntimeError, MemoryError, SafetensorError) as error:
            raise _refusal(self.path, error) from error

    def close(self) -> None:
        """Close the files. Tensors that were read stay as they are."""
        self._read = None
        self._resources.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def open_weights(path: Path) -> TensorSource:
    """Open a weights file, an index of shards, or a folder that holds either.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file; a ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file of
        torch, which is only read if it holds tensors and no code; the
        ``.safetensors.index.json`` of shards; or a folder.

    Returns
    -------
    TensorSource
        To be closed.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is incomplete, or it holds something else.
    MemoryFullError
        If it does not fit into memory.
    """
    try:
        path = _weights_in(path) if path.is_dir() else path
        is_there = path.is_file()
    except PermissionError as error:
        raise _refusal(path, error) from error
    except OSError:  # a name that no file can have
        is_there = False
    if not is_there:
        raise CheckpointError(
            f"There is no weights file at {path}; give the path of a .safetensors or "
            ".pt file, or of a folder that holds one."
        )
    if path.name.endswith(_INDEX):
        return _open_shards(path)
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return _open_pickle(path)
    return _open_safetensors(path, [path])


def _weights_in(folder: Path) -> Path:
    """Choose the weights of a folder."""
    entries = sorted(folder.iterdir())
    indices = [file for file in entries if _is_index(file)]
    whole = folder / "model.safetensors"
    files = [file for file in entries if _is_weights(file)]
    for found in ([whole] if whole.is_file() else [], indices, files):
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.name for file in found[:5])
            raise CheckpointError(
                f"{folder} holds several weights files ({names}); give the path of one."
            )
    raise CheckpointError(
        f"There is no weights file in {folder}; give a folder with a .safetensors or "
        ".pt file in it."
    )


def _is_weights(file: Path) -> bool:
    # Hidden are those that macOS puts beside files on foreign disks.
    is_named = file.suffix.lower() in WEIGHTS_SUFFIXES and file.name[0] != "."
    return is_named and file.is_file()


def _is_index(file: Path) -> bool:
    is_named = file.name.endswith(f".safetensors{_INDEX}") and file.name[0] != "."
    return is_named and file.is_file()


def _open_shards(index: Path) -> TensorSource:
    try:
        table = json.loads(index.read_text("utf-8"))["weight_map"]
        names = sorted({str(name) for name in table.values()})
    except OSError as error:
        raise _refusal(index, error) from error
    except (
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        raise _no_index(index) from error
    if not names:
        raise _no_index(index)
    if not all(_SHARD.fullmatch(name) for name in names):
        raise CheckpointError(
            f"{index} names files that are no .safetensors files beside it; get it "
            "again from its source."
        )
    files = [index.with_name(name) for name in names]
    lacking = [file.name for file in files if not file.is_file()]
    if lacking:
        raise CheckpointError(
            f"{index.name} asks for {', '.join(lacking)}, which is not beside it; get "
            "all of its files."
        )
    source = _open_safetensors(index, files)
    absent = sorted(set(table) - set(source.shapes))
    if absent:
        source.close()
        raise CheckpointError(
            f"{index.name} promises {absent[0]}"
            + (f" and {len(absent) - 1} more tensors" if absent[1:] else "")
            + ", which its shards do not hold; get all of its files again."
        )
    return source


def _no_index(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is no index of shards; give the .safetensors.index.json file that "
        "came with them."
    )


def _open_safetensors(path: Path, files: list[Path]) -> TensorSource:
    shapes: dict[str, tuple[int, ...]] = {}
    homes: dict[str, Any] = {}
    with ExitStack() as stack:
        for file in files:
            try:
                opened = stack.enter_context(safe_open(file, framework="pt"))
                for name in opened.keys():  # noqa: SIM118 - no dictionary
                    shapes[name] = tuple(opened.get_slice(name).get_shape())
                    homes[name] = opened
            except _UNREADABLE as error:
                raise _refusal(file, error) from error
        kind = "safetensors" if files == [path] else "sharded safetensors"
        return TensorSource(
            path,
            kind,
            shapes,
            lambda name: homes[name].get_tensor(name),
            stack.pop_all(),
        )
    raise AssertionError  # mypy cannot know that an ExitStack swallows nothing


def _open_pickle(path: Path) -> TensorSource:
    try:
        tensors = read_pickle(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, or is no file of torch. More than "
            "tensors could run code when it is read, so it is not read; save its "
            "weights alone, best as .safetensors."
        ) from error
    except _UNREADABLE as error:
        raise _refusal(path, error) from error
    if not tensors:
        raise CheckpointError(
            f"{path} holds no named tensors; give a file with a model's state dict."
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return TensorSource(path, "pickle", shapes, tensors.__getitem__)


def _refusal(path: Path, error: Exception) -> CheckpointError | MemoryFullError:
    """Say why a file cannot be read, and what to do."""
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    if is_out_of_memory(error):
        return MemoryFullError(
            f"{path} does not fit into memory ({detail}); close other programs, or "
            "choose a smaller model. If the file is small, it is damaged; get it again."
        )
    if isinstance(error, PermissionError):
        return CheckpointError(
            f"{path} may not be read ({detail}); give yourself the right to read it."
        )
    return CheckpointError(
        f"{path} cannot be read ({detail}); get the file again, it may be incomplete, "
        "or no weights file at all."
    )
