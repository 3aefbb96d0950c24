"""The host: it asks what a strategy names and nothing else, and says what is wrong with a plug-in by name."""

import dataclasses
import functools
import re
import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from pagexchange import hookspecs
from pagexchange.errors import ConfigError, PluginContractError, PluginError, UnknownPluginError
from pagexchange.hookspecs import hookimpl
from pagexchange.host.build import Facts, PagexchangeHost
from pagexchange.host.discovery import NoHooksError, Registry, specifications
from pagexchange.model.config import PluginUse, StrategySpec
from pagexchange.model.layout import Layout

FACTS = Facts(Layout.load("linux-6.18"))


def move(pieces, a, b):
    pieces[a], pieces[b] = pieces[b], pieces[a]


class Flags:
    """Flags."""

    @hookimpl
    def exchange_flags(self, arena):
        return lambda a, b: (b, a)


@dataclasses.dataclass  # not frozen, so not hashable
class Mover:
    """Data.

    More words.
    """

    isa: Literal["auto", "scalar"] = "auto"
    declines: bool = False
    raises: str = ""
    returns: str = "move"

    @hookimpl
    def exchange_data(self, arena):
        if self.raises:
            raise ZeroDivisionError(self.raises)
        return None if self.declines else ANSWERS[self.returns]


async def later(pieces, a, b): ...


ANSWERS: dict[str, Any] = {
    "move": move,
    "builtin": max,
    "number": 3,
    "class": Mover,
    "two": lambda a, b: None,
    "async": later,
    "partial": functools.partial(move),
}


class Mapping:
    """Mapping."""

    @hookimpl
    def update_mapping(self, arena):
        return lambda pages, arena: (pages["index"], pages["pfn"])


class Both(Flags):
    """Two questions at once."""

    @hookimpl
    def exchange_data(self, arena):
        return move


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """Wrap."""

    letter: str = "w"
    seen: list[str] = dataclasses.field(default_factory=list, init=False, compare=False)

    @hookimpl(wrapper=True)
    def exchange_data(self, arena):
        inner = yield
        if inner is None:
            return None
        wrapped = functools.partial(inner)
        vars(wrapped)["letters"] = self.letter + getattr(inner, "letters", "")
        return wrapped

    @hookimpl
    def run_started(self, strategy):
        self.seen.append(strategy.name)

    @hookimpl
    def strategy_report(self):
        return {self.letter: self.seen}


@dataclasses.dataclass(frozen=True)
class Angry:
    """A wrapper that fails."""

    how: str = ""

    @hookimpl(wrapper=True)
    def exchange_data(self, arena):
        if self.how == "before":
            raise ZeroDivisionError(self.how)
        if self.how == "never":
            return None
        inner = yield
        if self.how == "after":
            raise ZeroDivisionError(self.how)
        if self.how == "exits":
            raise SystemExit(0)
        if self.how == "declines":
            raise PluginError("wraps nothing")
        if self.how == "twice":
            yield
        return 3 if self.how == "nonsense" else inner


class Nothing:
    """No hook."""


class HookOfItsOwn:
    """Has its hook only once it is made, with an argument that no caller has."""

    def __init__(self):
        def exchange_flags(arena, speed): ...

        self.exchange_flags = hookimpl(exchange_flags)

    @hookimpl
    def exchange_data(self, arena):
        return move


class Demands(msgspec.Struct, frozen=True, rename="camel"):
    """Options as msgspec has them, named as in Python; one has no default, one a type that cannot be checked."""

    frames_per_call: int
    ways: list[int] | set[int] = msgspec.field(default_factory=list)

    @hookimpl
    def exchange_data(self, arena):
        return move


class Misspelt:
    @hookimpl
    def exchange_dta(self, arena): ...


@dataclasses.dataclass(frozen=True)
class Unhinted:
    """Its option's type is a name that nothing has."""

    speed: "Nowhere" = 3  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    @hookimpl
    def exchange_data(self, arena):
        return move


class Wrong:
    @hookimpl
    def exchange_data(self, arena, speed): ...


class NotAFunction:
    """What a Cython function looks like to pluggy: callable, marked, and no Python function."""

    def __init__(self):
        switches = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
        self.pagexchange_impl = {**switches, "specname": None}

    def __call__(self, arena): ...


