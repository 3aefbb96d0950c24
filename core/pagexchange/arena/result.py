"""What a call returns: a status for each pair or page, what it cost, and why one was refused, in words."""

from collections import Counter
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.refusals import touched_names, why
from pagexchange.errors import PagexchangeError
from pagexchange.model.equality import same
from pagexchange.model.statuses import errno_name
from pagexchange_native.engine.outcome import Outcome, restore
from pagexchange_native.engine.steps import COSTS, Numbers


class Asker(NamedTuple):
    """What all results of a strategy share."""

    arena: LaidOutRegion | None
    """None, once a result was pickled."""
    movers: tuple[str, ...]
    """Names of the chain's data movers."""
    waits: bool
    """It waits for write-back."""
    touched: tuple[str, ...] = ()
    """Without an arena, the names that it had for what the flag policy touched."""


class CallResult(Outcome):
    """What became of a list, of pairs or of pages.

    True when none was refused (`ok`), so that `if arena.exchange(pairs):` does not take a refusal for success; an empty
    list is true, too. Two results are equal when all that they say is: list, statuses, times. A result can be copied
    and pickled; what was pickled does not know the arena, and so its `messages` say what an errno means, not what the
    frames look like. A result is not hashable, because its arrays can be changed.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    _about: Asker  # pyright: ignore[reportIncompatibleMethodOverride] (read-only there, too)

    @property
    def ns(self) -> dict[str, int]:
        """Nanoseconds of the call: total (wall), and lock, flags, data, mapping, finish (summed over workers)."""
        numbers = self._numbers
        return {"total": numbers[0], **dict(zip(COSTS, numbers[1], strict=True))}

    @property
    def thread_ns(self) -> list[tuple[int, int]]:
        """Wall and CPU nanoseconds of each thread that worked, the caller's first, each from its own start to its end.

        Empty where one worked: it is the caller's, which can read its clocks before and after.
        """
        return list(self._numbers[8])

    @property
    def moved(self) -> dict[str, int]:
        """Pairs or pages that each one of the chain moved, by plug-in: the second one those that the first one refused.

        A plug-in that stands in the chain several times has its options behind its name.
        """
        moved: Counter[str] = Counter()
        for name, n in zip(self._about.movers, self._numbers[7], strict=True):
            moved[name] += n
        return dict(moved)

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the flags and fields that the flag policy touched and may not."""
        violation, arena = self._numbers[5], self._about.arena
        if not violation or arena is None:
            return self._about.touched
        return touched_names(arena, violation)

    def __bool__(self) -> bool:
        return self.ok

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CallResult) or type(other) is not type(self):
            return NotImplemented
        mine, theirs = self._said(), other._said()
        return all(map(same, mine, theirs))

    def _outcome(self) -> str:
        """How many were refused and why, and what it took, for the repr."""
        refused = ", ".join(f"{name} {n}" for name, n in self.refused.items())
        outcome = f"{len(self.failed)} refused ({refused})" if refused else "none refused"
        return f"{outcome}; {self.ns['total']} ns"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return restore(type(self), self._about, self._pairs, self.status, self._numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), *self._said())

    def _said(self) -> tuple[Asker, NDArray[np.int64], NDArray[np.int32], Numbers]:
        """All that it says, without the arena, which is memory of this process."""
        return self._about._replace(arena=None, touched=self.touched), self._pairs, self.status, self._numbers

    @property
    def ok(self) -> bool:
        """True when none was refused."""
        return not self.status.any()

    @property
    def failed(self) -> NDArray[np.int64]:
        """Positions in the list of those that were refused."""
        return np.flatnonzero(self.status).astype(np.int64)

    @property
    def refused(self) -> dict[str, int]:
        """How many were refused, by errno name."""
        codes, counts = np.unique(-self.status[self.status != 0], return_counts=True)
        return {errno_name(int(c)): int(n) for c, n in zip(codes, counts, strict=True)}

    def messages(self, limit: int = 10) -> list[str]:
        """One sentence for each that was refused, `limit` of them at most: which one, which errno, why."""
        return [self._message(i, -int(self.status[i])) for i in self.failed[:limit].tolist()]

    def _message(self, number: int, code: int) -> str:
        raise NotImplementedError

    def raise_for_status(self) -> None:
        """Raise PagexchangeError when one was refused; the message names the first ten."""
        if not self.ok:
            raise PagexchangeError("\n".join(self.messages()), result=self)


class ExchangeResult(CallResult):
    """What became of a list of pairs: `status` is int32[n], 0 or -errno and both pages as they were."""

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("an ExchangeResult is made by Arena.exchange and Strategy.exchange")

    def __repr__(self) -> str:
        n = len(self.status)
        return f"<ExchangeResult {n} pair{'s' * (n != 1)}: {self.exchanged} exchanged, {self._outcome()}>"

    @property
    def exchanged(self) -> int:
        """Number of pairs that were exchanged."""
        return int(np.count_nonzero(self.status == 0))

    def _message(self, number: int, code: int) -> str:
        a, b = (int(x) for x in self._pairs[number])
        reason = why(self._about.arena, code, (a, b), waited=self._about.waits, touched=self.touched)
        return f"pair {number} (pfn {a} <-> {b}): {errno_name(code)}: {reason}"
