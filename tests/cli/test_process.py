"""The command line as a process of its own: start-up, streams and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile


def is_one_error(err: str) -> bool:
    return err.startswith("napari-sam3: error: ") and err.count("\n") == 1


def python(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, **options
    )


def test_help_and_version_load_no_torch():
    script = (
        "import sys\n"
        "from napari_sam3.cli import main\n"
        "codes = [main(['--help']), main(['segment', '--help']), main(['--version'])]\n"
        "heavy = {'torch', 'numpy', 'napari', 'qtpy'} & set(sys.modules)\n"
        "sys.exit(f'{codes} {heavy}' if heavy or any(codes) else 0)\n"
    )
    done = python("-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    assert "examples:" in done.stdout
    assert "napari-sam3 0" in done.stdout


def test_a_process_segments_and_says_nothing_on_stderr(cells_png, tmp_path):
    output = tmp_path / "labels.tif"
    done = python(
        "-m", "napari_sam3.cli", "segment", cells_png, "--point", "30,40", "-o", output
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert tifffile.imread(output).max() == 1


def test_a_process_fails_with_its_code(tmp_path):
    done = python("-m", "napari_sam3.cli", "segment", "none.png", cwd=tmp_path)
    assert done.returncode == 2
    assert is_one_error(done.stderr)


@pytest.mark.skipif(os.name == "nt", reason="there, it is another error")
@pytest.mark.parametrize("command", ["models", "models --json", "--help", "segment"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_is_no_error(command, unbuffered):
    read, write = os.pipe()
    os.close(read)
    to_stderr = command == "segment"  # wrong usage, told to nobody
    done = subprocess.run(
        [sys.executable, "-m", "napari_sam3.cli", *command.split()],
        stdout=write,
        stderr=write if to_stderr else subprocess.PIPE,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write)
    # argparse itself passes over what it cannot print.
    is_passed_over = unbuffered and command in ("--help", "segment")
    assert done.returncode == 141 or is_passed_over
    assert not done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_told(unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "napari_sam3.cli", "models"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    assert is_one_error(done.stderr)
    assert "disk is full" in done.stderr
