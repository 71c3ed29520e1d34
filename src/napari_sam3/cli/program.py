"""From arguments to a command, and from errors to an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from napari_sam3.cli.arguments import UsageError, join_signed_values
from napari_sam3.cli.parser import build_parser
from napari_sam3.core.errors import PromptError, Sam3Error
from napari_sam3.models.device import is_out_of_memory

__all__ = ["main"]

OK, FAILED, USAGE, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141


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
        prompts, 130 interrupted with Ctrl-C, 141 nobody read the output.
    """
    _print_any_file_name()
    arguments = join_signed_values(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        if sys.stdout is not None:  # as it is after >&-
            sys.stdout.flush()  # while an error can still be told
    except BrokenPipeError:  # ``napari-sam3 models | head -1``
        _discard(sys.stdout)
        _discard(sys.stderr)
        return PIPE_CLOSED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _discard(sys.stdout)
        return _complain("The disk is full; make room, and try again.", FAILED)
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        options = build_parser().parse_args(arguments)
        options.command(options)
    except (UsageError, PromptError) as error:
        return _complain(str(error), USAGE)
    except Sam3Error as error:
        return _complain(str(error), FAILED)
    except (MemoryError, RuntimeError) as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        return _complain(shortage, FAILED)
    except KeyboardInterrupt:
        print("\nnapari-sam3: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse leaves like this after --help
        return stop.code if isinstance(stop.code, int) else OK
    return OK


def _complain(message: str, code: int) -> int:
    # Libraries' messages may have several lines; scripts count on one.
    print(f"napari-sam3: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _shortage(error: Exception) -> str | None:
    """Return what to say where memory ran out, None where it did not."""
    if not is_out_of_memory(error):
        return None
    if isinstance(error, MemoryError) or "CPUAllocator" in str(error):
        return (
            "There is not enough memory; close other programs, or give a smaller "
            "image or a part of it."
        )
    return (
        "The memory of the graphics card is full; use --device cpu, or give a "
        "smaller image or a part of it."
    )


def _discard(stream: TextIO | None) -> None:
    """Send what is left of a stream nowhere, or Python complains as it ends."""
    if stream is None:
        return
    with suppress(OSError):  # it is no file
        file = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file)
        os.close(nowhere)


def _print_any_file_name() -> None:
    """Let names that the terminal's encoding lacks be printed, escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
