"""What the user did, as lines of Python that do it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

from napari_sam3.core.marks import BoxMark, Mark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.engine import ModelChoice
from napari_sam3.viewer.history import Draft

__all__ = ["Script"]


class Script:
    """Collects lines; ``viewer`` and the layers that were open are given.

    Parameters
    ----------
    begun : str, optional
        What else ``attach`` was given, such as ``", device='cpu'"``.
    """

    def __init__(self, begun: str = "") -> None:
        self._begun = begun
        self._lines: list[str] = []
        self._image: str | None = None
        self._order: tuple[int, ...] | None = None
        self._steps: dict[int, int] = {}
        self._choice = ModelChoice()

    def begin(self, choice: ModelChoice) -> None:
        """Begin with a model, which is given to ``attach`` if it is not the usual."""
        self._begun = "".join(f", {one}" for one in _changes(ModelChoice(), choice))
        self._choice = choice

    def fall_back(self, choice: ModelChoice) -> None:
        """Begin with this one after all, if the first one never answered."""
        if choice != self._choice:
            self.begin(choice)

    def use(self, choice: ModelChoice) -> None:
        """Append what chooses another model, if it is another."""
        for change in _changes(self._choice, choice):
            name, _, value = change.partition("=")
            self.add(f"s.{name} = {value}")
        self._choice = choice

    def __str__(self) -> str:
        """Return the program."""
        needs_marks = any("Mark(" in line for line in self._lines)
        head = ["import napari_sam3"]
        if needs_marks:
            head.append("from napari_sam3 import BoxMark, OutlineMark, PointMark")
        head += ["", f"s = napari_sam3.attach(viewer{self._begun})"]
        return "\n".join([*head, *filter(None, self._lines)]) + "\n"

    def add(self, line: str) -> int:
        """Append a line; of settings that follow each other the last one counts.

        Returns
        -------
        int
            Its place, for `retract`.
        """
        target = line.split(" = ", maxsplit=1)[0]
        if " = " in line and self._lines and self._lines[-1].startswith(f"{target} = "):
            self._lines.pop()
        self._lines.append(line)
        return len(self._lines) - 1

    def retract(self, place: int) -> None:
        """Take a line out: nothing came of it."""
        self._lines[place] = ""

    def leave_image(self) -> None:
        """Tell that no image is chosen."""
        self._image = None
        self.add("s.image = None")

    def visit(self, image: str, order: Sequence[int], steps: Mapping[int, int]) -> None:
        """Tell what the next lines are about.

        Parameters
        ----------
        image : str
            Name of the layer.
        order : sequence of int
            Of the viewer's axes.
        steps : mapping of int to int
            By axis where the sliders stand.
        """
        if image != self._image:
            self._image = image
            self.add(f"s.image = viewer.layers[{image!r}]")
        # In a viewer that was just opened the axes are in their order.
        turned = None if list(order) == sorted(order) else tuple(order)
        if turned != self._order:
            self._order = turned
            self._lines.append(f"viewer.dims.order = {tuple(order)}")
        for axis, step in steps.items():
            if self._steps.get(axis) != step:
                self._lines.append(f"viewer.dims.set_current_step({axis}, {step})")
        self._steps.update(steps)

    def choose(self, step: int) -> None:
        """Append the choice of another candidate, which must be there by then."""
        if not (self._lines and self._lines[-1].startswith("s.next_candidate(")):
            self._lines.append("s.wait()")
        self._lines.append(f"s.next_candidate({step if step != 1 else ''})")

    def edit(self, before: Draft, after: Draft) -> None:
        """Append what turns one draft's prompts into the other's."""
        old, new = _placed(before), _placed(after)
        added = [m for m in dict.fromkeys(after.dialogue.marks) if m in new - old]
        added = [m for m in added for _ in range((new - old)[m])]
        removed = list((old - new).elements())
        if added or removed:
            self.add(_edit_line(added, removed))


def _changes(before: ModelChoice, after: ModelChoice) -> list[str]:
    return [
        f"{name}={getattr(after, name)!r}"
        for name in ("model", "device")
        if getattr(after, name) != getattr(before, name)
    ]


def _placed(draft: Draft) -> Counter[Mark]:
    marks: Counter[Mark] = Counter(draft.dialogue.marks)
    for mark in list(marks):
        if isinstance(mark, MaskMark):
            del marks[mark]
    return marks


def _edit_line(added: Sequence[Mark], removed: Sequence[Mark]) -> str:
    if not removed and len(added) == 1:
        return f"s.{_call(added[0])}"
    if not removed and all(isinstance(mark, PointMark) for mark in added):
        positive = {mark.positive for mark in added if isinstance(mark, PointMark)}
        if len(positive) == 1:
            places = [(m.row, m.col) for m in added if isinstance(m, PointMark)]
            flag = "" if positive == {True} else ", positive=False"
            return f"s.add_points({places}{flag})"
    parts = [
        f"{name}=[{', '.join(map(_plain, marks))}]"
        for name, marks in (("add", added), ("remove", removed))
        if marks
    ]
    return f"s.change({', '.join(parts)})"


def _call(mark: Mark) -> str:
    match mark:
        case PointMark(row, col, positive):
            flag = "" if positive else ", positive=False"
            return f"add_point(({row!r}, {col!r}){flag})"
        case BoxMark():
            return f"add_box({_values(mark)})"
        case OutlineMark(vertices):
            return f"add_outline({list(vertices)})"
    raise TypeError(mark)


def _plain(mark: Mark) -> str:
    return f"{type(mark).__name__}{_values(mark)}"


def _values(mark: Mark) -> str:
    return repr(tuple(getattr(mark, field.name) for field in fields(mark)))
