# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One memory region with everything an arena holds: mapped, seen as arrays; frames, references, locks, flags."""

import atexit
import errno
import os
import secrets
import weakref
from operator import index as as_int

import numpy as np

from pagexchange_native.arena import places as placing
from pagexchange_native.arena.backing import Backing, boot_id, fill, pool_too_small
from pagexchange_native.arena.geometry import Format, Geometry
from pagexchange_native.arena.huge_pages import affordable, collapsed
from pagexchange_native.arena.owners import who
from pagexchange_native.arena.reentry import in_plugin_of
from pagexchange_native.errors import ArenaBusyError, ArenaError, ArenaFullError, ForkedArenaError, stays_here
from pagexchange_native.integers import as_pfns, as_words

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport errno as c_errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free as c_free
from libc.string cimport memcpy, memset
from posix.stat cimport fstat, lstat, struct_stat
from posix.unistd cimport close as c_close, getpid, unlink

from pagexchange_native.arena.allocator cimport pgx_alloc_any, pgx_free, pgx_node_init
from pagexchange_native.arena.counters cimport counter_add, counter_sum
from pagexchange_native.arena.header cimport attach_header, write_header
from pagexchange_native.arena.locks cimport now_ns, wait_until
from pagexchange_native.arena.mapping cimport (
    BLOCK,
    GIVE_UP,
    MADV_DONTFORK,
    MADV_HUGEPAGE,
    MAP_FAILED,
    MAP_FIXED,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    can_collapse,
    collapse_block,
    madvise,
    map_at_border,
    mmap,
    munmap,
)
from pagexchange_native.arena.page_lock cimport enter_pages, first_frame, keeper_owner, leave_pages, page_leave
from pagexchange_native.arena.references cimport (
    IS_FROZEN,
    IS_LOCKED,
    IS_PINNED,
    MAY_PUT,
    NOT_IN_USE,
    NOT_YOURS,
    add_pin,
    drop_pin,
    drop_pins,
    find_pin,
    is_held_by_get,
    is_last_get,
    is_left,
    may_put,
    put_reference,
    reserve_pages,
    structural_refs,
    trim_pins,
)
from pagexchange_native.arena.slots cimport claim_call, claim_of, release_slot
from pagexchange_native.arena.structure cimport Owner, structure_enter, structure_unlock
from pagexchange_native.arena.undo cimport Undo, clear_bits, put32, put64, set_bits, structure_undo, undo_commit
from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport *

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object text)

cdef extern from "pagexchange/forked.h" nogil:
    void pgx_forked(const uint8_t *lo, uint64_t size)

FORMAT_VERSION = PGX_VERSION
ABI = PGX_ABI
BATCH = PGX_BATCH
CHUNK = PGX_CHUNK
PAGE_MIN = PGX_PAGE_MIN
PIECE = PGX_PIECE
MAX_ORDER = PGX_MAX_ORDER
MAX_NODES = PGX_MAX_NODES
FROZEN = PGX_FROZEN
AOPS = {"migrate": PGX_AOPS_MIGRATE, "none": PGX_AOPS_NONE, "unmovable": PGX_AOPS_UNMOVABLE}
STATES = {"offline": PGX_OFFLINE, "free": PGX_FREE, "used": PGX_USED, "tail": PGX_TAIL, "reserved": PGX_RESERVED}
COUNTERS = ("file", "shmem", "anon", "dirty")
PATIENCE = 5.0  # seconds that a call waits for pages that an exchange or another call has; see `Region.deadline`

ENTRY = np.dtype(
    [
        ("flags", "<u8"), ("refs", "<u4"), ("owner", "<u4"), ("mapping", "<u8"), ("index", "<u8"), ("private", "<u8"),
        ("mapcount", "<u4"), ("rmap", "<u4"), ("next", "<u4"), ("prev", "<u4"), ("head", "<u4"),
        ("order", "u1"), ("state", "u1"), ("held", "<u2"),
    ]
)
assert ENTRY.itemsize == sizeof(pgx_entry)

cdef enum:
    PIN_BYTES = sizeof(uint32_t) + PGX_PINS * sizeof(uint64_t)  # of one process: how many there are, and its pins

_FORMAT = Format(
    header=sizeof(pgx_header),
    items={
        "nodes": sizeof(pgx_node), "slots": sizeof(pgx_slot), "pins": PIN_BYTES, "pieces": PGX_PIECE,
        "mappings": sizeof(pgx_mapping), "spaces": sizeof(pgx_space), "entries": sizeof(pgx_entry),
        "xanodes": sizeof(pgx_xanode), "tables": sizeof(pgx_table), "text": 1,
    },
    call_slots=PGX_CALL_SLOTS,
    slots=PGX_MAX_SLOTS,
    pieces=2 * PGX_PIECES,
    smallest=PGX_PAGE_MIN,
    nodes=PGX_MAX_NODES,
)
_WHY_NOT_PUT = {
    MAY_PUT: "",
    NOT_IN_USE: "no reference to drop: free, reserved, or not the first frame of a folio",
    IS_FROZEN: "no reference to drop: frozen by an exchange; try again",
    NOT_YOURS: "no reference of yours: what is left is held by its mapping, private data, page tables or another process",
    IS_LOCKED: "its last reference cannot be dropped while it is locked",
    IS_PINNED: "its last reference cannot be dropped while it is pinned",
}

cdef object _live = weakref.WeakSet()

cdef enum:
    LOOK = 50_000_000  # ns between two looks at pending signals while a call waits


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class Use:
    """A call that is at work on an arena: close() is refused as long as this lives. Made by `Region.use`."""

    def __dealloc__(self):
        if self.region is not None:
            self.region.users -= 1


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class CallSlot:
    """A call that changes an arena: close() is refused, and the slot is the call's, as long as this lives. Made by `call_slot`."""

    def __dealloc__(self):
        if self.region is None or self.region.pid < 0:  # in a forked child nothing of it is mapped
            return
        if self.number:
            release_slot(self.region.region, self.number)
        self.region.users -= 1


