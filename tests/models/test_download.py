"""Weights come from the hub, by and by, and only when they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.build import build_tracker
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.download import fetch_weights, find_weights
from napari_sam3.models.spec import WeightsFile
from tests.models.cache_files import blobs, put
from tests.models.hub_fixtures import NAME, REPO, make_spec
from tests.models.hub_server import COMMIT

pytestmark = pytest.mark.usefixtures("cache")


# ---- what goes well ---------------------------------------------------------


def test_a_file_is_downloaded_and_found_again(hub, spec, content):
    assert find_weights(spec) is None
    assert not spec.is_here
    path = fetch_weights(spec)
    assert path.read_bytes() == content
    assert find_weights(spec) == path
    assert spec.is_here
    assert spec.size == len(content)
    assert len(hub.transfers()) == 1


def test_a_file_that_is_here_asks_nobody(hub, spec):
    path = fetch_weights(spec)
    hub.asked.clear()
    assert fetch_weights(spec) == path
    assert not hub.asked


def test_the_cache_is_laid_out_as_hugging_faces_own(spec, content, cache):
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    path = fetch_weights(spec)
    assert try_to_load_from_cache(REPO, NAME, cache_dir=cache / "hub") == str(path)
    (repo,) = scan_cache_dir(cache / "hub").repos
    assert (repo.repo_id, repo.size_on_disk) == (REPO, len(content))


def test_what_the_hubs_own_library_downloaded_is_found(hub, spec, content, cache):
    from huggingface_hub import hf_hub_download

    theirs = hf_hub_download(REPO, NAME, cache_dir=cache / "hub", endpoint=hub.url)
    assert find_weights(spec) == Path(theirs)
    assert find_weights(spec).read_bytes() == content


def test_progress_is_told_up_to_the_whole(spec, content):
    told = []
    fetch_weights(spec, report=lambda done, total: told.append((done, total)))
    assert told[:-1] == sorted(told[:-1])
    assert told[-1] == (len(content), len(content))  # of the check
    assert len(told) > 5


def test_a_slow_server_is_waited_for(hub, spec, content):
    hub.pace = 0.01
    assert fetch_weights(spec).read_bytes() == content
    assert len(hub.transfers()) == 1


def test_without_a_known_hash_the_hubs_is_believed(hub, content):
    hub.serve(REPO, NAME, content)
    path = fetch_weights(make_spec(WeightsFile(NAME)))
    assert path.read_bytes() == content
    assert find_weights(make_spec(WeightsFile(NAME))) == path


def test_all_files_of_a_model_are_fetched_the_small_ones_too(hub):
    index = b'{"weight_map": {}}'
    hub.serve(REPO, "model.safetensors.index.json", index, small=True)
    hub.serve(REPO, "part-1", b"one" * 1000)
    hub.serve(REPO, "part-2", b"two" * 1000)
    names = ("model.safetensors.index.json", "part-1", "part-2")
    spec = make_spec(*map(WeightsFile, names))
    path = fetch_weights(spec)
    assert path.read_bytes() == index
    assert path.with_name("part-1").read_bytes() == b"one" * 1000
    assert path.with_name("part-2").read_bytes() == b"two" * 1000
    assert find_weights(spec) == path
    path.with_name("part-2").unlink()
    assert find_weights(spec) is None
    assert not spec.is_here


def test_another_file_with_the_same_weights_does(cache, spec, content):
    digest = hashlib.sha256(content).hexdigest()
    path = put(cache, content, digest)
    other = make_spec(WeightsFile("not-here.safetensors"))
    assert find_weights(other) is None
    both = replace(other, alternatives=spec.files)
    assert find_weights(both) == path


def test_without_symbolic_links_the_file_lies_in_the_snapshot(
    spec, content, cache, monkeypatch
):
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    path = fetch_weights(spec)
    assert not path.is_symlink()
    assert path.read_bytes() == content
    assert not blobs(cache)
    assert find_weights(spec) == path


def test_without_links_and_hash_a_file_that_is_there_is_checked_online(
    hub, content, cache, monkeypatch
):
    hub.serve(REPO, NAME, content)
    spec = make_spec(WeightsFile(NAME))
    path = cache / f"hub/models--someone--cells/snapshots/{COMMIT}/{NAME}"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert find_weights(spec) is None  # nothing says what it should be
    assert fetch_weights(spec) == path
    assert not hub.transfers()
    assert find_weights(spec) == path


# ---- breaking off -----------------------------------------------------------


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(hub, spec, content):
    hub.breaks = [150_000]
    assert fetch_weights(spec).read_bytes() == content
    first, second = hub.transfers()
    assert "range" not in first.headers
    start = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 150_000
    assert hub.sent < len(content) + 150_000


def test_a_transfer_that_claims_to_be_complete_but_is_not_goes_on(hub, spec, content):
    hub.breaks, hub.is_honest = [150_000], False
    assert fetch_weights(spec).read_bytes() == content
    assert hub.transfers()[1].headers["range"] == "bytes=150000-"


def test_a_server_that_knows_no_ranges_starts_anew(hub, spec, content):
    hub.breaks, hub.knows_ranges = [150_000], False
    assert fetch_weights(spec).read_bytes() == content
    assert len(hub.transfers()) == 2


def test_a_busy_server_is_asked_again(hub, spec, content):
    hub.busy = [503, 429]
    assert fetch_weights(spec).read_bytes() == content


def test_a_server_that_always_breaks_off_ends_in_words_and_keeps_what_came(
    hub, spec, content, cache
):
    hub.breaks = [150_000, *[0] * 20]
    with pytest.raises(CheckpointError, match=r"broke off after 0 MB .*goes on from"):
        fetch_weights(spec)
    assert find_weights(spec) is None
    hub.breaks = []
    hub.asked.clear()
    assert fetch_weights(spec).read_bytes() == content
    assert "range" in hub.transfers()[0].headers
    assert len(blobs(cache)) == 1


def test_a_server_that_falls_silent_is_asked_again(hub, spec, content):
    hub.silence = 1.5
    told = []

    def report(done: int, total: int) -> None:
        told.append(done)
        if len(hub.transfers()) > 1:
            hub.silence = 0

    assert fetch_weights(spec, report=report).read_bytes() == content
    assert len(hub.transfers()) >= 2


def test_what_the_report_raises_ends_the_download_and_the_next_goes_on(
    hub, spec, content
):
    class CancelledError(Exception):
        pass

    def report(done: int, total: int) -> None:
        if done > 100_000:
            raise CancelledError

    hub.pace = 0.01
    with pytest.raises(CancelledError):
        fetch_weights(spec, report=report)
    assert hub.sent < len(content)
    assert find_weights(spec) is None
    hub.pace = 0
    assert fetch_weights(spec).read_bytes() == content
    assert "range" in hub.transfers()[-1].headers


# ---- without asking ---------------------------------------------------------


def test_nothing_is_downloaded_unasked(hub, spec, content, cache):
    message = r"'cells' are not on this machine, or not whole; get them: napari-sam3 "
    with pytest.raises(CheckpointError, match=f"{message}models download cells, or"):
        fetch_weights(spec, may_download=False)
    put(cache, bytes(len(content)), spec.files[0].sha256)
    assert spec.is_here
    with pytest.raises(CheckpointError, match=message):
        fetch_weights(spec, may_download=False)
    assert not hub.asked
    path = put(cache, content, spec.files[0].sha256)
    assert fetch_weights(spec, may_download=False) == path


def test_no_model_is_built_of_what_would_have_to_be_downloaded(hub, spec, monkeypatch):
    monkeypatch.setitem(CATALOG, spec.id, spec)
    with pytest.raises(CheckpointError, match="not on this machine, or not whole"):
        build_tracker(model=spec.id, device="cpu", may_download=False)
    assert not hub.asked
    with pytest.raises(CheckpointError, match="cannot be read"):  # it is noise
        build_tracker(model=spec.id, device="cpu")
    assert hub.transfers()
