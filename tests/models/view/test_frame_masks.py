"""Earlier masks on their way back into a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam3.models.view.frame import Frame

CELLS = 32
SIZE = 128


def bumps(cells: int = CELLS) -> torch.Tensor:
    """Return smooth logits, between -25 and 25."""
    at = torch.linspace(0, 3, cells)
    return 25 * torch.sin(at[:, None] + 1) * torch.cos(at - 0.5)


def disc(cells: tuple[int, int], middle: tuple[float, float]) -> NDArray[np.float32]:
    """Return a cone over the unit square that is 20 at its middle."""
    rows, cols = ((np.arange(count) + 0.5) / count for count in cells)
    distance = np.hypot(rows[:, None] - middle[0], cols - middle[1])
    return (20 - 100 * distance).clip(-32, 32).astype(np.float32)


def test_low_resolution_logits_come_back_as_they_are_where_nothing_is_padded() -> None:
    frame = Frame.of((70, 90), SIZE, padded=False)
    logits = bumps()

    low_res = frame.to_low_res(logits)
    back = frame.mask_input(low_res.numpy(), None, CELLS)

    assert torch.equal(low_res, logits)
    assert np.array_equal(back, logits.numpy())


@pytest.mark.parametrize("padded", [True, False])
def test_low_resolution_logits_are_clamped_to_32(padded: bool) -> None:
    logits = 100 * torch.sign(bumps())

    low_res = Frame.of((70, 90), SIZE, padded=padded).to_low_res(logits)

    assert low_res.min() == -32
    assert low_res.max() == 32
    assert logits.abs().max() == 100  # a copy was clamped


@pytest.mark.parametrize("shape", [(90, 120), (120, 90), (100, 101), (47, 120)])
def test_padded_masks_come_back_to_where_they_were(shape: tuple[int, int]) -> None:
    frame = Frame.of(shape, SIZE, padded=True)
    logits = bumps()

    back = frame.mask_input(frame.to_low_res(logits).numpy(), None, CELLS)

    rows, cols = (CELLS * side / SIZE for side in frame.inner)
    inside = slice(0, int(rows)), slice(0, int(cols))
    assert np.abs(back[inside] - logits.numpy()[inside]).max() < 1.5
    beyond = np.ones((CELLS, CELLS), bool)
    beyond[: int(rows + 0.5), : int(cols + 0.5)] = False
    assert (back[beyond] == -10).all()


def test_the_far_end_of_a_padded_mask_does_not_drift() -> None:
    # 22.6 of 32 cells: rounded to 23 a mask would come back half a cell too far.
    frame = Frame.of((120, 85), SIZE, padded=True)
    ramp = torch.arange(CELLS, dtype=torch.float32).expand(CELLS, CELLS) - 16

    back = frame.mask_input(frame.to_low_res(ramp).numpy(), None, CELLS)

    assert np.abs(back[:, 1:21] - ramp.numpy()[:, 1:21]).max() < 0.02


@pytest.mark.parametrize("cells", [(10, 10), (100, 100), (20, 77), (1, 1)])
@pytest.mark.parametrize("padded", [True, False])
def test_masks_of_any_size_land_in_place(cells: tuple[int, int], padded: bool) -> None:
    frame = Frame.of((96, 120), SIZE, padded=padded)

    back = frame.mask_input(disc(cells, (0.4, 0.7)), None, CELLS)

    rows, cols = (CELLS * side // SIZE for side in frame.inner)
    assert back.shape == (CELLS, CELLS)
    assert back.dtype == np.float32
    wanted = disc((rows, cols), (0.4, 0.7))
    # Small masks are coarse, and all of it may be one cell.
    tolerance = 2 + 100 * 0.5 / min(cells) * (cells != (100, 100))
    assert np.abs(back[:rows, :cols] - wanted).max() < tolerance


@pytest.mark.parametrize("cells", [7, 31, 33, 200])
@pytest.mark.parametrize("padded", [True, False])
def test_a_mask_of_the_whole_image_does_not_fade_at_its_edges(
    cells: int, padded: bool
) -> None:
    frame = Frame.of((90, 120), SIZE, padded=padded)
    full = np.full((cells, cells), 10, np.float32)

    back = frame.mask_input(full, None, CELLS)

    rows, cols = (CELLS * side // SIZE for side in frame.inner)
    np.testing.assert_allclose(back[:rows, :cols], 10, atol=1e-4)


def test_a_mask_of_a_part_is_background_beyond_it_but_not_at_the_edge_it_touches() -> (
    None
):
    frame = Frame.of((128, 128), SIZE, padded=False)
    logits = np.full((50, 25), 10, np.float32)

    back = frame.mask_input(logits, (-8, 64, 64, 128), CELLS)

    np.testing.assert_allclose(back[:15, 17:], 10, atol=1e-4)
    assert (back[17:] == -32).all()
    assert (back[:, :15] == -32).all()


@pytest.mark.parametrize("padded", [True, False])
def test_a_small_part_lies_where_its_box_says(padded: bool) -> None:
    frame = Frame.of((100, 200), SIZE, padded=padded)
    logits = np.full((40, 40), 30, np.float32)

    back = frame.mask_input(logits, (50.0, 100.0, 75.0, 150.0), CELLS)

    found = np.argwhere(back > 0)
    scale = [CELLS * side / SIZE for side in frame.inner]
    low, high = found.min(axis=0), found.max(axis=0) + 1
    np.testing.assert_allclose(low, [0.5 * scale[0], 0.5 * scale[1]], atol=1)
    np.testing.assert_allclose(high, [0.75 * scale[0], 0.75 * scale[1]], atol=1)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("box", [None, (3.0, 4.0, 60.0, 70.0)])
def test_masks_of_callers_are_read_and_never_written(
    padded: bool, box: tuple[float, float, float, float] | None
) -> None:
    frame = Frame.of((90, 120), SIZE, padded=padded)
    logits = bumps().numpy().copy()
    logits.flags.writeable = False
    before = logits.copy()

    frame.mask_input(logits, box, CELLS)

    assert np.array_equal(logits, before)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1)])
@pytest.mark.parametrize("padded", [True, False])
def test_images_of_a_single_line_take_masks(
    shape: tuple[int, int], padded: bool
) -> None:
    frame = Frame.of(shape, SIZE, padded=padded)
    logits = bumps()

    low_res = frame.to_low_res(logits)
    back = frame.mask_input(low_res.numpy(), None, CELLS)

    assert low_res.shape == back.shape == (CELLS, CELLS)
    assert np.isfinite(back).all()
