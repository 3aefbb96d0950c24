"""What who finds a call's slot without an owner does with it, written from `arena.h` alone: for tests of the record.

Of frames, references, pins and flags; nothing of trees and page tables.
"""

from typing import Any

import numpy as np

from pagexchange.oracle import format as oracle_format
from pagexchange.oracle.format import (
    FREE,
    FROZEN,
    INNER,
    MAX_ORDER,
    OFFLINE,
    OWNER_CALL,
    OWNER_KEEPER,
    OWNER_SLOT,
    RESERVED,
    TAIL,
    USED,
)

SET, CLEARED, TAKEN, FREED = 16, 17, 18, 19
RECORD = np.dtype([(name, oracle_format.SLOT[name]) for name in oracle_format.SLOT.names or () if name != "pair"])
"""A slot without its pairs, which lie at its end."""


class Memory:
    """Parts of an arena in a private copy, each with its offset: "nodes", "slot" (the call's), "pins", "entries"."""

    def __init__(self, image: dict[str, tuple[int, bytes]], layout: dict[str, Any]) -> None:
        self.parts = {name: (offset, bytearray(data)) for name, (offset, data) in image.items()}
        self.nodes = np.frombuffer(self.parts["nodes"][1], oracle_format.NODE)
        self.entries = np.frombuffer(self.parts["entries"][1], oracle_format.ENTRY)
        self.slot = np.frombuffer(self.parts["slot"][1], RECORD)[0]
        self.layout = layout

    def word(self, at: int, size: int) -> Any:
        """One word of `size` bytes at an offset in the arena, as an array of one."""
        for offset, data in self.parts.values():
            if offset <= at and at + size <= offset + len(data):
                return np.frombuffer(data, np.dtype(f"<u{size}"), 1, at - offset)
        raise AssertionError(f"a record names byte {at}, which no call on frames may change")

    # ---- undo records ----------------------------------------------------------------------------------------------

    def put_back(self, slot: int) -> None:
        """Step 1 and 2 of recovery, and the locks that name the slot."""
        self._undo("node_saves", "saved_node", slot)
        self._undo("saves", "saved", slot)
        give = int(self.slot["give"])
        if give:
            e = self.entries[give - 1]
            if e["state"] == USED and e["owner"] == OWNER_CALL | (slot + 1) and e["refs"] == 0:
                self.free(give - 1)
            self.slot["give"] = 0
        self.nodes["lock"][self.nodes["lock"] == slot + 1] = 0
        for pfn in np.flatnonzero(self.entries["refs"] == FROZEN | slot).tolist():
            e = self.entries[pfn]
            assert e["mapping"] == e["mapcount"] == 0
            e["refs"] = 1 if e["held"] or e["state"] == RESERVED else 0
        for pfn in np.flatnonzero(self.entries["owner"] & OWNER_SLOT == slot + 1).tolist():
            self.entries["owner"][pfn] &= OWNER_KEEPER

    def _undo(self, count: str, saved: str, slot: int) -> None:
        record = self.slot
        while record[count]:
            where, old = record[saved][int(record[count]) - 1].item()
            at, kind = where >> 8, where & 0xFF
            if kind == FREED and self._frees(at, old, slot):
                return
            if kind in (1, 2, 4, 8):
                self.word(at, kind)[0] = old
            elif kind == SET:
                self.word(at, 8)[0] &= np.uint64(~old & (1 << 64) - 1)
            elif kind == CLEARED:
                self.word(at, 8)[0] |= np.uint64(old)
            elif kind == TAKEN:
                self.entries["owner"][at] = self._without(slot, at)
                later = self.entries[at + 1 : at + (1 << old)]
                later["state"], later["order"], later["head"] = FREE, INNER, 0
            else:
                assert kind == FREED, f"kind {kind}"
                later = self.entries[at + 1 : at + (1 << old)]
                later["state"], later["order"], later["head"] = TAIL, 0, at + 1
            record[count] -= 1

    def _without(self, slot: int, pfn: int) -> int:
        owner = int(self.entries["owner"][pfn])
        return 0 if owner & OWNER_SLOT == slot + 1 else owner

    def _frees(self, pfn: int, order: int, slot: int) -> bool:
        """The rest of a free that counts. False: it does not count."""
        if self.entries["state"][pfn] == USED:
            return False
        self._finish(pfn, order)
        self.entries["owner"][pfn] = self._without(slot, pfn)
        self.slot["node_saves"] = 0
        return True

    # ---- free ------------------------------------------------------------------------------------------------------

    def free(self, pfn: int) -> None:
        e, order = self.entries[pfn], int(self.entries["order"][pfn])
        folio = self.entries[pfn : pfn + (1 << order)]
        broken = bool((folio["flags"] & np.uint64(self.layout["hwpoison"])).any())
        folio["state"] = OFFLINE if broken else FREE
        folio["order"], folio["head"] = INNER, 0
        for name in ("refs", "held", "mapcount", "mapping", "index", "private", "rmap", "next"):
            e[name] = 0
        if not broken:
            self._give(pfn, order)
            self.nodes["free"][0] += np.uint64(1 << order)
        self._finish(pfn, order)

    def _finish(self, pfn: int, order: int) -> None:
        poison = np.uint64(self.layout["hwpoison"])
        bits = self.layout["swap"] | self.layout["refuse"] | self.layout["head"] | self.layout["tail_swap"]
        for at in range(pfn, pfn + (1 << order)):
            e = self.entries[at]
            if e["state"] == OFFLINE and not e["flags"] & poison:
                e["state"] = FREE
                self._give(at, 0)
                self.nodes["free"][0] += np.uint64(1)
            e["flags"] &= np.uint64(~bits & (1 << 64) - 1)

    def _give(self, pfn: int, order: int) -> None:
        e, lists = self.entries, self.nodes["list"][0]
        while order < MAX_ORDER:
            buddy = pfn ^ 1 << order
            if buddy >= len(e) or e["state"][buddy] != FREE or e["order"][buddy] != order:
                break
            before, after = int(e["prev"][buddy]), int(e["next"][buddy])
            if before:
                e["next"][before - 1] = after
            else:
                lists[order] = after
            if after:
                e["prev"][after - 1] = before
            e["next"][buddy] = e["prev"][buddy] = 0
            e["order"][buddy] = e["order"][pfn] = INNER
            pfn, order = min(pfn, buddy), order + 1
        e["order"][pfn] = order
        e["next"][pfn], e["prev"][pfn] = lists[order], 0
        if lists[order]:
            e["prev"][int(lists[order]) - 1] = pfn + 1
        lists[order] = pfn + 1

    # ---- what counts -------------------------------------------------------------------------------------------------

    def says(self) -> dict[str, bytes]:
        """What must be as before or as after: all but statistics, claims, and records that count no more."""
        return {
            "entries": self.entries.tobytes(),
            "free": self.nodes["free"].tobytes(),
            "lists": self.nodes["list"].tobytes(),
            "locks": self.nodes["lock"].tobytes(),
            "pins": bytes(self.parts["pins"][1]),
            "counters": self.slot["counter"].tobytes(),
            "records": bytes(int(self.slot[name] != 0) for name in ("saves", "node_saves", "give", "tree")),
        }
