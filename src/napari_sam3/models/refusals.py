"""What to say, and to do, where a download is refused."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from napari_sam3.models.hub_cache import cache_folder
from napari_sam3.models.spec import ModelSpec, WeightsFile

__all__ = [
    "another_version",
    "broken_off",
    "by_hand",
    "no_cache",
    "no_connection",
    "no_hub",
    "not_here",
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


def not_here(spec: ModelSpec) -> str:
    """Return what to say where nothing may be downloaded without asking."""
    return (
        f"The weights of {spec.id!r} are not on this machine, or not whole; get them: "
        f"napari-sam3 models download {spec.id}, or choose {spec.id} in the panel's "
        "menu."
    )


def offline(spec: ModelSpec, variables: Sequence[str]) -> str:
    """Return what to say in offline mode, which these variables switch on."""
    forbid, them = ("forbid", "them") if len(variables) > 1 else ("forbids", "it")
    return (
        f"The weights of {spec.id!r} are not on this machine, and "
        f"{' and '.join(variables)} {forbid} to download them; unset {them}, copy "
        f"the weights from another machine's cache, or {by_hand(spec)}."
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


def another_version(spec: ModelSpec, file: WeightsFile, got: str) -> str:
    """Return what to say where the hub has another file than the catalog."""
    return (
        f"{spec.repo} has another {file.name} than the one that this version of "
        f"napari-sam3 knows (hash {got} instead of {file.sha256}); update napari-sam3, "
        f"check HF_ENDPOINT, or {by_hand(spec)}."
    )


def wrong_content(spec: ModelSpec, file: WeightsFile, expected: str, got: str) -> str:
    """Return what to say of a file that came whole, but is another."""
    return (
        f"What was downloaded as {file.name} of {spec.id!r} is not the published file: "
        f"its hash should be {expected}, and is {got}. It was removed; try again, and "
        "if that does not help, check HF_ENDPOINT and the proxy."
    )


def no_cache(error: OSError) -> str:
    """Return what to say where the cache cannot be written."""
    where = cache_folder()
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return (
            f"The disk of {where} is full; make room, or set HF_HOME to a folder on a "
            "larger one, and try again: the download goes on where it stopped."
        )
    return (
        f"The cache {where} cannot be written ({said(error)}); check its permissions, "
        "or set HF_HOME to another folder."
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
    knows_login: bool,
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
    knows_login : bool
        Whether the token of ``hf auth login`` is sent there.

    Returns
    -------
    str
        Ends with the next step.
    """
    log_in = "log in with: hf auth login (or set HF_TOKEN)"
    if not knows_login:
        log_in = f"set HF_TOKEN (the token of hf auth login is not sent to {where})"
    if status in (401, 403) and (spec.gated or code == "GatedRepo"):
        return _gated(spec, status, message, None if has_token else log_in)
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
            f"{log_in}."
        )
    answer = f"{status}{': ' + message if message else ''}"
    return (
        f"{where} does not give {file.name} of {spec.repo} ({answer}); try again "
        f"later, or {by_hand(spec)}."
    )


def _gated(spec: ModelSpec, status: int, message: str, log_in: str | None) -> str:
    """Return what to say where a licence has to be accepted first.

    ``log_in`` says how to log in, where no token was sent.
    """
    instead = f"or {by_hand(spec)}"
    told = message.lower()
    if log_in is not None:
        return (
            f"The weights of {spec.id!r} are given only to those who accepted their "
            f"licence. Accept it at {spec.page_url}, then {log_in}, and try again; "
            f"{instead}."
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
