"""A combo box to choose one of a viewer's layers."""

from __future__ import annotations

from napari.layers import Layer

from napari_sam3.viewer.session import Session
from napari_sam3.viewer.stacking import role_of
from napari_sam3.widgets.parts import Combo
from napari_sam3.widgets.telling import told

__all__ = ["LayerCombo"]


class LayerCombo(Combo):
    """Shows and sets one of a session's layers.

    Parameters
    ----------
    session : Session
        Of the viewer.
    role : {"image", "points", "shapes", "labels"}
        The session's attribute.
    kind : type
        Of layer.
    tooltip : str
        For the box.
    none : str, optional
        Text for no layer; without it one has to be chosen.
    """

    def __init__(
        self,
        session: Session,
        role: str,
        kind: type[Layer],
        tooltip: str,
        none: str | None = None,
    ) -> None:
        super().__init__(tooltip)
        self._session = session
        self._role = role
        self._kind = kind
        self._none = none
        self.activated.connect(self._choose)

    def refresh(self) -> None:
        """Bring entries and choice up to date."""
        entries = [
            (layer.name, layer.unique_id)
            for layer in reversed(self._session.viewer.layers)
            if isinstance(layer, self._kind) and role_of(layer) != "preview"
        ]
        if self._none is not None:
            entries.insert(0, (self._none, None))
        layer = getattr(self._session, self._role)
        self.put(entries, None if layer is None else layer.unique_id)

    def _choose(self, index: int) -> None:
        wanted = self.itemData(index)
        layers = self._session.viewer.layers
        found = [layer for layer in layers if layer.unique_id == wanted]
        with told():
            setattr(self._session, self._role, found[0] if found else None)
        self.refresh()
