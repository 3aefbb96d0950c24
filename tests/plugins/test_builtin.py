"""The built-in plug-ins: each is found, serves what it says, and the wrappers wrap native and Python objects alike."""

import errno

import numpy as np
import pytest

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import ConfigError, PluginContractError, PluginError
from pagexchange.hookspecs import QUESTIONS
from pagexchange.host.build import Facts, PagexchangeHost
from pagexchange.host.discovery import Registry
from pagexchange.model.config import PluginUse, StrategySpec
from pagexchange.model.layout import Layout
from pagexchange_native.movers import mover
from tests.core.pages import Pages

FACTS = Facts(Layout.load("linux-6.18"))

ANSWERS = {
    "exchange_flags": {"per-flag", "whole-word", "masked-word", "two-pass"},
    "exchange_data": {"word-swap", "temp-page", "list-exchange", "numpy-swap", "null"},
    "copy_data": {"folio-copy", "streaming-copy", "numpy-copy"},
    "update_mapping": {"xarray", "radix-tree"},
    "pair_pages": {"hottest-coldest", "quota"},
}
WRAPPERS = {"timing", "trace", "faults"}


def use(name, **options):
    return PluginUse(name, options)


def build(flags="masked-word", data="word-swap", mapping="xarray", wrap=(), facts=FACTS, **options):
    spec = StrategySpec("s", (use(flags),), (use(data, **options),), (use(mapping),), tuple(wrap))
    return PagexchangeHost(registry=Registry()).build(spec, facts)


def test_the_built_in_plug_ins_are_these_and_all_are_well():
    infos = {info.name: info for info in Registry().list() if info.distribution == "pagexchange"}
    assert infos.keys() == set.union(*ANSWERS.values(), WRAPPERS)
    for name, info in infos.items():
        assert (info.state, info.reason) == ("ok", ""), name
        assert info.summary.endswith("."), name
        if name in WRAPPERS:
            assert {f"{hook} (wrapper)" for hook in QUESTIONS.values()} < set(info.hooks)
        else:
            assert [set(hooks) for hooks in [info.hooks]] == [{h for h, who in ANSWERS.items() if name in who}]


def test_a_plug_in_has_one_name_in_two_spellings():
    for info in Registry().list():
        if info.distribution == "pagexchange":
            assert info.value.split(":")[0] == f"pagexchange_plugins.{info.name.replace('-', '_')}"


@pytest.mark.parametrize("name", sorted(ANSWERS["exchange_flags"]))
@pytest.mark.parametrize("layout", ["linux-5.0", "linux-6.18"])
def test_every_flag_policy_serves_every_layout(name, layout):
    built = build(flags=name, facts=Facts(Layout.load(layout)))
    assert built.native
    words = np.array([Layout.load(layout).word("dirty", node=1)], dtype=np.uint64)
    new, _ = built.flags.object(np.zeros(1, dtype=np.uint64), words)
    moved = Layout.load(layout).names(new[0])
    assert moved == ["dirty"]
    assert (Layout.load(layout).get(new[0], "node") == 1) == (name == "whole-word")


@pytest.mark.parametrize("name", sorted(ANSWERS["update_mapping"]))
def test_every_mapping_updater_serves(name):
    assert build(mapping=name).mapping.native


@pytest.mark.parametrize("name", ["word-swap", "list-exchange", "temp-page"])
def test_every_native_mover_says_what_it_chose(name):
    (served,) = build(data=name).data
    assert served.native
    assert "takes frames" in served.describe()


def test_an_instruction_set_of_another_cpu_is_declined():
    missing = next(isa for isa in ("neon", "avx2") if isa not in mover.available_isas())
    for name in ("word-swap", "list-exchange"):
        with pytest.raises(PluginError, match=f"{name} declined this arena: isa '{missing}': this CPU"):
            build(data=name, isa=missing)


def test_null_serves_benchmarks_only():
    with pytest.raises(PluginError, match="moves no data, so it serves only a benchmark"):
        build(data="null")
    assert build(data="null", facts=Facts(FACTS.layout, benchmarking=True)).data[0].native


def exchange(served, pairs):
    """Exchange rows with a built mover, native or not; returns whether it did just that."""
    frames = np.arange(16 * 512, dtype=np.uint64).reshape(16, 512)
    a, b = np.array(pairs).T
    expected = frames.copy()
    expected[a], expected[b] = frames[b], frames[a]
    if served.native:
        left, right = frames[a].view(np.uint8), frames[b].view(np.uint8)
        served.object.move_rows(left, right)
        frames[a], frames[b] = left.view(np.uint64), right.view(np.uint64)
    else:
        served.object(frames, a, b)
    return bool((frames == expected).all())


