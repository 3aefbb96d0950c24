"""Python's habits: what a value of the public interface does under bool, ==, hash, repr, copy and pickle."""

import copy
import pickle
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import numpy as np
import pytest

import pagexchange
import pagexchange.statuses
from pagexchange.arena.arena import Arena
from pagexchange.arena.result import ExchangeResult
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PagexchangeError, UnknownFlagError
from pagexchange.host import read
from pagexchange.model.layout import Layout
from pagexchange.oracle import Oracle
from pagexchange.pages import fill
from pagexchange.pages.snapshot.format import load
from pagexchange_native.arena.region import Region
from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from pagexchange_native.xarray.array import XArray
from pagexchange_native.xarray.cursor import Cursor


@pytest.fixture
def arena() -> Iterator[Arena]:
    with Arena.create([("fast", 64), ("slow", 64)], workers=2) as arena:
        yield arena
        arena.strategies.clear()


@pytest.fixture
def pairs(arena: Arena) -> np.ndarray[Any, Any]:
    return np.column_stack([arena.alloc("slow", 3), arena.alloc("fast", 3)])


# ---- results ---------------------------------------------------------------------------------------------------------


def test_a_result_is_true_when_every_pair_was_exchanged(arena: Arena, pairs: np.ndarray[Any, Any]) -> None:
    assert arena.exchange(pairs)
    assert arena.exchange([])
    arena.lock(pairs[1, 0])
    result = arena.exchange(pairs)
    assert not result
    assert result.exchanged == 2
    assert [bool(one) for one in (result, arena.exchange(pairs[:1]))] == [False, True]


def test_results_are_equal_when_all_that_they_say_is(arena: Arena, pairs: np.ndarray[Any, Any]) -> None:
    one, other = arena.exchange(pairs), arena.exchange(pairs[:2])
    assert one == one
    assert one == copy.copy(one) == copy.deepcopy(one)
    assert one != other
    assert one != copy.deepcopy(one).status.tolist()
    changed = copy.deepcopy(one)
    changed.status[1] = -16
    assert changed != one
    elsewhere = copy.deepcopy(one)
    elsewhere._pairs[0] = 63
    assert elsewhere != one
    assert copy.deepcopy(one) in [other, one]
    with pytest.raises(TypeError, match="unhashable type: 'ExchangeResult'"):
        hash(one)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_result_says_what_became_of_the_pairs(
    arena: Arena, pairs: np.ndarray[Any, Any], protocol: int
) -> None:
    arena.lock(pairs[1, 0])
    result = arena.exchange(pairs)
    sent = pickle.loads(pickle.dumps(result, protocol))
    assert type(sent) is ExchangeResult
    assert sent == result
    assert (sent.status == [0, -11, 0]).all()
    assert sent.ns == result.ns
    assert sent.refused == {"EAGAIN": 1}
    (here,), (there,) = result.messages(), sent.messages()
    assert "is locked" in here
    assert there == f"pair 1 (pfn {pairs[1, 0]} <-> {pairs[1, 1]}): EAGAIN: {pagexchange.statuses.REASONS[11]}"


def test_a_copy_of_a_result_still_looks_at_the_arena(arena: Arena, pairs: np.ndarray[Any, Any]) -> None:
    arena.lock(pairs[1, 0])
    result = arena.exchange(pairs)
    shallow, deep = copy.copy(result), copy.deepcopy(result)
    assert shallow.messages() == deep.messages() == result.messages()
    assert shallow.status is result.status
    assert not np.shares_memory(deep.status, result.status)
    assert not np.shares_memory(deep._pairs, result._pairs)


def test_a_result_explains_itself_when_the_arena_is_closed() -> None:
    arena = Arena.create([("fast", 8)], workers=1)
    a, b = arena.alloc("fast", 2).tolist()
    arena.lock(a)
    result = arena.exchange([(a, b), (a, 9)])
    arena.close()
    assert [line.partition(": ")[2][:6] for line in result.messages()] == ["EAGAIN", "EFAULT"]
    with pytest.raises(PagexchangeError, match="EAGAIN: locked or referenced at this moment"):
        result.raise_for_status()


