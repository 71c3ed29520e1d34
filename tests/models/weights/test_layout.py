"""A publisher's names for a network's tensors, and filling a network by them."""

from __future__ import annotations

import re
import weakref
from itertools import permutations
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_sam3.core.errors import CheckpointError, MemoryFullError
from napari_sam3.models.weights.layout import (
    Layout,
    Piece,
    compare,
    fill,
    recognise,
)
from napari_sam3.models.weights.source import TensorSource

EXPECTED = {"qkv.weight": (6, 4), "qkv.bias": (6,), "codes": (5, 3)}
THIRDS = ("query", "key", "value")


def rename(name: str) -> str | Piece | None:
    if name.startswith("text."):
        return None
    if name == "table":
        return Piece("codes", skip=2)
    part, _, kind = name.partition(".")
    if part in THIRDS:
        return Piece(f"qkv.{kind}", THIRDS.index(part), 3)
    return name.removeprefix("net.")


LAYOUT = Layout("Net, as published", "net", "small", "query.weight", rename)

#: What a whole file has.
SHAPES = {
    **{f"{part}.weight": (2, 4) for part in THIRDS},
    **{f"{part}.bias": (2,) for part in THIRDS},
    "table": (5, 5),
    "text.embedding": (100, 3),
    "text.bias": (100,),
}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 6)
        self.codes = nn.Parameter(torch.empty(5, 3))


def meta_network() -> Net:
    with torch.device("meta"):
        return Net()


def source_of(tensors: dict[str, Tensor]) -> TensorSource:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return TensorSource(Path("w.pt"), "pickle", shapes, tensors.__getitem__)


def whole_file() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()
    }


def test_a_layout_is_recognised_by_its_marker() -> None:
    other = Layout("Other", "net", "other", "net.other", lambda name: name)

    assert recognise(SHAPES, [other, LAYOUT]) is LAYOUT
    assert recognise({"net.other": (1,)}, [other, LAYOUT]) is other
    assert recognise({"something": (1,)}, [other, LAYOUT]) is None
    assert recognise({}, [other, LAYOUT]) is None


def test_sizes_of_a_family_are_told_apart_by_shapes() -> None:
    large, small = (
        Layout(
            size,
            "net",
            size,
            "query.weight",
            rename,
            {"table": (rows, 5), "query.bias": (2,)},
        )
        for size, rows in (("large", 9), ("small", 5))
    )

    assert recognise(SHAPES, [large, small]) is small
    assert recognise(SHAPES | {"table": (9, 5)}, [large, small]) is large
    assert recognise(SHAPES | {"table": (7, 5)}, [large, small]) is None
    lacking = {name: shape for name, shape in SHAPES.items() if name != "query.bias"}
    assert recognise(lacking, [large, small]) is None


def test_a_whole_file_is_found_whole() -> None:
    found = compare(SHAPES, LAYOUT, EXPECTED)

    assert found.is_whole
    assert found.describe() == []
    assert found.unused == 2
    assert found.pieces.keys() == EXPECTED.keys()
    assert [name for _, name in found.pieces["qkv.bias"]] == [
        "query.bias",
        "key.bias",
        "value.bias",
    ]


