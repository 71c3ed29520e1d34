"""What runs on the inference thread: frozen questions in, arrays out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.dialogue import Dialogue, Turn, opening, respond
from napari_sam3.core.errors import PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.journal import ObjectRecord
from napari_sam3.core.marks import Mark, MaskMark, PointMark
from napari_sam3.core.painting import FoundObject, find_objects, paint_labels
from napari_sam3.core.prediction import Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Tracker, WindowTracker
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.inference import News
from napari_sam3.viewer.replies import ManyReply, Reply
from napari_sam3.viewer.sources import PlaneSource

__all__ = [
    "ManyQuestion",
    "Question",
    "answer",
    "answer_many",
    "answer_record",
    "prepare",
    "says_where",
    "single_objects",
]

#: Objects per call of the model: enough to fill its batches, few enough to
#: report progress, and to be cancelled, between them.
_CHUNK = 12


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What the user says about one object.

    Parameters
    ----------
    source : PlaneSource
        The plane.
    choice : ModelChoice
        Who is asked.
    dialogue : Dialogue
        The prompts.
    finish : Finish
        How logits become a mask.
    """

    source: PlaneSource
    choice: ModelChoice
    dialogue: Dialogue
    finish: Finish


@dataclass(frozen=True, slots=True, eq=False)
class ManyQuestion:
    """What the user says about many objects, one dialogue each."""

    source: PlaneSource
    choice: ModelChoice
    dialogues: tuple[Dialogue, ...]
    finish: Finish


def says_where(dialogue: Dialogue) -> list[Mark]:
    """Return the prompts that say where an object is: all but background clicks."""
    return [
        mark
        for mark in dialogue.marks
        if not isinstance(mark, PointMark) or mark.positive
    ]


def single_objects(dialogue: Dialogue) -> tuple[Dialogue, ...]:
    """Make an object of each prompt; background clicks belong to all of them."""
    background = [
        mark
        for mark in dialogue.marks
        if isinstance(mark, PointMark) and not mark.positive
    ]
    return tuple(
        Dialogue(size_hint=dialogue.size_hint).advance([mark, *background])
        for mark in says_where(dialogue)
        if not isinstance(mark, MaskMark)
    )


def prepare(
    engine: Engine, source: PlaneSource | None, choice: ModelChoice, tell: Tell
) -> None:
    """Load the model, and encode a plane before it is asked about."""
    tracker = engine.tracker(choice, tell)
    if source is not None:
        engine.scenes.encode_ahead(tracker, source, tell)


def answer(engine: Engine, question: Question, tell: Tell) -> Reply:
    """Answer about one object.

    Parameters
    ----------
    engine : Engine
        With the models.
    question : Question
        The prompts.
    tell : callable
        Takes `News`.

    Returns
    -------
    Reply
        The mask.
    """
    tracker = engine.tracker(question.choice, tell)
    start = time.perf_counter()

    steps = {"to come": 0}

    def report(done: int, total: int) -> None:
        steps["to come"] = total - done

    def on_first(found: list[Prediction]) -> None:
        if steps["to come"] > 1:  # it is about an earlier click
            return
        best = max(found, key=lambda one: one.score).trimmed()
        first = Turn((best,), 0, False, None)
        reply = _reply(first, best.mask(), tracker, start)
        tell(News("looking more closely…", interim=reply))

    scene = engine.scenes.open(tracker, question.source, tell, on_first)
    tell(News("predicting…"))
    start = time.perf_counter()  # on_first sees it, too
    turn: Turn = engine.sparing(
        lambda: respond(
            scene.tracker,
            scene.embedding,
            question.dialogue,
            engine.scenes.turns(scene.key),
            report,
        ),
        tracker,
        tell,
        scene.key,
    )
    mask = _finished(turn, question.finish, scene.embedding.image_shape)
    return _reply(turn, mask, tracker, start)