def test_the_error_of_a_result_can_be_sent(arena: Arena) -> None:
    with pytest.raises(PagexchangeError) as caught:
        arena.exchange([(0, 1)]).raise_for_status()
    sent = pickle.loads(pickle.dumps(caught.value))
    assert str(sent) == str(caught.value)
    assert sent.result == caught.value.result  # type: ignore[attr-defined]


# ---- what stays where its memory is ----------------------------------------------------------------------------------

STAY: dict[str, tuple[Callable[[Arena], object], str]] = {
    "arena": (lambda arena: arena, r"an arena cannot be .* make one there: Arena.create\(...\); the results"),
    "region": (lambda arena: Region.create(layout=arena.layout.native(), nodes=[("a", 4)]), r"Region.create\(...\)"),
    "frame": (lambda arena: arena.frame(3), r"an arena cannot be copied or pickled"),
    "array": (lambda arena: XArray(arena), r"an XArray cannot be .* dict\(array.items\(\)\)"),
    "cursor": (lambda arena: Cursor(XArray(arena)), r"a Cursor cannot be .* dict\(array.items\(\)\)"),
    "mover": (
        lambda arena: ListExchange(),
        r"a native object of a plug-in cannot be .* pagexchange.strategy\(name, arena\)",
    ),
    "policy": (lambda arena: MaskedWord(arena.layout.mask("swap")), "a native object of a plug-in cannot be"),
    "updater": (lambda arena: XArrayCursor(), "a native object of a plug-in cannot be"),
    "python mover": (lambda arena: pagexchange.strategy("numpy", arena), "a strategy cannot be"),
    "strategy": (
        lambda arena: pagexchange.strategy("two-pass", arena),
        r"a strategy cannot be .* build it there: pagexchange.strategy\('two-pass', arena\); the results .*status",
    ),
}


@pytest.mark.parametrize("what", STAY)
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_works_on_the_memory_says_so_and_what_to_do(
    arena: Arena, what: str, way: Callable[[object], object]
) -> None:
    make, said = STAY[what]
    if (what, way) == ("frame", copy.copy):
        assert copy.copy(arena.frame(3)) == arena.frame(3)
        return
    with pytest.raises(TypeError, match=said):
        way(make(arena))


@pytest.mark.parametrize("kind", [Arena, Region])
@pytest.mark.parametrize("arguments", [(), ("1 MiB",), ({"fast": "1 MiB"},)])
def test_who_constructs_an_arena_is_told_how_one_is_made(
    kind: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError, match=rf"an arena is made by {kind.__name__}\.create\(\.\.\.\)"):
        kind(*arguments)
    with pytest.raises(TypeError, match=r"create\(\.\.\.\)"):
        kind(*arguments, nodes={"fast": "1 MiB"})


def test_configurations_and_layouts_can_be_sent_and_are_keys() -> None:
    config, layout = read.load(None), Layout.load("linux-6.18")
    for value in (config, config.strategy("two-pass"), config.strategy("two-pass").data[0], layout, config.layout):
        for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
            assert twin == value
            assert {value: 1}[twin] == 1
    assert layout == config.layout
    assert layout != Layout.load("linux-5.0")


def test_snapshots_and_populations_are_equal_by_all_that_is_in_them(arena: Arena) -> None:
    shot = load(str(resources.files("pagexchange") / "data" / "machine.pgxsnap"))
    filled = fill(arena)
    values: list[tuple[Any, str]] = [(shot, "flags"), (filled, "node")]
    for value, array in values:
        for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
            assert twin == value
        other = copy.deepcopy(value)
        changed = getattr(other, array)
        changed[:1] ^= changed.dtype.type(1)
        assert other != value
        assert value != 5
        assert len(repr(value)) < 200
        assert "\n" not in repr(value)
    assert repr(shot).startswith(f"<Snapshot {len(shot)} frames, ")
    assert repr(filled).startswith(f"<Population {len(filled)} folios, {filled.pages} pages, ")
    before = Oracle.before(arena)
    verdict = before.after(np.empty((0, 2), np.int64), np.empty(0, np.int32))
    assert repr(verdict).startswith("<Verdict exact: ")
    assert len(repr(before)) < 200
    del before  # it looks at the arena's bytes


