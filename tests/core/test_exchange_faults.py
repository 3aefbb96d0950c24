"""Each step fails for a pair at each place of a list, by each road: nothing of that pair changed, the others moved.

What is compared is the whole arena, byte for byte: a list in which nothing may move leaves the picture as it was, and
a list that is exchanged twice but for the pair that fails gives the picture from before.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginError
from pagexchange.model.config import PluginUse
from pagexchange.oracle import check
from pagexchange.oracle import format as f
from pagexchange_native.arena.region import BATCH
from pagexchange_plugins.faults import Faults, Faulty
from tests.core.pages import KINDS, LONG, NATIVE, Pages, Pfns, differences, picture, resting, strategy

N = 2 * BATCH + 30
PLACES = (0, LONG // 2, LONG - 1, LONG, 8 * LONG - 1, 8 * LONG, N - 1)
"""First, in the middle, at both sides of each border between batches, last."""
STRATEGIES = (*NATIVE, "numpy")
EBADMSG, ECANCELED = -errno.EBADMSG, -errno.ECANCELED


def kinds_of(i: int) -> tuple[str, str]:
    """Of pair `i`: all combinations, and where something will fail the pages that have all that a page can have."""
    return ("shmem", "shmem") if i in PLACES else (KINDS[i % 4], KINDS[i // 4 % 4])


class List:
    """A list of eight batches and a bit over pages of every kind; each pair's bytes can be told from all others'."""

    def __init__(self) -> None:
        self.pages = Pages(frames=N + 2 * BATCH)
        self.arena = self.pages.arena
        made = [self.pages.pair(kinds_of(i), mappings=(i % 2, i // 2 % 2)) for i in range(N)]
        self.pairs: Pfns = np.array(made)
        names = ("referenced", "uptodate", "active", "dirty", "swapbacked")
        for i, pair in enumerate(made):
            for side, pfn in enumerate(pair):
                self.pages.flag(pfn, *(name for k, name in enumerate(names) if (3 * i + side) >> k & 1))
        self.before = self.picture()

    def picture(self) -> Any:
        """All bytes but those of free frames, which movers take and give back."""
        return picture(self.arena, scratch=True)

    def same(self, before: Any) -> None:
        assert differences(before, self.picture()) == []
        assert resting(self.arena)

    def of(self, pair: Pfns) -> list[bytes]:
        """Every byte that belongs to a pair: frames, page entries, and the words that lead to them."""
        raw = f.read(self.arena)
        slots, tables = raw.xanodes["slot"].ravel(), raw.tables["pte"]["pte"].ravel()
        found = [raw.frames[pair], raw.entries[pair]]
        for pfn in pair.tolist():
            leads = np.flatnonzero(tables >> np.uint64(12) == pfn)
            found += [np.flatnonzero(slots == np.uint64((pfn + 1) << 2)), leads, tables[leads]]
        return [one.tobytes() for one in found]

    def run(self, bound: Strategy, failed: dict[int, int], threads: int = 1) -> None:
        """Exchange. The pairs in `failed` have that status and keep all their bytes, the others have moved."""
        frames = f.read(self.arena).frames
        contents, kept = frames[self.pairs], {i: self.of(self.pairs[i]) for i in failed}
        status: Any = np.zeros(N, np.int32)
        try:
            bound.exchange(self.pairs, threads=threads, out=status)
        finally:
            assert status.tolist() == [failed.get(i, 0) for i in range(N)]
            done = np.flatnonzero(status == 0)
            assert (frames[self.pairs[done]] == contents[done][:, ::-1]).all()
            assert [i for i in failed if self.of(self.pairs[i]) != kept[i]] == []
            assert resting(self.arena)

    def back(self, bound: Strategy, failed: dict[int, int]) -> None:
        """Exchange those that moved once more: all bytes are as they were."""
        assert bound.exchange(np.delete(self.pairs, list(failed), axis=0)).ok
        self.same(self.before)


@pytest.fixture(scope="module")
def one_list() -> List:
    return List()


@pytest.fixture
def listed(one_list: List) -> Iterator[List]:
    """One arena for all: each test leaves it as it was, or fails."""
    yield one_list
    one_list.same(one_list.before)
    assert check(one_list.arena) == []


# ---- the page or what leads to it is not as it must be --------------------------------------------------------------


@contextmanager
def locked(pages: Pages, pfn: int) -> Iterator[None]:
    assert pages.arena.lock(pfn)
    yield
    pages.arena.unlock(pfn)


def flagged(name: str) -> Callable[[Pages, int], AbstractContextManager[None]]:
    @contextmanager
    def spoil(pages: Pages, pfn: int) -> Iterator[None]:
        pages.flag(pfn, name)
        yield
        pages.arena.clear_flags(pfn, pages.arena.layout.word(name))

    return spoil


@contextmanager
def locked_bit(pages: Pages, pfn: int) -> Iterator[None]:
    """Only the bit, as another process's view could set it: `set_flags` refuses it."""
    word = np.uint64(pages.arena.layout.word("locked"))
    pages.arena.flags[pfn] |= word
    yield
    pages.arena.flags[pfn] &= ~word


