"""Which image, which model, and where it runs."""

from __future__ import annotations

import sys
from pathlib import Path

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.spec import WEIGHTS_SUFFIXES
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.viewer.switching import ModelProblem
from napari_sam3.widgets.layer_combo import LayerCombo
from napari_sam3.widgets.model_menu import ModelMenu
from napari_sam3.widgets.model_question import is_to_download, may_be_used
from napari_sam3.widgets.model_trouble import ModelTrouble
from napari_sam3.widgets.parts import Combo, form, row
from napari_sam3.widgets.telling import told

__all__ = ["ModelBox", "ask_for_weights", "device_entries", "model_entries"]

_DEVICE_NAMES = {
    "auto": "auto",
    "cpu": "CPU",
    "cuda": "CUDA GPU",
    "mps": "Apple GPU",
}


class ModelBox(QWidget):  # type: ignore[misc]
    """Combo boxes for the image, the model and the device.

    What is chosen here is remembered for the next start once it was loaded.

    Parameters
    ----------
    session : Session
        That is set.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._unsaved: dict[str, str] = {}
        self._known = (session.machine, session.is_switching)
        self.image = LayerCombo(
            session, "image", Image, "The image layer whose objects you click on"
        )
        self.model = ModelMenu()
        self.device = Combo(
            "Where the network runs; auto takes a graphics card if there is one"
        )
        self.trouble = ModelTrouble(self._try_again)
        self._offers = session.models
        self.model.opened.connect(self._on_opened)
        self.model.activated.connect(self._choose_model)
        self.device.activated.connect(self._choose_device)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for combo, share in ((self.model, 8), (self.device, 5)):
            policy = combo.sizePolicy()
            policy.setHorizontalStretch(share)  # "sam2.1-base-plus" is long
            combo.setSizePolicy(policy)
        model = row(self.model, self.device)
        model.setToolTip("The network that finds the masks, and where it runs")
        layout.addWidget(form(("Image", self.image), ("Model", model)))
        layout.addWidget(self.trouble)

    def refresh(self) -> None:
        """Show what the session has."""
        self.image.refresh()
        session = self._session
        known = (session.machine, session.is_switching)
        if known != self._known:
            self._known, self._offers = known, session.models
        self._save()
        self.model.show_offers(self._offers, session.model)
        self.device.put(device_entries(session.device), session.device)
        self.trouble.refresh(session.model_problem, Path(session.model).name)

    def _on_opened(self) -> None:
        """Look again what is here, and find out how fast this machine is."""
        with told():
            self._session.measure_speed()
        self._offers = self._session.models
        self.refresh()

    def _choose_model(self, index: int) -> None:
        model = self.model.itemData(index) or ask_for_weights(self)
        if model:
            self._use(model)
        self.refresh()

    def _use(self, model: str) -> None:
        session = self._session
        problem = session.model_problem
        has_failed = problem is not None and problem.model == model
        speed = next((one.speed for one in self._offers if one.model == model), "")
        if model == session.model:
            self._take(may_download=False, model=model)
        else:
            self._ask_and_take(speed, has_failed, model=model)

    def _try_again(self, problem: ModelProblem) -> None:
        self._ask_and_take("", True, model=problem.model, device=problem.device)
        self.refresh()

    def _choose_device(self, index: int) -> None:
        self._take(may_download=False, device=self.device.itemData(index))
        self.refresh()

    def _ask_and_take(self, speed: str, has_failed: bool, **chosen: str) -> None:
        model = chosen["model"]
        is_asked = is_to_download(model, has_failed=has_failed)
        if may_be_used(model, self, speed, has_failed=has_failed):
            self._take(may_download=is_asked, **chosen)

    def _take(self, *, may_download: bool, **chosen: str) -> None:
        with told():
            self._session.choose_model(**chosen, may_download=may_download)
            self._unsaved |= chosen

    def _save(self) -> None:
        """Remember what was chosen here and is in use by now."""
        if self._session.is_switching:
            return
        unsaved, self._unsaved = self._unsaved, {}
        for name, value in unsaved.items():
            # What was cancelled or could not be loaded is the earlier one again.
            if getattr(self._session, name) == value:
                with told():
                    save_setting(name, value)


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
    patterns = [f"*{suffix}" for suffix in (*WEIGHTS_SUFFIXES, ".index.json")]
    path, _ = QFileDialog.getOpenFileName(
        parent,
        "Weights of a model",
        "",
        f"Weights ({' '.join(patterns)});;All files (*)",
    )
    return str(path)