def test_frames_are_equal_by_arena_and_number(arena: Arena) -> None:
    with Arena.create([("fast", 64)], workers=1) as other:
        assert arena.frame(3) == arena.frame(np.int32(3)) != arena.frame(4)
        assert arena.frame(3) != other.frame(3)
        assert len({arena.frame(3), arena.frame(3), other.frame(3)}) == 2
        assert arena == arena
        assert arena != other


# ---- what they look like ---------------------------------------------------------------------------------------------


def test_everything_public_introduces_itself_in_a_line(arena: Arena, pairs: np.ndarray[Any, Any]) -> None:
    done = arena.exchange(pairs)
    arena.lock(pairs[1, 0])
    refused = arena.exchange([*pairs.tolist(), (1, 200), (2, 300)])
    strategy = pagexchange.strategy("list-exchange", arena)
    config = read.load(None)
    said: dict[object, str] = {
        repr(done): f"<ExchangeResult 3 pairs: 3 exchanged, none refused; {done.ns['total']} ns>",
        repr(arena.exchange(pairs[:1])): "<ExchangeResult 1 pair: 1 exchanged, none refused; ",
        repr(refused): "<ExchangeResult 5 pairs: 2 exchanged, 3 refused (EAGAIN 1, EFAULT 2); ",
        repr(arena.frame(0)): f"<Frame 0 on fast: {str(arena.frame(0)).partition(': ')[2]}>",
        repr(strategy): "<Strategy 'list-exchange' on <Arena 128 frames",
        repr(strategy.built): "<BuiltStrategy 'list-exchange': flags masked-word; mapping xarray; data list-exchange>",
        repr(arena.layout): "<Layout linux-6.18: ",
        repr(XArray(arena)): f"<XArray of mapping 0 of {arena!r}>",
        repr(Cursor(XArray(arena), 7)): f"<Cursor RESTART at index 7 of <XArray of mapping 1 of {arena!r}>>",
        repr(strategy.built.data[0].object): "<ListExchange 'list-exchange'>",
        repr(config): "<Config the packaged strategies.toml: rfc-2019, whole-word, ",
    }
    for shown, begins in said.items():
        assert str(shown).startswith(begins)
        assert len(str(shown)) < 200
        assert "\n" not in str(shown)


def test_a_frame_of_an_arena_that_is_gone_still_has_a_repr() -> None:
    arena = Arena.create([("fast", 8)], workers=1)
    frame, beyond = arena.frame(3), pagexchange.Frame(arena, 8)
    assert repr(beyond) == f"<Frame 8 of {arena!r}>"
    arena.close()
    assert repr(frame) == "<Frame 3 of <Arena closed>>"


# ---- flags by name ---------------------------------------------------------------------------------------------------

NAMES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "a name": ("dirty", ("dirty",)),
    "an alias's flag": ("uptodate", ("uptodate",)),
    "a tuple": (("dirty", "uptodate"), ("dirty", "uptodate")),
    "a list": (["referenced", "dirty"], ("dirty", "referenced")),
    "a set": ({"referenced", "dirty"}, ("dirty", "referenced")),
    "a generator": (None, ("dirty", "active")),
    "an array": (np.array(["dirty", "active"]), ("dirty", "active")),
    "a NumPy string": (np.str_("dirty"), ("dirty",)),
    "no name": ((), ()),
}


@pytest.mark.parametrize("case", NAMES)
@pytest.mark.parametrize("frames", ["numbers", "frames", "one frame", "one number", "generator"])
def test_flags_are_set_and_cleared_by_name(arena: Arena, case: str, frames: str) -> None:
    names, meant = NAMES[case]
    pfns = arena.alloc("slow", 2)
    forms: dict[str, Callable[[], Any]] = {
        "numbers": lambda: pfns,
        "frames": lambda: [arena.frame(pfn) for pfn in pfns],
        "one frame": lambda: arena.frame(pfns[0]),
        "one number": lambda: pfns[0],
        "generator": lambda: (int(pfn) for pfn in pfns),
    }
    arena.set_flags(forms[frames](), iter(meant) if names is None else names)
    for pfn in pfns[: 1 if frames.startswith("one") else 2]:
        assert set(arena.frame(pfn).flags) == set(meant)
    arena.clear_flags(forms[frames](), iter(meant) if names is None else names)
    assert [arena.frame(pfn).flags for pfn in pfns] == [[], []]


