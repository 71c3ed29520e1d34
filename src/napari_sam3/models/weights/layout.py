"""How a published file names a network's tensors, and filling a network from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_sam3.core.errors import CheckpointError, MemoryFullError
from napari_sam3.models.device import is_out_of_memory
from napari_sam3.models.weights.fingerprint import weights_hash
from napari_sam3.models.weights.source import TensorSource

__all__ = [
    "Findings",
    "Layout",
    "Piece",
    "Target",
    "compare",
    "fill",
    "recognise",
    "weights_hash",
]

#: Names that a message lists.
_LISTED = 5


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """Where a tensor of a file goes, if it is not a tensor of the network by itself.

    Parameters
    ----------
    name : str
        The network's tensor.
    index, count : int
        It is one of ``count`` equal parts of that, along the first axis.
    skip : int
        Entries at the start of its second axis that the network does not want.
    share, shares : int
        Of ``shares`` equal parts that the file's tensor has along its first axis,
        this one is meant; the others are other tensors of the network.
    """

    name: str
    index: int = 0
    count: int = 1
    skip: int = 0
    share: int = 0
    shares: int = 1

    def shape_in_file(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that the file's tensor must have.

        Parameters
        ----------
        shape : tuple of int
            Of the network's tensor.
        """
        wanted = list(shape)
        if self.count > 1 or self.shares > 1:
            wanted[0] = wanted[0] * self.shares // self.count
        if self.skip:
            wanted[1] += self.skip
        return tuple(wanted)


#: What a tensor of a file is to the network: a tensor, a piece of one, several, or
#: nothing.
Target = str | Piece | tuple[Piece, ...] | None


