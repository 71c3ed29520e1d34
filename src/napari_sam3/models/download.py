"""Weights from Hugging Face: found in its cache, or downloaded into it."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam3.core.errors import CheckpointError, Sam3Error
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models import refusals
from napari_sam3.models.hub import BrokenOffError, Hub, Remote
from napari_sam3.models.hub_cache import (
    blob_digest,
    cache_folder,
    cached_file,
    forget,
    place,
    repo_folder,
)
from napari_sam3.models.spec import ModelSpec, WeightsFile
from napari_sam3.models.verified import digest, is_known, remember

__all__ = ["fetch_weights", "find_weights"]

#: How often in a row a transfer may fail without a byte gained.
_ATTEMPTS = 5
#: Seconds between two attempts, times how many failed.
_PAUSE = 1.0
_POLL = 0.1


def find_weights(spec: ModelSpec, *, report: Report = no_report) -> Path | None:
    """Find a model's weights on this machine, whole.

    Nothing is downloaded, and huggingface_hub is not needed. A file that was not
    looked at before is hashed, which takes some seconds per gigabyte; that it was
    found whole is remembered.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog.
    report : callable, optional
        Called with the bytes hashed and the bytes there are; what it raises ends it.

    Returns
    -------
    Path or None
        The file to open. None if it is not here, or not whole, or if nothing is known
        that it could be checked against.
    """
    if spec.path is not None:
        return spec.path if spec.path.is_file() else None
    for files in spec.choices:
        paths = [_find(spec, file, report) for file in files]
        if paths and None not in paths:
            return paths[0]
    return None


def fetch_weights(
    spec: ModelSpec, *, report: Report = no_report, token: str | None = None
) -> Path:
    """Find a model's weights on this machine, else download them.

    They go into Hugging Face's cache, where other programs find them too. A transfer
    that broke off, or whose process was killed, goes on where it stopped; what came is
    hashed before it gets the name by which it is found.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog.
    report : callable, optional
        Called often with the bytes done and the bytes there are, of a file; what it
        raises ends the download, and the next one goes on from there.
    token : str, optional
        For gated models, instead of the one of ``hf auth login`` or ``HF_TOKEN``.

    Returns
    -------
    Path
        The file to open.

    Raises
    ------
    CheckpointError
        If it is refused, cannot be reached, or comes damaged; or if the disk is full.
        The message says what to do.
    ModelError
        If huggingface_hub is not installed.
    """
    found = find_weights(spec, report=report)
    if found is not None:
        return found
    if spec.repo is None:
        raise CheckpointError(
            f"The weights of {spec.id!r} are not at {spec.path}; reinstall napari-sam3."
        )
    try:
        hub = Hub.connect(spec, token)
        paths = [_fetch(spec, file, hub, report) for file in spec.files]
    except OSError as error:
        if isinstance(error, Sam3Error):  # of ``report``
            raise
        raise _cache_error(error) from error
    return paths[0]


def _find(spec: ModelSpec, file: WeightsFile, report: Report) -> Path | None:
    """Return a file of the cache if it is what it should be."""
    path = cached_file(spec.repo or "", file.name, spec.revision)
    if path is None:
        return None
    expected = file.sha256 or blob_digest(path)
    if is_known(path, expected):
        return path
    if expected is None or file.size not in (None, path.stat().st_size):
        return None
    try:
        got = digest(path, expected, report=report)
    except OSError:
        return None
    if got != expected:
        return None
    remember(path, got)
    return path


def _fetch(spec: ModelSpec, file: WeightsFile, hub: Hub, report: Report) -> Path:
    """Download one file, unless it is there."""
    found = _find(spec, file, report)
    if found is not None:
        return found
    _forget_damaged(spec, file, report)
    remote = hub.describe(file)
    if file.sha256 and len(remote.etag) == 64 and remote.etag != file.sha256:
        raise CheckpointError(
            f"{spec.repo} has another {file.name} than the one that this version of "
            f"napari-sam3 knows (hash {remote.etag} instead of {file.sha256}); update "
            f"napari-sam3, check HF_ENDPOINT, or {refusals.by_hand(spec)}."
        )
    expected = file.sha256 or remote.etag
    repo = spec.repo or ""
    found = cached_file(repo, file.name, spec.revision)
    # Without symbolic links the cache does not say what the content should be.
    if found is not None and digest(found, expected, report=report) == expected:
        remember(found, expected)
        return found
    blob = repo_folder(repo) / "blobs" / remote.etag
    part = blob.with_name(f"{blob.name}.napari-sam3.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with _alone(part, remote, report):
        if not blob.is_file():
            _transfer(spec, file, hub, remote, part, report)
        content = blob if blob.is_file() else part
        got = digest(content, expected, report=lambda done, size: report(size, size))
        if got != expected:
            content.unlink()
            message = refusals.wrong_content(spec, file, expected, got)
            raise CheckpointError(message)
        content.replace(blob)
        path = place(blob, repo, file.name, spec.revision, remote.commit)
        remember(path, got)
    return path


def _forget_damaged(spec: ModelSpec, file: WeightsFile, report: Report) -> None:
    """Remove a file of the cache whose content is not what the cache says it is."""
    path = cached_file(spec.repo or "", file.name, spec.revision)
    if path is None:
        return
    promised = blob_digest(path) or file.sha256
    if promised is not None and digest(path, promised, report=report) != promised:
        forget(path)


def _transfer(
    spec: ModelSpec,
    file: WeightsFile,
    hub: Hub,
    remote: Remote,
    part: Path,
    report: Report,
) -> None:
    """Fill a file, from where it ends; try again where it breaks off."""
    furthest = _size(part)
    failed = 0
    while remote.size is None or _size(part) != remote.size:
        _check_space(spec, remote, part)
        try:
            _receive(file, hub, remote, part, report)
            if remote.size in (None, _size(part)):
                return
            reason = "the server sent less, or more, than it promised"
        except BrokenOffError as error:
            reason = error.reason
        done = _size(part)
        failed = 1 if done > furthest else failed + 1
        furthest = max(furthest, done)
        if failed >= _ATTEMPTS:
            raise CheckpointError(refusals.broken_off(spec, done, reason))
        _wait(failed * _PAUSE, done, remote, report)


def _receive(
    file: WeightsFile, hub: Hub, remote: Remote, part: Path, report: Report
) -> None:
    """Write what one request brings."""
    start = _size(part)
    if remote.size is not None and start > remote.size:
        start = 0
    # The file is opened after the server answered: a refusal leaves what is there.
    with (
        hub.read(file, remote, start) as (first, pieces),
        part.open("r+b" if first else "wb") as target,
    ):
        target.seek(first)
        done = first
        for piece in pieces:
            target.write(piece)
            target.flush()  # what came outlives this process
            done += len(piece)
            report(done, max(done, remote.size or 0))
        # Or a power failure could leave a hole in a file that is noted as whole.
        os.fsync(target.fileno())


def _wait(seconds: float, done: int, remote: Remote, report: Report) -> None:
    """Wait, and be cancelled meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        report(done, max(done, remote.size or 0))
        time.sleep(min(_POLL, max(0.0, end - time.monotonic())))


