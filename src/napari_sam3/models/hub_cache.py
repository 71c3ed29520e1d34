"""Hugging Face's cache: where the files lie that it, or we, downloaded.

Its layout is documented and shared by many programs, so a file that any of them
fetched is found, whether ``huggingface_hub`` is installed here or not::

    models--facebook--sam3/
        blobs/6d06f0a5…           the content, named by its hash
        refs/main                 the commit that "main" was last
        snapshots/3c879f39…/model.safetensors -> ../../blobs/6d06f0a5…
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_sam3.core.errors import CheckpointError

__all__ = [
    "assets_folder",
    "blob_digest",
    "cache_folder",
    "cached_file",
    "is_commit",
    "is_digest",
    "is_true",
    "place",
    "repo_folder",
]

_DIGEST = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def cache_folder() -> Path:
    """Return where Hugging Face keeps models, by the environment's settings."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(name):
            return _expand(value)
    return _home() / "hub"


def assets_folder() -> Path:
    """Return where this package may keep files beside Hugging Face's cache."""
    value = os.environ.get("HF_ASSETS_CACHE")
    return (_expand(value) if value else _home() / "assets") / "napari-sam3"


def repo_folder(repo: str) -> Path:
    """Return the folder of a repository such as ``"facebook/sam3"``."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def cached_file(repo: str, name: str, revision: str = "main") -> Path | None:
    """Find a file, in the revision if it is there, else in the newest other one.

    Parameters
    ----------
    repo, name : str
        Of the repository, and of the file in it.
    revision : str
        Branch, tag or commit.

    Returns
    -------
    Path or None
        Whether it is whole is not looked at.
    """
    snapshots = repo_folder(repo) / "snapshots"
    commit = revision
    with suppress(OSError):
        commit = (repo_folder(repo) / "refs" / revision).read_text("utf-8").strip()
    try:
        preferred = snapshots / commit / name
        if preferred.is_file():
            return preferred
        others = [folder / name for folder in snapshots.iterdir()]
        files = [path for path in others if path.is_file()]
        return max(files, key=lambda path: path.stat().st_mtime, default=None)
    except OSError:
        return None


def blob_digest(path: Path) -> str | None:
    """Return the hash that the cache promises of a file's content.

    Parameters
    ----------
    path : Path
        As `cached_file` returns it.

    Returns
    -------
    str or None
        SHA-256, or for small files git's SHA-1, in hex digits. None where the
        system has no symbolic links: there, the cache does not say it.
    """
    for link in _links(path)[1:]:
        if link.parent.name == "blobs" and is_digest(link.name):
            return link.name
    return None


def place(
    content: Path, blob: Path, repo: str, name: str, revision: str, commit: str
) -> Path:
    """Give a downloaded file, or one that is there, its name in a snapshot.

    Nothing else that lies in the cache is touched.

    Parameters
    ----------
    content : Path
        The whole file: ``blob`` itself, or another one on the same disk.
    blob : Path
        Its place in the repository's ``blobs`` folder; a damaged one is replaced.
    repo, name : str
        Of the repository, and of the file in it.
    revision, commit : str
        What was asked for, and which commit that is.

    Returns
    -------
    Path
        The file in the snapshot.

    Raises
    ------
    CheckpointError
        If a file that has to make way is in use.
    OSError
        If the cache cannot be written.
    """
    folder = repo_folder(repo)
    path = folder / "snapshots" / commit / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _making_way(path):
        path.unlink(missing_ok=True)
    if _link(path, blob):
        if content != blob:
            with _making_way(blob):
                content.replace(blob)
    elif content == blob:  # other snapshots may lead to it: it stays where it is
        copy = blob.with_name(f"{blob.name}.napari-sam3.copy")
        shutil.copyfile(blob, copy)
        copy.replace(path)
    else:
        content.replace(path)
    if revision != commit:
        reference = folder / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit, "utf-8")
    return path


def is_digest(text: str) -> bool:
    """Tell whether a text is SHA-256, or SHA-1, in hex digits and nothing else."""
    return _DIGEST.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Tell whether a text is the full name of a commit and nothing else."""
    return _COMMIT.fullmatch(text) is not None


def is_true(variable: str) -> bool:
    """Tell whether an environment variable is set to yes, as Hugging Face reads it."""
    return os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE")


def _link(path: Path, blob: Path) -> bool:
    """Let a name lead to a blob, where that is possible and wanted."""
    if is_true("HF_HUB_DISABLE_SYMLINKS"):
        return False
    # Windows has no symbolic links for everybody; some file systems have none.
    with suppress(OSError):
        path.symlink_to(os.path.relpath(blob, path.parent))
        return True
    return False


@contextmanager
def _making_way(path: Path) -> Iterator[None]:
    """Say what to do where Windows does not let go of a file that is open."""
    try:
        yield
    except PermissionError as error:
        raise CheckpointError(
            f"{path} cannot be replaced ({error.strerror or error}); close the "
            "programs that use it, such as napari or a notebook, or check that you "
            "may write there, and try again: nothing is downloaded twice."
        ) from error


def _links(path: Path) -> list[Path]:
    """Return a file's name in a snapshot, and what it leads to, to the content."""
    links = [path]
    while links[-1].is_symlink() and len(links) < 5:
        target = links[-1].parent / links[-1].readlink()
        links.append(Path(os.path.normpath(target)))
    return links


def _home() -> Path:
    if value := os.environ.get("HF_HOME"):
        return _expand(value)
    return _expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"


def _expand(value: str) -> Path:
    return Path(os.path.expandvars(value)).expanduser()
