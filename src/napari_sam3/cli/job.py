"""From an image file and prompts to files of labels and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.cli.images import read_rgb
from napari_sam3.cli.report import Progress, Stopwatch, print_json, table
from napari_sam3.core.files import write_atomically, write_labels
from napari_sam3.core.finish import Finish

if TYPE_CHECKING:
    from napari_sam3.core.painting import FoundObject
    from napari_sam3.core.prediction import Embedding
    from napari_sam3.core.prompt import Prompt
    from napari_sam3.core.tracker import Tracker

__all__ = ["Job", "Outcome"]

_COLUMNS = {"id": "object", "score": "score", "area": "area [px]"}


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came out of a job.

    Parameters
    ----------
    rgb : ndarray of shape (rows, columns, 3) and dtype uint8
        The image as the model saw it.
    labels : ndarray of shape (rows, columns) and dtype uint16 or uint32
        0 background, i the i-th object.
    objects : list of dict
        Per object its id, name, score and area, the pixels it has in ``labels``.
    facts : dict
        Image, model, device, files and seconds, for ``--json``.
    times : str
        One line for people.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[Any]
    objects: list[dict[str, Any]]
    facts: dict[str, Any]
    times: str

    def show(self, *, as_json: bool = False) -> None:
        """Print it to standard output."""
        if as_json:
            print_json({**self.facts, "objects": self.objects})
            return
        columns = dict(_COLUMNS)
        if any(entry["name"] != str(entry["id"]) for entry in self.objects):
            columns["name"] = "name"
        print(table(self.objects, columns))
        missing = [str(entry["id"]) for entry in self.objects if not entry["area"]]
        if missing:
            print(
                f"No pixels for {', '.join(missing)}: nothing was found there, or "
                "others with a higher score cover it."
            )
        print(f"seconds: {self.times}")
        for key in ("labels", "overlay"):
            if self.facts[key] is not None:
                print(f"wrote {self.facts[key]}")


@dataclass(frozen=True, slots=True)
class Job:
    """What to segment, with what, and where to write.

    Parameters
    ----------
    image : Path
        The image file.
    labels, overlay : Path
        What to write; the overlay may be None.
    plane : int, optional
        Which plane of a stack.
    contrast : tuple of float, optional
        Limits, as for `to_rgb`.
    model, device : str
        As for `build_tracker`.
    finish : Finish
        Threshold and clean-up.
    whole : bool
        Whether the model sees the whole image at once instead of windows.
    """

    image: Path
    labels: Path
    overlay: Path | None
    plane: int | None = None
    contrast: tuple[float, float] | None = None
    model: str = "nano"
    device: str = "auto"
    finish: Finish = field(default_factory=Finish)
    whole: bool = False

    def run(self, prompts: Mapping[str, Prompt], watch: Stopwatch) -> Outcome:
        """Do all of it.

        Parameters
        ----------
        prompts : mapping of str to Prompt
            By the objects' names, at least one.
        watch : Stopwatch
            Measures the stages, after those that it has.

        Returns
        -------
        Outcome

        Raises
        ------
        Sam3Error
            If the image, a prompt, the model or an output is not usable.
        """
        with Progress() as progress:
            rgb = self._read(prompts, watch, progress)
            tracker = self._load(watch, progress)
            found = self._segment(tracker, rgb, prompts, watch, progress)
            labels = self._write(found, rgb, prompts, watch, progress)
        return Outcome(
            rgb=rgb,
            labels=labels,
            objects=_summary(prompts, found, labels),
            facts={
                "image": str(self.image),
                "shape": list(labels.shape),
                "model": tracker.model_id,
                "device": str(tracker.device),
                "labels": str(self.labels),
                "overlay": None if self.overlay is None else str(self.overlay),
                "seconds": {
                    name: round(seconds, 3)
                    for name, seconds in (
                        *watch.seconds.items(),
                        ("together", watch.total),
                    )
                },
            },
            times=watch.summary(),
        )

    def _read(
        self, prompts: Mapping[str, Prompt], watch: Stopwatch, progress: Progress
    ) -> NDArray[np.uint8]:
        progress.say("reading the image")
        with watch.stage("read image"):
            from napari_sam3.core.painting import check_prompts

            rgb = read_rgb(self.image, plane=self.plane, contrast_limits=self.contrast)
            # Before the model is loaded: a wrong click is told at once.
            check_prompts(prompts, (rgb.shape[0], rgb.shape[1]))
        return rgb

    def _load(self, watch: Stopwatch, progress: Progress) -> Tracker:
        from napari_sam3.models.build import build_tracker

        progress.say("loading torch")
        with watch.stage("import torch"):
            import torch  # noqa: F401
        progress.say(f"loading the model {self.model}")
        with watch.stage("load model"):
            return build_tracker(
                model=self.model,
                device=self.device,
                report=progress.share(f"fetching the model {self.model}"),
            )

    def _segment(
        self,
        tracker: Tracker,
        rgb: NDArray[np.uint8],
        prompts: Mapping[str, Prompt],
        watch: Stopwatch,
        progress: Progress,
    ) -> list[FoundObject]:
        from napari_sam3.core.embeddings import EmbeddingCache
        from napari_sam3.core.painting import find_objects
        from napari_sam3.core.patches import Patch
        from napari_sam3.core.picture import ArrayPicture
        from napari_sam3.core.scene import open_scene
        from napari_sam3.core.store import shared_store
        from napari_sam3.core.stored import embed_stored

        picture = ArrayPicture(rgb)
        share = progress.share("looking at the image")

        known = EmbeddingCache()

        def embed(patch: Patch) -> Embedding:
            embedding = known.get(patch)
            if embedding is None:
                pixels = patch.read(picture)
                embedding = embed_stored(tracker, pixels, shared_store(), share)
                known.put(patch, embedding)
            return embedding

        scene = open_scene(tracker, picture, embed, whole=self.whole)
        progress.say(f"segmenting {len(prompts)} objects")
        with watch.stage("predict"):
            return find_objects(
                scene.tracker,
                scene.embedding,
                list(prompts.values()),
                self.finish,
                report=lambda done, total: progress.say(f"object {done} of {total}"),
            )

    def _write(
        self,
        found: list[FoundObject],
        rgb: NDArray[np.uint8],
        prompts: Mapping[str, Prompt],
        watch: Stopwatch,
        progress: Progress,
    ) -> NDArray[Any]:
        from napari_sam3.core.painting import paint_labels

        progress.say("writing")
        with watch.stage("write"):
            labels = paint_labels(found, (rgb.shape[0], rgb.shape[1]))
            write_labels(self.labels, labels, axes="YX")
            if self.overlay is not None:
                from napari_sam3.cli.overlay import draw_overlay

                picture = draw_overlay(rgb, labels, list(prompts.values()))
                write_atomically(
                    self.overlay,
                    # The default takes five times as long for a sixth less.
                    lambda file: picture.save(file, "PNG", compress_level=1),
                )
        return labels


def _summary(
    prompts: Mapping[str, Prompt], found: list[FoundObject], labels: NDArray[Any]
) -> list[dict[str, Any]]:
    areas = np.bincount(labels.ravel(), minlength=len(found) + 1)
    return [
        {
            "id": number,
            "name": name,
            "score": round(float(one.score), 6),
            "area": int(area),
        }
        for number, (name, one, area) in enumerate(
            zip(prompts, found, areas[1:], strict=True), 1
        )
    ]
