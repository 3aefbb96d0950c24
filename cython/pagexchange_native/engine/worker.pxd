"""One worker's private state, and the steps of an exchange on it. See `worker.pyx`."""

from libc.errno cimport EBUSY, EINVAL, ENOENT, ENXIO, EUCLEAN
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.format cimport *
from pagexchange_native.plugin cimport pgx_find, pgx_flags_ops, pgx_mapping_ops, pgx_move, pgx_mover_ops

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef enum:
    MOVERS = 4      # in a chain, at most

cdef enum:
    ASYNC = 0       # never waits
    SYNC_LIGHT = 1  # waits for page locks, not for write-back
    SYNC = 2        # waits for both, within the timeout

cdef enum:  # what a pair's status says besides 0 and -errno, while a call goes on
    PENDING = 1     # nothing has looked at it yet
    NEXT_MOVER = 2  # this mover could not take what it needs: the chain's next one is asked

cdef enum:  # how far a pair has come: what undoing it has to undo
    LOCKED_0 = 1
    LOCKED_1 = 2
    HELD_0 = 4
    HELD_1 = 8
    UNMAPPED_0 = 16
    UNMAPPED_1 = 32
    FROZEN_0 = 64
    FROZEN_1 = 128
    PREPARED = 256

cdef enum:  # where the time went; `COSTS` in steps.py has the names, in this order
    T_LOCK = 0
    T_FLAGS = 1
    T_DATA = 2
    T_MAPPING = 3
    T_FINISH = 4
    T_PARTS = 5

# A mover that is a Python callable: moves pairs [first, first + n) of the worker's batch under the whole-page log.
# 0, or -errno with the exception kept by the strategy; every page is then as it was.
ctypedef int (*python_move_fn)(void *strategy, Worker *w) noexcept nogil

cdef struct Work:
    uint32_t pfn[2]    # ascending
    uint32_t order
    int32_t status     # 0 going on, NEXT_MOVER, -errno
    uint32_t done      # the bits above
    int64_t at         # position in the caller's list
    uint64_t mapping[2]  # mapping number + 1 of a file page, else 0: a private copy
    uint64_t slot[2]     # byte offset of the word that points at a file page, else 0: a private copy
    uint64_t old_flags[2]
    uint64_t tails     # bits in which the words of the tails differ, and that move with the page

cdef struct Plan:  # what a strategy tells the engine; read-only while it runs
    pgx_flags_ops flags
    pgx_mapping_ops mapping
    pgx_mover_ops movers[MOVERS]
    python_move_fn python[MOVERS]
    void *strategy
    uint32_t n_movers
    uint32_t mode
    uint64_t timeout_ns

cdef struct Worker:
    pgx_region *r
    const Plan *plan
    pgx_slot *rec
    uint32_t slot
    uint32_t mover      # which of the plan's movers this batch uses
    uint32_t split      # helper threads for one large folio
    uint32_t n
    uint64_t deadline
    uint64_t ns[5]
    uint64_t asked, got, retries, tries
    uint64_t moved[MOVERS]  # pairs that each mover of the chain exchanged
    uint64_t violation  # bits that a flag policy touched and may not
    int32_t failed      # -errno when a plug-in failed as a whole
    Work work[128]
    uint32_t live[128]  # numbers of the pairs that are still going on
    uint32_t n_live
    uint64_t keys[256]
    uint64_t fa[128]
    uint64_t fb[128]
    uint64_t na[128]
    uint64_t nb[128]
    pgx_find find[256]
    uint32_t find_of[256]
    pgx_move moves[128]

# Catches SIGBUS in frames from now on, unless that is done; OSError when it cannot be.
cdef int guard_install() except -1
# Exchanges the pairs in `w.work[:w.n]` that have status 0; each has its final status afterwards.
cdef void run_batch(Worker *w) noexcept nogil


cdef inline int peek(const pgx_region *r, uint32_t pfn, uint32_t *order) noexcept nogil:
    """Whether this frame's page can be exchanged: 0 and its order, or -errno. Looked at once more under the lock."""
    cdef const pgx_entry *e = &r.entries[pfn]
    cdef uint8_t state = pgx_load8(&e.state)
    cdef uint64_t flags
    if state == PGX_FREE:
        return -ENOENT
    if state == PGX_TAIL:
        return -EINVAL
    if state == PGX_OFFLINE:
        return -ENXIO
    if state == PGX_RESERVED:
        return -EBUSY
    if state != PGX_USED:
        return -EUCLEAN
    flags = pgx_load64(&e.flags)
    if flags & r.layout.hwpoison:
        return -EHWPOISON
    if flags & r.layout.reserved:
        return -EBUSY
    order[0] = pgx_load8(&e.order)
    if order[0] > PGX_MAX_ORDER or pfn + (1ull << order[0]) > r.nframes or pfn & ((1u << order[0]) - 1):
        return -EUCLEAN
    return 0
