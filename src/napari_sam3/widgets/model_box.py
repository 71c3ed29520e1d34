"""Which image, which model, and where it runs."""

from __future__ import annotations

import sys
from pathlib import Path

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam3.models.catalog import CATALOG
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.widgets.layer_combo import LayerCombo
from napari_sam3.widgets.parts import Combo, form, row
from napari_sam3.widgets.telling import told

__all__ = ["ModelBox", "ask_for_weights", "device_entries", "model_entries"]

_FILE = ""
_DEVICE_NAMES = {
    "auto": "auto",
    "cpu": "CPU",
    "cuda": "CUDA GPU",
    "mps": "Apple GPU",
}


class ModelBox(QWidget):  # type: ignore[misc]
    """Combo boxes for the image, the model and the device.

    Parameters
    ----------
    session : Session
        That is set.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.image = LayerCombo(
            session, "image", Image, "The image layer whose objects you click on"
        )
        self.model = Combo(
            "The network that finds the masks\n"
            + "\n".join(f"{spec.id}: {spec.summary}" for spec in CATALOG.values())
        )
        self.device = Combo(
            "Where the network runs; auto takes a graphics card if there is one"
        )
        self.model.activated.connect(self._choose_model)
        self.device.activated.connect(self._choose_device)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        model = row(self.model, self.device)
        model.setToolTip(self.model.toolTip())
        layout.addWidget(form(("Image", self.image), ("Model", model)))

    def refresh(self) -> None:
        """Show what the session has."""
        self.image.refresh()
        current = self._session.model
        self.model.put([*model_entries(current), ("weights file…", _FILE)], current)
        device = self._session.device
        self.device.put(device_entries(device), device)

    def _choose_model(self, index: int) -> None:
        model = self.model.itemData(index) or ask_for_weights(self)
        if model:
            with told():
                self._session.model = model
                save_setting("model", model)
        self.refresh()

    def _choose_device(self, index: int) -> None:
        device = self.device.itemData(index)
        with told():
            self._session.device = device
            save_setting("device", device)
        self.refresh()


def model_entries(current: str) -> list[tuple[str, str]]:
    """Return names and ids of the models there are, and of the one in use."""
    entries = [(name, name) for name in CATALOG]
    if current not in CATALOG:
        entries.append((Path(current).name, current))
    return entries


def device_entries(current: str) -> list[tuple[str, str]]:
    """Return names and ids of the devices that this system may have.

    Whether they are really there only torch knows, which is not loaded for it.
    """
    gpu = "mps" if sys.platform == "darwin" else "cuda"
    known = ["auto", "cpu", gpu]
    if current not in known:
        known.append(current)
    return [(_DEVICE_NAMES.get(device, device), device) for device in known]


def ask_for_weights(parent: QWidget) -> str:
    """Let the user pick a weights file; empty if there was none picked."""
    path, _ = QFileDialog.getOpenFileName(
        parent, "Weights of a model", "", "Weights (*.safetensors);;All files (*)"
    )
    return str(path)
