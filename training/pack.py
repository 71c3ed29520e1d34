"""Pack trained weights for shipping.

Run ``python -m training.pack RUN/weights.safetensors -o nano.safetensors``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sam3.models.nano.network import NanoNet
from training.recipe import RECIPE

__all__ = ["pack"]

#: Options of the run that are kept in the file's header; ``start`` as well.
_RECIPE = ("steps", "batch", "rate", "synthetic", "exclude", "seed")
#: What the wheel may carry.
MAX_BYTES = 12_000_000


def pack(source: Path, target: Path, metadata: dict[str, str]) -> int:
    """Write weights in float16, normalisations in float32.

    Parameters
    ----------
    source : Path
        ``weights.safetensors`` of a run.
    target : Path
        Written at once or not at all.
    metadata : dict of str to str
        Kept in the file's header.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    RuntimeError
        If the tensors are not exactly the network's, its ranking included.
    ValueError
        If the file is larger than the wheel may carry.
    """
    state = load_file(source)
    if not any(name.startswith("ranking.") for name in state):
        raise RuntimeError(
            f"{source} cannot rank the masks of a ladder; teach it with "
            "training.ranking, and pack what that writes."
        )
    NanoNet().load_state_dict(state)  # nothing missing, nothing extra
    half = {name: _shrink(name, tensor) for name, tensor in state.items()}
    partial = target.with_suffix(".partial")
    save_file(half, partial, metadata)
    size = partial.stat().st_size
    if size > MAX_BYTES:
        partial.unlink()
        raise ValueError(f"{size} bytes are more than {MAX_BYTES}.")
    partial.replace(target)
    return size


def _shrink(name: str, tensor: Tensor) -> Tensor:
    """Halve what is large; variances can leave the range of float16."""
    keep = ".norm." in name or not tensor.is_floating_point()
    return tensor.contiguous() if keep else tensor.to(torch.float16).contiguous()


def read_recipe(path: Path) -> dict[str, str]:
    """Read how a run was trained.

    Parameters
    ----------
    path : Path
        ``arguments.json`` of the run.

    Returns
    -------
    dict of str to str
        Of the weights it started from only the file and its folder are told: the
        header is published, and where somebody's folders are is nobody's business.
    """
    used = json.loads(path.read_text())
    start = used["start"]
    if start != "None":
        start = "/".join(Path(start).parts[-2:])
    return {key: used[key] for key in _RECIPE} | {"start": start}


def main(argv: list[str] | None = None) -> None:
    """Pack from the command line."""
    parser = argparse.ArgumentParser(prog="training.pack", description=__doc__)
    parser.add_argument("weights", type=Path, help="weights.safetensors of a run")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    metadata = {"network": "nano"}
    settings = arguments.weights.parent / RECIPE
    if settings.exists():
        metadata |= read_recipe(settings)
    size = pack(arguments.weights, arguments.output, metadata)
    print(f"{arguments.output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
