"""A process that is killed leaves nothing that is later taken for a whole file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from napari_sam3.models.download import fetch_weights, find_weights
from tests.models.hub_fixtures import NAME, REPO

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

_SCRIPT = """
import os, signal, sys
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.spec import ModelSpec, WeightsFile

repo, name, size, sha256, at = sys.argv[1:]

def report(done, total):
    if at and done >= int(at):
        os.kill(os.getpid(), signal.SIGKILL)

fetch_weights(
    ModelSpec(
        id="cells", family="nano", source="", licence="", summary="", repo=repo,
        files=(WeightsFile(name, int(size), sha256),),
    ),
    report=report,
)
"""


def start(spec, at: int | str = "") -> subprocess.Popen[bytes]:
    """Download in another process, which kills itself after so many bytes."""
    (file,) = spec.files
    arguments = [REPO, NAME, str(file.size), file.sha256, str(at)]
    return subprocess.Popen([sys.executable, "-c", _SCRIPT, *arguments])


def test_killed_in_the_middle_the_next_one_goes_on(hub, spec, content):
    hub.pace = 0.02
    with start(spec) as process:
        end = time.monotonic() + 60
        while hub.sent < len(content) // 3 and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert find_weights(spec) is None
    assert not spec.is_here
    hub.pace = 0
    hub.asked.clear()
    path = fetch_weights(spec)
    assert path.read_bytes() == content
    assert "range" in hub.transfers()[0].headers


def test_killed_before_the_check_it_is_checked_by_the_next(hub, spec, content):
    with start(spec, at=len(content)) as process:
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert find_weights(spec) is None
    assert not spec.is_here
    hub.asked.clear()
    assert fetch_weights(spec).read_bytes() == content
    assert not hub.transfers()  # all of it was there


def test_killed_before_the_check_of_a_wrong_file_it_is_never_taken(hub, spec, content):
    key = f"{REPO}/{NAME}"
    hub.claimed[key] = hub.etag(key)
    hub.files[key] = bytes(len(content))
    with start(spec, at=len(content)) as process:
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert find_weights(spec) is None
    hub.files[key] = content
    with pytest.raises(RuntimeError, match="It was removed; try again"):
        fetch_weights(spec)
    assert find_weights(spec) is None
    assert fetch_weights(spec).read_bytes() == content


def test_two_processes_download_once(hub, spec, content):
    hub.pace = 0.005
    with start(spec) as first, start(spec) as second:
        assert (first.wait(60), second.wait(60)) == (0, 0)
    assert find_weights(spec).read_bytes() == content
    assert len(hub.transfers()) == 1