cdef void _remove_file(Region self) noexcept:
    """Remove the file, unless the path names another one by now. Runs when the interpreter ends, too."""
    cdef struct_stat there, ours
    cdef bytes path
    if self.fd < 0 or self.path is None:
        return
    path = self.path if isinstance(self.path, bytes) else PyUnicode_EncodeFSDefault(self.path)
    if lstat(path, &there) == 0 and fstat(self.fd, &ours) == 0 and there.st_dev == ours.st_dev \
            and there.st_ino == ours.st_ino:
        unlink(path)


cdef void _discard(Region self) noexcept:
    """Close the file, and remove it."""
    if self.fd >= 0:
        _remove_file(self)
        c_close(self.fd)
        self.fd = -1


cdef void _unmap(Region self) noexcept:
    if self.pid == getpid():
        if self.region.self:
            drop_pins(self.region)
            release_slot(self.region, self.region.self)
        munmap(self.region.base, self.region.total)
        _discard(self)
    elif self.fd >= 0:  # collected in a forked child, before `_forked`: nothing of it is mapped, the file is the parent's
        c_close(self.fd)
        self.fd = -1
    c_free(self.region)
    self.region = NULL


cdef bint _only_held(const pgx_region *r, uint32_t pfn) noexcept nogil:
    """Whether the reference that allocation gave is the page's only one."""
    cdef const pgx_entry *e = &r.entries[pfn]
    return pgx_load32(&e.refs) == 1 and e.held == r.process + 1 and not pgx_pinned(r, pfn, e.order)


cdef int64_t _first_refused(pgx_region *r, const int64_t *pfns, int64_t n, uint64_t *seen, bint whole) noexcept nogil:
    """Place of the first that has no reference to drop (`whole`: that has another user), or came before; or n.

    `seen` has a bit per frame, all clear. The caller has entered the pages.
    """
    cdef int64_t i
    cdef uint64_t pfn
    for i in range(n):
        pfn = <uint64_t>pfns[i]
        if seen[pfn >> 6] >> (pfn & 63) & 1 or may_put(r, <uint32_t>pfn) != MAY_PUT:
            return i
        if whole and not _only_held(r, <uint32_t>pfn):
            return i
        seen[pfn >> 6] |= 1ull << (pfn & 63)
    return n


cdef uint64_t _guarded(const pgx_layout *l, bint on) noexcept nogil:
    """Bits of flags words that are changed under the page's lock only."""
    # An exchange stores the bits that move as they were before the data moved. A counter goes by `dirty`.
    cdef uint64_t bits = l.swap | l.tail_swap | l.dirty
    return bits | ((l.refuse | l.tail_refuse) & ~l.hwpoison if on else 0)


cdef void _change(pgx_region *r, uint32_t slot, const int64_t *pfn, const uint64_t *word, int64_t n, bint on) noexcept nogil:
    """Sets or clears bits of flags words; the node's count of dirty file pages follows the flag.

    A frame's bits that are changed under its page's lock change all or none, together with the counter.
    """
    cdef int64_t i
    cdef pgx_entry *e
    cdef uint64_t mapping, bits, changed
    cdef int64_t frames
    cdef uint64_t guarded = _guarded(&r.layout, on)
    cdef Undo undo
    for i in range(n):
        e = &r.entries[pfn[i]]
        bits = word[i] & ~guarded
        if bits and on:
            pgx_or64(&e.flags, bits)
        elif bits:
            pgx_and64(&e.flags, ~bits)
        bits = word[i] & guarded
        if not bits:
            continue
        undo = structure_undo(r, slot)
        changed = set_bits(&undo, &e.flags, bits) if on else clear_bits(&undo, &e.flags, bits)
        mapping = e.mapping
        if changed & r.layout.dirty and mapping and not mapping & PGX_ANON:
            frames = <int64_t>1 << e.order
            counter_add(&undo, pgx_node_of(r, pfn[i]), PGX_NR_DIRTY, frames if on else -frames)
        undo_commit(&undo)


cdef bint _has_page(const pgx_entry *e) noexcept nogil:
    """Whether a frame is the first of a page that a reference can be taken on."""
    cdef uint32_t refs = pgx_load32(&e.refs)
    return pgx_load8(&e.state) == PGX_USED and refs != 0 and not refs & PGX_FROZEN


cdef void _let_keep_go(pgx_entry *e) noexcept nogil:
    """Ends `Region.lock`. A call of another thread that changes flags at this moment goes on, and leaves the page unlocked."""
    cdef uint32_t owner = pgx_load32(&e.owner)
    while not pgx_change_owner(e, owner, owner & ~PGX_OWNER_KEEPER):
        owner = pgx_load32(&e.owner)


