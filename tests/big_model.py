"""A model of the catalog that is not here, for tests of choosing one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam3.models.catalog import CATALOG, Cost, ModelSpec, WeightsFile
from napari_sam3.models.machine import Machine

SIZE = 3_439_938_512
BIG = ModelSpec(
    id="big",
    family="sam3",
    source="huggingface.co/lab/big",
    licence="SAM License",
    summary="a model for tests",
    licence_url="https://example.org/licence",
    page_url="https://huggingface.co/lab/big",
    repo="lab/big",
    files=(WeightsFile("big.safetensors", SIZE),),
    gated=True,
    extra="families",
    parameters=1_000_000,
    cost=Cost(encode=1e12, click=1e10, encode_share=0.5, click_share=0.5),
)
#: On which `BIG` takes 20 s an image and 0.2 s a click.
MACHINE = Machine("cpu", "2 threads", "float32", "2", {"float32": 1e11}, 2**34, 2**33)


@contextmanager
def catalog_of_two() -> Iterator[None]:
    """Have nothing but nano and `BIG` in the catalog."""
    before = dict(CATALOG)
    CATALOG.clear()
    CATALOG.update({"nano": before["nano"], "big": BIG})
    yield
    CATALOG.clear()
    CATALOG.update(before)


def put_weights(cache: Path) -> None:
    """Put a file where Hugging Face's cache would have `BIG`'s weights."""
    path = cache / "models--lab--big" / "snapshots" / "main" / "big.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
