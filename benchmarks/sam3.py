"""Measure SAM 3 beside transformers' SAM 3, in one process and in turns.

Run ``python -m benchmarks.sam3``, on a machine that does nothing else. It writes
1.8 GB to a temporary folder and takes some ten minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.ratios import Comparison, take_turns, time_in_turns
from benchmarks.report import comparison_table, conditions
from benchmarks.sam3_peer import Sam3Peer, write_weights
from benchmarks.sample import Sample, draw_sample
from napari_sam3 import build_tracker
from napari_sam3.core.prompt import Prompt
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker

__all__ = ["main"]

_PEER, _OURS = "transformers", "napari-sam3"
_SIZE = 1024
_CLICK_ROUNDS = 15


def main(argv: list[str] | None = None) -> int:
    """Measure and print tables.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sam3", description=__doc__
    )
    parser.add_argument("--threads", type=int, help="for torch")
    parser.add_argument("--rounds", type=int, default=3, help="encodings of each")
    parser.add_argument(
        "--dtypes", nargs="+", default=["float32", "bfloat16"], help="to compute in"
    )
    parser.add_argument("--weights", type=Path, help="folder to keep the weights in")
    arguments = parser.parse_args(argv)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    for name, value in conditions(_SIZE, arguments.rounds).items():
        print(f"- {name}: {value}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.weights or Path(temporary)
        if not (folder / "model.safetensors").is_file():
            write_weights(folder)
        encoded = {}
        for dtype in arguments.dtypes:
            print(f"\n{dtype}\n", flush=True)
            models = _compare_models(folder, dtype, arguments.rounds)
            encoded[dtype] = models[0]
            processes, memory = _compare_processes(folder, dtype, arguments.rounds)
            print(comparison_table([*models, processes]))
            print(
                f"\npeak memory: {_PEER} {memory[0]}, {_OURS} {memory[1]}", flush=True
            )
        _compare_dtypes(encoded)
    return 0


def _compare_models(folder: Path, dtype: str, rounds: int) -> list[Comparison]:
    number: torch.dtype = getattr(torch, dtype)
    peer = Sam3Peer(folder, number)
    tracker = build_tracker(model=folder, device="cpu", dtype=dtype)
    assert isinstance(tracker, ViewTracker)
    sample = draw_sample(_SIZE)
    return [
        _compare_encoding(peer, tracker, sample, rounds),
        *_compare_clicks(peer, tracker, sample),
    ]


def _compare_encoding(
    peer: Sam3Peer, tracker: ViewTracker, sample: Sample, rounds: int
) -> Comparison:
    """Time from a ready view on their side, from the image on ours."""
    (view, _) = _view_of(tracker, sample)
    peer_s, ours_s = time_in_turns(
        lambda: peer.encode(view),
        lambda: tracker.embed([sample.image]),
        rounds=rounds,
        warm_up=1,
    )
    return Comparison("encode", _PEER, _OURS, peer_s, ours_s, "ratio ≥ 1")


def _view_of(
    tracker: ViewTracker, sample: Sample
) -> tuple[torch.Tensor, tuple[float, float]]:
    """Return the network's input, and where the click is in it."""
    from napari_sam3.models.view.frame import Frame

    shape = sample.image.shape[0], sample.image.shape[1]
    network = tracker.network
    frame = Frame.of(shape, network.size, padded=network.is_padded)
    view = frame.read(sample.image, *network.normalisation, tracker.device)
    x, y = (value * network.size / _SIZE for value in sample.centre_xy)
    return view[None], (x, y)


def _compare_clicks(
    peer: Sam3Peer, tracker: ViewTracker, sample: Sample
) -> list[Comparison]:
    _, (x, y) = _view_of(tracker, sample)
    (embedding,) = tracker.embed([sample.image])
    features = embedding.features.features
    prompts = ViewPrompts(torch.tensor([[[x, y]]]), torch.ones(1, 1, dtype=torch.int64))
    column, row = sample.centre_xy
    prompt = Prompt([[row, column]], [True])  # type: ignore[arg-type]

    def decode() -> None:
        with torch.inference_mode():
            tracker.network.decode(features, prompts, multimask=True)

    decoding = time_in_turns(
        lambda: peer.click(x, y), decode, rounds=_CLICK_ROUNDS, warm_up=3
    )
    whole = time_in_turns(
        lambda: peer.masks(x, y, (_SIZE, _SIZE)),
        lambda: tracker.predict(embedding, [prompt], multimask=True),
        rounds=_CLICK_ROUNDS,
        warm_up=3,
    )
    aim = "ratio ≥ 1.25"
    return [
        Comparison("click, to logits", _PEER, _OURS, *decoding, aim),
        Comparison("click, to masks", _PEER, _OURS, *whole, aim),
    ]


def _compare_processes(
    folder: Path, dtype: str, rounds: int
) -> tuple[Comparison, tuple[str, str]]:
    """Time processes from their start to a loaded model; measure memory once."""
    calls = [
        lambda library=library: _run(library, folder, dtype)[0]
        for library in ("transformers", "ours")
    ]
    take_turns(calls, 1)  # brings the files to the system's cache
    peer_s, ours_s = take_turns(calls, rounds)
    started = Comparison(
        "process to loaded model", _PEER, _OURS, peer_s, ours_s, "2 s less"
    )
    memory = [
        f"{_run(library, folder, dtype, '--encode')[1] / 2**30:.2f} GiB"
        for library in ("transformers", "ours")
    ]
    return started, (memory[0], memory[1])


def _run(library: str, folder: Path, dtype: str, *options: str) -> tuple[float, int]:
    """Return seconds from the start to the loaded model, and the peak memory."""
    command = [sys.executable, "-m", "benchmarks.sam3_process", library, str(folder)]
    start = time.time()
    done = subprocess.run(
        [*command, dtype, *options], check=True, capture_output=True, text=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return said["loaded_at"] - start, said["peak_bytes"]


def _compare_dtypes(encoded: dict[str, Comparison]) -> None:
    """Print how much faster bfloat16 is, from runs that followed each other."""
    if {"float32", "bfloat16"} <= set(encoded):
        whole, half = encoded["float32"].second_s, encoded["bfloat16"].second_s
        ratio = Comparison("", "", "", whole, half).ratio
        print(f"\nbfloat16 encodes {ratio.median:.2f} times as fast as float32")


if __name__ == "__main__":
    sys.exit(main())
