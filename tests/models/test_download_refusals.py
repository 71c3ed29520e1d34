"""Where weights do not come, an error says what to do; a token is nobody else's."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models import download
from napari_sam3.models.download import fetch_weights, find_weights
from napari_sam3.models.hub import knows_login
from napari_sam3.models.spec import WeightsFile
from tests.models.cache_files import put
from tests.models.hub_fixtures import NAME, REPO, make_spec
from tests.models.hub_server import Refusal

pytestmark = pytest.mark.usefixtures("cache")


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


@pytest.mark.parametrize("way", ["argument", "HF_TOKEN", "login"])
def test_a_mirror_does_not_get_the_token_of_the_login(
    hub, spec, way, monkeypatch, cache
):
    monkeypatch.setattr("napari_sam3.models.hub.knows_login", lambda endpoint: False)
    cache.mkdir()
    (cache / "token").write_text("hf_login")
    if way == "HF_TOKEN":
        monkeypatch.setenv("HF_TOKEN", " hf_given\n")
    fetch_weights(spec, token="hf_given" if way == "argument" else None)
    expected = None if way == "login" else "Bearer hf_given"
    asked = [one for one in hub.asked if not one.path.startswith("/cdn/")]
    assert {one.headers.get("authorization") for one in asked} == {expected}


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_mirror_that_wants_a_token_is_given_one_by_a_variable(
    hub, spec, monkeypatch, status
):
    monkeypatch.setattr("napari_sam3.models.hub.knows_login", lambda endpoint: False)
    hub.refusal = Refusal(status)
    said = r"set HF_TOKEN \(the token of hf auth login is not sent to http://127"
    with pytest.raises(CheckpointError, match=said):
        fetch_weights(replace(spec, gated=True))


@pytest.mark.parametrize(
    ("endpoint", "is_known"),
    [
        ("https://huggingface.co", True),
        ("https://hub-ci.huggingface.co/", True),
        ("http://huggingface.co", False),
        ("https://hf-mirror.com", False),
        ("https://evilhuggingface.co", False),
        ("https://huggingface.co.evil.org", False),
        ("https://huggingface.co@evil.org", False),
        ("https://evil.org/huggingface.co", False),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://127.0.0.1.evil.org", False),
        ("http://192.168.0.2", False),
        ("http://[", False),
        ("huggingface.co", False),
    ],
)
def test_the_logins_token_is_for_hugging_face_and_this_machine(endpoint, is_known):
    assert knows_login(endpoint) is is_known


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


@pytest.mark.parametrize("name", ["../../x", "x", "..", "A" * 64, "a" * 32, "a/" * 20])
def test_a_hub_chooses_no_names_of_files(hub, content, cache, name, tmp_path):
    hub.serve(REPO, NAME, content)
    hub.claimed[f"{REPO}/{NAME}"] = name
    with pytest.raises(CheckpointError, match="not answer like Hugging Face; check HF"):
        fetch_weights(make_spec(WeightsFile(NAME)))
    hub.claimed.clear()
    hub.commit = name
    with pytest.raises(CheckpointError, match="not answer like Hugging Face; check HF"):
        fetch_weights(make_spec(WeightsFile(NAME)))
    assert not hub.transfers()
    assert not list(tmp_path.rglob("x"))


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


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (["HF_HUB_OFFLINE"], "and HF_HUB_OFFLINE forbids to download them; unset it"),
        (["TRANSFORMERS_OFFLINE"], "and TRANSFORMERS_OFFLINE forbids to"),
        (
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"],
            "and HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE forbid to .* unset them",
        ),
    ],
)
def test_offline_what_is_not_here_is_told(hub, spec, monkeypatch, variables, said):
    for variable in variables:
        monkeypatch.setenv(variable, "yes")
    with pytest.raises(CheckpointError, match=said):
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


def test_models_that_need_more_say_so_before_the_download(spec, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r'"napari-sam3\[families\]", or down'):
        fetch_weights(replace(spec, extra="families"))


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
