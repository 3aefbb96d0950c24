"""The clauses of a pairing, judged by asking it for pairs in tiers of different pages, heat and age."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.hookspecs import TierView
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.verdict.judge import answers, ask, breaks
from pagexchange_native.tier.heat import Heat
from pagexchange_native.tier.step import TierStep

_FAST, _SLOW = 96, 200
_LIMITS = (1, 7, 1000)


class PairingChecks(ServesChecks):
    """Tests of the pairing of a `candidate`, each named after its clause."""

    def test_pairing_keeps_to_its_sides(self, candidate: Candidate) -> None:
        """Empty, cold and hot tiers, free frames, folios, pages at rest and refused; limits of 1, 7 and 1,000 pairs."""
        clause = "pairing-keeps-to-its-sides"
        arena, heat = _tier()
        pairing = answers(candidate, "pairing", arena)[0]
        for view in _moments(heat):
            wrong = _wrong(ask(clause, pairing, pairing.object, view), view)
            if wrong:
                breaks(clause, [f"step {view.step}, {view.limit} pairs at most: {wrong}"])

    def test_pairing_follows_the_view_alone(self, candidate: Candidate) -> None:
        """Two of them, one asked for each view twice and the other once, in another order of limits, answer alike."""
        clause = "pairing-follows-the-view-alone"
        seen = []
        for limits in (_LIMITS, _LIMITS[::-1]):
            arena, heat = _tier()
            pairing = answers(candidate, "pairing", arena)[0]
            told: dict[tuple[int, int], Any] = {}
            for view in _moments(heat, limits):
                first, again = (np.array(ask(clause, pairing, pairing.object, view)).tolist() for _ in range(2))
                if first != again:
                    breaks(clause, [f"step {view.step}: asked twice for one view, it answered {first} and {again}"])
                told[view.step, view.limit] = first
            seen.append(told)
        for key, pairs in seen[0].items():
            if seen[1][key] != pairs:
                breaks(clause, [f"step {key[0]}: for equal views it answered {pairs} and {seen[1][key]}"])

    def test_pairing_changes_nothing(self, candidate: Candidate) -> None:
        """No byte of the arena is another one afterwards, nor is any heat, move or order."""
        clause = "pairing-changes-nothing"
        arena, heat = _tier()
        pairing = answers(candidate, "pairing", arena)[0]
        for view in _moments(heat):
            before = _all(arena, heat)
            ask(clause, pairing, pairing.object, view)
            for what, old, new in zip(("the arena", "heat", "moves", "orders"), before, _all(arena, heat), strict=True):
                changed = np.flatnonzero(old != new)
                if len(changed):
                    breaks(clause, [f"step {view.step}: {len(changed)} items of {what} changed, first {changed[0]}"])


def _tier() -> tuple[Arena, Heat]:
    """An arena with pages of two orders and free frames in both nodes, and the heat of a tier of it."""
    arena = Arena.create([("fast", _FAST), ("slow", _SLOW)], mappings=1)
    mapping = arena.new_mapping()
    at = 0
    for node, singles, folios in (("fast", 70, 4), ("slow", 150, 7)):
        for order, n in ((0, singles), (2, folios)):
            pfns = arena.alloc(node, n, order)
            indexes = at + (np.arange(n) << order)
            arena.cache_add(mapping, indexes, pfns)
            at += 1024
    return arena, Heat(arena, fast=0, slow=1, run=1, half_life=2.0)


def _moments(heat: Heat, limits: tuple[int, ...] = _LIMITS) -> Iterator[TierView]:
    """Views of six steps: without an access, then hotter and hotter, some pages at rest or refused."""
    rng = np.random.default_rng(5)
    now = 0.0
    heat.view(now=now)
    for step in range(6):
        if step:
            heat.touch(np.minimum(rng.geometric(0.02, 400 * step), _FAST + _SLOW) - 1)
            heat.touch(_FAST + _SLOW - np.minimum(rng.geometric(0.05, 100 * step), _SLOW))
        for limit in limits:
            now += 0.5 * step
            yield heat.view(limit, now)
        heat.refused(rng.integers(0, _FAST + _SLOW, 5))
        heat.end(TierStep(done=1), choose_ns=0, move_ns=1000 * step, cpu_ns=0)


def _all(arena: Arena, heat: Heat) -> tuple[NDArray[Any], ...]:
    view = heat.view(1)
    return arena.memory.copy(), heat.accesses(), view.moved.copy(), view.order.copy()


def _wrong(answer: object, view: TierView) -> str:
    """Say what is wrong with an answer, or nothing."""
    if not isinstance(answer, np.ndarray) or answer.dtype != np.int64 or answer.ndim != 2 or answer.shape[1] != 2:
        return "it returned no int64[n, 2]"
    pairs = answer.tolist()
    if len(pairs) > view.limit:
        return f"it returned {len(pairs)} pairs"
    for slow, fast in pairs:
        if slow not in view.slow or fast not in view.fast:
            return (
                f"({slow}, {fast}) is no block of the slow node and one of the fast node, {view.slow} and {view.fast}"
            )
    for column, name in enumerate(("slow", "fast")):
        blocks = [pair[column] for pair in pairs]
        if len(set(blocks)) < len(blocks):
            return f"a {name} block stands there twice: {blocks}"
    return ""
