"""A tier: accesses are counted, and pages trade places between a fast and a slow node, step by step."""

from __future__ import annotations

import errno
import time
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pagexchange.arena import pairing as pairings
from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.heat import Heat
from pagexchange.arena.strategy import Strategy
from pagexchange.arena.tier_step import TierStep
from pagexchange.arena.tier_view import TierView
from pagexchange_native.integers import as_number

CLOCK = time.perf_counter_ns


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
        nodes = _two_nodes(arena, fast, slow)
        self._number_fast = int(nodes[0]["number"])
        self.fast, self.slow = (_blocks(node, self.run) for node in nodes)
        self.pairing = pairings.served(pairing, strategy.built, arena)
        self._heat = Heat(max(self.fast.stop, self.slow.stop), self.half_life)
        self._counts: Counter[str] = Counter(steps=0, accesses=0, writes=0, hits=0)
        self._before: float | None = None

    @property
    def heat(self) -> NDArray[np.float32]:
        """Accesses to each frame's block by now, older ones counted for less: float32 by frame, a copy."""
        values = np.zeros(self.arena.nframes, np.float32)
        spread = np.repeat(self._heat.accesses(), self.run)
        values[: len(spread)] = spread
        return values

    @property
    def counts(self) -> dict[str, int]:
        """Totals by name: `steps`, `accesses`, `writes`, `hits` of the fast node, and the fields of TierStep."""
        return dict(self._counts)

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
        numbers = np.asarray(frames).reshape(-1)
        if numbers.dtype.kind not in "iu":
            if numbers.size:
                raise TypeError(f"frames: want integers, got dtype {numbers.dtype}")
            return 0
        blocks = numbers.astype(np.int64) // self.run
        hits = (blocks >= self.fast.start) & (blocks < self.fast.stop)
        known = hits | (blocks >= self.slow.start) & (blocks < self.slow.stop)
        if not known.all():
            raise IndexError(f"frame {int(numbers[~known][0])}: not in a block of the two nodes; nothing was counted")
        weights: float | NDArray[np.float64] = 1.0
        if writes is not None:
            wrote = np.asarray(writes).reshape(-1)
            if wrote.dtype != np.bool_ or len(wrote) != len(numbers):
                raise ValueError(f"writes: want bool[{len(numbers)}], got {wrote.dtype}[{len(wrote)}]")
            weights = np.where(wrote, self.write_weight, 1.0)
            self._counts["writes"] += int(np.count_nonzero(wrote))
        self._heat.touch(blocks, weights)
        self._counts["accesses"] += len(numbers)
        self._counts["hits"] += (hit := int(np.count_nonzero(hits)))
        return hit

    def step(self, *, pairs: int | None = None, max_us: float | None = None, now: float | None = None) -> TierStep:
        """Ask the pairing who is to trade places, and exchange these pages.

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
            The pairing raised; or answered what it may not (PluginContractError). Nothing was moved.
        """
        began, cpu_began = CLOCK(), time.thread_time_ns()
        step = self._counts["steps"] + 1
        view = self._view(step, pairs, now)
        chosen = pairings.ask(self.pairing, view)
        chosen_at = CLOCK()
        result, statuses = self._exchange(chosen, max_us, began)
        moved_at = CLOCK()
        done = np.flatnonzero(statuses == 0)
        left = statuses == -errno.ETIME
        a, b = chosen[done, 0], chosen[done, 1]
        again = self._heat.recently(np.concatenate([a, b]), step, self.half_life)
        self._heat.exchange(a, b, step)
        self._heat.refuse(chosen[(statuses != 0) & ~left].reshape(-1), step)
        self._heat.grow()
        moves = self._frames(np.concatenate([chosen[done], chosen[done][:, ::-1]]))
        orders = self.arena.entries["order"][moves[:, 1]]
        outcome = TierStep(
            moves=moves,
            asked=len(chosen),
            done=len(done),
            refused=int(np.count_nonzero(statuses)) - int(np.count_nonzero(left)),
            left=int(np.count_nonzero(left)),
            promoted=len(moves) // 2,
            demoted=len(moves) // 2,
            stalls=0,
            frames_taken=result.frames_got,
            back_and_forth=again * self.run,
            bytes=int((self.arena.page_size << orders.astype(np.int64)).sum()),
            choose_ns=chosen_at - began,
            move_ns=moved_at - chosen_at,
            cpu_ns=time.thread_time_ns() - cpu_began + sum(cpu for _, cpu in result.thread_ns[1:]),
        )
        self._counts["steps"] = step
        self._counts.update(outcome.totals())
        return outcome

    def _view(self, step: int, pairs: int | None, now: float | None) -> TierView:
        limit = min(len(self.fast), len(self.slow))
        if pairs is not None:
            limit = min(limit, as_number(pairs, "pairs"))
            if limit < 0:
                raise ValueError(f"pairs {pairs}: want 0 or more")
        at = time.monotonic() if now is None else float(now)
        before, self._before = self._before, at
        done = self._counts["done"]
        return TierView(
            arena=self.arena,
            counters=self._heat,
            run=self.run,
            fast=self.fast,
            slow=self.slow,
            free_fast=int(self.arena.nodes[self._number_fast]["free"]),
            step=step,
            limit=limit,
            seconds=0.0 if before is None else max(0.0, at - before),
            ns_per_pair=self._counts["move_ns"] / done if done else 0.0,
        )

    def _exchange(self, chosen: NDArray[np.int64], max_us: float | None, began: int) -> tuple[Any, NDArray[np.int32]]:
        """Exchange blocks; return the result and the status of each pair of blocks."""
        rest = None if max_us is None else max(1.0, max_us - (CLOCK() - began) / 1000)
        pairs = self._frames(chosen)
        result = self.strategy.exchange(pairs, max_call_us=rest)
        if self.run == 1:
            return result, result.status
        statuses = result.status.reshape(-1, self.run)
        whole = statuses.min(axis=1)  # of several refusals the one with the largest errno; ETIME where nothing else
        torn = (statuses == 0) & (whole[:, None] != 0)
        if torn.any():
            self.strategy.exchange(pairs[torn.reshape(-1)]).raise_for_status()
        return result, whole

    def _frames(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the frames of pairs of blocks, one row for each frame of a block."""
        if self.run == 1:
            return pairs
        inside = np.arange(self.run, dtype=np.int64)
        return (pairs[:, None, :] * self.run + inside[None, :, None]).reshape(-1, 2)


def _two_nodes(arena: LaidOutRegion, fast: str | None, slow: str | None) -> list[dict[str, Any]]:
    nodes: dict[str, dict[str, Any]] = {str(node["name"]): node for node in arena.nodes}
    names = list(nodes)
    if len(names) < 2:
        raise ValueError(f"a tier needs two nodes; the arena has {', '.join(names)}")
    chosen = [names[0] if fast is None else fast, names[1] if slow is None else slow]
    for key, name in zip(("fast", "slow"), chosen, strict=True):
        if name not in nodes:
            raise ValueError(f"{key} {name!r}: no such node; the arena has {', '.join(names)}")
    if chosen[0] == chosen[1]:
        raise ValueError(f"fast and slow are one node, {chosen[0]!r}; want two of {', '.join(names)}")
    return [nodes[name] for name in chosen]


def _blocks(node: dict[str, Any], run: int) -> range:
    """Return the numbers of a node's blocks; frames at its end that make no whole block belong to none."""
    start, frames = int(node["start"]), int(node["frames"])
    if start % run:
        raise ValueError(f"run {run}: node {node['name']!r} starts at frame {start}, which must be a multiple of it")
    return range(start // run, (start + frames) // run)


def _positive(value: object, name: str, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: want a number of {unit}, got {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} {value}: want {unit} above 0")
    return float(value)
