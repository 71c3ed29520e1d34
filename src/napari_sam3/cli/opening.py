"""Opening image files as napari does, without a window."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam3.core.errors import FileError, ImageError

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam3.core.record import Plane

__all__ = ["discover_readers", "find_images", "open_images", "planes_of"]

#: What a folder holds that is one image in itself.
_ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


def find_images(path: Path, *, stack: bool = False) -> list[Path]:
    """Return what is to be opened.

    Parameters
    ----------
    path : Path
        An image file, a zarr folder, or a folder of images.
    stack : bool
        Whether a folder of images is opened as one.

    Returns
    -------
    list of Path
        The path itself, or a folder's visible files and zarr folders; numbers in
        names count as such.

    Raises
    ------
    FileError
        If there is nothing.
    """
    try:
        if not path.is_dir() or _is_zarr(path) or stack:
            path.stat()
            return [path]
        entries = sorted(path.iterdir(), key=lambda entry: _natural(entry.name))
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({error.strerror}); check the path."
        ) from error
    found = [
        entry
        for entry in entries
        if not entry.name.startswith(".") and (entry.is_file() or _is_zarr(entry))
    ]
    if not found:
        raise FileError(f"There is no image in {path}; give a folder with images.")
    return found


def open_images(path: Path) -> list[Image]:
    """Open an image with the reader that napari would take.

    Parameters
    ----------
    path : Path
        As `find_images` returns it.

    Returns
    -------
    list of napari.layers.Image
        As they come up in napari, contrast and colormap included; at least one.

    Raises
    ------
    ImageError
        If napari has no reader for it, or there is no image in it.
    FileError
        If it cannot be read.
    """
    from napari.components import ViewerModel
    from napari.errors import (
        MultipleReaderError,
        NoAvailableReaderError,
        ReaderPluginError,
    )
    from napari.layers import Image

    discover_readers()
    try:
        with _quiet():
            layers = ViewerModel().open(str(path), plugin=None)
    except NoAvailableReaderError as error:
        raise ImageError(
            f"napari has no reader for {path}; give an image that it opens, or install "
            "a plugin that reads it."
        ) from error
    except MultipleReaderError as error:
        raise FileError(
            f"Several plugins of napari can open {path}; choose one of them in napari "
            "under Preferences ▸ Plugins."
        ) from error
    except (ReaderPluginError, OSError) as error:
        reason = getattr(error, "original_error", None) or error
        reason = str(reason) or type(reason).__name__
        raise FileError(
            f"{path} cannot be read ({reason}); check that it is whole and an image."
        ) from error
    images = [layer for layer in layers if isinstance(layer, Image)]
    if not images:
        raise ImageError(f"{path} holds no image; give an image.")
    return images


def planes_of(layer: Image) -> list[Plane]:
    """Return the planes that the sliders lead through as long as no axis is rolled.

    Parameters
    ----------
    layer : napari.layers.Image
        Of any number of axes.

    Returns
    -------
    list of Plane
        In the order of the data.
    """
    import numpy as np

    from napari_sam3.core.record import Plane

    shape = (layer.data[0] if layer.multiscale else layer.data).shape[: layer.ndim]
    axes = (layer.ndim - 2, layer.ndim - 1)
    return [
        Plane(axes, (*map(int, index), None, None)) for index in np.ndindex(*shape[:-2])
    ]


def _is_zarr(path: Path) -> bool:
    # napari itself goes by the name.
    named = any(part.endswith(".zarr") for part in path.parts)
    return path.is_dir() and (
        named or any((path / name).exists() for name in _ZARR_FILES)
    )


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts plane 10 after plane 9."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def discover_readers() -> None:
    """Find the plugins that are installed, less those that the user turned off."""
    from napari.settings import get_settings
    from npe2 import PluginManager

    manager = PluginManager.instance()
    with _quiet():
        for name in get_settings().plugins.disabled_plugins:
            manager.disable(name)
        manager.discover()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep readers from talking past us: what matters ends as an error."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
