"""JSON is checked when it is read, and laid out for people when it is written."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam3.core.errors import PromptError
from napari_sam3.core.plain_json import entry, is_number, layout

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False).filter(math.isfinite)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


@given(values)
def test_laid_out_values_are_read_again(value):
    assert json.loads(layout(value)) == value


def test_lists_of_numbers_stay_on_one_line():
    text = layout({"runs": list(range(200)), "name": "a" * 90})
    assert len(text.splitlines()) == 4


def test_infinity_is_not_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        layout(math.inf)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, 2**63, [1]])
def test_what_is_no_number(value):
    assert not is_number(value)


@pytest.mark.parametrize(
    ("kind", "value"), [(int, 3), (float, 0.5), (bool, False), (str, ""), (list, [])]
)
def test_an_entry_is_taken(kind, value):
    assert entry({"a": value}, "a", kind, "A thing") is value


def test_whole_numbers_are_numbers():
    number = entry({"a": 3}, "a", float, "A thing")
    assert number == 3
    assert type(number) is float


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        (int, True, "a whole number"),
        (int, 1.0, "a whole number"),
        (int, 10**30, "a whole number"),
        (float, False, "a finite number"),
        (float, math.nan, "a finite number"),
        (float, 10**400, "a finite number"),
        (float, "1", "a finite number"),
        (bool, 1, "true or false"),
        (str, 1, "a text"),
        (list, {}, "a list"),
        (dict, [], "an object"),
    ],
)
def test_an_entry_of_another_kind_is_refused(kind, value, wanted):
    with pytest.raises(PromptError, match=f'"a" of a thing is .*; give {wanted}'):
        entry({"a": value}, "a", kind, "A thing")


def test_what_is_missing_is_named():
    with pytest.raises(PromptError, match='A thing has no "b"; add it'):
        entry({"a": 1}, "b", int, "A thing")
    with pytest.raises(PromptError, match="A thing must be an object in braces"):
        entry([1], "b", int, "A thing")
