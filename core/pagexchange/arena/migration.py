"""What a call of a migration returns: a status for each page, where each lies now, and what it cost."""

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.refusals import why
from pagexchange.arena.result import CallResult
from pagexchange.model.statuses import errno_name


class MigrationResult(CallResult):
    """What became of a list of pages: `status` is int32[n], 0 or -errno and the page is where it was.

    `frames_asked` and `frames_got` are the free frames of the other node, in base frames.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("a MigrationResult is made by Arena.migrate and Strategy.migrate")

    def __repr__(self) -> str:
        n = len(self.status)
        return f"<MigrationResult {n} page{'s' * (n != 1)}: {self.migrated} migrated, {self._outcome()}>"

    @property
    def pfns(self) -> NDArray[np.int64]:
        """int64[n]: the first frame of each folio when the call began."""
        return self._pairs[:, 0]

    @property
    def placed(self) -> NDArray[np.int64]:
        """int64[n]: the first frame of each folio now; the same one where it was refused, or lay on the node."""
        return self._pairs[:, 1]

    @property
    def migrated(self) -> int:
        """Number of folios that have moved."""
        return int(np.count_nonzero(self.placed != self.pfns))

    def _message(self, number: int, code: int) -> str:
        pfn = int(self.pfns[number])
        reason = why(self._about.arena, code, (pfn,), waited=self._about.waits, touched=self.touched)
        return f"page {number} (pfn {pfn}): {errno_name(code)}: {reason}"