class Compiled:
    """As compiled by Cython."""

    exchange_data = NotAFunction()


class Distribution:
    def __init__(self, name, version="1.0"):
        self.name, self.version = name, version


def entry(name, value, dist="pagexchange"):
    made = EntryPoint(name, value, "pagexchange.plugins")
    vars(made)["dist"] = Distribution(dist)
    return made


HERE = "fake_host_plugins"
NAMES = {
    "flags": "Flags",
    "mover": "Mover",
    "mapping": "Mapping",
    "both": "Both",
    "wrapper": "Wrapper",
    "angry": "Angry",
    "nothing": "Nothing",
    "late": "HookOfItsOwn",
    "demands": "Demands",
    "misspelt": "Misspelt",
    "unhinted": "Unhinted",
    "wrong": "Wrong",
    "compiled": "Compiled",
    "gone": "Gone",
}


@pytest.fixture
def entries(monkeypatch):
    module = types.ModuleType(HERE)
    vars(module).update({value: globals()[value] for value in NAMES.values() if value in globals()})
    monkeypatch.setitem(sys.modules, HERE, module)
    monkeypatch.delenv("PAGEXCHANGE_BLOCK", raising=False)
    return [entry(name, f"{HERE}:{value}") for name, value in NAMES.items()]


@pytest.fixture
def host(entries):
    return PagexchangeHost(registry=Registry(entry_points=entries))


def use(name, **options):
    return PluginUse(name, options)


def spec(**changes):
    plain = StrategySpec("s", (use("flags"),), (use("mover"),), (use("mapping"),))
    return dataclasses.replace(plain, **changes)


def test_a_strategy_is_built_with_who_serves_it(host):
    built = host.build(spec(data=(use("mover", isa="scalar"),)), FACTS)
    assert built.spec.name == "s"
    assert not built.native
    (mover,) = built.data
    assert mover.object is move
    assert (mover.plugin, mover.distribution, mover.version) == ("mover", "pagexchange", "1.0")
    assert mover.file == __file__
    assert mover.options == {"isa": "scalar"}
    assert mover.instance == Mover(isa="scalar")
    assert mover.describe() == {}


def test_a_chain_keeps_all_that_serve_and_says_who_declined(host):
    chain = (use("mover", declines=True), use("mover"), use("both"))
    built = host.build(spec(data=chain), FACTS)
    assert [one.plugin for one in built.data] == ["mover", "both"]
    assert [(s.question, s.plugin, s.reason) for s in built.skipped] == [("data", "mover", "declined this arena")]


def test_a_chain_in_which_nobody_serves_is_an_error_that_says_why(host):
    with pytest.raises(PluginError, match="no plug-in answers exchange_data: mover declined this arena"):
        host.build(spec(data=(use("mover", declines=True),)), FACTS)


def test_a_question_is_asked_of_the_plug_ins_named_for_it_only(host):
    built = host.build(spec(flags=(use("both"),)), FACTS)
    assert [one.plugin for one in built.data] == ["mover"]
    both = host.build(spec(flags=(use("both"),), data=(use("both"),)), FACTS)
    assert both.flags.instance is both.data[0].instance


def test_the_first_wrapper_listed_is_the_outermost(host):
    built = host.build(spec(wrap=(use("wrapper", letter="a"), use("wrapper", letter="b"))), FACTS)
    assert built.data[0].object.letters == "ab"
    assert built.wrappers == ("wrapper", "wrapper")
    assert built.data[0].wrappers == ("wrapper", "wrapper")
    assert built.flags.wrappers == ()


def test_each_mover_of_a_chain_is_wrapped(host):
    built = host.build(spec(data=(use("mover"), use("both")), wrap=(use("wrapper"),)), FACTS)
    assert [one.object.letters for one in built.data] == ["w", "w"]


