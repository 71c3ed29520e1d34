"""What was done, as lines of Python."""

from __future__ import annotations

import ast

import pytest

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.script import Script

A, B, NOT = PointMark(1, 2), PointMark(3.5, 4), PointMark(5, 6, False)
BOX = BoxMark(1, 2, 3, 4.25)
OUTLINE = OutlineMark(((1, 2), (1, 9), (9, 2)))
HEAD = "import napari_sam3\n\ns = napari_sam3.attach(viewer)\n"


def draft(*marks) -> Draft:
    return Draft(Dialogue((Step(marks),) if marks else ()))


def lines(script: Script) -> list[str]:
    ast.parse(str(script))
    return str(script).splitlines()[3:]


def test_nothing_done_is_a_session_to_begin_with():
    assert str(Script()) == HEAD
    begun = str(Script(", model='large'"))
    assert begun.endswith("s = napari_sam3.attach(viewer, model='large')\n")


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ((), (A,), "s.add_point((1.0, 2.0))"),
        ((), (NOT,), "s.add_point((5.0, 6.0), positive=False)"),
        ((A,), (A, B), "s.add_point((3.5, 4.0))"),
        ((), (A, B), "s.add_points([(1.0, 2.0), (3.5, 4.0)])"),
        ((), (A, A), "s.add_points([(1.0, 2.0), (1.0, 2.0)])"),
        ((A,), (A, A), "s.add_point((1.0, 2.0))"),
        ((), (BOX,), "s.add_box((1.0, 2.0, 3.0, 4.25))"),
        ((), (OUTLINE,), "s.add_outline([(1.0, 2.0), (1.0, 9.0), (9.0, 2.0)])"),
        ((A, B), (B,), "s.change(remove=[PointMark(1.0, 2.0, True)])"),
        (
            (A,),
            (NOT, BOX),
            (
                "s.change(add=[PointMark(5.0, 6.0, False), "
                "BoxMark(1.0, 2.0, 3.0, 4.25)], "
                "remove=[PointMark(1.0, 2.0, True)])"
            ),
        ),
    ],
)
def test_edits_are_single_lines(before, after, line):
    script = Script()
    script.edit(draft(*before), draft(*after))
    assert str(script).splitlines()[-1] == line
    ast.parse(str(script))


def test_marks_are_imported_where_they_are_named():
    script = Script()
    script.edit(draft(), draft(A, BOX))
    text = str(script)
    assert "from napari_sam3 import BoxMark, OutlineMark, PointMark\n" in text
    names: dict[str, object] = {"viewer": None}
    exec("\n".join(text.splitlines()[:2]), names)
    assert eval(repr(BOX), names) == BOX


def test_masks_to_refine_are_no_prompts():
    mask = MaskMark((0, 0, 1, 8), b"\xff")
    script = Script()
    script.edit(draft(), Draft(Dialogue((Step((mask,)),)), label=1))
    assert str(script) == HEAD


def test_of_a_setting_that_is_changed_again_at_once_the_last_value_counts():
    script = Script()
    for line in ("s.mode = 'many'", "s.mode = 'one'", "s.overlap = 'keep'"):
        script.add(line)
    script.add("s.mode = 'many'")
    assert lines(script) == ["s.mode = 'one'", "s.overlap = 'keep'", "s.mode = 'many'"]


def test_image_order_and_sliders_are_told_when_they_change():
    script = Script()
    script.visit("cells", (0, 1, 2), {0: 3})
    script.visit("cells", (0, 1, 2), {0: 3})
    script.add("s.accept()")
    script.visit("cells", (1, 0, 2), {1: 7})
    script.visit("it's", (0, 1, 2), {0: 3})
    assert lines(script) == [
        "s.image = viewer.layers['cells']",
        "viewer.dims.set_current_step(0, 3)",
        "s.accept()",
        "viewer.dims.order = (1, 0, 2)",
        "viewer.dims.set_current_step(1, 7)",
        's.image = viewer.layers["it\'s"]',
        "viewer.dims.order = (0, 1, 2)",
    ]


def test_the_image_is_told_again_after_none():
    script = Script()
    script.visit("cells", (0, 1), {})
    script.add("s.accept()")
    script.leave_image()
    script.add("s.mode = 'many'")
    script.visit("cells", (0, 1), {})
    assert lines(script)[-3:] == [
        "s.image = None",
        "s.mode = 'many'",
        "s.image = viewer.layers['cells']",
    ]


def test_candidates_must_be_there_to_be_chosen():
    script = Script()
    script.choose(1)
    script.choose(-2)
    assert lines(script) == ["s.wait()", "s.next_candidate()", "s.next_candidate(-2)"]


def test_what_came_to_nothing_is_taken_out():
    script = Script()
    place = script.add("s.refine(9)")
    script.add("s.accept()")
    script.retract(place)
    assert lines(script) == ["s.accept()"]