def answer_many(engine: Engine, question: ManyQuestion, tell: Tell) -> ManyReply:
    """Answer about many objects, in batches, with progress between them.

    Parameters
    ----------
    engine : Engine
        With the models; objects that it answered before are not asked again.
    question : ManyQuestion
        The prompts.
    tell : callable
        Takes `News`; between the batches the job gives way to newer requests.

    Returns
    -------
    ManyReply
        One mask per dialogue.
    """
    tracker = engine.tracker(question.choice, tell)
    scene = engine.scenes.open(tracker, question.source, tell)
    start = time.perf_counter()
    shape = scene.embedding.image_shape
    known = engine.scenes.objects(scene.key)
    prompts = _inside({d: opening(d, shape) for d in question.dialogues}, shape)
    answers = {d: known[d] for d in prompts if d in known}
    missing = [d for d in prompts if d not in answers]
    tell(News("predicting…", len(answers), len(prompts), gives_way=True))
    for first in range(0, len(missing), _CHUNK):
        part = missing[first : first + _CHUNK]
        asked = [prompts[d] for d in part]
        predict = partial(
            scene.tracker.predict, scene.embedding, asked, multimask=False
        )
        for dialogue, (one,) in zip(
            part, engine.sparing(predict, tracker, tell, scene.key), strict=True
        ):
            known[dialogue] = answers[dialogue] = _lean(one)
        tell(News("predicting…", len(answers), len(prompts), gives_way=True))
    found = {
        d: FoundObject(
            question.finish.crop(one, prompts[d], shape), one.bbox, one.score
        )
        for d, one in answers.items()
    }
    nothing = FoundObject(np.zeros((0, 0), np.bool_), (0, 0, 0, 0), 0.0)
    objects = tuple(found.get(d, nothing) for d in question.dialogues)
    labels, bbox = _paint(objects)
    return ManyReply(
        objects=objects,
        labels=labels,
        bbox=bbox,
        model=tracker.model_id,
        fingerprint=tracker.fingerprint,
        seconds=time.perf_counter() - start,
        outside=sum(d not in prompts for d in question.dialogues),
        is_windowed=not isinstance(tracker, WindowTracker),
    )


def answer_record(
    engine: Engine,
    choice: ModelChoice,
    record: ObjectRecord,
    source: PlaneSource,
    tell: Tell,
) -> FoundObject:
    """Run the prompts of an accepted object again.

    Parameters
    ----------
    engine : Engine
        With the models.
    choice : ModelChoice
        Who is asked now.
    record : ObjectRecord
        The prompts, and how the mask was cleaned.
    source : PlaneSource
        The record's plane.
    tell : callable
        Takes `News`.

    Returns
    -------
    FoundObject
        The new mask.
    """
    tracker = engine.tracker(choice, tell)
    scene = engine.scenes.open(tracker, source, tell)
    tell(News("replaying…"))
    shape = scene.embedding.image_shape
    if not record.alone:
        prompt = opening(record.dialogue, shape)
        return engine.sparing(
            lambda: find_objects(
                scene.tracker, scene.embedding, [prompt], record.finish
            )[0],
            tracker,
            tell,
            scene.key,
        )
    turn = engine.sparing(
        lambda: respond(
            scene.tracker,
            scene.embedding,
            record.dialogue,
            engine.scenes.turns(scene.key),
        ),
        tracker,
        tell,
        scene.key,
    )
    mask = _finished(turn, record.finish, shape)
    return FoundObject(mask, turn.prediction.bbox, turn.prediction.score)


def _reply(
    turn: Turn, mask: NDArray[np.bool_], tracker: Tracker, start: float
) -> Reply:
    return Reply(
        mask=mask,
        bbox=turn.prediction.bbox,
        scores=tuple(candidate.score for candidate in turn.candidates),
        shown=turn.shown,
        kept=turn.kept,
        model=tracker.model_id,
        fingerprint=tracker.fingerprint,
        seconds=time.perf_counter() - start,
        seen=turn.prediction.seen,
        is_windowed=not isinstance(tracker, WindowTracker),
    )


def _inside(
    prompts: dict[Dialogue, Prompt], shape: tuple[int, int]
) -> dict[Dialogue, Prompt]:
    """Leave out what lies beside the image: a stray spot shall not stop the others."""
    found = {}
    for dialogue, prompt in prompts.items():
        with suppress(PromptError):
            prompt.check_inside(shape)
            found[dialogue] = prompt
    return found


def _lean(prediction: Prediction) -> Prediction:
    """Return it without what only a further click would need."""
    nothing = np.zeros((0, 0), np.float32)
    return replace(prediction.trimmed(), low_res=nothing)


def _finished(turn: Turn, finish: Finish, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the shown mask, cleaned; one that was given stays as it is."""
    if turn.prompt is None:
        return turn.prediction.mask()
    return finish.crop(turn.prediction, turn.prompt, shape)


def _paint(
    objects: Sequence[FoundObject],
) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], tuple[int, int, int, int]]:
    """Paint objects into the smallest crop that holds them all."""
    seen = [one for one in objects if one.mask.size]
    boxes = np.array([one.bbox for one in seen]).reshape(-1, 4)
    if not len(boxes):
        return np.zeros((0, 0), np.uint16), (0, 0, 0, 0)
    row0, col0 = (int(edge) for edge in boxes[:, :2].min(axis=0))
    row1, col1 = (int(edge) for edge in boxes[:, 2:].max(axis=0))
    moved = [
        replace(
            one,
            bbox=(
                one.bbox[0] - row0,
                one.bbox[1] - col0,
                one.bbox[2] - row0,
                one.bbox[3] - col0,
            ),
        )
        for one in objects
    ]
    return paint_labels(moved, (row1 - row0, col1 - col0)), (row0, col0, row1, col1)