def test_observers_are_told_and_report(host):
    built = host.build(spec(wrap=(use("wrapper"),)), FACTS)
    built.hook.run_started(strategy=built.spec, arena=FACTS)
    assert built.report() == {"w": ["s"]}
    again = host.build(spec(wrap=(use("wrapper"),)), FACTS)
    assert again.report() == {"w": []}


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (
            "number",
            "exchange_data must return a pagexchange_native.movers.mover.DataMover or a callable .* it returned int: 3",
        ),
        ("class", "not a class"),
        ("two", "too many positional arguments"),
        ("async", "it returned function"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(host, returns, expected):
    with pytest.raises(PluginContractError, match=expected) as caught:
        host.build(spec(data=(use("mover", returns=returns),)), FACTS)
    error = caught.value
    assert (error.plugin, error.hook, error.distribution, error.version) == (
        "mover",
        "exchange_data",
        "pagexchange",
        "1.0",
    )


@pytest.mark.parametrize("returns", ["partial", "builtin"])  # of the latter Python knows no signature
def test_a_callable_of_any_kind_is_an_answer(host, returns):
    assert host.build(spec(data=(use("mover", returns=returns),)), FACTS).data[0].native is False


def test_an_exception_in_a_hook_is_a_plug_in_error_with_its_cause(host):
    with pytest.raises(
        PluginError, match=r"plug-in 'mover' \(pagexchange 1.0\): exchange_data failed: Zero.*: boom"
    ) as e:
        host.build(spec(data=(use("mover", raises="boom"),)), FACTS)
    assert isinstance(e.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("before", rf"exchange_data failed: ZeroDivisionError: before \({re.escape(__file__)}:\d+\)"),
        ("after", rf"exchange_data failed: ZeroDivisionError: after \({re.escape(__file__)}:\d+\)"),
        ("exits", rf"exchange_data failed: SystemExit: 0 \({re.escape(__file__)}:\d+\)"),
        ("never", "exchange_data failed: RuntimeError: .* did not yield.*"),
        ("twice", "exchange_data failed: RuntimeError: .* has second yield"),
        ("declines", "wraps nothing"),
    ],
)
def test_a_wrapper_whose_hook_fails_is_named_and_not_whom_it_wraps(host, how, said):
    around = (use("wrapper"), use("angry", how=how), use("angry"))
    with pytest.raises(PluginError, match=rf"^plug-in 'angry' \(pagexchange 1.0\): {said}$"):
        host.build(spec(wrap=around), FACTS)


def test_who_is_wrapped_is_named_if_its_own_hook_fails(host):
    wrapped = spec(data=(use("mover", raises="boom"),), wrap=(use("wrapper"), use("angry")))
    with pytest.raises(PluginError, match=rf"^plug-in 'mover' .*: boom \({re.escape(__file__)}:\d+\)$"):
        host.build(wrapped, FACTS)


def test_an_answer_that_is_refused_is_said_with_who_wrapped_it(host):
    around = (use("angry"), use("angry", how="nonsense"), use("wrapper"))
    with pytest.raises(
        PluginContractError, match=r"returned int: 3; it was wrapped by 'wrapper' in 'angry' in 'angry'$"
    ):
        host.build(spec(wrap=around), FACTS)


def test_wrong_options_are_all_said(host):
    with pytest.raises(ConfigError) as caught:
        host.build(spec(data=(use("mover", isa="x", speed=3),)), FACTS)
    assert [str(problem) for problem in caught.value.problems] == [
        "strategy.s: mover.isa: unknown value 'x'; choose one of auto, scalar",
        "strategy.s: mover.speed: unknown key 'speed'; choose one of declines, isa, raises, returns",
    ]


def test_options_may_be_a_struct_and_are_checked_key_by_key(host):
    built = host.build(spec(data=(use("demands", frames_per_call=7),)), FACTS)
    assert built.data[0].instance.frames_per_call == 7
    (info,) = [one for one in host.plugins() if one.name == "demands"]
    assert [(o.name, o.type, o.required) for o in info.options] == [
        ("frames_per_call", "int", True),
        ("ways", "list[int] | set[int]", False),
    ]
    with pytest.raises(ConfigError) as caught:
        host.build(spec(data=(use("demands", ways=[1]),)), FACTS)
    cannot, missing = (str(problem) for problem in caught.value.problems)
    assert cannot.startswith("strategy.s: demands.ways: cannot be checked as list[int] | set[int]: Type unions may not")
    assert missing == "strategy.s: demands: missing key 'frames_per_call'"


