"""Weights come from the hub whole, or not at all, and an error says what to do."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models import download, hub_cache, verified
from napari_sam3.models.download import fetch_weights, find_weights
from napari_sam3.models.spec import WeightsFile
from tests.models.hub_fixtures import NAME, REPO, make_spec
from tests.models.hub_server import COMMIT, Refusal

pytestmark = pytest.mark.usefixtures("cache")


def blobs(cache: Path) -> list[Path]:
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
    assert told == sorted(told)
    assert told[-1] == (len(content), len(content))
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


# ---- tokens -----------------------------------------------------------------


@pytest.mark.parametrize("way", ["argument", "HF_TOKEN", "login"])
def test_the_token_is_sent_to_the_hub_and_to_nobody_else(
    hub, spec, way, monkeypatch, cache
):
    if way == "HF_TOKEN":
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
    if way == "login":
        cache.mkdir()
        (cache / "token").write_text("hf_secret")
    fetch_weights(spec, token="hf_secret" if way == "argument" else None)
    for asked in hub.asked:
        is_cdn = asked.path.startswith("/cdn/")
        expected = None if is_cdn else "Bearer hf_secret"
        assert asked.headers.get("authorization") == expected


def test_without_a_token_none_is_sent(hub, spec):
    fetch_weights(spec)
    assert all("authorization" not in asked.headers for asked in hub.asked)


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
    spec, content, cache, monkeypatch
):
    put(cache, content, spec.files[0].sha256)
    hashed = []

    def counting(path, *arguments, **options):
        hashed.append(path)
        return verified.digest(path, *arguments, **options)

    monkeypatch.setattr(download, "digest", counting)
    path = find_weights(spec)
    assert find_weights(spec) == path
    assert len(hashed) == 1
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(1, 1))
    assert find_weights(spec) is None
    assert len(hashed) == 2


def test_a_note_of_an_older_hash_is_no_note(spec, content, cache):
    path = put(cache, content, spec.files[0].sha256)
    assert find_weights(spec) == path
    assert not verified.is_known(path, "0" * 64)
    next((cache / "assets").rglob("*.json")).write_text("{")
    assert not verified.is_known(path, None)
    assert find_weights(spec) == path


# ---- refusals ---------------------------------------------------------------

GATED = [
    (Refusal(401, "GatedRepo", "Please log in."), None, "Accept it at .*hf auth login"),
    (Refusal(401), None, "Accept it at .*hf auth login"),
    (Refusal(403, "GatedRepo", "not in the authorized list"), "hf_x", "accept its lic"),
    (Refusal(403, "GatedRepo", "is awaiting a review"), "hf_x", "still waits for"),
    (Refusal(403, "GatedRepo", "has been rejected"), "hf_x", "refused your request"),
    (Refusal(401, "", "Invalid credentials"), "hf_x", "does not know the token"),
]


@pytest.mark.parametrize(("refusal", "token", "message"), GATED)
def test_a_gated_model_says_what_to_do(hub, spec, refusal, token, message):
    hub.refusal = refusal
    with pytest.raises(CheckpointError, match=message) as caught:
        fetch_weights(replace(spec, gated=True), token=token)
    if "token that was sent" not in str(caught.value):
        assert spec.page_url in str(caught.value)
    assert f'build_tracker(model="/path/{NAME}")' in str(caught.value)
    assert not hub.transfers()


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (Refusal(404, "RepoNotFound"), r"has no someone/cells \(404\); check HF_END"),
        (Refusal(401), r"has no someone/cells \(401\); check"),
        (Refusal(404, "EntryNotFound"), "has no model.safetensors of someone/cells"),
        (Refusal(429), "wait some minutes"),
        (Refusal(500, "", "out of order"), r"\(500: out of order\); try again later"),
    ],
)
def test_other_refusals_say_what_to_do(hub, spec, refusal, message):
    hub.refusal = refusal
    with pytest.raises(CheckpointError, match=message):
        fetch_weights(spec)


def test_a_file_that_is_not_there_is_named(hub, content):
    with pytest.raises(CheckpointError, match=r"has no other\.bin of someone/cells"):
        fetch_weights(make_spec(WeightsFile("other.bin")))


def test_what_is_no_hub_is_named(hub, spec, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/cdn/someone")
    hub.files[f"someone/{REPO}/resolve/main/{NAME}"] = b"<html>"
    with pytest.raises(CheckpointError, match="not answer like Hugging Face; check HF"):
        fetch_weights(spec)


def test_nobody_at_the_endpoint_is_told(hub, spec, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        CheckpointError, match=r"127\.0\.0\.1:9 cannot be reached .*HF_E"
    ):
        fetch_weights(spec)


def test_a_full_disk_is_told_before_the_download(hub, spec, monkeypatch):
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match="make room, or set HF_HOME"):
        fetch_weights(spec)
    assert not hub.transfers()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_that_fills_up_meanwhile_is_told(spec, cache):
    blob = cache / "hub/models--someone--cells/blobs" / spec.files[0].sha256
    blob.parent.mkdir(parents=True)
    blob.with_name(f"{blob.name}.napari-sam3.part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"is full; make room.*where it stopped"):
        fetch_weights(spec)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_cache_that_cannot_be_written_is_told(spec, cache):
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(CheckpointError, match=r"cannot be written .*set HF_HOME"):
        fetch_weights(spec)


def test_a_cache_that_is_a_file_is_told(spec, cache):
    cache.write_text("no folder")
    assert find_weights(spec) is None
    with pytest.raises(CheckpointError, match=r"cannot be written .*set HF_HOME"):
        fetch_weights(spec)


# ---- offline, and without the library ---------------------------------------


def test_offline_what_is_here_is_found(hub, spec, monkeypatch):
    path = fetch_weights(spec)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert fetch_weights(spec) == path
    assert not hub.asked


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_what_is_not_here_is_told(hub, spec, monkeypatch, variable):
    monkeypatch.setenv(variable, "yes")
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE forbids to download"):
        fetch_weights(spec)
    assert not hub.asked


def test_without_the_library_files_are_found_and_a_download_says_what_to_install(
    spec, content, cache, monkeypatch
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ModelError, match=r'pip install -U "napari-sam3\[hub\]", or down'
    ):
        fetch_weights(spec)
    path = put(cache, content, spec.files[0].sha256)
    assert find_weights(spec) == path
    assert fetch_weights(spec) == path


@pytest.mark.parametrize("session", [None, lambda: SimpleNamespace(stream=False)])
def test_an_old_library_is_told(spec, monkeypatch, session):
    old = SimpleNamespace(__version__="0.20")
    if session is not None:
        old.get_session = session
    monkeypatch.setitem(sys.modules, "huggingface_hub", old)
    with pytest.raises(ModelError, match=r"huggingface_hub 0\.20 is too old .*install"):
        fetch_weights(spec)


def test_weights_that_ship_with_the_package_are_never_downloaded(hub, tmp_path):
    spec = replace(make_spec(), repo=None, path=tmp_path / "nano.safetensors")
    assert find_weights(spec) is None
    with pytest.raises(CheckpointError, match="reinstall napari-sam3"):
        fetch_weights(spec)
    spec.path.write_bytes(b"12345")
    assert fetch_weights(spec) == spec.path
    assert not hub.asked


# ---- where the cache is -----------------------------------------------------


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
def test_the_cache_is_where_the_environment_says(monkeypatch, variable, value, folder):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert hub_cache.cache_folder() == Path.home() / ".cache/huggingface/hub"
    monkeypatch.setenv(variable, value)
    assert hub_cache.cache_folder() == Path(folder)
