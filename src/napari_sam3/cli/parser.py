"""The arguments of every command, with their help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_sam3.cli.arguments import (
    AddPrompt,
    NextObject,
    Parser,
    ShowVersion,
    area,
    coordinates,
    limits,
    path_ending,
    size,
)
from napari_sam3.cli.commands import EXIT_CODES, add_command, add_model, lazily
from napari_sam3.cli.store_parser import add_embed, add_store

__all__ = ["build_parser"]

_MAIN_EXAMPLES = """
examples:
  napari-sam3 demo
  napari-sam3 segment cells.tif --point 120,85 -o labels.tif
  napari-sam3 segment --help
"""

_SEGMENT_EXAMPLES = """
examples:
  one cell, by a click on it:
    napari-sam3 segment cells.tif --point 120,85 -o labels.tif
  the same without its neighbour, and a picture to check it:
    napari-sam3 segment cells.tif --point 120,85 --negative 150,90 \\
        -o labels.tif --overlay overlay.png
  two cells, the second by a box:
    napari-sam3 segment cells.tif --point 120,85 \\
        --object --box 200,40,260,110 -o labels.tif
  many cells, from a table:
    napari-sam3 segment cells.tif --prompts clicks.csv -o labels.tif

coordinates:
  X is the column and Y the row, in pixels of the image. The centre of the first
  pixel is 0,0. A box reaches from the pixel X0,Y0 to just before X1,Y1.

prompt files:
  CSV with the columns object,kind,x,y and for boxes x1,y1:
    object,kind,x,y,x1,y1
    a,point,120,85,,
    a,negative,150,90,,
    b,box,200,40,260,110
  JSON; labels are 1 (object) or 0 (background), all 1 if left out:
    {"objects": [{"points": [[120, 85], [150, 90]], "labels": [1, 0]},
                 {"box": [200, 40, 260, 110]}]}
"""


_MODELS_EXAMPLES = """
examples:
  napari-sam3 models
  napari-sam3 models download sam3
  napari-sam3 models doctor
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and their options.

    Returns
    -------
    argparse.ArgumentParser
        What it parses has the function to call in ``command``.
    """
    parser = Parser(
        prog="napari-sam3",
        description="Click on a cell, get its mask: segmentation of microscopy images.",
        epilog=_MAIN_EXAMPLES + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=ShowVersion, nargs=0, help="show the version and exit"
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="name", required=True
    )
    _add_segment(commands)
    _add_demo(commands)
    _add_models(commands)
    add_embed(commands)
    add_store(commands)
    return parser


def _add_segment(commands: Any) -> None:
    parser = add_command(
        commands,
        "segment",
        "segment objects of an image",
        "Segment the objects of an image that you click on or box.",
        _SEGMENT_EXAMPLES + EXIT_CODES,
    )
    parser.add_argument(
        "image", type=Path, metavar="IMAGE", help="a TIFF, PNG or JPEG file"
    )
    _add_prompts(parser)
    _add_reading(parser)
    _add_cleaning(parser)
    _add_output(parser)
    parser.set_defaults(objects=[], command=lazily("napari_sam3.cli.segment"))


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to segment")
    for name, form, text in (
        ("--point", "X,Y", "a click on the object; may be repeated"),
        ("--negative", "X,Y", "a click on what is not the object; may be repeated"),
        ("--box", "X0,Y0,X1,Y1", "a box around the object"),
    ):
        group.add_argument(
            name, action=AddPrompt, type=coordinates(form), metavar=form, help=text
        )
    group.add_argument(
        "--object",
        action=NextObject,
        nargs=0,
        help="begin another object: the options that follow are about it",
    )
    group.add_argument(
        "--prompts",
        type=path_ending(".csv", ".json"),
        metavar="FILE",
        help="read the objects from a .csv or .json file instead",
    )
    group.add_argument(
        "--size",
        type=size,
        metavar="PX",
        help="about how large the objects are: the square root of their area in "
        "pixels; nano then prefers masks of that size",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    reading = parser.add_argument_group("reading the image")
    reading.add_argument(
        "--plane", type=int, metavar="INDEX", help="which plane of a stack, from 0"
    )
    reading.add_argument(
        "--contrast",
        type=limits,
        metavar="LOW,HIGH",
        help="values that become black and white (default: as they are if 8-bit, "
        "else the darkest and brightest 0.1 %% of the pixels)",
    )
    reading.add_argument(
        "--whole-plane",
        action="store_true",
        help="have the model see all of the image at once instead of windows around "
        "the objects",
    )


def _add_cleaning(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model and clean-up")
    add_model(model)
    model.add_argument(
        "--max-hole-area",
        type=area,
        default=256.0,
        metavar="PIXELS",
        help="fill holes up to this area; 0: none (default: 256)",
    )
    model.add_argument(
        "--max-sprinkle-area",
        type=area,
        default=0.0,
        metavar="PIXELS",
        help="remove separate pieces up to this area; 0: none (default: 0)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        type=path_ending(".tif", ".tiff"),
        required=True,
        metavar="LABELS.tif",
        help="label image: 1 to N in the order of the objects; "
        "where they overlap, the higher score wins",
    )
    output.add_argument(
        "--overlay",
        type=path_ending(".png"),
        metavar="OVERLAY.png",
        help="also write a picture of image, prompts and outlines",
    )
    output.add_argument(
        "--json", action="store_true", help="print scores and times as JSON"
    )


def _add_demo(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        "segment a microscopy image that ships with the package",
        "Segment cells of a microscopy image that ships with the package, with given "
        "clicks and boxes; write a label image and a picture; open napari if it is "
        "installed and there is a display.",
        "\nexample:\n  napari-sam3 demo --no-window -o demo\n" + EXIT_CODES,
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("napari-sam3-demo"),
        metavar="FOLDER",
        help="where to write (default: ./napari-sam3-demo)",
    )
    parser.add_argument("--no-window", action="store_true", help="do not open napari")
    add_model(parser)
    parser.set_defaults(command=lazily("napari_sam3.cli.demo"))


def _add_models(commands: Any) -> None:
    parser = add_command(
        commands,
        "models",
        "list, download and check the models",
        "List the models: size, licence, where they come from, and where they are.",
        _MODELS_EXAMPLES + EXIT_CODES,
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(command=lazily("napari_sam3.cli.models"))
    actions = parser.add_subparsers(title="more", metavar="[ACTION]", dest="action")
    download = add_command(
        actions,
        "download",
        "download a model's weights",
        "Download a model's weights into Hugging Face's cache. Started again, it goes "
        "on where it stopped. HF_ENDPOINT sets a mirror, HF_HOME another folder.",
        "\nexample:\n  napari-sam3 models download sam3\n" + EXIT_CODES,
    )
    download.add_argument("model", metavar="ID", help="one of `napari-sam3 models`")
    download.set_defaults(command=lazily("napari_sam3.cli.models", "run_download"))
    doctor = add_command(
        actions,
        "doctor",
        "say what a weights file is, and whether it is whole",
        "Say what a weights file is, whether it is whole, what is missing, and about "
        "how fast it would be on this machine. Without a file: this machine, and all "
        "models that are on it.",
        "\nexample:\n  napari-sam3 models doctor model.safetensors\n" + EXIT_CODES,
    )
    doctor.add_argument(
        "model",
        nargs="?",
        metavar="PATH|ID",
        help="a weights file, a folder or a model",
    )
    doctor.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,  # or it would undo ``models --json doctor``
        help="print it as JSON",
    )
    doctor.set_defaults(command=lazily("napari_sam3.cli.models", "run_doctor"))