def test_a_hook_that_an_instance_makes_for_itself_is_checked_too(host):
    with pytest.raises(PluginError, match=r"plug-in 'late' \(pagexchange 1.0\): cannot be registered: (?s:.*)'speed'"):
        host.build(spec(data=(use("late"),)), FACTS)


def test_a_plug_in_under_the_wrong_key_is_told_what_it_has(host):
    with pytest.raises(PluginError, match="'data', but does not answer exchange_data; it has update_mapping"):
        host.build(spec(data=(use("mapping"),)), FACTS)
    with pytest.raises(PluginError, match="under 'wrap', but its exchange_data is an answer, not a wrapper"):
        host.build(spec(wrap=(use("mover"),)), FACTS)
    with pytest.raises(PluginError, match="under 'data', but does not answer exchange_data"):
        host.build(spec(data=(use("wrapper"),)), FACTS)


def test_an_unknown_plug_in_is_answered_with_the_nearest(host):
    with pytest.raises(UnknownPluginError, match="did you mean 'mover'"):
        host.build(spec(data=(use("moever"),)), FACTS)


def test_what_pluggy_skips_is_an_error_that_says_so(host):
    with pytest.raises(NoHooksError) as caught:
        host.build(spec(data=(use("compiled"),)), FACTS)
    message = str(caught.value)
    for part in ("'compiled'", "pagexchange 1.0", "exchange_data", "pluggy >= 1.7", "Cython", ".py file"):
        assert part in message


def test_each_state_is_told_apart(entries):
    entries.append(entry("mover", f"{HERE}:Both", "a-stranger"))
    infos = {(info.name, info.distribution): info for info in Registry(["both"], entries).list()}
    states = {name: info.state for (name, dist), info in infos.items() if dist == "pagexchange"}
    assert states == {
        "flags": "ok",
        "mover": "ok",
        "mapping": "ok",
        "wrapper": "ok",
        "angry": "ok",
        "both": "blocked",
        "nothing": "no hooks",
        "late": "ok",
        "demands": "ok",
        "compiled": "no hooks",
        "misspelt": "failed",
        "unhinted": "failed",
        "wrong": "failed",
        "gone": "failed",
    }
    stranger = infos["mover", "a-stranger"]
    assert stranger.state == "shadowed"
    assert stranger.reason.startswith("by pagexchange 1.0, which has a plug-in of this name too. Cure: rename")
    reasons = {name: infos[name, "pagexchange"].reason for name in ("misspelt", "unhinted", "wrong", "gone")}
    assert "unknown hook 'exchange_dta'; did you mean 'exchange_data'?" in reasons["misspelt"]
    assert "its options cannot be read: NameError: name 'Nowhere' is not defined" in reasons["unhinted"]
    assert "does not fit the hook specification" in reasons["wrong"]
    assert "speed" in reasons["wrong"]
    assert "cannot be imported: AttributeError" in reasons["gone"]
    assert "build it again" not in reasons["gone"]
    assert infos["mover", "pagexchange"].summary == "Data."
    assert [option.name for option in infos["mover", "pagexchange"].options] == ["isa", "declines", "raises", "returns"]


def test_the_order_does_not_depend_on_the_installation(entries):
    strangers = [entry("x", f"{HERE}:Both", dist) for dist in ("zebra", "ant")]
    for order in (strangers + entries, entries + strangers[::-1]):
        infos = [info for info in Registry(entry_points=order).list() if info.name == "x"]
        assert [(info.distribution, info.state) for info in infos] == [("ant", "ok"), ("zebra", "shadowed")]


