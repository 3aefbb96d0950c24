"""Whatever a stranger's code raises, wherever it is called: that strategy fails, with its plug-in named, and the others
are reported. Nothing that it says acts on a terminal or spoils the JSON."""

import json
import re

import pytest

from tests.core.command_line import SMALL, pagexchange, stranger

CODE = r"""
import dataclasses
import pagexchange

class Panic(BaseException):
    "What a compiled extension raises when it panics: no Exception."

@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int = 3

class Hostile(Exception):
    def __str__(self):
        raise SystemExit(0)
    __repr__ = __str__

def frozen(): raise Frozen()
def hostile(): raise Hostile()
def exits(): raise SystemExit(0)
def panics(): raise Panic("no unwrap")
def presses(): raise KeyboardInterrupt
def closes(): raise GeneratorExit
def stops(): raise StopIteration(7)
def has_no_memory(): raise MemoryError
def recurses(): recurses()
def groups(): raise BaseExceptionGroup("two", [SystemExit(0), ValueError()])
def escapes(): raise ValueError("\x1b]0;t\x07\u202ered\x9b \udcff\0")
def talks(): raise ValueError("x" * 10_000_000)

ERRORS = (frozen, hostile, exits, panics, presses, closes, stops, has_no_memory, recurses, groups, escapes, talks)

def swap(pieces, a, b):
    held = pieces[a]
    pieces[a] = pieces[b]
    pieces[b] = held

class Plain:
    @pagexchange.hookimpl
    def exchange_data(self, arena): return swap

def made(fail):
    class Init(Plain):
        def __init__(self): fail()
    class Equal(Plain):
        def __eq__(self, other): fail()
        __hash__ = None
    class Hook:
        @pagexchange.hookimpl
        def exchange_data(self, arena): fail()
    class Move:
        @pagexchange.hookimpl
        def exchange_data(self, arena): return lambda pieces, a, b: fail()
    class Flags:
        @pagexchange.hookimpl
        def exchange_flags(self, arena): return lambda a, b: fail()
    class Find:
        @pagexchange.hookimpl
        def update_mapping(self, arena): return lambda pages, arena: fail()
    class Describe:
        @pagexchange.hookimpl
        def exchange_data(self, arena):
            def move(pieces, a, b): swap(pieces, a, b)
            move.describe = fail
            return move
    class Described(Plain):
        @pagexchange.hookimpl
        def exchange_data(self, arena):
            class Topic:
                def __str__(self): fail()
            def move(pieces, a, b): swap(pieces, a, b)
            move.describe = lambda: fail() or {}
            return move
    class Wrap:
        @pagexchange.hookimpl(wrapper=True)
        def exchange_data(self, arena):
            yield
            fail()
    class OldWrap:
        @pagexchange.hookimpl(hookwrapper=True)
        def exchange_data(self, arena):
            fail()
            yield
    class Report:
        @pagexchange.hookimpl
        def strategy_report(self): fail()
    class Begun:
        @pagexchange.hookimpl
        def run_started(self): fail()
    class Started:
        @pagexchange.hookimpl
        def exchange_started(self): fail()
    class Finished:
        @pagexchange.hookimpl
        def exchange_finished(self): fail()
    class Ended:
        @pagexchange.hookimpl
        def run_finished(self): fail()
    return [value for value in list(locals().values()) if isinstance(value, type)]

PLACES = {}
for fail in ERRORS:
    for place in made(fail):
        PLACES[f"{place.__name__.lower()}-{fail.__name__.replace('_', '-')}"] = place

def __getattr__(name):
    if name.startswith("at_import_"):
        fail = globals()[name.removeprefix("at_import_")]
        fail()
    return PLACES[name.replace("_", "-")]
"""

