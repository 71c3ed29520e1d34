"""Which models have to be got before they can be loaded, and how far that is."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_sam3.core.tracker import Report
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.device import resolve_device
from napari_sam3.models.loading import load_torch_libraries
from napari_sam3.models.spec import ModelSpec
from napari_sam3.viewer.choice import ModelChoice
from napari_sam3.viewer.inference import News

__all__ = ["get_model", "spec_on_hub", "telling_bytes"]

#: Seconds between two pieces of news: a download comes in many small parts.
_INTERVAL = 0.05
#: Progress bars count in 32 bits, which three gigabytes do not fit into.
_LARGEST = 2**30


def spec_on_hub(model: str) -> ModelSpec | None:
    """Return a model's entry in the catalog if its weights do not ship with this.

    Such weights are downloaded, or hashed if they were not looked at before; both
    takes its time.

    Parameters
    ----------
    model : str
        Catalog id or weights file.
    """
    spec = CATALOG.get(model)
    return spec if spec is not None and spec.repo is not None else None


def get_model(
    get_weights: Callable[..., object],
    choice: ModelChoice,
    may_download: bool,
    tell: Callable[[News], None],
) -> None:
    """Have a model's weights on this machine, whole; see `Engine.fetch`.

    Parameters
    ----------
    get_weights : callable
        As `fetch_weights`.
    choice : ModelChoice
        The model.
    may_download : bool
        Whether that was asked for.
    tell : callable
        Takes `News`; what it raises ends it.
    """
    spec = spec_on_hub(choice.model)
    if spec is None:
        return
    tell(News(f"getting {choice.name}…"))
    if may_download and choice.device not in ("auto", "cpu"):
        # Before gigabytes are downloaded for it.
        load_torch_libraries()
        resolve_device(choice.device)
    report = telling_bytes(choice.name, tell)
    get_weights(spec, report=report, may_download=may_download)


def telling_bytes(name: str, tell: Callable[[News], None]) -> Report:
    """Return what tells of a model's weights that come, or are checked.

    Parameters
    ----------
    name : str
        Of the model.
    tell : callable
        Takes `News`; what it raises ends the download.

    Returns
    -------
    callable
        Takes the bytes that are done and those that there are.
    """
    told = float("-inf")

    def report(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done == total or now - told >= _INTERVAL:
            told = now
            unit = 1 + total // _LARGEST
            tell(News(_in_words(name, done, total), done // unit, total // unit))

    return report


def _in_words(name: str, done: int, total: int) -> str:
    if total < 1e9:
        return f"getting {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return f"getting {name}: {done / 1e9:.2f} of {total / 1e9:.2f} GB"
