"""What the user wants done about holes and sprinkles, in pixels or µm²."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pint

from napari_sam3.core.errors import LayerError, PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.viewer.geometry import data_to_world, unit_factors

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam3.core.journal import Plane

__all__ = ["UNITS", "Cleanup", "pixel_area_um2"]

UNITS = ("px", "µm²")


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Clean-up as the user sets it.

    Parameters
    ----------
    max_hole_area : float
        Holes of up to this area are filled; 0 turns it off.
    max_sprinkle_area : float
        Loose parts of up to this area are removed; 0 turns it off.
    keep_clicked : bool
        Keep only the parts that were clicked.
    unit : {"px", "µm²"}
        Of the areas: pixels of the image, or square micrometres where its layer
        has units of length.

    Raises
    ------
    PromptError
        If a number or the unit is not usable.
    """

    max_hole_area: float = 256.0
    max_sprinkle_area: float = 0.0
    keep_clicked: bool = False
    unit: str = "px"

    def __post_init__(self) -> None:
        """Refuse what is no area and no unit."""
        if self.unit not in UNITS:
            raise PromptError(f"The unit is {self.unit!r}; give 'px' or 'µm²'.")
        self._finish(1.0)  # checks the areas

    def finish(self, image: Image, plane: Plane) -> Finish:
        """Return the clean-up in pixels of a plane.

        Raises
        ------
        LayerError
            If the unit is µm² and the layer's is no length.
        """
        area = 1.0 if self.unit == "px" else pixel_area_um2(image, plane)
        return self._finish(area)

    def _finish(self, pixel_area: float) -> Finish:
        return Finish(
            max_hole_area=self.max_hole_area / pixel_area,
            max_sprinkle_area=self.max_sprinkle_area / pixel_area,
            keep_clicked=self.keep_clicked,
        )


def pixel_area_um2(image: Image, plane: Plane) -> float:
    """Return what one pixel of a plane covers.

    Parameters
    ----------
    image : napari.layers.Image
        With units of length on the plane's axes.
    plane : Plane
        Of the image.

    Returns
    -------
    float
        In square micrometres.

    Raises
    ------
    LayerError
        If the layer's units are no lengths.
    """
    metre = pint.get_application_registry().micrometer
    units = [image.units[axis] for axis in plane.axes]
    if any(unit.dimensionality != metre.dimensionality for unit in units):
        raise LayerError(
            f"{image.name!r} has no units of length, so areas in µm² say nothing; give "
            "areas in pixels, or set the layer's units and scale."
        )
    matrix = data_to_world(image).matrix[:, list(plane.axes)]
    matrix = matrix * unit_factors(image.units, [metre] * image.ndim)[:, None]
    return float(np.sqrt(np.linalg.det(matrix.T @ matrix)))
