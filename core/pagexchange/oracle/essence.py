"""What an arena says to its users: two arenas at rest are the same to them when this is equal."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from pagexchange.oracle.format import FREE, POOL, SLOT, Dump, counters_of, read

_STATISTICS = ("asked", "got", "below_low", "below_min")


def essence(memory: NDArray[np.uint8]) -> bytes:
    """A digest of an arena's bytes without records, statistics, what is free, and the order of what is free."""
    copy = Dump(memory.copy())
    raw = read(copy)
    counters = counters_of(raw.slots, len(raw.nodes)).ravel()
    raw.slots[:] = np.zeros(1, SLOT)
    raw.slots["counter"][0, : len(counters)] = counters
    raw.pieces[:] = 0
    raw.header["uuid"] = bytes(16)
    raw.header["xanodes"] = raw.header["tables"] = np.zeros(1, POOL)[0]
    for name in (*_STATISTICS, "list"):
        raw.nodes[name] = 0
    raw.mappings["pages"]["seq"] = 0
    raw.spaces["tables"]["seq"] = 0
    free = raw.entries["state"] == FREE
    raw.entries[free] = 0
    raw.frames[free] = 0
    raw.entries["next"] = 0  # hints and links of the lists, which the invariants are about
    raw.xanodes[raw.xanodes["used"] == 0] = 0
    raw.xanodes["next"] = 0
    raw.tables[raw.tables["space"] == 0] = 0
    raw.tables["next"] = 0
    return hashlib.blake2b(copy.memory.data, digest_size=16).digest()
