"""Short training runs that are compared with each other at equal time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.core.ladder import Ladder, handicapped
from napari_sam3.models.nano.network import PYRAMID_CHANNELS, WIDTHS, NanoNet
from napari_sam3.models.nano.tracker import NanoTracker
from training.data import LabelledImage, load_split
from training.protocol import choose_images, measure
from training.responders import TrackerResponder
from training.synthesis import draw_synthetic
from training.train import CHECKPOINT, Trainer, build_network
from training.train import parse_arguments as parse_training
from training.user import ObjectResult

__all__ = ["Trial", "add_arguments", "run_all"]

#: What a trial is measured with: clicks an object, objects an image.
_CLICKS, _OBJECTS = 5, 4


@dataclass(frozen=True)
class Trial:
    """One short run.

    Parameters
    ----------
    name : str
        Its folder, and its line in the table.
    data, folder : Path
        Where the images are; where runs are kept.
    minutes : float
        Of training, on one thread.
    images : int
        Measured of each data set, at most.
    synthetic : int
        Procedural pictures.
    scratch : bool
        Whether the encoder starts without ImageNet weights.
    pyramid, widths : int, tuple of int
        Of the network.
    exclude : str, optional
        A data set that is not trained on.
    """

    name: str
    data: Path
    folder: Path
    minutes: float
    images: int = 12
    synthetic: int = 600
    scratch: bool = False
    pyramid: int = PYRAMID_CHANNELS
    widths: tuple[int, ...] = WIDTHS
    exclude: str | None = None

    @property
    def run(self) -> Path:
        """Where its checkpoints are."""
        return self.folder / self.name

    def network(self) -> NanoNet:
        """Build the network as the trial wants it."""
        network = NanoNet(self.pyramid, self.widths)
        if not self.scratch:
            network.encoder.load_state_dict(build_network(None).encoder.state_dict())
        return network


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Parameters
    ----------
    trial : Trial
        Which.
    parameters : int
        Of the network.
    steps : int
        That it was trained in the time.
    results : list of ObjectResult
        On the validation images.
    """

    trial: Trial
    parameters: int
    steps: int
    results: list[ObjectResult]


class _UnrankedTracker(NanoTracker):
    """nano before its ranking head has learnt: every window judges for itself."""

    def rank(self, ladder: Ladder) -> NDArray[np.float32]:
        """Rank by score, small windows first."""
        return handicapped(ladder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all comparisons are told."""
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("folder", type=Path, help="for the runs; finished ones stay")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run")
    parser.add_argument("--images", type=int, default=12, help="measured of each set")
    parser.add_argument("--synthetic", type=int, default=600, help="images to draw")
    parser.add_argument("--workers", type=int, default=1, help="runs at once")
    parser.add_argument("--output", type=Path, help="Markdown table")


def run_all(trials: Sequence[Trial], workers: int) -> list[Outcome]:
    """Train and measure all trials, each on one thread.

    Parameters
    ----------
    trials : sequence of Trial
        In the table's order.
    workers : int
        Processes; as many as there are cores, for equal times.

    Returns
    -------
    list of Outcome
        In the same order; finished ones are read from their folders.
    """
    for trial in trials[:1]:
        # Drawn once, so that no run waits for it.
        draw_synthetic(trial.synthetic, _pictures(trial))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        return list(pool.map(_finish, trials))


def _pictures(trial: Trial) -> Path:
    return trial.folder / f"synthetic-{trial.synthetic}.npz"


def _finish(trial: Trial) -> Outcome:
    """Train and measure, or read what an earlier run found."""
    path = trial.run / "outcome.json"
    if not path.exists():
        torch.set_num_threads(1)
        torch.manual_seed(0)
        steps = _train(trial)
        results = _measure(trial)
        stored = {"steps": steps, "results": [one.to_json() for one in results]}
        path.write_text(json.dumps(stored))
    stored = json.loads(path.read_text())
    results = [ObjectResult.from_json(one) for one in stored["results"]]
    size = sum(p.numel() for p in NanoNet(trial.pyramid, trial.widths).parameters())
    return Outcome(trial, size, stored["steps"], results)


def _train(trial: Trial) -> int:
    """Train for the trial's minutes; return the steps."""
    # Steps have no end of their own: the time has.
    arguments = parse_training(
        [str(trial.data), str(trial.run), "--steps", "1000000", "--threads", "1"]
    )
    arguments.minutes, arguments.scratch = trial.minutes, trial.scratch
    trainer = Trainer(arguments, trial.network())
    images = load_split(trial.data, "train")
    kept = [image for image in images if image.dataset != trial.exclude]
    trainer.fit(kept + draw_synthetic(trial.synthetic, _pictures(trial)))
    return trainer.step


def _measure(trial: Trial) -> list[ObjectResult]:
    """Measure the last weights on validation images.

    Not their average: in so short a run it lags far behind.
    """
    network = replace(trial, scratch=True).network()
    stored = torch.load(trial.run / CHECKPOINT, map_location="cpu", weights_only=True)
    network.load_state_dict(stored["network"])
    images: list[LabelledImage] = load_split(trial.data, "validation")
    if trial.exclude is not None:
        images = [image for image in images if image.dataset == trial.exclude]
    responder = TrackerResponder(_UnrankedTracker(network))
    return measure(responder, choose_images(images, trial.images), _OBJECTS, _CLICKS)
