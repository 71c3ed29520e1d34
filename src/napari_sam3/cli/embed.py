"""``napari-sam3 embed``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam3.cli.opening import (
    discover_readers,
    find_images,
    open_images,
    planes_of,
)
from napari_sam3.cli.report import Progress
from napari_sam3.cli.store import summary
from napari_sam3.core.errors import FileError, ImageError, ModelError, Sam3Error
from napari_sam3.core.patches import Patch, patches
from napari_sam3.core.picture import Picture
from napari_sam3.core.recent import Recent
from napari_sam3.core.store import EmbeddingStore, store_key
from napari_sam3.core.stored import embed_stored, find_stored
from napari_sam3.core.tracker import StorableTracker, WindowTracker

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam3.viewer.looks import Sight

__all__ = ["run"]

#: Bytes of a plane's tiles that are remembered: its windows overlap.
_MEMO_BYTES = 2**28


def run(options: argparse.Namespace) -> None:
    """Embed images in advance.

    Parameters
    ----------
    options : argparse.Namespace
        What the parser made of the command line.
    """
    found = [find_images(path, stack=options.stack) for path in options.paths]
    files = list(chain.from_iterable(found))
    store = EmbeddingStore(options.store)
    with Progress() as progress:
        tracker = _load(options, progress)
        work = Embedder(
            tracker,
            store,
            progress,
            all_windows=options.all_windows,
            sight=_sight(options.contrast),
        )
        try:
            work.embed_files(files)
        finally:
            progress.clear()
            print(f"{work.made} embedded, {work.skipped} were there already")
            print(summary(store))


def _sight(contrast: str | None) -> Sight:
    """Return how images are seen: as the panel remembers it, if nothing is said."""
    from napari_sam3.viewer.looks import Sight
    from napari_sam3.viewer.settings import read_settings

    if contrast is None:
        discover_readers()  # napari then knows this plugin's settings, too
    return Sight(contrast or read_settings().contrast)


def _load(options: argparse.Namespace, progress: Progress) -> StorableTracker:
    from napari_sam3.models.build import build_tracker

    progress.say(f"loading the model {options.model}")
    tracker = build_tracker(
        model=options.model,
        device=options.device,
        report=progress.share(f"fetching the model {options.model}"),
    )
    if not isinstance(tracker, StorableTracker):
        raise ModelError(
            f"What {tracker.model_id} makes of an image cannot be stored; choose "
            "another model with --model."
        )
    if isinstance(tracker, WindowTracker):
        print(
            f"{tracker.model_id} answers clicks from small windows around them, which "
            "need no encoding in advance; this is for its whole-plane mode."
        )
    return tracker


class _StoreError(FileError):
    """The store does not take what is computed: no other image will fare better."""


class Embedder:
    """Embeds what is not in a store yet, and tells how far it is.

    Parameters
    ----------
    tracker : StorableTracker
        The model.
    store : EmbeddingStore
        Where they go.
    progress : Progress
        Where it tells.
    all_windows : bool
        As for `patches`.
    sight : Sight
        How the model is to see images.

    Attributes
    ----------
    made, skipped : int
        How many were computed, and were there already.
    """

    def __init__(
        self,
        tracker: StorableTracker,
        store: EmbeddingStore,
        progress: Progress,
        *,
        all_windows: bool,
        sight: Sight,
    ) -> None:
        self._sight = sight
        self._tracker, self._store, self._progress = tracker, store, progress
        self._all_windows = all_windows
        self._first: str | None = None
        self._seconds = 0.0
        self.made = self.skipped = 0

    def embed_files(self, files: list[Path]) -> None:
        """Embed files, and say what became of each.

        Parameters
        ----------
        files : list of Path
            What cannot be opened is told, and left out.

        Raises
        ------
        Sam3Error
            If the only file cannot be opened, after all others are done if one of
            several cannot; at once if the store cannot take what was computed.
        """
        failed = 0
        for number, file in enumerate(files, 1):
            at = f"image {number} of {len(files)}, " if len(files) > 1 else ""
            self._progress.say(f"{at}opening {file.name}")
            made, skipped = self.made, self.skipped
            try:
                for layer in open_images(file):
                    self._embed_layer(layer, at)
            except (FileError, ImageError) as error:
                if len(files) == 1 or isinstance(error, _StoreError):
                    raise
                failed += 1
                self._print(f"{file.name}: {error}")
                continue
            self._print(
                f"{file.name}: {self.made - made} embedded, "
                f"{self.skipped - skipped} were there already"
            )
        if failed:
            raise FileError(
                f"{failed} of {len(files)} files could not be embedded; see what is "
                "said of them above."
            )

    def _embed_layer(self, layer: Image, at: str) -> None:
        from napari_sam3.viewer.looks import look_of
        from napari_sam3.viewer.sources import plane_source

        planes = planes_of(layer)
        for number, plane in enumerate(planes, 1):
            look = look_of(((layer, plane),), self._sight)
            source = plane_source(layer, plane, 0, look=look)
            places = patches(
                source.shape, self._tracker.view_size, all_windows=self._all_windows
            )
            memo = Recent(_MEMO_BYTES, lambda tile: tile.nbytes)
            where = f"{at}plane {number} of {len(planes)}"
            for index, image in enumerate(_images(source.picture(memo), places), 1):
                left = (len(planes) - number + 1) * len(places) - index + 1
                if len(places) > 1:
                    here = f"{where}, window {index} of {len(places)}"
                else:
                    here = where
                self._embed(image, f"{here}{self._time_for(left)}")

    def _embed(self, image: NDArray[np.uint8], where: str) -> None:
        """Embed one image if it has to be."""
        key = store_key(image, self._tracker.fingerprint)
        self._progress.say(where)
        start = time.perf_counter()
        if find_stored(self._tracker, image, self._store) is not None:
            self.skipped += 1
        else:
            share = self._progress.share(where)
            embed_stored(self._tracker, image, self._store, share)
            self._check_stored(key)
            self.made += 1
            self._seconds += time.perf_counter() - start
        self._first = self._first or key

    def _check_stored(self, key: str) -> None:
        store = self._store
        if key not in store:
            reason = store.trouble or "it has numbers that are too large for float16"
            raise _StoreError(
                f"What was computed is not in the store: {reason}; make room, or give "
                "another folder with --store."
            )
        # Skipping it counted as using it, so whatever is not of this run went before.
        if self._first is not None and self._first not in store:
            raise _StoreError(
                f"All of this does not fit into the store, which holds at most "
                f"{store.cap / 1e6:,.0f} MB: the first of it had to make way; embed "
                "fewer images."
            )

    def _time_for(self, count: int) -> str:
        """Say how long so many would take, once one is known."""
        if not self.made:
            return ""
        minutes, seconds = divmod(round(count * self._seconds / self.made), 60)
        return f", at most {minutes} min {seconds} s left"

    def _print(self, text: str) -> None:
        self._progress.clear()
        print(text, flush=True)


def _images(picture: Picture, places: list[Patch]) -> Iterator[NDArray[np.uint8]]:
    """Read what a model is to see, one after the other."""
    for patch in places:
        try:
            yield patch.read(picture)
        except Sam3Error:
            raise
        except (OSError, ValueError, LookupError) as error:
            raise FileError(
                f"The image cannot be read ({error}); check that it is whole."
            ) from error