@contextmanager
def referenced(pages: Pages, pfn: int) -> Iterator[None]:
    assert pages.arena.get(pfn)
    yield
    pages.arena.put(pfn)


@contextmanager
def pinned(pages: Pages, pfn: int) -> Iterator[None]:
    pages.arena.pin(pfn)
    yield
    pages.arena.unpin(pfn)


def damaged(*fields: str) -> Callable[[Pages, int], AbstractContextManager[None]]:
    @contextmanager
    def spoil(pages: Pages, pfn: int) -> Iterator[None]:
        for field in fields:
            pages.arena.entries[field][pfn] += 1
        yield
        for field in fields:
            pages.arena.entries[field][pfn] -= 1

    return spoil


# step: (how, the status in async mode, the kinds of page that it is possible for)
SPOILED: dict[str, tuple[Callable[[Pages, int], AbstractContextManager[None]], int, str]] = {
    "validate": (flagged("reserved"), -errno.EBUSY, "raw anon file shmem"),
    "lock": (locked, -errno.EAGAIN, "raw anon file shmem"),
    "lock bit": (locked_bit, -errno.EAGAIN, "raw anon file shmem"),
    "check": (flagged("writeback"), -errno.EBUSY, "raw anon file shmem"),
    "unmap": (damaged("mapcount", "refs"), -errno.EUCLEAN, "anon shmem"),
    "freeze": (referenced, -errno.EAGAIN, "raw anon file shmem"),
    "pins": (pinned, -errno.EBUSY, "raw anon file shmem"),
    "find": (damaged("index"), -errno.EUCLEAN, "file shmem"),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("step", SPOILED)
def test_a_pair_that_fails_at_a_step_is_as_it_was_and_the_others_move(listed: List, step: str, name: str) -> None:
    spoil, status, _ = SPOILED[step]
    bound = strategy(listed.arena, name)
    for nth, place in enumerate(PLACES):
        with spoil(listed.pages, int(listed.pairs[place, nth % 2])):
            before = listed.picture()
            for _ in range(2):
                listed.run(bound, {place: status}, threads=1 + nth % 3)
            listed.same(before)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_pair_of_a_list_fails_each_at_another_step(listed: List, name: str) -> None:
    bound = strategy(listed.arena, name)
    steps = [one for one in SPOILED.values() if one[0] is not pinned]  # there are few pins
    wanted = {}
    with ExitStack() as spoilt:
        for i, pair in enumerate(listed.pairs.tolist()):
            kind = kinds_of(i)[i % 2]
            spoil, wanted[i], _ = next(one for one in [*steps[i % len(steps) :], *steps] if kind in one[2])
            spoilt.enter_context(spoil(listed.pages, pair[i % 2]))
        before = listed.picture()
        for threads in (1, 3):
            listed.run(bound, wanted, threads)
            listed.same(before)


# ---- an object refuses: the plug-in `faults` ------------------------------------------------------------------------


def faulty(listed: List, name: str, **options: Any) -> Strategy:
    return strategy(listed.arena, name, wrap=PluginUse("faults", options))


def injected(bound: Strategy) -> Any:
    """How many pairs the wrapper made fail."""
    report: Any = bound.built.report()
    return report["faults"]["failed"]


ERRNOS = ("EAGAIN", "EBUSY", "ENOMEM", "EIO", "EPERM", "EUCLEAN", "EOPNOTSUPP")


def each_place(turn: int) -> Iterator[tuple[int, str]]:
    """All places, each with another errno; by turns every place has every errno."""
    return ((place, ERRNOS[(turn + n) % len(ERRNOS)]) for n, place in enumerate(PLACES))


@pytest.mark.parametrize("name", NATIVE)
def test_a_pair_that_the_mover_refuses(listed: List, name: str) -> None:
    """When it is asked to prepare; what it took for the pairs before it is given back as always."""
    for place, error in each_place(NATIVE.index(name)):
        bound, failed = faulty(listed, name, error=error, nth=place + 1), {place: -getattr(errno, error)}
        listed.run(bound, failed)
        assert injected(bound) == 1
        listed.back(strategy(listed.arena, name), failed)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_batch_that_the_policy_refuses(listed: List, name: str) -> None:
    """A policy answers for a batch as a whole."""
    for place, error in each_place(STRATEGIES.index(name)):
        first = place // LONG * LONG
        failed = {k: -getattr(errno, error) for k in range(first, min(first + LONG, N))}
        bound = faulty(listed, name, question="flags", error=error, nth=place + 1)
        listed.run(bound, failed)
        assert injected(bound) == 1
        listed.back(strategy(listed.arena, name), failed)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_page_that_the_updater_does_not_find(listed: List, name: str) -> None:
    """-EAGAIN is asked again, and found the second time; any other errno is the pair's status."""
    in_a_file = [(i, side) for i in range(N) for side in (0, 1) if kinds_of(i)[side] in ("file", "shmem")]
    for place, error in each_place(STRATEGIES.index(name)):
        for side in (0, 1):
            bound = faulty(listed, name, question="mapping", error=error, nth=in_a_file.index((place, side)) + 1)
            failed = {place: -getattr(errno, error)} if error != "EAGAIN" else {}
            listed.run(bound, failed)
            assert injected(bound) == 1
            listed.back(strategy(listed.arena, name), failed)


@pytest.mark.parametrize("question", ["flags", "data", "mapping"])
@pytest.mark.parametrize("name", NATIVE)
def test_nothing_moves_where_every_pair_is_refused(listed: List, name: str, question: str) -> None:
    bound = faulty(listed, name, question=question, error="EPERM", every=1)
    for threads in (1, 3):
        status = bound.exchange(listed.pairs, threads=threads).status
        by_mapping = [i for i in range(N) if not {"file", "shmem"} & set(kinds_of(i))]
        spared = by_mapping if question == "mapping" else []
        assert np.flatnonzero(status == 0).tolist() == spared
        assert set(status.tolist()) <= {0, -errno.EPERM}
        if spared:
            assert strategy(listed.arena, name).exchange(listed.pairs[spared]).ok
        listed.same(listed.before)


def test_a_chain_takes_over_the_pairs_that_its_first_mover_has_no_frame_for(listed: List) -> None:
    """-ENOMEM is no status where another mover comes next; any other errno is."""
    bound = strategy(listed.arena, "copy-page", wrap=PluginUse("faults", {"error": "ENOMEM", "every": 3}))
    assert (bound.exchange(listed.pairs).status == 0).sum() == N - N // 3
    failed = dict.fromkeys(range(2, N, 3), -errno.ENOMEM)
    listed.back(strategy(listed.arena), failed)


# ---- an object in Python raises -------------------------------------------------------------------------------------


def swap(pieces: Any, a: Any, b: Any) -> None:
    pieces[a], pieces[b] = pieces[b], pieces[a]


def policy(listed: List) -> Callable[..., Any]:
    moves = np.uint64(listed.arena.layout.native()["swap"])
    return lambda a, b: (a & ~moves | b & moves, b & ~moves | a & moves)


def updater(listed: List, foreign: bool = False) -> Callable[..., Any]:
    """Finds slots by a search through all nodes; `foreign`: the words of another array that look the same."""
    raw = f.read(listed.arena)

    def find(wanted: Any, _: object) -> tuple[Any, Any]:
        offset, found = [], (wanted["pfn"].astype(np.uint64) + np.uint64(1)) << np.uint64(2)
        for page, entry in zip(wanted, found, strict=True):
            head = raw.offset["mappings"] + int(page["mapping"]) * raw.mappings.itemsize
            nodes = raw.xanodes["used"] * ((raw.xanodes["array"] == head) != foreign)
            node, slot = next(iter(np.argwhere((raw.xanodes["slot"] == entry) & (nodes != 0)[:, None])), (0, 0))
            offset.append(raw.offset["xanodes"] + node * raw.xanodes.itemsize + 64 + slot * 8)
        return np.array(offset, np.uint64), found

    return find


OBJECTS: dict[str, Callable[[List], Callable[..., Any]]] = {
    "data": lambda _: swap,
    "flags": policy,
    "mapping": updater,
}


@pytest.mark.parametrize("exception", [True, False], ids=["RuntimeError", "OSError"])
@pytest.mark.parametrize("question", OBJECTS)
def test_an_object_that_raises_costs_its_batch_and_ends_the_call(listed: List, question: str, exception: bool) -> None:
    """The mover raises when some pairs of its group have moved: they are put back."""
    in_a_file = [i for i in range(N) for side in (0, 1) if kinds_of(i)[side] in ("file", "shmem")]
    inner = OBJECTS[question](listed)
    for place in PLACES:
        nth = in_a_file.index(place) + 1 if question == "mapping" else place + 1
        plan = Faults(question=question, error="EIO", nth=nth, exception=exception)  # type: ignore[arg-type]
        bound = strategy(listed.arena, "list-exchange", None, None, None, **{question: Faulty(inner, plan)})
        first, end = place // LONG * LONG, min((place // LONG + 1) * LONG, N)
        spared = [i for i in range(first, end) if question == "mapping" and i not in in_a_file]
        failed = dict.fromkeys(range(first, end), EBADMSG) | dict.fromkeys(range(end, N), ECANCELED)
        failed = {i: code for i, code in failed.items() if i not in spared}
        with pytest.raises(PluginError, match=f"injected into {question}") as caught:
            listed.run(bound, failed)
        assert isinstance(caught.value.__cause__, RuntimeError if exception else OSError)
        listed.back(strategy(listed.arena), failed)


def test_the_word_of_another_array_is_no_slot_even_if_it_looks_like_one(listed: List) -> None:
    """A space's tree holds numbers of page tables, in entries that look like those of frames."""
    entries = (listed.pairs.astype(np.uint64) + np.uint64(1)) << np.uint64(2)
    raw = f.read(listed.arena)
    spaces = raw.xanodes["slot"][(raw.xanodes["array"] >= raw.offset["spaces"]) & (raw.xanodes["used"] != 0)]
    alike = np.isin(entries, spaces) & [[kind in ("file", "shmem") for kind in kinds_of(i)] for i in range(N)]
    pairs = listed.pairs[alike.any(axis=1)]
    assert len(pairs) > 4
    status = strategy(listed.arena, mapping=updater(listed, foreign=True)).exchange(pairs).status
    assert status.tolist() == [-errno.EUCLEAN] * len(pairs)
