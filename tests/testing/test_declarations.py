"""What a plug-in declares goes with its options: two uses of one plug-in are two candidates."""

import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import bind
from pagexchange.hookspecs import hookimpl
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.discovery import Registry
from pagexchange.model.config import PluginUse
from pagexchange.runs.contenders import plugins
from pagexchange.testing.session.subjects import Subjects
from pagexchange_native.policies import flag_policy


@dataclass(frozen=True)
class Choice:
    """A flag policy that loses flags if it is told to."""

    lossy: bool = False
    level: int | str = 1

    @hookimpl
    def exchange_flags(self, arena: Any) -> Any:
        if self.lossy:
            return flag_policy.PerFlag(arena.layout.masks())
        return flag_policy.MaskedWord(arena.layout.mask("swap"))


@dataclass(frozen=True)
class Around:
    """A wrapper that reports."""

    n: int = 0

    @hookimpl(wrapper=True)
    def exchange_flags(self) -> Any:
        return (yield)

    @hookimpl
    def strategy_report(self) -> dict[str, object]:
        return {"around": self.n}


CHOICE = EntryPoint("choice", f"{__name__}:Choice", "pagexchange.plugins")
AROUND = EntryPoint("around", f"{__name__}:Around", "pagexchange.plugins")
TABLE = '[strategy.{0}]\nflags = {1}\ndata = "word-swap"\nmapping = "xarray"\nexpect = "{2}"\n{3}\n'


@pytest.fixture
def subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    real = Registry.__init__

    def with_choice(self: Registry, block: Any = (), entry_points: Any = None, **options: Any) -> None:
        real(self, block, **options)
        if "choice" not in self.names():
            real(self, block, [*self.entries, CHOICE, AROUND], **options)

    monkeypatch.setattr(Registry, "__init__", with_choice)

    def load(*strategies: tuple[str, str, str]) -> Subjects:
        tables = [TABLE.format(f"s{n}", flags, expect, wrap) for n, (flags, expect, wrap) in enumerate(strategies)]
        (tmp_path / "my.toml").write_text("schema = 1\n" + "".join(tables))
        return Subjects.load(tmp_path / "my.toml")

    return load


def declared(subjects: Subjects) -> dict[str, str]:
    return {c.name: c.expect for c in subjects.objects["flags"] if c.name.startswith("choice")}


LOSSY, GOOD, BARE = '{ plugin = "choice", lossy = true }', '{ plugin = "choice", lossy = false }', '"choice"'


def test_two_sets_of_options_are_two_declarations(subjects: Any) -> None:
    made = subjects((LOSSY, "loses", ""), (BARE, "exact", ""))
    assert declared(made) == {"choice[lossy=true]": "loses", "choice": "exact"}


def test_the_defaults_are_judged_for_themselves_if_no_strategy_uses_them(subjects: Any) -> None:
    made = subjects((LOSSY, "loses", ""))
    assert declared(made) == {"choice[lossy=true]": "loses", "choice": "exact"}
    assert "choice" in [candidate.name for candidate in made.unused]


def test_an_option_that_is_given_its_default_is_no_other_use(subjects: Any) -> None:
    made = subjects((GOOD, "exact", ""), (BARE, "exact", ""))
    assert declared(made) == {"choice[lossy=false]": "exact"}
    assert "choice" not in [candidate.name for candidate in made.unused]


def test_options_that_look_alike_are_two_candidates_with_two_names(subjects: Any) -> None:
    made = subjects(
        ('{ plugin = "choice", level = 2 }', "exact", ""), ('{ plugin = "choice", level = "2" }', "exact", "")
    )
    assert list(declared(made)) == ["choice[level=2]", "choice[level=2]#2", "choice"]


@pytest.mark.parametrize(
    ("strategies", "expect"),
    [
        ([(LOSSY, "refused", 'wrap = [{ plugin = "faults", every = 1 }]'), (LOSSY, "loses", "")], "loses"),
        ([(LOSSY, "loses", 'wrap = ["timing"]')], "loses"),
        ([(f'[{LOSSY}, "masked-word"]', "loses", ""), (f'["masked-word", {LOSSY}]', "exact", "")], "loses"),
        ([(LOSSY, "loses", ""), (LOSSY, "exact", "")], "exact"),
    ],
)
def test_a_declaration_goes_for_the_plug_in_where_nothing_else_can_be_meant(
    subjects: Any, strategies: list[tuple[str, str, str]], expect: str
) -> None:
    assert declared(subjects(*strategies))["choice[lossy=true]"] == expect


def test_one_plug_in_that_stands_twice_in_a_strategy_is_told_apart_in_reports(subjects: Any, tmp_path: Path) -> None:
    wrap = 'wrap = [{ plugin = "around", n = 1 }, { plugin = "around", n = 2 }]'
    subjects((BARE, "exact", wrap))
    text = (tmp_path / "my.toml").read_text().replace(
        '"word-swap"', '[{ plugin = "word-swap", isa = "scalar" }, "word-swap"]'
    )  # fmt: skip
    (tmp_path / "my.toml").write_text(text)
    spec = read.load(tmp_path / "my.toml").strategy("s0")
    with Arena.create({"fast": "1 MiB", "slow": "1 MiB"}) as arena:
        a, b = arena.alloc("fast", 2), arena.alloc("slow", 2)
        strategy = bind(PagexchangeHost(), spec, arena)
        result = strategy.exchange(list(zip(a.tolist(), b.tolist(), strict=True)))
        assert result.moved == {"word-swap[isa=scalar]": 2, "word-swap": 0}
        report = strategy.finish()
        assert (set(report), set(report.values())) == ({"around", "around#2"}, {1, 2})
        served = [(p.name, p.details.get("option n")) for p in plugins(strategy.built) if p.question == "wrap"]
        assert served == [("around", "1"), ("around", "2")]


def test_a_use_has_a_name_in_one_word() -> None:
    assert PluginUse("a", {"y": True, "x": 1}).label == "a[x=1,y=true]"
    assert re.fullmatch(r"[^\s\[]+", PluginUse("a").label)
