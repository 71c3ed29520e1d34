"""Questions go out, answers come back on the thread that delivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from napari_sam3.core.errors import ModelError
from napari_sam3.viewer.asking import Asking, told_as
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.inference import News
from napari_sam3.viewer.status import Status
from tests.viewer.studio import SECONDS, Gate


@pytest.fixture
def asking(engine: Engine) -> Iterator[Asking]:
    asking = Asking(engine)
    yield asking
    asking.close()


def value(one: object):
    return lambda tell: one


def fail(error: Exception):
    def work(tell):
        raise error

    return work


def test_an_answer_comes_to_the_thread_that_delivers(asking):
    got = []
    asking.ask(
        lambda tell: threading.get_ident(),
        lambda ident: got.append((ident, threading.get_ident())),
    )
    assert asking.busy
    assert asking.is_asking
    asking.wait(SECONDS)
    ((there, here),) = got
    assert there != here == threading.get_ident()
    assert not asking.busy
    assert not asking.is_asking


def test_only_the_newest_request_is_answered_and_all_other_jobs(asking):
    got = []
    gate = Gate()
    asking.ask(lambda tell: gate(), lambda _: got.append("first"))
    gate.wait()
    for number in range(3):
        asking.ask(value(number), got.append, is_request=False)
        asking.ask(value(f"request {number}"), got.append)
    gate.opened.set()
    asking.wait(SECONDS)
    assert got == ["request 2", 0, 1, 2]


def test_superseded_requests_are_dropped_and_other_jobs_are_not(asking):
    got, gate = [], Gate()

    def work(tell):
        gate()
        tell(News("on"))
        got.append("went on")

    asking.ask(work, got.append)
    gate.wait()
    asking.ask(value("job"), got.append, is_request=False)
    asking.supersede()
    gate.opened.set()
    asking.wait(SECONDS)
    assert got == ["job"]


def test_cancelled_jobs_are_told_to_those_who_care(asking):
    got, gate = [], Gate()
    asking.ask(lambda tell: gate(), got.append)
    gate.wait()
    asking.ask(
        value("job"),
        got.append,
        is_request=False,
        otherwise=lambda: got.append("given up"),
    )
    asking.cancel()
    assert got == ["given up"]
    gate.opened.set()
    asking.wait(SECONDS)
    assert got == ["given up"]


def test_failed_jobs_too_and_the_error_is_raised_once(asking):
    got = []
    failed = []
    asking.failed.connect(failed.append)
    error = ModelError("No; do this.")
    asking.ask(fail(error), got.append, otherwise=lambda: got.append("given up"))
    with pytest.raises(ModelError, match="do this"):
        asking.wait(SECONDS)
    assert got == ["given up"]
    assert failed == [error]
    assert asking.status == Status("No; do this.", is_error=True)
    asking.wait(SECONDS)


def test_news_become_the_status(asking):
    seen = []
    asking.status_changed.connect(seen.append)

    def work(tell):
        tell(News("encoding…", 1, 4))
        tell(News("encoding…", 1, 4))

    asking.ask(work, lambda _: None)
    asking.wait(SECONDS)
    assert seen == [
        Status("waiting…", busy=True),
        Status("encoding…", busy=True, done=1, total=4),
        Status(),
    ]


def test_what_was_cancelled_says_nothing_more(asking):
    gate = Gate()

    def work(tell):
        tell(News("encoding…"))
        gate()

    asking.ask(work, lambda _: None)
    gate.wait()
    asking.cancel()
    asking.status = Status("cancelled")
    gate.opened.set()
    asking.wait(SECONDS)
    assert asking.status == Status("cancelled")


def test_what_cannot_be_done_with_an_answer_reaches_who_waits(asking):
    asking.ask(value(1), lambda _: asking.refuse(ModelError("No room; make some.")))
    with pytest.raises(ModelError, match="No room"):
        asking.wait(SECONDS)
    assert asking.status.is_error


def test_waiting_has_an_end(asking):
    gate = Gate()
    asking.ask(lambda tell: gate(), lambda _: None)
    with pytest.raises(TimeoutError, match="waiting"):
        asking.wait(0.001)
    gate.opened.set()
    asking.wait(SECONDS)


def test_an_answer_may_ask_again(asking):
    got = []
    asking.ask(
        value(1), lambda one: asking.ask(value(one + 1), got.append, is_request=False)
    )
    asking.wait(SECONDS)
    assert got == [2]


def test_after_closing_nothing_comes(asking):
    got, gate = [], Gate()
    asking.ask(lambda tell: gate(), got.append)
    gate.wait()
    asking.close()
    gate.opened.set()
    asking.wait(SECONDS)
    assert got == []


def test_mistakes_of_ours_are_told_as_such():
    assert told_as(ModelError("Choose nano.")) == "Choose nano."
    assert told_as(KeyError("x")).startswith("KeyError: 'x'. This is not your mistake")
