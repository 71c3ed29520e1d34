"""Weights come whole, or not at all, and other files of the cache are left alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from napari_sam3.core.errors import CheckpointError, FileError
from napari_sam3.models import download, verified
from napari_sam3.models.download import fetch_weights, find_weights
from tests.models.cache_files import blobs, put, put_plain
from tests.models.hub_fixtures import NAME, REPO
from tests.models.hub_server import COMMIT, Refusal

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """Return which files are hashed, as they are."""
    files = []
    digest = verified.digest

    def counting(path, *arguments, **options):
        files.append(path)
        return digest(path, *arguments, **options)

    monkeypatch.setattr(verified, "digest", counting)
    monkeypatch.setattr(download, "digest", counting)
    return files


# ---- wrong content ----------------------------------------------------------


def test_a_wrong_file_is_removed_and_both_hashes_are_told(hub, spec, content, cache):
    key = f"{REPO}/{NAME}"
    hub.claimed[key] = hub.etag(key)
    hub.files[key] = bytes(len(content))  # of the right length
    wrong = hashlib.sha256(hub.files[key]).hexdigest()
    with pytest.raises(CheckpointError) as caught:
        fetch_weights(spec)
    assert spec.files[0].sha256 in str(caught.value)
    assert wrong in str(caught.value)
    assert find_weights(spec) is None
    assert not blobs(cache)
    hub.files[key] = content
    assert fetch_weights(spec).read_bytes() == content


def test_another_version_is_refused_before_it_is_downloaded(hub, spec):
    hub.files[f"{REPO}/{NAME}"] = b"another"
    with pytest.raises(CheckpointError, match=r"has another model\.safetensors than"):
        fetch_weights(spec)
    assert not hub.transfers()


def test_a_damaged_file_of_the_cache_is_not_taken_and_is_replaced(
    spec, content, cache, hub
):
    put(cache, bytes(len(content)), spec.files[0].sha256)
    assert find_weights(spec) is None
    assert fetch_weights(spec).read_bytes() == content


def test_a_half_file_of_the_cache_is_not_taken_and_is_replaced(spec, content, cache):
    put(cache, content[:1000], spec.files[0].sha256)
    assert find_weights(spec) is None
    assert fetch_weights(spec).read_bytes() == content


def test_an_intact_file_of_another_version_is_left_alone(spec, content, cache):
    newer = b"newer weights"
    path = put(cache, newer, hashlib.sha256(newer).hexdigest(), commit="d" * 40)
    assert find_weights(spec) is None
    assert fetch_weights(spec).read_bytes() == content
    assert path.read_bytes() == newer


def test_a_file_is_hashed_once_and_again_when_it_was_touched(
    spec, content, cache, hashed
):
    put(cache, content, spec.files[0].sha256)
    path = find_weights(spec)
    assert find_weights(spec) == path
    assert len(hashed) == 1
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(1, 1))
    assert find_weights(spec) is None
    assert len(hashed) == 2


@pytest.mark.parametrize("kind", ["damaged", "foreign"])
def test_a_file_that_is_not_the_one_is_hashed_once_too(
    hub, spec, content, cache, hashed, kind
):
    other = bytes(len(content))
    name = hashlib.sha256(other).hexdigest()
    put(cache, other, name if kind == "foreign" else spec.files[0].sha256)
    hub.refusal = Refusal(500)
    for _ in range(3):
        assert find_weights(spec) is None
        with pytest.raises(CheckpointError, match="try again later"):
            fetch_weights(spec)
    assert len(hashed) == 1


@pytest.mark.parametrize("kind", ["damaged", "foreign", "without links", "no notes"])
def test_within_a_call_nothing_is_hashed_twice(
    spec, content, cache, hashed, monkeypatch, kind
):
    other = bytes(len(content))
    name = hashlib.sha256(other).hexdigest()
    put(cache, other, name if kind == "foreign" else spec.files[0].sha256)
    if kind == "without links":
        monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    if kind == "no notes":
        (cache / "assets").write_text("no folder")
    assert fetch_weights(spec).read_bytes() == content
    assert len(hashed) == 2  # what was there, and what came


def test_the_check_tells_how_far_it_is(spec, content, monkeypatch):
    monkeypatch.setattr(verified, "_CHUNK", 10_000)
    told = []
    fetch_weights(spec, report=lambda done, total: told.append((done, total)))
    size = len(content)
    check = [(done, size) for done in range(10_000, size + 1, 10_000)]
    assert told[-len(check) :] == check
    assert told.count((size, size)) <= 2  # it came, and it is whole


def test_an_error_of_the_report_ends_the_search(spec, content, cache):
    def report(done: int, total: int) -> None:
        raise FileError("no log; make room.")

    put(cache, content, spec.files[0].sha256)
    with pytest.raises(FileError, match="no log"):
        find_weights(spec, report=report)


def test_a_note_that_cannot_be_read_is_no_note(spec, content, cache):
    path = put(cache, content, spec.files[0].sha256)
    assert find_weights(spec) == path
    assert verified.is_known(path)
    next((cache / "assets").rglob("*.json")).write_text("{")
    assert not verified.is_known(path)
    assert find_weights(spec) == path


def test_a_file_that_was_not_the_one_is_not_known_as_whole(spec, content, cache):
    path = put(cache, bytes(len(content)), spec.files[0].sha256)
    assert find_weights(spec) is None
    assert not verified.is_known(path)


# ---- files of other programs ------------------------------------------------


@pytest.mark.parametrize("size", [400_000, 1000])
def test_without_links_the_file_of_another_revision_is_left_alone(
    hub, spec, content, cache, monkeypatch, size
):
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    path = put_plain(cache, bytes(size), "d" * 40)
    assert fetch_weights(spec).read_bytes() == content
    assert path.read_bytes() == bytes(size)


@pytest.mark.parametrize("has_links", [True, False])
def test_nothing_is_removed_before_the_replacement_is_here(
    hub, spec, content, cache, monkeypatch, has_links
):
    damaged = bytes(len(content))
    if has_links:
        path = put(cache, damaged, spec.files[0].sha256)
    else:
        monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
        path = put_plain(cache, damaged, COMMIT)
    hub.refusal = Refusal(500)
    with pytest.raises(CheckpointError, match="try again later"):
        fetch_weights(spec)
    hub.refusal, hub.breaks = None, [0] * 20
    with pytest.raises(CheckpointError, match="broke off"):
        fetch_weights(spec)
    assert path.read_bytes() == damaged
    hub.breaks = []
    assert fetch_weights(spec) == path
    assert path.read_bytes() == content


def test_an_intact_blob_that_the_hub_names_wrongly_is_left_alone(
    hub, spec, content, cache
):
    index = b"another file"
    name = hashlib.sha1(b"blob %d\0" % len(index) + index).hexdigest()
    put(cache, index, name)
    hub.claimed[f"{REPO}/{NAME}"] = name
    with pytest.raises(CheckpointError, match="is not the published file"):
        fetch_weights(spec)
    assert (cache / "hub/models--someone--cells/blobs" / name).read_bytes() == index
