"""One thread, lanes in turns, the newest request, real cancelling."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from napari_sam3.viewer.inference import InferenceThread, Job, Lane, News, Outcome

SECONDS = 10.0


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    thread = InferenceThread()
    yield thread
    thread.stop()


@pytest.fixture
def lane(thread: InferenceThread) -> Lane:
    return thread.lane()


class Gate:
    """A job that runs until the test lets it go on."""

    def __init__(self, value: object = "gate") -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.value = value

    def __call__(self, tell: Callable[[News], None]) -> object:
        self.entered.set()
        assert self.opened.wait(SECONDS)
        tell(News("on"))
        return self.value


def outcomes(lane: Lane) -> dict[int, Outcome]:
    found = {}
    while lane.pending:
        item = lane.fetch(SECONDS)
        assert item is not None, "nothing came"
        if isinstance(item[1], Outcome):
            found[item[0]] = item[1]
    return found


def just(value: object) -> Job:
    return Job(lambda tell: value)


def test_a_job_runs_on_the_thread_and_its_value_comes_back(lane: Lane) -> None:
    ticket = lane.submit(Job(lambda tell: threading.current_thread().name))
    assert outcomes(lane)[ticket].value == "napari-sam3 inference"


def test_all_jobs_of_all_lanes_share_one_thread(thread: InferenceThread) -> None:
    lanes = [thread.lane() for _ in range(3)]
    for lane in lanes:
        lane.submit(Job(lambda tell: threading.get_ident()))
    idents = {next(iter(outcomes(lane).values())).value for lane in lanes}
    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_of_waiting_requests_only_the_newest_runs(lane: Lane) -> None:
    gate = Gate()
    first = lane.submit(Job(gate))
    assert gate.entered.wait(SECONDS)
    ran: list[int] = []
    tickets = [
        lane.submit(Job(lambda tell, n=n: ran.append(n)))  # type: ignore[misc]
        for n in range(5)
    ]
    gate.opened.set()
    found = outcomes(lane)
    assert ran == [4]
    assert found[first].value == "gate"
    assert [found[ticket].was_cancelled for ticket in tickets] == [True] * 4 + [False]


def test_tasks_in_the_queue_all_run_and_requests_go_first(lane: Lane) -> None:
    gate = Gate()
    lane.submit(Job(gate))
    assert gate.entered.wait(SECONDS)
    ran: list[str] = []
    for name in ("task 1", "task 2"):
        work = lambda tell, name=name: ran.append(name)  # noqa: E731
        lane.submit(Job(work, is_request=False))
    lane.submit(Job(lambda tell: ran.append("click")))
    gate.opened.set()
    outcomes(lane)
    assert ran == ["click", "task 1", "task 2"]


def test_a_request_about_something_else_cancels_the_running_one(lane: Lane) -> None:
    gate = Gate()
    old = lane.submit(Job(gate, context="plane 3"))
    assert gate.entered.wait(SECONDS)
    new = lane.submit(Job(lambda tell: "new", context="plane 10"))
    gate.opened.set()
    found = outcomes(lane)
    assert found[old].was_cancelled
    assert found[new].value == "new"


def test_a_request_about_the_same_lets_the_running_one_end(lane: Lane) -> None:
    gate = Gate()
    old = lane.submit(Job(gate, context="plane 3"))
    assert gate.entered.wait(SECONDS)
    lane.submit(Job(lambda tell: None, context="plane 3"))
    gate.opened.set()
    assert outcomes(lane)[old].value == "gate"


def test_cancel_ends_what_runs_and_what_waits(lane: Lane) -> None:
    gate = Gate()
    tickets = [lane.submit(Job(gate))]
    assert gate.entered.wait(SECONDS)
    tickets.append(lane.submit(just(1)))
    tickets.append(lane.submit(Job(lambda tell: 2, is_request=False)))
    lane.cancel()
    gate.opened.set()
    found = outcomes(lane)
    assert all(found[ticket].was_cancelled for ticket in tickets)
    after = lane.submit(just("still alive"))
    assert outcomes(lane)[after].value == "still alive"


def test_an_error_comes_back_without_the_frames_that_hold_images(lane: Lane) -> None:
    class Image:
        pass

    seen: list[weakref.ref[Image]] = []

    def fail(tell: Callable[[News], None]) -> None:
        image = Image()
        seen.append(weakref.ref(image))
        raise RuntimeError("out of memory")

    ticket = lane.submit(Job(fail))
    outcome = outcomes(lane)[ticket]
    assert isinstance(outcome.error, RuntimeError)
    gc.collect()
    assert seen[0]() is None


def test_news_come_in_order_before_the_outcome(lane: Lane) -> None:
    def work(tell: Callable[[News], None]) -> str:
        tell(News("a", 1, 2))
        tell(News("b", 2, 2))
        return "done"

    ticket = lane.submit(Job(work))
    items = [lane.fetch(SECONDS) for _ in range(3)]
    assert [item[0] for item in items if item] == [ticket] * 3
    texts = [i[1].text if isinstance(i[1], News) else i[1].value for i in items if i]
    assert texts == ["a", "b", "done"]


def test_a_closed_lane_takes_no_job_and_others_go_on(thread: InferenceThread) -> None:
    closed, other = thread.lane(), thread.lane()
    gate = Gate()
    closed.submit(Job(gate))
    assert gate.entered.wait(SECONDS)
    closed.close()
    closed.close()
    gate.opened.set()
    with pytest.raises(RuntimeError, match="closed"):
        closed.submit(just(1))
    ticket = other.submit(just(2))
    assert outcomes(other)[ticket].value == 2


def test_stop_waits_for_the_running_job_and_a_new_one_starts_a_thread(
    thread: InferenceThread,
) -> None:
    lane = thread.lane()
    gate = Gate()
    ticket = lane.submit(Job(gate))
    assert gate.entered.wait(SECONDS)
    stopper = threading.Thread(target=thread.stop)
    stopper.start()
    gate.opened.set()
    stopper.join(SECONDS)
    assert not stopper.is_alive()
    assert outcomes(lane)[ticket].was_cancelled
    again = lane.submit(just("again"))
    assert outcomes(lane)[again].value == "again"
    thread.stop()


def test_a_lane_that_nobody_holds_is_freed(thread: InferenceThread) -> None:
    lane = thread.lane()
    ticket = lane.submit(just(b"x" * 10))
    assert outcomes(lane)[ticket].value
    ref = weakref.ref(lane)
    del lane
    # The thread lets go of it after the job; another one tells when.
    other = thread.lane()
    other.submit(just(1))
    outcomes(other)
    gc.collect()
    assert ref() is None
