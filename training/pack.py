"""Pack trained weights for shipping.

Run ``python -m training.pack RUN/weights.safetensors -o nano.safetensors``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from napari_sam3.core.files import write_atomically
from napari_sam3.models.nano.network import NanoNet
from training import weights
from training.command import TrainingError, errors_told
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
    TrainingError
        If the tensors are not exactly the network's, its ranking included, or the file
        would be larger than the wheel may carry.
    """
    state = weights.read(source)
    if not any(name.startswith("ranking.") for name in state):
        raise TrainingError(
            f"{source} cannot rank the masks of a ladder; teach it with "
            "training.ranking, and pack what that writes."
        )
    try:
        NanoNet().load_state_dict(state)
    except RuntimeError as error:  # something missing, or extra
        raise TrainingError(f"{source} is not of this network: {error}") from error
    half = {name: _shrink(name, tensor) for name, tensor in state.items()}
    content = save(half, metadata)
    size = len(content)
    if size > MAX_BYTES:
        raise TrainingError(
            f"{size} bytes are more than the {MAX_BYTES} that the wheel may carry; "
            "train a smaller network."
        )
    write_atomically(target, lambda file: file.write(content))
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
    if start is not None:
        start = "/".join(Path(start).parts[-2:])
    return {key: str(used[key]) for key in _RECIPE} | {"start": str(start)}


@errors_told()
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
    else:
        print(f"There is no {RECIPE} beside the weights: the header tells no recipe.")
    size = pack(arguments.weights, arguments.output, metadata)
    print(f"{arguments.output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