def test_a_word_for_each_frame_is_still_a_word(arena: Arena) -> None:
    pfns, layout = arena.alloc("slow", 2), arena.layout
    arena.set_flags(pfns, [layout.word("dirty"), layout.word("active")])
    assert [arena.frame(pfn).flags for pfn in pfns] == [["dirty"], ["active"]]
    arena.clear_flags(pfns, layout.word("dirty", "active"))
    assert [arena.frame(pfn).flags for pfn in pfns] == [[], []]


def test_an_unknown_flag_is_answered_with_those_that_there_are(arena: Arena) -> None:
    pfns = arena.alloc("slow", 2)
    for call in (arena.set_flags, arena.clear_flags):
        with pytest.raises(UnknownFlagError, match=r"has no flag 'drity'; did you mean 'dirty'\? It has: ") as caught:
            call(pfns, ("uptodate", "drity"))
        assert isinstance(caught.value, KeyError)
        for flag in arena.layout.flags:
            assert flag.name in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
        with pytest.raises(UnknownFlagError, match="has no flag 'xyzzy'; it has: locked, "):
            call(pfns, "xyzzy")
    with pytest.raises(UnknownFlagError, match=r"has no field 'noed'; did you mean 'node'\? It has: "):
        arena.layout.field("noed")
    assert [arena.frame(pfn).flags for pfn in pfns] == [[], []]
    wrong: list[Any] = [b"dirty", ["dirty", 4], 1.0, None, {"dirty": 1}, True, [True]]
    for mask in wrong:
        with pytest.raises(TypeError, match="mask: want integers"):
            arena.set_flags(pfns, mask)
    assert [arena.frame(pfn).flags for pfn in pfns] == [[], []]


def test_frames_are_taken_where_several_are(arena: Arena) -> None:
    one, two, three, four, five = (arena.frame(pfn) for pfn in arena.alloc("fast", 5))
    arena.free(one)
    arena.reserve_frames(frame for frame in (two,))
    arena.cache_add(arena.new_mapping(), [0, 1], [three, four])
    arena.set_private([three, four], [1, 2])
    arena.map(arena.new_space(), 7, five)
    assert [frame.state for frame in (one, two, three)] == ["free", "reserved", "used"]
    assert [three.private, four.private, five.index] == [1, 2, 7]
    with pytest.raises(ValueError, match=f"frame {three.pfn}: no reference of yours"):
        arena.free([three])


def test_a_frame_of_another_arena_is_no_frame_of_this_one(arena: Arena) -> None:
    with Arena.create([("fast", 64)], workers=1) as other:
        there = other.frame(3)
        calls: list[Callable[[], object]] = [
            lambda: arena.set_flags(there, "dirty"),
            lambda: arena.clear_flags([arena.frame(1), there], "dirty"),
            lambda: arena.cache_add(arena.new_mapping(), 0, there),
            lambda: arena.map(arena.new_space(), 0, [there]),
            lambda: arena.set_private(there, 1),
            lambda: arena.free([there]),
            lambda: arena.reserve_frames(there),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="<Frame 3 on fast: free> is a frame of another arena"):
                call()


# ---- arguments -------------------------------------------------------------------------------------------------------


