"""Loading torch's libraries, in a process that has not done so yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading, time
from napari_sam3.models.loading import load_torch_libraries

ticks, started, done = [0], threading.Event(), threading.Event()

def tick():
    while not done.is_set():
        started.set()
        time.sleep(0.001)
        ticks[0] += 1

thread = threading.Thread(target=tick)
thread.start()
started.wait()
before = ticks[0]
loaded = load_torch_libraries()
during = ticks[0] - before
done.set()
thread.join()
assert "torch" not in sys.modules
import torch
again = load_torch_libraries()
print(loaded, again, torch.ones(2).sum().item(), during > 2)
"""


@pytest.mark.skipif(
    sys.platform not in ("linux", "darwin"), reason="elsewhere nothing is preloaded"
)
def test_other_threads_go_on_while_the_libraries_load_and_torch_works() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["True", "False", "2.0", "True"], done.stderr
