"""What ``napari-sam3 segment`` does, step by step, with the time of each.

Run as a process of its own by `benchmarks.processes`; prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["main"]

#: What the command imports besides torch, the heavy ones.
_MODULES = (
    "napari_sam3.core.cleanup",
    "napari_sam3.models.nano.tracker",
    "napari_sam3.predictor",
    "tifffile",
)


class _Watch:
    """Measures from one step to the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now


def _run(arguments: argparse.Namespace) -> dict[str, float]:
    watch = _Watch()
    import_module("torch")
    watch.note("import torch")
    for name in _MODULES:
        import_module(name)
    watch.note("import the rest")
    from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker

    predictor = SAM3InteractiveImagePredictor(
        build_tracker(model=arguments.model, device="cpu")
    )
    watch.note("load the model")
    image = _read(arguments.image)
    watch.note("read the image")
    predictor.set_image(image)
    watch.note("encode")
    masks, _, _ = predictor.predict([[arguments.x, arguments.y]], [1])
    watch.note("first mask")
    import_module("tifffile").imwrite(arguments.output, masks[0].astype("uint16"))
    watch.note("write labels")
    return watch.seconds


def _read(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as opened:
        return opened.convert("RGB")


def main(argv: list[str] | None = None) -> None:
    """Segment one cell and print the seconds of each step."""
    parser = argparse.ArgumentParser(prog="benchmarks.first_mask", description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("x", type=float)
    parser.add_argument("y", type=float)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="nano")
    print(json.dumps(_run(parser.parse_args(argv))))


if __name__ == "__main__":
    main()
