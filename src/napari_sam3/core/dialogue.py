"""The prompts of one object in the order in which they came, and the answer to them.

Each step is answered from the mask that the step before showed, so the order
counts. The answer depends on the steps alone: not on when or how often it was
asked for, nor on what was computed before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.marks import Mark, MaskMark, mark_from_json, mark_to_json
from napari_sam3.core.plain_json import entry
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Report, Tracker, no_report
from napari_sam3.core.turn import Said, Turn, prompt_of, take_turn

__all__ = ["Dialogue", "Memo", "Step", "Turn", "opening", "respond"]


@dataclass(frozen=True, slots=True)
class Step:
    """What the user placed between two answers.

    Parameters
    ----------
    marks : tuple of Mark
        At least one. A `MaskMark` is alone in its step.
    choice : int
        Which candidate of the answer the user chose to see; the last one if
        there are fewer.

    Raises
    ------
    PromptError
        If there is no mark, or a mask among others.
    """

    marks: tuple[Mark, ...]
    choice: int = 0

    def __post_init__(self) -> None:
        """Refuse what could not be answered."""
        object.__setattr__(self, "marks", tuple(self.marks))
        object.__setattr__(self, "choice", max(int(self.choice), 0))
        if not self.marks:
            raise PromptError("A step without marks says nothing; leave it out.")
        if len(self.marks) > 1 and any(isinstance(m, MaskMark) for m in self.marks):
            raise PromptError("A mask to refine must be a step of its own.")


_ONLY_BACKGROUND = (
    "There are only background clicks so far; click on the object, or draw a box "
    "around it."
)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The steps of one object.

    Parameters
    ----------
    steps : tuple of Step
        In the order in which they came.
    size_hint : SizeHint, optional
        What was known of the object's size at the first step.

    Examples
    --------
    >>> from napari_sam3.core.marks import PointMark
    >>> first, second = PointMark(3, 4), PointMark(9, 9, positive=False)
    >>> dialogue = Dialogue().advance([first]).advance([first, second])
    >>> [len(step.marks) for step in dialogue.steps]
    [1, 1]
    >>> dialogue.advance([second]) == Dialogue((Step((second,)),))
    True
    """

    steps: tuple[Step, ...] = ()
    size_hint: SizeHint | None = None

    def __post_init__(self) -> None:
        """Take any sequence of steps."""
        object.__setattr__(self, "steps", tuple(self.steps))

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, in order."""
        return tuple(mark for step in self.steps for mark in step.marks)

    def advance(self, marks: Sequence[Mark]) -> Dialogue:
        """Take over what the layers hold by now.

        Parameters
        ----------
        marks : sequence of Mark
            All clicks, boxes and outlines of the object. Equal ones count as
            often as they are there; their order does not matter. Masks to refine
            are in no layer: those of the steps stay, and none is looked for here.

        Returns
        -------
        Dialogue
            Marks that are still there stay in their steps, others leave, and a
            step that loses all goes. New ones form one new step at the end.
            Itself if nothing changed.
        """
        placed = [mark for mark in marks if not isinstance(mark, MaskMark)]
        open_marks = Counter[Mark](placed)
        steps = []
        for step in self.steps:
            kept = tuple(
                mark
                for mark in step.marks
                if isinstance(mark, MaskMark) or _cross_off(open_marks, mark)
            )
            if len(kept) == len(step.marks):
                steps.append(step)
            elif kept:
                steps.append(replace(step, marks=kept))
        # Backwards: of equal marks the first ones are those that were there.
        new = [mark for mark in reversed(placed) if _cross_off(open_marks, mark)]
        if new:
            steps.append(Step(tuple(reversed(new))))
        if tuple(steps) == self.steps:
            return self
        # What comes after all is gone is another object.
        return Dialogue(tuple(steps), self.size_hint if steps else None)

    def choose(self, choice: int) -> Dialogue:
        """Show another candidate of the last step's answer.

        Parameters
        ----------
        choice : int
            Its index; `respond` takes the last one for what is too large.

        Raises
        ------
        PromptError
            If there is no step yet.
        """
        if not self.steps:
            raise PromptError("There is nothing to choose from; click on an object.")
        last = replace(self.steps[-1], choice=choice)
        if last == self.steps[-1]:
            return self
        return replace(self, steps=(*self.steps[:-1], last))

    def first(self, count: int) -> Dialogue:
        """Return what was said in so many of the first steps."""
        return replace(self, steps=self.steps[:count])

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has.

        Returns
        -------
        dict
            ``{"steps": [{"marks": [...], "choice": 0}, ...]}``, the marks as
            `mark_to_json` gives them; with a hint, ``"size_hint"`` as
            `SizeHint.to_dict` gives it.
        """
        steps = [
            {"marks": [mark_to_json(m) for m in step.marks], "choice": step.choice}
            for step in self.steps
        ]
        if self.size_hint is None:
            return {"steps": steps}
        return {"steps": steps, "size_hint": self.size_hint.to_dict()}

    @classmethod
    def from_json(cls, data: Any) -> Dialogue:
        """Read what `to_json` made; other entries of the object are left alone.

        Raises
        ------
        PromptError
            If it is something else; the message says why.
        """
        return cls(
            tuple(
                Step(
                    tuple(map(mark_from_json, entry(step, "marks", list, "A step"))),
                    entry(step, "choice", int, "A step"),
                )
                for step in entry(data, "steps", list, "A dialogue")
            ),
            _hint_from_json(data),
        )


