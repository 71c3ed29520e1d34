"""Pixels in a view: held against torch's own resizing of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.models.view import resize
from napari_sam3.models.view.frame import Frame

CPU = torch.device("cpu")
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
SIZE = 64


def noise(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def as_torch_does_it(image: NDArray[np.uint8], shape: tuple[int, int]) -> Tensor:
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(
        pixels, shape, mode="bilinear", antialias=True, align_corners=False
    )[0]


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 5000),
        (5000, 1),
        (SIZE, SIZE),
        (200, 300),
        (300, 40),
        (40, 300),
        (7, 9),
        (SIZE, 500),
    ],
)
@pytest.mark.parametrize("band_size", [1, 700, 1 << 18])
def test_pixels_are_those_of_the_whole_image_resized_at_once(
    shape: tuple[int, int], band_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resize, "BAND_SIZE", band_size)
    image = noise(shape)

    view = Frame.of(shape, SIZE, padded=False).read(image, *PLAIN, CPU)

    assert view.shape == (3, SIZE, SIZE)
    assert view.dtype == torch.float32
    wanted = as_torch_does_it(image, (SIZE, SIZE))
    assert (view - wanted).abs().max() <= 1e-6


def test_a_large_image_is_read_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resize, "BAND_SIZE", 100 * 8)
    heights = []
    whole = resize._resize

    def listen(image: Tensor, rows: int, cols: int) -> Tensor:
        heights.append(image.shape[1])
        return whole(image, rows, cols)

    monkeypatch.setattr(resize, "_resize", listen)

    Frame.of((20, 100), SIZE, padded=False).read(noise((20, 100)), *PLAIN, CPU)

    assert heights == [8, 8, 4, 20]


def test_a_tall_narrow_image_is_never_made_wider_before_it_is_made_lower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    whole = resize._resize

    def listen(image: Tensor, rows: int, cols: int) -> Tensor:
        sizes.append(rows * cols)
        return whole(image, rows, cols)

    monkeypatch.setattr(resize, "_resize", listen)

    Frame.of((5000, 2), SIZE, padded=False).read(noise((5000, 2)), *PLAIN, CPU)

    assert max(sizes) == SIZE * SIZE


@pytest.mark.parametrize("shape", [(50, 100), (100, 50), (3, 400), (400, 3), (64, 65)])
def test_padding_is_zero_after_normalisation(shape: tuple[int, int]) -> None:
    image = noise(shape)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    frame = Frame.of(shape, SIZE, padded=True)
    rows, cols = frame.inner

    view = frame.read(image, mean, std, CPU)

    assert view.shape == (3, SIZE, SIZE)
    columns = [torch.tensor(values)[:, None, None] for values in (mean, std)]
    wanted = (as_torch_does_it(image, (rows, cols)) - columns[0]) / columns[1]
    assert (view[:, :rows, :cols] - wanted).abs().max() < 2e-5
    assert (view[:, rows:] == 0).all()
    assert (view[:, :, cols:] == 0).all()


@pytest.mark.parametrize(
    ("shape", "inner"),
    [
        ((50, 100), (512, 1024)),
        ((100, 50), (1024, 512)),
        ((7, 7), (1024, 1024)),
        ((1, 5000), (1, 1024)),  # never less than a pixel
        ((1365, 2048), (683, 1024)),  # 682.5 is rounded up
        ((600, 800), (768, 1024)),
    ],
)
def test_a_padded_view_keeps_the_proportions(
    shape: tuple[int, int], inner: tuple[int, int]
) -> None:
    assert Frame.of(shape, 1024, padded=True).inner == inner
    assert Frame.of(shape, 1024, padded=False).inner == (1024, 1024)


@pytest.mark.parametrize("kind", ["read-only", "mirrored", "turned", "cut out"])
def test_arrays_of_every_kind_are_read(kind: str) -> None:
    image = noise((30, 40))
    image = {
        "read-only": image,
        "mirrored": image[::-1, ::-1],
        "turned": image.swapaxes(0, 1),
        "cut out": noise((60, 80))[3:40:2, 5:70:3],
    }[kind]
    image.flags.writeable = False
    before = image.copy()
    shape = image.shape[0], image.shape[1]

    view = Frame.of(shape, SIZE, padded=False).read(image, *PLAIN, CPU)

    assert (view - as_torch_does_it(before, (SIZE, SIZE))).abs().max() <= 1e-6
    assert np.array_equal(image, before)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(1, 1024),
    st.booleans(),
    st.lists(
        st.tuples(st.floats(-0.5, 3000), st.floats(-0.5, 3000)), min_size=1, max_size=3
    ),
)
def test_places_are_scaled_as_the_original_predictors_do(
    shape: tuple[int, int],
    size: int,
    padded: bool,
    points: list[tuple[float, float]],
) -> None:
    frame = Frame.of(shape, size, padded=padded)

    placed = frame.place(np.array(points))

    height, width = frame.inner
    wanted = [(col * width / shape[1], row * height / shape[0]) for row, col in points]
    assert placed.dtype == np.float32
    assert placed.flags.c_contiguous
    np.testing.assert_allclose(placed, wanted, rtol=1e-6, atol=1e-6)


def test_no_places_stay_none() -> None:
    frame = Frame.of((5, 5), SIZE, padded=False)

    assert frame.place(np.empty((0, 2))).shape == (0, 2)