@pytest.mark.parametrize("data", ["numpy-swap", "word-swap", "list-exchange"])
@pytest.mark.parametrize("wrap", [(), ("timing",), ("trace",), ("timing", "trace")])
def test_a_mover_moves_the_same_whoever_wraps_it(data, wrap):
    built = build(data=data, wrap=[use(name) for name in wrap])
    assert built.native == (data != "numpy-swap")
    assert built.wrappers == wrap
    assert exchange(built.data[0], [(0, 5), (7, 1), (3, 2)])
    report = built.report()
    if "timing" in wrap:
        assert report["timing"]["data"]["items"] == 3
        assert report["timing"]["data"]["calls"] == 1
        assert report["timing"]["mapping"]["calls"] == 0
    if "trace" in wrap:
        (line,) = report["trace"]
        assert " data " in line
        assert "pairs=3" in line


def test_a_trace_is_written_when_a_call_is_over(tmp_path, capsys):
    file = tmp_path / "trace.txt"
    built = build(wrap=[use("trace", to=str(file)), use("trace", to="stderr")])
    for calls in (1, 2):
        for _ in range(calls):
            assert exchange(built.data[0], [(0, 1)])
        built.hook.exchange_finished(strategy=built.spec, arena=FACTS, pairs=None, statuses=None)
    assert len(file.read_text().splitlines()) == 3
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert built.report() == {}


def test_a_trace_says_what_it_could_not_keep():
    built = build(wrap=[use("trace", keep=2)])
    for _ in range(5):
        exchange(built.data[0], [(0, 1)])
    lost, *kept = built.report()["trace"]
    assert lost == "trace: 3 calls of data word-swap were not kept"
    assert len(kept) == 2


def test_a_fault_in_a_python_mover_comes_when_some_pairs_have_moved():
    for options, kind in (({}, OSError), ({"exception": True}, RuntimeError)):
        built = build(data="numpy-swap", wrap=[use("faults", nth=3, **options)])
        frames = np.arange(8 * 512, dtype=np.uint64).reshape(8, 512)
        was = frames.copy()
        with pytest.raises(kind, match="injected into data") as caught:
            built.data[0].object(frames, np.array([0, 1, 2]), np.array([4, 5, 6]))
        assert getattr(caught.value, "errno", errno.EAGAIN) == errno.EAGAIN
        assert (frames[[0, 1, 2]] == was[[4, 5, 2]]).all()
        assert built.report() == {"faults": {"failed": 1}}


@pytest.mark.parametrize("question", ["flags", "data", "mapping"])
def test_a_fault_is_put_where_it_was_asked_for(question):
    built = build(wrap=[use("faults", question=question, every=2)])
    kinds = {served.question: type(served.object).__name__ for served in (built.flags, *built.data, built.mapping)}
    assert [key for key, kind in kinds.items() if kind.startswith("Wrapped")] == [question]


def test_a_native_object_cannot_raise():
    with pytest.raises(PluginError, match=r"'faults'.* which cannot raise"):
        build(wrap=[use("faults", nth=1, exception=True)])


@pytest.mark.parametrize(
    ("plugin", "options", "expected"),
    [
        ("faults", {}, "nothing would fail: give nth or every"),
        ("faults", {"nth": 1, "error": "ENOPE"}, "'ENOPE' is not the name of an errno"),
        ("faults", {"nth": -1}, "expected an integer of at least 0, got -1"),
        ("faults", {"nth": 1, "question": "dta"}, "did you mean 'data'?"),
        ("trace", {"keep": 0}, "expected an integer from 1 to 1048576, got 0"),
        ("timing", {"keep": 1}, "unknown option 'keep': it takes none"),
    ],
)
def test_wrong_options_of_wrappers_are_said(plugin, options, expected):
    with pytest.raises(ConfigError) as caught:
        build(wrap=[use(plugin, **options)])
    assert expected in str(caught.value)


@pytest.mark.parametrize("copier", sorted(ANSWERS["copy_data"]))
def test_wrappers_time_and_fail_copiers(copier):
    arena = Pages().arena
    pfns = arena.alloc("fast", 6)
    faults = use("faults", question="copy", error="EBUSY", every=6)
    wrap = (use("timing"), faults)
    spec = StrategySpec("m", (use("masked-word"),), (), (use("xarray"),), wrap, copy=(use(copier),))
    strategy = Strategy(arena, PagexchangeHost(registry=Registry()).build(spec, arena))
    if strategy.native:
        assert strategy.migrate(pfns, "slow").status.tolist() == [0] * 5 + [-errno.EBUSY]
    else:  # an object in Python fails as a whole
        with pytest.raises(PluginError, match=r"\[Errno 16\] injected into copy"):
            strategy.migrate(pfns, "slow")
    report = strategy.finish()
    assert report["faults"] == {"failed": 1}
    assert report["timing"]["copy"]["calls"] == 1
    assert report["timing"]["copy"]["items"] == (5 if strategy.native else 6)


