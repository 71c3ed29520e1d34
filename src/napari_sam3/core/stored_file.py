"""One stored embedding as bytes: safetensors with a digest of the whole file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMAT", "StoredEmbedding", "pack", "to_halves", "unpack"]

#: Another number makes all earlier files useless. It has to change with the
#: layout of the files, and when the same weights begin to give other numbers for
#: the same pixels.
FORMAT = "napari-sam3 embedding 1"
_DIGEST_SIZE = 32
#: What stands in the digest's place while it is computed.
_BLANK = "0" * (2 * _DIGEST_SIZE)


@dataclass(frozen=True, slots=True, eq=False)
class StoredEmbedding:
    """What a store knows of an image.

    Parameters
    ----------
    arrays : dict of str to ndarray of dtype float16
        The model's own.
    image_shape : tuple of int
        (rows, columns) of the image.
    """

    arrays: dict[str, NDArray[np.float16]]
    image_shape: tuple[int, int]


def to_halves(
    arrays: Mapping[str, NDArray[Any]],
) -> dict[str, NDArray[np.float16]] | None:
    """Return arrays as float16, None if a value is not finite in it."""
    halves = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            half = np.ascontiguousarray(array, np.float16).reshape(array.shape)
        if not np.isfinite(half).all():
            return None
        halves[name] = half
    return halves


def pack(
    key: str, arrays: Mapping[str, NDArray[np.float16]], image_shape: tuple[int, int]
) -> list[memoryview]:
    """Lay out a file.

    Parameters
    ----------
    key : str
        The embedding's; a file under another name is no good.
    arrays : mapping of str to ndarray of dtype float16
        Contiguous.
    image_shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    list of memoryview
        Its bytes, to be written one after the other.
    """
    from safetensors.numpy import save

    rows, cols = image_shape
    metadata = {
        "format": FORMAT,
        "key": key,
        "image_shape": f"{rows},{cols}",
        "digest": _BLANK,
    }
    content = memoryview(save(dict(arrays), metadata))
    place = _place_of_digest(content, _BLANK)
    digest = _digest(content, place).encode()
    return [content[:place], memoryview(digest), content[place + len(_BLANK) :]]


def unpack(key: str, content: bytes) -> StoredEmbedding | None:
    """Read a file, and refuse it unless each byte is as `pack` wrote it.

    Parameters
    ----------
    key : str
        Of the embedding that is wanted.
    content : bytes
        Of the file; anything.

    Returns
    -------
    StoredEmbedding or None
        None for any other file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    view = memoryview(content)
    try:
        metadata = json.loads(bytes(_header(view)))["__metadata__"]
        if (metadata["format"], metadata["key"]) != (FORMAT, key):
            return None
        place = _place_of_digest(view, metadata["digest"])
        if _digest(view, place) != metadata["digest"]:
            return None
        rows, cols = map(int, metadata["image_shape"].split(","))
        arrays = load(content)
    # RecursionError: brackets within brackets, if somebody means mischief.
    except (ValueError, LookupError, TypeError, RecursionError, SafetensorError):
        return None
    if any(array.dtype != np.float16 for array in arrays.values()):
        return None
    return StoredEmbedding(arrays, (rows, cols))


def _header(content: memoryview) -> memoryview:
    """Return the JSON that a safetensors file begins with."""
    length = int.from_bytes(content[:8], "little")
    return content[8 : 8 + length]


def _place_of_digest(content: memoryview, digest: str) -> int:
    """Return where in a file its digest stands; ValueError if it does not."""
    return 8 + bytes(_header(content)).index(f'"digest":"{digest}"'.encode()) + 10


def _digest(content: memoryview, place: int) -> str:
    """Hash a whole file, with zeros where the digest stands."""
    digest = hashlib.blake2b(content[:place], digest_size=_DIGEST_SIZE)
    digest.update(_BLANK.encode())
    digest.update(content[place + len(_BLANK) :])
    return digest.hexdigest()
