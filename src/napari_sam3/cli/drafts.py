"""An object while it is being described: in (x, y), not yet complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam3.core.errors import PromptError

if TYPE_CHECKING:
    from napari_sam3.core.hint import SizeHint
    from napari_sam3.core.prompt import Prompt

__all__ = ["KINDS", "Draft", "to_prompts"]

#: What a prompt can be, and how many numbers it takes.
KINDS = {"point": 2, "negative": 2, "box": 4}


@dataclass
class Draft:
    """One object's clicks and box as the user gives them.

    Parameters
    ----------
    name : str
        How messages and results call it.
    clicks : list of tuple
        (x, y, whether it is on the object), in pixels of the image.
    box : tuple of float, optional
        ``(x0, y0, x1, y1)``, half-open, in pixels of the image.
    """

    name: str
    clicks: list[tuple[float, float, bool]] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None

    def add(self, kind: str, numbers: Sequence[float]) -> None:
        """Add a click or the box.

        Parameters
        ----------
        kind : str
            A key of `KINDS`.
        numbers : sequence of float
            (x, y), or (x0, y0, x1, y1).

        Raises
        ------
        PromptError
            If the object has a box already.
        """
        if kind != "box":
            x, y = numbers
            self.clicks.append((x, y, kind == "point"))
            return
        if self.box is not None:
            raise PromptError("an object has one box; begin another object before it")
        x0, y0, x1, y1 = numbers
        if x1 <= x0 or y1 <= y0:
            raise PromptError(
                f"the box {x0:g},{y0:g},{x1:g},{y1:g} is empty; give its upper left "
                "corner, then its lower right one"
            )
        self.box = (x0, y0, x1, y1)

    def to_prompt(self, size_hint: SizeHint | None = None) -> Prompt:
        """Turn it into a prompt in (row, col).

        Parameters
        ----------
        size_hint : SizeHint, optional
            What is known of the object's size.

        Raises
        ------
        PromptError
            If it says nothing of where the object is.
        """
        import numpy as np

        from napari_sam3.core.prompt import Prompt

        if self.box is None and not any(positive for *_, positive in self.clicks):
            raise PromptError("it has neither a point on it nor a box; give one.")
        box = None
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            box = (y0, x0, y1, x1)
        return Prompt(
            points=np.array([(y, x) for x, y, _ in self.clicks], np.float64),
            labels=np.array([positive for *_, positive in self.clicks], np.bool_),
            box=box,
            size_hint=size_hint,
        )


def to_prompts(
    drafts: Iterable[Draft], size_hint: SizeHint | None = None
) -> dict[str, Prompt]:
    """Turn drafts into prompts by name.

    Parameters
    ----------
    drafts : iterable of Draft
        Names must differ.
    size_hint : SizeHint, optional
        What is known of the size of all of them.

    Returns
    -------
    dict of str to Prompt
        In the same order.

    Raises
    ------
    PromptError
        If there is none, or one is incomplete; it says which.
    """
    prompts: dict[str, Prompt] = {}
    for draft in drafts:
        if draft.name in prompts:
            raise PromptError(f"Two objects are called {draft.name!r}; rename one.")
        try:
            prompts[draft.name] = draft.to_prompt(size_hint)
        except PromptError as error:
            raise PromptError(f"Object {draft.name!r}: {error}") from error
    if not prompts:
        raise PromptError(
            "There is nothing to segment; give --point X,Y or --box X0,Y0,X1,Y1, or "
            "--prompts FILE with at least one object."
        )
    return prompts
