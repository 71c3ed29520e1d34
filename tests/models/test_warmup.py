"""A model answers once before the user asks."""

from __future__ import annotations

import pytest

from napari_sam3.models.nano.tracker import NanoTracker
from napari_sam3.models.warmup import warm_up
from tests.fakes import FakeTracker


class CancelledError(Exception):
    pass


def test_the_network_sees_all_that_a_first_click_shows_it(network, monkeypatch):
    tracker, seen = NanoTracker(network), []
    embed = network.embed

    def watch(pixels, **options):
        seen.append(tuple(pixels.shape))
        return embed(pixels, **options)

    monkeypatch.setattr(network, "embed", watch)
    warm_up(tracker)
    # The whole view, six windows of the ladder, and a closer look at the best mask.
    assert seen == [(1, 3, 512, 512), (6, 3, 128, 128), (1, 3, 160, 160)]


def test_it_reports_and_can_be_ended(network):
    tracker, seen = NanoTracker(network), []
    warm_up(tracker, report=lambda done, total: seen.append(done))
    assert seen[0] == 0 < seen[-1]

    def cancel(done, total):
        raise CancelledError

    with pytest.raises(CancelledError):
        warm_up(tracker, report=cancel)


def test_a_model_that_takes_its_time_is_not_asked_for_nothing():
    class Slow(FakeTracker):
        is_quick = False

    slow, quick = Slow(), FakeTracker()
    for tracker in (slow, quick):
        warm_up(tracker)
    assert (slow.embed_calls, quick.embed_calls) == (0, 1)
