"""What lazy arrays are stored in."""

from __future__ import annotations

from typing import Any

__all__ = ["chunk_of"]


def chunk_of(array: Any) -> list[int]:
    """Return the shape of what an array is stored in: its chunks, or pixels.

    Parameters
    ----------
    array : array_like
        Of numpy, zarr, h5py, dask or the like.

    Returns
    -------
    list of int
        One for each axis.

    Examples
    --------
    >>> import numpy as np
    >>> chunk_of(np.zeros((3, 4)))
    [1, 1]
    """
    chunks = getattr(array, "chunks", None)
    if chunks is None:
        return [1] * len(array.shape)
    # dask names the size of each chunk, zarr and h5py that of all.
    return [one if isinstance(one, int) else max(one, default=1) for one in chunks]
