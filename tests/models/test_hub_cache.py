"""Files get their names in Hugging Face's cache, and no other file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.hub_cache import (
    blob_digest,
    cache_folder,
    cached_file,
    is_commit,
    is_digest,
    place,
    repo_folder,
)
from tests.models.hub_fixtures import NAME, REPO
from tests.models.hub_server import COMMIT

DIGEST = "ab" * 32


@pytest.fixture
def blob(cache: Path) -> Path:
    """Return where the content belongs, in an empty cache."""
    blob = repo_folder(REPO) / "blobs" / DIGEST
    blob.parent.mkdir(parents=True)
    return blob


def arrive(blob: Path, commit: str = COMMIT, content: bytes = b"weights") -> Path:
    """Place a file that was downloaded."""
    part = blob.with_name("part")
    part.write_bytes(content)
    return place(part, blob, REPO, NAME, "main", commit)


def test_a_file_is_found_under_its_name_and_says_what_it_should_be(blob):
    path = arrive(blob)
    assert cached_file(REPO, NAME) == path
    assert blob_digest(path) == DIGEST
    assert path.read_bytes() == blob.read_bytes() == b"weights"
    assert [file.name for file in blob.parent.iterdir()] == [DIGEST]


def test_a_file_that_is_there_gets_a_second_name(blob):
    first = arrive(blob)
    second = place(blob, blob, REPO, NAME, "main", "d" * 40)
    assert first.read_bytes() == second.read_bytes() == b"weights"
    assert cached_file(REPO, NAME) == second


def test_without_links_nothing_is_taken_from_other_snapshots(blob, monkeypatch):
    first = arrive(blob)
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    second = place(blob, blob, REPO, NAME, "main", "d" * 40)
    assert not second.is_symlink()
    assert first.read_bytes() == second.read_bytes() == b"weights"
    third = arrive(blob, "e" * 40)
    assert not third.is_symlink()
    assert first.read_bytes() == third.read_bytes() == b"weights"
    assert [file.name for file in blob.parent.iterdir()] == [DIGEST]


def test_where_no_link_can_be_made_the_file_itself_gets_the_name(blob, monkeypatch):
    def refuse(self: Path, target: str) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    path = arrive(blob)
    assert not path.is_symlink()
    assert path.read_bytes() == b"weights"
    assert blob_digest(path) is None


def hold(monkeypatch, method: str, held: Path) -> None:
    """Let a file be in use, as Windows sees it."""
    original = getattr(Path, method)

    def refuse(self: Path, *arguments, **options):
        if held in (self, *arguments):
            raise PermissionError(13, "used by another process", str(held))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, method, refuse)


def test_a_name_in_use_says_to_close_programs(blob, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    path = arrive(blob, content=b"older")
    with monkeypatch.context() as patch:
        hold(patch, "unlink", path)
        with pytest.raises(CheckpointError, match=r"cannot be replaced .*; close the"):
            arrive(blob)
    assert path.read_bytes() == b"older"
    assert arrive(blob).read_bytes() == b"weights"


def test_a_damaged_file_in_use_says_to_close_programs_and_what_came_is_kept(
    hub, spec, content, monkeypatch
):
    blob = repo_folder(REPO) / "blobs" / spec.files[0].sha256
    blob.parent.mkdir(parents=True)
    path = place(blob, blob, REPO, NAME, "main", COMMIT)
    blob.write_bytes(bytes(len(content)))
    with monkeypatch.context() as patch:
        hold(patch, "replace", blob)
        with pytest.raises(CheckpointError, match="close the programs that use it"):
            fetch_weights(spec)
    hub.asked.clear()
    assert fetch_weights(spec) == path
    assert path.read_bytes() == content
    assert not hub.transfers()


@pytest.mark.parametrize(
    ("text", "digest", "commit"),
    [
        (DIGEST, True, False),
        (COMMIT, True, True),
        (COMMIT + "\n", False, False),
        (COMMIT.upper(), False, False),
        (COMMIT[:-1], False, False),
        (f"../{COMMIT[3:]}", False, False),
        ("", False, False),
    ],
)
def test_only_plain_hex_digits_name_files(text, digest, commit):
    assert (is_digest(text), is_commit(text)) == (digest, commit)


@pytest.mark.parametrize(
    ("variable", "value", "folder"),
    [
        ("HF_HUB_CACHE", "/a/hub", "/a/hub"),
        ("HUGGINGFACE_HUB_CACHE", "/b", "/b"),
        ("HF_HOME", "/c", "/c/hub"),
        ("XDG_CACHE_HOME", "/d", "/d/huggingface/hub"),
        ("HF_HOME", "~/e", str(Path.home() / "e/hub")),
    ],
)
def test_the_cache_is_where_the_environment_says(
    cache, monkeypatch, variable, value, folder
):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache/huggingface/hub"
    monkeypatch.setenv(variable, value)
    assert cache_folder() == Path(folder)
