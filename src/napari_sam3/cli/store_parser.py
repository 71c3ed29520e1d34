"""The arguments of ``napari-sam3 embed`` and ``napari-sam3 store``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_sam3.cli.commands import EXIT_CODES, add_command, add_model, lazily

__all__ = ["add_embed", "add_store"]

_EMBED_EXAMPLES = """
examples:
  all planes of a stack, for SAM 3:
    napari-sam3 embed stack.tif --model sam3
  all images of a folder:
    napari-sam3 embed plate1/ --model sam3
  a large plane, with its windows at full resolution:
    napari-sam3 embed slide.zarr --model sam3 --all-windows

Started again, it goes on where it stopped: what is in the store is skipped.
"""

_STORE_EXAMPLES = """
examples:
  napari-sam3 store
  napari-sam3 store clear
"""


def add_embed(commands: Any) -> None:
    """Add ``embed``."""
    parser = add_command(
        commands,
        "embed",
        "encode images in advance, so that clicks need not wait",
        "Encode images in advance and keep the result on disk, where the panel, the "
        "console and this command find it. Images are opened as napari opens them, "
        "with the contrast that they have then.",
        _EMBED_EXAMPLES + EXIT_CODES,
    )
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="an image or stack that napari can open (TIFF, PNG, zarr), or a folder "
        "of them",
    )
    parser.add_argument(
        "--stack",
        action="store_true",
        help="take a folder's images as the planes of one stack, as napari does when "
        "it opens a folder; their contrast is then a common one",
    )
    parser.add_argument(
        "--all-windows",
        action="store_true",
        help="of planes larger than the model's view, also encode all windows at "
        "full resolution, not only the plane as a whole",
    )
    parser.add_argument(
        "--contrast",
        choices=("shown", "percentiles"),
        help="what the model sees: contrast as napari shows the image at first, or "
        "from the darkest to the brightest 0.1 %% (default: as the panel was set last)",
    )
    add_model(parser)
    _add_folder(parser)
    parser.set_defaults(command=lazily("napari_sam3.cli.embed"))


def add_store(commands: Any) -> None:
    """Add ``store`` and ``store clear``."""
    parser = add_command(
        commands,
        "store",
        "say what is kept of encoded images, or clear it",
        "Say where encoded images are kept, how many there are, and what they take.",
        _STORE_EXAMPLES + EXIT_CODES,
    )
    _add_folder(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=lazily("napari_sam3.cli.store"))
    actions = parser.add_subparsers(title="more", metavar="[ACTION]", dest="action")
    clear = add_command(
        actions,
        "clear",
        "remove all encoded images",
        "Remove all encoded images from the store. They are computed again when they "
        "are needed. Other files in its folder stay.",
        "\nexample:\n  napari-sam3 store clear\n" + EXIT_CODES,
    )
    # Not None, or it would undo ``store --store FOLDER clear``.
    _add_folder(clear, default=argparse.SUPPRESS)
    clear.set_defaults(command=lazily("napari_sam3.cli.store", "run_clear"))


def _add_folder(parser: Any, default: str | None = None) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        default=default,
        metavar="FOLDER",
        help="where they are kept (default: $NAPARI_SAM3_CACHE, or a folder for "
        "caches that depends on the system)",
    )
