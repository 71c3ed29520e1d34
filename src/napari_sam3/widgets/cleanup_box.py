"""Holes and sprinkles: what is done about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QCheckBox, QWidget

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.cleanup import UNITS, Cleanup
from napari_sam3.viewer.planes import shown_plane
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.widgets.parts import AreaBox, Combo, Section, column, form, row
from napari_sam3.widgets.telling import told

__all__ = ["CleanupBox"]

_PIXELS = UNITS[0]
#: Decimals of the numbers, and how much an arrow changes them.
_STEPS = {_PIXELS: (0, 16.0), UNITS[1]: (2, 1.0)}


class CleanupBox(Section):
    """Sets the session's `Cleanup`; the preview follows at once.

    Areas in pixels are remembered for the next start. Those in µm² are not, since
    the next image may have no such units.

    Parameters
    ----------
    session : Session
        That is set.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.holes = AreaBox("Fill holes of up to this area; 0 is off")
        self.sprinkles = AreaBox("Remove loose parts of up to this area; 0 is off")
        self.unit = Combo(
            "Pixels of the image; or µm², where its layer has units of length"
        )
        self.keep_clicked = QCheckBox("Keep clicked parts only")
        self.keep_clicked.setToolTip("Remove all parts of the mask without a click")
        self.holes.valueChanged.connect(self._choose)
        self.sprinkles.valueChanged.connect(self._choose)
        self.keep_clicked.toggled.connect(self._choose)
        self.unit.activated.connect(self._choose_unit)
        content: QWidget = QWidget()
        content.setLayout(
            column(
                form(
                    ("Holes", self.holes),
                    ("Sprinkles", self.sprinkles),
                    ("Unit", self.unit),
                ),
                row(self.keep_clicked),
            )
        )
        super().__init__("Clean-up", "Fill holes, remove sprinkles", content)

    def refresh(self) -> None:
        """Show what the session has."""
        cleanup = self._session.cleanup
        can_measure = cleanup.unit != _PIXELS or self._pixel_area() is not None
        units = UNITS if can_measure else (_PIXELS,)
        self.unit.put([(unit, unit) for unit in units], cleanup.unit)
        decimals, step = _STEPS[cleanup.unit]
        for box, area in (
            (self.holes, cleanup.max_hole_area),
            (self.sprinkles, cleanup.max_sprinkle_area),
        ):
            box.blockSignals(True)
            box.setDecimals(decimals)
            box.setSingleStep(step)
            box.setSuffix(f" {cleanup.unit}")
            if not box.hasFocus() or box.value() != area:
                box.setValue(area)
            box.blockSignals(False)
        self.keep_clicked.blockSignals(True)
        self.keep_clicked.setChecked(cleanup.keep_clicked)
        self.keep_clicked.blockSignals(False)

    def _choose(self, value: Any = None) -> None:
        cleanup = Cleanup(
            max_hole_area=self.holes.value(),
            max_sprinkle_area=self.sprinkles.value(),
            keep_clicked=self.keep_clicked.isChecked(),
            unit=self._session.cleanup.unit,
        )
        self._set(cleanup)

    def _choose_unit(self, index: int) -> None:
        unit, cleanup = self.unit.itemData(index), self._session.cleanup
        area = self._pixel_area()
        if unit == cleanup.unit or area is None:
            self._set(replace(cleanup, unit=unit))
            return
        # The same areas as before, so that the mask stays what it is.
        factor = 1 / area if unit == _PIXELS else area
        decimals, _ = _STEPS[unit]
        self._set(
            replace(
                cleanup,
                max_hole_area=round(cleanup.max_hole_area * factor, decimals),
                max_sprinkle_area=round(cleanup.max_sprinkle_area * factor, decimals),
                unit=unit,
            )
        )

    def _set(self, cleanup: Cleanup) -> None:
        with told():
            self._session.cleanup = cleanup
            save_setting("keep_clicked", cleanup.keep_clicked)
            if cleanup.unit == _PIXELS:
                save_setting("max_hole_area", cleanup.max_hole_area)
                save_setting("max_sprinkle_area", cleanup.max_sprinkle_area)
        self.refresh()

    def _pixel_area(self) -> float | None:
        """Return µm² per pixel of the shown plane, None if it has no such size."""
        image = self._session.image
        if image is None:
            return None
        try:
            plane = shown_plane(self._session.viewer, image)
            pixels = Cleanup(max_hole_area=1.0, unit=UNITS[1]).finish(image, plane)
        except LayerError:
            return None
        return 1 / pixels.max_hole_area
