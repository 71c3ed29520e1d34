"""The models there are: data only, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_sam3.core.errors import ModelError

__all__ = ["CATALOG", "DEFAULT_MODEL", "ModelSpec", "find_model"]

DEFAULT_MODEL = "nano"

_NANO_FOLDER = Path(__file__).parent / "nano"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model.

    Parameters
    ----------
    id : str
        What `build_tracker` and ``--model`` take.
    family : str
        The architecture.
    source : str
        Where its weights come from.
    licence : str
        SPDX identifier of the weights' licence.
    path : Path
        The weights on this machine.
    summary : str
        One line for people.
    """

    id: str
    family: str
    source: str
    licence: str
    path: Path
    summary: str

    @property
    def is_here(self) -> bool:
        """Whether the weights are on this machine."""
        return self.path.is_file()

    @property
    def size(self) -> int | None:
        """Bytes of the weights file, None if it is not here."""
        return self.path.stat().st_size if self.is_here else None


CATALOG: dict[str, ModelSpec] = {
    "nano": ModelSpec(
        id="nano",
        family="nano",
        source="ships with napari-sam3",
        licence="BSD-3-Clause",
        path=_NANO_FOLDER / "nano.safetensors",
        summary="small network for microscopy, trained by this project; no download",
    ),
}


def find_model(model: str) -> ModelSpec:
    """Look up a model's id.

    Parameters
    ----------
    model : str
        Such as ``"nano"``.

    Returns
    -------
    ModelSpec
        Its entry in the catalog.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    spec = CATALOG.get(model)
    if spec is None:
        raise ModelError(
            f"There is no model {model!r}; choose one of {', '.join(CATALOG)}, "
            "or give the path of a weights file."
        )
    return spec