def _check_space(spec: ModelSpec, remote: Remote, part: Path) -> None:
    if remote.size is None:
        return
    needed = remote.size - _size(part)
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise CheckpointError(
            f"The weights of {spec.id!r} take {needed / 1e9:.1f} GB more, and the disk "
            f"of {cache_folder()} has {free / 1e9:.1f} GB; make room, or set HF_HOME "
            "to a folder on a larger one."
        )


@contextmanager
def _alone(part: Path, remote: Remote, report: Report) -> Iterator[None]:
    """Wait until no other process downloads the same file."""
    from filelock import FileLock, Timeout

    folder = cache_folder() / ".locks" / part.parents[1].name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{part.name}.lock")
    while True:
        try:
            lock.acquire(timeout=_POLL)
            break
        except Timeout:
            done = _size(part)
            report(done, max(done, remote.size or 0))
    try:
        yield
    finally:
        lock.release()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _cache_error(error: OSError) -> CheckpointError:
    """Say why the cache cannot be written."""
    where = cache_folder()
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return CheckpointError(
            f"The disk of {where} is full; make room, or set HF_HOME to a folder on a "
            "larger one, and try again: the download goes on where it stopped."
        )
    return CheckpointError(
        f"The cache {where} cannot be written ({refusals.said(error)}); check its "
        "permissions, or set HF_HOME to another folder."
    )
