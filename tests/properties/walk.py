"""Going through a scene as a user would: are the labels where the discs are?"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError, Sam3Error
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from tests.properties.scenes import (
    AREA_WAYS,
    Scene,
    Visit,
    contrast_of,
    data_of,
    disc_of,
    is_mixed,
    pixels_of,
    plane_of,
    stored,
    world_of,
)

SECONDS = 60.0
AXIS_LABELS = ("position", "channel", "time", "z", "y", "x")

#: What may be refused, and what the words are that say so.
REASONS = {
    "3D": r"shows 3D",
    "an axis is lacking": r"shows an axis that .* lacks",
    "beside the image": r"shows no plane of",
    "mixed axes": r"rotated or sheared out of the plane",
    "prompt layer's axes": r"cannot lie over this plane",
    "shapes have too few digits": r"cannot keep the shape where it belongs",
}


class Walk:
    """One scene in one viewer.

    Parameters
    ----------
    scene : Scene
        What there is, and what is done.
    engine : Engine
        With the model.
    is_exact : bool
        Whether the label has to be the disc, pixel by pixel.
    data : ndarray, optional
        The image's pixels; by default those of the scene.
    """

    def __init__(
        self,
        scene: Scene,
        engine: Engine,
        *,
        is_exact: bool = True,
        data: NDArray[Any] | None = None,
    ) -> None:
        self.scene, self.is_exact = scene, is_exact
        self.counts: Counter[str] = Counter()
        self.viewer = ViewerModel()
        if scene.beside is not None:
            shape, place = scene.beside
            self.viewer.add_image(np.zeros(shape, np.uint8), **place.keywords)
        array = pixels_of(scene) if data is None else data
        pixels = stored(scene, array)
        self.image: Image = self.viewer.add_image(
            pixels,
            rgb=scene.rgb,
            multiscale=isinstance(pixels, list),
            axis_labels=AXIS_LABELS[-len(scene.shape) :],
            # The model sees what is shown; what napari finds by itself, of a part of
            # the data, may show everything white.
            contrast_limits=contrast_of(array),
            **scene.place.keywords,
        )
        self.session = Session(self.viewer, engine=engine)
        self.session.image = self.image
        self.own = scene.prompts is None
        if scene.prompts is not None:
            place = scene.prompts.keywords
            ndim = len(scene.prompts.scale)
            self.session.points = self.viewer.add_points(ndim=ndim, **place)
            self.session.shapes = self.viewer.add_shapes(ndim=ndim, **place)

    def go(self) -> Counter[str]:
        """Make all visits; return how many were checked, or refused and why."""
        try:
            for number, visit in enumerate(self.scene.visits):
                self._visit(number, visit)
        finally:
            self.session.close()
        return self.counts

    # What the user does

    def _visit(self, number: int, visit: Visit) -> None:
        dims = self.viewer.dims
        lacking = dims.ndim - len(self.scene.shape)
        if visit.other_axes and lacking:
            shown = (0, dims.ndim - 1)
            rest = [axis for axis in range(dims.ndim) if axis not in shown]
            dims.order = (*rest, *shown)
            self._expect_refusal(number, visit)
        row, col = (axis + lacking for axis in self.scene.axes)
        shown = (col, row) if visit.is_transposed else (row, col)
        rest = [axis for axis in range(dims.ndim) if axis not in shown]
        if visit.hidden_first:
            rest.reverse()
        dims.order = (*rest, *shown)
        if visit.from_3d and dims.ndim > 2:
            dims.ndisplay = 3
            self._expect_refusal(number, visit)
            dims.ndisplay = 2
        if visit.other_axes and rest:
            dims.set_point(rest, [dims.range[axis].stop for axis in rest])
            self._expect_refusal(number, visit)
            dims.set_point(rest, [dims.range[axis].start for axis in rest])
        self._slide(visit, lacking)
        if self._reasons():
            self._expect_refusal(number, visit)
        elif self._loses_digits(number, visit):
            self._try_shape(number, visit)
        else:
            self._check(number, visit)

    def _slide(self, visit: Visit, lacking: int) -> None:
        """Put the sliders where the visit's planes are."""
        at = np.zeros(len(self.scene.shape))
        at[list(self.scene.hidden)] = visit.index
        (world,) = world_of(self.viewer, self.image, at)
        hidden = self.scene.hidden
        dims = self.viewer.dims
        dims.set_point(
            [axis + lacking for axis in hidden], [world[axis] for axis in hidden]
        )
        # Thick slices do not move what is in their middle.
        if visit.thickness or any(dims.thickness):
            dims.thickness = tuple(visit.thickness * one.step for one in dims.range)

    def _act(self, number: int, visit: Visit, way: str) -> None:
        """Prompt the disc."""
        session = self.session
        _, centre = disc_of(self.scene, number)
        at = self._data(number, visit)
        (world,) = world_of(self.viewer, self.image, at)
        position = np.array(self.viewer.dims.point)
        lacking = self.viewer.dims.ndim - len(at)
        shown = [axis for axis in self.viewer.dims.displayed if axis >= lacking]
        position[shown] = world[[axis - lacking for axis in shown]]
        turn = slice(None, None, -1 if visit.is_transposed else 1)
        reach = visit.radius + 1
        if way == "click":
            session.start_clicking()
            self._add_point(session.points, position)
        elif way == "drawn box":
            session.start_box()
            self._add_box(session.shapes, position, reach)
        elif way == "px":
            session.add_point(centre[turn])
        elif way == "all px":
            session.add_point(at)
        elif way == "world":
            session.add_point(position[list(self.viewer.dims.displayed)], world=True)
        elif way == "all world":
            session.add_point(position, world=True)
        elif way == "box":
            low, high = centre[turn] + 0.5 - reach, centre[turn] + 0.5 + reach
            session.add_box((*low, *high))
        elif way == "world box":
            ends = np.tile(at, (2, 1))
            ends[:, list(self.scene.axes)] += [[-reach], [reach]]
            low, high = world_of(self.viewer, self.image, ends)[:, self._shown()]
            if self._is_snug(at, (low, high), reach):
                session.add_box((*low, *high), world=True)
            else:  # upright in the world it would reach far beyond the image
                session.add_point(
                    position[list(self.viewer.dims.displayed)], world=True
                )
        else:
            angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            ring = np.stack([np.sin(angles), np.cos(angles)], axis=1)
            session.add_outline(centre[turn] + visit.radius * ring)

    def _add_point(self, layer: Any, position: NDArray[np.float64]) -> None:
        """Add a point as napari's own tool does; see `_into`."""
        layer.add(self._into(layer, position))

    def _add_box(self, layer: Any, position: Any, reach: float) -> None:
        """Add a rectangle, or what it is if the layer's axes lie across the image's."""
        centre = data_of(self.viewer, self.image, position)[0]
        corners = np.tile(centre, (4, 1))
        around = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * reach
        corners[:, list(self.scene.axes)] += around
        lacking = self.viewer.dims.ndim - layer.ndim
        places = np.tile(position, (4, 1))
        world = world_of(self.viewer, self.image, corners)
        displayed = list(self.viewer.dims.displayed)
        places[:, displayed] = world[:, self._shown()]
        data = np.array([self._into(layer, place) for place in places])
        row, col = (axis - lacking for axis in displayed)
        sides = np.diff(data[:3][:, [row, col]], axis=0)
        is_straight = (np.abs(sides) < 1e-6 * np.abs(sides).max(axis=1)[:, None]).sum()
        layer.add(data, shape_type="rectangle" if is_straight == 2 else "polygon")

    def _is_snug(self, at: Any, ends: Any, reach: float) -> bool:
        """Tell whether a box upright in the world is about as large in the image."""
        (world,) = world_of(self.viewer, self.image, at)
        corners = np.tile(world, (4, 1))
        (row0, col0), (row1, col1) = ends
        corners[:, self._shown()] = [
            (row0, col0),
            (row0, col1),
            (row1, col0),
            (row1, col1),
        ]
        pixels = data_of(self.viewer, self.image, corners)[:, list(self.scene.axes)]
        return bool(np.ptp(pixels, axis=0).max() < 4 * reach)

    def _into(self, layer: Any, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return data coordinates for a click at a place in the world.

        In our own layers it is what napari's tools do, which forget the units. In
        layers of the user with other units than the viewer's, where napari draws a
        click elsewhere, it is what a script does that knows them.
        """
        if self.own:
            return np.asarray(layer.world_to_data(position))
        return data_of(self.viewer, layer, position)[0]

    def _data(self, number: int, visit: Visit) -> NDArray[np.float64]:
        """Return the centre of a visit's disc, in data coordinates of the image."""
        at = np.zeros(len(self.scene.shape))
        at[list(self.scene.axes)] = disc_of(self.scene, number)[1]
        at[list(self.scene.hidden)] = np.round(visit.index)
        return at

    def _shown(self) -> list[int]:
        lacking = self.viewer.dims.ndim - self.image.ndim
        return [axis - lacking for axis in self.viewer.dims.displayed]

    # What is to come of it

    def _reasons(self) -> set[str]:
        """Return why the view can't be cut as a plane with prompts on it."""
        dims = self.viewer.dims
        if dims.ndisplay == 3:
            return {"3D"}
        shown = self._shown()
        if min(shown) < 0:
            return {"an axis is lacking"}
        reasons = set()
        hidden = [axis for axis in range(self.image.ndim) if axis not in shown]
        if is_mixed(self.image, tuple(shown)):
            reasons.add("mixed axes")
        (at,) = data_of(self.viewer, self.image, dims.point)
        sizes = np.array(self.scene.shape)[hidden]
        if ((np.round(at[hidden]) < 0) | (np.round(at[hidden]) >= sizes)).any():
            reasons.add("beside the image")
        if not self.own:
            layer: Layer = self.session.points
            axes = tuple(axis - self.image.ndim + layer.ndim for axis in shown)
            if layer.ndim > self.image.ndim or min(axes) < 0:
                reasons.add("prompt layer's axes")
            elif is_mixed(layer, axes):
                reasons.add("mixed axes")
        return reasons

    def _loses_digits(self, number: int, visit: Visit) -> bool:
        """Tell whether a shape around a disc cannot be kept in the user's layer.

        napari has vertices as float32.
        """
        if self.own or visit.way not in AREA_WAYS:
            return False
        layer, corners = self.session.shapes, np.tile(self._data(number, visit), (2, 1))
        corners[:, list(self.scene.axes)] += [[-visit.radius], [visit.radius]]
        world = np.tile(self.viewer.dims.point, (2, 1))
        world[:, -self.image.ndim :] = world_of(self.viewer, self.image, corners)
        kept = data_of(self.viewer, layer, world).astype(np.float32)
        world[:, -layer.ndim :] = world_of(self.viewer, layer, kept)
        off = np.abs(data_of(self.viewer, self.image, world) - corners)
        return bool(off[:, list(self.scene.axes)].max() > 0.03 or off.max() > 0.2)

    def _try_shape(self, number: int, visit: Visit) -> None:
        """Add a shape that is at the edge of what can be kept, or beyond."""
        reason = "shapes have too few digits"
        try:
            self._check(number, replace(visit, way="box"))
        except LayerError as error:
            if not re.search(REASONS[reason], str(error)):
                raise
            self.counts[f"refused: {reason}"] += 1

    def _expect_refusal(self, number: int, visit: Visit) -> None:
        """Prompt where it can't be, if it can't be: nothing but words may come."""
        reasons = self._reasons()
        if not reasons:
            return
        words = "|".join(REASONS[reason] for reason in reasons)
        said: list[str] = []
        # With all its coordinates a position would take the viewer to its plane, and
        # nothing can be drawn on axes that a layer lacks.
        way = {"all px": "px", "drawn box": "box", "world box": "box"}.get(
            visit.way, visit.way
        )
        for act in (lambda: self._act(number, visit, way), self.session.accept):
            try:
                act()
            except LayerError as error:
                said.append(str(error))
            except Sam3Error:
                pass  # there is nothing to accept
            else:
                assert act is not self.session.accept, f"accepted in spite of {reasons}"
        self.session.wait(SECONDS)
        said.append(self.session.status.text)
        assert self.session.status.is_error
        for text in said:
            assert re.search(words, text), (reasons, said)
        # What was clicked in such a view may lie anywhere.
        self._clear(all_layers=True)
        self.counts["refused: " + " and ".join(sorted(reasons))] += 1

    def _check(self, number: int, visit: Visit) -> None:
        """Prompt the disc, and look where its label is."""
        is_first = self.session.labels is None
        way = visit.way
        if len(self._data(number, visit)) == 2:
            way = way.replace("all px", "px")  # two coordinates are of the view
        if self.viewer.dims.ndim == 2:
            way = way.replace("all world", "world")
        self._act(number, visit, way)
        self.session.wait(SECONDS)
        assert self.session.preview is not None, self.session.status
        self._check_place(self.viewer.layers["SAM3 preview"], 1, number, visit)
        label = self.session.accept()
        labels = self.session.labels
        self._check_place(labels, label, number, visit)
        if is_first:
            self._check_like_image(labels)
        self._clear()
        self.counts["checked"] += 1

    def _check_place(self, layer: Any, label: int, number: int, visit: Visit) -> None:
        disc, _ = disc_of(self.scene, number)
        found = np.argwhere(np.asarray(layer.data) == label)
        world = world_of(self.viewer, layer, found.mean(axis=0))
        (at,) = data_of(self.viewer, self.image, world)
        axes, hidden = list(self.scene.axes), list(self.scene.hidden)
        off = np.hypot(*(at[axes] - np.argwhere(disc).mean(axis=0)))
        assert off < 1, f"{layer.name} is {off} px off"
        index = np.round(at[hidden])
        assert np.abs(at[hidden] - index).max(initial=0) < 0.01
        assert tuple(index.astype(int)) == plane_of(visit)
        if self.is_exact:
            assert len(found) == disc.sum()

    def _check_like_image(self, labels: Any) -> None:
        for name in ("scale", "translate", "rotate", "shear"):
            mine, its = getattr(labels, name), getattr(self.image, name)
            np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            labels.affine.affine_matrix, self.image.affine.affine_matrix
        )
        assert labels.units == self.image.units
        assert labels.axis_labels == self.image.axis_labels
        assert labels.data.shape == self.scene.shape

    def _clear(self, *, all_layers: bool = False) -> None:
        """Take the prompts out of the user's own layers, which keep them."""
        for layer in (self.session.points, self.session.shapes):
            if layer is not None and len(layer.data) and (all_layers or not self.own):
                layer.data = []
