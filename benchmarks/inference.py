"""nano beside SAM 2.1-tiny: encoding an image, and answering prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.ratios import Comparison, time_in_turns
from benchmarks.sam2_tiny import Sam2Tiny
from benchmarks.sample import Sample
from napari_sam3 import SAM3InteractiveImagePredictor

__all__ = ["compare_encoding", "compare_predictions"]

_PEER, _OURS = "SAM 2.1-tiny", "nano"


def compare_encoding(
    ours: SAM3InteractiveImagePredictor, peer: Sam2Tiny, sample: Sample, rounds: int
) -> Comparison:
    """Measure ``set_image``: from uint8 pixels to the embedding.

    Parameters
    ----------
    ours : SAM3InteractiveImagePredictor
        With nano.
    peer : Sam2Tiny
        Its image is set here, too.
    sample : Sample
        The image.
    rounds : int
        Pairs that are timed.

    Returns
    -------
    Comparison
    """
    peer_s, ours_s = time_in_turns(
        lambda: peer.set_image(sample.image),
        lambda: ours.set_image(sample.image),
        rounds=rounds,
    )
    return Comparison("encode", _PEER, _OURS, peer_s, ours_s, "ratio ≥ 30")


def compare_predictions(
    ours: SAM3InteractiveImagePredictor, peer: Sam2Tiny, sample: Sample, rounds: int
) -> list[Comparison]:
    """Measure whole predict calls: prompt in, three cleaned masks out.

    Parameters
    ----------
    ours : SAM3InteractiveImagePredictor
        Its image is set.
    peer : Sam2Tiny
        Its image is set.
    sample : Sample
        What the prompts are about.
    rounds : int
        Pairs that are timed, for each kind of prompt.

    Returns
    -------
    list of Comparison
        A first click, a second one with the earlier mask, and a box.
    """
    _, _, low_res = ours.predict(sample.click, [1])
    prompts: dict[str, dict[str, Any]] = {
        "first click": {"points": sample.click, "labels": [1]},
        "second click": {
            "points": sample.correction,
            "labels": [1, 0],
            "mask_input": low_res[:1],
        },
        "box": {"box": sample.box},
    }
    comparisons = []
    for name, prompt in prompts.items():
        peer_s, ours_s = time_in_turns(
            _peer_call(ours, peer, prompt), _our_call(ours, prompt), rounds=rounds
        )
        comparisons.append(Comparison(name, _PEER, _OURS, peer_s, ours_s, "ratio ≥ 1"))
    return comparisons


def _our_call(
    ours: SAM3InteractiveImagePredictor, prompt: dict[str, Any]
) -> Callable[[], Any]:
    return lambda: ours.predict(
        point_coords=prompt.get("points"),
        point_labels=prompt.get("labels"),
        box=prompt.get("box"),
        mask_input=prompt.get("mask_input"),
    )


def _peer_call(
    ours: SAM3InteractiveImagePredictor, peer: Sam2Tiny, prompt: dict[str, Any]
) -> Callable[[], Any]:
    realistic = _our_call(ours, prompt)()[0]
    return lambda: peer.predict(**prompt, to_clean=realistic)
