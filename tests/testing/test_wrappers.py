"""Wrappers that are wrong around native objects alone, in long lists, on threads, or as a file uses them: caught."""

import re

import pytest

from pagexchange.testing import CLAUSES
from tests.core.command_line import stranger
from tests.testing.suite import COMMAND, SITE, run

pytestmark = pytest.mark.slow
MODULE = '''
import threading
from dataclasses import dataclass

import numpy as np
import pagexchange
from pagexchange.errors import PluginError
from pagexchange_native.movers.mover import DataMover, NullMover

class Wrapper:
    """Forwards; subclasses spoil what a mover in Python has done."""

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        if isinstance(inner, DataMover):
            return self.native(inner)
        def move(pieces, a, b):
            inner(pieces, a, b)
            if self.spoils(a):
                pieces[0, 0] = 1
        return move

    def native(self, inner):
        return inner

    def spoils(self, a):
        return False

class Right(Wrapper):
    """Does nothing."""

class DropsNative(Wrapper):
    def native(self, inner):
        return NullMover()

class DropsTemp(Wrapper):
    def native(self, inner):
        return NullMover() if inner.log == "temp" else inner

class DislikesLongLists(Wrapper):
    def spoils(self, a):
        return len(a) == 11

class DislikesThreads(Wrapper):
    def spoils(self, a):
        return threading.current_thread() is not threading.main_thread()

class Raises(Wrapper):
    """For large frames, and only around a native object."""

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        if isinstance(inner, DataMover) and arena.page_size == 65536:
            raise ZeroDivisionError("half a page")
        return inner

class Leaves(Wrapper):
    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        yield
        raise SystemExit

class YieldsTwice(Wrapper):
    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        yield
        return inner

class ReturnsNonsense(Wrapper):
    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        yield
        return 3

class Declines(Wrapper):
    """No fault: it may, in each of these ways."""

    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        if isinstance(inner, DataMover):
            return None
        if arena.page_size == 65536:
            raise PluginError("wraps no frames of 64 KiB")
        raise NotImplementedError("wraps nothing in Python")

@dataclass(frozen=True)
class Optional(Wrapper):
    """Does nothing, unless it is told to."""

    harm: bool = False

    def spoils(self, a):
        return self.harm
'''
PLUGINS = {
    "right": "Right",
    "drops_native": "DropsNative",
    "drops_temp": "DropsTemp",
    "dislikes_long_lists": "DislikesLongLists",
    "dislikes_threads": "DislikesThreads",
    "raises": "Raises",
    "leaves": "Leaves",
    "yields_twice": "YieldsTwice",
    "returns_nonsense": "ReturnsNonsense",
    "declines": "Declines",
    "optional": "Optional",
}
CAUGHT = {
    "right": set(),
    "drops-native": {
        f"{partners}-{pairs}"
        for partners in ("native", "native-temp")
        for pairs in ("few", "many", "many-2-threads", "3-threads-one-folio")
    },
    "drops-temp": {f"native-temp-{pairs}" for pairs in ("few", "many", "many-2-threads", "3-threads-one-folio")},
    "dislikes-long-lists": {"python-many"},
    "dislikes-threads": {"python-many-2-threads"},
    "optional": set(),
    "optional[harm=true]": {f"python-{p}" for p in ("few", "many", "many-2-threads", "3-threads-one-folio")},
}
STRATEGIES = """
schema = 1
[strategy.mine]
flags = "masked-word"
data = "numpy-swap"
mapping = "xarray"
wrap = [{ plugin = "optional", harm = true }]
"""


ARENAS = [
    *(f"{layout}-anon-file-order0" for layout in ("linux-5.0", "linux-6.18", "unknown-flag")),
    *(f"linux-6.18-anon-file-order0-{size}" for size in ("1KiB", "2KiB", "16KiB", "64KiB", "2MiB")),
]
ALL = {f"{partners}-{arena}" for partners in ("python", "native", "native-temp") for arena in ARENAS}
FILE = rf"\(\S+{SITE}/wraps_plugins.py:\d+\)"
NOT_MADE = {
    "raises": (
        {f"{partners}-linux-6.18-anon-file-order0-64KiB" for partners in ("native", "native-temp")},
        rf"plug-in 'raises' \(wraps 2.5\): exchange_data failed: ZeroDivisionError: half a page {FILE}",
    ),
    "leaves": (ALL, rf"plug-in 'leaves' \(wraps 2.5\): exchange_data failed: SystemExit:  {FILE}"),
    "yields-twice": (
        ALL,
        r"plug-in 'yields-twice' \(wraps 2.5\): exchange_data failed: RuntimeError: .* has second yield",
    ),
    "returns-nonsense": (ALL, r"it returned int: 3; it was wrapped by 'returns-nonsense'"),
    "declines": (set(), ""),
    "right": (set(), ""),
}
"""Wrapper -> where its own hook breaks its clause, and what is said."""
SERVES, NEVER_WRONG = "a-plug-in-serves-or-declines", "a-wrapper-is-never-wrong"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """What was said of the wrappers."""
    folder = tmp_path_factory.mktemp("wrappers")
    (folder / SITE).mkdir()
    stranger(folder / SITE, MODULE, "wraps", **{name: f"wraps_plugins:{value}" for name, value in PLUGINS.items()})
    (folder / "home" / "deep").mkdir(parents=True)
    (folder / "home" / "my.toml").write_text(STRATEGIES)
    code, output = run(folder / "home" / "deep", *COMMAND, "--strategies=../my.toml", "-k", "TestWrappers", "-vrs")
    assert code == 1, output
    return output


def failed(judged, clause, name):
    """Where a wrapper broke a clause."""
    broken = re.findall(rf"::{CLAUSES[clause].test}\[{re.escape(name)}-((?:python|native).*)\] FAILED", judged)
    assert not broken or f"broken: {CLAUSES[clause]}" in judged
    return set(broken)


@pytest.mark.parametrize("name", CAUGHT)
def test_a_wrong_wrapper_is_caught_where_it_is_wrong(judged, name):
    assert failed(judged, NEVER_WRONG, name) == CAUGHT[name]


@pytest.mark.parametrize("name", NOT_MADE)
def test_a_wrapper_whose_hook_fails_breaks_the_clause_of_hooks_and_is_named(judged, name):
    """Not whom it wraps; and where there is no object, nobody says that one is never wrong."""
    where, words = NOT_MADE[name]
    assert failed(judged, SERVES, name) == where
    if not where:
        return
    named = rf"  judged: a wrapper of plug-in '{name}' \(wraps 2.5\)"
    pattern = rf"^broken: {re.escape(str(CLAUSES[SERVES]))}\n  .*{words}.*\n{named}"
    assert len(re.findall(pattern, judged, re.M)) == len(where)
    others = re.findall(rf"::{CLAUSES[NEVER_WRONG].test}\[{name}-.*\] ([A-Z]+)", judged)
    assert others == 12 * ["SKIPPED" if where == ALL else "PASSED"] + 8 * ["PASSED"]  # it does not wrap copiers


def test_what_could_not_be_judged_is_said(judged):
    wrong = sum(where == ALL for where, _ in NOT_MADE.values())
    why = "not judged: a-plug-in-serves-or-declines is broken, and its own test says so"
    assert re.findall(rf"SKIPPED \[(\d+)\] .*: {why}", judged) == [str(12 * wrong)]
    assert "During handling" not in judged
