"""Native wrappers: they change nothing of what they wrap, count it right, and refuse just the pairs they should."""

import errno
import threading

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.host.discovery import Registry
from pagexchange_native.movers import mover
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.plugin import NativeObject, check_table
from pagexchange_native.policies import find_slot, flag_policy
from pagexchange_native.tier.heat import Heat
from pagexchange_native.wrappers import FaultPlan, Meter, WrappedMover, WrappedPairing, wrap


def rows(n=5, size=4096):
    random = np.random.default_rng(3)
    return tuple(random.integers(0, 256, (n, size), dtype=np.uint8) for _ in range(2))


def test_a_timed_mover_moves_as_the_one_it_wraps_and_counts_it():
    meter = Meter(keep=2)
    timed = wrap(WordSwap(isa="scalar"), meter)
    assert isinstance(timed, WrappedMover)
    a, b = rows()
    was = a.copy(), b.copy()
    for _ in range(3):
        timed.move_rows(a, b)
    assert (a == was[1]).all()
    assert (b == was[0]).all()
    counts = meter.counts()
    assert (counts["calls"], counts["items"], counts["prepares"]) == (3, 15, 0)
    assert counts["ns"] > 0
    records = meter.records()
    assert records.dtype.names == ("start_ns", "n", "ns")
    assert list(records["n"]) == [5, 5]
    assert records["start_ns"][0] < records["start_ns"][1]
    assert timed.describe()["isa"] == "scalar"
    assert (timed.name, timed.log, timed.threads) == ("word-swap", "undo", 1)


def test_a_timed_policy_answers_as_the_one_it_wraps():
    meter = Meter()
    timed = wrap(flag_policy.MaskedWord(0xF0), meter)
    assert isinstance(timed, flag_policy.FlagPolicy)
    a, b = np.array([0x1F], dtype=np.uint64), np.array([0x23], dtype=np.uint64)
    new_a, new_b = timed(a, b)
    assert (new_a[0], new_b[0]) == (0x2F, 0x13)
    assert meter.counts()["items"] == 1
    assert len(meter.records()) == 0


def test_counts_of_many_threads_add_up():
    meter = Meter(keep=8)
    timed = wrap(flag_policy.WholeWord(), meter)
    assert isinstance(timed, flag_policy.FlagPolicy)
    words = np.arange(100, dtype=np.uint64)
    threads = [threading.Thread(target=lambda: [timed(words, words) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = meter.counts()
    assert (counts["calls"], counts["items"]) == (2000, 200_000)
    assert len(meter.records()) == 8


@pytest.mark.parametrize(
    ("nth", "every", "failing"), [(1, 0, {0}), (3, 0, {2}), (0, 2, {1, 3}), (1, 4, {0, 3}), (9, 0, set())]
)
def test_a_faulty_policy_refuses_the_call_with_the_pair_whose_turn_it_is(nth, every, failing):
    plan = FaultPlan(errno.EBUSY, nth, every)
    faulty = wrap(flag_policy.WholeWord(), plan)
    assert isinstance(faulty, flag_policy.FlagPolicy)
    word = np.zeros(1, dtype=np.uint64)
    refused = set()
    for number in range(4):
        if number in failing:
            with pytest.raises(OSError, match="refused") as caught:
                faulty(word, word)
            assert caught.value.errno == errno.EBUSY
            refused.add(number)
        else:
            faulty(word, word)
    assert refused == failing
    assert plan.failed == len(failing)


def test_a_faulty_mover_never_fails_past_the_point_of_no_return():
    plan = FaultPlan(errno.EAGAIN, every=1)
    faulty = wrap(WordSwap(), plan)
    assert isinstance(faulty, WrappedMover)
    a, b = rows()
    was = a.copy()
    faulty.move_rows(a, b)
    assert (b == was).all()
    assert plan.failed == 0


@pytest.mark.parametrize("inner", [TempPage(), mover.NullMover(), ListExchange(threads=3)])
def test_a_wrapper_keeps_the_log_format_that_recovery_will_read(inner):
    for wrapped in (wrap(inner, Meter()), wrap(inner, FaultPlan(errno.EIO))):
        assert isinstance(wrapped, WrappedMover)
        assert (wrapped.log, wrapped.threads, wrapped.name) == (inner.log, inner.threads, inner.name)


def test_a_watched_pairing_pairs_as_the_one_it_wraps_and_fails_when_the_turn_of_a_pair_has_come():
    arena = Arena.create([("fast", 8), ("slow", 8)])
    arena.alloc("fast", 8)
    heat = Heat(arena, fast=0, slow=1, run=1, half_life=8.0)
    heat.touch(np.repeat(arena.alloc("slow", 5), 4).astype(np.int64))
    inner = Registry().load("hottest-coldest").target().pair_pages(arena)
    meter, plan = Meter(keep=4), FaultPlan(errno.EIO, nth=6)
    watched = wrap(wrap(inner, plan), meter)
    assert isinstance(watched, WrappedPairing)
    assert check_table(watched) == ""
    assert (watched.name, watched.describe()) == (inner.name, inner.describe())
    view = heat.view(16)
    wanted = inner(view).tolist()
    assert len(wanted) == 5
    assert watched(view).tolist() == wanted
    with pytest.raises(OSError, match="the pairing failed") as caught:  # 6 is among the second five
        watched(view)
    assert caught.value.errno == errno.EIO
    assert watched(view).tolist() == wanted
    counts = meter.counts()
    assert (counts["calls"], counts["items"], counts["refused"]) == (3, 10, 1)
    assert meter.records()["n"].tolist() == [5, 0, 5]


def test_wrappers_can_be_wrapped():
    inside, outside = Meter(), Meter()
    outer = wrap(wrap(wrap(flag_policy.WholeWord(), inside), FaultPlan(errno.EIO, every=2)), outside)
    assert isinstance(outer, flag_policy.FlagPolicy)
    word = np.zeros(1, dtype=np.uint64)
    outer(word, word)
    with pytest.raises(OSError, match="refused"):
        outer(word, word)
    assert (outside.counts()["calls"], outside.counts()["refused"], inside.counts()["calls"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "native", [flag_policy.WholeWord(), WordSwap(), mover.NullMover(), find_slot.XArrayCursor(), find_slot.RadixTree()]
)
def test_our_own_tables_are_complete(native):
    assert check_table(native) == ""


@pytest.mark.parametrize("base", [flag_policy.FlagPolicy, mover.DataMover, find_slot.MappingUpdater])
def test_a_table_without_its_function_is_found(base):
    assert "its table has no function" in check_table(base())


@pytest.mark.parametrize("number", [1, 99])
def test_a_plug_in_of_another_abi_is_found(number):
    class Other(WordSwap):
        abi = number

    assert check_table(Other()) == f"it was compiled for ABI {number}, this pagexchange has ABI 2: build it again"


def test_what_is_no_native_object_of_a_question_is_found():
    assert check_table(3) == "int is not a native object"
    assert check_table(NativeObject()) == "it has no table of functions"


@pytest.mark.parametrize(
    "arguments", [{"error": 0}, {"error": 5000}, {"error": 5, "nth": -1}, {"error": 5, "every": -1}]
)
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match="must"):
        FaultPlan(**arguments)
    with pytest.raises(ValueError, match="keep"):
        Meter(keep=-1)
    with pytest.raises(TypeError):
        WrappedMover(flag_policy.WholeWord(), Meter())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="want a Meter or a FaultPlan, got int"):
        WrappedMover(WordSwap(), 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="int is not a native object"):
        wrap(3, Meter())  # type: ignore[call-overload]
