"""A tier: accesses are counted, and pages trade places between a fast and a slow node, step by step."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange.arena import pairing as pairings
from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.pairs import as_microseconds
from pagexchange.arena.strategy import Strategy
from pagexchange.arena.tier_moves import CLOCK, exchanged, migrated
from pagexchange_native.integers import as_number
from pagexchange_native.tier.heat import Heat
from pagexchange_native.tier.step import TierStep

COUNTED: Final = ("steps", "accesses", "writes", "hits")


class Tier:
    """Two nodes of an arena, how hot their pages are, and what moves pages between them. `Arena.tier` makes one.

    It is for one thread at a time. What others do with the arena meanwhile it does not see, but for what it is refused.
    """

    def __init__(
        self,
        arena: LaidOutRegion,
        strategy: Strategy,
        *,
        fast: str | None = None,
        slow: str | None = None,
        pairing: pairings.Wanted = None,
        run: int = 1,
        half_life: float = 8.0,
        write_weight: float = 1.0,
    ) -> None:
        self.arena, self.strategy = arena, strategy
        self.run = as_number(run, "run")
        if self.run < 1:
            raise ValueError(f"run {self.run}: want 1 frame or more")
        self.half_life = _positive(half_life, "half_life", "steps")
        self.write_weight = _positive(write_weight, "write_weight", "accesses")
        if self.run > 1 and strategy.built.spec.migrates:
            raise ValueError(
                f"run {self.run}: strategy {strategy.name!r} migrates, and each page gets a free frame of its own; "
                "want run 1, where a folio moves as a whole, or a strategy that exchanges"
            )
        self._nodes = _two_nodes(arena, fast, slow)
        self._heat = Heat(arena, fast=self._nodes[0], slow=self._nodes[1], run=self.run, half_life=self.half_life)
        self.pairing = pairings.served(pairing, strategy)
        self._suspects = pairings.suspects(self.pairing, strategy.built)
        self._migrates = strategy.built.spec.migrates
        self._counts = dict.fromkeys(COUNTED, 0)

    @property
    def heat(self) -> NDArray[np.float32]:
        """Accesses to each frame's block by now, older ones counted for less: float32 by frame, a copy."""
        values = np.zeros(self.arena.nframes, np.float32)
        spread = np.repeat(self._heat.accesses(), self.run)
        values[: len(spread)] = spread
        return values

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps for its blocks."""
        return self._heat.nbytes

    @property
    def counts(self) -> dict[str, int]:
        """Totals by name: `steps`, `accesses`, `writes`, `hits` of the fast node, and the fields of TierStep."""
        return self._counts | self._heat.sums.numbers()

    def touch(self, frames: ArrayLike, writes: ArrayLike | None = None) -> int:
        """Count accesses.

        Parameters
        ----------
        frames : integers, any shape
            The frame of each access: of a large folio the first one.
        writes : bool, as many, optional
            Which of them write, and count `write_weight` times.

        Returns
        -------
        int
            How many of them hit the fast node.

        Raises
        ------
        IndexError
            A frame that neither node has; nothing is counted.
        TypeError, ValueError
            Other than integers, or `writes` does not fit.
        """
        numbers = _as_numbers(frames)
        wrote = None if writes is None else np.ascontiguousarray(writes).reshape(-1)
        if wrote is not None and (wrote.dtype != np.bool_ or len(wrote) != len(numbers)):
            raise ValueError(f"writes: want bool[{len(numbers)}], one for each access; got {wrote.dtype}[{len(wrote)}]")
        hits = self._heat.touch(numbers, wrote, self.write_weight)
        counts = self._counts
        counts["accesses"] += len(numbers)
        counts["hits"] += hits
        if wrote is not None:
            counts["writes"] += int(np.count_nonzero(wrote))
        return hits

    def step(self, *, pairs: int | None = None, max_us: float | None = None, now: float | None = None) -> TierStep:
        """Ask the pairing who is to trade places, and exchange these pages.

        A strategy that migrates demotes the coldest of them first, as many as it takes for the hot ones to find frames
        and the fast node's low watermark to stay free, then promotes; a page is done when it was promoted.

        Parameters
        ----------
        pairs : int, optional
            Pairs at most. Default: as the pairing says.
        max_us : float, optional
            Microseconds that the step may take: pairs that it does not reach are `left`. At least one is tried.
        now : float, optional
            Seconds on the caller's clock, for a pairing that has a budget per second. Default: the machine's.

        Raises
        ------
        PluginError
            The pairing raised, or failed; or answered what it may not (PluginContractError). Nothing was moved.
        """
        began, cpu_began = CLOCK(), time.thread_time_ns()
        until = None if max_us is None else began + int(as_microseconds(max_us) * 1000)
        view = self._heat.view(pairs, now)
        if self.strategy.is_watched:
            with self.strategy.watched("pairing", lambda: self._suspects):
                chosen = pairings.ask(self.pairing, view, self._heat)
        else:
            chosen = pairings.ask(self.pairing, view, self._heat)
        chosen_at = CLOCK()
        if self._migrates:
            step = migrated(self.strategy, self._heat, chosen, self._nodes, self.half_life, until)
        else:
            step = exchanged(self.strategy, self._heat, chosen, self.run, self.half_life, until)
        self._counts["steps"] += 1
        self._heat.end(step, chosen_at - began, CLOCK() - chosen_at, time.thread_time_ns() - cpu_began)
        return step


def _two_nodes(arena: LaidOutRegion, fast: str | None, slow: str | None) -> tuple[int, int]:
    """Return the numbers of the fast and the slow node; ValueError says which there are."""
    names = [str(node["name"]) for node in arena.nodes]
    if len(names) < 2:
        raise ValueError(f"a tier needs two nodes; the arena has {', '.join(names)}")
    chosen = [names[0] if fast is None else fast, names[1] if slow is None else slow]
    for key, name in zip(("fast", "slow"), chosen, strict=True):
        if name not in names:
            raise ValueError(f"{key} {name!r}: no such node; the arena has {', '.join(names)}")
    return names.index(chosen[0]), names.index(chosen[1])


def _as_numbers(frames: ArrayLike) -> NDArray[Any]:
    """Return numbers of frames as the loops take them: uint32 as it is, others as int64."""
    numbers = np.ascontiguousarray(frames).reshape(-1)
    if numbers.dtype == np.uint32 or numbers.dtype == np.int64:
        return numbers
    if not numbers.size:
        return np.zeros(0, np.int64)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"frames: want integers, got dtype {numbers.dtype}")
    return numbers.astype(np.int64)  # what uint64 holds beyond it becomes negative: no frame


def _positive(value: object, name: str, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: want a number of {unit}, got {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} {value}: want {unit} above 0")
    return float(value)
