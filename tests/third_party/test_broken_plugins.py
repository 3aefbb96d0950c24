"""Plug-ins that are broken, each in its own way, all installed at once: each is named with its distribution, version
and cure, by `list`, `check` and `run`; and the others go on working."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from pagexchange.host.blame import CURE
from tests.core.command_line import SMALL, stranger

GOOD = """
import pagexchange

class Plain:
    "Swaps."

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return self.move

    def move(self, pieces, a, b):
        pieces[a], pieces[b] = pieces[b], pieces[a]
"""

BROKEN = """
import numpy as np
import pagexchange
from dataclasses import dataclass
from pagexchange_native.movers.word_swap import WordSwap
from good_plugins import Plain

class Misspelt:
    @pagexchange.hookimpl
    def exchange_dta(self, arena): ...

class NotAFunction:  # what a Cython function is to pluggy
    pagexchange_impl = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast", "specname"))

    def __call__(self, arena): ...

class Compiled:
    exchange_data = NotAFunction()

class Moved(WordSwap):
    abi = 7  # as compiled against another plugin.h

class Old:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return Moved()

class Garbage:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return [1, 2, 3]

class GarbageWords:
    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        return lambda a, b: (a * 0.5, b)

class RaisesWhenAsked:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        raise RuntimeError("not on a Monday")

class RaisesWhenMoving(Plain):
    def move(self, pieces, a, b):
        super().move(pieces, a[:1], b[:1])
        raise TypeError("tired")

class Scribbles(Plain):
    def move(self, pieces, a, b):
        kept = pieces[a], pieces[b]
        pieces += 1
        pieces[b], pieces[a] = kept

class SpoilsTheHeader:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        def move(pieces, a, b):
            pieces[a], pieces[b] = pieces[b], pieces[a]
            arena.memory[:4096] = 255
        return move

class SpoilsReferences:
    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        swap = np.uint64(arena.layout.mask("swap"))
        def flags(a, b):
            arena.entries["mapcount"] += 1
            return a & ~swap | b & swap, b & ~swap | a & swap
        return flags

class Wraps:
    @pagexchange.hookimpl(wrapper=True)
    def exchange_data(self, arena):
        yield
        return self.more

    def more(self, pieces, a, b):
        pieces[a], pieces[b] = pieces[b], pieces[a]
        pieces[[row for row in range(len(pieces)) if row not in set(a) | set(b)]] += 1

class Undescribed:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        def move(pieces, a, b):
            pieces[a], pieces[b] = pieces[b], pieces[a]
        move.describe = lambda: 1 / 0
        return move

class BadReport(Plain):
    @pagexchange.hookimpl
    def strategy_report(self):
        return {"speed": 1 / 0}

@dataclass
class Unmade(Plain):
    speed: int = 3

    def __post_init__(self):
        raise LookupError("no speed")

@dataclass
class Leaves(Plain):
    def __post_init__(self):
        raise SystemExit("no licence")
