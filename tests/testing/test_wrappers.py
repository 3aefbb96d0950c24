"""Wrappers that are wrong around native objects alone, in long lists, on threads, or as a file uses them: caught."""

import re

import pytest

from pagexchange.testing import CLAUSES
from tests.core.command_line import stranger
from tests.testing.suite import COMMAND, SITE, run

MODULE = '''
import threading
from dataclasses import dataclass

import numpy as np
import pagexchange
from pagexchange_native.mover import DataMover, NullMover

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


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """What failed, and what was said."""
    folder = tmp_path_factory.mktemp("wrappers")
    (folder / SITE).mkdir()
    stranger(folder / SITE, MODULE, "wraps", **{name: f"wraps_plugins:{value}" for name, value in PLUGINS.items()})
    (folder / "home" / "deep").mkdir(parents=True)
    (folder / "home" / "my.toml").write_text(STRATEGIES)
    code, said = run(folder / "home" / "deep", *COMMAND, "--strategies=../my.toml", "-k", "TestWrappers", "-v")
    assert code == 1, said
    assert f"broken: {CLAUSES['a-wrapper-is-never-wrong']}" in said
    return set(re.findall(r"::test_a_wrapper_is_never_wrong\[(.+)\] FAILED", said))


@pytest.mark.parametrize("name", CAUGHT)
def test_a_wrong_wrapper_is_caught_where_it_is_wrong(failed, name):
    assert {one.removeprefix(f"{name}-") for one in failed if one.startswith(f"{name}-")} == CAUGHT[name]
