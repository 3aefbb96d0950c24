"""Two sides compared: what differs beside the times first, then cell by cell, by name and point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pagexchange.compare.cells import Series, beside, by_wall, logs, series, together
from pagexchange.compare.differences import differences, hosts
from pagexchange.compare.result import Change, Comparison, Mean, Missing, Outcome
from pagexchange.compare.sides import refuse
from pagexchange.samples.across import across, repeated
from pagexchange.samples.statistics import EFFECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.compare.cells import Key
    from pagexchange.compare.result import Verdict
    from pagexchange.compare.sides import Side
    from pagexchange.samples.statistics import Interval, Relation

CI_THRESHOLD: Final = 0.05
"""What `--ci` counts, unless somebody says otherwise."""
_VERDICTS: Final[dict[Relation, Verdict]] = {
    "below": "faster", "above": "slower", "level": "level", "unclear": "unclear",
}  # fmt: skip


def compare(
    old: Side, new: Side, *, threshold: float | None = None, ci: bool = False, force: bool = False
) -> Comparison:
    """Compare two sides.

    Parameters
    ----------
    threshold
        The least difference that counts, as a share; None: 3 %, with `ci` 5 %.
    ci
        Say which cells are slower for sure: by more than the threshold, beyond noise, and in both halves of the runs.
    force
        Also if they did not exchange the same pages.

    Raises
    ------
    NotComparableError
        See `sides.refuse`.
    """
    refuse(old, new, force=force)
    effect = threshold if threshold is not None else CI_THRESHOLD if ci else EFFECT
    names = {after.id: before.id for before, after in hosts(old, new)}
    wall = by_wall(old, {}) | by_wall(new, names)
    was, now = series(old, {}, wall), series(new, names, wall)
    common = [key for key in was if key in now and was[key].timed and now[key].timed]
    changes = [_change(key, was, now, effect, among=len(common)) for key in common]
    strategies = [key for key in common if key[0] == "strategy"]
    found = Comparison(
        old=old.names,
        new=new.names,
        threshold=effect,
        differences=differences(old, new),
        cells=changes,
        mean=_mean([[(was[key], now[key]), *_controls(key, was, now)] for key in strategies], effect),
        missing=[*_missing("old", was, now), *_missing("new", now, was)],
        outcomes=list(_outcomes(was, now)),
        warnings=[warning for side in (old, new) for folder in side.folders for warning in folder.warnings],
        ci=ci,
    )
    failed = [n for n, change in enumerate(changes) if ci and change.verdict == "slower" and change.repeated]
    return msgspec.structs.replace(found, failed=failed)


def _controls(key: Key, was: dict[Key, Series], now: dict[Key, Series]) -> list[tuple[Series, Series]]:
    """Return limits and peers of the same point and machine: what happened to them, the machine did."""
    if key[0] != "strategy":
        return []
    clock = was[key].clock
    return [
        (was[other], now[other])
        for other in was
        if other[0] != "strategy" and other[2:] == key[2:] and other in now
        and was[other].timed and now[other].timed and was[other].clock == clock
    ]  # fmt: skip


def _change(key: Key, was: dict[Key, Series], now: dict[Key, Series], effect: float, among: int) -> Change:
    one, other, controls = was[key], now[key], _controls(key, was, now)
    before, after = logs(beside(one, [c for c, _ in controls])), logs(beside(other, [c for _, c in controls]))
    if not before or not after:  # no run has both it and all that is beside it
        before, after, controls = logs(one.runs), logs(other.runs), []
    ratio = across(before, after, among=among)
    low, high = _ends(ratio.interval)
    verdict, reason = _VERDICTS[ratio.relation(effect=effect)], ""
    if one.clock == "wall" and (one.aside or other.aside):
        verdict, reason = "unclear", "others had its CPU: most of its turns were pushed aside"
    elif low is None:
        reason = "one round on each side says nothing about noise"
    return Change(
        name=one.planned.name,
        kind=one.planned.kind,
        point=one.planned.point,
        host=one.host,
        clock=one.clock,
        old_ns=one.ns,
        new_ns=other.ns,
        ratio=ratio.interval.middle,
        low=low,
        high=high,
        verdict=verdict,
        repeated=repeated(before, after, effect=effect),
        against=[control.planned.name for control, _ in controls],
        reason=reason,
    )


def _mean(cells: list[list[tuple[Series, Series]]], effect: float) -> Mean | None:
    """Return the geometric mean; each cell comes with its controls."""
    if len(cells) < 2:
        return None
    before, after = (
        logs(together([beside(pairs[0][side], [pair[side] for pair in pairs[1:]]) for pairs in cells]))
        for side in (0, 1)
    )
    if not before or not after:
        return None
    ratio = across(before, after)
    low, high = _ends(ratio.interval)
    verdict = _VERDICTS[ratio.relation(effect=effect)]
    return Mean(ratio=ratio.interval.middle, low=low, high=high, verdict=verdict, cells=len(cells))


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval.known else (None, None)


def _missing(side: Literal["old", "new"], there: dict[Key, Series], other: dict[Key, Series]) -> Iterator[Missing]:
    """Cells that only this side has a time of."""
    for key, one in there.items():
        if one.timed and not (key in other and other[key].timed):
            reason = other[key].why_not if key in other else "it was not planned"
            planned = one.planned
            yield Missing(name=planned.name, kind=planned.kind, point=planned.point, side=side, reason=reason)


def _outcomes(was: dict[Key, Series], now: dict[Key, Series]) -> Iterator[Outcome]:
    for key, one in was.items():
        if key in now and one.cells and now[key].cells and one.outcome != now[key].outcome:
            yield Outcome(name=one.planned.name, point=one.planned.point, old=one.outcome, new=now[key].outcome)
