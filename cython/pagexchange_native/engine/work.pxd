"""A batch at work: what a strategy tells the engine, and a worker's private state. The passes over it are in files of their own."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.format cimport *
from pagexchange_native.movers.moves cimport pgx_isa
from pagexchange_native.plugin cimport pgx_find, pgx_flags_ops, pgx_mapping_ops, pgx_move, pgx_mover_ops

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
    FROZEN_0 = 4
    FROZEN_1 = 8
    UNMAPPED_0 = 16
    UNMAPPED_1 = 32
    PREPARED = 64

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

cdef struct Work:  # private copies of what is checked: what lies in the record is not trusted again
    uint32_t pfn[2]      # ascending
    uint32_t mapping[2]  # mapping number + 1 of a file page, else 0
    uint32_t slot[2]     # the tree's word that points at a file page (`xa_slot_number`), else 0
    uint32_t refs[2]     # of each page at rest
    uint32_t owner[2]    # who has each page at rest: 0; of a migration's free frame our slot + 1
    int32_t status       # 0 going on, NEXT_MOVER, -errno
    uint32_t done        # the bits above
    uint32_t order
    uint8_t kind[2]      # of each page: `kind_of`
    int64_t at           # position in the caller's list

cdef struct Plan:  # what a strategy tells the engine; read-only while it runs
    pgx_flags_ops flags
    pgx_mapping_ops mapping
    pgx_mover_ops movers[MOVERS]
    python_move_fn python[MOVERS]
    void *strategy
    uint32_t n_movers
    bint copies          # the movers are copiers: each pair is a page and a free frame, which the worker has taken
    uint32_t mode
    uint64_t timeout_ns

cdef struct Worker:
    pgx_region *r
    const Plan *plan
    pgx_slot *rec
    const pgx_isa *isa  # for recovery only
    uint32_t slot
    uint32_t mover      # which of the plan's movers this batch uses
    uint32_t split      # helper threads for one large folio
    uint32_t node       # where a migration's free frames come from
    uint32_t n
    uint32_t n_live
    uint32_t n_find
    const int64_t *ahead  # pairs that come after this batch, for fetching what they need: n_ahead of them
    uint32_t n_ahead
    uint64_t deadline
    uint64_t ns[5]
    uint64_t asked, got, retries, tries
    uint64_t moved[MOVERS]  # pairs that each mover of the chain exchanged
    uint64_t violation  # bits that a flag policy touched and may not
    int32_t failed      # -errno when a plug-in failed as a whole
    int flags_rc        # what the flag policy answered
    uint32_t live[128]  # numbers of the pairs that are still going on
    Work work[128]
    uint64_t fa[128]
    uint64_t fb[128]
    uint64_t na[128]
    uint64_t nb[128]
    # What only some pairs need, each by a list of its own: a kind that cannot be foretold costs one branch, not one a pass.
    # A list may name pairs that were dropped since. A page is its pair's number * 2 + side.
    uint32_t n_mapped, n_flagged, n_counted, n_holds
    uint32_t files[256]    # pages of files, n_find of them
    uint32_t mapped[256]   # pages with page-table entries
    uint32_t flagged[128]  # pairs whose flags words change
    uint32_t counted[128]  # pairs with which the nodes' counters change
    uint32_t holds[256]    # mappings whose trees are held, number + 1
    pgx_find find[256]
    pgx_move moves[128]
    uint64_t tails[128]  # of large folios: bits in which the words of the tails differ, and that move with the page
    uint64_t keys[256]


cdef inline uint32_t page_side(const Work *p) noexcept nogil:
    """Which side of a migration the page is, the other one being a free frame; of an exchange the first one."""
    return p.owner[0] != 0
