"""`pagexchange run`: the table, the JSON, the exit codes, pressure, live input, and what plug-ins see and say of it."""

import json
import re
import sys
from typing import Any

import click
import pytest

from pagexchange.cli.command import cli
from pagexchange.pages.snapshot.proc import reader
from pagexchange.runs.result import from_json
from tests.core.command_line import SMALL, pagexchange, stranger

SHIPPED = ["rfc-2019", "whole-word", "copy-page", "word-swap", "two-pass", "list-exchange", "migrate", "numpy"]

STRANGER = """
from dataclasses import dataclass, field
import pagexchange

@dataclass(frozen=True)
class Watcher:
    "Writes down what it is told."
    seen: list[str] = field(default_factory=list)

    @pagexchange.hookimpl
    def run_started(self, strategy):
        self.seen.append("run_started")

    @pagexchange.hookimpl
    def exchange_started(self, pairs):
        self.seen.append(f"exchange_started {pairs.flags.writeable}")

    @pagexchange.hookimpl
    def exchange_finished(self, pairs, statuses):
        self.seen.append(f"exchange_finished {len(pairs) == len(statuses)} {statuses.flags.writeable}")

    @pagexchange.hookimpl
    def run_finished(self, strategy):
        self.seen.append("run_finished " + strategy.name)

    @pagexchange.hookimpl
    def strategy_report(self):
        return {"watcher": list(self.seen), "watched": {"calls": len(self.seen), "never": 0}}

@dataclass(frozen=True)
class Stumbles:
    "Fails when it is told something."
    at: str = "exchange_finished"

    @pagexchange.hookimpl
    def run_started(self):
        self._fail("run_started")

    @pagexchange.hookimpl
    def exchange_finished(self):
        self._fail("exchange_finished")

    @pagexchange.hookimpl
    def run_finished(self):
        self._fail("run_finished")

    def _fail(self, now):
        if now == self.at:
            raise ZeroDivisionError("no reason")

class Babbles:
    @pagexchange.hookimpl
    def run_started(self): ...

    @pagexchange.hookimpl
    def strategy_report(self):
        return ["five"]

class Raises:
    @pagexchange.hookimpl
    def exchange_data(self, arena):
        raise RuntimeError("no such memory")
"""


