"""What the model sees, which part and how, and what it expects."""

from __future__ import annotations

from typing import Any

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QListWidget, QListWidgetItem, QWidget

from napari_sam3.core.errors import LayerError
from napari_sam3.core.look import MAX_CHANNELS
from napari_sam3.viewer.planes import hidden_axes, shown_plane
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.widgets.parts import Combo, Section, column, form, row
from napari_sam3.widgets.telling import told

__all__ = ["LookBox"]

#: What the model may see beside the plane that is shown; numbers are axes.
_ALONE, _LAYERS = "alone", "layers"
#: Axes with more planes are stacks or time, which are no channels.
_MOST_PLANES = 16
_LINES = 4

_WINDOWS = [("windows around the object", False), ("the whole plane", True)]
_CONTRASTS = [("as shown", "shown"), ("automatic", "percentiles")]


class LookBox(Section):
    """Sets window, contrast, inversion, channels and hints of a session.

    The contrast is remembered for the next start, and whether there are hints. The
    others are not, since they belong to the image.

    Parameters
    ----------
    session : Session
        That is set.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        # What is chosen, while no channel is checked yet.
        self._pending: str | int | None = None
        self.contrast = Combo(
            "As shown: the layer's contrast limits, gamma and colormap, as they are "
            "when you prompt. Automatic: from the darkest to the brightest 0.1 %"
        )
        self.inverted = QCheckBox("Inverted")
        self.inverted.setToolTip(
            "Exchange dark and bright for the model; the layer stays as it is"
        )
        self.hints = QCheckBox("Expect objects like those accepted")
        self.hints.setToolTip(
            "nano prefers masks of about the size of the objects accepted on this "
            "plane, and of one that fits the zoom. Holds from the next object on"
        )
        self.source = Combo(
            "Blend up to three channels into one picture: other image layers, in the "
            "colours that they have, or the planes of an axis"
        )
        self.channels = QListWidget()
        self.channels.setToolTip(f"Check up to {MAX_CHANNELS} channels")
        # Else letters would search in the list instead of being keys.
        self.channels.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        height = self.channels.fontMetrics().height() + 4
        self.channels.setMaximumHeight(_LINES * height)
        self.window = Combo(
            "Windows show small objects of a large plane in detail, and follow the "
            "view and your prompts. The whole plane at once is for objects that are "
            "larger than any window"
        )
        self.window.activated.connect(self._choose_window)
        self.contrast.activated.connect(self._choose_contrast)
        self.inverted.toggled.connect(self._choose_inverted)
        self.hints.toggled.connect(self._choose_hints)
        self.source.activated.connect(self._choose_source)
        self.channels.itemChanged.connect(self._choose_channels)
        content: QWidget = QWidget()
        content.setLayout(
            column(
                form(
                    ("Part", self.window),
                    ("Contrast", self.contrast),
                    ("Channels", self.source),
                ),
                self.channels,
                row(self.inverted),
                row(self.hints),
            )
        )
        super().__init__(
            "What the model sees",
            "Which part of the plane, its contrast and channels, and what to expect",
            content,
        )

    def refresh(self) -> None:
        """Show what the session has."""
        session = self._session
        self.window.put(_WINDOWS, session.whole_plane)
        self.contrast.put(_CONTRASTS, session.contrast)
        for box, value in (
            (self.inverted, session.inverted),
            (self.hints, session.use_hints),
        ):
            box.blockSignals(True)
            box.setChecked(value)
            box.blockSignals(False)
        sources = self._sources()
        chosen = self._chosen_source()
        if chosen not in [source for _, source in sources]:
            sources.append((f"axis {chosen}", chosen))
        self.source.put(sources, chosen)
        self._put_channels(self._lines(chosen))

    def _sources(self) -> list[tuple[str, str | int]]:
        """Return what can be blended with the image, in words."""
        sources: list[tuple[str, str | int]] = [
            ("this image alone", _ALONE),
            ("image layers", _LAYERS),
        ]
        image = self._session.image
        if image is None or image.rgb:
            return sources
        sizes = _sizes(image)
        for axis in self._hidden_axes(image):
            if 2 <= sizes[axis] <= _MOST_PLANES:
                name = str(image.axis_labels[axis])
                # Axes without a name have negative numbers in napari.
                words = f"axis {axis}" if name.lstrip("-").isdigit() else f"axis {name}"
                sources.append((f"{words} ({sizes[axis]})", axis))
        return sources

    def _hidden_axes(self, image: Image) -> tuple[int, ...]:
        try:
            plane = shown_plane(self._session.viewer, image)
        except LayerError:
            return ()
        return hidden_axes(plane.ndim, plane.axes)

    def _chosen_source(self) -> str | int:
        axis = self._axis()
        if axis is not None:
            self._pending = None
            return axis
        if self._session.channels:
            self._pending = None
            return _LAYERS
        return _ALONE if self._pending is None else self._pending

    def _axis(self) -> int | None:
        """Return the axis that the session blends, counted from the first one."""
        channels, image = self._session.channels, self._session.image
        if channels is None or isinstance(channels, list):
            return None
        axis = channels[0] if isinstance(channels, tuple) else channels
        return axis % image.ndim if image is not None else axis

    def _lines(self, source: str | int) -> list[tuple[str, Any, bool]]:
        """Return text, value and whether it is checked of what is in the list."""
        image, channels = self._session.image, self._session.channels
        if source == _ALONE or image is None:
            return []
        if source == _LAYERS:
            chosen = channels if isinstance(channels, list) else []
            ids = {layer.unique_id for layer in [image, *chosen]}
            return [
                (layer.name, layer.unique_id, layer.unique_id in ids)
                for layer in reversed(self._session.viewer.layers)
                if isinstance(layer, Image) and not layer.rgb
            ]
        size = _sizes(image)[int(source)] if int(source) < image.ndim else 0
        indices = channels[1] if isinstance(channels, tuple) else range(MAX_CHANNELS)
        return [(f"plane {i}", i, i in indices) for i in range(size)]

    def _put_channels(self, lines: list[tuple[str, Any, bool]]) -> None:
        """Show the list, silently, and only where there is something to choose."""
        self.channels.setVisible(bool(lines))
        items = [self.channels.item(i) for i in range(self.channels.count())]
        shown = [(item.text(), _value(item)) for item in items]
        self.channels.blockSignals(True)
        # An item must not go away while it tells that it was clicked.
        if shown != [(text, value) for text, value, _ in lines]:
            self.channels.clear()
            items = [QListWidgetItem(text, self.channels) for text, _, _ in lines]
        for item, (_, value, checked) in zip(items, lines, strict=True):
            item.setData(Qt.ItemDataRole.UserRole, value)
            state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
            item.setCheckState(state)
        self.channels.blockSignals(False)

    def _choose_window(self, index: int) -> None:
        with told():
            self._session.whole_plane = self.window.itemData(index)
        self.refresh()

    def _choose_contrast(self, index: int) -> None:
        with told():
            self._session.contrast = self.contrast.itemData(index)
            save_setting("contrast", self._session.contrast)
        self.refresh()

    def _choose_inverted(self, inverted: bool) -> None:
        with told():
            self._session.inverted = inverted
        self.refresh()

    def _choose_hints(self, use_hints: bool) -> None:
        with told():
            self._session.use_hints = use_hints
            save_setting("use_hints", use_hints)
        self.refresh()

    def _choose_source(self, index: int) -> None:
        source = self.source.itemData(index)
        self._pending = source if source == _LAYERS else None
        with told():
            if isinstance(source, int):
                self._session.channels = source
            elif source == _ALONE or self._axis() is not None:
                self._session.channels = None
        self.refresh()

    def _choose_channels(self, _: QListWidgetItem) -> None:
        items = [self.channels.item(i) for i in range(self.channels.count())]
        checked = [_value(item) for item in items if _is_checked(item)]
        source = self.source.currentData()
        with told():
            if source == _LAYERS:
                self._choose_layers(checked)
            elif checked:
                self._session.channels = (source, checked)
        self.refresh()

    def _choose_layers(self, checked: list[Any]) -> None:
        """Blend the layers; the image is among them, whether it is checked or not."""
        layers = self._session.viewer.layers
        image = self._session.image
        own = None if image is None else image.unique_id
        self._pending = _LAYERS
        others = [x for x in layers if x.unique_id in checked and x.unique_id != own]
        self._session.channels = [image, *others] if others else None


def _sizes(image: Image) -> tuple[int, ...]:
    """Return how many planes each axis has."""
    return tuple((image.data[0] if image.multiscale else image.data).shape)


def _value(item: QListWidgetItem) -> Any:
    return item.data(Qt.ItemDataRole.UserRole)


def _is_checked(item: QListWidgetItem) -> bool:
    return item.checkState() == Qt.CheckState.Checked
