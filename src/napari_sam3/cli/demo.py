"""``napari-sam3 demo``."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

from napari_sam3.cli.drafts import to_prompts
from napari_sam3.cli.outputs import check_output, make_folder
from napari_sam3.cli.prompt_files import read_prompts
from napari_sam3.cli.report import Stopwatch
from napari_sam3.core.files import write_atomically

__all__ = ["DEMO_IMAGE", "DEMO_PROMPTS", "run"]

_DATA = Path(__file__).parents[1] / "data"
DEMO_IMAGE = _DATA / "demo.png"
DEMO_PROMPTS = _DATA / "demo.json"


def run(options: argparse.Namespace) -> None:
    """Segment the image that ships with the package.

    Parameters
    ----------
    options : argparse.Namespace
        What the parser made of the command line.
    """
    watch = Stopwatch()
    folder: Path = options.output
    make_folder(folder)
    labels, overlay = folder / "labels.tif", folder / "overlay.png"
    image, prompt_file = folder / DEMO_IMAGE.name, folder / DEMO_PROMPTS.name
    for path in (labels, overlay, image, prompt_file):
        check_output(path, inputs=[DEMO_IMAGE, DEMO_PROMPTS])
    with watch.stage("read prompts"):
        from napari_sam3.cli.job import Job

        prompts = to_prompts(read_prompts(DEMO_PROMPTS))
    print(
        f"Segmenting {len(prompts)} cell nuclei of a stained tissue section (Data "
        "Science Bowl 2018, CC0)."
    )
    # Beside the results, to go on from there.
    _copy(DEMO_IMAGE, image)
    _copy(DEMO_PROMPTS, prompt_file)
    job = Job(
        image=image,
        labels=labels,
        overlay=overlay,
        model=options.model,
        device=options.device,
    )
    job.run(prompts, watch).show()
    print(
        f"Go on with: napari-sam3 segment {shlex.quote(str(image))} --point 212,340 "
        "-o mine.tif --overlay mine.png"
    )
    if not options.no_window:
        _open_window(labels)


def _copy(original: Path, path: Path) -> None:
    write_atomically(path, lambda file: file.write(original.read_bytes()))


def _open_window(labels: Path) -> None:
    from napari_sam3.cli.window import why_no_window

    reason = why_no_window()
    if reason is None:
        print("Opening napari; close its window to go on.", flush=True)
        # A process of its own: a display that cannot be reached makes Qt abort.
        command = [sys.executable, "-m", "napari_sam3.cli.window", str(labels)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            return
        reason = f"it stopped with: {_main_line(done.stderr)}"
    print(f"napari was not opened: {reason}")


def _main_line(stderr: str) -> str:
    """Pick an exception's line out of a traceback, else the first line."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (raised[-1:] or lines or ["no message"])[0]
