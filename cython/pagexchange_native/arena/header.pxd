# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An arena's header: written once, and read into the private view that all native code goes by."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.unistd cimport getpid

from pagexchange_native.format cimport *


cdef inline int write_header(uint8_t *base, object geometry, bytes uuid, bytes boot, dict layout) except -1:
    """Writes header and nodes into a region that is all zeros. ValueError for a layout that cannot be used."""
    cdef pgx_header *h = <pgx_header *>base
    cdef dict parts = geometry.parts
    cdef bytes text = geometry.text
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
    h.saved = PGX_SAVED
    h.saved_node = PGX_SAVED_NODE
    h.call_slots = PGX_CALL_SLOTS
    h.total = geometry.total
    h.page_size = geometry.page_size
    h.page_shift = geometry.page_size.bit_length() - 1
    h.off_nodes, h.nnodes, _ = parts["nodes"]
    h.off_slots, h.nslots, _ = parts["slots"]
    h.off_pins = parts["pins"][0]
    h.off_pieces = parts["pieces"][0]
    h.off_mappings, h.nmappings, _ = parts["mappings"]
    h.off_spaces, h.nspaces, _ = parts["spaces"]
    h.off_entries, h.nframes, _ = parts["entries"]
    h.off_xanodes, h.nxanodes, _ = parts["xanodes"]
    h.off_tables, h.ntables, _ = parts["tables"]
    h.off_frames = parts["frames"][0]
    h.off_text, h.text_size, _ = parts["text"]
    memcpy(base + h.off_text, <const char *>text, len(text))
    h.huge = geometry.huge
    h.pid = getpid()
    memcpy(h.uuid, <const char *>uuid, 16)
    memcpy(h.boot_id, <const char *>boot, 16)
    _write_layout(&h.layout, layout)
    _write_nodes(<pgx_node *>(base + h.off_nodes), geometry)
    return 0


cdef inline int _write_nodes(pgx_node *node, object geometry) except -1:
    start = 0
    for number, (name, frames) in enumerate(zip(geometry.names, geometry.sizes)):
        raw = name.encode()
        memcpy(node.name, <const char *>raw, len(raw))
        node.start = start
        node.frames = frames
        node.number = number
        least = frames >> 10
        node.wm_min, node.wm_low, node.wm_high = geometry.marks or (least, least * 5 // 4, least * 3 // 2)
        start += frames
        node += 1
    return 0


cdef inline int _write_layout(pgx_layout *l, dict layout) except -1:
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
    l.tail_swap = layout.get("tail_swap", 0)
    l.tail_refuse = layout.get("tail_refuse", 0)
    l.tail_broken = layout.get("tail_broken", 0)
    l.node_shift = layout["node_shift"]
    l.node_width = layout["node_width"]
    l.zone_shift = layout["zone_shift"]
    l.zone_width = layout["zone_width"]
    if not l.locked or l.locked & ~l.stay:
        raise ValueError("layout: a flag 'locked' with policy 'stay' is needed")
    if l.tail_swap & l.tail_refuse or l.tail_broken & ~l.tail_refuse:
        raise ValueError("layout: of a tail's word, no bit may be both moved and refused, and broken memory is refused")
    return 0


cdef inline void attach_header(pgx_region *r) noexcept:
    """Fills the private pointers and counts from the header of a region that this process has just written."""
    cdef pgx_header *h = <pgx_header *>r.base
    cdef uint32_t i
    r.header = h
    r.layout = h.layout
    r.page_size = h.page_size
    r.page_shift = h.page_shift
    r.nframes = h.nframes
    r.nnodes = h.nnodes
    r.nslots = h.nslots
    r.workers = h.nslots - 1 - PGX_CALL_SLOTS
    r.nmappings = h.nmappings
    r.nspaces = h.nspaces
    r.nxanodes = h.nxanodes
    r.ntables = h.ntables
    r.nodes = <pgx_node *>(r.base + h.off_nodes)
    r.slots = r.base + h.off_slots
    r.pin_tops = <uint32_t *>(r.base + h.off_pins)
    r.pins = <uint64_t *>(r.base + h.off_pins + PGX_CALL_SLOTS * sizeof(uint32_t))
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
