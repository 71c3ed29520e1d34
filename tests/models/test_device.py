"""Devices and number formats are those that are there, or an error says so."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from napari_sam3.core.errors import MemoryFullError, ModelError
from napari_sam3.models import device as device_module
from napari_sam3.models.device import (
    free_memory,
    is_faster_in_half,
    is_out_of_memory,
    resolve_device,
    resolve_dtype,
)


@pytest.fixture
def machine(monkeypatch):
    """Pretend that some accelerators are there, or none."""

    def pretend(*, cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": 1}, "cuda"),
        ({"cuda": 1, "mps": True}, "cuda"),
    ],
)
def test_auto_takes_the_best_device(machine, there, taken):
    machine(**there)
    assert resolve_device("auto") == torch.device(taken)
    assert resolve_device() == torch.device(taken)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({}, "cpu"),
        ({"cuda": 2, "mps": True}, "cpu"),
        ({"cuda": 1}, "cuda"),
        ({"cuda": 2}, "cuda:1"),
        ({"mps": True}, "mps"),
        ({}, torch.device("cpu")),
    ],
)
def test_a_device_that_is_there_is_taken_at_its_word(machine, there, wanted):
    machine(**there)
    assert resolve_device(wanted) == torch.device(wanted)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [({}, "cuda"), ({"cuda": 1}, "cuda:1"), ({"cuda": 1}, "mps"), ({}, "meta")],
)
def test_a_device_that_is_missing_is_refused(machine, there, wanted):
    machine(**there)
    with pytest.raises(ModelError, match=f"no '{wanted}' device; use device='cpu'"):
        resolve_device(wanted)


@pytest.mark.parametrize("wanted", ["gpu", "", "cuda:x", None])
def test_what_is_no_device_is_refused(wanted):
    with pytest.raises(ModelError, match="is no device; give 'auto', 'cpu'"):
        resolve_device(wanted)


@pytest.mark.parametrize(
    ("wanted", "dtype"),
    [
        ("auto", torch.float32),
        ("float32", torch.float32),
        ("bfloat16", torch.bfloat16),
        ("float16", torch.float16),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_dtypes_by_name_or_as_torch_has_them(wanted, dtype):
    assert resolve_dtype(wanted) == dtype


def test_the_default_dtype_is_float32():
    assert resolve_dtype() == torch.float32


@pytest.mark.parametrize("wanted", ["half", "float64", torch.int32, "", None])
def test_other_dtypes_are_refused(wanted):
    with pytest.raises(ModelError, match="no dtype of the models; give 'auto', 'float"):
        resolve_dtype(wanted)


# ---- memory -----------------------------------------------------------------

CPU_LINUX = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
CPU_WINDOWS = "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        MemoryFullError("The graphics card is full; use the CPU."),
        torch.OutOfMemoryError("Allocation on device"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
        RuntimeError(f"[enforce fail at alloc_cpu.cpp:118] err == 0. {CPU_LINUX}"),
        RuntimeError(f"[enforce fail at alloc_cpu.cpp:118] {CPU_WINDOWS}"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB"),
        RuntimeError("Invalid buffer size: 20.00 GB"),
    ],
    ids=str,
)
def test_a_shortage_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        ModelError("The model's memory is out of date; update it."),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_no_shortage(error):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8),
        lambda: np.empty(1 << 60, np.uint8),
        lambda: bytearray(1 << 60),
    ],
    ids=["torch", "numpy", "python"],
)
def test_what_is_raised_for_too_large_an_array_is_recognised(allocate):
    with pytest.raises((RuntimeError, MemoryError)) as raised:
        allocate()
    assert is_out_of_memory(raised.value)


def test_memory_is_asked_after_without_importing_torch():
    code = (
        "import sys\n"
        "from napari_sam3.models.device import free_memory, is_out_of_memory\n"
        "assert is_out_of_memory(RuntimeError('CUDA out of memory'))\n"
        "assert not is_out_of_memory(RuntimeError('else'))\n"
        "free_memory('cuda')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("there", "device", "emptied"),
    [
        ({"cuda": 1}, "cuda", ["cuda"]),
        ({"cuda": 2}, torch.device("cuda", 1), ["cuda"]),
        ({"mps": True}, "mps", ["mps"]),
        ({"cuda": 1, "mps": True}, "cpu", []),
        ({}, "cuda", []),
        ({}, "mps", []),
    ],
)
def test_the_devices_cache_is_emptied(machine, monkeypatch, there, device, emptied):
    machine(**there)
    seen = []
    for kind in ("cuda", "mps"):
        monkeypatch.setattr(
            getattr(torch, kind), "empty_cache", lambda kind=kind: seen.append(kind)
        )
    free_memory(device)
    assert seen == emptied


def test_a_core_is_left_to_the_window_on_that_thread_alone(monkeypatch):
    from napari_sam3.models import device

    monkeypatch.setattr(device.os, "cpu_count", lambda: 3)
    before = torch.get_num_threads()
    seen: list[int] = []

    def work():
        for threads, place in ((8, "cpu"), (8, "cuda"), (1, torch.device("cpu"))):
            torch.set_num_threads(threads)
            device.leave_a_core(place)
            seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [2, 8, 1]
    assert torch.get_num_threads() == before


# ---- half precision -----------------------------------------------------------------


@pytest.fixture
def seconds(monkeypatch):
    """Say how long products take, instead of measuring; the answer is not kept."""
    taken = {torch.float32: 1.0, torch.bfloat16: 0.5}
    asked = []

    def time_product(device, dtype):
        asked.append((str(device), dtype))
        if isinstance(taken[dtype], Exception):
            raise taken[dtype]
        return taken[dtype]

    monkeypatch.setattr("napari_sam3.models.device._time_product", time_product)
    is_faster_in_half.cache_clear()
    yield taken, asked
    is_faster_in_half.cache_clear()


@pytest.mark.parametrize(
    ("half", "chosen"),
    [
        (0.5, torch.bfloat16),
        (0.8, torch.float32),  # not worth the lesser precision
        (3.0, torch.float32),  # emulated
        (RuntimeError("no such format"), torch.float32),
    ],
)
def test_half_precision_is_chosen_where_it_is_faster(seconds, half, chosen):
    taken, asked = seconds
    taken[torch.bfloat16] = half
    cpu = torch.device("cpu")
    assert resolve_dtype("auto", cpu) == chosen
    assert resolve_dtype("auto", cpu) == chosen
    assert asked == [("cpu", torch.float32), ("cpu", torch.bfloat16)]  # tried once


def test_without_a_device_or_by_name_nothing_is_tried(seconds):
    _, asked = seconds
    assert resolve_dtype("auto") == torch.float32
    assert resolve_dtype("float32", torch.device("cpu")) == torch.float32
    assert resolve_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
    assert asked == []


def test_the_trial_says_what_the_clock_says(monkeypatch):
    asked = []
    clock = iter(range(1000))
    monkeypatch.setattr(
        device_module, "perf_counter", lambda: asked.append(1) or next(clock)
    )
    is_faster_in_half.cache_clear()
    # Every product takes one second by this clock, so half precision saves nothing.
    assert resolve_dtype("auto", torch.device("cpu")) == torch.float32
    assert len(asked) == 4 * device_module._PROBES
    is_faster_in_half.cache_clear()


def test_graphics_cards_are_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    for name in ("cpu", "cuda:1", "mps"):
        device_module.synchronize(torch.device(name))
    assert waited == [torch.device("cuda:1"), "mps"]
