"""What the parsers of all commands have in common."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["EXIT_CODES", "add_command", "add_model", "lazily"]

EXIT_CODES = """
exit codes:
  0    done
  1    something could not be done: a file, an image, a model
  2    wrong usage, or prompts that do not fit the image
  130  interrupted with Ctrl-C
"""


def add_command(commands: Any, name: str, short: str, long: str, end: str) -> Any:
    """Add a command to a parser's.

    Parameters
    ----------
    commands : argparse action
        Of ``add_subparsers``.
    name, short, long : str
        Its name; its help in the list of commands, and in its own.
    end : str
        Examples, laid out as they are.

    Returns
    -------
    Parser
        The command's own.
    """
    return commands.add_parser(
        name,
        help=short,
        description=textwrap.fill(long, 79),
        epilog=end,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_model(parser: Any) -> None:
    """Add the options that choose a model."""
    parser.add_argument(
        "--model",
        default="nano",
        help="one of `napari-sam3 models`, or a weights file (default: nano)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )


def lazily(module: str, function: str = "run") -> Callable[[argparse.Namespace], None]:
    """Return a module's function, imported when it is called."""

    def command(options: argparse.Namespace) -> None:
        getattr(import_module(module), function)(options)

    return command