def test_a_blocked_plug_in_is_as_if_it_declined(entries, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", " mover , x")
    host = PagexchangeHost(registry=Registry(entry_points=entries))
    built = host.build(spec(data=(use("mover"), use("both"))), FACTS)
    assert [one.plugin for one in built.data] == ["both"]
    assert built.skipped[0].reason == "is blocked by the variable PAGEXCHANGE_BLOCK"
    with pytest.raises(PluginError, match="no plug-in answers exchange_data: mover is blocked"):
        host.build(spec(), FACTS)


def test_a_blocked_plug_in_cannot_be_loaded_by_its_name_either(entries):
    registry = Registry(["mover", "gone"], entries)
    for name in ("mover", "gone"):  # the second would fail if it were imported
        with pytest.raises(
            PluginError, match=rf"^plug-in '{name}' \(pagexchange 1.0\): is blocked by \[plugins\] block$"
        ):
            registry.load(name)
        assert registry.loaded(name) is None
    assert {"mover", "gone"} <= set(registry.names())


def test_ctrl_c_while_a_plug_in_is_imported_is_not_its_failure(monkeypatch):
    module = types.ModuleType("stops")

    def leave(name):
        raise KeyboardInterrupt if name == "Plugin" else AttributeError(name)

    module.__getattr__ = leave  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "stops", module)
    with pytest.raises(KeyboardInterrupt):
        Registry(entry_points=[entry("stops", "stops:Plugin")]).list()


def test_a_module_may_list_names_that_it_makes_when_they_are_asked_for(monkeypatch):
    def made(name: str) -> int:
        if name != "heavy":
            raise AttributeError(name)
        return 3

    module = types.ModuleType("lazy")
    vars(module).update(__getattr__=made, __dir__=lambda: ["exchange_data", "heavy"])
    vars(module).update(exchange_data=hookimpl(lambda arena: move))
    module.exchange_data.__name__ = "exchange_data"
    monkeypatch.setitem(sys.modules, "lazy", module)
    plugin = Registry(entry_points=[entry("lazy", "lazy")]).load("lazy")
    assert plugin.hooks == {"exchange_data": False}


def test_a_plug_in_that_exits_while_imported_has_failed(monkeypatch):
    finder = types.ModuleType("exits")

    def leave(name):
        raise SystemExit(3)

    finder.__getattr__ = leave  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "exits", finder)
    (info,) = Registry(entry_points=[entry("exits", "exits:Plugin")]).list()
    assert info.state == "failed"
    assert "SystemExit" in info.reason


def test_only_what_a_strategy_names_is_imported():
    code = """
import sys
from pagexchange.host.discovery import Registry
registry = Registry()
assert "masked-word" in registry.names()
loaded = [name for name in sys.modules if name.startswith("pagexchange_plugins")]
assert not loaded, loaded
registry.load("masked-word")
loaded = [name for name in sys.modules if name.startswith("pagexchange_plugins.")]
assert loaded == ["pagexchange_plugins.masked_word"], loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_hook_says_what_its_author_must_know():
    known = specifications()
    assert set(known) == {
        "exchange_flags",
        "exchange_data",
        "copy_data",
        "update_mapping",
        "pair_pages",
        "run_started",
        "exchange_started",
        "exchange_finished",
        "run_finished",
        "strategy_report",
    }
    for name, function in known.items():
        text = function.__doc__
        assert "Called:" in text, name
        if name in hookspecs.ANSWERS.values():
            for part in ("Must:", "1. ", "Returns", "None", "Raises", "@pagexchange.hookimpl"):
                assert part in text, (name, part)
        assert ("Required:" if name in hookspecs.QUESTIONS.values() else "Optional.") in text, name


def test_the_examples_of_the_page_work(tmp_path, monkeypatch):
    from pagexchange import hookspecs

    lines = str(hookspecs.__doc__).splitlines()
    start, end = lines.index("    # my_plugin.py"), lines.index("    # pyproject.toml")
    code = "\n".join(line[4:] for line in lines[start:end])
    module = types.ModuleType("my_plugin")
    monkeypatch.setitem(sys.modules, "my_plugin", module)
    exec(
        compile(code.replace("pagexchange.hookimpl", "hookimpl"), "my_plugin.py", "exec"),
        vars(module) | {"hookimpl": hookimpl},
        vars(module),
    )
    vars(module)["hookimpl"] = hookimpl
    registry = Registry(entry_points=[entry("backward-swap", "my_plugin:BackwardSwap")])
    plugin = registry.load("backward-swap")
    answer = plugin.target(step=2).exchange_data(FACTS)
    pieces = np.arange(10 * 512, dtype=np.uint64).reshape(10, 512)
    expected = pieces[[5, 6, 7, 3, 4, 0, 1, 2, 8, 9]]
    answer(pieces, np.array([0, 1, 2]), np.array([5, 6, 7]))
    assert (pieces == expected).all()
