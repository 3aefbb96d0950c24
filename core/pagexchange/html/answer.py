"""What came out, in sentences."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pagexchange.html import ways
from pagexchange.html.ratios import crossings
from pagexchange.html.words import axis_name, figure, interval, point_words, value_of
from pagexchange.model.words import counted
from pagexchange.samples.statistics import level

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts, Measured
    from pagexchange.html.words import Point

TIER = "tier"
"""The verb whose cells are ways, and whose figures are of accesses."""
CROSSINGS = 8
"""At most so many are told; the map has all."""


def leads(facts: Facts) -> list[str]:
    """What is fastest, a sentence for each host."""
    if facts.manifest.verb == TIER:
        return ways.leads(facts)
    said = [_of_one(facts, host) if len(facts.points) < 2 else _of_many(facts, host) for host in facts.hosts]
    if len(said) == 1:
        return [_upper(said[0])]
    return [f"On {host} {sentence}" for host, sentence in zip(facts.hosts, said, strict=True)]


def _of_one(facts: Facts, host: str) -> str:
    point = facts.points[0] if facts.points else ()
    best = facts.fastest(host, point)
    if best is None or best.value is None:
        return "no strategy has exchanged a pair."
    clock = "CPU time" if best.planned.clock == "cpu" else "wall time"
    where = f" ({interval(best.value)})" if best.value.known else ""
    cost = f"{figure(best.value.middle)} ns of {clock} per pair{where}"
    sound = best.cell is not None and best.cell.verdict == "exact"
    kept = " of those that lose nothing" if sound else ""
    second = _second(facts, host, point, best)
    unsure = "" if best.trusted else " It was pushed aside in most turns, and nothing is sure."
    if second is None:
        return f"{best.name} takes {cost}.{unsure}"
    lead = second.to(best)
    if lead is None or level(lead):
        return f"{best.name} and {second.name} are level, and the fastest{kept}: {cost}.{unsure}"
    return f"{best.name} is the fastest{kept}: {cost}, {lead.middle:.2f} times as fast as {second.name}.{unsure}"


def _second(facts: Facts, host: str, point: Point, best: Measured) -> Measured | None:
    verdict = best.cell.verdict if best.cell is not None else ""
    others = [
        one
        for one in facts.at(host, point)
        if one is not best and one.planned.kind == "strategy" and one.value is not None
        and (one.cell.verdict if one.cell is not None else "") == verdict
    ]  # fmt: skip
    return min(others, key=lambda one: one.value.middle if one.value else 0.0, default=None)


def _of_many(facts: Facts, host: str) -> str:
    wins: Counter[str] = Counter()
    shared = unsure = 0
    for point in facts.points:
        best = facts.fastest(host, point)
        if best is None:
            continue
        second = _second(facts, host, point, best)
        lead = second.to(best) if second is not None else None
        unsure += not best.trusted
        if second is not None and (lead is None or level(lead)):
            shared += 1
        else:
            wins[best.name] += 1
    many = counted(len(facts.points), "point")
    parts = [f"{name} at {number:,}" for name, number in wins.most_common()]
    if not parts:
        said = f"at none of {many} one strategy is ahead of all others"
    else:
        level_at = f"; at {shared:,} the first two are level" if shared else ""
        said = f"of {many} the fastest strategy is {', '.join(parts)}{level_at}"
    return f"{said}. At {unsure:,} of them it was pushed aside, and nothing is sure." if unsure else f"{said}."


def turns(facts: Facts) -> list[str]:
    """Where ratios pass 1, in sentences: what happens at one place for several values of other axes is told once."""
    reference = facts.manifest.reference
    if not reference or not facts.axis:
        return []
    found: dict[tuple[str, str, str, bool], dict[str, list[str]]] = {}
    for host in facts.hosts:
        for c in crossings(facts, host):
            key = (c.name, _value(facts, c.before), _value(facts, c.after), c.faster)
            rest = point_words(facts.rest(c.after, facts.axis))
            found.setdefault(key, {}).setdefault(rest, []).append(host)
    told = [
        f"{name} is {'slower' if faster else 'faster'} than {reference} at {axis_name(facts.axis)} {before}, and "
        f"{'faster' if faster else 'slower'} from {after} on{_where(facts, places)}."
        for (name, before, after, faster), places in found.items()
    ]
    more = len(told) - CROSSINGS
    return [*told[:CROSSINGS], *([f"{more} more places where a ratio passes 1 are in the map."] if more > 0 else [])]


def _value(facts: Facts, point: Point) -> str:
    return value_of(facts.axis, dict(point)[facts.axis])


def _where(facts: Facts, places: dict[str, list[str]]) -> str:
    """With which values of other axes, and on which hosts, if not on all."""
    told = []
    for rest, hosts in places.items():
        on = "" if hosts == facts.hosts else f"on {', '.join(hosts)}"
        told.append(" ".join(filter(None, [rest, on])))
    return f" ({'; '.join(filter(None, told))})" if any(told) else ""


def _upper(sentence: str) -> str:
    # A name begins as it is spelt.
    return sentence[0].upper() + sentence[1:] if sentence.startswith(("of ", "at ", "no ")) else sentence
