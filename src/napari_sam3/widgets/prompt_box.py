"""How the user says what is meant: mode, tools, and the layers that hold prompts."""

from __future__ import annotations

from napari.layers import Points, Shapes
from qtpy.QtWidgets import QButtonGroup, QWidget

from napari_sam3.viewer.session import Session
from napari_sam3.widgets import commands
from napari_sam3.widgets.keys import Command, Keys
from napari_sam3.widgets.layer_combo import LayerCombo
from napari_sam3.widgets.parts import Section, button, column, form, keyed, row
from napari_sam3.widgets.telling import told
from napari_sam3.widgets.wiring import Wiring

__all__ = ["PromptBox"]

_SHAPE_TOOLS = {"add_rectangle": "box", "add_polygon_lasso": "lasso"}


class PromptBox(QWidget):  # type: ignore[misc]
    """Buttons that take up a tool, each with its layer.

    Parameters
    ----------
    session : Session
        That is driven.
    keys : Keys
        That stand on the buttons.
    """

    def __init__(self, session: Session, keys: Keys) -> None:
        super().__init__()
        self._session = session
        self._keys = keys
        self.wiring = Wiring()
        self._followed: list[Points | Shapes | None] = []
        self._make_modes()
        self._make_tools()
        self.points = LayerCombo(
            session,
            "points",
            Points,
            "Points that are clicks: on the object, or on the background where their "
            "feature 'polarity' says negative. Any points layer will do.",
            none="new layer",
        )
        self.shapes = LayerCombo(
            session,
            "shapes",
            Shapes,
            "Shapes that are prompts: rectangles are boxes, polygons and ellipses are "
            "outlines. Any shapes layer will do.",
            none="new layer",
        )
        self.layers = Section(
            "Prompt layers",
            "Take points and shapes that you have already as prompts",
            form(("Points", self.points), ("Shapes", self.shapes)),
        )
        modes = row(self.one, self.many)
        points = row(self.tools["object"], self.tools["background"])
        shapes = row(self.tools["box"], self.tools["lasso"])
        self.setLayout(column(modes, points, shapes, self.layers))

    def refresh(self) -> None:
        """Show what the session has."""
        session = self._session
        is_many = session.mode == "many"
        self.one.setChecked(not is_many)
        self.many.setChecked(is_many)
        self.one.setText(keyed("One object", self._key(commands.switch_mode, is_many)))
        self.many.setText(
            keyed("Many objects", self._key(commands.switch_mode, not is_many))
        )
        self.points.refresh()
        self.shapes.refresh()
        self._follow([session.points, session.shapes])
        self.refresh_tools()

    def refresh_tools(self, event: object = None) -> None:
        """Show which tool the next click on the image belongs to."""
        active = self._tool()
        for name, tool in self.tools.items():
            tool.setChecked(name == active)
            tool.setEnabled(self._session.image is not None)
        positive = self._session.polarity
        flip = commands.flip
        self.tools["object"].setText(keyed("+ Object", self._key(flip, not positive)))
        self.tools["background"].setText(
            keyed("− Background", self._key(flip, positive))
        )

    def _make_modes(self) -> None:
        self.one = button(
            "One object",
            "All clicks, boxes and outlines describe one object; accept it, and go on "
            "with the next",
            self._take_one,
            is_checkable=True,
        )
        self.many = button(
            "Many objects",
            "Every box and every click on an object is an object of its own; clicks on "
            "the background hold for all of them",
            self._take_many,
            is_checkable=True,
        )
        group = QButtonGroup(self)
        group.addButton(self.one)
        group.addButton(self.many)

    def _make_tools(self) -> None:
        self.tools = {
            "object": button(
                "+ Object",
                "Click on the object in the image",
                self._take_object,
                is_checkable=True,
            ),
            "background": button(
                "− Background",
                "Click on what does not belong to the object",
                self._take_background,
                is_checkable=True,
            ),
            "box": button(
                "Box",
                "Drag a box around the object",
                self._take_box,
                is_checkable=True,
            ),
            "lasso": button(
                "Lasso",
                "Draw around the object; the outline counts, not its bounding box",
                self._take_lasso,
                is_checkable=True,
            ),
        }

    def _key(self, command: Command, is_next: bool) -> str:
        """Return the key of a switch, for the side that it would switch to."""
        return self._keys.of(command) if is_next else ""

    def _tool(self) -> str | None:
        session = self._session
        active = session.viewer.layers.selection.active
        if active is None:
            return None
        mode = str(active.mode)
        if active is session.points and mode == "add":
            return "object" if session.polarity else "background"
        if active is session.shapes:
            return _SHAPE_TOOLS.get(mode)
        return None

    def _follow(self, layers: list[Points | Shapes | None]) -> None:
        """Hear when the user takes another tool in napari's own controls."""
        if layers == self._followed:
            return
        self._followed = layers
        self.wiring.cut()
        for layer in layers:
            if layer is not None:
                self.wiring.connect(layer.events.mode, self.refresh_tools)
        if layers[0] is not None:
            defaults = layers[0].events.feature_defaults
            self.wiring.connect(defaults, self.refresh_tools)

    def _take_one(self) -> None:
        self._take_mode("one")

    def _take_many(self) -> None:
        self._take_mode("many")

    def _take_mode(self, mode: str) -> None:
        with told():
            self._session.mode = mode
        self.refresh()

    def _take_object(self) -> None:
        with told():
            self._session.start_clicking(positive=True)
        self.refresh_tools()

    def _take_background(self) -> None:
        with told():
            self._session.start_clicking(positive=False)
        self.refresh_tools()

    def _take_box(self) -> None:
        with told():
            self._session.start_box()
        self.refresh_tools()

    def _take_lasso(self) -> None:
        with told():
            self._session.start_lasso()
        self.refresh_tools()