@pytest.fixture
def strange(tmp_path, monkeypatch):
    stranger(
        tmp_path,
        STRANGER,
        watcher="stranger_plugins:Watcher",
        stumbles="stranger_plugins:Stumbles",
        babbles="stranger_plugins:Babbles",
        raises="stranger_plugins:Raises",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("stranger_plugins", None)


def row(printed: str, name: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.startswith(f"{name} ")).split()


def test_the_packaged_snapshot_is_run_and_everything_is_as_expected():
    ran = pagexchange("run", "--pairs", "300", "--rounds", "1")
    assert (ran.code, ran.err) == (0, "")
    assert "packaged snapshot, 300 pairs of 4 KiB pages" in ran.out
    verdicts = {name: row(ran.out, name)[1:3] for name in SHIPPED}
    assert verdicts.pop("rfc-2019") == ["loses", "✓"]
    assert verdicts.pop("whole-word") == ["refused", "✓"]
    assert all(verdict == ["exact", "✓"] for verdict in verdicts.values())
    flat = " ".join(ran.out.split())
    assert re.search(r"rfc-2019 loses flags: workingset \(\d+ pages\)", flat)
    assert "300 EBADMSG (its flag policy would move node: bits that stay with the frame)" in flat
    assert "All 8 did as expected." in flat
    assert row(ran.out, "word-swap")[-1] == "nothing"
    assert int(row(ran.out, "copy-page")[-1]) >= 300


def test_made_up_pages_are_run_and_what_a_fixed_list_of_flags_forgets_is_seen():
    ran = pagexchange("run", *SMALL, "--rounds", "1")
    assert (ran.code, ran.err) == (0, "")
    assert "made-up pages" in ran.out
    assert "workingset" in ran.out


def test_nothing_is_timed_in_no_rounds_and_the_table_says_so():
    ran = pagexchange("run", *SMALL, "--rounds", "0", "--strategy", "word-swap", "--strategy", "copy-page")
    assert ran.code == 0
    assert "checked, not timed" in " ".join(ran.out.split())
    assert "ns/pair" not in ran.out
    assert "median" not in ran.out
    assert [line.split()[0] for line in ran.out.splitlines() if "✓" in line][:2] == ["copy-page", "word-swap"]


def test_the_json_is_one_object_with_what_was_promised_and_nothing_else_on_stdout():
    ran = pagexchange("run", *SMALL, "--rounds", "2", "--json", "--seed", "7")
    assert (ran.code, ran.err) == (0, "")
    data = json.loads(ran.out)
    assert ran.out.startswith("{")
    assert ran.out.endswith("}\n")
    assert (data["schema"], data["seed"], data["rounds"]) == (1, 7, 2)
    assert {"environment", "input", "strategies"} <= data.keys()
    assert [one["name"] for one in data["strategies"]] == SHIPPED
    for one in data["strategies"]:
        assert one["verdict"] == one["expected"]
        assert one["exchanged"] + sum(one["refused"].values()) == one["pairs"] == data["input"]["pairs"]
        assert all(name.startswith("E") for name in one["refused"])
        cost = one["ns_per_pair"]
        if one["exchanged"]:
            assert list(cost) == ["total", "lock", "flags", "data", "mapping", "finish"]
            assert cost["total"] > cost["data"] > 0
            assert len(one["rounds"]) == 2
        else:
            assert cost is None
    by = {one["name"]: one for one in data["strategies"]}
    assert by["word-swap"]["frames_allocated"] == by["word-swap"]["frames_asked"] == 0
    assert by["copy-page"]["frames_allocated"] == by["copy-page"]["exchanged"]
    assert {lost["name"] for lost in by["rfc-2019"]["lost"]} >= {"workingset"}
    assert from_json(ran.out).exit_code == 0


def test_the_same_seed_gives_the_same_pairs_and_statuses():
    def facts(seed: str) -> list[object]:
        data = json.loads(pagexchange("run", *SMALL, "--rounds", "0", "--json", "--seed", seed).out)
        return [data["input"], *((s["name"], s["exchanged"], s["refused"], s["lost"]) for s in data["strategies"])]

    assert facts("3") == facts("3")
    assert facts("3") != facts("4")


def test_a_strategy_that_does_not_do_as_expected_ends_in_1_and_what_it_lost_is_named():
    ran = pagexchange(
        "run", *SMALL, "--rounds", "0", "--strategy", "rfc-2019", "--set", "strategy.rfc-2019.expect=exact"
    )
    assert (ran.code, ran.err) == (1, "")
    assert row(ran.out, "rfc-2019")[1:3] == ["loses", "✗"]
    assert re.search(r"loses flags: .*workingset", ran.out)
    assert "expected: exact" in ran.out
    assert "NOT as expected: rfc-2019." in ran.out
    quiet = pagexchange("run", *SMALL, "--rounds=0", "-q", "--strategy", "word-swap",
                        "--set", "strategy.word-swap.expect=loses")  # fmt: skip
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")


def pressure(*args: str) -> tuple[int, dict[str, list[str]]]:
    ran = pagexchange("run", *SMALL, "--rounds", "0", "--free", "0", *args)
    assert "no free frame left per node (fast 0, slow 0)" in ran.out
    table = ran.out.partition("Under pressure")[2]
    return ran.code, {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.count("  ") > 3}


def test_without_a_free_frame_the_temporary_page_starves_and_the_others_do_not_notice():
    code, table = pressure("--strategy", "copy-page", "--strategy", "list-exchange")
    assert code == 0
    n = table["list-exchange"][0]
    assert table["list-exchange"] == [n, "0", "0", "0", "0", "0"]
    exchanged, asked, got, low, least, enomem = table["copy-page"]
    assert (exchanged, got, enomem) == ("0", "0", n)
    assert int(asked) == int(low) == int(least) == 2 * int(n)  # both nodes are tried for each pair


def test_a_declared_fall_back_takes_the_pairs_that_find_no_frame():
    chain = 'strategy.copy-page.data=["temp-page", "word-swap"]'
    code, table = pressure("--strategy", "copy-page", "--strategy", "word-swap", "--set", chain)
    assert code == 0
    n = table["word-swap"][0]
    assert table["copy-page"][0] == n
    assert int(table["copy-page"][1]) > 0
    starved = ("--rounds=0", "--free=0", "--strategy", "copy-page", "--set", chain, "--json")
    (one,) = json.loads(pagexchange("run", *SMALL, *starved).out)["strategies"]
    assert one["moved"] == {"temp-page": 0, "word-swap": int(n)}
    assert table["copy-page"][2] == table["copy-page"][5] == "0"


def test_some_free_frames_are_enough_and_watermarks_are_counted():
    data = json.loads(
        pagexchange(
            "run",
            *SMALL,
            "--rounds=0",
            "--free=8",
            "--strategy=copy-page",
            "--set",
            "arena.watermarks=[2, 9, 9]",
            "--json",
        ).out
    )
    (one,) = data["strategies"]
    assert data["input"]["free"] == 8
    assert [node["free"] for node in data["input"]["nodes"]] == [8, 8]
    assert one["exchanged"] > 0
    assert one["frames_allocated"] == one["exchanged"]
    assert one["below_low"] >= one["exchanged"]


@pytest.mark.parametrize("given", ["run", "strategy.word-swap"])
def test_mode_and_threads_of_the_run_hold_where_a_strategy_says_nothing(given):
    args = ["--set", f"{given}.mode=sync", "--set", f"{given}.threads=2", "--strategy=word-swap", "--strategy=two-pass"]
    data = json.loads(pagexchange("run", *SMALL, "--rounds=0", "--json", *args).out)
    by = {one["name"]: (one["mode"], one["threads"]) for one in data["strategies"]}
    assert by["word-swap"] == ("sync", 2)
    assert by["two-pass"] == (("sync", 2) if given == "run" else ("async", 1))


def test_a_strategy_overrules_the_run():
    args = ["--set", "run.threads=2", "--set", "strategy.word-swap.threads=3", "--strategy=word-swap"]
    data = json.loads(pagexchange("run", *SMALL, "--rounds=0", "--json", *args).out)
    assert data["strategies"][0]["threads"] == 3


def test_live_without_the_right_to_read_proc_runs_on_this_process_and_says_so(monkeypatch):
    real = reader.Words.__init__

    def denied(self, path):
        if path.name.startswith("kpage"):
            raise PermissionError(13, "Permission denied", str(path))
        real(self, path)

    monkeypatch.setattr(reader.Words, "__init__", denied)
    ran = pagexchange("run", "--live", "--rounds", "0", "--pairs", "50", "--strategy", "word-swap")
    assert (ran.code, ran.err) == (0, "")
    flat = " ".join(ran.out.split())
    assert "this machine, now, 50 pairs" in flat
    assert "input /proc/kpageflags: Permission denied. Only this process was recorded" in flat
    assert "Run as root to record the machine." in flat


def test_live_without_proc_ends_in_3_with_one_line(monkeypatch):
    def missing(proc):
        raise FileNotFoundError(2, "No such file or directory", str(proc))

    monkeypatch.setattr(reader, "processes", missing)
    ran = pagexchange("run", "--live")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "pagexchange: /proc: cannot be read: No such file or directory; is it mounted?\n"


def test_an_arena_that_cannot_be_made_ends_in_3_with_one_line(tmp_path):
    there = tmp_path / "arena"
    there.write_bytes(b"")
    ran = pagexchange("run", *SMALL, "--set", f'arena.path="{there}"')
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (3, "", 1)
    assert str(there) in ran.err


def test_one_node_is_not_enough_and_ends_in_2():
    ran = pagexchange("run", "--set", 'arena.nodes={only="1 MiB"}')
    assert (ran.code, ran.out) == (2, "")
    assert "arena.nodes: 1 node: want 2, the fast one first" in ran.err


def watched(*args: str) -> tuple[str, dict[str, Any]]:
    watch = ["--strategy=word-swap", "--set", "strategy.word-swap.wrap=watcher", *args]
    return pagexchange("run", *SMALL, *watch).out, json.loads(pagexchange("run", *SMALL, *watch, "--json").out)


def test_observers_are_told_of_the_run_and_of_every_exchange_and_their_report_is_shown(strange):
    printed, data = watched("--rounds=2")
    call = ["exchange_started False", "exchange_finished True False"]
    (one,) = data["strategies"]
    assert one["report"]["watcher"] == ["run_started", *call * 3, "run_finished word-swap"]
    flat = " ".join(printed.split())
    assert "watcher: 8 lines, which --json has" in flat
    assert "watched: calls 8" in flat
    assert "never" not in flat


def test_wrappers_report_what_they_counted():
    wraps = 'strategy.word-swap.wrap=["timing", "trace"]'
    args = ["run", *SMALL, "--rounds=1", "--strategy=word-swap", "--set", wraps]
    (one,) = json.loads(pagexchange(*args, "--json").out)["strategies"]
    assert one["report"]["timing"]["data"]["items"] == 2 * one["exchanged"]
    assert {p["name"] for p in one["plugins"] if p["question"] == "wrap"} == {"timing", "trace"}
    assert any(line.split()[1] == "data" for line in one["report"]["trace"])
    printed = pagexchange(*args).out
    assert "timing: flags: calls" in printed
    assert "lines, which --json has" in printed


def test_faults_fail_other_pairs_in_each_round_and_are_no_loss():
    fault = 'strategy.word-swap.wrap={plugin="faults", every=7}'
    ran = pagexchange("run", *SMALL, "--rounds=2", "--strategy=word-swap", "--set", fault)
    assert ran.code == 0
    assert row(ran.out, "word-swap")[1:3] == ["exact", "✓"]
    assert "EAGAIN" in ran.out
    assert "got another status than in the checked call" in ran.out
    assert "faults: failed" in ran.out


@pytest.mark.parametrize("at", ["run_started", "exchange_finished", "run_finished"])
def test_an_observer_that_fails_ends_in_4_and_is_named_and_the_others_go_on(strange, at):
    wrap = f'strategy.word-swap.wrap={{plugin="stumbles", at="{at}"}}'
    two = ["--strategy=word-swap", "--strategy=two-pass", "--set", wrap]
    ran = pagexchange("run", *SMALL, "--rounds=1", *two)
    assert (ran.code, ran.err) == (4, "")
    said = f"plug-in 'stumbles' (stranger 2.5): {at} failed: ZeroDivisionError: no reason"
    assert said in " ".join(ran.out.split())
    assert row(ran.out, "word-swap")[1:3] == ["failed", "✗"]
    assert row(ran.out, "two-pass")[1:3] == ["exact", "✓"]


def test_a_report_that_is_no_table_ends_in_4_and_is_named_and_the_others_go_on(strange):
    two = ["--strategy=word-swap", "--strategy=two-pass", "--set", "strategy.word-swap.wrap=babbles"]
    ran = pagexchange("run", *SMALL, "--rounds=0", *two)
    assert (ran.code, ran.err) == (4, "")
    said = (
        "plug-in 'babbles' (stranger 2.5): strategy_report must return a dict or None, but it returned list: ['five']"
    )
    flat = " ".join(ran.out.split())
    assert said in flat
    assert "strategy_report failed" not in flat
    assert row(ran.out, "word-swap")[1:3] == ["failed", "✗"]
    assert row(ran.out, "two-pass")[1:3] == ["exact", "✓"]


def test_a_plug_in_that_fails_ends_in_4_and_the_others_go_on(strange):
    two = ["--strategy=word-swap", "--strategy=two-pass", "--set", "strategy.word-swap.data=raises"]
    ran = pagexchange("run", *SMALL, "--rounds=0", *two)
    assert (ran.code, ran.err) == (4, "")
    assert "plug-in 'raises' (stranger 2.5): exchange_data failed: RuntimeError: no such memory" in " ".join(
        ran.out.split()
    )
    assert row(ran.out, "two-pass")[1:3] == ["exact", "✓"]


def test_a_bug_ends_in_70_with_a_traceback(monkeypatch):
    monkeypatch.setattr("pagexchange.runs.inputs.workbench", lambda *_, **__: 1 // 0)
    ran = pagexchange("run")
    assert (ran.code, ran.out) == (70, "")
    assert "ZeroDivisionError" in ran.err
    assert "this is a bug in pagexchange" in ran.err


@pytest.mark.parametrize(("why", "said"), [((), ""), (("for the pages",), ": for the pages")])
def test_memory_that_runs_out_ends_in_3_with_one_line(monkeypatch, why, said):
    def full(*_, **__):
        raise MemoryError(*why)

    monkeypatch.setattr("pagexchange.runs.inputs.workbench", full)
    ran = pagexchange("run")
    assert (ran.code, ran.out, ran.err) == (3, "", f"pagexchange: not enough memory{said}\n")


def test_called_from_python_a_command_returns_its_code_and_raises_its_errors_as_they_are(monkeypatch):
    from pagexchange.errors import SnapshotError

    monkeypatch.delenv("PAGEXCHANGE_DEBUG", raising=False)
    run = ["run", *SMALL, "--rounds=0", "--quiet", "--strategy=word-swap"]
    assert cli.main(run, standalone_mode=False) == 0
    assert cli.main([*run, "--set", "strategy.word-swap.expect=loses"], standalone_mode=False) == 1
    with pytest.raises(SnapshotError, match=r"no-such\.pgxsnap: cannot be read"):
        cli.main(["run", "--input", "no-such.pgxsnap"], standalone_mode=False)
    with pytest.raises(click.UsageError, match="did you mean 'run'"):
        cli.main(["rum"], standalone_mode=False)


def test_debugging_raises_what_went_wrong(monkeypatch):
    from pagexchange.errors import SnapshotError

    monkeypatch.setenv("PAGEXCHANGE_DEBUG", "1")
    with pytest.raises(SnapshotError, match="cannot be read"):
        pagexchange("run", "--input", "no-such.pgxsnap")