cdef bint _ascend(const int64_t *pfns, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(1, n):
        if pfns[i] <= pfns[i - 1]:
            return False
    return True


# Of those that are free the one that was given up least often: an old number is unknown for as long as it goes.

cdef int64_t _free_mapping(const pgx_region *r) noexcept nogil:
    cdef uint32_t i
    cdef int64_t best = -1
    for i in range(r.nmappings):
        if not r.mappings[i].used and (best < 0 or r.mappings[i].generation < r.mappings[best].generation):
            best = i
            if r.mappings[i].generation == 0:
                break
    return best


cdef int64_t _free_space(const pgx_region *r) noexcept nogil:
    cdef uint32_t i
    cdef int64_t best = -1
    for i in range(r.nspaces):
        if not r.spaces[i].used and (best < 0 or r.spaces[i].generation < r.spaces[best].generation):
            best = i
            if r.spaces[i].generation == 0:
                break
    return best


cdef void _put_name(Undo *u, char *where, const char *name, size_t size) noexcept nogil:
    """Stores a name of at most 63 bytes where all 64 are zero."""
    cdef uint64_t[8] words
    cdef uint32_t i
    memset(words, 0, sizeof(words))
    memcpy(words, name, size)
    for i in range(8):
        if words[i]:
            put64(u, <uint64_t *>where + i, words[i])


@cython.no_gc_clear  # in a cycle, __dealloc__ still needs the path
cdef class Region:
    """One arena's memory, mapped by this process.

    Make one with `Region.create`. All views share the mapping and keep it alive. It is not mapped in a forked child: every
    call there raises `ForkedArenaError`, and a view that was made before the fork ends the child with a message and SIGSEGV.
    """

    def __cinit__(self, *args, **kwargs):
        self.region = NULL
        self.fd = -1
        self.exports = 0
        self.users = 0
        self.pid = os.getpid()

    def __init__(self, *args, **kwargs):
        raise TypeError(f"an arena is made by {type(self).__name__}.create(...)")

    def __reduce__(self):
        raise stays_here("an arena", f"make one there: {type(self).__name__}.create(...)")

    # Rules for calls of a region, so that close() in another thread, or in a number's __index__, takes nothing from under
    # them: Python's numbers are converted before `check`; who runs Python or lets the GIL go after it takes a `use` instead.

    cdef int check(self) except -1:
        if self.region == NULL:
            raise ArenaError("the arena is closed")
        if self.pid < 0:
            raise ForkedArenaError(
                "this arena was made by the parent process and is not mapped in a forked child; "
                "make a new one here, or start the child with the 'spawn' method"
            )
        return 0

    cdef Use use(self):
        """Check, and keep the region open for as long as the answer lives: a local variable of the call that needs it."""
        cdef Use made
        self.check()
        made = Use.__new__(Use)
        made.region = self
        self.users += 1
        return made

    cdef CallSlot call_slot(self):
        """Check, keep the region open, and claim a slot: a local variable of the call that needs it.

        ArenaBusyError: other calls have had all slots for as long as a call waits.
        """
        cdef CallSlot made
        cdef int64_t got
        cdef uint64_t now
        self.check()
        made = CallSlot.__new__(CallSlot)
        made.number = 0
        made.region = self
        self.users += 1
        made.until = self.deadline()
        got = claim_call(self.region, 0)
        while got < 0:
            now = now_ns()
            if now >= made.until:
                raise ArenaBusyError(
                    errno.EUSERS, f"all {PGX_CALL_SLOTS} slots for processes and calls are in use; nothing was changed; try again"
                )
            with nogil:
                got = claim_call(self.region, min(made.until, now + LOOK))
            if got < 0:
                PyErr_CheckSignals()
        made.number = <uint32_t>got
        return made

    cdef uint64_t deadline(self) except? 1:
        """Until when a call that begins now waits for a page (ns of `now_ns`).

        0, not at all, for a plug-in that this arena's exchange has called: it may be what the page waits for.
        """
        return 0 if in_plugin_of(self) else now_ns() + <uint64_t>(PATIENCE * 1e9)

    cdef int enter(self, CallSlot slot, const int64_t *pfns, int64_t n, uint32_t *firsts) except -1:
        """Lock the pages of n frames, ascending and in range, for `leave_pages`. ArenaBusyError: none is locked.

        A migration that waits for one of them may have another one, which it took from the allocator without regard to their
        order: a page that does not come is waited for with nothing held, and then all of them are begun again.
        """
        cdef int64_t done, before
        cdef const int64_t *missing
        cdef uint32_t first
        with nogil:
            done = enter_pages(self.region, slot.number, pfns, n, 0, firsts, 0)
        if done == n:
            return 0
        try:
            while True:
                before = done
                with nogil:
                    done = enter_pages(self.region, slot.number, pfns, n, done, firsts, min(slot.until, now_ns() + LOOK))
                if done == n:
                    return 0
                missing = &pfns[done]
                if now_ns() >= slot.until:
                    raise self.busy(missing[0], slot.until)
                if done == before:
                    leave_pages(self.region, slot.number, firsts, done)
                    done = 0
                    with nogil:
                        if enter_pages(self.region, slot.number, missing, 1, 0, &first, min(slot.until, now_ns() + LOOK)) == 1:
                            leave_pages(self.region, slot.number, &first, 1)
                PyErr_CheckSignals()
        except BaseException:
            leave_pages(self.region, slot.number, firsts, done)
            raise

    cdef object busy(self, int64_t pfn, uint64_t until):
        """The error for a page that was not let go until a `deadline`."""
        return ArenaBusyError(
            errno.EAGAIN, f"frame {pfn}: " + (
                f"an exchange or another call has had the page, or its node's free lists, for {PATIENCE:g} s; "
                "nothing was changed; try again" if until
                else "the page is in an exchange, and a plug-in that it calls cannot wait for its end; nothing was changed"
            )
        )

    cdef int in_range(self, object pfns) except -1:
        """IndexError for the first frame number of an int64 array that the arena does not have. After `check`."""
        cdef const int64_t *pfn = <const int64_t *>address(pfns)
        cdef int64_t i
        for i in range(pfns.size):
            if <uint64_t>pfn[i] >= self.region.nframes:
                raise IndexError(f"frame {pfn[i]}: out of range; the arena has frames 0 to {self.region.nframes - 1}")
        return 0

    @classmethod
    def create(cls, *, object page_size=4096, object nodes=(("fast", 16384), ("slow", 16384)), object places=(),
               object layout, object path=None, bint hugetlb=False, bint thp=False, object workers=8, object mappings=64,
               object spaces=16, object xa_nodes=None, object page_tables=None, object watermarks=None,
               object reserve=None):
        """Make an arena with all frames free.

        Parameters
        ----------
        page_size : int
            Bytes of a frame: a power of two from 1024 to 2 MiB.
        nodes : sequence of (str, int)
            Name and number of frames of each node; pfns run through the nodes in this order.
        places : sequence of Place, optional
            Where the frames of each node lie. Frames of nodes without one, and metadata, lie where Linux puts them.
        layout : mapping
            Masks and shifts of the flags word, from `pagexchange.Layout.native()`; `text`, its layout file, for who attaches.
        path : path-like, optional
            File to create (0600, must not exist) instead of a sealed memfd; on tmpfs or hugetlbfs. See `close`.
        hugetlb, thp : bool
            Back it with 2 MiB pages of the hugetlb pool, or with transparent ones, which take their memory now: as many
            as come (`collapsed` says how many), the rest in base pages. Linux before 6.1 is only advised.
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
            `path` exists, is a link, or may not be created; or memory may not be bound.
        ArenaFullError
            Not enough memory, or the hugetlb pool is too small; the message says how much is missing.
        ArenaError
            A place is not on this machine.
        """
        cdef Region self = cls.__new__(cls)
        geometry = Geometry(
            _FORMAT, page_size=page_size, nodes=list(nodes), places=list(places), layout=layout, hugetlb=hugetlb, thp=thp, workers=workers,
            mappings=mappings, spaces=spaces, xa_nodes=xa_nodes, page_tables=page_tables, watermarks=watermarks,
        )
        try:
            self._create(geometry, dict(layout), path, hugetlb, thp, (path is not None) if reserve is None else reserve)
        except BaseException:
            if self.region != NULL:
                _unmap(self)
            else:
                _discard(self)
            raise
        return self

    def _create(self, geometry, layout, path, hugetlb, thp, reserve):
        cdef pgx_region *r
        cdef uint32_t n
        total = geometry.total
        placing.refuse(geometry.spans, path, hugetlb=hugetlb, thp=thp)
        parts = [(0, geometry.metadata)]  # of the file: what gets memory now
        if reserve:
            parts += [(span.offset, span.size) for span in geometry.spans if span.place.path is None]
        taken = sum(size for _, size in parts)
        backing = Backing()
        try:
            backing.open(path, hugetlb)
            backing.shape(total, taken, hugetlb)
        finally:
            self.fd, self.path, self.backing = backing.fd, backing.path, backing.kind
        _live.add(self)  # from here on threads may fork, since others run
        self._map(total, hugetlb)
        self._place(geometry)  # before any page has memory: where that comes from is decided by now
        if not hugetlb:
            fill(self.fd, total, parts)
        r = self.region
        if thp:
            self._collapse(taken, geometry.spans)
        try:
            uuid = secrets.token_bytes(16)
        except OSError as error:
            raise ArenaError(f"no random bytes for the arena's identity: {error.strerror}") from None
        write_header(r.base, geometry, uuid, boot_id(), layout)
        attach_header(r)
        for n in range(r.nnodes):
            with nogil:
                pgx_node_init(r, n)
        r.process = 0
        r.self = <uint32_t>claim_of(r, r.workers + 1, r.nslots)  # nobody else is here yet
        pgx_store64(&r.header.ready, 1)  # last: until then there is no arena here

    def _map(self, uint64_t total, hugetlb):
        cdef void *base = map_at_border(self.fd, total)
        if base == MAP_FAILED:
            code = c_errno
            if hugetlb:
                raise pool_too_small(code, total)
            raise ArenaFullError(code, f"cannot map {total} bytes: {os.strerror(code)}")
        if madvise(base, total, MADV_DONTFORK) != 0:  # a child that has it would keep this process's lock alive
            code = c_errno
            munmap(base, total)
            raise ArenaError(f"cannot keep the arena from forked children: {os.strerror(code)}")
        self.region = <pgx_region *>calloc(1, sizeof(pgx_region))
        if self.region == NULL:
            munmap(base, total)
            raise MemoryError("no memory for the region's private geometry")
        self.region.base = <uint8_t *>base
        self.region.total = total

    def _place(self, geometry):
        """Map and bind the frames of each node where they are to lie."""
        cdef uint8_t *at
        cdef uint64_t size
        cdef int fd, code
        for span in geometry.spans:
            at, size = self.region.base + <uint64_t>span.offset, span.size
            if span.place.path is not None:
                fd = placing.open_own(span, geometry.page_size)
                code = 0
                # A new mapping, so that the advice about children has to be given again.
                if mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED \
                        or madvise(at, size, MADV_DONTFORK) != 0:
                    code = c_errno
                c_close(fd)
                if code:
                    raise ArenaError(f"node {span.name!r}: cannot map {size} bytes of {span.place}: {os.strerror(code)}")
            placing.bind(<uint64_t>at, span)

    def _collapse(self, uint64_t taken, spans):
        """Make huge pages of the whole arena, as far as they come; `taken` bytes of it have memory already.

        In the order of the file, so metadata first: a pair meets two frames, but six cache lines of metadata on as many
        pages, and there are forty times less of them. Linux decides alone where it makes none on demand.
        """
        elsewhere = {
            n for span in spans if span.place.path is not None
            for n in range(span.offset // BLOCK, (span.offset + span.size) // BLOCK)
        }
        own = [n for n in range(self.region.total // BLOCK) if n not in elsewhere]
        cdef uint64_t blocks = len(own), n
        cdef uint64_t most = taken // BLOCK + <uint64_t>affordable(blocks - taken // BLOCK)
        cdef uint64_t came = 0
        cdef int code, last = 0, row = 0
        # For blocks that do not come now: some settings let Linux make huge pages of them later.
        madvise(self.region.base, self.region.total, MADV_HUGEPAGE)
        if not can_collapse():
            return
        for n in own[:most]:
            with nogil:
                code = collapse_block(self.fd, self.region.base, n * BLOCK)
            PyErr_CheckSignals()
            row = row + 1 if code else 0
            last = code or last
            came += not code
            if row == GIVE_UP:
                break
        self.collapsed = collapsed(came, blocks, last, self.fd)

    # ---- life ------------------------------------------------------------------------------------------------------

    def close(self):
        """Unmap the arena and remove its file. Raises BufferError while a view of it is alive, or a call at work on it.

        The file is removed, too, when the arena is collected and when the interpreter ends: after the last statement,
        sys.exit(), an exception, Ctrl-C. It stays when the process ends without the interpreter's end: by os._exit(), SIGKILL,
        and SIGTERM where nobody handles it. Then remove it; nothing else refers to it. A file that another one has replaced
        is left alone.
        """
        if self.region == NULL:
            return
        if self.exports:
            raise BufferError(f"{self.exports} views of the arena are still alive; drop them before close()")
        if self.users:
            raise BufferError(f"{self.users} calls are still at work on the arena; wait for their end before close()")
        _unmap(self)

    def __dealloc__(self):
        if self.region != NULL and self.users == 0:  # else a thread that the interpreter's end has cut off stands in it
            _unmap(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _forked(self):
        """Called in a forked child: the mapping is not there, the lock is the parent's."""
        if self.pid >= 0 and self.fd >= 0:
            os.close(self.fd)
            if self.exports:
                pgx_forked(self.region.base, self.region.total)
        self.pid = -1
        self.fd = -1
        self.users = 0  # the threads of these calls are not here

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
        return self.region.workers

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
        cdef Use use = self.use()
        nodes = []
        for i in range(self.region.nnodes):
            n = &self.region.nodes[i]
            nodes.append({
                "name": self._node_name(i),
                "number": n.number, "start": self.region.node_start[i], "frames": self.region.node_frames[i],
                "min": n.wm_min, "low": n.wm_low, "high": n.wm_high, "free": pgx_load64(&n.free),
                "asked": pgx_load64(&n.asked), "got": pgx_load64(&n.got),
                "below_low": pgx_load64(&n.below_low), "below_min": pgx_load64(&n.below_min),
                "counters": {name: counter_sum(self.region, i, k) for k, name in enumerate(COUNTERS)},
            })
        return nodes

    cdef str _node_name(self, uint32_t i):
        return (<bytes>self.region.nodes[i].name[:32]).split(b"\0")[0].decode(errors="replace")

    def node_number(self, node):
        """Number of a node given by name or number; LookupError says which there are."""
        self.check()
        names = [self._node_name(i) for i in range(self.region.nnodes)]
        if isinstance(node, str):
            if node in names:
                return names.index(node)
        elif 0 <= int(node) < len(names):
            return int(node)
        raise LookupError(f"node {node!r}: unknown; choose one of {', '.join(names)}")

    def geometry(self):
        """Where each part lies: name -> (byte offset, count, bytes of one item).

        Of "pins", one item for each slot of a process or a call: first the words that say how many there are (uint32), then
        the pins of each (uint64).
        """
        cdef Use use = self.use()
        cdef pgx_region *r = self.region
        return {
            "nodes": (<uint8_t *>r.nodes - r.base, r.nnodes, sizeof(pgx_node)),
            "slots": (r.slots - r.base, r.nslots, sizeof(pgx_slot)),
            "pins": (<uint8_t *>r.pin_tops - r.base, PGX_CALL_SLOTS, PIN_BYTES),
            "pieces": (r.pieces - r.base, r.workers * PGX_PIECES * 2, PGX_PIECE),
            "mappings": (<uint8_t *>r.mappings - r.base, r.nmappings, sizeof(pgx_mapping)),
            "spaces": (<uint8_t *>r.spaces - r.base, r.nspaces, sizeof(pgx_space)),
            "entries": (<uint8_t *>r.entries - r.base, r.nframes, sizeof(pgx_entry)),
            "xanodes": (<uint8_t *>r.xanodes - r.base, r.nxanodes, sizeof(pgx_xanode)),
            "tables": (<uint8_t *>r.tables - r.base, r.ntables, sizeof(pgx_table)),
            "frames": (r.frames - r.base, r.nframes, r.page_size),
        }

    def published(self):
        """The state words of the workers' slots, uint64, each read as it was published; the workers go on meanwhile."""
        cdef uint32_t i
        cdef Use use = self.use()
        out = np.empty(self.region.workers, dtype=np.uint64)
        cdef uint64_t *words = <uint64_t *>address(out)
        for i in range(self.region.workers):
            words[i] = pgx_load64(&pgx_slot_at(self.region, i + 1).state)
        return out

    # ---- views -----------------------------------------------------------------------------------------------------

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.check()
        PyBuffer_FillInfo(view, self, self.region.base, self.region.total, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1

    @property
    def memory(self):
        """The whole region, uint8[total_bytes], no copy. As every view it keeps the arena open, and ends with a fork."""
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

        Each has one reference, which is this process's (`held`). Raises ArenaFullError (ENOMEM) with nothing taken,
        ArenaBusyError when other calls do not let go of the node's free lists.
        """
        cdef uint32_t o, where
        cdef int64_t count
        cdef int64_t done = 0
        order, n = as_int(order), as_int(n)
        where = self.node_number(node)
        cdef CallSlot slot = self.call_slot()
        if not 0 <= order <= PGX_MAX_ORDER:
            raise ValueError(f"order {order}: want 0 to {PGX_MAX_ORDER}")
        if n < 0:
            raise ValueError(f"n {n}: want 0 or more")
        if n << order > self.region.node_frames[where]:
            raise ArenaFullError(
                errno.ENOMEM, f"node {node!r}: {n} folios of order {order} asked for, it has "
                f"{self.region.node_frames[where]} frames"
            )
        o = order
        count = n
        out = np.empty(count, dtype=np.int64)
        cdef int64_t *taken = <int64_t *>address(out)
        try:
            self._take(slot, where, o, taken, count, &done)
        except BaseException as error:
            if done:
                self._give_back(slot, taken, done, error)
            raise
        return out

    cdef int _take(self, CallSlot slot, uint32_t node, uint32_t order, int64_t *taken, int64_t n, int64_t *done) except -1:
        """Take folios, and say how many there are by now. ArenaFullError, ArenaBusyError, or what a signal's handler raises."""
        cdef int64_t got = 0
        cdef uint64_t look
        while True:
            look = min(slot.until, now_ns() + LOOK)
            with nogil:
                while done[0] < n:
                    got = pgx_alloc_any(self.region, node, order, slot.number, look)
                    if got < 0:
                        break
                    taken[done[0]] = got
                    done[0] += 1
            if done[0] == n:
                return 0
            if got != -errno.EAGAIN or now_ns() >= slot.until:
                break
            PyErr_CheckSignals()
        name = self._node_name(node)
        if got == -errno.EAGAIN:
            raise ArenaBusyError(
                errno.EAGAIN, f"node {name!r}: other calls have had its free lists for {PATIENCE:g} s; try again"
            )
        raise ArenaFullError(
            -got, f"node {name!r}: {n} folios of order {order} asked for, {pgx_load64(&self.region.nodes[node].free)} of "
            f"{self.region.node_frames[node]} frames are free" if got == -errno.ENOMEM else
            f"node {name!r}: its free lists are damaged; check() the arena"
        )

    cdef int _give_back(self, CallSlot slot, const int64_t *taken, int64_t n, error) except -1:
        """Free what a call took that failed; what stays taken is said with the error."""
        cdef uint64_t until = now_ns() + <uint64_t>(PATIENCE * 1e9)
        with nogil:
            while n > 0 and pgx_free(self.region, <uint32_t>taken[n - 1], slot.number, until, NULL) == 0:
                n -= 1
        if n:
            error.add_note(f"{n} folios stay taken, as they cannot be given back now; the first is frame {taken[0]}")
        return 0

    def free(self, pfns):
        """Drop one reference of each folio that starts at `pfns` (integers); the last one frees it. All or nothing.

        ValueError or IndexError names the first that has none to drop, or that is named twice.
        """
        self._give_up(as_pfns(pfns), False)

    def reserve_frames(self, pfns):
        """Make folios that only the caller holds reserved: never moved, never given back. All or nothing."""
        self._give_up(as_pfns(pfns), True)

    def _give_up(self, array, bint reserve):
        """Drop a reference of each page, or make them reserved; the pages are locked meanwhile: no exchange has them."""
        cdef CallSlot slot = self.call_slot()
        cdef pgx_region *r = self.region
        cdef int64_t n = len(array)
        cdef int64_t bad
        cdef int64_t done = 0
        cdef int why = MAY_PUT
        cdef bint shared = False
        self.in_range(array)
        cdef const int64_t *which = <const int64_t *>address(array)
        ascending = array if _ascend(which, n) else np.sort(array)
        locked = np.empty(len(ascending), dtype=np.uint32)
        bits = np.zeros((r.nframes + 63) // 64, dtype=np.uint64)
        cdef uint32_t *firsts = <uint32_t *>address(locked)
        cdef uint64_t *seen = <uint64_t *>address(bits)
        cdef int64_t pages = len(ascending)
        self.enter(slot, <const int64_t *>address(ascending), pages, firsts)
        try:
            with nogil:
                bad = _first_refused(r, which, n, seen, reserve)
                if bad < n:
                    why = may_put(r, <uint32_t>which[bad])
                    shared = reserve and not _only_held(r, <uint32_t>which[bad])
                elif reserve:
                    bad = reserve_pages(r, which, n, slot.number)
                    shared = bad < n
            if bad == n and not reserve:
                why = self._put(slot, which, n, &done)
                bad = done
        finally:
            leave_pages(r, slot.number, firsts, pages)
        if bad < n:
            raise self._not_put(slot, which[bad], why, shared, done)

    cdef int _put(self, CallSlot slot, const int64_t *pfns, int64_t n, int64_t *done) except -2:
        """Drop a reference of each of the entered pages, and leave it: how many, and why not of the next one."""
        cdef int why = MAY_PUT
        cdef uint64_t look
        while True:
            look = min(slot.until, now_ns() + LOOK) if slot.until else 0
            with nogil:
                while done[0] < n:
                    why = put_reference(self.region, <uint32_t>pfns[done[0]], slot.number, look)
                    if why != MAY_PUT:
                        break
                    done[0] += 1
            if why != -errno.EAGAIN or now_ns() >= slot.until:
                return why
            PyErr_CheckSignals()

    cdef object _not_put(self, CallSlot slot, int64_t pfn, int why, bint shared, int64_t done):
        """The error for a page that keeps its reference, after `done` that were dropped."""
        # A reference that the check had seen was dropped by another thread, or the node's free lists are in other hands.
        before = f"; the {done} frames before it in the list were freed" if done else ""
        if why < 0:
            error = self.busy(pfn, slot.until)
            if before:
                error.add_note(f"frame {pfn}{before}")
            return error
        reason = _WHY_NOT_PUT[why] or ("others hold it, too" if shared else "named twice")
        return ValueError(f"frame {pfn}: {reason}{before}")

    cdef pgx_entry *entry(self, object pfn) except NULL:
        number = as_int(pfn)
        self.check()
        if not 0 <= number < self.region.nframes:
            raise IndexError(f"frame {number}: out of range; the arena has frames 0 to {self.region.nframes - 1}")
        return &self.region.entries[<uint64_t>number]

    def get(self, pfn):
        """Take a reference on the page in frame `pfn`: True, or False where there is none to take (free, frozen).

        It keeps the page, and keeps it where it is: an exchange of it is refused with -EAGAIN until put(). It is this
        process's, and `refs` does not count it. ArenaFullError: no place for it is left.
        """
        cdef pgx_entry *e = self.entry(pfn)
        cdef uint64_t number = e - self.region.entries
        if not _has_page(e):
            return False
        if add_pin(self.region, number, 0) != 0:
            raise self._no_pin()
        pgx_fence()
        if _has_page(e):
            return True
        drop_pin(self.region, number, 0)
        trim_pins(self.region)
        return False

    def put(self, pfn):
        """Drop a reference: one by get() first, then the one of alloc(); the last one frees the folio.

        ValueError when this process has none to drop. For the last reference, and for the one of alloc(), a page in an
        exchange, or in another thread's call, is waited for; ArenaBusyError: too long.
        """
        cdef pgx_entry *e = self.entry(pfn)
        cdef int64_t number = e - self.region.entries
        cdef uint32_t first
        cdef int64_t done = 0
        cdef int why = MAY_PUT
        cdef bint again = False
        # Without the page's lock: whoever has it, or waits with it, may be waiting for just this.
        if not is_last_get(self.region, number) and drop_pin(self.region, number, 0):
            pgx_fence()
            if not is_left(self.region, number):
                trim_pins(self.region)
                return
            again = add_pin(self.region, number, 0) == 0  # its last user has just gone: it is freed below, under its lock
        cdef CallSlot slot = self.call_slot()
        self.enter(slot, &number, 1, &first)
        try:
            if again and not is_held_by_get(self.region, number):  # whoever took the last user away has freed it
                drop_pin(self.region, number, 0)
                trim_pins(self.region)
            else:
                why = self._put(slot, &number, 1, &done)
        finally:
            page_leave(&self.region.entries[first], slot.number)
        if why != MAY_PUT:
            raise self._not_put(slot, number, why, False, 0)

    def expected_refs(self, pfn):
        """What `refs` of the page in frame `pfn` is at rest: cache + private + mapcount, and 1 when a process holds it."""
        cdef pgx_entry *e = self.entry(pfn)
        return structural_refs(self.region, e) + (pgx_load16(&e.held) != 0)

    def pin(self, pfn):
        """Pin a frame for long: an exchange of it is refused with -EBUSY until unpin().

        ArenaFullError: no pin is left. ArenaBusyError: an exchange has the page; not after get().
        """
        cdef pgx_entry *e = self.entry(pfn)
        cdef uint64_t number = e - self.region.entries
        cdef uint32_t refs
        cdef uint8_t state = pgx_load8(&e.state)
        if state == PGX_USED or state == PGX_TAIL:
            if add_pin(self.region, number, PGX_PIN_LONG) != 0:
                raise self._no_pin()
            pgx_fence()
            # A folio is frozen by its first frame. One that this process has by `get` is not moved, frozen or not.
            refs = pgx_load32(&self.region.entries[first_frame(self.region, <uint32_t>number)].refs)
            if refs and (not refs & PGX_FROZEN or find_pin(self.region, number, 0) != NULL):
                return
            drop_pin(self.region, number, PGX_PIN_LONG)
            trim_pins(self.region)
            if refs:
                raise ArenaBusyError(errno.EAGAIN, f"frame {number}: an exchange has it frozen; try again")
        raise ValueError(f"frame {number}: holds no page that could be pinned")

    cdef object _no_pin(self):
        return ArenaFullError(
            errno.EUSERS, f"all {PGX_PINS} pins and references of this process are in use; unpin() or put() one"
        )

    def unpin(self, pfn):
        """Undo one pin(). ValueError when this process has not pinned the frame."""
        cdef uint64_t number = self.entry(pfn) - self.region.entries
        if not drop_pin(self.region, number, PGX_PIN_LONG):
            raise ValueError(f"frame {number}: not pinned")
        trim_pins(self.region)

    def lock(self, pfn):
        """Try to lock the page in frame `pfn`: True when it is yours now. An exchange of it gives -EAGAIN meanwhile.

        False: it is locked by an exchange, by another call or by lock(), in whichever thread or process.
        """
        cdef pgx_entry *e = self.entry(pfn)
        cdef uint32_t owner = keeper_owner(self.region.self)
        cdef uint32_t turn = 0
        if pgx_load8(&e.state) != PGX_USED:
            raise ValueError(f"frame {e - self.region.entries}: not the first frame of a folio in use")
        while not pgx_change_owner(e, 0, owner):
            if pgx_load32(&e.owner) & PGX_OWNER_KEEPER or not wait_until(&turn, 0):
                return False
        # Freed or set through a view: the flag says that it is locked, whoever did that.
        if pgx_load8(&e.state) != PGX_USED or pgx_or64(&e.flags, self.region.layout.locked) & self.region.layout.locked:
            _let_keep_go(e)
            return False
        return True

    def unlock(self, pfn):
        """Undo lock(). ValueError when this process has not locked the frame."""
        cdef pgx_entry *e = self.entry(pfn)
        if pgx_load32(&e.owner) & PGX_OWNER_KEEPER != keeper_owner(self.region.self):
            raise ValueError(f"frame {e - self.region.entries}: not locked by lock() of this process")
        pgx_and64(&e.flags, ~self.region.layout.locked)
        _let_keep_go(e)

    def set_flags(self, pfns, mask):
        """Set the bits of `mask` (uint64 scalar or array) in the flags words of `pfns`. All frames or none.

        A bit that moves with the page, or that forbids to move it, is set under the page's lock: no exchange has the page
        then. For that lock the call waits some seconds, but not for a page that lock() has taken: its flags may be changed.
        Bits that stay with the frame, `hwpoison` too, are set without it, each word atomically.

        Raises
        ------
        ValueError
            The mask has a bit that follows from where and what the page is, or `locked`.
        IndexError
            The first frame that is out of range.
        ArenaBusyError
            An exchange, or another call, did not let go of a page; nothing was changed.
        """
        self._change_flags(as_pfns(pfns), as_words(mask, "mask"), True)

    def clear_flags(self, pfns, mask):
        """Clear the bits of `mask` in the flags words of `pfns`. As `set_flags`; flags that forbid to move a page need no lock.

        What ends write-back does not lock the page: an exchange that has it locked may be waiting for just that.
        """
        self._change_flags(as_pfns(pfns), as_words(mask, "mask"), False)

    def _change_flags(self, pfns, words, bint on):
        cdef Use use = self.use()
        cdef CallSlot slot
        cdef pgx_region *r = self.region
        cdef pgx_layout *l = &r.layout
        cdef uint64_t bits
        cdef uint32_t *firsts
        cdef int64_t n, m
        pages, masks = np.broadcast_arrays(pfns, words)
        pages, masks = np.ascontiguousarray(pages), np.ascontiguousarray(masks)
        n = pages.size
        bits = np.bitwise_or.reduce(masks.reshape(-1)) if n else 0
        # Who changed these would have to keep references, trees and the allocator in step.
        if bits & (l.private_ | l.head | ((1ull << l.node_width) - 1) << l.node_shift
                   | ((1ull << l.zone_width) - 1) << l.zone_shift):
            raise ValueError("mask: node, zone, head and private follow from where and what the page is")
        if bits & l.locked:
            raise ValueError("mask: `locked` is set by lock() and cleared by unlock()")
        self.in_range(pages)
        cdef const int64_t *pfn = <const int64_t *>address(pages)
        cdef const uint64_t *word = <const uint64_t *>address(masks)
        if not bits & _guarded(l, on):
            with nogil:
                _change(r, 0, pfn, word, n, on)
            return
        slot = self.call_slot()
        ascending = pages if _ascend(pfn, n) else np.sort(pages)
        locked = np.empty(ascending.size, dtype=np.uint32)
        firsts = <uint32_t *>address(locked)
        m = ascending.size
        self.enter(slot, <const int64_t *>address(ascending), m, firsts)
        with nogil:
            _change(r, slot.number, pfn, word, n, on)
            leave_pages(r, slot.number, firsts, m)

    # ---- mappings and spaces: their names and kinds; their pages are in `cache` and `space` ----------------------------

    def new_mapping(self, name="", shmem=False, aops="migrate"):
        """Make a mapping (a file's `address_space`); its number. ArenaFullError when all are in use."""
        if aops not in AOPS:
            raise ValueError(f"aops {aops!r}: choose one of {', '.join(AOPS)}")
        cdef uint32_t kind = AOPS[aops]
        cdef bint is_shmem = bool(shmem)
        cdef bytes raw = str(name).encode()[:63]
        cdef CallSlot call = self.call_slot()
        cdef pgx_mapping *m
        cdef Undo u = structure_undo(self.region, call.number)
        self.enter_structure(call)
        cdef int64_t best = _free_mapping(self.region)
        if best >= 0:
            m = &self.region.mappings[best]  # all of it is zero, but for the generation and the tree's `seq`
            _put_name(&u, m.name, raw, len(raw))
            put32(&u, &m.shmem, is_shmem)
            put32(&u, &m.aops, kind)
            put32(&u, &m.used, 1)
            undo_commit(&u)
        structure_unlock(self.region)
        if best < 0:
            raise ArenaFullError(
                errno.ENOSPC, f"all {self.region.nmappings} mappings are in use; create the arena with more"
            )
        return best

    def new_space(self, name=""):
        """Make an address space; its number. ArenaFullError when all are in use."""
        cdef bytes raw = str(name).encode()[:63]
        cdef CallSlot call = self.call_slot()
        cdef pgx_space *s
        cdef Undo u = structure_undo(self.region, call.number)
        self.enter_structure(call)
        cdef int64_t best = _free_space(self.region)
        if best >= 0:
            s = &self.region.spaces[best]
            _put_name(&u, s.name, raw, len(raw))
            put32(&u, &s.used, 1)
            undo_commit(&u)
        structure_unlock(self.region)
        if best < 0:
            raise ArenaFullError(errno.ENOSPC, f"all {self.region.nspaces} spaces are in use; create the arena with more")
        return best

    cdef int enter_structure(self, CallSlot call) except -1:
        """Take the structure lock; until `structure_unlock` no Python runs. ArenaBusyError: another call has it."""
        cdef Owner owner = Owner(0, 0)
        cdef int rc
        with nogil:
            rc = structure_enter(self.region, call.number, call.until, &owner)
        if rc != 0:
            raise ArenaBusyError(
                errno.EAGAIN, f"{who(owner.slot, owner.phase, self.region.workers)} changes mappings, spaces or trees, and "
                "did not come to an end; nothing was changed; try again"
            )
        return 0

    # ---- tests -----------------------------------------------------------------------------------------------------

    @property
    def fail_alloc(self):
        """Fault injection: the n-th allocation from now on fails (frames, XArray nodes, page tables); 0 off."""
        self.check()
        return self.region.fail_alloc

    @fail_alloc.setter
    def fail_alloc(self, n):
        cdef uint64_t number = n
        self.check()
        self.region.fail_alloc = number


def makes_huge_pages():
    """Whether this Linux makes huge pages of shared memory on demand (6.1 and newer, MADV_COLLAPSE)."""
    return can_collapse()


def _after_fork():
    for region in list(_live):
        region._forked()


def _at_exit():
    # What a view, a cycle or a thread still refers to is never deallocated.
    for region in list(_live):
        _remove_file(region)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
