"""Embeddings are kept within a budget, those used last the longest."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from napari_sam3.core.embeddings import EmbeddingCache
from napari_sam3.core.errors import ModelError
from napari_sam3.core.prediction import Embedding


def embedding(nbytes: int) -> Embedding:
    return Embedding(None, (4, 4), "nano", nbytes)


def filled(budget: int, **entries: int) -> EmbeddingCache:
    cache = EmbeddingCache(budget)
    for key, nbytes in entries.items():
        cache.put(key, embedding(nbytes))
    return cache


# ---- what stays -------------------------------------------------------------


def test_the_default_budget_is_two_gibibytes():
    assert EmbeddingCache().budget == 2 * 1024**3


def test_what_was_put_comes_back_and_nothing_else():
    cache, one = EmbeddingCache(), embedding(7)
    assert cache.get("a") is None
    cache.put("a", one)
    assert cache.get("a") is one
    assert cache.get("b") is None
    assert (len(cache), cache.nbytes, cache.keys()) == (1, 7, ("a",))


def test_the_one_that_was_not_used_for_the_longest_time_goes_first():
    cache = filled(30, a=10, b=10, c=10)
    cache.get("a")
    cache.put("d", embedding(10))
    assert cache.keys() == ("c", "a", "d")
    assert cache.get("b") is None


def test_putting_again_replaces_and_counts_as_using():
    cache = filled(30, a=10, b=10)
    cache.put("a", embedding(15))
    assert (cache.keys(), cache.nbytes) == (("b", "a"), 25)


@pytest.mark.parametrize("nbytes", [31, 1000])
def test_an_embedding_larger_than_the_budget_is_kept_alone(nbytes):
    cache = filled(30, a=10, b=10)
    cache.put("c", embedding(nbytes))
    assert (cache.keys(), cache.nbytes) == (("c",), nbytes)
    cache.put("d", embedding(10))
    assert (cache.keys(), cache.nbytes) == (("d",), 10)


# ---- making room ------------------------------------------------------------


def test_a_lower_budget_evicts_at_once():
    cache = filled(30, a=10, b=10, c=10)
    cache.budget = 25
    assert (cache.budget, cache.keys(), cache.nbytes) == (25, ("b", "c"), 20)
    cache.budget = 0
    assert cache.keys() == ("c",)


@pytest.mark.parametrize("budget", [-1, 1.5, None, "2 GiB"])
def test_a_budget_is_a_number_of_bytes(budget):
    with pytest.raises(ModelError, match="give a whole number of bytes"):
        EmbeddingCache(budget)
    cache = filled(30, a=10)
    with pytest.raises(ModelError, match="give a whole number of bytes"):
        cache.budget = budget
    assert (cache.budget, len(cache)) == (30, 1)


def test_entries_are_evicted_by_their_keys():
    cache = filled(30, a=10, b=8, ab=5)
    assert cache.evict(lambda key: "a" in key) == 15
    assert (cache.keys(), cache.nbytes) == (("b",), 8)
    assert cache.evict(lambda key: False) == 0


def test_what_decides_on_an_entry_may_ask_the_cache():
    cache = filled(30, a=10, b=10)
    assert cache.evict(lambda key: cache.get(key).nbytes == 10) == 20


def test_clearing_frees_all():
    cache = filled(30, a=10, b=8)
    assert cache.clear() == 18
    assert (len(cache), cache.nbytes, cache.clear()) == (0, 0, 0)


# ---- any order of calls -----------------------------------------------------


class AnyUse(RuleBasedStateMachine):
    """The cache beside a plain list of (key, bytes), the last used one last."""

    keys, sizes = st.integers(0, 5), st.integers(0, 40)

    def __init__(self):
        super().__init__()
        self.cache, self.model, self.budget = EmbeddingCache(50), [], 50

    def shrink(self):
        while len(self.model) > 1 and sum(n for _, n in self.model) > self.budget:
            del self.model[0]

    @rule(key=keys, nbytes=sizes)
    def put(self, key, nbytes):
        self.cache.put(key, embedding(nbytes))
        self.model = [pair for pair in self.model if pair[0] != key]
        self.model.append((key, nbytes))
        self.shrink()

    @rule(key=keys)
    def get(self, key):
        found = self.cache.get(key)
        kept = [pair for pair in self.model if pair[0] == key]
        assert [found.nbytes for _ in range(1) if found] == [n for _, n in kept]
        self.model = [pair for pair in self.model if pair[0] != key] + kept

    @rule(odd=st.booleans())
    def evict(self, odd):
        going = [pair for pair in self.model if pair[0] % 2 == odd]
        assert self.cache.evict(lambda key: key % 2 == odd) == sum(
            nbytes for _, nbytes in going
        )
        self.model = [pair for pair in self.model if pair not in going]

    @rule(budget=st.integers(0, 100))
    def set_budget(self, budget):
        self.cache.budget = self.budget = budget
        self.shrink()

    @invariant()
    def it_holds_what_the_list_holds(self):
        assert self.cache.keys() == tuple(key for key, _ in self.model)
        assert self.cache.nbytes == sum(nbytes for _, nbytes in self.model)
        assert len(self.cache) == len(self.model)

    @invariant()
    def it_is_within_its_budget_or_holds_a_single_entry(self):
        assert self.cache.nbytes <= self.cache.budget or len(self.cache) == 1


TestAnyUse = AnyUse.TestCase


def test_threads_may_use_it_at_once():
    cache, start = EmbeddingCache(200), threading.Barrier(4)

    def work(seed):
        start.wait()
        for step in range(2000):
            key = (seed * 31 + step * 7) % 40
            if step % 3:
                cache.put(key, embedding(1 + key))
            elif step % 7:
                cache.get(key)
            else:
                cache.evict(lambda other: other == key)  # noqa: B023

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert cache.nbytes == sum(1 + key for key in cache.keys())  # noqa: SIM118
    assert cache.nbytes <= 200
