"""What a weights file is, whether it is whole, and what this machine makes of it."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_sam3.core.errors import CheckpointError, ModelError, Sam3Error
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.download import find_weights
from napari_sam3.models.examination import Examination
from napari_sam3.models.machine import Machine, forecast
from napari_sam3.models.spec import Cost, ModelSpec
from napari_sam3.models.verified import digest

if TYPE_CHECKING:
    from napari_sam3.models.weights.source import TensorSource

__all__ = ["examine"]

#: Names of tensors that are shown of a file that nothing else is known of.
_SHOWN = 3


def examine(
    model: str | os.PathLike[str],
    *,
    machine: Machine | None = None,
    report: Report = no_report,
) -> Examination:
    """Look into weights, without building a network.

    Parameters
    ----------
    model : str or path
        A catalog id, a weights file, or a folder of one.
    machine : Machine, optional
        Where it would run, to predict how long that takes.
    report : callable, optional
        As for `find_weights`.

    Returns
    -------
    Examination
        What was found, damage included.

    Raises
    ------
    CheckpointError
        If there is nothing to look into.
    """
    spec = CATALOG.get(os.fspath(model)) if isinstance(model, str) else None
    path = Path(model) if spec is None else _path_of(spec)
    if not path.exists():
        raise CheckpointError(
            f"There is no weights file at {path}, nor a model of that name; "
            "napari-sam3 models lists the models."
        )
    problems: tuple[str, ...] = ()
    if spec is None:
        spec = _published_as(path, report)
        published = True if spec is not None else None
    else:
        whole = None if spec.path is not None else find_weights(spec, report=report)
        path = whole or path
        published = _is_published(spec, whole)
        if published is False:
            remedy = f"get it again: napari-sam3 models download {spec.id}"
            problems = (f"its content is not the published one; {remedy}",)
    size = sum(file.stat().st_size for file in _files(path, spec))
    known = Examination(path, size, spec, published, problems=problems)
    return _look_into(known, machine)


def _path_of(spec: ModelSpec) -> Path:
    if spec.here:
        return spec.here[0]
    if spec.repo is None:
        raise CheckpointError(
            f"The weights of {spec.id!r} are not at {spec.path}; reinstall napari-sam3."
        )
    raise CheckpointError(
        f"{spec.id!r} is not on this machine; get it: napari-sam3 models download "
        f"{spec.id}."
    )


def _files(path: Path, spec: ModelSpec | None) -> list[Path]:
    """Return the files that belong together."""
    if spec is not None and path in spec.here:
        return list(spec.here)
    folder = path if path.is_dir() else path.parent
    if path.is_dir() or path.name.endswith(".index.json"):
        return [file for file in folder.iterdir() if file.is_file()]
    return [path]


def _is_published(spec: ModelSpec, whole: Path | None) -> bool | None:
    """Tell whether a model's files are the published ones, None if nobody knows."""
    if whole is not None:
        return True
    is_known = spec.path is None and all(file.sha256 for file in spec.files)
    return False if is_known else None


def _published_as(path: Path, report: Report) -> ModelSpec | None:
    """Return the model whose published file this is, wherever it lies."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    for spec in CATALOG.values():
        if spec.path is not None and spec.path.is_file() and path.samefile(spec.path):
            return spec
        hashes = [
            file.sha256
            for file in (*spec.files, *spec.alternatives)
            if file.sha256 and file.size == size
        ]
        if hashes and digest(path, report=report) in hashes:
            return spec
    return None


def _look_into(known: Examination, machine: Machine | None) -> Examination:
    """Open what is there, and hold it against the network that it names."""
    from napari_sam3.models.weights.source import open_weights

    try:
        with open_weights(known.path) as source:
            content = _content(source)
            comparison = _compare(source)
    except Sam3Error as error:
        said = (*known.problems, str(error))
        return replace(known, is_whole=False, problems=said)
    is_whole = comparison.is_whole
    if known.is_published is False:
        is_whole = False
    cost, needed = _cost(known.spec, comparison)
    return replace(
        known,
        format=content.format,
        tensors=content.tensors,
        parameters=content.parameters,
        dtypes=content.dtypes,
        layout=comparison.layout,
        used=comparison.used,
        is_whole=is_whole,
        problems=(*known.problems, *comparison.problems),
        forecast=forecast(machine, cost, needed) if machine and cost else None,
    )


class _Content(NamedTuple):
    format: str
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]


class _Comparison(NamedTuple):
    layout: str | None = None
    family: str | None = None
    is_whole: bool | None = None
    used: int = 0
    needed: int = 0
    problems: tuple[str, ...] = ()


def _content(source: TensorSource) -> _Content:
    dtypes = Counter(str(source.read(name).dtype) for name in source.shapes)
    return _Content(
        source.format,
        len(source.shapes),
        sum(math.prod(shape) for shape in source.shapes.values()),
        tuple(name.removeprefix("torch.") for name, _ in dtypes.most_common()),
    )


def _compare(source: TensorSource) -> _Comparison:
    from napari_sam3.models.layouts import LAYOUTS, expected_shapes
    from napari_sam3.models.weights.layout import compare, recognise

    layout = recognise(source.shapes, LAYOUTS)
    if layout is None:
        names = ", ".join(list(source.shapes)[:_SHOWN])
        problem = (
            f"its tensors ({names}, …) have the names of no network that napari-sam3 "
            "knows; give the weights of SAM 3, SAM 2.1, SAM 1 or nano"
        )
        return _Comparison(is_whole=False, problems=(problem,))
    try:
        expected = expected_shapes(layout)
    except ModelError as error:
        said = (f"not compared with the network: {error}",)
        return _Comparison(layout.name, layout.family, problems=said)
    found = compare(source.shapes, layout, expected)
    return _Comparison(
        layout.name,
        layout.family,
        found.is_whole,
        sum(map(len, found.pieces.values())),
        sum(math.prod(shape) for shape in expected.values()),
        tuple(found.describe(listed=None)),
    )


def _cost(spec: ModelSpec | None, comparison: _Comparison) -> tuple[Cost | None, int]:
    """Return what a network computes, and how many numbers it needs.

    A file that is not in the catalog costs what the model of its family costs that
    is most like it in size.
    """
    if spec is None and comparison.needed:
        related = [
            other
            for other in CATALOG.values()
            if other.family == comparison.family and other.parameters
        ]
        spec = min(
            related,
            key=lambda other: abs((other.parameters or 0) - comparison.needed),
            default=None,
        )
    if spec is None or spec.cost is None:
        return None, 0
    return spec.cost, comparison.needed or spec.parameters or 0
