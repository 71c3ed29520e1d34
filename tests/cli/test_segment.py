"""``napari-sam3 segment`` on images that are as they should be."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3 import SAM3InteractiveImagePredictor, SizeHint, build_tracker
from napari_sam3.cli.overlay import NEGATIVE, POSITIVE, colour_of, zoom_of
from tests.fakes import FakeTracker


def test_a_click_gives_the_mask_that_the_predictor_gives(sam3, cells_png, tmp_path):
    output = tmp_path / "labels.tif"
    done = sam3("segment", cells_png, "--point", "30,40", "-o", output, "--json")
    assert (done.code, done.err) == (0, "")
    labels = tifffile.imread(output)

    predictor = SAM3InteractiveImagePredictor(build_tracker())
    predictor.set_image(np.asarray(Image.open(cells_png)))
    (mask,), (score,), _ = predictor.predict([[30, 40]], [1], multimask_output=False)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels == 1, mask)
    (found,) = done.facts["objects"]
    assert found["score"] == pytest.approx(score, abs=1e-4)
    assert found["area"] == mask.sum()


def test_x_is_the_column_and_y_the_row(sam3, cells_png, tmp_path):
    output = tmp_path / "labels.tif"
    assert sam3("segment", cells_png, "--point", "30,40", "-o", output).code == 0
    labels = tifffile.imread(output)
    assert labels[40, 30] == 1
    assert labels[70, 90] == 0


def test_objects_by_options_csv_and_json_are_the_same(sam3, cells_png, tmp_path):
    (tmp_path / "prompts.csv").write_text(
        "object,kind,x,y,x1,y1\na,point,30,40,,\nb,box,74,54,106,86\na,negative,90,70,,\n"
    )
    objects = [
        {"name": "a", "points": [[30, 40], [90, 70]], "labels": [1, 0]},
        {"name": "b", "box": [74, 54, 106, 86]},
    ]
    (tmp_path / "prompts.json").write_text(json.dumps({"objects": objects}))
    options = [
        "--point",
        "30,40",
        "--negative",
        "90,70",
        "--object",
        "--box",
        "74,54,106,86",
    ]
    images = []
    for prompts in (
        options,
        ["--object", *options],
        ["--prompts", tmp_path / "prompts.csv"],
        ["--prompts", tmp_path / "prompts.json"],
    ):
        output = tmp_path / "labels.tif"
        done = sam3("segment", cells_png, *prompts, "-o", output)
        assert (done.code, done.err) == (0, "")
        images.append(tifffile.imread(output))
    assert images[0][40, 30] == 1
    assert images[0][70, 90] == 2
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_json_names_the_objects_and_where_time_went(sam3, cells_png, tmp_path):
    (tmp_path / "p.csv").write_text("object;kind;x;y\nleft;point;30;40\n")
    done = sam3(
        "segment",
        cells_png,
        "--prompts",
        tmp_path / "p.csv",
        "-o",
        tmp_path / "l.tif",
        "--json",
    )
    assert [found["name"] for found in done.facts["objects"]] == ["left"]
    assert list(done.facts["seconds"]) == [
        "read prompts",
        "read image",
        "import torch",
        "load model",
        "predict",
        "write",
        "together",
    ]


def test_scores_and_times_are_printed(sam3, cells_png, tmp_path):
    output = tmp_path / "labels.tif"
    lines = sam3(
        "segment", cells_png, "--point", "30,40", "-o", output
    ).out.splitlines()
    assert lines[0].split() == ["object", "score", "area", "[px]"]
    number, score, area = lines[1].split()
    assert int(number) == 1
    assert 0 <= float(score) <= 1
    assert int(area) == (tifffile.imread(output) == 1).sum()
    assert "import torch" in lines[2]
    assert lines[3] == f"wrote {output}"


def test_the_overlay_shows_outlines_and_prompts(sam3, cells_png, tmp_path):
    output, overlay = tmp_path / "labels.tif", tmp_path / "overlay.png"
    prompts = [
        "--point",
        "30,40",
        "--negative",
        "60,10",
        "--object",
        "--box",
        "70,50,110,90",
    ]
    done = sam3("segment", cells_png, *prompts, "-o", output, "--overlay", overlay)
    assert (done.code, done.err) == (0, "")
    labels, picture = tifffile.imread(output), np.asarray(Image.open(overlay))
    zoom = zoom_of(labels.shape)
    assert picture.shape == (100 * zoom, 120 * zoom, 3)

    def has(colour, rows, cols):
        area = picture[rows[0] * zoom : rows[1] * zoom, cols[0] * zoom : cols[1] * zoom]
        return (area == colour).all(axis=-1).any()

    assert has(POSITIVE, (37, 44), (27, 34))
    assert has(NEGATIVE, (7, 14), (57, 64))
    rows, cols = np.nonzero(labels == 1)
    leftmost = cols.argmin()
    assert has(
        colour_of(1),
        (rows[leftmost] - 2, rows[leftmost] + 3),
        (cols[leftmost] - 2, cols[leftmost] + 3),
    )
    assert has(colour_of(2), (49, 52), (70, 110))  # the box's upper edge
    assert not has(colour_of(1), (92, 100), (0, 60))


def test_a_box_may_reach_beyond_the_image(sam3, cells_png, tmp_path):
    done = sam3("segment", cells_png, "--box", "-5,-5,60,60", "-o", tmp_path / "l.tif")
    assert (done.code, done.err) == (0, "")


def test_a_plane_of_a_stack_is_picked(sam3, cells_png, tmp_path):
    plane = np.asarray(Image.open(cells_png)).astype(np.uint16) * 9
    for compression in (None, "zlib"):
        stack = tmp_path / "stack.tif"
        tifffile.imwrite(
            stack, np.stack([np.zeros_like(plane), plane]), compression=compression
        )
        prompt = ("--point", "30,40", "-o", tmp_path / "l.tif")
        assert sam3("segment", stack, "--plane", "1", *prompt).code == 0
        labels = tifffile.imread(tmp_path / "l.tif")
        assert (labels[40, 30], labels[70, 90]) == (1, 0)
        unpicked = sam3("segment", stack, *prompt)
        assert unpicked.code == 1
        assert "--plane INDEX, 0 to 1" in unpicked.err
        assert sam3("segment", stack, "--plane", "2", *prompt).code == 1


def test_contrast_limits_bring_out_what_is_dim(sam3, cells_png, tmp_path):
    dim = np.asarray(Image.open(cells_png)).astype(np.uint16)
    dim[0, :20] = 60000  # a flash that the automatic limits would follow
    tifffile.imwrite(tmp_path / "dim.tif", dim)
    arguments = ("segment", tmp_path / "dim.tif", "--point", "30,40")
    limited = (*arguments, "--contrast", "0,255", "-o", tmp_path / "l.tif")
    assert sam3(*limited).code == 0
    labels = tifffile.imread(tmp_path / "l.tif")
    assert (labels[40, 30], labels[70, 90]) == (1, 0)


def test_a_failure_leaves_earlier_results_alone(sam3, cells_png, tmp_path):
    output = tmp_path / "labels.tif"
    output.write_bytes(b"earlier")
    done = sam3(
        "segment", cells_png, "--point", "30,40", "--model", "none", "-o", output
    )
    assert done.code == 1
    assert output.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        cells_png.name,
        output.name,
    ]


def test_a_terminal_sees_how_much_of_the_image_was_looked_at(
    sam3, cells_png, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr(
        "napari_sam3.cli.report.Progress.say", lambda self, text: told.append(text)
    )
    asked = ("--point", "70,60", "--whole-plane")
    done = sam3("segment", cells_png, *asked, "-o", tmp_path / "a.tif")
    assert done.code == 0
    shares = [text for text in told if text.startswith("looking at the image: ")]
    assert len(shares) > 5
    assert shares[-1] == "looking at the image: 100%"


def test_a_second_run_encodes_nothing(sam3, cells_png, tmp_path, monkeypatch):
    """The store is shared by all programs."""
    from napari_sam3.core.store import shared_store
    from napari_sam3.models.nano.tracker import NanoTracker

    monkeypatch.setenv("NAPARI_SAM3_CACHE", str(tmp_path / "store"))
    shared_store.cache_clear()
    calls = []
    embed = NanoTracker.embed

    def counted(self, images, **options):
        calls.append(len(images))
        return embed(self, images, **options)

    monkeypatch.setattr(NanoTracker, "embed", counted)
    asked = ("segment", cells_png, "--point", "30,40", "--whole-plane", "-o")
    for name in ("a.tif", "b.tif"):
        assert sam3(*asked, tmp_path / name).code == 0
    shared_store.cache_clear()
    assert calls == [1]
    first, second = (tifffile.imread(tmp_path / name) for name in ("a.tif", "b.tif"))
    np.testing.assert_array_equal(first, second)


def test_the_size_reaches_the_model(sam3, cells_png, tmp_path, monkeypatch):
    fake = FakeTracker()
    monkeypatch.setattr("napari_sam3.models.build.build_tracker", lambda **_: fake)
    table = tmp_path / "p.csv"
    table.write_text("object,kind,x,y\na,point,30,40\nb,point,90,70\n")
    output = ("-o", tmp_path / "a.tif")
    hint = SizeHint(sizes_px=(26.5,))
    for prompts in (("--point", "30,40"), ("--prompts", table)):
        assert sam3("segment", cells_png, *prompts, *output, "--size", "26.5").code == 0
    assert [prompt.size_hint for prompt in fake.prompts] == [hint] * 3
    assert sam3("segment", cells_png, "--point", "30,40", *output).code == 0
    assert fake.prompts[-1].size_hint is None


@pytest.mark.parametrize("size", ["0", "-3", "nan", "inf", "large"])
def test_what_is_no_size_is_told(sam3, cells_png, tmp_path, size):
    asked = ("--point", "30,40", "-o", tmp_path / "a.tif", "--size", size)
    done = sam3("segment", cells_png, *asked)
    assert done.code == 2
    assert "is no size; give pixels, more than 0" in done.err
