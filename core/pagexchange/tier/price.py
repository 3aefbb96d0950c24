"""What an access to the slow node costs more: assumed, and in which words that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.arena.lying import Lying

DEFAULT: Final = 80.0
"""Nanoseconds. Pond (Li et al., ASPLOS 2023) estimates that CXL adds 70 to 90 to DRAM of the same NUMA node, in a pool
of 8 to 16 sockets, and more than 180 across a rack."""


def source(slow_ns: float, lay: Sequence[Lying]) -> str:
    """Where the price comes from, in words, and what the nodes are.

    Parameters
    ----------
    lay
        Where the nodes' frames lie, the fast one's first.
    """
    given = "as CXL memory adds, Pond 2023" if slow_ns == DEFAULT else "as given"
    on = [set(one.on) for one in lay]
    one = len(on) < 2 or on[0] == on[1]
    return f"assumed, {given}" + ("; here both nodes are one memory" if one else "")
