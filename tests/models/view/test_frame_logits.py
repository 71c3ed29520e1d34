"""Logits at the image's resolution: held against torch's own interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from napari_sam3.models.view import frame as frame_module
from napari_sam3.models.view.frame import Frame

CELLS = 16
SIZE = 64

sides = st.integers(1, 90)
shapes = st.tuples(sides, sides)


def random_logits(seed: int, cells: int = CELLS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 20 * torch.randn(cells, cells, generator=generator)


def enlarged_whole(logits: Tensor, shape: tuple[int, int]) -> Tensor:
    exact = logits[None, None].double()
    return F.interpolate(exact, shape, mode="bilinear", align_corners=False)[0, 0]


@st.composite
def boxes(draw: Any) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    shape = draw(shapes)
    row0, col0 = (draw(st.integers(0, side - 1)) for side in shape)
    row1 = draw(st.integers(row0 + 1, shape[0]))
    col1 = draw(st.integers(col0 + 1, shape[1]))
    return shape, (row0, col0, row1, col1)


@settings(max_examples=60, deadline=None)
@given(boxes(), st.integers(0, 10))
def test_a_part_is_cut_from_the_whole_as_torch_enlarges_it(
    where: tuple[tuple[int, int], tuple[int, int, int, int]], seed: int
) -> None:
    shape, box = where
    logits = random_logits(seed)
    row0, col0, row1, col1 = box

    part = Frame.of(shape, SIZE, padded=False).enlarge(logits, box)

    wanted = enlarged_whole(logits, shape)[row0:row1, col0:col1]
    assert part.dtype == torch.float32
    assert part.shape == wanted.shape
    assert (part - wanted).abs().max() <= 1e-5


@pytest.mark.parametrize("band_size", [1, 150, 999])
def test_bands_make_no_difference(
    band_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, box = random_logits(0), (3, 5, 97, 104)
    frame = Frame.of((100, 110), SIZE, padded=False)
    whole = frame.enlarge(logits, box)
    monkeypatch.setattr(frame_module, "BAND_SIZE", band_size)

    assert torch.equal(frame.enlarge(logits, box), whole)


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (200, 200), (33, 170), (10, 80)])
def test_a_padded_part_is_what_the_original_two_steps_give(
    shape: tuple[int, int],
) -> None:
    # Smooth, as masks are: the original interpolates twice.
    logits = enlarged_whole(random_logits(0, 4), (CELLS, CELLS)).float()
    frame = Frame.of(shape, SIZE, padded=True)
    rows, cols = frame.inner

    found = frame.enlarge(logits, (0, 0, *shape))

    view = enlarged_whole(logits, (SIZE, SIZE))[:rows, :cols]
    wanted = enlarged_whole(view, shape)
    inside = (found - wanted)[2:-2, 2:-2]
    assert inside.abs().max() < 0.05 * wanted.abs().max()
    # At the edges the original goes on flat; here the padding's cells have a say.
    assert (found - wanted).abs().max() < 0.15 * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_enlarging_keeps_the_dtype(dtype: torch.dtype) -> None:
    frame = Frame.of((20, 30), SIZE, padded=False)

    assert frame.enlarge(random_logits(0).to(dtype), (1, 2, 9, 8)).dtype == dtype


class NoDoubleOffTheCpu(TorchDispatchMode):
    """Refuses what Apple's devices refuse; ``meta`` stands for them."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device.type == "meta":
            assert result.dtype != torch.float64, func
        return result


def test_no_float64_is_made_on_a_device_that_has_none() -> None:
    frame = Frame.of((40, 50), SIZE, padded=False)
    logits = random_logits(0).to("meta")

    with NoDoubleOffTheCpu():
        assert frame.enlarge(logits, (1, 2, 30, 40)).shape == (29, 38)
        with pytest.raises(AssertionError):  # the mode does watch
            logits.double()


@settings(max_examples=80, deadline=None)
@given(
    shapes,
    st.booleans(),
    st.integers(0, 50),
    st.floats(-30, 60, width=32),
)
def test_nothing_above_the_floor_is_cut_away(
    shape: tuple[int, int], padded: bool, seed: int, floor: float
) -> None:
    logits = random_logits(seed)
    frame = Frame.of(shape, SIZE, padded=padded)

    box = frame.crop_of(logits, floor)

    above = frame.enlarge(logits, (0, 0, *shape)) > floor
    if box is None:
        assert not above.any()
        return
    row0, col0, row1, col1 = box
    assert 0 <= row0 < row1 <= shape[0]
    assert 0 <= col0 < col1 <= shape[1]
    above[row0:row1, col0:col1] = False
    assert not above.any()


@settings(max_examples=60, deadline=None)
@given(
    shapes,
    st.booleans(),
    st.tuples(st.integers(0, CELLS - 1), st.integers(0, CELLS - 1)),
)
def test_a_crop_has_no_needless_lines(
    shape: tuple[int, int], padded: bool, cell: tuple[int, int]
) -> None:
    # One cell far above the floor: its crop ends where its influence does.
    logits = torch.full((CELLS, CELLS), -10.0)
    logits[cell] = 1e6
    frame = Frame.of(shape, SIZE, padded=padded)

    box = frame.crop_of(logits, -10)

    above = frame.enlarge(logits, (0, 0, *shape)) > -10
    rows, cols = (np.flatnonzero(above.any(dim=axis)) for axis in (1, 0))
    if not len(rows):  # between the pixels of a small image, or in the padding
        assert box is None or max(box[2] - box[0], box[3] - box[1]) <= 3 * max(shape)
        return
    assert box is not None
    needed = rows[0], cols[0], rows[-1] + 1, cols[-1] + 1
    assert all(abs(edge - want) <= 2 for edge, want in zip(box, needed)), needed


def test_padding_does_not_widen_a_crop() -> None:
    frame = Frame.of((40, 80), SIZE, padded=True)
    logits = torch.full((CELLS, CELLS), -20.0)
    logits[2, 3] = 5
    alone = frame.crop_of(logits, -10)
    logits[12:] = 30  # the image ends at row 8

    assert frame.crop_of(logits, -10) == alone
    logits[2, 3] = -20
    assert frame.crop_of(logits, -10) is None


@pytest.mark.parametrize("rows", [40, 43])
def test_a_crop_holds_what_the_first_cells_of_the_padding_reach(rows: int) -> None:
    frame = Frame.of((rows, 80), SIZE, padded=True)
    logits = torch.full((CELLS, CELLS), -20.0)
    logits[8] = 100  # the image ends at 8 or 8.6 cells
    last = frame.enlarge(logits, (rows - 1, 0, rows, 80))
    assert last.min() > -10

    box = frame.crop_of(logits, -10)

    assert box is not None
    assert (box[2], box[1], box[3]) == (rows, 0, 80)


def test_without_anything_above_there_is_no_crop() -> None:
    frame = Frame.of((40, 80), SIZE, padded=False)

    assert frame.crop_of(torch.full((CELLS, CELLS), -10.0), -10) is None
    assert frame.crop_of(torch.full((CELLS, CELLS), torch.nan), -10) is None
    assert frame.crop_of(torch.zeros(CELLS, CELLS), -10) == (0, 0, 40, 80)