#: Answers by the dialogues that they answer, of one image and one model.
Memo = MutableMapping[Dialogue, Turn]


def respond(
    tracker: Tracker,
    embedding: Embedding,
    dialogue: Dialogue,
    memo: Memo,
    report: Report = no_report,
) -> Turn:
    """Answer a dialogue, step by step.

    Parameters
    ----------
    tracker : Tracker
        The model.
    embedding : Embedding
        The image, from that model.
    dialogue : Dialogue
        With one step at least.
    memo : mutable mapping of Dialogue to Turn
        Answers that are there already, for this model and this image only. Each
        answer on the way is put there; it may forget whatever it likes.
    report : callable, optional
        Called before each step that has to be computed, and after the last one,
        with how many are done, and of how many. What it raises ends the call;
        the steps that are done stay in the memo.

    Returns
    -------
    Turn
        The answer to the last step. Background clicks before there is anything
        to segment wait for the step that says where the object is.

    Raises
    ------
    PromptError
        If there is no step, a mark is outside the image, or nothing says where
        the object is.
    """
    steps = dialogue.steps
    if not steps:
        raise PromptError("There are no prompts yet; click on an object.")
    turn, known = _longest_known(dialogue, memo)
    given = _last_mask(steps)
    if given > known:
        turn, known = None, given  # a mask is an answer, whatever came before
    said = Said(size_hint=dialogue.size_hint).then(dialogue.first(known).marks)
    for done in range(known, len(steps)):
        report(done - known, len(steps) - known)
        step = steps[done]
        said = said.then(step.marks)
        turn = take_turn(tracker, embedding, said, step.marks, turn)
        if turn is not None:
            # Without the choice, so that another one finds it.
            part = dialogue.first(done + 1)
            memo[part.choose(0)] = turn.showing(0)
            turn = memo[part] = turn.showing(step.choice)
    if known < len(steps):
        report(len(steps) - known, len(steps) - known)
    if turn is None:
        raise PromptError(_ONLY_BACKGROUND)
    return turn


def opening(dialogue: Dialogue, shape: tuple[int, int]) -> Prompt:
    """Put a whole dialogue into one prompt, as if it were one step.

    Parameters
    ----------
    dialogue : Dialogue
        Without masks to refine.
    shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    Prompt
        For a model that is asked once, about many objects at the same time.

    Raises
    ------
    PromptError
        If nothing says where the object is.
    """
    marks = dialogue.marks
    prompt = prompt_of(Said(size_hint=dialogue.size_hint).then(marks), marks, shape)
    if prompt is None:
        raise PromptError(_ONLY_BACKGROUND)
    return prompt


def _last_mask(steps: tuple[Step, ...]) -> int:
    """Return how many steps come before the last one that gives a mask, or 0."""
    for place in range(len(steps) - 1, -1, -1):
        if isinstance(steps[place].marks[0], MaskMark):
            return place
    return 0


def _cross_off(open_marks: Counter[Mark], mark: Mark) -> bool:
    """Take one of a mark's kind off a list; tell whether there was one."""
    open_marks[mark] -= 1
    return open_marks[mark] >= 0


def _longest_known(dialogue: Dialogue, memo: Memo) -> tuple[Turn | None, int]:
    """Return the answer to as many of the first steps as the memo has."""
    for count in range(len(dialogue.steps), 0, -1):
        part = dialogue.first(count)
        # One look each: others may make room in the memo in between.
        turn = memo.get(part)
        if turn is None and (turn := memo.get(part.choose(0))) is not None:
            turn = memo[part] = turn.showing(part.steps[-1].choice)
        if turn is not None:
            return turn, count
    return None, 0


def _hint_from_json(data: dict[str, Any]) -> SizeHint | None:
    """Read what was known of the size; older files do not say it."""
    hint = data.get("size_hint")
    return None if hint is None else SizeHint.from_dict(hint)
