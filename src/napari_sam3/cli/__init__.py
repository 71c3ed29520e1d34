"""The command line: ``napari-sam3 segment | demo | models | embed | store``.

Start-up stays quick: this package loads no numpy, torch or napari before a
command needs it.
"""

from napari_sam3.cli.program import main

__all__ = ["main"]