"""

PLUGINS = {
    "misspelt": "Misspelt",
    "compiled": "Compiled",
    "old": "Old",
    "garbage": "Garbage",
    "garbage_words": "GarbageWords",
    "raises_when_asked": "RaisesWhenAsked",
    "raises_when_moving": "RaisesWhenMoving",
    "scribbles": "Scribbles",
    "spoils_the_header": "SpoilsTheHeader",
    "spoils_references": "SpoilsReferences",
    "wraps": "Wraps",
    "undescribed": "Undescribed",
    "bad_report": "BadReport",
    "unmade": "Unmade",
    "leaves": "Leaves",
}

QUESTION = {"garbage-words": "flags", "spoils-references": "flags", "wraps": "wrap"}

UNLOADABLE = {  # name -> (state, what is said of it)
    "gone": ("failed", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'. Cure: install what"),
    "misspelt": ("failed", "unknown hook 'exchange_dta'; did you mean 'exchange_data'?"),
    "compiled": ("no hooks", "pluggy did not take its hooks exchange_data. pluggy >= 1.7 silently skips"),
}
FAILING = {name: reason for name, (_, reason) in UNLOADABLE.items()} | {
    "old": "exchange_data must return a complete DataMover: it was compiled for ABI 7, this pagexchange has ABI 2: "
    "build it again",
    "garbage": "exchange_data must return a pagexchange_native.movers.mover.DataMover or a callable (pieces, a, b) -> "
    "None, but it returned list: [1, 2, 3]",
    "garbage-words": "the object of exchange_flags must return what its protocol says, but it returned TypeError: "
    "new_a: want uint64",
    "raises-when-asked": "exchange_data failed: RuntimeError: not on a Monday (",
    "raises-when-moving": "TypeError: tired (",
    "undescribed": "describe() failed: ZeroDivisionError",
    "bad-report": "strategy_report failed: ZeroDivisionError",
    "unmade": "cannot be made: LookupError: no speed (",
    "leaves": "cannot be made: SystemExit: no licence (",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six distributions on the path, and a strategies.toml with one strategy for each of their plug-ins."""
    folder = tmp_path_factory.mktemp("strangers")
    stranger(folder, GOOD, "good", plain="good_plugins:Plain")
    stranger(folder, "", "lost", gone="no_such_module:Gone")
    stranger(folder, BROKEN, "broken", **{name: f"broken_plugins:{value}" for name, value in PLUGINS.items()})
    stranger(folder, GOOD, "zebra", twin="zebra_plugins:Plain")
    stranger(folder, GOOD, "ant", twin="ant_plugins:Plain")
    names = [name.replace("_", "-") for name in ("gone", *PLUGINS, "twin", "plain")]
    lines = ["schema = 1"]
    for name in names:
        chosen = {"flags": "masked-word", "data": "word-swap", "mapping": "xarray"} | {QUESTION.get(name, "data"): name}
        lines += [f"[strategy.{name}]", *(f'{key} = "{value}"' for key, value in chosen.items())]
    (folder / "strategies.toml").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def command(folder):
    """Run a command line where these are installed: (code, stdout, stderr)."""

    def run(*args: str) -> tuple[int, str, str]:
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pagexchange", *args],
            capture_output=True, text=True, cwd=folder, timeout=300, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def result(command) -> Any:
    code, out, err = command("run", "strategies.toml", *SMALL, "--rounds=1", "--json")
    assert (code, err) == (4, "")
    return json.loads(out)


@pytest.fixture(scope="module")
def strategies(result) -> Any:
    return {one["name"]: one for one in result["strategies"]}


@pytest.fixture(scope="module")
def listed(command) -> Any:
    code, out, err = command("list", "--json")
    assert (code, err) == (0, "")
    return {(one["name"], one["distribution"]): one for one in json.loads(out)["plugins"]}


@pytest.fixture(scope="module")
def checked(command) -> Any:
    code, out, err = command("check", "strategies.toml")
    assert (code, out) == (4, "")  # as a run's
    return err


def of(name: str) -> str:
    return f"plug-in {name!r} ({'lost' if name == 'gone' else 'broken'} 2.5): "


@pytest.mark.parametrize("name", UNLOADABLE)
def test_the_list_says_what_is_wrong_with_a_plug_in_that_cannot_be_loaded(listed, name):
    one = listed[name, "lost" if name == "gone" else "broken"]
    state, reason = UNLOADABLE[name]
    assert (one["state"], one["version"]) == (state, "2.5")
    assert one["reason"].startswith(reason)


def test_the_list_shows_all_others_beside_broken_ones(listed):
    assert listed["plain", "good"]["state"] == "ok"
    assert listed["word-swap", "pagexchange"]["state"] == "ok"


@pytest.mark.parametrize("name", UNLOADABLE)
def test_the_check_says_it_with_the_line_that_names_it(checked, folder, name):
    text = (folder / "strategies.toml").read_text().splitlines()
    line = text.index(f'data = "{name}"') + 1
    assert f"strategies.toml:{line}:8: strategy.{name}.data: {of(name)}{UNLOADABLE[name][1]}" in checked