def test_missing_tensors_are_named_by_the_networks_names() -> None:
    shapes = {name: SHAPES[name] for name in SHAPES if not name.endswith("bias")}

    found = compare(shapes, LAYOUT, EXPECTED)

    assert found.missing == ("qkv.bias",)
    assert not found.is_whole
    assert found.describe() == ["1 missing: qkv.bias"]


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ({"key.weight"}, ("qkv.weight[2/3]",)),
        ({"query.weight"}, ("qkv.weight[1/3]",)),
        ({"query.weight", "value.weight"}, ("qkv.weight[1/3]", "qkv.weight[3/3]")),
    ],
)
def test_missing_thirds_are_named(lost: set[str], named: tuple[str, ...]) -> None:
    shapes = {name: SHAPES[name] for name in SHAPES if name not in lost}

    assert compare(shapes, LAYOUT, EXPECTED).missing == named


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("key.weight", (6, 4), (2, 4)),
        ("table", (5, 3), (5, 5)),
        ("value.bias", (), (2,)),
        ("query.weight", (4, 2), (2, 4)),
    ],
)
def test_tensors_of_another_shape_are_named_with_both(
    name: str, shape: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    found = compare(SHAPES | {name: shape}, LAYOUT, EXPECTED)

    assert found.misshapen == (f"{name} {shape} instead of {wanted}",)
    assert found.missing == ()
    assert not found.is_whole


def test_unknown_tensors_of_a_used_part_are_an_error_and_unused_ones_are_none() -> None:
    found = compare(SHAPES | {"net.extra": (1,), "text.more": (2,)}, LAYOUT, EXPECTED)

    assert found.unknown == ("net.extra",)
    assert found.unused == 3
    assert not found.is_whole


def test_a_tensor_that_is_there_twice_is_an_error() -> None:
    found = compare(SHAPES | {"codes": (5, 3)}, LAYOUT, EXPECTED)

    assert found.repeated == ("codes",)
    assert not found.is_whole
    assert found.describe() == ["1 there twice: codes"]


def test_long_lists_are_cut_short_unless_all_is_asked_for() -> None:
    shapes = SHAPES | {f"net.extra{i}": (1,) for i in range(7)}
    found = compare(shapes, LAYOUT, EXPECTED | {"more": (1,)})

    assert found.describe() == [
        "1 missing: more",
        f"7 unknown: {', '.join(f'net.extra{i}' for i in range(5))}, … 2 more",
    ]
    assert found.describe(listed=None)[1].endswith("net.extra5, net.extra6")


def test_tensors_without_axes_are_compared() -> None:
    layout = Layout("Scalar", "net", "s", "scale", lambda name: name)

    assert compare({"scale": ()}, layout, {"scale": ()}).is_whole
    assert not compare({"scale": (1,)}, layout, {"scale": ()}).is_whole


@pytest.mark.parametrize("order", list(permutations(THIRDS))[::2])
def test_thirds_are_joined_in_their_order_and_columns_are_skipped(
    order: tuple[str, ...],
) -> None:
    file = whole_file()
    parts = {f"{part}.{kind}" for part in order for kind in ("weight", "bias")}
    sorted_file = {
        f"{part}.{kind}": file[f"{part}.{kind}"]
        for part in order
        for kind in ("weight", "bias")
    } | {name: file[name] for name in file if name not in parts}
    network = meta_network()

    fill(network, source_of(sorted_file), LAYOUT)

    for kind in ("weight", "bias"):
        wanted = torch.cat([file[f"{part}.{kind}"] for part in THIRDS])
        assert torch.equal(getattr(network.qkv, kind), wanted)
    assert torch.equal(network.codes, file["table"][:, 2:])
    assert network.codes.is_contiguous()


def test_what_is_whole_in_the_file_is_not_copied() -> None:
    tensors = {"net.weight": torch.ones(6, 4), "net.bias": torch.ones(6)}
    layout = Layout("Linear", "net", "l", "net.bias", rename)
    with torch.device("meta"):
        network = nn.Linear(4, 6)

    fill(network, source_of(tensors), layout)

    assert network.weight.data_ptr() == tensors["net.weight"].data_ptr()


def test_every_tensor_is_converted() -> None:
    network, names = meta_network(), []

    def convert(name: str, tensor: Tensor) -> Tensor:
        names.append(name)
        return tensor.to(torch.bfloat16) if name == "codes" else tensor * 2

    file = whole_file()
    fill(network, source_of(file), LAYOUT, convert)

    assert sorted(names) == sorted(EXPECTED)
    assert network.codes.dtype == torch.bfloat16
    assert torch.equal(network.qkv.bias[:2], 2 * file["query.bias"])
    assert isinstance(network.codes, nn.Parameter)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key.bias": None}, r"1 missing: qkv\.bias\[2/3\]"),
        ({"table": torch.ones(5, 3)}, r"1 of another shape: table \(5, 3\) instead"),
        ({"net.more": torch.ones(1)}, r"1 unknown: net\.more"),
        ({"codes": torch.ones(5, 3)}, "1 there twice: codes"),
        ({"table": torch.ones(5, 5, dtype=torch.int8)}, "table in w.pt holds whole"),
    ],
)
def test_all_is_filled_or_nothing(change: dict[str, Tensor | None], said: str) -> None:
    network = Net()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pointers = [tensor.data_ptr() for tensor in network.state_dict().values()]
    file = whole_file() | change
    source = source_of({n: tensor for n, tensor in file.items() if tensor is not None})

    with pytest.raises(CheckpointError, match=said) as caught:
        fill(network, source, LAYOUT)

    assert re.search("w.pt.*get (the file again|weights in)", str(caught.value), re.I)
    after = network.state_dict()
    assert [tensor.data_ptr() for tensor in after.values()] == pointers
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_what_convert_raises_comes_out_and_nothing_is_filled() -> None:
    network = meta_network()

    def convert(name: str, tensor: Tensor) -> Tensor:
        if name == "codes":
            raise RuntimeError("no such device")
        return tensor

    with pytest.raises(RuntimeError, match="no such device"):
        fill(network, source_of(whole_file()), LAYOUT, convert)
    assert all(tensor.is_meta for tensor in network.state_dict().values())


def test_a_full_device_is_told_with_a_remedy_and_nothing_is_filled() -> None:
    network, made = meta_network(), []

    def convert(name: str, tensor: Tensor) -> Tensor:
        if len(made) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        copy = tensor.clone()
        made.append(weakref.ref(copy))
        return copy

    with pytest.raises(MemoryFullError, match="choose a smaller model") as caught:
        fill(network, source_of(whole_file()), LAYOUT, convert)
    # The error is still there, and does not keep what filled the memory.
    assert caught.value.__context__ is None
    assert [copy() for copy in made] == [None, None]
    assert all(tensor.is_meta for tensor in network.state_dict().values())


def test_counters_may_be_whole_numbers() -> None:
    with torch.device("meta"):
        network = nn.BatchNorm1d(2)
    file = nn.BatchNorm1d(2).state_dict()
    layout = Layout("Norm", "net", "n", "weight", lambda name: name)

    fill(network, source_of(file), layout)

    assert network.num_batches_tracked.dtype == torch.int64
