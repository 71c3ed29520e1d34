"""What to say, and to do, where a download is refused."""

from __future__ import annotations

from napari_sam3.models.spec import ModelSpec, WeightsFile

__all__ = [
    "broken_off",
    "by_hand",
    "no_connection",
    "no_hub",
    "offline",
    "refused",
    "said",
    "without_library",
    "wrong_content",
]


def by_hand(spec: ModelSpec) -> str:
    """Return how to do without downloading from here."""
    name = spec.files[0].name if spec.files else "weights.safetensors"
    return (
        f"download {' and '.join(file.name for file in spec.files) or name} by hand "
        f'from {spec.page_url} and give its path: build_tracker(model="/path/{name}")'
    )


def without_library(spec: ModelSpec, command: str) -> str:
    """Return what to say where huggingface_hub is missing."""
    return (
        f"Downloading {spec.id!r} needs huggingface_hub; install it: {command}, or "
        f"{by_hand(spec)}."
    )


def offline(spec: ModelSpec) -> str:
    """Return what to say in offline mode."""
    return (
        f"The weights of {spec.id!r} are not on this machine, and HF_HUB_OFFLINE "
        "forbids to download them; unset it, copy them from another machine's cache, "
        f"or {by_hand(spec)}."
    )


def no_connection(spec: ModelSpec, where: str, reason: str) -> str:
    """Return what to say where nobody answers."""
    return (
        f"{where} cannot be reached ({reason}); check the network and the proxy, set "
        f"HF_ENDPOINT to a mirror, or {by_hand(spec)}."
    )


def no_hub(spec: ModelSpec, where: str) -> str:
    """Return what to say where something else than a hub answers."""
    return (
        f"{where} does not answer like Hugging Face; check HF_ENDPOINT and the proxy, "
        f"or {by_hand(spec)}."
    )


def broken_off(spec: ModelSpec, done: int, reason: str) -> str:
    """Return what to say where a download breaks off again and again."""
    return (
        f"The download of {spec.id!r} broke off after {done / 1e6:.0f} MB ({reason}); "
        f"try again: napari-sam3 models download {spec.id} goes on from there."
    )


def wrong_content(spec: ModelSpec, file: WeightsFile, expected: str, got: str) -> str:
    """Return what to say of a file that came whole, but is another."""
    return (
        f"What was downloaded as {file.name} of {spec.id!r} is not the published file: "
        f"its hash should be {expected}, and is {got}. It was removed; try again, and "
        "if that does not help, check HF_ENDPOINT and the proxy."
    )


def said(error: BaseException) -> str:
    """Return an error's message in one line, its type if it has none."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def refused(
    spec: ModelSpec,
    file: WeightsFile,
    *,
    status: int,
    code: str,
    message: str,
    where: str,
    has_token: bool,
) -> str:
    """Return what to say where the hub answers with an error.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    file : WeightsFile
        What was asked for.
    status : int
        HTTP status.
    code, message : str
        The hub's own, from the headers ``X-Error-Code`` and ``X-Error-Message``.
    where : str
        Who was asked.
    has_token : bool
        Whether a token was sent.

    Returns
    -------
    str
        Ends with the next step.
    """
    if status in (401, 403) and (spec.gated or code == "GatedRepo"):
        return _gated(spec, status, message, has_token)
    if status == 401 and has_token:
        return _bad_token(spec)
    if status in (401, 404):
        missing = file.name if code in ("EntryNotFound", "RevisionNotFound") else ""
        what = f"{missing} of {spec.repo}" if missing else f"{spec.repo}"
        return (
            f"{where} has no {what} ({status}); check HF_ENDPOINT, update napari-sam3, "
            f"or {by_hand(spec)}."
        )
    if status == 429:
        return (
            f"{where} gets too many requests from here (429); wait some minutes, or "
            "log in with: hf auth login."
        )
    answer = f"{status}{': ' + message if message else ''}"
    return (
        f"{where} does not give {file.name} of {spec.repo} ({answer}); try again "
        f"later, or {by_hand(spec)}."
    )


def _gated(spec: ModelSpec, status: int, message: str, has_token: bool) -> str:
    """Return what to say where a licence has to be accepted first."""
    instead = f"or {by_hand(spec)}"
    told = message.lower()
    if not has_token:
        return (
            f"The weights of {spec.id!r} are given only to those who accepted their "
            f"licence. Accept it at {spec.page_url}, then log in with: hf auth login "
            f"(or set HF_TOKEN), and try again; {instead}."
        )
    if status == 401:
        return _bad_token(spec)
    if "await" in told or "pending" in told:
        return (
            f"Your request for {spec.id!r} still waits for its publisher; look at "
            f"{spec.page_url}, and try again when it is granted, {instead}."
        )
    if "reject" in told or "denied" in told:
        return (
            f"The publisher refused your request for {spec.id!r}; use another model "
            f"(napari-sam3 models lists them), {instead}."
        )
    return (
        f"Your account may not download {spec.id!r} yet: accept its licence at "
        f"{spec.page_url}, and see to it that your token may read gated repositories; "
        f"then try again, {instead}."
    )


def _bad_token(spec: ModelSpec) -> str:
    return (
        "Hugging Face does not know the token that was sent (401); log in again with: "
        f"hf auth login, or set HF_TOKEN to a valid one, or {by_hand(spec)}."
    )
