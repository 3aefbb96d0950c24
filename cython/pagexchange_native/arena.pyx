# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One memory region with everything an arena holds: made, mapped, seen as arrays; frames, references, locks, flags."""

import errno
import fcntl
import os
import secrets
import struct
import weakref
from operator import index as as_int

import numpy as np

from pagexchange_native.errors import ArenaAccessError, ArenaError, ArenaFullError, ForkedArenaError
from pagexchange_native.integers import as_pfns, as_words

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport errno as c_errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free as c_free
from libc.string cimport memcpy, memset
from posix.stat cimport fstat, lstat, struct_stat
from posix.unistd cimport close as c_close, unlink

from pagexchange_native.allocator cimport pgx_alloc_any, pgx_free, pgx_node_init, pgx_reserve
from pagexchange_native.region cimport *

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object text)

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    enum:
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MADV_DONTFORK
        MADV_HUGEPAGE
    void *MAP_FAILED

FORMAT_VERSION = PGX_VERSION
ABI = PGX_ABI
BATCH = PGX_BATCH
CHUNK = PGX_CHUNK
PIECE = PGX_PIECE
MAX_ORDER = PGX_MAX_ORDER
MAX_NODES = PGX_MAX_NODES
FROZEN = PGX_FROZEN
AOPS = {"migrate": PGX_AOPS_MIGRATE, "none": PGX_AOPS_NONE, "unmovable": PGX_AOPS_UNMOVABLE}
STATES = {"offline": PGX_OFFLINE, "free": PGX_FREE, "used": PGX_USED, "tail": PGX_TAIL, "reserved": PGX_RESERVED}
COUNTERS = ("file", "shmem", "anon", "dirty")

ENTRY = np.dtype(
    [
        ("flags", "<u8"), ("refs", "<u4"), ("mapcount", "<u4"), ("mapping", "<u8"), ("index", "<u8"),
        ("private", "<u8"), ("rmap", "<u4"), ("owner", "<u4"), ("next", "<u4"), ("prev", "<u4"), ("head", "<u4"),
        ("order", "u1"), ("state", "u1"), ("held", "u1"), ("pad", "u1"),
    ]
)
assert ENTRY.itemsize == sizeof(pgx_entry)

_OFD_SETLK = 37
_LOCK_BASE = 1 << 40
_HUGE = 2 << 20
_RESERVE = 1 << 20
_ROLES = (
    "locked", "writeback", "dirty", "swapbacked", "private", "swapcache", "hwpoison", "reserved", "head", "waiters",
    "uptodate",
)

cdef object _live = weakref.WeakSet()