KINDS = {
    "frozen": "Frozen", "hostile": "Hostile", "exits": "SystemExit", "panics": "Panic",
    "presses": "KeyboardInterrupt", "closes": "GeneratorExit", "stops": "StopIteration",
    "has-no-memory": "MemoryError", "recurses": "RecursionError", "groups": "BaseExceptionGroup",
    "escapes": "ValueError", "talks": "ValueError",
}  # fmt: skip
QUESTION = {
    "flags": "flags", "find": "mapping", "wrap": "wrap", "oldwrap": "wrap", "report": "wrap", "begun": "wrap",
    "started": "wrap", "finished": "wrap", "ended": "wrap",
}  # fmt: skip
PLACES = (
    "at-import", "init", "equal", "hook", "move", "flags", "find", "describe", "wrap", "oldwrap", "report", "begun",
    "started", "finished", "ended",
)  # fmt: skip
NAMES = [f"{place}-{kind}" for place in PLACES for kind in KINDS]
BOTH = {"equal"}
"""Places that are reached only if two instances are compared."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    stranger(folder, CODE, **{name.replace("-", "_"): f"stranger_plugins:{name.replace('-', '_')}" for name in NAMES})
    lines = ["schema = 1"]
    for name in ["good", *NAMES]:
        place = name.rpartition("-")[0] if name == "good" else next(p for p in PLACES if name.startswith(f"{p}-"))
        chosen = {"flags": "masked-word", "data": "word-swap", "mapping": "xarray"}
        if name != "good":
            chosen[QUESTION.get(place, "data")] = name
        if place in BOTH:
            chosen["wrap"] = "timing"
        lines += [f"[strategy.{name}]", *(f'{key} = "{value}"' for key, value in chosen.items())]
    (folder / "s.toml").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def installed(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def ran(installed):
    """A run of all of them."""
    return pagexchange("run", str(installed / "s.toml"), *SMALL, "--rounds=1", "--json")


@pytest.fixture(scope="module")
def strategies(ran):
    return {one["name"]: one for one in json.loads(ran.out)["strategies"]}


def test_a_run_ends_with_the_code_of_a_plug_in_that_failed_and_reports_the_others(ran, strategies):
    assert (ran.code, ran.err) == (4, "")
    assert len(strategies) == len(NAMES) + 1
    assert strategies["good"]["verdict"] == "exact"
    assert len(strategies["good"]["rounds"]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_its_strategy_has_failed_and_says_which_plug_in_raised_what(strategies, name):
    one = strategies[name]
    kind = next(value for key, value in KINDS.items() if name.endswith(f"-{key}"))
    assert one["verdict"] == "failed"
    assert one["reason"].startswith(f"plug-in {name!r} (stranger 2.5): ")
    assert re.search(rf"\b{kind}\b", one["reason"]), one["reason"]
    assert len(one["reason"]) < 3000


def test_the_json_holds_no_character_that_acts_on_a_terminal(ran):
    assert "".join(c for c in ran.out if not c.isprintable() and c != "\n") == ""
    assert json.loads(ran.out)


@pytest.mark.parametrize("verb", ["list", "check", "run"])
def test_what_people_read_holds_none_either(installed, verb):
    arguments = {"run": ("s.toml", *SMALL, "--rounds=0"), "check": ("s.toml",), "list": ()}[verb]
    arguments = tuple(str(installed / one) if one == "s.toml" else one for one in arguments)
    done = pagexchange(verb, *arguments)
    assert done.code == {"run": 4, "check": 4, "list": 0}[verb]
    shown = done.out + done.err
    assert "at-import-escapes" in shown
    assert "\\x1b]0;t\\x07\\u202ered\\x9b \\xff\\x00" in shown
    assert "".join(c for c in shown if not c.isprintable() and c != "\n") == ""


@pytest.mark.parametrize("name", ["hook-exits", "describe-panics", "at-import-hostile", "init-presses"])
def test_explain_ends_with_the_same_code_and_says_the_same(installed, name):
    done = pagexchange("explain", name, str(installed / "s.toml"))
    assert done.code in (2, 4)  # 2: it cannot be loaded, which is an error of the file that names it
    assert done.out == ""
    assert f"plug-in {name!r} (stranger 2.5): " in done.err
