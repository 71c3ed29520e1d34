"""SAM 3 in small: what does not need the published weights to be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from napari_sam3.core.prompt import Prompt
from napari_sam3.models.sam3 import linear as linear_module
from napari_sam3.models.sam3.keys import LAYOUTS
from napari_sam3.models.sam3.linear import Linear
from napari_sam3.models.sam3.load import load
from napari_sam3.models.sam3.mask_decoder import nest, stable_or_best
from napari_sam3.models.sam3.neck import Doubling, Level, unnest
from napari_sam3.models.sam3.trunk import (
    from_windows,
    rotary_table,
    rotate,
    to_windows,
)
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker
from napari_sam3.models.weights.source import open_weights
from tests.models.sam3.small import SMALL, make_network, on_meta

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    return make_network()


@pytest.fixture
def tracker(network):
    cpu = torch.device("cpu")
    return ViewTracker(network, model_id="small", weights="0", device=cpu)


@pytest.fixture
def view():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, SMALL.size, SMALL.size, generator=generator)


def click(x=30.0, y=40.0):
    return ViewPrompts(torch.tensor([[[x, y]]]), torch.ones(1, 1, dtype=torch.int64))


# ---- order of tokens and pixels -----------------------------------------------------


def test_windows_are_put_together_again():
    tokens = torch.arange(2 * 12 * 12 * 3).view(2, 12, 12, 3)
    windows = to_windows(tokens, 4)
    assert windows.shape == (2, 9, 16, 3)
    torch.testing.assert_close(windows[0, 1].view(4, 4, 3), tokens[0, :4, 4:8])
    torch.testing.assert_close(from_windows(windows, 4), tokens)


@pytest.mark.parametrize("times", [1, 2])
def test_nested_pixels_are_unnested(times):
    pixels = torch.arange(2 * 5 * 16 * 16).view(2, 5, 16, 16)
    nested = nest(pixels, times)
    torch.testing.assert_close(unnest(nested, times), pixels)
    # All pixels of a coarse cell side by side.
    side = 2**times
    first = pixels[0, 0, :side, :side].flatten().sort().values
    assert nested[0, : side**2, 0].sort().values.tolist() == first.tolist()


def test_a_doubling_is_a_transposed_convolution():
    torch.manual_seed(0)
    plain = nn.ConvTranspose2d(6, 4, 2, stride=2)
    ours = Doubling(6, 4)
    ours.load_state_dict(plain.state_dict())
    pixels = torch.randn(2, 6, 8, 8)
    tokens = pixels.flatten(2).transpose(1, 2)
    torch.testing.assert_close(unnest(ours(tokens), 1), plain(pixels))


def test_a_projection_is_drawn_into_the_convolution_before_it():
    torch.manual_seed(0)
    level = Level(16, 8, 1)
    for parameter in level.parameters():
        nn.init.normal_(parameter)
    projection = nn.Conv2d(8, 3, 1)
    tokens = torch.randn(1, 64, 16)
    torch.testing.assert_close(
        level(tokens, projection), projection(level(tokens)), atol=1e-4, rtol=1e-4
    )


# ---- arithmetic ---------------------------------------------------------------------


def test_rotations_tell_how_far_places_are_apart():
    places = torch.tensor([[0.0, 0.0], [3.0, 1.0], [5.0, 6.0], [8.0, 7.0]])
    table = rotary_table(places, 16)
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 16)
    turned = [rotate(one.expand(1, 4, 1, 16), table)[0, :, 0] for one in (query, key)]
    products = turned[0] @ turned[1].T
    # The same step, (3, 1), from two places.
    torch.testing.assert_close(products[0, 1], products[2, 3])
    assert abs(products[0, 1] - products[0, 2]) > 1e-3
    torch.testing.assert_close(turned[0].norm(dim=-1), query.norm().expand(4))


def test_rotations_turn_neighbouring_channels():
    table = rotary_table(torch.tensor([[0.7, 0.0]]), 8)
    x = torch.tensor([2.0, 1.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]).view(1, 1, 1, 8)
    turned = rotate(x, table).flatten()
    cos, sin = np.cos(0.7), np.sin(0.7)
    want = torch.tensor([2 * cos - sin, 2 * sin + cos], dtype=torch.float32)
    torch.testing.assert_close(turned[:2], want)
    # The second half turns with y, which is 0.
    assert turned[4:].tolist() == [3, 4, 7, 8]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [3, 600])
def test_both_libraries_multiply_alike(tokens, dtype, monkeypatch):
    convolved = []
    conv2d = F.conv2d

    def remember(*arguments, **options):
        convolved.append(arguments)
        return conv2d(*arguments, **options)

    monkeypatch.setattr(linear_module.F, "conv2d", remember)
    torch.manual_seed(0)
    layer = Linear(24, 40).to(dtype)
    x = torch.randn(1, tokens, 24, dtype=dtype)
    want = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), want)
    # Many tokens, in the format in which it is slow otherwise.
    is_better = tokens == 600 and dtype == torch.float32
    assert bool(convolved) == (is_better and torch.backends.mkldnn.is_available())


def logits_of(*spans):
    """Return masks of 10 x 10 with logits that rise from -span to span."""
    return torch.stack(
        [torch.linspace(-span, span, 100).view(10, 10) for span in spans]
    )[None]


def test_a_stable_single_mask_is_taken():
    scores = torch.tensor([[0.1, 0.5, 0.9, 0.3]])
    stable, wavering = logits_of(100, 1, 2, 3), logits_of(0.2, 1, 2, 3)
    mask, score = stable_or_best(stable, scores)
    assert mask.shape == (1, 1, 10, 10)
    assert score.item() == pytest.approx(0.1)
    mask, score = stable_or_best(wavering, scores)
    assert score.item() == pytest.approx(0.9)
    torch.testing.assert_close(mask[:, 0], wavering[:, 2])


def test_each_object_has_a_choice_of_its_own():
    both = torch.cat((logits_of(100, 1, 2, 3), logits_of(0.2, 1, 2, 3)))
    scores = torch.tensor([[0.1, 0.5, 0.9, 0.3]]).repeat(2, 1)
    _, chosen = stable_or_best(both, scores)
    assert chosen[:, 0].tolist() == pytest.approx([0.1, 0.9])


def test_an_empty_single_mask_counts_as_stable():
    empty = torch.full((1, 4, 10, 10), -5.0)
    scores = torch.tensor([[0.1, 0.5, 0.9, 0.3]])
    assert stable_or_best(empty, scores)[1].item() == pytest.approx(0.1)


# ---- the network --------------------------------------------------------------------


def test_images_of_a_batch_do_not_touch_each_other(network, view):
    both = network.encode(view, lambda: None)
    for index in range(2):
        alone = network.encode(view[index : index + 1], lambda: None)
        for one, other in zip(alone, both, strict=True):
            torch.testing.assert_close(one[0], other[index], atol=1e-4, rtol=1e-4)


def test_objects_of_a_batch_do_not_touch_each_other(network, view):
    features = network.encode(view[:1], lambda: None)
    several = ViewPrompts(
        torch.cat([click(10, 20).points, click(90, 70).points]),
        torch.ones(2, 1, dtype=torch.int64),
    )
    together, _ = network.decode(features, several, multimask=True)
    for index, place in enumerate([(10, 20), (90, 70)]):
        alone, _ = network.decode(features, click(*place), multimask=True)
        torch.testing.assert_close(together[index], alone[0], atol=1e-4, rtol=1e-4)


def test_it_tells_each_block_and_stops_where_it_is_told(network, view):
    told = []

    def stop():
        told.append(1)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network.encode(view[:1], stop)
    assert len(told) == 2
    told.clear()
    network.encode(view[:1], lambda: told.append(1))
    assert len(told) == network.steps == SMALL.depth + 1


def test_an_earlier_mask_makes_a_difference(network, view):
    features = network.encode(view[:1], lambda: None)
    plain, _ = network.decode(features, click(), multimask=True)
    mask = torch.full((1, 1, 32, 32), -5.0)
    mask[..., 10:20, 10:20] = 5
    masked, _ = network.decode(features, click()._replace(masks=mask), multimask=True)
    assert (plain - masked).abs().max() > 0.1


def test_clicks_are_as_exact_in_half_precision(view):
    whole, half = make_network(), make_network()
    half.to(torch.bfloat16)
    half.prompt_encoder.float()
    for place in (30.0, 30.4):
        codes = [one.prompt_encoder.tokens(click(place)) for one in (whole, half)]
        assert codes[1].dtype == torch.float32
        torch.testing.assert_close(codes[0], codes[1], atol=2e-2, rtol=2e-2)
    features = half.encode(view[:1], lambda: None)
    logits, scores = half.decode(features, click(), multimask=True)
    assert logits.dtype == torch.bfloat16
    assert scores.dtype == torch.float32


# ---- behind the protocol ------------------------------------------------------------


def test_it_answers_through_the_tracker(tracker):
    (embedding,) = tracker.embed([IMAGE])
    prompts = [
        Prompt([[30, 40]], [True]),
        Prompt(box=(10, 20, 40, 60)),
        Prompt([[30, 40], [10, 10]], [True, False], box=(10, 20, 40, 60)),
    ]
    found = tracker.predict(embedding, prompts, multimask=True)
    assert [len(row) for row in found] == [3, 3, 3]
    assert all(mask.low_res.shape == (32, 32) for row in found for mask in row)
    assert all(0 <= mask.score <= 1 for row in found for mask in row)
    assert tracker.image_embedding(embedding).shape == (1, 64, 8, 8)


def test_the_order_of_clicks_makes_no_difference(tracker):
    (embedding,) = tracker.embed([IMAGE])
    places, labels = np.array([[30, 40], [10, 10], [50, 60]]), np.array([1, 0, 1])
    results = [
        tracker.predict(
            embedding, [Prompt(places[order], labels[order])], multimask=False
        )[0][0]
        for order in ([0, 1, 2], [2, 0, 1])
    ]
    np.testing.assert_allclose(results[0].low_res, results[1].low_res, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_loaded_in_the_dtype_that_is_wanted(network, dtype, tmp_path):
    path = tmp_path / "small.safetensors"
    save_file(network.state_dict(), path)
    layout = replace(LAYOUTS[0], rename=lambda name: name)
    with open_weights(path) as source:
        loaded = load(
            source,
            layout,
            model_id="small",
            device=torch.device("cpu"),
            dtype=dtype,
            network=on_meta(),
        )
    state = loaded.network.state_dict()
    for name, tensor in state.items():
        is_exact = name.startswith("prompt_encoder.")
        assert tensor.dtype == (torch.float32 if is_exact else dtype), name
    maps = Path("/proc/self/maps")
    if maps.is_file():
        # Half precision lets go of the file, all of it.
        assert (str(path) in maps.read_text()) == (dtype == torch.float32)
    (embedding,) = loaded.embed([IMAGE])
    assert loaded.predict(embedding, [Prompt([[30, 40]], [True])], multimask=True)
    assert loaded.fingerprint.endswith(str(dtype).removeprefix("torch."))
