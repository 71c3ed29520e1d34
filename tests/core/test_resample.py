"""Logits keep their place when they go from one grid to another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from napari_sam3.core.prediction import LOGIT_LIMIT
from napari_sam3.core.resample import Grid, resample

quick = settings(deadline=None, max_examples=60)

logit_maps = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=12),
    # Eighths, so that no sum is rounded.
    elements=st.integers(-256, 256).map(lambda eighths: eighths / 8),
)
whole = st.integers(-1000, 1000)


def pixels(array: np.ndarray, row0: float = 0, col0: float = 0) -> Grid:
    """Lay one cell on each pixel."""
    return Grid(row0, col0, *array.shape, *array.shape)


def pillow(array: np.ndarray, rows: int, cols: int) -> np.ndarray:
    return np.asarray(
        Image.fromarray(array).resize((cols, rows), Image.Resampling.BILINEAR)
    )


# ---- literal cases ----------------------------------------------------------


def test_the_same_grid_changes_nothing():
    logits = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
    grid = Grid(-3, 7.5, 20, 45, 2, 3)
    result = resample(logits, grid, grid)
    assert result.tolist() == logits.tolist()
    assert result.dtype == np.float32


def test_enlarging_is_bilinear_between_cell_centres():
    logits = np.array([[0, 4, 8]], np.float32)
    # Two new cells per old one: their centres are a quarter of a cell off.
    result = resample(logits, Grid(0, 0, 1, 3, 1, 3), Grid(0, 0, 1, 3, 1, 6))
    assert result[0, 1:-1].tolist() == [1, 3, 5, 7]


def test_shrinking_averages():
    logits = np.array([[0, 0, 0, 8, 0, 0, 0, 0]], np.float32)
    # A triangle of two new cells' width: weights 1 3 5 7 7 5 3 1, by 32.
    result = resample(logits, Grid(0, 0, 1, 8, 1, 8), Grid(0, 2, 1, 4, 1, 1))
    assert result[0, 0] == pytest.approx(8 * 7 / 32)


def test_beyond_the_source_is_background():
    logits = np.full((2, 2), 5, np.float32)
    result = resample(logits, pixels(logits), Grid(-2, -2, 6, 6, 6, 6))
    assert result.tolist() == [
        [-32, -32, -32, -32, -32, -32],
        [-32, -32, -32, -32, -32, -32],
        [-32, -32, 5, 5, -32, -32],
        [-32, -32, 5, 5, -32, -32],
        [-32, -32, -32, -32, -32, -32],
        [-32, -32, -32, -32, -32, -32],
    ]


def test_across_the_end_of_the_source_logits_fade_to_background():
    logits = np.array([[8, 8]], np.float32)
    result = resample(logits, pixels(logits), Grid(0, -0.5, 1, 3, 1, 3))
    assert result.tolist() == [[-12, 8, -12]]


def test_an_image_far_away_is_background():
    logits = np.full((3, 3), 5, np.float32)
    assert (resample(logits, pixels(logits), Grid(50, 0, 8, 3, 4, 4)) == -32).all()


def test_a_part_is_cut_out():
    logits = np.arange(12, dtype=np.float32).reshape(3, 4)
    result = resample(logits, pixels(logits), Grid(1, 1, 2, 2, 2, 2))
    assert result.tolist() == [[5, 6], [9, 10]]


def test_the_axes_are_not_mixed_up():
    logits = np.array([[1, 2, 3]], np.float32)
    result = resample(logits, Grid(0, 0, 9, 3, 1, 3), Grid(0, 0, 9, 3, 9, 3))
    assert result[4].tolist() == [1, 2, 3]


# ---- like Pillow ------------------------------------------------------------


@pytest.mark.parametrize(("rows", "cols"), [(36, 48), (30, 17), (25, 40)])
def test_enlarging_is_pillows_bilinear_inside(rows, cols):
    logits = np.random.default_rng(0).normal(0, 5, (12, 16)).astype(np.float32)
    result = resample(logits, pixels(logits), Grid(0, 0, 12, 16, rows, cols))
    inner = np.s_[rows // 8 : -rows // 8, cols // 8 : -cols // 8]
    assert np.allclose(result[inner], pillow(logits, rows, cols)[inner], atol=1e-4)


@pytest.mark.parametrize(("rows", "cols"), [(12, 16), (10, 24), (9, 11)])
def test_shrinking_is_pillows_bilinear_inside(rows, cols):
    logits = np.random.default_rng(1).normal(0, 5, (48, 64)).astype(np.float32)
    result = resample(logits, pixels(logits), Grid(0, 0, 48, 64, rows, cols))
    inner = np.s_[1:-1, 1:-1]
    assert np.allclose(result[inner], pillow(logits, rows, cols)[inner], atol=1e-4)


# ---- properties -------------------------------------------------------------


@quick
@given(logit_maps, whole, whole)
def test_into_a_larger_frame_and_back_is_exact(logits, up, left):
    up, left = abs(up) % 20, abs(left) % 20
    frame = Grid(-up, -left, 64, 64, 64, 64)
    framed = resample(logits, pixels(logits), frame)
    assert np.array_equal(resample(framed, frame, pixels(logits)), logits)


@quick
@given(logit_maps, whole, whole, st.sampled_from([8, 16, 32]))
def test_whole_pixels_of_shift_change_nothing(logits, row, col, side):
    target = Grid(-3, 2, 40, 72, side, side)
    shifted = target._replace(row0=target.row0 + row, col0=target.col0 + col)
    assert np.array_equal(
        resample(logits, pixels(logits, row, col), shifted),
        resample(logits, pixels(logits), target),
    )


@quick
@given(logit_maps, st.integers(1, 40), st.integers(1, 40))
def test_results_stay_between_the_extremes(logits, rows, cols):
    target = Grid(0, 0, *logits.shape, rows, cols)
    result = resample(logits, pixels(logits), target)
    assert result.min() >= -32 - 1e-4
    assert result.max() <= max(logits.max(), -32) + 1e-4


@quick
@given(logit_maps, st.integers(1, 20), st.integers(1, 20))
def test_turning_both_turns_the_result(logits, rows, cols):
    target = Grid(-1, 2, 9, 7, rows, cols)
    turned = Grid(2, -1, 7, 9, cols, rows)
    assert np.allclose(
        resample(logits.T, pixels(logits.T), turned),
        resample(logits, pixels(logits), target).T,
        atol=1e-4,
    )


# ---- how it is computed -----------------------------------------------------


def weights(start, extent, count, source_start, source_extent, n):
    """Return the whole matrix (count, n) that takes one axis to another."""
    per_cell = source_extent / n
    reach = max((extent / count) / per_cell, 1.0)
    centres = (start + (np.arange(count) + 0.5) * extent / count - source_start) / (
        per_cell
    )
    beyond = int(np.ceil(reach)) + 1
    cells = np.arange(-beyond, n + beyond) + 0.5
    matrix = np.clip(1 - np.abs(cells - centres[:, None]) / reach, 0, None)
    total = matrix.sum(axis=1, keepdims=True)
    return (matrix / np.where(total > 0, total, 1))[:, beyond : beyond + n]


@quick
@given(
    logit_maps,
    st.tuples(whole, whole, st.integers(1, 900), st.integers(1, 900)),
    st.tuples(whole, whole, st.integers(1, 900), st.integers(1, 900)),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_it_is_a_product_with_the_whole_matrices(logits, source, target, size):
    source, target = Grid(*source, *logits.shape), Grid(*target, *size)
    down = weights(*target[0:6:2], *source[0:6:2])
    across = weights(*target[1:6:2], *source[1:6:2])
    np.testing.assert_allclose(
        resample(logits, source, target),
        down @ (logits + 32.0) @ across.T - 32,
        atol=1e-4,
    )


class NoProducts(np.ndarray):
    """An array that refuses what NumPy hands to BLAS."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        assert ufunc is not np.matmul
        plain = [np.asarray(array) for array in inputs]
        if out:
            options["out"] = tuple(np.asarray(array) for array in out)
        return getattr(ufunc, method)(*plain, **options).view(NoProducts)

    def __array_function__(self, function, types, args, kwargs):
        assert function not in (np.dot, np.einsum, np.tensordot)
        return super().__array_function__(function, types, args, kwargs)


def test_no_threads_of_blas_are_woken():
    # They wait for more to do, and take the network's processors in the meantime.
    logits = np.zeros((64, 64), np.float32).view(NoProducts)
    source = Grid(0, 0, 64, 64, 64, 64)
    resample(logits, source, Grid(0, 0, 64, 64, 256, 256))
    resample(logits, source, Grid(0, 0, 64, 64, 16, 16))


def test_the_limit_is_kept_whatever_is_rounded():
    rng = np.random.default_rng(0)
    for _ in range(100):
        cells, count = rng.integers(3, 90), rng.integers(3, 257)
        corner, side = rng.uniform(-50, 50), rng.uniform(20, 500)
        sure = np.full((cells, cells), LOGIT_LIMIT, np.float32)
        source = Grid(corner, corner, side, side, int(cells), int(cells))
        target = Grid(0, 0, 300, 300, int(count), int(count))
        for logits in (sure, -sure):
            assert np.abs(resample(logits, source, target)).max() <= LOGIT_LIMIT
