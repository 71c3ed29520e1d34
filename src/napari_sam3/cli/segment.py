"""``napari-sam3 segment``."""

from __future__ import annotations

import argparse

from napari_sam3.cli.arguments import UsageError
from napari_sam3.cli.drafts import Draft, to_prompts
from napari_sam3.cli.outputs import check_output
from napari_sam3.cli.prompt_files import read_prompts
from napari_sam3.cli.report import Stopwatch

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    """Segment objects of an image file.

    Parameters
    ----------
    options : argparse.Namespace
        What the parser made of the command line.
    """
    watch = Stopwatch()
    with watch.stage("read prompts"):
        from napari_sam3.cli.job import Job
        from napari_sam3.core.finish import Finish
        from napari_sam3.core.hint import SizeHint

        hint = None if options.size is None else SizeHint((options.size,))
        prompts = to_prompts(_drafts(options), hint)
    inputs = [options.image] + ([options.prompts] if options.prompts else [])
    for path in (options.output, options.overlay):
        if path is not None:
            check_output(path, inputs=inputs)
    job = Job(
        image=options.image,
        labels=options.output,
        overlay=options.overlay,
        plane=options.plane,
        contrast=options.contrast,
        whole=options.whole_plane,
        model=options.model,
        device=options.device,
        finish=Finish(
            max_hole_area=options.max_hole_area,
            max_sprinkle_area=options.max_sprinkle_area,
        ),
    )
    job.run(prompts, watch).show(as_json=options.json)


def _drafts(options: argparse.Namespace) -> list[Draft]:
    drafts: list[Draft] = options.objects
    if options.prompts is None:
        return drafts
    if drafts:
        raise UsageError(
            "--prompts and --point, --negative, --box, --object do not go together; "
            "put all prompts into the file."
        )
    return read_prompts(options.prompts)