def coldest(view):
    """A pairing in Python: the first blocks of both sides."""
    return np.stack([np.arange(6) + view.slow.start, np.arange(6) + view.fast.start], axis=1)


def tiered(*wrap, pairing):
    """A tier of eight pages on each node, whose strategy has these wrappers."""
    arena = Pages().arena
    fast, slow = arena.alloc("fast", 8), arena.alloc("slow", 8)
    chain = (use(pairing, rest=0),) if pairing else ()
    spec = StrategySpec("t", (use("masked-word"),), (use("word-swap"),), (use("xarray"),), wrap, pairing=chain)
    tier = arena.tier(strategy=PagexchangeHost(registry=Registry()).build(spec, arena))
    tier.touch(np.repeat(slow[:6], 3))
    assert len(fast) == 8
    return tier


@pytest.mark.parametrize("pairing", ["hottest-coldest", None])
def test_wrappers_time_and_trace_pairings_named_by_the_strategy_or_not(pairing):
    tier = tiered(use("timing"), use("trace"), pairing=pairing)
    assert tier.pairing.native
    assert tier.pairing.wrappers == ("timing", "trace")
    assert [tier.step().done, tier.step().done] == [6, 0]
    report = tier.strategy.finish()
    counts = report["timing"]["pairing"]
    assert (counts["calls"], counts["items"], counts["refused"]) == (2, 6, 0)
    assert counts["ns"] > 0
    lines = [line.split()[1:4] for line in report["trace"] if " pairing " in line]
    assert lines == [["pairing", tier.pairing.plugin, "pairs=6"], ["pairing", tier.pairing.plugin, "pairs=0"]]


@pytest.mark.parametrize("given", ["native", "python"])
def test_a_pairing_whose_pair_is_to_fail_fails_the_step_and_nothing_moves(given, monkeypatch):
    if given == "python":
        monkeypatch.setattr("pagexchange_plugins.hottest_coldest.hottest_coldest.HottestColdest", lambda *_: coldest)
    faults = use("faults", question="pairing", error="EBUSY", nth=8)
    tier = tiered(use("timing"), faults, pairing="hottest-coldest")
    assert tier.pairing.native == (given == "native")
    first = tier.step()
    assert first.done == 6
    tier.touch(np.repeat(first.moves[first.moves[:, 0] < first.moves[:, 1]][:, 1], 20))
    before = tier.arena.memory.copy()
    with pytest.raises(PluginError, match=r"plug-in 'hottest-coldest' .*failed to pair pages: .*\[Errno 16\]"):
        tier.step()
    assert (tier.arena.memory == before).all()
    report = tier.strategy.finish()
    assert report["faults"] == {"failed": 1}
    assert report["timing"]["pairing"]["calls"] == 2


def test_a_pairing_in_python_can_be_made_to_raise_and_a_native_one_not(monkeypatch):
    raising = use("faults", question="pairing", nth=1, exception=True)
    with pytest.raises(PluginError, match="pairing is answered by a native one, which cannot raise"):
        tiered(raising, pairing="hottest-coldest")
    monkeypatch.setattr("pagexchange_plugins.hottest_coldest.hottest_coldest.HottestColdest", lambda *_: coldest)
    with pytest.raises(PluginError, match="failed to pair pages: RuntimeError: injected into pairing"):
        tiered(raising, pairing="hottest-coldest").step()


def test_a_trace_to_a_file_has_the_call_of_a_pairing_after_the_last_exchange(tmp_path):
    file = tmp_path / "trace.txt"
    tier = tiered(use("trace", to=str(file)), pairing=None)
    tier.step()
    view = tier._heat.view()
    tier.pairing.object(view)
    assert file.read_text().count(" pairing ") == 1
    tier.strategy.finish()
    assert file.read_text().count(" pairing ") == 2


@pytest.mark.parametrize("wrapper", ["timing", "trace"])
def test_a_wrapper_does_not_hide_a_wrong_answer(wrapper, monkeypatch):
    from pagexchange_plugins.numpy_swap import NumpySwap

    registry = Registry()
    plugin = registry.load("numpy-swap")
    assert plugin.target is NumpySwap
    monkeypatch.setattr("pagexchange_plugins.numpy_swap.exchange", 42)
    spec = StrategySpec("s", (use("masked-word"),), (use("numpy-swap"),), (use("xarray"),), (use(wrapper),))
    with pytest.raises(PluginContractError, match=r"returned .*int: 42"):
        PagexchangeHost(registry=registry).build(spec, FACTS)
