"""What the catalog says of a model: data only, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_sam3.models.hub_cache import cached_file

__all__ = ["PICKLE_SUFFIXES", "WEIGHTS_SUFFIXES", "Cost", "ModelSpec", "WeightsFile"]

#: What names of weights files end with: those of torch, which may hold code, and all.
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
WEIGHTS_SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of a repository.

    Parameters
    ----------
    name : str
        Its path within the repository.
    size : int, optional
        Bytes, None if that is not known for sure.
    sha256 : str, optional
        In hex digits, None if that is not known for sure: then it is checked
        against what the hub says.
    """

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network computes, to predict how long it takes.

    Parameters
    ----------
    encode, click : float
        Floating-point operations to embed an image, and to answer one click; a
        multiplication and an addition count as two.
    encode_share, click_share : float
        Which share of a plain matrix product's rate they reach; measured in float32
        on two cores of an AMD EPYC 9004.
    working_bytes : int, optional
        Memory in float32 besides the weights, None if it was not measured.
    is_float32 : bool
        Whether it computes in float32 even where another dtype is faster.
    """

    encode: float
    click: float
    encode_share: float
    click_share: float
    working_bytes: int | None = None
    is_float32: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model.

    Parameters
    ----------
    id : str
        What `build_tracker` and ``--model`` take.
    family : str
        The architecture.
    source : str
        Where its weights come from.
    licence : str
        The weights' licence, by its SPDX identifier if it has one.
    summary : str
        One line for people.
    path : Path, optional
        The weights, where they ship with this package; others are in the cache of
        Hugging Face, see `napari_sam3.models.download`.
    licence_url, page_url : str, optional
        The licence's text, and the model's page.
    repo : str, optional
        Hugging Face's id of its repository.
    revision : str
        Branch, tag or commit of the repository.
    files : tuple of WeightsFile
        Which files are its weights. The first one is opened.
    alternatives : tuple of WeightsFile
        Single files that hold the same weights, and do if they are here already.
    gated : bool
        Whether the licence must be accepted on the page before it can be downloaded.
    extra : str, optional
        The extra of this package that it needs.
    input_size, low_res_size : int, optional
        Side in pixels of what the network sees, and of its low-resolution masks.
    embedding_shape : tuple of int, optional
        Channels, rows and columns of an image's embedding.
    parameters : int, optional
        How many numbers answering clicks needs; the file may hold more.
    cost : Cost, optional
        What it computes.
    """

    id: str
    family: str
    source: str
    licence: str
    summary: str
    path: Path | None = None
    licence_url: str | None = None
    page_url: str | None = None
    repo: str | None = None
    revision: str = "main"
    files: tuple[WeightsFile, ...] = ()
    alternatives: tuple[WeightsFile, ...] = ()
    gated: bool = False
    extra: str | None = None
    input_size: int | None = None
    low_res_size: int | None = None
    embedding_shape: tuple[int, int, int] | None = None
    parameters: int | None = None
    cost: Cost | None = None

    @property
    def choices(self) -> tuple[tuple[WeightsFile, ...], ...]:
        """Sets of files any of which is the model."""
        return (self.files, *((file,) for file in self.alternatives))

    @property
    def here(self) -> tuple[Path, ...]:
        """The files that are on this machine, whole or not; empty if some are not."""
        if self.path is not None:
            return (self.path,) if self.path.is_file() else ()
        if self.repo is None:
            return ()
        for files in self.choices:
            paths = [cached_file(self.repo, file.name, self.revision) for file in files]
            found = [path for path in paths if path is not None]
            if found and len(found) == len(paths):
                return tuple(found)
        return ()

    @property
    def is_here(self) -> bool:
        """Whether the weights are on this machine; see `find_weights` for checking."""
        return bool(self.here)

    @property
    def size(self) -> int | None:
        """Bytes of the weights: of those here, else of the download if known."""
        if here := self.here:
            return sum(path.stat().st_size for path in here)
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if sizes and len(sizes) == len(self.files) else None
