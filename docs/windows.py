"""Draw the picture of docs/large-images.md.

Run as ``python docs/windows.py``; no window is needed. A click in a large plane is
answered by a model with one view, and every part of the plane that it is shown on the
way becomes a panel. It writes ``docs/images/large-windows.png``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["NAMES", "large_plane", "main"]

_ROOT = Path(__file__).resolve().parent.parent
_SIDE, _PANEL = 4096, 340
#: How much smaller the sample's nuclei are in the plane, and which one is clicked.
_REDUCED, _NUCLEUS = 3, (160, 340)
#: The tile of the plane that is clicked in, and how much of the plane the user sees.
_TILE, _SEEN = (12, 9), 1000
_RIM, _CLICK = (255, 210, 0), (86, 180, 233)

#: The pictures.
NAMES = ("large-windows.png",)


def large_plane() -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return many small nuclei, and the place of one of them.

    Returns
    -------
    image : ndarray of shape (4096, 4096, 3) and dtype uint8
        The sample's nuclei, smaller, side by side and turned.
    click : tuple of float
        (row, col).
    """
    from napari_sam3.samples import open_nuclei

    sample = Image.fromarray(open_nuclei()[0][0])
    side = sample.height // _REDUCED
    tile = np.asarray(sample.resize((side, side), Image.Resampling.LANCZOS))
    count = -(-_SIDE // side)
    rows = [
        np.concatenate([np.rot90(tile, row * col) for col in range(count)], axis=1)
        for row in range(count)
    ]
    image = np.ascontiguousarray(np.concatenate(rows)[:_SIDE, :_SIDE])
    row, col = np.divide(_NUCLEUS, _REDUCED)
    return image, (_TILE[0] * side + row, _TILE[1] * side + col)


def _panels() -> list[tuple[str, Image.Image]]:
    """Return what nano's view of 512 pixels is shown, with its answers."""
    from napari_sam3 import build_tracker
    from napari_sam3.core.patches import Patch, whole_patch
    from napari_sam3.core.picture import ArrayPicture
    from napari_sam3.core.prediction import Embedding
    from napari_sam3.core.prompt import Prompt
    from napari_sam3.core.zoom import Zoom

    image, click = large_plane()
    picture = ArrayPicture(image)
    tracker = build_tracker(model="nano", device="cpu").without_windows()
    prompt = Prompt([click], [True])
    seen: list[Patch] = [whole_patch(picture.shape, tracker.view_size)]

    def embed(patch: Patch) -> Embedding:
        seen.append(patch)
        return tracker.embed([patch.read(picture)])[0]

    row, col = click
    half = _SEEN / 2
    field = (row - half, col - half, row + half, col + half)
    zoom = Zoom(tracker, picture.shape, embed, field=field)
    zoom.predict(zoom.embedding(), [prompt], multimask=True)
    titles = ["the whole plane", "the first window", *["a closer window"] * len(seen)]
    panels = []
    for title, patch in zip(titles, seen, strict=False):
        pixels = patch.read(picture)
        (embedding,) = tracker.embed([pixels])
        placed = patch.place(prompt)
        ((*masks,),) = tracker.predict(embedding, [placed], multimask=True)
        best = max(masks, key=lambda one: one.score)
        mask = best.paste(embedding.image_shape) > 0
        side = patch.window.height
        panels.append((f"{title}: {side} px", _panel(pixels, mask, placed.points[0])))
    return panels


def _panel(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], click: NDArray[np.float64]
) -> Image.Image:
    """Return an image as the network sees it, with the click and the mask's rim."""
    from docs.looks import rim

    size = (_PANEL, _PANEL)
    picture = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    enlarged = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    picture[rim(enlarged)] = _RIM
    shown = Image.fromarray(picture)
    row, col = (click + 0.5) * np.divide(_PANEL, mask.shape)
    ImageDraw.Draw(shown).ellipse(
        (col - 4, row - 4, col + 4, row + 4), fill=_CLICK, outline="white"
    )
    return shown


def main(argv: list[str] | None = None) -> int:
    """Draw the picture.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        0.
    """
    from docs.looks import beside_each_other
    from docs.pictures import chosen_folder, with_few_colours

    folder = chosen_folder(argv, "Draw what windows show.")
    picture = with_few_colours(beside_each_other(_panels()))
    picture.save(folder / NAMES[0], optimize=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))  # for docs/
    raise SystemExit(main())
