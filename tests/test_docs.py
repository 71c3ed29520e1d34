"""What the documentation says, the code does: examples run, keys and pictures exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from PIL import Image

import napari_sam3
from docs import looks, screenshots, windows
from napari_sam3 import Session, attach
from napari_sam3.cli import main
from napari_sam3.core.store import EmbeddingStore
from napari_sam3.models.catalog import CATALOG
from napari_sam3.samples import open_nuclei
from napari_sam3.viewer.engine import Engine
from napari_sam3.widgets.keys import KEYS

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"!\[[^]]*]\(([^)]+)\)")
_MAX_PICTURE_BYTES = 250_000
#: Where the README finds pictures, pages and files: PyPI knows no others.
_RAW = "https://raw.githubusercontent.com/napari-sam3/napari-sam3/main/"
_SITE = "https://napari-sam3.github.io/napari-sam3/"
_BLOB = "https://github.com/napari-sam3/napari-sam3/blob/main/"


def blocks(name: str) -> list[tuple[int, str]]:
    """Return the examples of a page with the lines at which they begin."""
    text = PAGES[name].read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[1])
        for found in _BLOCK.finditer(text)
    ]


WITH_EXAMPLES = [name for name in PAGES if blocks(name)]


@pytest.fixture
def engine(
    plugin_settings, tmp_path_factory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """Have the examples' sessions end with them, and remember nothing."""
    store = EmbeddingStore(tmp_path_factory.mktemp("embeddings"))
    engine = Engine(store=store)
    monkeypatch.setattr("napari_sam3.viewer.session.shared_engine", lambda: engine)
    yield engine
    engine.thread.stop()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with the picture that the examples open."""
    demo = Path(napari_sam3.__file__).parent / "data/demo.png"
    (tmp_path / "cells.png").write_bytes(demo.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened() -> ViewerModel:
    """Return a viewer with the sample, as File ▸ Open Sample leaves it."""
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*open_nuclei()[0]))
    return viewer


def segmented() -> ViewerModel:
    """Return a viewer in which the tutorial's clicks have been made."""
    viewer = opened()
    session = attach(viewer)
    session.add_point(screenshots.FIRST)
    session.add_point(screenshots.NEIGHBOUR, positive=False)
    session.accept()
    session.mode = "many"
    session.add_points(screenshots.OTHERS)
    labels = session.accept_all()
    session.refine(labels[-1])
    session.add_point(screenshots.PALE_PART, positive=False)
    assert session.accept() == labels[-1]
    return viewer


def given(name: str) -> dict[str, Any]:
    """Return the names that a page takes as known."""
    if name == "tutorial.md":
        return {"viewer": segmented()}
    if name == "README.md":
        return {"viewer": opened()}
    plane = np.random.default_rng(0).integers(100, 2400, (64, 64), np.uint16)
    return {"plane": plane, "stack": plane[None].repeat(13, axis=0)}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str, engine: Engine, desk: Path):
    names = given(name)
    for line, source in blocks(name):
        padded = "\n" * line + source  # so that errors name the page's lines
        exec(compile(padded, str(PAGES[name]), "exec"), names)
    for session in [one for one in names.values() if isinstance(one, Session)]:
        session.close()


def test_the_tutorial_measures_ten_nuclei(engine: Engine, desk: Path, capsys):
    names = given("tutorial.md")
    for _, source in blocks("tutorial.md")[:2]:
        exec(source, names)
    table = (desk / "nuclei.csv").read_text().splitlines()
    assert len(table) == 1 + 1 + len(screenshots.OTHERS)
    # What the page shows as output is the output.
    page = PAGES["tutorial.md"].read_text(encoding="utf-8")
    shown = "\n".join(re.findall(r"^```text\n(.*?)^```", page, re.M | re.S))
    assert numbers(shown) == pytest.approx(numbers(capsys.readouterr().out), rel=0.1)


def test_the_command_line_page_shows_what_the_demo_prints(desk: Path, capsys):
    assert main(["demo", "--no-window"]) == 0
    page = PAGES["command-line.md"].read_text(encoding="utf-8")
    shown = re.search(r"^\$ napari-sam3 demo\n(.*?)^```", page, re.M | re.S)
    assert shown
    row = re.compile(r"^ +(\d+) +(0\.\d+) +(\d+)$", re.M)
    printed = {int(n): (s, a) for n, s, a in row.findall(capsys.readouterr().out)}
    told = {int(n): (s, a) for n, s, a in row.findall(shown[1])}
    assert {1, 2, 3, len(printed)} == told.keys()
    for number, (score, area) in told.items():
        assert float(score) == pytest.approx(float(printed[number][0]), abs=0.03)
        assert float(area) == pytest.approx(float(printed[number][1]), rel=0.05)


def numbers(text: str) -> list[float]:
    return [float(word) for word in re.findall(r"\d+(?:\.\d+)?", text)]


def test_the_table_of_keys_is_complete():
    page = PAGES["plugin.md"].read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([\w+]+)` \| (.+?) \|$", page, re.MULTILINE))
    done = {
        key: (command.__doc__ or "").splitlines()[0].removesuffix(".")
        for key, command in KEYS.items()
    }
    assert told == done


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"README.md"}))
def test_pictures_are_there(name: str):
    for target in _PICTURE.findall(PAGES[name].read_text(encoding="utf-8")):
        assert (ROOT / "docs" / target).is_file()


@pytest.mark.parametrize("spec", CATALOG.values(), ids=list(CATALOG))
def test_the_table_of_models_says_what_the_catalog_says(spec):
    channels, rows, cols = spec.embedding_shape
    facts = (
        spec.licence,
        f"{spec.parameters / 1e6:.1f} M",
        f"{spec.input_size}²",
        f"{spec.low_res_size}²",
        f"1 × {channels} × {rows} × {cols}",
    )
    lines = PAGES["models.md"].read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(f"| `{spec.id}` | ")]
    assert any(row.endswith(f"| {' | '.join(facts)} |") for row in rows), rows


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(
        r"]\(([^)\s]+)\)", PAGES["README.md"].read_text(encoding="utf-8")
    )
    ours = [target for target in targets if "napari-sam3" in target]
    assert len(ours) > 10
    for target in ours:
        page = target.removeprefix(_SITE)
        if page != target:
            path = ROOT / "docs" / page.replace(".html", ".md")
        else:
            path = ROOT / target.removeprefix(_RAW).removeprefix(_BLOB)
        assert path.is_file(), target
    assert all(target.startswith("https://") for target in targets)


@pytest.mark.parametrize("name", [*screenshots.NAMES, *looks.NAMES, *windows.NAMES])
def test_screenshots_are_shown_and_small(name: str):
    path = ROOT / "docs/images" / name
    assert path.stat().st_size < _MAX_PICTURE_BYTES
    with Image.open(path) as picture:
        picture.load()
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES.values())
    assert f"images/{name})" in text
