"""What there is to say of each strategy below the table of a run: what it lost, broke, refused, reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pagexchange.cli.layout import Paragraph, count
from pagexchange.cli.ranking import ranked
from pagexchange.model.statuses import REASONS, errno_name
from pagexchange.model.words import counted
from pagexchange.runs.inputs import PACKAGED
from pagexchange_native.engine.steps import COSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.cli.layout import Words
    from pagexchange.runs.result import Lost, RunResult, StrategyResult

MEANING: Final = {errno_name(code): text.partition(";")[0] for code, text in REASONS.items()}
"""What an errno means for a pair, without the advice."""


def notes(result: RunResult) -> Iterator[Paragraph]:
    """What each strategy lost or refused; refusals that all strategies share are said once."""
    shared = _shared_refusals(result)
    labels = ["every one" if shared else "input", *(s.name for s in result.strategies)]
    indent = max(map(len, labels)) + 2

    def note(label: str, words: Words) -> Paragraph:
        return Paragraph(words, label=(label, "dim"), indent=indent)

    if shared:
        ran = sum(s.exchanged > 0 for s in result.strategies)
        who = "by all" if ran == len(result.strategies) else "by all that exchange"
        yield note("every one", f"{_pairs(shared)} are refused {who}, untouched: {_refusals(shared)}")
    unseen = ""
    for remark in result.input.details.get("notes", ()):
        if not unseen and remark.startswith("drawn by the seed"):
            unseen = remark  # of interest only where a flag was lost: then it may be one that the seed drew
        elif (result.input.kind, result.input.name) != ("snapshot", PACKAGED):  # everybody has that one
            yield note("input", (remark, "warn"))
    if unseen and any(lost.kind == "flag" for s in result.strategies for lost in s.lost):
        yield note("flags", (unseen, "dim"))
    for s in ranked(result):
        for number, words in enumerate(_of(s, shared)):
            yield note("" if number else s.name, words)


def _of(s: StrategyResult, shared: dict[str, int]) -> Iterator[Words]:
    """What there is to say of one strategy, a line each; `shared` are the refusals that need not be said again."""
    flags = [lost for lost in s.lost if lost.kind == "flag"]
    if flags:
        names = ", ".join(f"{lost.name} ({_pages(lost.count)})" for lost in flags)
        yield f"loses flags: {names}", "bad" if s.as_expected is False else "warn"
    broken = [lost for lost in s.lost if lost.kind != "flag"]
    if broken:
        yield f"breaks {'; '.join(map(_broken, broken))}", "bad"
    # One that exchanges nothing says all its refusals: the shared ones are those of strategies that exchange.
    own = {name: n for name, n in s.refused.items() if shared.get(name) != n or not s.exchanged}
    if own:
        refuses = f"refuses {_pairs(own)}" if s.exchanged else "refuses every pair"
        # Of a pair that migrates, the first page may have moved before the second one was refused.
        halves = s.exchanged > 0 and any(plugin.question == "copy" for plugin in s.plugins)
        yield f"{refuses}{'' if halves else ', untouched'}: {_refusals(own, s.reason)}"
    if len(s.moved) > 1:
        first, *others = [f"{name} exchanges {count(n)}" for name, n in s.moved.items()]
        yield f"of its movers {first}, {', '.join(others)} for want of a frame"
    if s.workers > 1 and (cost := s.ns_per_pair) and s.trusted is not False:
        worked = sum(getattr(cost, name) for name in COSTS) / s.workers
        if worked < cost.total / 2:
            yield (
                f"its {s.workers} threads took longer to start and end than to exchange: too few pairs for them",
                "warn",
            )
    # Of a broken contract the reason stands beside the errno already, as its meaning.
    if s.reason and "EBADMSG" not in own:
        yield s.reason, "bad" if s.as_expected is False else "warn" if s.as_expected is None else ""
    # Interrupted is not unexpected: the closing line names what was not run.
    if s.as_expected is False and s.verdict != "not run":
        yield f"expected: {s.expected}", "bad"
    for name, value in s.report.items():
        yield f"{name}: {reported(value)}"


def reported(value: object) -> str:
    """What a plug-in reports, on a line: `data: calls 3, items 6,157`; a list is counted, zeros left out."""
    if isinstance(value, dict):
        nested = any(isinstance(item, dict) for item in value.values())
        colon, comma = (": ", "; ") if nested else (" ", ", ")
        return comma.join(f"{key}{colon}{reported(item)}" for key, item in value.items() if item)
    if isinstance(value, list | tuple):
        return f"{counted(len(value), 'line')}, which --json has"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _shared_refusals(result: RunResult) -> dict[str, int]:
    """errno -> pairs that every strategy which exchanges anything refuses alike."""
    ran = [s.refused for s in result.strategies if s.exchanged]
    if len(ran) < 2:
        return {}
    return {name: n for name, n in ran[0].items() if all(other.get(name) == n for other in ran[1:])}


def _refusals(refused: dict[str, int], reason: str = "") -> str:
    """Each errno with its number and its meaning; `reason` is the better meaning of a broken contract."""
    meaning = MEANING | ({"EBADMSG": reason} if reason else {})
    parts = sorted(refused.items(), key=lambda item: -item[1])
    return ", ".join(f"{n:,} {name}" + (f" ({meaning[name]})" if name in meaning else "") for name, n in parts)


def _broken(lost: Lost) -> str:
    thing = lost.kind if lost.name in ("", lost.kind) else f"{lost.kind} {lost.name}"
    return f"{thing} ({_pages(lost.count)})" + (f", first: {lost.example}" if lost.example else "")


def _pages(n: int) -> str:
    return counted(n, "page")


def _pairs(refused: dict[str, int]) -> str:
    return counted(sum(refused.values()), "pair")