def _align(value, to):
    return -(-value // to) * to


def _hugetlb_pool():
    """Free and total 2 MiB pages of the pool, or (0, 0)."""
    base = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
    try:
        with open(base + "free_hugepages") as f, open(base + "nr_hugepages") as t:
            return int(f.read()), int(t.read())
    except (OSError, ValueError):
        return 0, 0


cdef void _discard(Region self) noexcept:
    """Close the file; remove it, unless the path names another one by now. Runs when the interpreter ends, too."""
    cdef struct_stat there, ours
    cdef bytes path
    if self.fd < 0:
        return
    if self.path is not None:
        path = self.path if isinstance(self.path, bytes) else PyUnicode_EncodeFSDefault(self.path)
        if lstat(path, &there) == 0 and fstat(self.fd, &ours) == 0 and there.st_dev == ours.st_dev \
                and there.st_ino == ours.st_ino:
            unlink(path)
    c_close(self.fd)
    self.fd = -1


cdef void _unmap(Region self) noexcept:
    if self.pid >= 0:
        munmap(self.region.base, self.region.total)
        _discard(self)
    c_free(self.region)
    self.region = NULL


@cython.no_gc_clear  # in a cycle, __dealloc__ still needs the path
cdef class Region:
    """One arena's memory, mapped by this process.

    Make one with `Region.create`. All views share the mapping and keep it alive. Not safe to use in a forked child:
    every call there raises `ForkedArenaError`.
    """

    def __cinit__(self, *args, **kwargs):
        self.region = NULL
        self.fd = -1
        self.exports = 0
        self.pid = os.getpid()

    def __init__(self):
        raise TypeError("use Region.create(...) to make an arena")

    cdef int check(self) except -1:
        if self.region == NULL:
            raise ArenaError("the arena is closed")
        if self.pid < 0:
            raise ForkedArenaError(
                "this arena was made by the parent process and is not mapped in a forked child; "
                "make a new one here, or start the child with the 'spawn' method"
            )
        return 0

    @classmethod
    def create(cls, *, object page_size=4096, object nodes=(("fast", 16384), ("slow", 16384)), object layout,
               object path=None, bint hugetlb=False, bint thp=False, object workers=8, object mappings=64,
               object spaces=16, object xa_nodes=None, object page_tables=None, object watermarks=None,
               object reserve=None):
        """Make an arena with all frames free.

        Parameters
        ----------
        page_size : int
            Bytes of a frame: a power of two from 4096 to 2 MiB.
        nodes : sequence of (str, int)
            Name and number of frames of each node; pfns run through the nodes in this order.
        layout : mapping
            Masks and shifts of the flags word, from `pagexchange.Layout.native()`.
        path : path-like, optional
            File to create (0600, must not exist) instead of a sealed memfd; on tmpfs or hugetlbfs.
        hugetlb, thp : bool
            Back it with 2 MiB pages of the hugetlb pool, or ask for transparent ones with madvise.
        workers, mappings, spaces, xa_nodes, page_tables : int
            Capacities. The last two follow from the number of frames when not given.
        watermarks : (int, int, int), optional
            min, low and high of every node, in frames.
        reserve : bool, optional
            Take the memory now, so that none can be missing later. Default: with `path` yes, for a memfd no.

        Raises
        ------
        ValueError
            A size, a name or a count is out of range.
        ArenaAccessError
            `path` exists, is a link, or may not be created.
        ArenaFullError
            Not enough memory, or the hugetlb pool is too small; the message says how much is missing.
        """
        cdef Region self = cls.__new__(cls)
        try:
            self._create(page_size, list(nodes), dict(layout), path, hugetlb, thp, workers, mappings, spaces, xa_nodes,
                         page_tables, watermarks, reserve)
        except BaseException:
            if self.region != NULL:
                _unmap(self)
            else:
                _discard(self)
            raise
        return self

    def _create(self, page_size, nodes, layout, path, hugetlb, thp, workers, mappings, spaces, xa_nodes, page_tables,
                watermarks, reserve):
        cdef pgx_header *h
        cdef pgx_region *r
        cdef void *base
        page_size = as_int(page_size)
        if page_size < 4096 or page_size > _HUGE or page_size & (page_size - 1):
            raise ValueError(f"page_size {page_size}: want a power of two from 4096 to {_HUGE} bytes")
        if not 1 <= len(nodes) <= PGX_MAX_NODES:
            raise ValueError(f"{len(nodes)} nodes: want 1 to {PGX_MAX_NODES}")
        try:
            names = [str(name) for name, _ in nodes]
            sizes = [as_int(frames) for _, frames in nodes]
        except (TypeError, ValueError):
            raise ValueError(f"nodes {nodes!r:.80}: want (name, number of frames) for each") from None
        if len(set(names)) != len(names):
            raise ValueError(f"node names are not unique: {', '.join(names)}")
        for name, frames in zip(names, sizes):
            if not 0 < len(name.encode()) < 32 or "\0" in name:
                raise ValueError(f"node name {name!r}: want 1 to 31 bytes, none of them 0")
            if frames < 1:
                raise ValueError(f"node {name!r}: {frames} frames; want at least 1")
        nframes = sum(sizes)
        if nframes >= 1 << 31 or nframes * page_size > 1 << 46:
            raise ValueError(f"{nframes} frames of {page_size} bytes: at most 2^31 - 1 frames and 64 TiB")
        for what, value, top in (
            ("workers", workers, 4096), ("mappings", mappings, 1 << 24), ("spaces", spaces, 1 << 24),
            # An entry of a page table is a number of 32 bits, and so is a node's.
            ("xa_nodes", 1 if xa_nodes is None else xa_nodes, (1 << 32) - 2),
            ("page_tables", 1 if page_tables is None else page_tables, (1 << 26) - 1),
        ):
            if not 1 <= as_int(value) <= top:
                raise ValueError(f"{what} {value}: want 1 to {top}")
        if watermarks is not None:
            marks = [as_int(mark) for mark in watermarks]
            if len(marks) != 3 or not 0 <= marks[0] <= marks[1] <= marks[2] < 1 << 31:
                raise ValueError(f"watermarks {watermarks}: want min <= low <= high, three numbers of frames")
        if layout["node_width"] and len(nodes) > 1 << layout["node_width"]:
            raise ValueError(
                f"layout {layout['name']!r} has {layout['node_width']} node bits: at most {1 << layout['node_width']} nodes"
            )
        # Dense arrays need a node for 64 pages; one tenth more, and some for each small mapping.
        if xa_nodes is None:
            xa_nodes = nframes // 58 + 2 * int(mappings) + 2 * int(spaces) + 64
        if page_tables is None:
            page_tables = nframes // 58 + 2 * int(spaces) + 16
        nslots = int(workers) + 1  # slot 0 is the face's own
        geometry = {}
        at = 4096
        for what, count, size in (
            ("nodes", len(nodes), sizeof(pgx_node)),
            ("slots", nslots, sizeof(pgx_slot)),
            ("pins", nslots * PGX_PINS, 8),
            ("pieces", nslots * PGX_PIECES * 2, PGX_PIECE),
            ("mappings", int(mappings), sizeof(pgx_mapping)),
            ("spaces", int(spaces), sizeof(pgx_space)),
            ("entries", nframes, sizeof(pgx_entry)),
            ("xanodes", int(xa_nodes), sizeof(pgx_xanode)),
            ("tables", int(page_tables), sizeof(pgx_table)),
        ):
            at = _align(at, 4096 if what in ("pieces", "entries") else 64)
            geometry[what] = (at, count, size)
            at += count * size
        at = _align(at, _HUGE if thp or hugetlb else page_size)
        geometry["frames"] = (at, nframes, page_size)
        total = at + nframes * page_size
        if hugetlb:
            total = _align(total, _HUGE)
        self._open(path, total, at, hugetlb, (path is not None) if reserve is None else reserve)
        base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, self.fd, 0)
        if base == MAP_FAILED:
            code = c_errno
            if hugetlb:
                have, pool = _hugetlb_pool()
                raise ArenaFullError(
                    code, f"the hugetlb pool is too small: the arena needs {total // _HUGE} pages of 2 MiB, "
                    f"{have} of {pool} are free; raise /proc/sys/vm/nr_hugepages or do not ask for hugetlb"
                )
            raise ArenaFullError(code, f"cannot map {total} bytes: {os.strerror(code)}")
        if madvise(base, total, MADV_DONTFORK) != 0:  # a child that has it would keep this process's lock alive
            code = c_errno
            munmap(base, total)
            raise ArenaError(f"cannot keep the arena from forked children: {os.strerror(code)}")
        if thp:
            madvise(<uint8_t *>base + <uint64_t>at, total - at, MADV_HUGEPAGE)
        r = <pgx_region *>calloc(1, sizeof(pgx_region))
        if r == NULL:
            munmap(base, total)
            raise MemoryError("no memory for the region's private geometry")
        r.base = <uint8_t *>base
        r.total = total
        self.region = r
        h = <pgx_header *>base
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
        h.total = total
        h.page_size = page_size
        h.page_shift = page_size.bit_length() - 1
        h.nframes = nframes
        h.nnodes = len(nodes)
        h.nslots = nslots
        h.nmappings = mappings
        h.nspaces = spaces
        h.nxanodes = xa_nodes
        h.ntables = page_tables
        h.off_nodes = geometry["nodes"][0]
        h.off_slots = geometry["slots"][0]
        h.off_pins = geometry["pins"][0]
        h.off_pieces = geometry["pieces"][0]
        h.off_mappings = geometry["mappings"][0]
        h.off_spaces = geometry["spaces"][0]
        h.off_entries = geometry["entries"][0]
        h.off_xanodes = geometry["xanodes"][0]
        h.off_tables = geometry["tables"][0]
        h.off_frames = geometry["frames"][0]
        try:
            uuid = secrets.token_bytes(16)
        except OSError as error:
            raise ArenaError(f"no random bytes for the arena's identity: {error.strerror}") from None
        memcpy(h.uuid, <const char *>uuid, 16)
        boot = _boot_id()
        memcpy(h.boot_id, <const char *>boot, 16)
        self._write_layout(layout)
        cdef pgx_node *node
        start = 0
        for i, (name, frames) in enumerate(zip(names, sizes)):
            node = <pgx_node *>(r.base + h.off_nodes) + <size_t>i
            raw = name.encode()
            memcpy(node.name, <const char *>raw, len(raw))
            node.start = start
            node.frames = frames
            node.number = i
            least = frames >> 10
            node.wm_min, node.wm_low, node.wm_high = watermarks or (least, least * 5 // 4, least * 3 // 2)
            start += frames
        self.attach_geometry()
        cdef uint32_t n
        for n in range(r.nnodes):
            with nogil:
                pgx_node_init(r, n)
        self._lock_process(0)
        _live.add(self)

    def _open(self, path, total, metadata, hugetlb, reserve):
        """Make the file: sized, sealed, its memory taken where asked."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        taken = total if reserve else metadata
        if path is None:
            if not hugetlb and taken > _memory_available():
                # Said before it is taken: a memfd has no limit but the out-of-memory killer.
                raise ArenaFullError(
                    errno.ENOMEM, f"the arena takes {taken} bytes of {total} at once, the machine has "
                    f"{_memory_available()} available"
                )
            try:
                made = os.memfd_create("pagexchange", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING |
                                       (os.MFD_HUGETLB if hugetlb else 0))
                try:
                    # Reopened, so that locks belong to a file description that nobody else can share by dup.
                    self.fd = os.open(f"/proc/self/fd/{made}", os.O_RDWR | os.O_CLOEXEC)
                finally:
                    os.close(made)
            except OSError as error:
                where = f": {error.filename}" if error.filename else ""
                raise ArenaFullError(error.errno, f"cannot make a memfd{where}: {error.strerror}") from None
            self.backing = "memfd, hugetlb" if hugetlb else "memfd"
        else:
            path = os.path.abspath(os.fspath(path))
            try:
                self.fd = os.open(path, flags, 0o600)
            except OSError as error:
                raise ArenaAccessError(
                    error.errno, f"cannot create the arena's file: {error.strerror}; want a path that does not exist, "
                    "in a folder that may be written", path
                ) from None
            self.path = path
            self.backing = "file, hugetlb" if hugetlb else "file"
            if hugetlb and os.fstatvfs(self.fd).f_bsize != _HUGE:
                raise ArenaAccessError(
                    errno.EINVAL, "hugetlb: the folder is not on a hugetlbfs with pages of 2 MiB; mount one there, or "
                    "leave out the path", path
                )
        try:
            os.ftruncate(self.fd, total)
            if not hugetlb:
                # In pieces: older Linux undoes in shared memory what a signal interrupts, and a frequent one for ever.
                for at in range(0, taken, _RESERVE):
                    os.posix_fallocate(self.fd, at, min(_RESERVE, taken - at))
        except OSError as error:
            raise ArenaFullError(
                error.errno, f"cannot take {taken} bytes of {total} for the arena: {error.strerror}"
            ) from None
        if path is None:
            try:
                fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            except OSError as error:
                raise ArenaAccessError(error.errno, f"cannot seal the arena's memfd: {error.strerror}") from None

    def _lock_process(self, byte):
        """Hold this process's byte: the lock lives as long as the mapping, and says who is alive."""
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BASE + byte, 1, 0)
        try:
            fcntl.fcntl(self.fd, _OFD_SETLK, lock)
        except OSError as error:
            raise ArenaAccessError(
                error.errno, f"cannot lock byte {byte} of the arena, by which others see this process alive: "
                f"{error.strerror}", self.path
            ) from None
        self.region.process = byte

    def _write_layout(self, layout):
        cdef pgx_layout *l = &(<pgx_header *>self.region.base).layout
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
        self.region.layout = l[0]

    cdef void attach_geometry(self) noexcept:
        """Private pointers and counts from the header that was just written (or, in time, validated)."""
        cdef pgx_region *r = self.region
        cdef pgx_header *h = <pgx_header *>r.base
        cdef uint32_t i
        r.header = h
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

    # ---- life ------------------------------------------------------------------------------------------------------

    def close(self):
        """Unmap the arena. Raises BufferError while a view of it is alive."""
        if self.region == NULL:
            return
        if self.exports:
            raise BufferError(f"{self.exports} views of the arena are still alive; drop them before close()")
        if self.busy:
            raise BufferError("an exchange is running on this arena; wait for it before close()")
        _unmap(self)

    def __dealloc__(self):
        if self.region != NULL:
            _unmap(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _forked(self):
        """Called in a forked child: the mapping is not there, the lock is the parent's."""
        if self.pid >= 0 and self.fd >= 0:
            os.close(self.fd)
        self.pid = -1
        self.fd = -1

    # ---- what it is ------------------------------------------------------------------------------------------------

    @property
    def closed(self):
        """True after close()."""
        return self.region == NULL

    @property
    def forked(self):
        """True in a process that was forked after the arena was made: nothing of it can be used here."""
        return self.pid < 0

    @property
    def page_size(self):
        """Bytes of a frame."""
        self.check()
        return self.region.page_size

    @property
    def nframes(self):
        """Number of frames, of all nodes."""
        self.check()
        return self.region.nframes

    @property
    def workers(self):
        """How many workers may exchange at once."""
        self.check()
        return self.region.nslots - 1

    @property
    def total_bytes(self):
        """Bytes of the whole region."""
        self.check()
        return self.region.total

    @property
    def metadata_bytes(self):
        """Bytes of the region that are not frames, alignment before the frames included."""
        self.check()
        return self.region.total - self.region.nframes * self.region.page_size

    @property
    def nodes(self):
        """One dict per node: name, start, frames, free, watermarks, allocation counts, counters (frames; base pages)."""
        cdef pgx_node *n
        cdef uint32_t i
        self.check()
        found = []
        for i in range(self.region.nnodes):
            n = &self.region.nodes[i]
            found.append({
                "name": (<bytes>n.name[:32]).split(b"\0")[0].decode(errors="replace"),
                "number": n.number, "start": self.region.node_start[i], "frames": self.region.node_frames[i],
                "min": n.wm_min, "low": n.wm_low, "high": n.wm_high, "free": pgx_load64(&n.free),
                "asked": pgx_load64(&n.asked), "got": pgx_load64(&n.got),
                "below_low": pgx_load64(&n.below_low), "below_min": pgx_load64(&n.below_min),
                "counters": {name: pgx_load64(&n.counter[k]) for k, name in enumerate(COUNTERS)},
            })
        return found

    def node_number(self, node):
        """Number of a node given by name or number; LookupError says which there are."""
        names = [n["name"] for n in self.nodes]
        if isinstance(node, str):
            if node in names:
                return names.index(node)
        elif 0 <= int(node) < len(names):
            return int(node)
        raise LookupError(f"node {node!r}: unknown; choose one of {', '.join(names)}")

    def geometry(self):
        """Where each part lies: name -> (byte offset, count, bytes of one item)."""
        cdef pgx_region *r
        self.check()
        r = self.region
        return {
            "nodes": (<uint8_t *>r.nodes - r.base, r.nnodes, sizeof(pgx_node)),
            "slots": (r.slots - r.base, r.nslots, sizeof(pgx_slot)),
            "pins": (<uint8_t *>r.pins - r.base, r.nslots * PGX_PINS, 8),
            "pieces": (r.pieces - r.base, r.nslots * PGX_PIECES * 2, PGX_PIECE),
            "mappings": (<uint8_t *>r.mappings - r.base, r.nmappings, sizeof(pgx_mapping)),
            "spaces": (<uint8_t *>r.spaces - r.base, r.nspaces, sizeof(pgx_space)),
            "entries": (<uint8_t *>r.entries - r.base, r.nframes, sizeof(pgx_entry)),
            "xanodes": (<uint8_t *>r.xanodes - r.base, r.nxanodes, sizeof(pgx_xanode)),
            "tables": (<uint8_t *>r.tables - r.base, r.ntables, sizeof(pgx_table)),
            "frames": (r.frames - r.base, r.nframes, r.page_size),
        }

    # ---- views -----------------------------------------------------------------------------------------------------

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.check()
        PyBuffer_FillInfo(view, self, self.region.base, self.region.total, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1

    @property
    def memory(self):
        """The whole region, uint8[total_bytes], no copy."""
        return np.frombuffer(self, dtype=np.uint8)

    @property
    def frames(self):
        """All frames, uint64[nframes, page_size // 8], no copy."""
        offset, n, size = self.geometry()["frames"]
        return np.frombuffer(self, dtype=np.uint64, count=n * size // 8, offset=offset).reshape(n, size // 8)

    @property
    def entries(self):
        """The page entries, structured[nframes] with the fields of `ENTRY`, no copy."""
        offset, n, _ = self.geometry()["entries"]
        return np.frombuffer(self, dtype=ENTRY, count=n, offset=offset)

    @property
    def flags(self):
        """The flags words, uint64[nframes] with a stride of 64 bytes, no copy."""
        return self.entries["flags"]

    # ---- frames ----------------------------------------------------------------------------------------------------

    def alloc(self, node, n=1, order=0):
        """Take `n` folios of 2^order frames on a node: int64[n], their first pfns. All or nothing.

        Each has one reference, which is the caller's (`held`). Raises ArenaFullError (ENOMEM) with nothing taken.
        """
        cdef uint32_t where = self.node_number(node)
        cdef uint32_t o
        cdef int64_t count, i
        cdef int64_t got = 0
        if not 0 <= as_int(order) <= PGX_MAX_ORDER:
            raise ValueError(f"order {order}: want 0 to {PGX_MAX_ORDER}")
        if as_int(n) < 0:
            raise ValueError(f"n {n}: want 0 or more")
        if n << order > self.region.node_frames[where]:
            raise ArenaFullError(
                errno.ENOMEM, f"node {node!r}: {n} folios of order {order} asked for, it has "
                f"{self.region.node_frames[where]} frames"
            )
        o = order
        count = n
        out = np.empty(count, dtype=np.int64)
        cdef int64_t[::1] view = out
        with nogil:
            for i in range(count):
                got = pgx_alloc_any(self.region, where, o, 1)
                if got < 0:
                    while i > 0:
                        i -= 1
                        pgx_free(self.region, <uint32_t>view[i], 1)
                    break
                view[i] = got
        if got < 0:
            raise ArenaFullError(
                -got, f"node {node!r}: {count} folios of order {o} asked for, {pgx_load64(&self.region.nodes[where].free)} of "
                f"{self.region.node_frames[where]} frames are free" if got == -errno.ENOMEM else
                f"node {node!r}: its free lists are damaged; check() the arena"
            )
        return out

    def free(self, pfns):
        """Drop one reference of each folio that starts at `pfns` (integers); the last one frees it. All or nothing.

        ValueError or IndexError names the first that has none to drop, or that is named twice.
        """
        cdef int64_t bad, i
        self.check()
        cdef const int64_t[::1] which = as_pfns(pfns)
        cdef int64_t n = which.shape[0]
        cdef uint64_t[::1] seen = np.zeros((self.region.nframes + 63) // 64, dtype=np.uint64)
        with nogil:
            bad = _first_refused(self.region, which, &seen[0], False)
            if bad == n:
                for i in range(n):
                    if _put(self.region, <uint32_t>which[i], True) != MAY_PUT:  # another thread dropped it meanwhile
                        bad = i
                        break
        if bad < n:
            self._refuse(which[bad], False)

    def reserve_frames(self, pfns):
        """Make folios that only the caller holds reserved: never moved, never given back. All or nothing."""
        cdef int64_t bad, i
        self.check()
        cdef const int64_t[::1] which = as_pfns(pfns)
        cdef int64_t n = which.shape[0]
        cdef uint64_t[::1] seen = np.zeros((self.region.nframes + 63) // 64, dtype=np.uint64)
        with nogil:
            bad = _first_refused(self.region, which, &seen[0], True)
            if bad == n:
                for i in range(n):
                    pgx_reserve(self.region, <uint32_t>which[i], 1)
        if bad < n:
            self._refuse(which[bad], True)

    def _refuse(self, pfn, whole):
        """Say what `_first_refused` found."""
        cdef pgx_entry *e = self.entry(pfn)
        why = _PUT[_put(self.region, pfn, False)]
        if not why and whole and (pgx_load32(&e.refs) != 1 or not pgx_load8(&e.held)):
            why = "others hold it, too"
        raise ValueError(f"frame {pfn}: {why or 'named twice'}")

    cdef pgx_entry *entry(self, object pfn) except NULL:
        self.check()
        number = as_int(pfn)
        if not 0 <= number < self.region.nframes:
            raise IndexError(f"frame {number}: out of range; the arena has frames 0 to {self.region.nframes - 1}")
        return &self.region.entries[<uint64_t>number]

    def get(self, pfn):
        """Take a reference on the page in frame `pfn`: True, or False where there is none to take (free, frozen)."""
        cdef pgx_entry *e = self.entry(pfn)
        cdef uint32_t refs = pgx_load32(&e.refs)
        while refs and not refs & PGX_FROZEN:
            if pgx_cas32(&e.refs, refs, refs + 1):
                return True
            refs = pgx_load32(&e.refs)
        return False

    def put(self, pfn):
        """Drop a reference; the last one frees the folio. ValueError when there is none to drop."""
        self.entry(pfn)
        cdef int why = _put(self.region, pfn, True)
        if why != MAY_PUT:
            raise ValueError(f"frame {pfn}: {_PUT[why]}")

    def expected_refs(self, pfn):
        """References that the page in frame `pfn` has at rest: held + cache + private + mapcount."""
        cdef pgx_entry *e = self.entry(pfn)
        return _structural(self.region, e) + pgx_load8(&e.held)

    def pin(self, pfn):
        """Pin a frame for long: an exchange of it is refused with -EBUSY until unpin(). ArenaFullError: no pin left."""
        cdef pgx_entry *e = self.entry(pfn)
        cdef uint32_t i, head
        cdef uint8_t state = pgx_load8(&e.state)
        if state != PGX_USED and state != PGX_TAIL:
            raise ValueError(f"frame {pfn}: holds no page that could be pinned")
        cdef uint64_t word = (<uint64_t>int(pfn) + 1) | PGX_PIN_LONG
        for i in range(PGX_PINS):
            if pgx_cas64(&self.region.pins[i], 0, word):
                pgx_fence()
                head = pgx_load32(&e.head)
                if state == PGX_TAIL and head and head <= self.region.nframes:
                    e = &self.region.entries[head - 1]  # a folio is frozen by its first frame
                if pgx_load32(&e.refs) & PGX_FROZEN:
                    pgx_store64(&self.region.pins[i], 0)
                    raise ArenaError(f"frame {pfn}: an exchange has it frozen; try again")
                return
        raise ArenaFullError(errno.EUSERS, f"all {PGX_PINS} pins of this process are in use; unpin() one")

    def unpin(self, pfn):
        """Undo one pin(). ValueError when the frame is not pinned."""
        cdef uint32_t i
        self.entry(pfn)
        cdef uint64_t word = (<uint64_t>pfn + 1) | PGX_PIN_LONG
        for i in range(PGX_PINS):
            if pgx_cas64(&self.region.pins[i], word, 0):
                return
        raise ValueError(f"frame {pfn}: not pinned")

    def lock(self, pfn):
        """Try to lock the page in frame `pfn`: True when it is yours now. An exchange of it gives -EAGAIN meanwhile."""
        cdef pgx_entry *e = self.entry(pfn)
        if pgx_load8(&e.state) != PGX_USED:
            raise ValueError(f"frame {pfn}: not the first frame of a folio in use")
        if not pgx_cas32(&e.owner, 0, 1):
            return False
        if pgx_or64(&e.flags, self.region.layout.locked) & self.region.layout.locked:
            pgx_store32(&e.owner, 0)
            return False
        return True

    def unlock(self, pfn):
        """Undo lock(). ValueError when the frame is not locked by this process's face."""
        cdef pgx_entry *e = self.entry(pfn)
        if pgx_load32(&e.owner) != 1:
            raise ValueError(f"frame {pfn}: not locked by lock()")
        pgx_and64(&e.flags, ~self.region.layout.locked)
        pgx_store32(&e.owner, 0)

    def set_flags(self, pfns, mask):
        """Set the bits of `mask` (uint64 scalar or array) in the flags words of `pfns`, each atomically."""
        self._change_flags(pfns, mask, True)

    def clear_flags(self, pfns, mask):
        """Clear the bits of `mask` (uint64 scalar or array) in the flags words of `pfns`, each atomically."""
        self._change_flags(pfns, mask, False)

    def _change_flags(self, pfns, mask, bint on):
        cdef int64_t i
        cdef pgx_entry *e
        cdef pgx_region *r
        cdef uint64_t before, mapping, frames
        cdef uint64_t bits
        cdef int node
        self.check()
        r = self.region
        pages, masks = np.broadcast_arrays(as_pfns(pfns), as_words(mask, "mask"))
        # Who changed these would have to keep references, trees and the allocator in step.
        kept = r.layout.private_ | r.layout.head | ((1ull << r.layout.node_width) - 1) << r.layout.node_shift \
            | ((1ull << r.layout.zone_width) - 1) << r.layout.zone_shift
        if (masks & np.uint64(kept)).any():
            raise ValueError("mask: node, zone, head and private follow from where and what the page is")
        cdef const int64_t[::1] where = np.ascontiguousarray(pages)
        cdef const uint64_t[::1] what = np.ascontiguousarray(masks)
        if pages.size and (pages.min() < 0 or pages.max() >= r.nframes):
            raise IndexError(f"a frame is out of range; the arena has frames 0 to {r.nframes - 1}")
        with nogil:
            for i in range(where.shape[0]):
                e = &r.entries[where[i]]
                bits = what[i]
                before = pgx_or64(&e.flags, bits) if on else pgx_and64(&e.flags, ~bits)
                # The node's count of dirty file pages follows the flag.
                mapping = pgx_load64(&e.mapping)
                if bits & r.layout.dirty and ((before & r.layout.dirty) != 0) != on and mapping \
                        and not mapping & PGX_ANON:
                    node = pgx_node_of(r, where[i])
                    frames = 1ull << pgx_load8(&e.order)
                    pgx_add64(&r.nodes[node].counter[PGX_NR_DIRTY], frames if on else -frames)

    # ---- mappings and spaces: their names and kinds; their pages are in `cache` and `space` ----------------------------

    def new_mapping(self, name="", shmem=False, aops="migrate"):
        """Make a mapping (a file's `address_space`); its number. ArenaFullError when all are in use."""
        cdef pgx_mapping *m
        cdef uint32_t i
        self.check()
        if aops not in AOPS:
            raise ValueError(f"aops {aops!r}: choose one of {', '.join(AOPS)}")
        raw = str(name).encode()[:63]
        for i in range(self.region.nmappings):
            m = &self.region.mappings[i]
            if not m.used:
                memset(m, 0, sizeof(pgx_mapping))
                memcpy(m.name, <const char *>raw, len(raw))
                m.shmem = bool(shmem)
                m.aops = AOPS[aops]
                m.used = 1
                return i
        raise ArenaFullError(errno.ENOSPC, f"all {self.region.nmappings} mappings are in use; create the arena with more")

    def new_space(self, name=""):
        """Make an address space; its number. ArenaFullError when all are in use."""
        cdef pgx_space *s
        cdef uint32_t i
        self.check()
        raw = str(name).encode()[:63]
        for i in range(self.region.nspaces):
            s = &self.region.spaces[i]
            if not s.used:
                memset(s, 0, sizeof(pgx_space))
                memcpy(s.name, <const char *>raw, len(raw))
                s.used = 1
                return i
        raise ArenaFullError(errno.ENOSPC, f"all {self.region.nspaces} spaces are in use; create the arena with more")

    # ---- tests -----------------------------------------------------------------------------------------------------

    @property
    def fail_alloc(self):
        """Fault injection: the n-th allocation from now on fails (frames, XArray nodes, page tables); 0 off."""
        self.check()
        return self.region.fail_alloc

    @fail_alloc.setter
    def fail_alloc(self, n):
        self.check()
        self.region.fail_alloc = n


cdef enum:
    MAY_PUT = 0
    NOT_IN_USE = 1
    IS_FROZEN = 2
    NOT_YOURS = 3
    IS_LOCKED = 4
    IS_PINNED = 5

_PUT = {
    MAY_PUT: "",
    NOT_IN_USE: "no reference to drop: free, reserved, or not the first frame of a folio",
    IS_FROZEN: "no reference to drop: frozen by an exchange; try again",
    NOT_YOURS: "no reference of yours: what is left is held by its mapping, private data or page tables",
    IS_LOCKED: "its last reference cannot be dropped while it is locked",
    IS_PINNED: "its last reference cannot be dropped while it is pinned",
}


cdef int _put(pgx_region *r, uint32_t pfn, bint really) noexcept nogil:
    """Drops a reference, or says why there is none to drop."""
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint32_t refs, structural
    while True:
        refs = pgx_load32(&e.refs)
        if pgx_load8(&e.state) != PGX_USED or refs == 0:
            return NOT_IN_USE
        if refs & PGX_FROZEN:
            return IS_FROZEN
        structural = _structural(r, e)
        if refs <= structural:
            return NOT_YOURS
        if refs == 1 and (pgx_load32(&e.owner) or pgx_load64(&e.flags) & r.layout.locked):
            return IS_LOCKED
        if refs == 1 and pgx_pinned(r, pfn, pgx_load8(&e.order)):
            return IS_PINNED
        if not really:
            return MAY_PUT
        # While the reference is there: after it, an exchange may have brought another page here.
        if refs - 1 == structural:
            pgx_store8(&e.held, 0)
        if pgx_cas32(&e.refs, refs, refs - 1):
            break
    if refs == 1:
        pgx_free(r, pfn, 1)
    return MAY_PUT


cdef int64_t _first_refused(pgx_region *r, const int64_t[::1] pfns, uint64_t *seen, bint whole) noexcept nogil:
    """Place of the first that has no reference to drop (`whole`: that has another user), or came before; or the length."""
    cdef int64_t i
    cdef uint64_t pfn
    cdef pgx_entry *e
    for i in range(pfns.shape[0]):
        pfn = <uint64_t>pfns[i]
        if pfn >= r.nframes or seen[pfn >> 6] >> (pfn & 63) & 1 or _put(r, <uint32_t>pfn, False) != MAY_PUT:
            return i
        e = &r.entries[pfn]
        if whole and (pgx_load32(&e.refs) != 1 or not pgx_load8(&e.held)):
            return i
        seen[pfn >> 6] |= 1ull << (pfn & 63)
    return pfns.shape[0]


cdef inline uint32_t _structural(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """References that are not the caller's: cache, private data, page tables (`folio_expected_ref_count`)."""
    cdef uint32_t refs = pgx_load32(&e.mapcount)
    cdef uint64_t mapping = pgx_load64(&e.mapping)
    if mapping and not mapping & PGX_ANON:
        refs += 1 << pgx_load8(&e.order)
    if pgx_load64(&e.flags) & r.layout.private_:
        refs += 1
    return refs


def _memory_available():
    """Bytes that the machine can give without pushing others out."""
    try:
        with open("/proc/meminfo") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return 1 << 62


def _boot_id():
    try:
        with open("/proc/sys/kernel/random/boot_id") as f:
            return bytes.fromhex(f.read().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def _after_fork():
    for region in list(_live):
        region._forked()


os.register_at_fork(after_in_child=_after_fork)
