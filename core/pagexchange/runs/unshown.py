"""What a run cannot show of a strategy, because its pages do not ask for it: neither a failure nor a pass."""

import errno
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.arena.refusals import stands_in_the_way, touched_names
from pagexchange.host.built import Served
from pagexchange.model.config import Expect
from pagexchange.model.statuses import EHWPOISON
from pagexchange.runs.result import Verdict
from pagexchange.runs.workbench import Workbench

_OF_PAGES: Final = (errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.EOPNOTSUPP, EHWPOISON)
"""Refusals for what a page is like at that moment; a plug-in may refuse with them, too."""
_NAMED: Final = 6


def not_shown(bench: Workbench, flags: Served, expected: Expect, verdict: Verdict, status: NDArray[np.int32]) -> str:
    """Say why the checked call could not show what is expected; empty if it did, or showed the contrary.

    Parameters
    ----------
    bench
        Back in the state before that call.
    flags
        Who serves the flags.
    status : int32[n]
        Of the call.
    """
    if verdict == "refused" and _pages_forbid_all(bench, status):
        return "no pair of the list can be exchanged, whatever the strategy: see the refusals; not shown"
    if verdict == "exact" and expected == "loses":
        lost = _would_lose(bench.arena, flags)
        words = bench.arena.entries["flags"][bench.pairs[status == 0]]
        # A flag that both pages of a pair have, or neither, is not missed.
        if lost and not ((words[:, 0] ^ words[:, 1]) & np.uint64(lost)).any():
            return f"no page had a flag that it loses ({_names(bench.arena, lost)}); not shown"
    return ""


def _pages_forbid_all(bench: Workbench, status: NDArray[np.int32]) -> bool:
    """Whether every pair was refused for what can be seen of its pages."""
    return bool(np.isin(-status, _OF_PAGES).all()) and all(
        any(stands_in_the_way(bench.arena, pfn) for pfn in pair) for pair in bench.pairs.tolist()
    )


def _would_lose(arena: Arena, flags: Served) -> int:
    """The bits that should go with a page and that the policy leaves behind, each tried alone."""
    bits = np.uint64(1) << np.arange(64, dtype=np.uint64)
    bits = bits[(bits & np.uint64(arena.layout.mask("swap"))) != 0]
    none = np.zeros(len(bits), np.uint64)
    with flags.guard("exchange_flags failed", "exchange_flags"):
        new_a, new_b = flags.object(bits.copy(), none.copy())
    moved = ((np.asarray(new_a) & bits) == 0) & ((np.asarray(new_b) & bits) == bits)
    return int(np.bitwise_or.reduce(bits[~moved], initial=np.uint64(0)))


def _names(arena: Arena, mask: int) -> str:
    names = list(touched_names(arena, mask))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
