"""Stand in for the person at the demo's window: look at it, and close it.

Python imports this module at its start where ``PYTHONPATH`` says so. It waits until
the window shows the same picture twice, writes it and what napari knows about it to
the path in ``HANDS_WRITE``, and closes the window.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

DEADLINE = 90
INTERVAL = 100  # milliseconds


def work_the_window() -> None:
    """Have napari's event loop begin with somebody watching."""
    import napari
    import numpy as np

    start, run = time.monotonic(), napari.run
    timer = last = None

    def look() -> None:
        nonlocal last
        viewer = napari.current_viewer()
        picture = viewer.screenshot(flash=False)
        is_at_rest = np.array_equal(picture, last)
        last = picture
        if is_at_rest and is_shown(viewer.title):
            timer.stop()
            write(viewer, picture)
            viewer.close()
        elif time.monotonic() - start > DEADLINE:
            sys.stderr.write("TimeoutError: the window did not come to rest\n")
            os._exit(1)

    def run_watched() -> None:
        from qtpy.QtCore import QTimer

        nonlocal timer
        timer = QTimer()
        timer.timeout.connect(look)
        timer.start(INTERVAL)
        run()

    napari.run = run_watched


def is_shown(title: str) -> bool:
    from qtpy.QtGui import QGuiApplication

    return any(
        window.isExposed() and title in window.title()
        for window in QGuiApplication.topLevelWindows()
    )


def write(viewer, picture) -> None:
    from napari.utils.notifications import notification_manager
    from PIL import Image

    path = Path(os.environ["HANDS_WRITE"])
    Image.fromarray(picture[..., :3]).save(path.with_suffix(".png"))
    facts = {
        "title": viewer.title,
        "layers": [layer.name for layer in viewer.layers],
        "hidden": [layer.name for layer in viewer.layers if not layer.visible],
        "centre": list(viewer.scene.camera.center)[-2:],
        "zoom": viewer.scene.camera.zoom,
        "messages": [str(note) for note in notification_manager.records],
    }
    path.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")


# Only the process that opens the window, not the command line that starts it.
if "napari_sam3.cli.window" in sys.orig_argv:
    work_the_window()
