"""What was found out about a weights file, in words and as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam3.models.machine import Forecast
from napari_sam3.models.spec import ModelSpec

__all__ = ["Examination"]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found out about weights.

    Parameters
    ----------
    path : Path
        What was opened.
    size : int
        Bytes, of all files that belong together.
    spec : ModelSpec, optional
        The model of the catalog that it is.
    is_published : bool, optional
        Whether the content is that of the published file, by its hash; None if no
        hash is known.
    format : str, optional
        As of `TensorSource`; None if it cannot be opened.
    layout : str, optional
        Whose names of which network its tensors have.
    tensors, parameters : int
        How many there are, and of how many numbers together.
    dtypes : tuple of str
        Of the tensors, the most frequent first.
    used : int
        How many tensors the network takes from it.
    is_whole : bool, optional
        Whether a network can be filled from it; None if that cannot be told here.
    problems : tuple of str
        What is wrong, every tensor by its name.
    forecast : Forecast, optional
        What the machine will make of it.
    """

    path: Path
    size: int
    spec: ModelSpec | None = None
    is_published: bool | None = None
    format: str | None = None
    layout: str | None = None
    tensors: int = 0
    parameters: int = 0
    dtypes: tuple[str, ...] = ()
    used: int = 0
    is_whole: bool | None = None
    problems: tuple[str, ...] = ()
    forecast: Forecast | None = None

    def lines(self) -> list[str]:
        """Say it in words, a line for each thing."""
        lines = [f"file: {self.format or 'cannot be read'}, {self.size / 1e6:,.1f} MB"]
        if self.format is not None:
            lines[0] += (
                f", {self.tensors:,} tensors of {self.parameters:,} numbers in "
                f"{' and '.join(self.dtypes)}"
            )
            lines.append(f"network: {self.layout or 'none that napari-sam3 knows'}")
        if self.is_whole:
            rest = self.tensors - self.used
            lines.append(
                f"whole: yes, all {self.used:,} tensors that are needed"
                + f"; it has no use for {rest:,} others" * bool(rest)
            )
        elif self.is_whole is False:
            lines.append("whole: no")
        else:
            lines.append("whole: cannot be told")
        lines += self.problems
        if self.spec is not None:
            lines += self._origin(self.spec)
        if self.forecast is not None:
            lines.append(f"on this machine: {self.forecast.line()}")
        return lines

    def facts(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        guess, spec = self.forecast, self.spec
        return {
            "path": str(self.path),
            "bytes": self.size,
            "model": None if spec is None else spec.id,
            "licence": None if spec is None else spec.licence,
            "is_published": self.is_published,
            "format": self.format,
            "layout": self.layout,
            "tensors": self.tensors,
            "parameters": self.parameters,
            "dtypes": list(self.dtypes),
            "used_tensors": self.used,
            "is_whole": self.is_whole,
            "problems": list(self.problems),
            "seconds_per_image": None if guess is None else guess.seconds_per_image,
            "seconds_per_click": None if guess is None else guess.seconds_per_click,
            "memory_bytes": None if guess is None else guess.memory,
            "fits_memory": None if guess is None else guess.fits,
        }

    def _origin(self, spec: ModelSpec) -> list[str]:
        same = {True: ", unchanged", False: ", but changed or damaged"}
        known = "" if self.is_published is None else same[self.is_published]
        where = "" if spec.licence_url is None else f" ({spec.licence_url})"
        return [
            f"model: {spec.id} ({spec.source}){known}",
            f"licence: {spec.licence}{where}",
        ]
