"""The demo's result in a napari window; the only module here that knows napari."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.cli.demo import DEMO_IMAGE, DEMO_PROMPTS
from napari_sam3.cli.drafts import to_prompts
from napari_sam3.cli.images import read_rgb
from napari_sam3.cli.overlay import colour_of
from napari_sam3.cli.prompt_files import read_prompts

__all__ = ["add_layers", "why_no_window"]

_QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def why_no_window(
    environment: Mapping[str, str] | None = None, platform: str = sys.platform
) -> str | None:
    """Tell what stands in the way of a window.

    Parameters
    ----------
    environment : mapping of str to str, optional
        By default the process's.
    platform : str
        As ``sys.platform``.

    Returns
    -------
    str or None
        What is missing and how to get it; None if nothing seems to be.

    Examples
    --------
    >>> why_no_window({"CI": "true"})
    'this is an automated run (CI is set).'
    """
    environment = os.environ if environment is None else environment
    if environment.get("CI"):
        return "this is an automated run (CI is set)."
    shows = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if platform not in ("darwin", "win32") and not shows:
        return "there is no display; run the demo on a desktop to see it."
    if not any(map(find_spec, _QT_BINDINGS)):
        return 'it has no Qt to draw with; get one with: pip install "napari-sam3[all]"'
    return None


def add_layers(viewer: Any, labels: Path) -> None:
    """Add the demo's image, prompts and labels to a viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Gets the layers.
    labels : Path
        The label image that the demo wrote.
    """
    import tifffile

    prompts = to_prompts(read_prompts(DEMO_PROMPTS)).values()
    colours: dict[int | None, Any] = {None: "transparent"}
    for number in range(1, len(prompts) + 1):
        colours[number] = np.divide(colour_of(number), 255)  # as in overlay.png
    viewer.add_image(read_rgb(DEMO_IMAGE), rgb=True, name="image")
    outlines = viewer.add_labels(
        tifffile.imread(labels),
        name="labels",
        colormap=colours,
        opacity=1,
    )
    outlines.contour = 2  # pixels; 0 would fill the objects
    boxes = {n: p.box for n, p in enumerate(prompts, 1) if p.box is not None}
    viewer.add_shapes(
        # napari's whole numbers are pixel centres, ours of boxes are edges.
        [np.reshape(box, (2, 2)) - 0.5 for box in boxes.values()],
        shape_type="rectangle",
        name="boxes",
        face_color="transparent",
        edge_color=[colours[number] for number in boxes],
        edge_width=1.5,
    )
    points = np.concatenate([prompt.points for prompt in prompts])
    is_object = np.concatenate([prompt.labels for prompt in prompts])
    viewer.add_points(
        points,
        name="clicks",
        face_color=np.where(is_object, "limegreen", "red").tolist(),
        border_color="white",
        border_width=0.15,
        symbol=np.where(is_object, "disc", "x").tolist(),
        size=9,
    )


def _show(labels: Path) -> None:
    import napari

    add_layers(napari.Viewer(title="napari-sam3 demo"), labels)
    napari.run()


if __name__ == "__main__":
    _show(Path(sys.argv[1]))
