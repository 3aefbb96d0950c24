"""The flags words after an exchange: what did not go along is counted by name, anything else is wrong."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pagexchange.oracle.capture import State
from pagexchange.oracle.expect import Expected
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import FREE, ROLES, TAIL, Table, Words


class Part(Protocol):
    """A flag, or a field of the upper part of the word."""

    @property
    def name(self) -> str:
        """As the layout calls it."""
        ...

    @property
    def mask(self) -> int:
        """All its bits, in their place."""
        ...


class Names(Protocol):
    """What the oracle takes from a `Layout`: names for bits. The policies come from the arena's header."""

    @property
    def flags(self) -> Sequence[Part]:
        """One bit each."""
        ...

    @property
    def fields(self) -> Sequence[Part]:
        """One number each."""
        ...


def parts_of(header: Table, layout: Names | None) -> list[tuple[str, int]]:
    """(name, mask) of everything in the word, without overlap; bits without a name are `bit N`."""
    parts: list[tuple[str, int]] = []
    if layout is not None:
        parts = [(part.name, part.mask) for part in (*layout.flags, *layout.fields) if part.mask]
    else:
        parts = [(role, int(header[role])) for role in ROLES if role != "swapcache" and header[role]]
        for name in ("node", "zone"):
            mask = ((1 << int(header[f"{name}_width"])) - 1) << int(header[f"{name}_shift"])
            parts += [(name, mask)] if mask else []
    named = 0
    for _, mask in parts:
        named |= mask
    return parts + [(f"bit {bit}", 1 << bit) for bit in range(64) if not named >> bit & 1]


def compare_flags(
    before: State, after: State, exp: Expected, parts: list[tuple[str, int]], findings: Collector
) -> tuple[dict[str, int], Words]:
    """Compares each word; returns how many pages lost what, and the words with the losses put right."""
    layout = before.layout
    swap, waiters = layout["swap"], layout["waiters"]
    want, got = exp.entries["flags"].copy(), after.entries["flags"]
    free = (exp.entries["state"] == FREE) | (after.entries["state"] == FREE)
    # Another worker may begin to wait for a frame meanwhile: `waiters` may be new, it may not be lost.
    differ = (want ^ got) & ~(got & waiters)
    # Writeback may end while an exchange waits for it.
    differ[exp.moved] &= ~(want[exp.moved] & layout["writeback"])
    # Of a free frame the allocator may clear what belongs to a page; nobody may set it.
    differ[free] &= layout["stay"] | (got[free] & ~want[free])
    lost: dict[str, int] = {}
    mended = got.copy()
    left = differ
    tail = exp.entries["state"] == TAIL
    # First what may be a loss: flags of a page that moved. A loss is counted and taken out of what is left.
    # Words of tails are no flag policy's matter: the engine moves what belongs to the page, and loses nothing.
    rows = np.flatnonzero(differ & swap)
    rows = rows[exp.moved[rows] & ~tail[rows]]
    for name, mask in parts:
        bits = np.uint64(mask) & swap
        hit = rows[(differ[rows] & bits) != 0]
        if not bits or not len(hit):
            continue
        w, g, ever = want[hit] & bits, got[hit] & bits, exp.ever[hit] & bits
        reset = (g == bits) & np.bool_(mask & (mask - 1) != 0)  # a field set to -1, as Linux resets last_cpupid
        # A bit that no page in this frame ever had was not left behind, it was made up: that is wrong, not a loss.
        fair = ((g & ~w & ~ever) == 0) | reset
        hit, w, g = hit[fair], w[fair], g[fair]
        if not len(hit):
            continue
        # Pages that came without it, and pages that left it behind without having lost it.
        missing = hit[(w & ~g) != 0]
        behind = exp.target[hit[(w & ~g) == 0]]
        lost[name] = len(np.union1d(missing, behind))
        mended[hit] = (mended[hit] & ~bits) | w
        left[hit] &= ~bits
    # Then all the rest, by name: any other difference is wrong.
    pfns = np.flatnonzero(left)
    for name, mask in parts:
        part = np.uint64(mask)
        bad = pfns[(left[pfns] & part) != 0]
        for refused, of_tail in ((False, False), (False, True), (True, False), (True, True)):
            some = bad[(exp.refused[bad] == refused) & (tail[bad] == of_tail)]
            kind = _policy(layout, part, of_tail)
            findings.add_where(
                "refused" if refused else "flag",
                np.ones(len(some), bool),
                some,
                want[some] & part,
                got[some] & part,
                lambda p, w, g, name=name, kind=kind, refused=refused, of_tail=of_tail: (  # type: ignore[misc]
                    f"{'refused: ' * refused}{'tail ' * of_tail}frame {p}: `{name}` (policy {kind}) is {g:#x}, "
                    f"must be {w:#x}"
                ),
            )
    return lost, mended


def _policy(layout: Table, part: np.uint64, of_tail: bool) -> str:
    """What becomes of this bit in an exchange, in the word of a folio's first frame or of a tail."""
    if of_tail:
        return "swap" if part & layout["tail_swap"] else "refuse" if part & layout["tail_refuse"] else "stay"
    return "swap" if part & layout["swap"] else "stay" if part & layout["stay"] else "refuse"
