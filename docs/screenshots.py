"""Take the pictures of the window that README and documentation show.

Run at a screen, or where there is none as
``xvfb-run -a -s "-screen 0 1366x768x24" python docs/screenshots.py``.
It opens napari with settings of its own, clicks through the tutorial as a user would,
and writes ``docs/images/*.png``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from napari_sam3 import Session
    from napari_sam3.widgets.panel import Panel

__all__ = ["FIRST", "NAMES", "NEIGHBOUR", "OTHERS", "PALE_PART", "main"]

_ROOT = Path(__file__).resolve().parent.parent
#: A small laptop's screen: what is cut off there would be cut off for many.
_WINDOW = (1366, 768)
_SECONDS = 60.0
_SETTLING = 0.5
_MENU_BAR, _MENU_CROP = 20, (880, 360)
#: What the panel needs more when everything is unfolded; else it scrolls.
_UNFOLDED = 190

#: The tutorial's clicks, as (row, col) of the sample "Nuclei".
FIRST, NEIGHBOUR = (160, 340), (120, 334)
OTHERS = (
    (45, 331),
    (64, 284),
    (260, 366),
    (345, 345),
    (365, 270),
    (216, 290),
    (250, 258),
    (220, 164),
    (145, 200),
)
PALE_PART = (160, 226)
LAST, BESIDE_LAST = (100, 60), (118, 88)

#: The pictures.
NAMES = (
    "window.png",
    "panel.png",
    "step-menu.png",
    "step-open.png",
    "step-click.png",
    "step-correct.png",
    "step-accept.png",
    "step-many.png",
    "step-refine.png",
    "step-result.png",
)


class Photographer:
    """A real window with the sample and the panel, and a camera before it.

    Parameters
    ----------
    folder : Path
        Where the pictures go.
    """

    def __init__(self, folder: Path) -> None:
        import napari

        from benchmarks.hands import Hands

        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.set_geometry(0, 0, *_WINDOW)
        self.hands = Hands(self.viewer)
        self.save_menu("step-menu.png", "Open Sample", "napari-sam3")
        self.viewer.open_sample("napari-sam3", "nuclei")
        self.image = self.viewer.layers["nuclei"]
        self.panel: Panel = self.viewer.window.add_plugin_dock_widget(
            "napari-sam3", "Segment with SAM 3"
        )[1]
        self.session: Session = self.panel.session
        self.settle()
        self.viewer.reset_view()
        self.settle()

    def settle(self) -> None:
        """Wait for the answers, then until everything is drawn."""
        self.hands.wait_until(lambda: not self.session.busy, _SECONDS)
        self.pause()

    def pause(self) -> None:
        """Wait until everything is drawn."""
        until = time.monotonic() + _SETTLING
        self.hands.wait_until(lambda: time.monotonic() > until, _SECONDS)

    def click(self, *positions: Sequence[float]) -> None:
        """Click at positions of the image, with the tool that is taken up."""
        for position in positions:
            self.hands.click(self.image, position)
        # The mouse goes aside: what it points at looks different.
        self.hands.hover(self.image, (-8, -8))
        self.settle()

    def press(self, key: str) -> None:
        """Press one of the panel's keys."""
        self.hands.press(key)
        self.settle()

    def point_at(self, position: Sequence[float]) -> None:
        """Move the mouse to a position of the image."""
        self.hands.hover(self.image, position)
        self.settle()

    def window(self) -> Image.Image:
        """Return the whole window."""
        shot = self.viewer.screenshot(canvas_only=False, flash=False)
        return Image.fromarray(shot[..., :3])

    def save_window(self, name: str) -> None:
        """Save a picture of the whole window."""
        self.save(self.window(), name)

    def save_step(self, name: str) -> None:
        """Save a picture of image and panel, without layer list and menus."""
        from docs.pictures import point

        whole = self.window()
        origin = self.hands.canvas.mapTo(self.hands.window, point(0, 0))
        left = origin.x() + self.hands.where(self.image, (0, 0)).x() - 8
        bottom = origin.y() + self.hands.canvas.height()
        self.save(whole.crop((left, origin.y(), whole.width, bottom)), name)

    def save_menu(self, name: str, *titles: str) -> None:
        """Save a picture of the menu File with submenus open."""
        from qtpy.QtWidgets import QApplication

        from docs.pictures import point, to_image

        menu = self.viewer.window.file_menu
        corner = self.hands.window.mapToGlobal(point(0, _MENU_BAR))
        opened = []
        for title in (*titles, None):
            menu.popup(corner)
            opened.append(menu)
            self.pause()
            for action in menu.actions():
                if action.text().replace("&", "") == title:
                    menu.setActiveAction(action)
                    corner = menu.mapToGlobal(menu.actionGeometry(action).topRight())
                    menu = action.menu()
        shot = QApplication.primaryScreen().grabWindow(0)
        self.save(to_image(shot).crop((0, 0, *_MENU_CROP)), name)
        for menu in reversed(opened):
            menu.close()

    def save_panel(self, name: str) -> None:
        """Save a picture of the panel with everything unfolded and numbered."""
        from docs.pictures import numbered

        sections = (self.panel.look, self.panel.prompts.layers, self.panel.cleanup)
        for section in sections:
            section.header.setChecked(True)
        width, height = _WINDOW
        self.viewer.window.set_geometry(0, 0, width, height + _UNFOLDED)
        self.settle()
        parts = (
            self.panel.model,
            self.panel.look,
            self.panel.prompts.one,
            self.panel.prompts.tools["object"],
            self.panel.prompts.layers,
            self.panel.candidates,
            self.panel.status,
            self.panel.result.accept,
            self.panel.result.undo,
            self.panel.result.labels,
            self.panel.cleanup,
            self.panel.more,
        )
        self.save(numbered(self.panel, parts), name)
        for section in sections:
            section.header.setChecked(False)
        self.viewer.window.set_geometry(0, 0, width, height)
        self.settle()

    def save(self, picture: Image.Image, name: str) -> None:
        """Save a picture, with few colours so that it stays small."""
        from docs.pictures import with_few_colours

        with_few_colours(picture).save(self.folder / name, optimize=True)


def main(argv: list[str] | None = None) -> int:
    """Take all pictures.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        0.
    """
    from docs.pictures import chosen_folder

    folder = chosen_folder(argv, "Take pictures of the window.")
    with _fresh_settings():
        camera = Photographer(folder)
        _follow_tutorial(camera)
        camera.session.close()
        camera.viewer.close()
    return 0


def _follow_tutorial(camera: Photographer) -> None:
    """Click through docs/tutorial.md, and take a picture at each step."""
    camera.save_step("step-open.png")
    camera.click(FIRST)
    camera.save_step("step-click.png")
    camera.press("Q")
    camera.click(NEIGHBOUR)
    camera.save_step("step-correct.png")
    camera.save_panel("panel.png")
    camera.press("K")
    camera.save_step("step-accept.png")
    camera.press("J")
    camera.click(*OTHERS)
    camera.save_step("step-many.png")
    camera.press("K")
    camera.press("J")
    camera.point_at(OTHERS[-1])
    camera.press("G")
    camera.press("Q")
    camera.click(PALE_PART)
    camera.save_step("step-refine.png")
    camera.press("K")
    camera.save_step("step-result.png")
    camera.click(LAST)
    camera.press("Q")
    camera.click(BESIDE_LAST)
    camera.save_window("window.png")


@contextmanager
def _fresh_settings() -> Iterator[None]:
    """Have napari look as on its first day, whoever takes the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        # Read when napari is imported.
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        yield


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))  # for benchmarks/ and docs/
    raise SystemExit(main())
