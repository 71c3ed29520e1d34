"""What options hold: clicks, boxes, limits, areas."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from napari_sam3.cli.drafts import Draft
from napari_sam3.core.errors import PromptError

__all__ = [
    "AddPrompt",
    "NextObject",
    "Parser",
    "ShowVersion",
    "UsageError",
    "area",
    "coordinates",
    "join_signed_values",
    "limits",
    "path_ending",
    "size",
]


class UsageError(Exception):
    """Arguments that argparse refuses."""


class Parser(argparse.ArgumentParser):
    """A parser that leaves complaining to its caller."""

    def error(self, message: str) -> NoReturn:
        """Raise; argparse would print the whole usage and exit."""
        raise UsageError(f"{message}; see {self.prog} --help.")


class AddPrompt(argparse.Action):
    """Add a click or a box to the object that is being described."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take one option's numbers."""
        drafts: list[Draft] = namespace.objects
        if not drafts:
            drafts.append(Draft("1"))
        try:
            drafts[-1].add((option_string or "").removeprefix("--"), values)
        except PromptError as error:
            raise argparse.ArgumentError(self, str(error)) from error


class NextObject(argparse.Action):
    """Begin the description of another object."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Begin it."""
        namespace.objects.append(Draft(str(len(namespace.objects) + 1)))


class ShowVersion(argparse.Action):
    """Print the version, which is looked up only when asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Print it and leave."""
        import napari_sam3

        print(f"napari-sam3 {napari_sam3.__version__}")
        parser.exit()


def join_signed_values(arguments: Sequence[str]) -> list[str]:
    """Bind values that begin with a minus to their option.

    argparse takes ``-5,-5,20,20`` for an option of its own, but a box may reach
    beyond the image.

    Parameters
    ----------
    arguments : sequence of str
        As typed.

    Returns
    -------
    list of str
        With ``--box -5,…`` as ``--box=-5,…``.

    Examples
    --------
    >>> join_signed_values(["--box", "-5,0,9,9", "-o", "labels.tif"])
    ['--box=-5,0,9,9', '-o', 'labels.tif']
    """
    joined: list[str] = []
    for argument in arguments:
        follows = bool(joined) and re.fullmatch(r"--[a-z-]+", joined[-1]) is not None
        if follows and re.match(r"-(\d|\.\d|inf|nan)", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def coordinates(form: str) -> Callable[[str], tuple[float, ...]]:
    """Return a reader of finite numbers.

    Parameters
    ----------
    form : str
        Such as ``"X,Y"``: how many there are, and how messages call them.

    Returns
    -------
    callable
        Raises ``argparse.ArgumentTypeError`` for anything else.

    Examples
    --------
    >>> coordinates("X,Y")("3,4.5")
    (3.0, 4.5)
    """
    count = form.count(",") + 1

    def read(text: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {form}; give {count} numbers with commas between, "
                "no spaces"
            )
        return numbers

    return read


def limits(text: str) -> tuple[float, ...]:
    """Read ``LOW,HIGH``."""
    numbers = coordinates("LOW,HIGH")(text)
    if numbers[0] >= numbers[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: LOW must be less than HIGH")
    return numbers


def area(text: str) -> float:
    """Read an area in pixels; ``inf`` is one."""
    try:
        pixels = float(text)
    except ValueError:
        pixels = math.nan
    if not pixels >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no area; give pixels, 0 or more")
    return pixels


def size(text: str) -> float:
    """Read the size of an object in pixels, above 0."""
    try:
        pixels = float(text)
    except ValueError:
        pixels = math.nan
    if not 0 < pixels < math.inf:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give pixels, more than 0"
        )
    return pixels


def path_ending(*suffixes: str) -> Callable[[str], Path]:
    """Return a reader of file names that say their format.

    Parameters
    ----------
    *suffixes : str
        Such as ``".tif"``, in lower case.

    Returns
    -------
    callable
        Raises ``argparse.ArgumentTypeError`` for other names.
    """

    def read(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(
                f"{text!r} does not end with {' or '.join(suffixes)}"
            )
        return path

    return read
