"""Files of Hugging Face's cache, as other programs leave them there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.models.hub_fixtures import NAME
from tests.models.hub_server import COMMIT


def blobs(cache: Path) -> list[Path]:
    """Return the files of content."""
    return sorted((cache / "hub/models--someone--cells/blobs").glob("*"))


def put(cache: Path, content: bytes, digest: str, commit: str = COMMIT) -> Path:
    """Put a file into the cache as ``hf download`` does."""
    folder = cache / "hub/models--someone--cells"
    for name in ("blobs", f"snapshots/{commit}", "refs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text(commit)
    blob = folder / "blobs" / digest
    blob.write_bytes(content)
    path = folder / "snapshots" / commit / NAME
    path.unlink(missing_ok=True)
    path.symlink_to(os.path.relpath(blob, path.parent))
    return path


def put_plain(cache: Path, content: bytes, commit: str) -> Path:
    """Put a file into the cache as ``hf download`` does where there are no links."""
    path = cache / "hub/models--someone--cells/snapshots" / commit / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path
