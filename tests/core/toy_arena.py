"""A toy arena and a toy exchange for the oracle's tests: slow, obvious Python that writes the format byte by byte."""

from dataclasses import dataclass, field

import numpy as np

from pagexchange.model.layout import Layout
from pagexchange.oracle import format as f
from pagexchange.oracle.trees import NODE_BIAS

LAYOUT = Layout.load("linux-6.18")
NATIVE = LAYOUT.native()
WORKERS, NMAPPINGS, NSPACES, NXANODES, NTABLES = 2, 6, 4, 400, 200
NSLOTS = 1 + WORKERS + f.CALL_SLOTS
SELF = WORKERS + 1  # the slot that process 0 has claimed for life
TEXT = b'schema = 1\nname = "a toy"\n'


@dataclass
class Page:
    """One folio: where it lies, what it is, who maps it."""

    pfn: int
    order: int = 0
    mapping: int | None = None
    index: int = 0
    marks: int = 0
    maps: list[tuple[int, int]] = field(default_factory=list)  # (space, virtual page)
    flags: int = 0
    private: int = 0
    held: int = 0  # process + 1
    reserved: bool = False


class Toy:
    """An arena in a NumPy array. `nodes` are sizes in frames; `pages` fill it; what is left is free."""

    def __init__(self, pages: list[Page], nodes: tuple[int, ...] = (64, 64), page_size: int = 128) -> None:
        nframes = sum(nodes)
        parts = (
            ("nodes", len(nodes) * 256),
            ("slots", NSLOTS * f.SLOT.itemsize),
            ("pins", f.CALL_SLOTS * (4 + f.PINS * 8)),
            ("pieces", WORKERS * 2 * f.PIECES * f.PIECE),
            ("mappings", NMAPPINGS * 128),
            ("spaces", NSPACES * 128),
            ("entries", nframes * 64),
            ("xanodes", NXANODES * 576),
            ("tables", NTABLES * 1088),
            ("text", len(TEXT)),
            ("frames", nframes * page_size),
        )
        offsets, at = {}, 4096
        for name, size in parts:
            offsets[name] = at
            at += -(-size // 64) * 64
        self.memory = np.zeros(at, np.uint8)
        self.nodes = nodes
        h = self.memory[: f.HEADER.itemsize].view(f.HEADER)[0]
        h["magic"], h["endian"], h["version"], h["total"], h["ready"] = b"PGXARENA", 0x01020304, 2, at, 1
        for name, size in {**f.SIZE_OF, "header": f.HEADER.itemsize}.items():
            h[f"{name}_size"] = size
        for name, value in f.LIMITS.items():
            h[name] = value
        h["page_size"], h["page_shift"], h["nframes"] = page_size, page_size.bit_length() - 1, nframes
        counts = {"nodes": len(nodes), "slots": NSLOTS, "mappings": NMAPPINGS, "spaces": NSPACES}
        for name, n in {**counts, "xanodes": NXANODES, "tables": NTABLES}.items():
            h[f"n{name}"] = n
        for name, offset in offsets.items():
            h[f"off_{name}"] = offset
        h["text_size"] = len(TEXT)
        self.memory[offsets["text"] :][: len(TEXT)] = np.frombuffer(TEXT, np.uint8)
        for name, value in NATIVE.items():
            h["layout"][name] = value
        self.raw = f.read(self)
        self.raw.slots["claim"][SELF] = 1 << 8 | 1  # generation 1, process 0
        self.pages = pages
        self._write_nodes_and_entries()
        self._write_trees()
        self._write_page_tables()
        self._write_free_lists()
        # As calls have made them: each by another slot's row, and one adds what another takes away.
        self.count(WORKERS + 2)
        self.raw.slots["counter"][1, :4] += 5
        self.raw.slots["counter"][SELF + 2, :4] -= 5

    def count(self, slot: int = 1) -> None:
        """Makes the counters right, by the row of a slot."""
        for node, k, want, have in self.recount():
            self.raw.slots["counter"][slot, node * 4 + k] += want - have

    def _write_nodes_and_entries(self) -> None:
        raw, start = self.raw, 0
        for i, frames in enumerate(self.nodes):
            raw.nodes["name"][i] = (b"fast", b"slow", b"far")[i]
            raw.nodes["start"][i], raw.nodes["frames"][i], raw.nodes["number"][i] = start, frames, i
            raw.entries["flags"][start : start + frames] = i << NATIVE["node_shift"]
            start += frames
        raw.entries["state"] = f.FREE
        raw.entries["order"] = f.INNER
        for page in self.pages:
            e, size = raw.entries, 1 << page.order
            e["state"][page.pfn : page.pfn + size] = f.TAIL
            e["order"][page.pfn : page.pfn + size] = 0
            e["head"][page.pfn + 1 : page.pfn + size] = page.pfn + 1
            e["state"][page.pfn] = f.RESERVED if page.reserved else f.USED
            e["order"][page.pfn] = page.order
            e["flags"][page.pfn] |= np.uint64(page.flags | (NATIVE["head"] if page.order else 0))
            e["private"][page.pfn] = page.private
            e["held"][page.pfn] = page.held
            e["mapcount"][page.pfn] = len(page.maps)
            refs = (page.held != 0) + len(page.maps) + bool(page.flags & NATIVE["private"])
            if page.mapping is not None:
                e["mapping"][page.pfn], e["index"][page.pfn] = (page.mapping + 1) << 2, page.index
                refs += size
            elif page.maps:
                e["mapping"][page.pfn], e["index"][page.pfn] = (page.maps[0][0] + 1) << 2 | 1, page.maps[0][1]
                self.raw.spaces["nr_anon"][page.maps[0][0]] += size
            e["refs"][page.pfn] = refs

    def _write_trees(self) -> None:
        self.fresh = 0
        for m in range(NMAPPINGS):
            mapping = self.raw.mappings[m : m + 1]
            mapping["used"] = m < NMAPPINGS - 1
            mapping["shmem"] = m == 1
            here = {p.index: (p.order, (p.pfn + 1) << 2, p.marks) for p in self.pages if p.mapping == m}
            mapping["nr_pages"] = sum(1 << order for order, _, _ in here.values())
            self._write_array(mapping["pages"], here, self.raw.offset["mappings"] + m * 128)
        self.raw.header["xanodes"]["fresh"] = self.fresh
        for page in self.pages:
            if page.mapping not in (None, 1):  # pages of mapping 1 do not know their words
                self.raw.entries["next"][page.pfn] = self.hint(page)

    def hint(self, page: Page) -> int:
        """The word that has a page of a file, as its entry names it."""
        for number in range(self.fresh):
            node = self.raw.xanodes[number]
            at = np.flatnonzero(node["slot"] == (page.pfn + 1) << 2)
            if len(at) and node["array"] < self.raw.offset["spaces"]:
                return number * 64 + int(at[0]) + 1
        return f.SLOT_HEAD

    def _write_array(self, array: f.Table, items: dict[int, tuple[int, int, int]], where: int) -> None:
        """A tree for {index: (order, word, marks)}."""
        if not items:
            return
        if list(items) == [0] and items[0][0] == 0:
            array["head"], array["flags"] = items[0][1], items[0][2]
            return
        shift, top = 0, max(i + (1 << o) for i, (o, _, _) in items.items())
        while top > 64 << shift:
            shift += 6
        node, marks = self._write_node(items, shift, 0, 0, 0, where)
        array["head"], array["flags"] = (node + NODE_BIAS) << 2 | 2, marks

    def _write_node(
        self, items: dict[int, tuple[int, int, int]], shift: int, base: int, parent: int, offset: int, where: int
    ) -> tuple[int, int]:
        number, node = self.fresh, self.raw.xanodes[self.fresh]
        self.fresh += 1
        node["shift"], node["offset"], node["used"], node["parent"], node["array"] = shift, offset, 1, parent, where
        slot = 0
        while slot < 64:
            lo = base + (slot << shift)
            inside = {i: item for i, item in items.items() if lo <= i < lo + (1 << shift)}
            marks, step = 0, 1
            if lo in inside and inside[lo][0] >= shift:
                order, word, marks = inside[lo]
                step = 1 << (order - shift)
                node["slot"][slot] = word
                node["slot"][slot + 1 : slot + step] = slot << 2 | 2
            elif inside:
                child, marks = self._write_node(inside, shift - 6, lo, number + 1, slot, where)
                node["slot"][slot] = (child + NODE_BIAS) << 2 | 2
            for m in range(3):
                if marks >> m & 1:
                    node["marks"][m] |= np.uint64(1 << slot)
            slot += step
        node["count"] = np.count_nonzero(node["slot"])
        return number, sum((int(node["marks"][m]) != 0) << m for m in range(3))

    def _write_page_tables(self) -> None:
        tables: dict[tuple[int, int], int] = {}
        spaces = self.raw.spaces
        for page in self.pages:
            for space, vpn in page.maps:
                for step in range(1 << page.order):
                    key = (space, (vpn + step) >> 6)
                    number = tables.setdefault(key, len(tables))
                    table = self.raw.tables[number]
                    table["space"], table["base"] = space + 1, key[1] << 6
                    entry = table["pte"][(vpn + step) & 63]
                    entry["pte"] = (page.pfn + step) << 12 | f.PTE_PRESENT | 4 * (vpn % 3 == 0) | 16 * (vpn % 2)
                    table["count"] += 1
                    spaces["nr_ptes"][space] += 1
                    if step == 0:  # a new first link of the chain
                        entry["next"] = self.raw.entries["rmap"][page.pfn]
                        self.raw.entries["rmap"][page.pfn] = number * 64 + (vpn & 63) + 1
        for s in range(NSPACES):
            spaces["used"][s] = s < NSPACES - 1
            here = {index: (0, (number + 1) << 2, 0) for (space, index), number in tables.items() if space == s}
            self._write_array(spaces["tables"][s : s + 1], here, self.raw.offset["spaces"] + s * 128)
        self.raw.header["tables"]["fresh"] = len(tables)
        self.raw.header["xanodes"]["fresh"] = self.fresh

    def _write_free_lists(self) -> None:
        e = self.raw.entries
        free = e["state"] == f.FREE
        e["next"][free], e["prev"][free], e["order"][free] = 0, 0, f.INNER
        self.raw.nodes["list"], self.raw.nodes["free"] = 0, 0
        for node in self.raw.nodes:
            pfn, end = int(node["start"]), int(node["start"] + node["frames"])
            while pfn < end:
                order = 0
                if e["state"][pfn] == f.FREE:
                    while order < 9 and pfn % (2 << order) == 0 and pfn + (2 << order) <= end:
                        if not (e["state"][pfn : pfn + (2 << order)] == f.FREE).all():
                            break
                        order += 1
                    first = int(node["list"][order])
                    e["order"][pfn], e["next"][pfn] = order, first
                    if first:
                        e["prev"][first - 1] = pfn + 1
                    node["list"][order] = pfn + 1
                    node["free"] += 1 << order
                pfn += 1 << order

    def node_of(self, pfn: int) -> int:
        """Number of the node of a frame."""
        return int(pfn >= self.nodes[0]) + (len(self.nodes) > 2 and pfn >= self.nodes[0] + self.nodes[1])

    def recount(self) -> list[tuple[int, int, int, int]]:
        """(node, counter, recount, count) of all counters."""
        e = self.raw.entries
        found = np.zeros((len(self.nodes), 4), int)
        for pfn in np.flatnonzero(e["state"] == f.USED).tolist():
            word, size, node = int(e["mapping"][pfn]), 1 << int(e["order"][pfn]), self.node_of(pfn)
            if word and not word & 3:
                found[node, 0] += size
                found[node, 1] += size * int(self.raw.mappings["shmem"][(word >> 2) - 1])
                found[node, 3] += size * bool(int(e["flags"][pfn]) & NATIVE["dirty"])
            elif word & 1 and e["mapcount"][pfn]:
                found[node, 2] += size
        counts = f.counters_of(self.raw.slots, len(self.nodes))
        return [(i, k, int(found[i, k]), int(counts[i, k])) for i in range(len(self.nodes)) for k in range(4)]

    def slot_word(self, mapping: int, index: int) -> tuple[f.Table, int]:
        """Where the word lies that holds this index: (array of words, position)."""
        head = self.raw.mappings["pages"]["head"]
        entry = int(head[mapping])
        if entry & 3 != 2:
            return head, mapping
        while True:
            node = self.raw.xanodes[(entry >> 2) - NODE_BIAS]
            slot = index >> int(node["shift"]) & 63
            entry = int(node["slot"][slot])
            if entry & 3 == 2 and entry >> 2 >= NODE_BIAS:
                continue
            if entry & 3 == 2:
                slot = entry >> 2
            return node["slot"], slot

    def pte_words(self, pfn: int) -> list[tuple[int, int]]:
        """(table, slot) of each entry that reaches a frame."""
        words = self.raw.tables["pte"]["pte"]
        rows = np.argwhere((words != 0) & (words >> np.uint64(12) == pfn))
        return [(int(t), int(s)) for t, s in rows]

    def exchange(self, a: int, b: int, lose: int = 0, stick: int = 0) -> None:
        """Exchanges two folios exactly; the flags in `lose` stay behind, those in `stick` end up on both."""
        raw, e, size = self.raw, self.raw.entries, 1 << int(self.raw.entries["order"][a])
        assert e["order"][a] == e["order"][b]
        assert a != b
        words = []
        for pfn, other in ((a, b), (b, a)):
            mapping = int(e["mapping"][pfn])
            if mapping and not mapping & 3:
                words.append((*self.slot_word((mapping >> 2) - 1, int(e["index"][pfn])), (other + 1) << 2))
        for array, position, word in words:
            array[position] = word
        for step in range(size):
            raw.frames[[a + step, b + step]] = raw.frames[[b + step, a + step]]
            there = self.pte_words(a + step), self.pte_words(b + step)
            for places, pfn in zip(there, (b + step, a + step), strict=True):
                for t, s in places:
                    raw.tables["pte"]["pte"][t, s] = pfn << 12 | int(raw.tables["pte"]["pte"][t, s]) & 0xFFF
        fa, fb, swap = int(e["flags"][a]), int(e["flags"][b]), NATIVE["swap"] & ~lose
        sticky = (fa | fb) & stick
        e["flags"][a], e["flags"][b] = fa & ~swap | fb & swap | sticky, fb & ~swap | fa & swap | sticky
        swap = NATIVE["tail_swap"]
        for step in range(1, size):
            fa, fb = int(e["flags"][a + step]), int(e["flags"][b + step])
            e["flags"][a + step], e["flags"][b + step] = fa & ~swap | fb & swap, fb & ~swap | fa & swap
        for name in ("mapping", "index", "private", "refs", "mapcount", "held", "rmap", "next"):
            e[name][a], e[name][b] = int(e[name][b]), int(e[name][a])
        self.count()
        raw.slots["claim"][1] += 1 << 8

    def take(self, pfn: int, order: int = 0) -> None:
        """Makes free frames a page that nobody but process 0 holds, as the allocator hands it out."""
        e, size = self.raw.entries, 1 << order
        assert (e["state"][pfn : pfn + size] == f.FREE).all()
        for name in ("next", "prev", "order"):
            e[name][pfn : pfn + size] = 0
        e["state"][pfn : pfn + size], e["head"][pfn + 1 : pfn + size] = f.TAIL, pfn + 1
        e["state"][pfn], e["order"][pfn], e["refs"][pfn], e["held"][pfn] = f.USED, order, 1, 1
        e["flags"][pfn] |= np.uint64(NATIVE["head"] if order else 0)
        node = self.raw.nodes[self.node_of(pfn)]
        node["asked"], node["got"] = node["asked"] + size, node["got"] + size
        self._write_free_lists()

    def give(self, pfn: int) -> None:
        """Makes a page's frames free, as the allocator takes them back."""
        e = self.raw.entries
        frames = slice(pfn, pfn + (1 << int(e["order"][pfn])))
        bits = NATIVE["swap"] | NATIVE["refuse"] | NATIVE["head"] | NATIVE["tail_swap"] | NATIVE["tail_refuse"]
        e["flags"][frames] &= np.uint64(~(bits & ~NATIVE["hwpoison"]) & 2**64 - 1)
        for name in ("refs", "held", "mapcount", "mapping", "index", "private", "rmap", "head"):
            e[name][frames] = 0
        e["state"][frames] = f.FREE
        self._write_free_lists()

    def migrate(self, pfn: int, to: int, lose: int = 0, stick: int = 0) -> None:
        """Moves a folio to free frames, and what it leaves becomes free; its flags in `lose` stay behind."""
        self.take(to, int(self.raw.entries["order"][pfn]))
        self.exchange(pfn, to, lose, stick)
        self.give(pfn)
