# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Where each part of an arena lies: checked and computed once, written to the header, read from there."""

from operator import index as as_int

from pagexchange_native.arena.backing import HUGE

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pagexchange_native.format cimport *


def _align(value, to):
    return -(-value // to) * to


cdef class Geometry:
    """What `Region.create` is asked for, checked: ValueError says what is wrong and what would be right."""

    def __init__(self, page_size, nodes, layout, hugetlb, thp, workers, mappings, spaces, xa_nodes, page_tables,
                 watermarks):
        self.page_size = as_int(page_size)
        if self.page_size < 4096 or self.page_size > HUGE or self.page_size & (self.page_size - 1):
            raise ValueError(f"page_size {self.page_size}: want a power of two from 4096 to {HUGE} bytes")
        self._check_nodes(nodes)
        nframes = sum(self.sizes)
        if nframes >= 1 << 31 or nframes * self.page_size > 1 << 46:
            raise ValueError(f"{nframes} frames of {self.page_size} bytes: at most 2^31 - 1 frames and 64 TiB")
        for what, value, top in (
            ("workers", workers, 4096), ("mappings", mappings, 1 << 24), ("spaces", spaces, 1 << 24),
            # An entry of a page table is a number of 32 bits, and so is a node's.
            ("xa_nodes", 1 if xa_nodes is None else xa_nodes, (1 << 32) - 2),
            ("page_tables", 1 if page_tables is None else page_tables, (1 << 26) - 1),
        ):
            if not 1 <= as_int(value) <= top:
                raise ValueError(f"{what} {value}: want 1 to {top}")
        self.marks = None
        if watermarks is not None:
            self.marks = tuple(as_int(mark) for mark in watermarks)
            if len(self.marks) != 3 or not 0 <= self.marks[0] <= self.marks[1] <= self.marks[2] < 1 << 31:
                raise ValueError(f"watermarks {watermarks}: want min <= low <= high, three numbers of frames")
        if layout["node_width"] and len(self.names) > 1 << layout["node_width"]:
            most = 1 << layout["node_width"]
            raise ValueError(f"layout {layout['name']!r} has {layout['node_width']} node bits: at most {most} nodes")
        # Dense arrays need a node for 64 pages; one tenth more, and some for each small mapping.
        if xa_nodes is None:
            xa_nodes = nframes // 58 + 2 * int(mappings) + 2 * int(spaces) + 64
        if page_tables is None:
            page_tables = nframes // 58 + 2 * int(spaces) + 16
        nslots = int(workers) + 1  # slot 0 is the face's own
        self._place(nframes, hugetlb, thp, (
            ("nodes", len(self.names), sizeof(pgx_node)),
            ("slots", nslots, sizeof(pgx_slot)),
            ("pins", nslots * PGX_PINS, 8),
            ("pieces", nslots * PGX_PIECES * 2, PGX_PIECE),
            ("mappings", int(mappings), sizeof(pgx_mapping)),
            ("spaces", int(spaces), sizeof(pgx_space)),
            ("entries", nframes, sizeof(pgx_entry)),
            ("xanodes", int(xa_nodes), sizeof(pgx_xanode)),
            ("tables", int(page_tables), sizeof(pgx_table)),
        ))

    def _check_nodes(self, nodes):
        if not 1 <= len(nodes) <= PGX_MAX_NODES:
            raise ValueError(f"{len(nodes)} nodes: want 1 to {PGX_MAX_NODES}")
        try:
            self.names = [str(name) for name, _ in nodes]
            self.sizes = [as_int(frames) for _, frames in nodes]
        except (TypeError, ValueError):
            raise ValueError(f"nodes {nodes!r:.80}: want (name, number of frames) for each") from None
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"node names are not unique: {', '.join(self.names)}")
        for name, frames in zip(self.names, self.sizes):
            if not 0 < len(name.encode()) < 32 or "\0" in name:
                raise ValueError(f"node name {name!r}: want 1 to 31 bytes, none of them 0")
            if frames < 1:
                raise ValueError(f"node {name!r}: {frames} frames; want at least 1")

    def _place(self, nframes, hugetlb, thp, parts):
        at = _align(sizeof(pgx_header), 4096)
        self.parts = {}
        for what, count, size in parts:
            at = _align(at, 4096 if what in ("pieces", "entries") else 64)
            self.parts[what] = (at, count, size)
            at += count * size
        self.metadata = _align(at, HUGE if hugetlb or thp else self.page_size)
        self.parts["frames"] = (self.metadata, nframes, self.page_size)
        self.total = _align(self.metadata + nframes * self.page_size, HUGE if hugetlb else self.page_size)

    cdef int write(self, uint8_t *base, bytes uuid, bytes boot, dict layout) except -1:
        cdef pgx_header *h = <pgx_header *>base
        memcpy(h.magic, PGX_MAGIC, 8)
        h.endian = PGX_ENDIAN
        h.version = PGX_VERSION
        h.header_size = sizeof(pgx_header)
        h.entry_size = sizeof(pgx_entry)
        h.slot_size = sizeof(pgx_slot)
        h.pair_size = sizeof(pgx_pair)
        h.node_size = sizeof(pgx_node)
        h.mapping_size = sizeof(pgx_mapping)
        h.space_size = sizeof(pgx_space)
        h.xanode_size = sizeof(pgx_xanode)
        h.table_size = sizeof(pgx_table)
        h.batch = PGX_BATCH
        h.chunk = PGX_CHUNK
        h.pieces = PGX_PIECES
        h.total = self.total
        h.page_size = self.page_size
        h.page_shift = self.page_size.bit_length() - 1
        h.off_nodes, h.nnodes, _ = self.parts["nodes"]
        h.off_slots, h.nslots, _ = self.parts["slots"]
        h.off_pins = self.parts["pins"][0]
        h.off_pieces = self.parts["pieces"][0]
        h.off_mappings, h.nmappings, _ = self.parts["mappings"]
        h.off_spaces, h.nspaces, _ = self.parts["spaces"]
        h.off_entries, h.nframes, _ = self.parts["entries"]
        h.off_xanodes, h.nxanodes, _ = self.parts["xanodes"]
        h.off_tables, h.ntables, _ = self.parts["tables"]
        h.off_frames = self.parts["frames"][0]
        memcpy(h.uuid, <const char *>uuid, 16)
        memcpy(h.boot_id, <const char *>boot, 16)
        _write_layout(&h.layout, layout)
        self._write_nodes(<pgx_node *>(base + h.off_nodes))
        return 0

    cdef int _write_nodes(self, pgx_node *node) except -1:
        start = 0
        for number, (name, frames) in enumerate(zip(self.names, self.sizes)):
            raw = name.encode()
            memcpy(node.name, <const char *>raw, len(raw))
            node.start = start
            node.frames = frames
            node.number = number
            least = frames >> 10
            node.wm_min, node.wm_low, node.wm_high = self.marks or (least, least * 5 // 4, least * 3 // 2)
            start += frames
            node += 1
        return 0


cdef int _write_layout(pgx_layout *l, dict layout) except -1:
    name = str(layout["name"]).encode()[:31]
    memset(l, 0, sizeof(pgx_layout))
    memcpy(l.name, <const char *>name, len(name))
    l.swap = layout["swap"]
    l.stay = layout["stay"]
    l.refuse = layout["refuse"]
    if l.swap & l.stay or l.swap & l.refuse or l.stay & l.refuse or (l.swap | l.stay | l.refuse) != <uint64_t>-1:
        raise ValueError("layout: swap, stay and refuse must share no bit and cover all 64")
    l.locked = layout.get("locked", 0)
    l.writeback = layout.get("writeback", 0)
    l.dirty = layout.get("dirty", 0)
    l.swapbacked = layout.get("swapbacked", 0)
    l.private_ = layout.get("private", 0)
    l.swapcache = layout.get("swapcache", 0)
    l.hwpoison = layout.get("hwpoison", 0)
    l.reserved = layout.get("reserved", 0)
    l.head = layout.get("head", 0)
    l.waiters = layout.get("waiters", 0)
    l.uptodate = layout.get("uptodate", 0)
    l.node_shift = layout["node_shift"]
    l.node_width = layout["node_width"]
    l.zone_shift = layout["zone_shift"]
    l.zone_width = layout["zone_width"]
    if not l.locked or l.locked & ~l.stay:
        raise ValueError("layout: a flag 'locked' with policy 'stay' is needed")
    return 0


cdef void attach_geometry(pgx_region *r) noexcept:
    cdef pgx_header *h = <pgx_header *>r.base
    cdef uint32_t i
    r.header = h
    r.layout = h.layout
    r.page_size = h.page_size
    r.page_shift = h.page_shift
    r.nframes = h.nframes
    r.nnodes = h.nnodes
    r.nslots = h.nslots
    r.nmappings = h.nmappings
    r.nspaces = h.nspaces
    r.nxanodes = h.nxanodes
    r.ntables = h.ntables
    r.nodes = <pgx_node *>(r.base + h.off_nodes)
    r.slots = r.base + h.off_slots
    r.pins = <uint64_t *>(r.base + h.off_pins)
    r.pieces = r.base + h.off_pieces
    r.mappings = <pgx_mapping *>(r.base + h.off_mappings)
    r.spaces = <pgx_space *>(r.base + h.off_spaces)
    r.entries = <pgx_entry *>(r.base + h.off_entries)
    r.xanodes = <pgx_xanode *>(r.base + h.off_xanodes)
    r.tables = <pgx_table *>(r.base + h.off_tables)
    r.frames = r.base + h.off_frames
    for i in range(r.nnodes):
        r.node_start[i] = r.nodes[i].start
        r.node_frames[i] = r.nodes[i].frames
