"""A hint costs nothing where it fits, and more the less it does."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint

lengths = st.floats(0.1, 1e5)
hints = st.builds(
    SizeHint, st.lists(lengths, max_size=40), st.one_of(st.none(), lengths)
)
quick = settings(deadline=None, max_examples=100)


def test_who_knows_nothing_minds_nothing():
    assert [SizeHint().penalty(size) for size in (0, 0.3, 20, 1e6)] == [0] * 4


@quick
@given(hints, lengths, st.floats(0, 1))
def test_the_further_the_size_departs_the_more_it_costs(hint, size, share):
    penalty = hint.penalty(size)
    assert 0 <= penalty <= 0.5
    for centre in (
        2 ** float(np.median(np.log2(hint.sizes_px))) if hint.sizes_px else None,
        hint.view_px and hint.view_px / math.sqrt(50),
    ):
        if centre is None or (hint.sizes_px and hint.view_px):
            continue
        nearer = centre * (size / centre) ** share
        assert hint.penalty(nearer) <= penalty + 1e-9


def test_sizes_like_those_that_are_there_cost_nothing():
    hint = SizeHint((20, 21, 22, 20))
    assert hint.penalty(20) == hint.penalty(25) == hint.penalty(17) == 0
    assert 0 < hint.penalty(30) < hint.penalty(40) < 0.3
    assert hint.penalty(30) == pytest.approx(hint.penalty(420 / 30))
    assert hint.penalty(200) == hint.penalty(2) == hint.penalty(0) == 0.3


def test_a_single_outlier_changes_little():
    plain, spoilt = SizeHint((20, 21, 22, 20)), SizeHint((20, 21, 22, 20, 900))
    assert spoilt.penalty(40) == pytest.approx(plain.penalty(40), abs=0.05)
    assert spoilt.penalty(900) == 0.3


def test_few_sizes_and_unlike_ones_allow_more():
    assert SizeHint((20, 20)).penalty(31) == 0 < SizeHint((20, 20, 20)).penalty(31)
    unlike = SizeHint((10, 20, 40, 15, 30))
    assert unlike.penalty(35) == 0 < SizeHint((20,) * 5).penalty(35)


def test_what_fits_the_view_costs_nothing_and_each_octave_beside_it_a_twentieth():
    hint = SizeHint(view_px=400)
    assert [hint.penalty(size) for size in (10, 100, 320)] == [0, 0, 0]
    found = [hint.penalty(size) for size in (640, 1280, 5, 2.5)]
    assert found == pytest.approx([0.05, 0.1, 0.05, 0.1])
    assert hint.penalty(1e6) == hint.penalty(0) == 0.2


def test_both_add_up():
    both = SizeHint((20, 20, 20), 100)
    parts = SizeHint((20, 20, 20)), SizeHint(view_px=100)
    assert both.penalty(400) == sum(one.penalty(400) for one in parts) > 0.3


def test_the_latest_32_are_kept():
    hint = SizeHint(np.arange(1, 50))
    assert hint.sizes_px == tuple(range(18, 50))
    assert all(type(size) is float for size in hint.sizes_px)


@quick
@given(hints, lengths, st.floats(0.1, 10))
def test_in_a_resampled_image_it_says_the_same(hint, size, ratio):
    scaled = hint.scaled(ratio)
    assert scaled.penalty(size * ratio) == pytest.approx(hint.penalty(size), abs=1e-6)


@quick
@given(hints)
def test_it_survives_json(hint):
    again = SizeHint.from_dict(json.loads(json.dumps(hint.to_dict())))
    assert again == hint
    assert hash(again) == hash(hint)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, "3", None, True, 10**400])
def test_what_is_no_size_is_refused_with_a_remedy(bad):
    with pytest.raises(PromptError, match="give a finite number of pixels above 0"):
        SizeHint((20, bad))
    if bad is not None:
        with pytest.raises(PromptError, match=r"view_px is .*; give"):
            SizeHint(view_px=bad)


def test_one_number_is_no_list_of_sizes():
    with pytest.raises(PromptError, match=r"give a tuple of numbers, such as \(30,\)"):
        SizeHint(30)


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf])
def test_a_mask_has_a_size(bad):
    with pytest.raises(PromptError, match="square root of its area"):
        SizeHint((20,)).penalty(bad)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [20],
        {},
        {"sizes_px": 20},
        {"sizes_px": ["20"]},
        {"sizes_px": [20, -1]},
        {"sizes_px": [], "view_px": "all"},
    ],
)
def test_what_is_no_hint_is_not_read(data):
    with pytest.raises(PromptError):
        SizeHint.from_dict(data)
