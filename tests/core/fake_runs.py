"""Runs made up by hand, as `run()` would return them: input for the tests of report, result and CLI."""

from __future__ import annotations

from typing import Any

from pagexchange.runs.environment import collect
from pagexchange.runs.figures import with_figures
from pagexchange.runs.result import Costs, InputInfo, Lost, Round, RunResult, StrategyResult, judge


def costs(total: float, **parts: float) -> Costs:
    split = {"lock": 0.1, "flags": 0.02, "data": 0.75, "mapping": 0.05, "finish": 0.08} | parts
    return Costs(total=total, **{name: share * total for name, share in split.items()})


def timed(number: int, exchanged: int, ns: float, **fields: Any) -> Round:
    """A round of a strategy that had its CPU all the time: both clocks say the same."""
    whole = round(ns * exchanged)
    return Round(
        round=number, position=0, exchanged=exchanged, ns=costs(whole),
        **{"cpu_ns": whole, "wall_ns": whole, "verified": False, **fields},
    )  # fmt: skip


def strategy(name: str, ns: float | None, **kwargs: Any) -> StrategyResult:
    expected = kwargs.setdefault("expected", "exact")
    verdict = kwargs.setdefault("verdict", "exact")
    kwargs.setdefault("as_expected", judge(expected, verdict))
    kwargs.setdefault("pairs", 12_288)
    kwargs.setdefault("exchanged", 12_100 if ns else 0)
    n = kwargs["exchanged"]
    rounds = kwargs.pop("rounds", None) or [
        timed(i, n, (ns or 0) * (1 + off / 100), verified=i == 0) for i, off in enumerate((-1, 0, 1) if ns else ())
    ]
    return StrategyResult(
        name=name,
        ns_per_pair=kwargs.pop("ns_per_pair", costs(ns) if ns else None),
        gb_per_s=8192 / ns if ns else None,
        rounds=rounds,
        **kwargs,
    )


def seven(**kwargs: Any) -> RunResult:
    """Seven of the shipped strategies, as they might come out."""
    common = {"EBUSY": 120, "EAGAIN": 68}
    strategies = [
        strategy(
            "rfc-2019",
            1204.5,
            expected="loses",
            verdict="loses",
            refused=common,
            lost=[Lost(kind="flag", name="workingset", count=312), Lost(kind="flag", name="dropbehind", count=14)],
        ),
        strategy("whole-word", None, expected="refused", verdict="refused", refused={"EBADMSG": 12_288}),
        strategy("copy-page", 1101.2, refused=common, frames_asked=12_100, frames_allocated=12_100),
        strategy("word-swap", 761.9, refused=common),
        strategy("two-pass", 771.3, refused=common),
        strategy("list-exchange", 540.4, refused=common, threads=1),
        strategy("numpy", 2310.0, refused=common),
    ]
    fields: dict[str, Any] = {
        "pagexchange": "0.1.0",
        "seed": 1,
        "environment": collect(),
        "input": InputInfo(
            name="packaged snapshot",
            kind="snapshot",
            pairs=12_288,
            pages=24_576,
            page_size=4096,
            frames=32_768,
            arena_bytes=1 << 28,
            layout="linux-6.18",
            nodes=[{"name": "fast", "free": 0, "frames": 16384}, {"name": "slow", "free": 0, "frames": 16384}],
        ),
        "rounds": 3,
        "rounds_done": 3,
        "as_expected": all(s.as_expected for s in strategies),
        "seconds": 3.2,
        "strategies": strategies,
        "clock": "cpu",
    } | kwargs
    fields["strategies"], fields["reference"] = with_figures(fields["strategies"], fields["clock"])
    return RunResult(**fields)
