"""From arguments to a command, and from errors to an exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from napari_sam3.cli.arguments import UsageError, join_signed_values
from napari_sam3.cli.parser import build_parser
from napari_sam3.core.errors import PromptError, Sam3Error

__all__ = ["main"]

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``napari-sam3``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default the process's.

    Returns
    -------
    int
        Exit code: 0 done, 1 something could not be done, 2 wrong usage or
        prompts, 130 interrupted with Ctrl-C.
    """
    _print_any_file_name()
    arguments = join_signed_values(sys.argv[1:] if argv is None else argv)
    try:
        options = build_parser().parse_args(arguments)
        options.command(options)
    except (UsageError, PromptError) as error:
        return _complain(error, USAGE)
    except Sam3Error as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        print("\nnapari-sam3: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse leaves like this after --help
        return stop.code if isinstance(stop.code, int) else OK
    return OK


def _complain(error: Exception, code: int) -> int:
    # Libraries' messages may have several lines; scripts count on one.
    print(f"napari-sam3: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _print_any_file_name() -> None:
    """Let names that the terminal's encoding lacks be printed, escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
