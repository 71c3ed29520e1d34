"""A network that looks through small windows, and what it is shown and says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap, candidates
from napari_sam3.core.ladder import Ladder
from napari_sam3.core.picture import Picture
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import resample
from napari_sam3.core.windows import Window

__all__ = [
    "Look",
    "Seen",
    "WindowAnswers",
    "WindowDecoder",
    "WindowPrompt",
    "contradicted",
    "decode_looks",
    "describe",
    "doubt",
    "doubted",
]

#: Windows per call of the network; bounds its memory.
_BATCH = 42
#: What a contradicted click leaves of a score.
_DOUBT = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class WindowPrompt:
    """A prompt as one window of S x S pixels shows it.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
        Clicks in window pixels from the corner.
    labels : ndarray of shape (N,) and dtype bool
        True on the object.
    box : ndarray of shape (4,), optional
        ``(row0, col0, row1, col1)`` in window pixels.
    mask : ndarray of shape (S / 2, S / 2) and dtype float32, optional
        Earlier logits.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.bool_]
    box: NDArray[np.float64] | None
    mask: NDArray[np.float32] | None

    @classmethod
    def place(
        cls, prompt: Prompt, window: Window, earlier: LogitMap | None, size: int
    ) -> WindowPrompt:
        """Bring a prompt and the earlier mask to a window's frame."""
        box = None
        if prompt.box is not None:
            # The box has edges, the points have pixel centres: half a pixel apart.
            corners = np.array(prompt.box).reshape(2, 2) - 0.5
            # What lies far outside is all the same to the window.
            box = window.to_window(corners, size).ravel().clip(-size, 2 * size)
        return cls(
            points=window.to_window(prompt.points, size),
            labels=prompt.labels,
            box=box,
            mask=None
            if earlier is None
            else resample(*earlier, window.grid(size // 2, size // 2)),
        )


class WindowAnswers(NamedTuple):
    """What a network says of K windows.

    Attributes
    ----------
    logits : ndarray of shape (K, M, S / 2, S / 2) and dtype float32
        The first of the M masks is the plain answer, the others are candidates for
        ambiguous prompts.
    scores : ndarray of shape (K, M) and dtype float32
        Predicted IoUs.
    traits : ndarray of shape (K, M, D) and dtype float32
        Whatever `WindowDecoder.rank` wants to know of the masks besides.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    traits: NDArray[np.float32]


class WindowDecoder(Protocol):
    """A network that is cheap enough to look through many windows per click."""

    @property
    def window_size(self) -> int:
        """Side S of the windows of a ladder."""
        ...

    @property
    def closer_size(self) -> int:
        """Side S of the windows that are fitted to an object."""
        ...

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        """Segment one object in each of K windows; ``pixels`` is (K, S, S, 3)."""
        ...

    def rank(self, ladder: Ladder) -> NDArray[np.float32]:
        """Judge the masks of a ladder beside each other, (L, M); IoUs, 0 to 1."""
        ...


class Look(NamedTuple):
    """A window to decode.

    Attributes
    ----------
    prompt : Prompt
        Whose.
    window : Window
        Where.
    earlier : LogitMap or None
        What was there before.
    """

    prompt: Prompt
    window: Window
    earlier: LogitMap | None


class Seen(NamedTuple):
    """What one window showed: its masks with their scores, and their traits (M, D)."""

    masks: list[Candidate]
    traits: NDArray[np.float32]


def decode_looks(
    decoder: WindowDecoder, picture: Picture, looks: Sequence[Look], size: int
) -> list[Seen]:
    """Decode windows in batches.

    Parameters
    ----------
    decoder : WindowDecoder
        The network.
    picture : Picture
        The image; only the windows' pixels are read.
    looks : sequence of Look
        What to decode.
    size : int
        Side of the windows in network pixels.

    Returns
    -------
    list of Seen
        In the same order.
    """
    answers = []
    for start in range(0, len(looks), _BATCH):
        part = looks[start : start + _BATCH]
        pixels = np.stack([picture.read(look.window, size, size) for look in part])
        placed = [WindowPrompt.place(*look, size) for look in part]
        for look, logits, scores, traits in zip(
            part, *decoder.decode_windows(pixels, placed), strict=True
        ):
            masks = candidates(look.window, logits, scores)
            answers.append(Seen(masks, traits))
    return answers


def contradicted(mask: Candidate, prompt: Prompt) -> int:
    """Return how many clicks a mask contradicts."""
    return int((mask.map.holds(prompt.points) != prompt.labels).sum())


def doubted(
    scores: NDArray[np.float32], contradicted: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Lower the scores of masks for every click that they contradict."""
    return np.asarray(scores * np.float32(_DOUBT) ** contradicted, np.float32)


def doubt(mask: Candidate, prompt: Prompt) -> Candidate:
    """Lower the score of a mask for every click that it contradicts."""
    return replace(mask, score=mask.score * _DOUBT ** contradicted(mask, prompt))


def describe(
    prompt: Prompt,
    windows: list[Window],
    seen: Sequence[Seen],
) -> Ladder:
    """Lay the answers of one prompt's windows side by side.

    Parameters
    ----------
    prompt : Prompt
        What was asked.
    windows : list of Window
        Of rising size.
    seen : sequence of Seen
        What each window showed.

    Returns
    -------
    Ladder
    """
    masks = [row for row, _ in seen]
    return Ladder(
        windows=windows,
        logits=np.stack([[mask.map.logits for mask in row] for row in masks]),
        scores=np.array([[m.score for m in row] for row in masks], np.float32),
        traits=np.stack([traits for _, traits in seen]),
        contradicted=np.array(
            [[contradicted(mask, prompt) for mask in row] for row in masks],
            np.float32,
        ),
        clicks=len(prompt.points),
    )
