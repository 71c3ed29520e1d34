"""Weights from Hugging Face: found in its cache, or downloaded into it."""

from __future__ import annotations

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
    place,
    repo_folder,
)
from napari_sam3.models.spec import ModelSpec, WeightsFile
from napari_sam3.models.verified import Hashes, digest, is_known, remember

__all__ = ["fetch_weights", "find_weights"]

#: How often in a row a transfer may fail without a byte gained.
_ATTEMPTS = 5
#: Seconds between two attempts, times how many failed.
_PAUSE = 1.0
_POLL = 0.1


def find_weights(spec: ModelSpec, *, report: Report = no_report) -> Path | None:
    """Find a model's weights on this machine, whole.

    Nothing is downloaded, and huggingface_hub is not needed. A file that was not
    looked at before is hashed, which takes some seconds per gigabyte; what was found
    is remembered.

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
    return _find_all(spec, Hashes(report))


def fetch_weights(
    spec: ModelSpec,
    *,
    may_download: bool = True,
    report: Report = no_report,
    token: str | None = None,
) -> Path:
    """Find a model's weights on this machine, else download them.

    They go into Hugging Face's cache, where other programs find them too. A transfer
    that broke off, or whose process was killed, goes on where it stopped; what came is
    hashed before it gets the name by which it is found.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog.
    may_download : bool
        Whether to download them if they are not here, or not whole, as
        `ModelSpec.is_here` does not say; else that is an error.
    report : callable, optional
        Called often with the bytes done and the bytes there are, of a file, while it
        is downloaded, and from the start again while it is checked; what it raises
        ends that, and the next download goes on from there.
    token : str, optional
        For gated models, instead of the one of ``hf auth login`` or ``HF_TOKEN``. The
        login's is sent to Hugging Face itself only, and not to another
        ``HF_ENDPOINT``.

    Returns
    -------
    Path
        The file to open.

    Raises
    ------
    CheckpointError
        If it is refused, cannot be reached, or comes damaged; if the disk is full, or
        a damaged file in use; or if nothing may be downloaded. The message says what
        to do.
    ModelError
        If huggingface_hub is not installed.
    """
    hashes = Hashes(report)
    found = _find_all(spec, hashes)
    if found is not None:
        return found
    if spec.repo is None:
        raise CheckpointError(
            f"The weights of {spec.id!r} are not at {spec.path}; reinstall napari-sam3."
        )
    if not may_download:
        raise CheckpointError(refusals.not_here(spec))
    try:
        hub = Hub.connect(spec, token)
        paths = [_fetch(spec, file, hub, hashes, report) for file in spec.files]
    except OSError as error:
        if isinstance(error, Sam3Error):  # of ``report``
            raise
        raise CheckpointError(refusals.no_cache(error)) from error
    return paths[0]


def _find_all(spec: ModelSpec, hashes: Hashes) -> Path | None:
    """Return the first file of the first set that is here and whole."""
    if spec.path is not None:
        return spec.path if spec.path.is_file() else None
    for files in spec.choices:
        paths = [_find(spec, file, hashes) for file in files]
        if paths and None not in paths:
            return paths[0]
    return None


def _find(spec: ModelSpec, file: WeightsFile, hashes: Hashes) -> Path | None:
    """Return a file of the cache if it is what it should be."""
    path = cached_file(spec.repo or "", file.name, spec.revision)
    if path is None:
        return None
    expected = file.sha256 or blob_digest(path)
    if expected is None:
        return path if is_known(path) else None
    try:
        return path if _is_whole(path, expected, file.size, hashes) else None
    except OSError as error:
        if isinstance(error, Sam3Error):  # of ``report``
            raise
        return None


def _is_whole(path: Path, expected: str, size: int | None, hashes: Hashes) -> bool:
    """Tell whether a file has a hash; one of another size is not hashed."""
    if size not in (None, path.stat().st_size):
        return False
    return hashes.of(path, expected) == expected


def _fetch(
    spec: ModelSpec, file: WeightsFile, hub: Hub, hashes: Hashes, report: Report
) -> Path:
    """Download one file, unless it is there."""
    found = _find(spec, file, hashes)
    if found is not None:
        return found
    remote = hub.describe(file)
    if file.sha256 and len(remote.etag) == 64 and remote.etag != file.sha256:
        raise CheckpointError(refusals.another_version(spec, file, remote.etag))
    found = cached_file(spec.repo or "", file.name, spec.revision)
    # Without symbolic links the cache does not say what the content should be.
    if (
        found is not None
        and not (file.sha256 or blob_digest(found))
        and _is_whole(found, remote.etag, remote.size, hashes)
    ):
        return found
    blob = repo_folder(spec.repo or "") / "blobs" / remote.etag
    part = blob.with_name(f"{blob.name}.napari-sam3.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with _alone(part, remote, report):
        found = _find(spec, file, hashes)
        if found is not None:  # another process was quicker
            return found
        expected = file.sha256 or remote.etag
        content = blob
        if not (blob.is_file() and _is_whole(blob, expected, remote.size, hashes)):
            # What is there, damaged, is kept until its replacement is there.
            content = part
            _transfer(spec, file, hub, remote, part, report)
            _check(spec, file, part, {expected, remote.etag}, report)
        names = (spec.repo or "", file.name, spec.revision, remote.commit)
        path = place(content, blob, *names)
        remember(path, expected)
    return path


def _check(
    spec: ModelSpec,
    file: WeightsFile,
    part: Path,
    promised: set[str],
    report: Report,
) -> None:
    """Refuse, and remove, what came if it is not what was promised."""
    for expected in promised:
        got = digest(part, expected, report=report)
        if got != expected:
            part.unlink()
            message = refusals.wrong_content(spec, file, expected, got)
            raise CheckpointError(message)


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
