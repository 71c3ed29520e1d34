"""The model of the last time, and what to do if it is not there any more."""

from __future__ import annotations

from typing import NamedTuple

from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL
from napari_sam3.viewer.engine import ModelChoice
from napari_sam3.viewer.settings import Settings, missing_model

__all__ = ["Beginning", "beginning"]

#: Devices on which the usual model can always be loaded.
_SAFE_DEVICES = ("auto", "cpu")


class Beginning(NamedTuple):
    """With which model a session begins.

    Parameters
    ----------
    choice : ModelChoice
        The model.
    fallback : ModelChoice or None
        Who answers if it cannot be loaded.
    warning : str
        What is to be said about it; empty if nothing.
    """

    choice: ModelChoice
    fallback: ModelChoice | None = None
    warning: str = ""


def beginning(settings: Settings, model: str | None, device: str | None) -> Beginning:
    """Return with which model a session begins.

    Parameters
    ----------
    settings : Settings
        As they were read.
    model, device : str, optional
        What the caller wants instead, without a fallback.

    Returns
    -------
    Beginning
        Nothing is downloaded because a setting says so: a model whose weights are
        gone is replaced by the usual one, with a warning.
    """
    wanted = device or settings.device
    if model is not None:
        return Beginning(ModelChoice(model, wanted))
    usual = ModelChoice(DEFAULT_MODEL, device or "auto")
    spec = CATALOG.get(settings.model)
    if spec is not None and spec.repo is not None and not spec.is_here:
        return Beginning(
            ModelChoice(DEFAULT_MODEL, wanted),
            usual,
            f"The weights of {spec.id}, the model of the last time, are not on this "
            f"machine any more, so {DEFAULT_MODEL} is used; choose {spec.id} in the "
            "panel's model menu to download them again.",
        )
    choice = ModelChoice(settings.model, wanted)
    is_safe = settings.model == DEFAULT_MODEL and wanted in _SAFE_DEVICES
    warning = ""
    if lost := missing_model():
        warning = (
            f"The weights file of the last time, {lost}, is not there any more, so "
            f"{DEFAULT_MODEL} is used; put it back, or choose a model in the panel."
        )
    return Beginning(choice, None if is_safe else usual, warning)
