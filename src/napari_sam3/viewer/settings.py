"""What is remembered from one start of napari to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam3.core.errors import StateError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL
from napari_sam3.viewer.labels import Overlap
from napari_sam3.viewer.looks import CONTRASTS

__all__ = ["DEVICES", "Settings", "missing_model", "read_settings", "save_setting"]

DEVICES = ("auto", "cpu", "cuda", "mps")

_PLUGIN = "napari-sam3"
#: In which category of the manifest's ``configurations`` each one is.
_CATEGORIES = {
    "model": "model",
    "device": "model",
    "cache_mb": "model",
    "store_gb": "model",
    "fetches_ahead": "model",
    "contrast": "view",
    "use_hints": "view",
    "max_hole_area": "cleanup",
    "max_sprinkle_area": "cleanup",
    "keep_clicked": "cleanup",
    "overlap": "labels",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session begins with.

    Parameters
    ----------
    model : str
        Catalog id or path of a weights file.
    device : str
        One of `DEVICES`.
    cache_mb : int
        Megabytes (2**20 bytes) that embeddings may hold.
    store_gb : float
        Gigabytes (2**30 bytes) that embeddings may take on disk; 0 keeps none.
    fetches_ahead : bool
        Whether neighbouring planes are encoded while nothing else is to do.
    contrast : str
        One of `CONTRASTS`; see `Sight`.
    use_hints : bool
        Whether new objects are expected to be like those that were accepted.
    max_hole_area, max_sprinkle_area : float
        In pixels; see `Cleanup`.
    keep_clicked : bool
        See `Cleanup`.
    overlap : Overlap
        Who gets pixels that belong to other objects already.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    cache_mb: int = 2048
    store_gb: float = 10.0
    fetches_ahead: bool = True
    contrast: str = CONTRASTS[0]
    use_hints: bool = True
    max_hole_area: float = 256.0
    max_sprinkle_area: float = 0.0
    keep_clicked: bool = False
    overlap: Overlap = Overlap.KEEP


def read_settings() -> Settings:
    """Read them from napari; whatever is missing or no use is the default.

    Returns
    -------
    Settings
        Where napari does not know this plugin, the defaults.
    """
    stored = _stored()
    found = {}
    for name, category in _CATEGORIES.items():
        value = getattr(getattr(stored, category, None), name, None)
        if _CHECKS[name](value):
            found[name] = _kind(name)(value)
    return Settings(**found)


def missing_model() -> str:
    """Return the weights file that is remembered but gone; empty if there is none."""
    value = getattr(getattr(_stored(), "model", None), "model", None)
    return value if isinstance(value, str) and not _is_model(value) else ""


def save_setting(name: str, value: Any) -> None:
    """Have napari remember a setting.

    Parameters
    ----------
    name : str
        A field of `Settings`.
    value : object
        Its new value. Without this plugin in napari it is not remembered.

    Raises
    ------
    StateError
        If it is no value for that setting.
    """
    if not _CHECKS[name](value):
        raise StateError(f"{value!r} cannot be the setting {name!r}; give another.")
    stored = _stored()
    if stored is not None:
        plain = str(value) if name == "overlap" else _kind(name)(value)
        setattr(getattr(stored, _CATEGORIES[name]), name, plain)


def _stored() -> Any:
    """Return napari's settings of this plugin, None if it has none."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(_PLUGIN)
    except KeyError:
        return None


def _kind(name: str) -> Callable[[Any], Any]:
    return type(getattr(Settings(), name))


def _is_model(value: Any) -> bool:
    return value in CATALOG or (isinstance(value, str) and Path(value).is_file())


def _is_area(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "model": _is_model,
    "device": lambda value: value in DEVICES,
    "cache_mb": lambda value: _is_area(value) and value >= 1,
    "store_gb": _is_area,
    "fetches_ahead": lambda value: isinstance(value, bool),
    "contrast": lambda value: value in CONTRASTS,
    "use_hints": lambda value: isinstance(value, bool),
    "max_hole_area": _is_area,
    "max_sprinkle_area": _is_area,
    "keep_clicked": lambda value: isinstance(value, bool),
    "overlap": lambda value: value in list(Overlap),
}
