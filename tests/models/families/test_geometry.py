"""Where masks land: a network that answers with a known function of the view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.prompt import Prompt
from napari_sam3.models.view.network import Features, ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker

SIZE, CELLS = 256, 64
#: Of the image that the tests look at; its view has 256 x 171 or 171 x 256 pixels.
SHAPES = [(120, 80), (80, 120), (33, 400), (300, 301), (256, 256)]


class Cone:
    """A disc around the first click: logits fall by one for each pixel of the view."""

    size, low_res_size, steps = SIZE, CELLS, 1
    normalisation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, *, is_padded: bool) -> None:
        self.is_padded = is_padded
        self.asked: list[ViewPrompts] = []
        self.views: list[Tensor] = []

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        self.views.append(pixels)
        between()
        return (pixels,)

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        self.asked.append(prompts)
        middles = (torch.arange(CELLS) + 0.5) * (SIZE / CELLS)
        # As SAM does: half a pixel of the view is added to what comes in.
        x, y = prompts.points[0, 0] + 0.5
        distance = torch.hypot(middles[:, None] - y, middles - x)
        return (30 - distance)[None, None], torch.ones(1, 1)

    def image_embedding(self, features: Features) -> Tensor:
        return features[0]


def tracker_of(network: Cone) -> ViewTracker:
    return ViewTracker(
        network, model_id="cone", weights="0", device=torch.device("cpu")
    )


def cone_in_image(
    shape: tuple[int, int], point: tuple[float, float], is_padded: bool
) -> NDArray[np.float64]:
    """Return the same function at the middles of the image's pixels."""
    scales = [SIZE / max(shape)] * 2 if is_padded else [SIZE / side for side in shape]
    down, across = (
        (np.arange(side) + 0.5) * scale - (place * scale + 0.5)
        for side, place, scale in zip(shape, point, scales)
    )
    return 30 - np.hypot(down[:, None], across)


@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.1, 0.9), (0.95, 0.05), (1, 1)])
def test_logits_land_where_the_network_saw_them(
    shape: tuple[int, int], place: tuple[float, float], is_padded: bool
) -> None:
    tracker = tracker_of(Cone(is_padded=is_padded))
    point = tuple((side - 1) * share for side, share in zip(shape, place))
    (embedding,) = tracker.embed([np.zeros((*shape, 3), np.uint8)])

    ((found,),) = tracker.predict(
        embedding, [Prompt(points=[point], labels=[True])], multimask=False
    )

    wanted = cone_in_image(shape, point, is_padded)
    row0, col0, row1, col1 = found.bbox
    # A cell is four pixels of the view, and the cone falls by one in each.
    assert np.abs(found.logits - wanted[row0:row1, col0:col1]).max() < 4
    outside = np.ones(shape, bool)
    outside[row0:row1, col0:col1] = False
    assert (wanted[outside] < 0).all()


@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_low_resolution_logits_cover_the_image_alone_and_come_back_as_they_were(
    shape: tuple[int, int], is_padded: bool
) -> None:
    network = Cone(is_padded=is_padded)
    tracker = tracker_of(network)
    point = (shape[0] * 0.7, shape[1] * 0.6)
    prompt = Prompt(points=[point], labels=[True])
    (embedding,) = tracker.embed([np.zeros((*shape, 3), np.uint8)])
    ((found,),) = tracker.predict(embedding, [prompt], multimask=False)

    again = Prompt(points=[point], labels=[True], mask_logits=found.low_res)
    tracker.predict(embedding, [again], multimask=False)

    rows, cols = ((np.arange(CELLS) + 0.5) * side / CELLS - 0.5 for side in shape)
    wanted = cone_in_image(shape, point, is_padded)
    nearest = wanted[
        np.clip(np.rint(rows), 0, shape[0] - 1).astype(int)[:, None],
        np.clip(np.rint(cols), 0, shape[1] - 1).astype(int),
    ]
    # To the nearest pixel, which may be more than a cell of a small image.
    reach = 4 + (SIZE / max(shape) if is_padded else SIZE / min(shape))
    assert np.abs(found.low_res - np.clip(nearest, -32, 32)).max() < reach
    masks = network.asked[-1].masks
    assert masks is not None
    assert masks.shape == (1, 1, CELLS, CELLS)
    sent, _ = network.decode((), network.asked[0], multimask=False)
    inner = [int(CELLS * side / max(shape)) if is_padded else CELLS for side in shape]
    part = (0, 0, slice(inner[0]), slice(inner[1]))
    assert (masks[part] - sent[part].clamp(-32, 32)).abs().max() < 4
    # One cell may lie across the image's edge.
    assert (masks[0, 0, inner[0] + 1 :] == -10).all()
    assert (masks[0, 0, :, inner[1] + 1 :] == -10).all()


def test_a_padded_view_has_the_image_in_its_upper_left_and_zeros_beyond() -> None:
    network = Cone(is_padded=True)
    image = np.zeros((60, 120, 3), np.uint8)
    image[:, 60:] = 255

    tracker_of(network).embed([image])

    (view,) = network.views[0]
    assert view.shape == (3, SIZE, SIZE)
    assert (view[:, :128, :124] == 0).all()
    assert (view[:, :128, 132:] == 1).all()
    assert (view[:, 128:] == 0).all()
