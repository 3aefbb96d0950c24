"""Observers are told of each call, in `pagexchange run` and in a program alike; one that fails is named."""

import dataclasses
import sys
import threading
import time
import types
from importlib import metadata
from typing import Any

import numpy as np
import pytest

import pagexchange
from pagexchange.arena.strategy import Strategy, bind
from pagexchange.errors import PluginError
from pagexchange.hookspecs import GROUP, hookimpl
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.built import BuiltStrategy
from pagexchange.host.discovery import Registry
from pagexchange.model.config import PluginUse
from tests.core.pages import Pages

FILE = """
schema = 1
[strategy.watched]
flags = "masked-word"
data = "list-exchange"
mapping = "xarray"
wrap = [{ plugin = "trace", to = "stderr" }]
"""


@dataclasses.dataclass(frozen=True)
class Watcher:
    """Writes down what it is told, and fails at one thing if it is asked to."""

    fails_at: str = ""
    told: list[str] = dataclasses.field(default_factory=list, init=False)

    @hookimpl
    def run_started(self):
        self.note("run_started")

    @hookimpl
    def exchange_started(self, pairs):
        self.note("exchange_started", pairs)

    @hookimpl
    def exchange_finished(self, pairs, statuses):
        self.note("exchange_finished", pairs, statuses)

    @hookimpl
    def run_finished(self):
        self.note("run_finished")

    @hookimpl
    def strategy_report(self):
        return {"told": list(self.told)}

    def note(self, event, *arrays):
        assert not any(array.flags.writeable for array in arrays)
        self.told.append(event)
        if event == self.fails_at:
            raise ZeroDivisionError("no reason")


class Cousin(Watcher):
    """Has all its hooks from the same class."""


class Around:
    """A wrapper around what the other observers are told."""

    @hookimpl(wrapper=True)
    def exchange_started(self):
        return (yield)


class Slow:
    """Takes its time, and counts how many are told at once."""

    inside = most = 0

    @hookimpl
    def exchange_started(self):
        Slow.inside += 1
        Slow.most = max(Slow.most, Slow.inside)
        time.sleep(0.02)
        Slow.inside -= 1


PLUGINS = {"watcher": Watcher, "cousin": Cousin, "around": Around, "slow": Slow}
CALL = ["exchange_started", "exchange_finished"]


class Distribution:
    name, version = "strangers", "2.5"


@pytest.fixture
def pages():
    return Pages()


@pytest.fixture
def host(monkeypatch):
    """The installed plug-ins and those above."""
    module = types.ModuleType("observing_plugins")
    entries = list(metadata.entry_points(group=GROUP))
    for name, plugin in PLUGINS.items():
        setattr(module, plugin.__name__, plugin)
        entry = metadata.EntryPoint(name, f"observing_plugins:{plugin.__name__}", GROUP)
        vars(entry)["dist"] = Distribution()
        entries.append(entry)
    monkeypatch.setitem(sys.modules, "observing_plugins", module)
    return PagexchangeHost(registry=Registry(entry_points=entries))


def watched(host: PagexchangeHost, pages: Pages, *wrap: str | tuple[str, dict[str, Any]]) -> Strategy:
    """The shipped strategy, with these under `wrap`: a name, or (name, options)."""
    uses = tuple(PluginUse(use) if isinstance(use, str) else PluginUse(*use) for use in wrap)
    return bind(host, dataclasses.replace(read.load().strategy("list-exchange"), wrap=uses), pages.arena)


def test_a_strategy_of_the_library_writes_its_trace_at_each_call(tmp_path, pages, capsys):
    (tmp_path / "strategies.toml").write_text(FILE)
    strategy = pagexchange.strategy("watched", pages.arena, file=tmp_path / "strategies.toml")
    for _ in range(2):
        assert strategy.exchange([pages.pair(("anon", "file"))]).ok
        questions = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
        assert questions == ["flags", "mapping", "data"]


def test_the_run_starts_with_the_first_call_and_ends_when_it_is_finished(host, pages):
    strategy = watched(host, pages, "watcher")
    assert strategy.finish() == {"told": []}
    for _ in range(2):
        pages.arena.exchange([pages.pair()], strategy)
    run = ["run_started", *CALL, *CALL, "run_finished"]
    assert strategy.finish() == {"told": run}
    assert strategy.finish() == {"told": run}
    assert strategy.exchange([pages.pair()]).ok
    assert strategy.finish() == {"told": [*run, "run_started", *CALL, "run_finished"]}


def test_a_strategy_that_is_called_in_several_modes_is_in_one_run(host, pages):
    strategy = watched(host, pages, "watcher")
    for mode in ("sync", None, "sync-light"):
        pages.arena.exchange([pages.pair()], strategy, mode=mode)
    assert strategy.finish() == {"told": ["run_started", *CALL, *CALL, *CALL, "run_finished"]}


def test_a_call_that_is_refused_is_no_call(host, pages):
    strategy = watched(host, pages, "watcher")
    with pytest.raises(ValueError, match="want shape"):
        strategy.exchange([[1, 2, 3]])
    assert strategy.finish() == {"told": []}


def test_a_strategy_without_observers_tells_nobody(host, pages, monkeypatch):
    strategy = watched(host, pages, "timing")  # a wrapper that watches no call
    monkeypatch.setattr(BuiltStrategy, "tell", lambda *_, **__: pytest.fail("told"))
    assert strategy.exchange([pages.pair()]).ok


def failure(strategy: Strategy, pages: Pages) -> PluginError:
    with pytest.raises(PluginError) as caught:
        strategy.exchange([pages.pair()])
    assert (caught.value.distribution, caught.value.version) == ("strangers", "2.5")
    return caught.value


@pytest.mark.parametrize("at", ["run_started", "exchange_started", "exchange_finished"])
def test_an_observer_that_fails_is_named_with_the_place(host, pages, at):
    error = failure(watched(host, pages, ("watcher", {"fails_at": at})), pages)
    assert str(error).startswith(f"plug-in 'watcher' (strangers 2.5): {at} failed: ZeroDivisionError: no reason (")
    assert f"{__file__}:" in str(error)


@pytest.mark.parametrize("failing", ["watcher", "cousin"])
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_observers_with_the_same_function_the_one_that_failed_is_named(host, pages, failing, order):
    both = [(name, {"fails_at": "exchange_started" if name == failing else ""}) for name in ("watcher", "cousin")]
    assert failure(watched(host, pages, *both[::order]), pages).plugin == failing


@pytest.mark.parametrize("order", [1, -1])
def test_an_observer_that_fails_is_named_and_not_the_one_around_it(host, pages, order):
    both: list[Any] = ["around", ("watcher", {"fails_at": "exchange_started"})]
    assert failure(watched(host, pages, *both[::order]), pages).plugin == "watcher"


def test_what_was_exchanged_before_an_observer_failed_is_told_with_the_error(host, pages):
    strategy, pair = watched(host, pages, ("watcher", {"fails_at": "exchange_finished"})), pages.pair()
    before = pages.arena.frames[pair].copy()
    with pytest.raises(PluginError) as caught:
        strategy.exchange([pair])
    assert caught.value.status.tolist() == [0]  # type: ignore[attr-defined]
    assert np.array_equal(pages.arena.frames[pair], before[::-1])


def test_observers_are_told_one_at_a_time_whoever_calls(host, pages):
    strategy = watched(host, pages, "slow")
    callers = [threading.Thread(target=strategy.exchange, args=([pages.pair()],)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert Slow.most == 1