def test_lists_of_pairs_come_in_every_form(arena: Arena, pairs: np.ndarray[Any, Any]) -> None:
    slow, fast = pairs.T
    frozen = pairs.copy()
    frozen.flags.writeable = False
    forms: list[Any] = [
        zip(slow, fast, strict=True),
        zip(slow.tolist(), fast.tolist(), strict=True),
        ((int(a), int(b)) for a, b in pairs),
        [(a, b) for a, b in pairs],
        [[np.uint8(a), np.int16(b)] for a, b in pairs],
        pairs.astype(np.uint8),
        pairs.astype(np.uint64),
        pairs.astype(object),
        np.asfortranarray(pairs),
        np.repeat(pairs, 2, axis=0)[::2],
        frozen,
        pairs.tolist(),
        dict(pairs.tolist()).items(),
        zip((arena.frame(pfn) for pfn in slow), (arena.frame(pfn) for pfn in fast), strict=True),
        memoryview(pairs),
    ]
    for form in forms:
        result = arena.exchange(form)
        assert result.ok
        assert (result._pairs == pairs).all()
    empty: list[Any] = [[], (), np.empty((0, 2), np.int64), np.empty(0), iter([]), zip([], [], strict=True)]
    for form in empty:
        assert arena.exchange(form).status.shape == (0,)


@pytest.mark.parametrize(
    ("form", "error", "said"),
    [
        ([[0.0, 1.0]], TypeError, "float64"), (np.array([[0, 1]], np.float32), TypeError, "float32"),
        ([[True, False]], TypeError, "bool"), (np.array([[True, 5]], object), TypeError, "object"),
        ("01", TypeError, "<U2"), (b"01", TypeError, "S2"), (None, TypeError, "object"), ({0: 1}, TypeError, "object"),
        (5, ValueError, r"shape \(n, 2\), got \(\)"), (np.array(5), ValueError, r"got \(\)"),
        ((0, 1), ValueError, r"got \(2,\)"), ([(0, 1, 2)], ValueError, r"got \(1, 3\)"),
        ([(0, 1), (2,)], ValueError, "inhomogeneous"), (np.array([[0, 1]], "m8[s]"), TypeError, "timedelta64"),
        (np.array([[0, 1]], complex), TypeError, "complex128"), (iter([1, 2]), ValueError, r"got \(2,\)"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_pairs_is_refused_and_said(
    arena: Arena, form: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=f"pairs: want .*{said}"):
        arena.exchange(form)


def test_one_number_is_an_integer_of_python_or_numpy(arena: Arena) -> None:
    good: list[Any] = [3, np.int64(3), np.uint8(3), np.array(3)]
    for pfn in good:
        assert arena.frame(pfn) == arena.frame(3)
        assert type(arena.frame(pfn).pfn) is int
    wrong: list[Any] = [1.0, np.float64(1), True, np.True_, "3", None, [3], np.array([3, 4])]
    for pfn in wrong:
        with pytest.raises(TypeError, match="pfn: want an integer, got "):
            arena.frame(pfn)
        if pfn is not None:
            with pytest.raises(TypeError, match="threads: want an integer, got "):
                arena.exchange([], threads=pfn)


def test_the_two_ways_to_a_strategy_are_not_mixed_up(arena: Arena) -> None:
    ways: list[tuple[Callable[..., object], tuple[Any, ...]]] = [
        (Strategy, ("list-exchange", arena)),
        (Strategy, (arena, "list-exchange")),
        (pagexchange.strategy, (arena, "list-exchange")),
        (pagexchange.strategy, (5, arena)),
        (pagexchange.strategy, ("list-exchange", "arena")),
    ]
    for make, arguments in ways:
        with pytest.raises(TypeError, match=r"pagexchange.strategy\(name, arena\) makes one"):
            make(*arguments)


def test_spaces_and_mappings_are_named_by_keyword(arena: Arena) -> None:
    pfn = arena.alloc("fast", 2)
    space, mapping = arena.new_space(name="s"), arena.new_mapping(name="m", shmem=False, aops="migrate")
    arena.map(space=space, vpns=[5], pfns=pfn[:1], write=True)
    arena.cache_add(mapping=mapping, indexes=[5], pfns=pfn[1:])
    assert arena.translate(space=space, vpn=5) == pfn[0]
    assert arena.cache_load(mapping=mapping, index=5) == pfn[1]
    assert arena.unmap(space=space, vpn=5) == pfn[0]
    assert arena.cache_remove(mapping=mapping, index=5) == pfn[1]
