"""Devices and number formats are those that are there, or an error says so."""

from __future__ import annotations

import pytest
import torch

from napari_sam3.core.errors import ModelError
from napari_sam3.models.device import resolve_device, resolve_dtype


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