@dataclass(frozen=True, slots=True)
class Layout:
    """The names that a publisher gave to a network's tensors.

    Parameters
    ----------
    name : str
        What people call it, such as ``"SAM 3, as published by Meta"``.
    family : str
        ``"sam3"``, ``"sam2"``, ``"sam1"`` or ``"nano"``.
    variant : str
        Which network of the family, such as ``"sam3.1"`` or ``"vit_b"``.
    marker : str
        Name of a tensor that tells it from other layouts.
    rename : callable
        Takes a name of the file, returns the network's name of that tensor, or a
        `Piece`, or several, or None if the network has no use for it. A name of a
        part that the network uses, but which it does not know, is returned all the
        same, and then is an error.
    markers : mapping of str to tuple of int, optional
        Tensors that must have these shapes as well, to tell sizes of a family apart.
    """

    name: str
    family: str
    variant: str
    marker: str
    rename: Callable[[str], Target]
    markers: Mapping[str, tuple[int, ...]] | None = None

    def fits(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Tell whether a file with these tensors follows it."""
        return self.marker in shapes and all(
            shapes.get(name) == shape for name, shape in (self.markers or {}).items()
        )


def recognise(
    shapes: Mapping[str, tuple[int, ...]], layouts: Sequence[Layout]
) -> Layout | None:
    """Return the first layout that a file's tensors follow.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        As of `TensorSource.shapes`.
    layouts : sequence of Layout
        To choose from.

    Returns
    -------
    Layout or None
        None if it is none of them.
    """
    return next((layout for layout in layouts if layout.fits(shapes)), None)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a file has of a network.

    Attributes
    ----------
    pieces : dict of str to list of (Piece, str)
        For each tensor of the network what it is made of: the pieces, in order,
        with the file's names of them.
    missing : tuple of str
        Tensors that the network needs and the file lacks, by the network's names.
    misshapen : tuple of str
        Tensors of another shape, with both shapes, in words.
    unknown : tuple of str
        Tensors of a used part that the network does not have, by the file's names.
    unused : int
        How many tensors the network has no use for.
    repeated : tuple of str
        Tensors that are the same one of the network as another, by the file's names.
    """

    pieces: dict[str, list[tuple[Piece, str]]]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unknown: tuple[str, ...]
    unused: int
    repeated: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the network can be filled."""
        return not (self.missing or self.misshapen or self.unknown or self.repeated)

    def describe(self, listed: int | None = _LISTED) -> list[str]:
        """Say what is wrong, a line for each kind.

        Parameters
        ----------
        listed : int, optional
            How many names a line has at most; None lists all.
        """
        lines = []
        for title, items in (
            ("missing", self.missing),
            ("of another shape", self.misshapen),
            ("unknown", self.unknown),
            ("there twice", self.repeated),
        ):
            if items:
                shown = ", ".join(items[:listed])
                more = len(items) - len(items[:listed])
                lines.append(
                    f"{len(items)} {title}: {shown}" + (f", … {more} more" * bool(more))
                )
        return lines


def compare(
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    expected: Mapping[str, tuple[int, ...]],
) -> Findings:
    """Hold a file's tensors against a network's.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The file's.
    layout : Layout
        That it follows.
    expected : mapping of str to tuple of int
        The network's, as `expected_shapes` of a family gives them.

    Returns
    -------
    Findings
        What is there and what is not.
    """
    pieces: dict[str, list[tuple[Piece, str]]] = {}
    misshapen, unknown, repeated, unused = [], [], [], 0
    for theirs, shape in shapes.items():
        targets = _pieces_of(layout.rename(theirs))
        if not targets:
            unused += 1
            continue
        if any(piece.name not in expected for piece in targets):
            unknown.append(theirs)
            continue
        for piece in targets:
            found = pieces.setdefault(piece.name, [])
            if any(other.index == piece.index for other, _ in found):
                repeated.append(theirs)
            found.append((piece, theirs))
        wanted = targets[0].shape_in_file(tuple(expected[targets[0].name]))
        if tuple(shape) != wanted:
            misshapen.append(f"{theirs} {tuple(shape)} instead of {wanted}")
    for found in pieces.values():
        found.sort()
    return Findings(
        pieces,
        _missing(pieces, expected),
        tuple(misshapen),
        tuple(unknown),
        unused,
        tuple(repeated),
    )


def _pieces_of(target: Target) -> tuple[Piece, ...]:
    if target is None:
        return ()
    if isinstance(target, str):
        return (Piece(target),)
    return (target,) if isinstance(target, Piece) else target


def _missing(
    pieces: Mapping[str, list[tuple[Piece, str]]],
    expected: Mapping[str, tuple[int, ...]],
) -> tuple[str, ...]:
    missing = []
    for name in expected:
        found = pieces.get(name, [])
        count = found[0][0].count if found else 1
        here = {piece.index for piece, _ in found}
        absent = [index for index in range(count) if index not in here]
        missing += [f"{name}[{i + 1}/{count}]" if count > 1 else name for i in absent]
    return tuple(missing)


def fill(
    network: nn.Module,
    source: TensorSource,
    layout: Layout,
    convert: Callable[[str, Tensor], Tensor] | None = None,
) -> None:
    """Give a network the tensors of a file, all of them or none.

    Parameters
    ----------
    network : nn.Module
        Made on the ``meta`` device: its tensors are replaced, not written into, so
        that what is mapped to a file stays mapped.
    source : TensorSource
        The file.
    layout : Layout
        That it follows.
    convert : callable, optional
        Takes the network's name of a tensor and the tensor, returns it on the
        device and in the dtype that are wanted.

    Raises
    ------
    CheckpointError
        Names the tensors that are missing, of another shape, unknown, there twice, or
        of whole numbers.
    MemoryFullError
        If they do not fit into memory.
    """
    state = network.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    findings = compare(source.shapes, layout, expected)
    if not findings.is_whole:
        raise CheckpointError(
            f"{source.path} looks like {layout.name}, but its tensors are not those "
            f"of the network: {'; '.join(findings.describe())}. Get the file again, or "
            "one of this network: napari-sam3 models doctor says what a file is."
        )
    tensors = {}
    for name, pieces in findings.pieces.items():
        try:
            tensor = _assemble(source, pieces)
            if state[name].is_floating_point() and not tensor.is_floating_point():
                raise CheckpointError(
                    f"{pieces[0][1]} in {source.path} holds whole numbers, as in files "
                    "that were quantised; get weights in float32, bfloat16 or float16."
                )
            tensors[name] = tensor if convert is None else convert(name, tensor)
            continue
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Not in the clause above: the error holds what fills the memory.
        tensors.clear()
        raise MemoryFullError(
            f"The memory is too small for {source.path}; choose a smaller model or "
            "another device, or close other programs."
        )
    network.load_state_dict(tensors, assign=True)


def _assemble(source: TensorSource, pieces: Sequence[tuple[Piece, str]]) -> Tensor:
    """Read what a tensor is made of; alone and whole it stays mapped to its file."""
    parts = []
    for piece, name in pieces:
        tensor = source.read(name)
        rows = len(tensor) // piece.shares if piece.shares > 1 else None
        if rows is not None:
            tensor = tensor[piece.share * rows : (piece.share + 1) * rows]
        parts.append(tensor[:, piece.skip :].clone() if piece.skip else tensor)
    return parts[0] if len(parts) == 1 else torch.cat(parts)
