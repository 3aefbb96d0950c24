"""What a call of an exchange returns: a status for each pair, what it cost, and why a pair was refused, in words."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.refusals import why
from pagexchange.errors import PagexchangeError
from pagexchange.model.equality import same
from pagexchange.model.statuses import errno_name


@dataclass(frozen=True, eq=False, repr=False)
class ExchangeResult:
    """What became of a list of pairs.

    True when every pair was exchanged (`ok`), so that `if arena.exchange(pairs):` does not take a refusal for success;
    a list without pairs is true, too. Two results are equal when all that they say is: pairs, statuses, times. A result
    can be copied and pickled; what was pickled does not know the arena, and so its `messages` say what an errno means,
    not what the frames look like. A result is not hashable, because its arrays can be changed.
    """

    status: NDArray[np.int32]
    """int32[n]: 0 exchanged, -errno refused with both pages as they were."""
    ns: dict[str, int]
    """Nanoseconds of the call: total (wall), and lock, flags, data, mapping, finish (summed over workers)."""
    workers: int
    """Threads that shared the list."""
    frames_asked: int
    """Frames that the data mover asked the allocator for."""
    frames_got: int
    moved: dict[str, int]
    """Pairs that each data mover of the chain exchanged, by plug-in: the second one those that found no frame.
    A plug-in that stands in the chain several times has its options behind its name."""
    retries: int
    """Locks and references that had to be tried again."""
    touched: tuple[str, ...]
    """Names of the flags and fields that the flag policy touched and may not."""
    _pairs: NDArray[np.int64]
    _arena: LaidOutRegion | None
    _waited: bool

    def __bool__(self) -> bool:
        return self.ok

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExchangeResult):
            return NotImplemented
        mine, theirs = self.__getstate__(), other.__getstate__()
        return all(same(value, theirs[name]) for name, value in mine.items())

    def __repr__(self) -> str:
        refused = ", ".join(f"{name} {n}" for name, n in self.refused.items())
        outcome = f"{len(self.failed)} refused ({refused})" if refused else "none refused"
        n = len(self.status)
        return (
            f"<ExchangeResult {n} pair{'s' * (n != 1)}: {self.exchanged} exchanged, {outcome}; {self.ns['total']} ns>"
        )

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_arena": None}  # it is memory of this process

    def __copy__(self) -> Self:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return replace(
            self, status=self.status.copy(), ns=dict(self.ns), moved=dict(self.moved), _pairs=self._pairs.copy()
        )

    @property
    def exchanged(self) -> int:
        """Number of pairs that were exchanged."""
        return int(np.count_nonzero(self.status == 0))

    @property
    def ok(self) -> bool:
        """True when every pair was exchanged."""
        return self.exchanged == len(self.status)

    @property
    def failed(self) -> NDArray[np.int64]:
        """Positions in the list of the pairs that were not."""
        return np.flatnonzero(self.status).astype(np.int64)

    @property
    def refused(self) -> dict[str, int]:
        """Number of refused pairs by errno name."""
        codes, counts = np.unique(-self.status[self.status != 0], return_counts=True)
        return {errno_name(int(c)): int(n) for c, n in zip(codes, counts, strict=True)}

    def messages(self, limit: int = 10) -> list[str]:
        """One sentence for each refused pair, `limit` of them at most: which pair, which errno, why."""
        sentences = []
        for i in self.failed[:limit].tolist():
            code = -int(self.status[i])
            a, b = (int(x) for x in self._pairs[i])
            reason = why(self._arena, code, (a, b), waited=self._waited, touched=self.touched)
            sentences.append(f"pair {i} (pfn {a} <-> {b}): {errno_name(code)}: {reason}")
        return sentences

    def raise_for_status(self) -> None:
        """Raise PagexchangeError when a pair was refused; the message names the first ten."""
        if not self.ok:
            raise PagexchangeError("\n".join(self.messages()), result=self)
