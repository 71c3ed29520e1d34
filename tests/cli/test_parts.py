"""The command line's parts, without a model."""

from __future__ import annotations

import contextlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.cli import images
from napari_sam3.cli.images import read_rgb
from napari_sam3.cli.outputs import check_output
from napari_sam3.cli.prompt_files import read_prompts
from napari_sam3.cli.report import Progress
from napari_sam3.core.errors import FileError, ImageError, PromptError
from napari_sam3.core.files import write_atomically

# ---- reading ----------------------------------------------------------------


PLANES = np.arange(2 * 3 * 20 * 30, dtype=np.uint8).reshape(2, 3, 20, 30)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "CTYX", "YXS", "CYX", "ZCYX"])
def test_planes_are_counted_and_channels_kept_together(axes, compression, tmp_path):
    array = {2: PLANES[0, 0], 3: PLANES[0], 4: PLANES}[len(axes)]
    if axes == "YXS":
        array = np.ascontiguousarray(np.moveaxis(PLANES[0], 0, -1))
    if axes == "CTYX":
        array = np.ascontiguousarray(np.swapaxes(PLANES, 0, 1))
    path = tmp_path / "image.ome.tif"
    tifffile.imwrite(
        path,
        array,
        metadata={"axes": axes},
        compression=compression,
        photometric="rgb" if "S" in axes else "minisblack",
    )
    last = {"TZYX": 5, "TCYX": 1, "CTYX": 1, "YXS": 0, "CYX": 0, "ZCYX": 1}[axes]
    rgb = read_rgb(path, plane=last)
    if axes == "TZYX":
        np.testing.assert_array_equal(rgb[..., 0], PLANES[1, 2])
    else:
        expected = np.moveaxis(PLANES[1 if last else 0], 0, -1)
        np.testing.assert_array_equal(rgb, expected)
    with pytest.raises(ImageError, match="no plane"):
        read_rgb(path, plane=last + 1)


def test_codecs_that_are_missing_are_asked_of_pillow(tmp_path, monkeypatch):
    pixels = np.arange(600, dtype=np.uint8).reshape(20, 30)
    path = tmp_path / "image.tif"
    Image.fromarray(pixels).save(path, compression="tiff_lzw")

    def lacks(*args):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(images, "_read_series", lacks)
    np.testing.assert_array_equal(read_rgb(path)[..., 0], pixels)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FileError, match="pip install imagecodecs"):
        read_rgb(path)


def test_frames_of_a_gif_are_planes(tmp_path):
    frames = [Image.new("L", (9, 9), value) for value in (0, 100, 200)]
    path = tmp_path / "image.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_rgb(path, plane=1)[0, 0, 0] == 100
    with pytest.raises(ImageError, match="3 planes"):
        read_rgb(path)


def test_large_images_are_read_without_a_warning(tmp_path, monkeypatch):
    # Above twice the limit Pillow refuses, above the limit it warns.
    for limit in (100, 40):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        for name in ("image.png", "image.jpg", "image.gif"):
            path = tmp_path / name
            Image.new("L", (9, 13), 7).save(path)
            assert read_rgb(path).shape == (13, 9, 3)
        assert limit == Image.MAX_IMAGE_PIXELS
        with pytest.raises(ImageError):
            read_rgb(path, plane=1)
        assert limit == Image.MAX_IMAGE_PIXELS


def test_threads_that_read_restore_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    path = tmp_path / "image.png"
    Image.new("L", (9, 13)).save(path)
    original, together = Image.open, threading.Barrier(2)

    def open_slowly(*args):
        # Without turns, both threads get here before one of them leaves.
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.2)
        return original(*args)

    monkeypatch.setattr(Image, "open", open_slowly)
    with ThreadPoolExecutor(2) as pool:
        for rgb in pool.map(images.read_rgb, [path, path]):
            assert rgb.shape == (13, 9, 3)
    assert Image.MAX_IMAGE_PIXELS == 40


# ---- prompt files -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y\n1,2\n", "'object' is missing"),
        ("object,kind,x,y\n1,dot,1,2\n", "line 2 has the kind 'dot'"),
        ("object,kind,x,y\n,point,1,2\n", "line 2 names no object"),
        ("object,kind,x,y\n1,point,1\n", "line 2 needs finite numbers"),
        ("object,kind,x,y\n1,point,1,inf\n", "line 2 needs finite numbers"),
        ("object,kind,x,y\n1,box,1,2\n", "in x, y, x1, y1"),
        ("object,kind,x,y,x1,y1\n1,box,1,2,3,4\n1,box,1,2,3,4\n", "line 3: an object"),
    ],
)
def test_csv_errors_say_the_line(text, words, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(PromptError, match=words):
        read_prompts(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", 'no list "objects"'),
        ('{"objects": [{"point": [[1, 2]]}]}', "object 1: give only the keys"),
        ('{"objects": [{"points": [1, 2]}]}', r"1 is not \[x, y\]"),
        ('{"objects": [{"points": [["1", "2"]]}]}', r"is not \[x, y\]"),
        ('{"objects": [{"points": [[1, NaN]]}]}', r"is not \[x, y\]"),
        ('{"objects": [{"points": [[1, 2]], "labels": [2]}]}', "one label"),
        ('{"objects": [{"points": [[1, 2]], "labels": []}]}', "one label"),
        ('{"objects": [{"box": [1, 2, 3]}]}', "x0, y0, x1, y1"),
        ('{"objects": [{"box": [5, 5, 3, 9]}]}', "is empty"),
    ],
)
def test_json_errors_say_the_object(text, words, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(PromptError, match=words):
        read_prompts(path)


def test_tables_of_spreadsheets_are_read(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("\ufeffobject; kind; x; y\r\nä; point; 1; 2\r\n".encode())
    (draft,) = read_prompts(path)
    assert (draft.name, draft.clicks) == ("ä", [(1.0, 2.0, True)])


# ---- writing and telling ----------------------------------------------------


def test_the_longest_names_can_be_written(tmp_path):
    path = tmp_path / f"{'x' * 251}.tif"
    check_output(path, inputs=[tmp_path / ("y" * 300)])
    write_atomically(path, lambda file: file.write(b"done"))
    assert path.read_bytes() == b"done"
    assert list(tmp_path.iterdir()) == [path]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_one_line_on_a_terminal_and_cleared():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        with Progress(stream) as progress:
            progress.say("object 12 of 300")
            progress.say("writing")
    assert file.getvalue() == ""
    assert "\n" not in terminal.getvalue()
    shown = terminal.getvalue().split("\r")
    assert shown[:3] == ["", "object 12 of 300", "writing".ljust(16)]
    assert shown[-2:] == [" " * 7, ""]
