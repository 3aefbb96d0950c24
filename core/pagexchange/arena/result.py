"""What a call of an exchange returns: a status for each pair, what it cost, and why a pair was refused, in words."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.frame import LaidOutRegion
from pagexchange.arena.refusals import why
from pagexchange.errors import PagexchangeError
from pagexchange.model.statuses import errno_name


@dataclass(frozen=True)
class ExchangeResult:
    """What became of a list of pairs."""

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
    """Pairs that each data mover of the chain exchanged, by plug-in: the second one those that found no frame."""
    retries: int
    """Locks and references that had to be tried again."""
    touched: tuple[str, ...]
    """Names of the flags and fields that the flag policy touched and may not."""
    _pairs: NDArray[np.int64] = field(repr=False, compare=False)
    _arena: LaidOutRegion = field(repr=False, compare=False)
    _waited: bool = field(repr=False, compare=False)

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
