"""What the model menu offers, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from napari_sam3.core.errors import Sam3Error
from napari_sam3.models.catalog import CATALOG, ModelSpec
from napari_sam3.models.device import leave_a_core, resolve_device
from napari_sam3.models.loading import load_torch_libraries
from napari_sam3.models.machine import Machine, forecast, measure
from napari_sam3.viewer.asking import Asking
from napari_sam3.viewer.engine import Engine, Tell
from napari_sam3.viewer.inference import News

__all__ = [
    "ModelOffer",
    "ask_for_speed",
    "in_bytes",
    "install_command",
    "model_offers",
    "rounded",
]

#: How long this machine is measured.
_PROBE_SECONDS = 1.0

#: What has to be there to import, by the extra of this package that brings it.
_NEEDS = {"families": ("transformers",), "hub": ("huggingface_hub", "filelock")}


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model of the catalog, and what is known of it on this machine.

    Parameters
    ----------
    model : str
        Its id, as `Session.model` takes it.
    summary : str
        One line about it.
    is_here : bool
        Whether its weights are on this machine; else choosing it downloads them.
    size : int or None
        Bytes of its weights; None if that is not known before the download.
    licence : str
        Of the weights.
    is_gated : bool
        Whether the licence has to be accepted on the model's page first.
    install : str
        The command that installs what it lacks; empty if nothing.
    seconds_per_image, seconds_per_click : float or None
        How long they take here, roughly; None as long as it is not known.
    is_measured : bool
        Whether the time per image was measured, not predicted.
    fits_memory : bool or None
        Whether it fits into the memory that was free when it was looked at.
    """

    model: str
    summary: str
    is_here: bool
    size: int | None
    licence: str
    is_gated: bool
    install: str = ""
    seconds_per_image: float | None = None
    seconds_per_click: float | None = None
    is_measured: bool = False
    fits_memory: bool | None = None

    def __str__(self) -> str:
        """Return it as a line."""
        parts = [f"{self.model}: {self.summary}", self.size_in_words]
        if self.speed:
            parts.append(self.speed)
        parts.append(self.licence_in_words)
        return " · ".join(parts)

    @property
    def size_in_words(self) -> str:
        """Such as ``"3.4 GB to download"``."""
        size = "" if self.size is None else f"{in_bytes(self.size)} "
        return f"{size}on this machine" if self.is_here else f"{size}to download"

    @property
    def licence_in_words(self) -> str:
        """The licence, and whether it has to be accepted."""
        return self.licence + ", to be accepted first" * self.is_gated

    @property
    def speed(self) -> str:
        """How long it takes here, in words; empty if that is not known."""
        image, click = self.seconds_per_image, self.seconds_per_click
        if image is None or click is None:
            return ""
        return f"about {rounded(image)} s an image and {rounded(click)} s a click"


def model_offers(engine: Engine, device: str) -> tuple[ModelOffer, ...]:
    """Return the catalog with what is known of each model.

    Parameters
    ----------
    engine : Engine
        That measured this machine, or not yet.
    device : str
        Where the models would run.

    Returns
    -------
    tuple of ModelOffer
        In the catalog's order.
    """
    return tuple(_offer(spec, engine, device) for spec in CATALOG.values())


def ask_for_speed(
    asking: Asking, engine: Engine, device: str, tell: Callable[[], object]
) -> None:
    """Have this machine measured on the inference thread, unless it was.

    Parameters
    ----------
    asking : Asking
        The session's way to the thread.
    engine : Engine
        That remembers it.
    device : str
        Where models would run.
    tell : callable
        Called when it is known.
    """
    if device in engine.machines:
        return
    before = asking.status

    def then(_: object) -> None:
        # What was said before is still so.
        if not before.busy and not asking.is_asking:
            asking.status = before
        tell()

    asking.ask(partial(_measure, engine, device), then, is_request=False)


def install_command(spec: ModelSpec) -> str:
    """Return the command that installs what a model lacks; empty if nothing."""
    wanted = [spec.extra] if spec.extra else []
    if not spec.is_here and spec.repo is not None:
        wanted.append("hub")
    missing = [
        extra for extra in wanted if not all(map(find_spec, _NEEDS.get(extra, ())))
    ]
    return f'pip install "napari-sam3[{",".join(missing)}]"' if missing else ""


def rounded(seconds: float) -> str:
    """Return two significant digits: more would promise what nobody knows."""
    if seconds < 0.01:
        return "<0.01"
    return f"{float(f'{seconds:.2g}'):g}"


def in_bytes(size: int) -> str:
    """Return a size as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _offer(spec: ModelSpec, engine: Engine, device: str) -> ModelOffer:
    machine = engine.machines.get(device)
    image = click = fits = measured = None
    if machine is not None:
        fingerprint = engine.fingerprints.get(spec.id, "")
        measured = engine.seconds.get((fingerprint, machine.device))
        if spec.cost is not None:
            guess = forecast(machine, spec.cost, spec.parameters or 0)
            image, click = guess.seconds_per_image, guess.seconds_per_click
            fits = guess.fits
    return ModelOffer(
        model=spec.id,
        summary=spec.summary,
        is_here=spec.is_here,
        size=spec.size,
        licence=spec.licence,
        is_gated=spec.gated and not spec.is_here,
        install=install_command(spec),
        seconds_per_image=measured or image,
        seconds_per_click=click,
        is_measured=measured is not None,
        fits_memory=fits,
    )


def _measure(engine: Engine, device: str, tell: Tell) -> Machine | None:
    machine = engine.machines.get(device)
    if machine is None:
        tell(News("measuring how fast this machine is…"))
        load_torch_libraries()
        # no such device: whoever chooses it hears of it
        with suppress(Sam3Error):
            # With the threads that models compute with.
            leave_a_core(resolve_device(device))
            machine = engine.machines[device] = measure(device, seconds=_PROBE_SECONDS)
    return machine
