"""One library in a process of its own: seconds to a loaded model, and peak memory."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

__all__ = ["main", "peak_memory"]


def main(argv: list[str] | None = None) -> int:
    """Load the model, encode if asked to, and print JSON.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sam3_process")
    parser.add_argument("library", choices=["ours", "transformers"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("dtype")
    parser.add_argument("--encode", action="store_true")
    arguments = parser.parse_args(argv)
    load = _load_ours if arguments.library == "ours" else _load_theirs
    encode = load(arguments.folder, arguments.dtype)
    loaded = time.time()
    if arguments.encode:
        encode()
    print(json.dumps({"loaded_at": loaded, "peak_bytes": peak_memory()}))
    return 0


def _load_ours(folder: Path, dtype: str):  # type: ignore[no-untyped-def]
    from napari_sam3 import build_tracker

    tracker = build_tracker(model=folder, device="cpu", dtype=dtype)

    def encode() -> None:
        import numpy as np

        tracker.embed([np.zeros((1008, 1008, 3), np.uint8)])

    return encode


def _load_theirs(folder: Path, dtype: str):  # type: ignore[no-untyped-def]
    import torch

    from benchmarks.sam3_peer import Sam3Peer

    peer = Sam3Peer(folder, getattr(torch, dtype))
    return lambda: peer.encode(torch.zeros(1, 3, 1008, 1008))


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had."""
    import resource

    status = Path("/proc/self/status")
    if status.is_file():
        # Linux counts the parent's memory, too, in what is asked for below.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but bytes on a Mac.
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main())