def test_the_check_makes_a_plug_in_to_see_whether_it_can_be_made(checked):
    assert f"{of('unmade')}cannot be made: LookupError: no speed (" in checked
    assert f"{of('leaves')}cannot be made: SystemExit: no licence (" in checked
    # Those that are asked and fail are in it too: all at once.
    for name in ("old", "garbage", "raises-when-asked"):
        assert f"{of(name)}{FAILING[name]}" in checked
    *lines, last = checked.splitlines()
    assert last == f"{sum(line.startswith('strategies.toml:') for line in lines)} errors"


@pytest.mark.parametrize("name", FAILING)
def test_a_run_names_plug_in_distribution_version_and_cure(strategies, name):
    one = strategies[name]
    assert one["verdict"] == "failed"
    assert one["reason"].startswith(of(name) + FAILING[name])
    assert re.search(r"Cure: (put|rename|build|install|mend) .+", one["reason"]), one["reason"]


def test_a_run_says_where_in_its_file_a_plug_in_raised(strategies, folder):
    line = BROKEN.splitlines().index('        raise TypeError("tired")') + 1
    assert (
        f"({folder / 'broken_plugins.py'}:{line}); the pages of its batch are as they were"
        in (strategies["raises-when-moving"]["reason"])
    )


def test_a_mover_that_writes_outside_its_pairs_is_found_and_named(strategies):
    one = strategies["scribbles"]
    assert one["verdict"] == "wrong"
    assert one["reason"] == f"plug-in 'scribbles' (broken 2.5) wrote into frames that no pair names. {CURE}"
    assert one["lost"][0]["kind"] == "contents"


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("wraps", "contents", "wrote into frames that no pair names"),
        ("spoils-the-header", "arena", "changed what it must not"),
        ("spoils-references", "mapcount", "changed what it must not"),
    ],
)
def test_what_else_a_plug_in_writes_is_found_and_the_stranger_is_named(strategies, name, kind, said):
    one = strategies[name]
    assert one["verdict"] == "wrong"
    assert one["reason"] == f"plug-in {name!r} (broken 2.5) {said}. {CURE}"
    assert kind in [lost["kind"] for lost in one["lost"]]


def test_the_others_of_the_run_go_on(strategies):
    assert {name for name, one in strategies.items() if one["verdict"] == "exact"} == {"plain", "twin"}
    for name in ("plain", "twin"):
        assert strategies[name]["exchanged"] > 50
        assert len(strategies[name]["rounds"]) == 1


def test_of_two_plug_ins_with_one_name_it_is_said_which_serves_and_what_to_do(listed, result, strategies, command):
    first = "ant 2.5, which has a plug-in of this name too. Cure: rename one of them in its entry points, or uninstall"
    assert listed["twin", "ant"]["state"] == "ok"
    assert listed["twin", "zebra"]["state"] == "shadowed"
    assert listed["twin", "zebra"]["reason"].startswith(f"by {first}")
    data = next(one for one in strategies["twin"]["plugins"] if one["question"] == "data")
    assert data["distribution"] == "ant"
    sentence = "plug-in 'twin' is that of ant 2.5, not that of zebra 2.5. Cure: rename one"
    assert [text for text in result["warnings"] if text.startswith(sentence)]


def test_the_check_notes_two_plug_ins_with_one_name(command, folder):
    twin = 'schema = 1\n[strategy.twin]\nflags = "masked-word"\ndata = "twin"\nmapping = "xarray"\n'
    (folder / "twin.toml").write_text(twin)
    code, out, err = command("check", "twin.toml")
    assert code == 0
    assert "nothing is wrong" in out
    assert err.startswith("note: plug-in 'twin' is that of ant 2.5, not that of zebra 2.5. Cure: rename one")


def test_the_table_of_a_run_tells_people_the_same(command):
    code, out, _ = command(
        "run", "strategies.toml", *SMALL, "--rounds=0", "--strategy=scribbles", "--strategy=old", "--strategy=plain"
    )
    text = " ".join(out.split())
    assert code == 4
    assert "plug-in 'scribbles' (broken 2.5) wrote into frames that no pair names" in text
    assert "plug-in 'old' (broken 2.5)" in text
    assert "plain exact" in text
