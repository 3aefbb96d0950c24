"""Two arenas side by side: what differs, in sentences. Reads the bytes as the oracle does."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pagexchange.arena.arena import Arena
from pagexchange.oracle.capture import State, capture
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import USED, Words, read

_FIELDS: Final = ("flags", "refs", "mapcount", "mapping", "index", "private", "state", "head", "held", "owner")
_LIMIT: Final = 8


@dataclass(frozen=True)
class Picture:
    """Everything about an arena but where the allocator and the tables keep it."""

    state: State
    used: Words
    """Frames in use, with all their tails."""
    contents: Words

    @classmethod
    def of(cls, arena: Arena) -> "Picture":
        """Copy what is to be compared."""
        raw = read(arena)
        state = capture(raw, Collector())
        used = np.flatnonzero(np.isin(state.entries["state"][state.folio], (USED,)))
        return cls(state, used.astype(np.uint64), raw.frames[used].copy())

    def differences(self, other: "Picture") -> list[str]:
        """Return what differs between two arenas of one geometry; the first few of each kind."""
        differences: list[str] = []
        a, b = self.state, other.state
        for name in _FIELDS:
            rows = np.flatnonzero(a.entries[name] != b.entries[name])[:_LIMIT]
            differences += [
                f"frame {p}: {name} is {b.entries[name][p]:#x}, must be {a.entries[name][p]:#x}" for p in rows.tolist()
            ]
        # With other frames in use there is a finding already, and no row of one belongs to a row of the other.
        if np.array_equal(self.used, other.used):
            rows = np.flatnonzero((self.contents != other.contents).any(axis=1))[:_LIMIT]
            differences += [f"frame {self.used[row]}: its contents differ" for row in rows.tolist()]
        for name, rows_of in (("file slot", _places), ("page-table entry", _ptes)):
            mine, theirs = rows_of(a), rows_of(b)
            differences += [f"{name} {row} is not there" for row in sorted(mine - theirs)[:_LIMIT]]
            differences += [f"{name} {row} is there and should not be" for row in sorted(theirs - mine)[:_LIMIT]]
        # Counters and not free lists: in what order frames were given back is no matter of an exchange.
        want, got = a.counters, b.counters
        for node in np.flatnonzero((want != got).any(axis=1)).tolist():
            differences.append(f"node {node}: counters are {got[node]}, must be {want[node]}")
        return differences


def _places(state: State) -> set[tuple[int, ...]]:
    p = state.places
    return set(zip(*(x.tolist() for x in (p.owner, p.index, p.order, p.entry, p.marks)), strict=True))


def _ptes(state: State) -> set[tuple[int, ...]]:
    p = state.ptes
    return set(zip(*(x.tolist() for x in (p.space, p.vpn, p.pfn, p.bits)), strict=True))
