"""What this machine has to run a network on, and how fast it multiplies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_sam3.models.device import resolve_device, resolve_dtype
from napari_sam3.models.spec import Cost

if TYPE_CHECKING:
    import torch

__all__ = ["Forecast", "Machine", "forecast", "measure"]

#: Rows, inner side and columns of the product: the shape of SAM 3's perceptrons.
_PRODUCT = (1024, 1024, 4736)
#: Seconds that a click takes at least on a graphics card: its kernels are small and
#: wait for each other, however fast the card multiplies.
_LEAST_CLICK = 0.005


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a network would run.

    Parameters
    ----------
    device : str
        Such as ``"cpu"`` or ``"cuda"``.
    name : str
        The graphics card's name, or how many threads compute on the CPU.
    dtype : str
        In which networks that gain by it would compute, such as ``"bfloat16"``.
    torch : str
        torch's version.
    rates : dict of str to float
        Floating-point operations per second of a matrix product, in that dtype and
        in float32.
    memory, free_memory : int, optional
        Bytes of the device; None if the system does not say.
    """

    device: str
    name: str
    dtype: str
    torch: str
    rates: dict[str, float]
    memory: int | None
    free_memory: int | None

    def lines(self) -> list[str]:
        """Say it in words, a line for each thing."""
        rates = " and ".join(
            f"{rate / 1e9:,.0f} in {dtype}" for dtype, rate in self.rates.items()
        )
        lines = [
            f"device: {self.device} ({self.name}), torch {self.torch}",
            f"computes in {self.dtype}; billion operations a second: about {rates}",
        ]
        if self.memory is not None and self.free_memory is not None:
            lines.append(
                f"memory: {self.free_memory / 1e9:.1f} of {self.memory / 1e9:.1f} GB "
                "free"
            )
        return lines


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a machine will make of a network, roughly.

    Parameters
    ----------
    seconds_per_image, seconds_per_click : float
        To embed an image, and to answer a click.
    memory : int
        Bytes of weights and work together.
    is_lower_bound : bool
        Whether only the weights are known, and not what the work needs.
    fits : bool or None
        Whether that much is free; None if that is not known.
    """

    seconds_per_image: float
    seconds_per_click: float
    memory: int
    is_lower_bound: bool
    fits: bool | None

    def line(self) -> str:
        """Say it in words."""
        about = "at least" if self.is_lower_bound else "about"
        text = (
            f"about {_rounded(self.seconds_per_image)} s an image and "
            f"{_rounded(self.seconds_per_click)} s a click, {about} "
            f"{self.memory / 1e9:.1f} GB of memory"
        )
        if self.fits is False:
            text += ", more than is free: close other programs, or use a smaller model"
        return text


def measure(
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    *,
    seconds: float = 1.0,
) -> Machine:
    """Look at this machine, and measure how fast it multiplies.

    Parameters
    ----------
    device, dtype : str
        As for `build_tracker`.
    seconds : float
        For how long, about.

    Returns
    -------
    Machine
        What was found.

    Raises
    ------
    ModelError
        If there is no such device or dtype.
    """
    import torch

    target = resolve_device(device)
    chosen = resolve_dtype(dtype, target)
    total, free = _memory(target)
    numbers = dict.fromkeys((torch.float32, chosen))
    return Machine(
        device=str(target),
        name=_name(target),
        dtype=_name_of(chosen),
        torch=torch.__version__,
        rates={
            _name_of(number): _rate(target, number, seconds / len(numbers))
            for number in numbers
        },
        memory=total,
        free_memory=free,
    )


def forecast(machine: Machine, cost: Cost, parameters: int) -> Forecast:
    """Predict what a machine will make of a network.

    Parameters
    ----------
    machine : Machine
        As `measure` found it.
    cost : Cost
        What the network computes.
    parameters : int
        How many numbers its weights are.

    Returns
    -------
    Forecast
        From operations and rate; expect it to be right within a factor of two.
    """
    dtype = "float32" if cost.is_float32 else machine.dtype
    rate, itemsize = machine.rates[dtype], 4 if dtype == "float32" else 2
    click = cost.click / (rate * cost.click_share)
    if machine.device != "cpu":
        click = max(click, _LEAST_CLICK)
    work = (cost.working_bytes or 0) * itemsize // 4
    memory = parameters * itemsize + work
    free = machine.free_memory
    return Forecast(
        seconds_per_image=cost.encode / (rate * cost.encode_share),
        seconds_per_click=click
        if machine.device == "cpu"
        else max(click, _LEAST_CLICK),
        memory=memory,
        is_lower_bound=cost.working_bytes is None,
        fits=None if free is None else memory <= free,
    )


def _rate(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Return the best rate of a matrix product, in operations per second."""
    import torch

    rows, inner, cols = _PRODUCT
    with torch.inference_mode():
        left = torch.ones(rows, inner, dtype=dtype, device=device)
        right = torch.ones(inner, cols, dtype=dtype, device=device)
        best = float("inf")
        start = time.perf_counter()
        for _ in range(1000):
            begin = time.perf_counter()
            # Reading one number waits until a graphics card is done.
            float((left @ right)[0, 0])
            end = time.perf_counter()
            best = min(best, end - begin)
            if end - start >= seconds:
                break
    return 2.0 * rows * inner * cols / best


def _memory(device: torch.device) -> tuple[int | None, int | None]:
    """Return the bytes that a device has, and those that are free."""
    import torch

    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(total), int(free)
    if device.type == "mps":
        total = int(torch.mps.recommended_max_memory())
        return total, total - int(torch.mps.driver_allocated_memory())
    try:
        psutil: Any = import_module("psutil")  # napari brings it
    except ImportError:
        return None, None
    state = psutil.virtual_memory()
    return int(state.total), int(state.available)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)}"


def _rounded(seconds: float) -> str:
    """Return two significant digits: more would promise what a probe cannot."""
    return f"{float(f'{seconds:.2g}'):g}"
