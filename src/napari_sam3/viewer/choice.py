"""Which model is wanted."""

from __future__ import annotations

import os
from dataclasses import dataclass

from napari_sam3.models.catalog import DEFAULT_MODEL

__all__ = ["ModelChoice"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model is wanted, and where it shall run.

    Parameters
    ----------
    model : str
        Catalog id or path of a weights file.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"

    @property
    def name(self) -> str:
        """What people call it: the id, or the file's name."""
        return os.path.basename(self.model)  # noqa: PTH119 - ids are no paths
