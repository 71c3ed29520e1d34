"""How fast a network will be is told from a probe, roughly but soundly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sam3.core.errors import ModelError
from napari_sam3.models import device
from napari_sam3.models.machine import Machine, forecast, measure
from napari_sam3.models.spec import Cost

COST = Cost(encode=2e12, click=4e9, encode_share=0.5, click_share=0.2)
CPU = Machine(
    device="cpu",
    name="2 threads",
    dtype="float32",
    torch="2.13",
    rates={"float32": 1e11},
    memory=10**10,
    free_memory=4 * 10**9,
)


def test_this_machine_is_measured():
    found = measure("cpu", "float32", seconds=0.01)
    assert (found.device, found.dtype) == ("cpu", "float32")
    assert 1e8 < found.rates["float32"] < 1e15
    assert found.free_memory is None or 0 < found.free_memory <= found.memory
    assert found.lines()[0].startswith("device: cpu (")
    assert "computes in float32; billion operations a second: " in found.lines()[1]


@pytest.mark.parametrize("is_fast", [True, False])
def test_the_dtype_that_models_would_use_is_measured(monkeypatch, is_fast):
    monkeypatch.setattr(device, "is_faster_in_half", lambda name: is_fast)
    found = measure("cpu", seconds=0.01)
    assert found.dtype == ("bfloat16" if is_fast else "float32")
    assert set(found.rates) == {"float32", found.dtype}


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ModelError, match="device"):
        measure("xla")


def test_time_follows_from_operations_and_rate():
    guess = forecast(CPU, COST, 10**9)
    assert guess.seconds_per_image == pytest.approx(40)
    assert guess.seconds_per_click == pytest.approx(0.2)
    assert "about 40 s an image and 0.2 s a click" in guess.line()


def test_memory_is_that_of_weights_and_work():
    guess = forecast(CPU, COST, 10**9)
    assert guess.memory == 4 * 10**9
    assert guess.is_lower_bound
    assert guess.fits
    assert "at least 4.0 GB" in guess.line()
    guess = forecast(CPU, replace(COST, working_bytes=10**9), 10**9)
    assert guess.memory == 5 * 10**9
    assert not guess.is_lower_bound
    assert guess.fits is False
    assert guess.line().endswith("close other programs, or use a smaller model")
    assert forecast(replace(CPU, free_memory=None), COST, 1).fits is None


def test_half_the_bytes_and_another_rate_in_bfloat16():
    half = replace(CPU, dtype="bfloat16", rates={"float32": 1e11, "bfloat16": 2e11})
    cost = replace(COST, working_bytes=10**9)
    guess = forecast(half, cost, 10**9)
    assert guess.memory == 2.5 * 10**9
    assert guess.seconds_per_image == pytest.approx(20)
    only = forecast(half, replace(cost, is_float32=True), 10**9)
    assert only == forecast(CPU, cost, 10**9)


def test_a_click_on_a_graphics_card_is_not_instant():
    card = replace(CPU, device="cuda", rates={"float32": 1e15})
    assert forecast(card, COST, 1).seconds_per_click == 0.005
