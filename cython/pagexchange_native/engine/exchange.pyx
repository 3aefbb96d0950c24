# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine's face: takes a list of pairs, cuts it into batches, runs them on one or more workers, gives statuses.

Between the first pair and the last no Python runs for a native strategy, and no Python object is made: the list is
read through a buffer, statuses are written into one, workers are private C structs that the strategy keeps.
"""

import numpy as np

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.engine.python_objects import PythonCopier, PythonFlags, PythonMapping, PythonMover
from pagexchange_native.arena import reentry
from pagexchange_native.arena.reentry import plugin_of, refuse_plugin_of

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBADMSG, EFAULT, EINTR, EINVAL
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from pagexchange_native.arena.locks cimport now_ns, wait_until
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.plugin cimport pgx_mover_ops
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.engine.page_check cimport Page, exists, look
from pagexchange_native.engine.targets cimport take_targets
from pagexchange_native.engine.threads cimport MOST_THREADS, run_jobs
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.buffers cimport INT32, INT64, address, extent, items, view_of
from pagexchange_native.format cimport *
from pagexchange_native.arena.slots cimport claim_worker, release_slot
from pagexchange_native.engine.whole_pages cimport (
    copied_in_group, exchanged_in_group, in_group, pieces_of, put_groups_back, put_open_group_back, save_group,
)
from pagexchange_native.engine.work cimport (
    ASYNC, MOVERS, NEXT_MOVER, PENDING, SYNC, SYNC_LIGHT, T_DATA, T_PARTS, Plan, Work, Worker, page_side,
)
from pagexchange_native.engine.worker cimport guard_install, run_batch

cdef extern from "<errno.h>":
    enum:
        ECANCELED
        EUSERS

MODES = {"async": ASYNC, "sync-light": SYNC_LIGHT, "sync": SYNC}
MAX_THREADS = MOST_THREADS
cdef dict _running = reentry.RUNNING  # asked in every call

cdef enum:
    BATCH = 32  # pairs of one in a long list: what the engine keeps of them fits into L1. Measured: docs/engine-numbers.md
    POLL = 256  # batches between two looks at pending signals
    LOOK = 50_000_000  # ns between them while a call waits for a worker
    GUARDED = 100_000  # ns between two looks at who handles SIGBUS: each is a system call
    FEW = 16           # pairs that are compared with each other; the frames of more are noted in a bitmap
    MIGRATED = 512     # base pages that are migrated at one time, as Linux has it (NR_MAX_BATCHED_MIGRATION)

cdef struct Share:  # what one worker thread gets of a list
    Worker *w
    void *self
    const int64_t *pairs
    int32_t *status
    int64_t *placed     # of a migration: the list again, whose second frames say where each page lies; else NULL
    uint32_t node       # and where its pages go to
    uint64_t *seen      # one bit per frame: the frames of the batch, in sequential order; else NULL
    int64_t lo
    int64_t hi
    bint lead           # runs in the caller's own thread
    uint32_t *stop      # not 0: the call is to end; 1 a plug-in failed, 2 a signal came
    uint64_t *spent     # where its thread writes its wall and its CPU time, ns; NULL: there is one, who called knows


cdef inline bint _seen(uint64_t *bits, uint64_t pfn) noexcept nogil:
    return bits[pfn >> 6] >> (pfn & 63) & 1


cdef int _range(const pgx_region *r, int64_t a, int64_t b) noexcept nogil:
    if a < 0 or b < 0 or <uint64_t>a >= r.nframes or <uint64_t>b >= r.nframes:
        return -EFAULT
    return -EINVAL if a == b else 0


cdef void _screen(const pgx_region *r, const int64_t *pairs, int32_t *status, uint64_t *seen, int64_t n) noexcept nogil:
    """Range, self-pairs and frames that an earlier pair uses: all of the list, before any lock."""
    cdef int64_t i, a, b
    cdef int rc
    for i in range(n):
        a = pairs[2 * i]
        b = pairs[2 * i + 1]
        rc = _range(r, a, b)
        if rc == 0:
            if _seen(seen, a) or _seen(seen, b):
                rc = -EINVAL
            seen[a >> 6] |= 1ull << (a & 63)
            seen[b >> 6] |= 1ull << (b & 63)
        status[i] = rc if rc else PENDING


cdef void _screen_few(const pgx_region *r, const int64_t *pairs, int32_t *status, int64_t n) noexcept nogil:
    """The same for at most FEW pairs, without a bitmap: its cache lines cost more than the comparisons."""
    cdef uint32_t[2 * FEW] used
    cdef uint32_t count = 0
    cdef uint32_t j, again
    cdef int64_t i, a, b
    cdef int rc
    for i in range(n):
        a = pairs[2 * i]
        b = pairs[2 * i + 1]
        rc = _range(r, a, b)
        if rc == 0:
            again = 0
            for j in range(count):
                again |= <uint32_t>(used[j] == <uint32_t>a) | <uint32_t>(used[j] == <uint32_t>b)
            if again:
                rc = -EINVAL
            used[count] = <uint32_t>a
            used[count + 1] = <uint32_t>b
            count += 2
        status[i] = rc if rc else PENDING


cdef inline bint _named_before(const int64_t *pairs, int64_t i) noexcept nogil:
    cdef int64_t j
    for j in range(i):
        if pairs[2 * j] == pairs[2 * i]:
            return True
    return False


cdef int _there_already(const pgx_region *r, int64_t pfn) noexcept nogil:
    """Of a frame of the node that its page is to go to: 0 if there is a page, or -errno."""
    cdef Page page
    look(r, <uint32_t>pfn, &page)
    return exists(r, <uint32_t>pfn, &page)


cdef void _screen_pages(const pgx_region *r, const int64_t *pairs, int32_t *status, uint64_t *seen, int64_t n,
                        uint32_t node) noexcept nogil:
    """Of a migration: range, frames that are named again, and pages that lie on their node. `seen` is NULL for a few."""
    cdef uint64_t start = r.node_start[node]
    cdef uint64_t frames = r.node_frames[node]
    cdef int64_t i, pfn
    cdef bint again
    for i in range(n):
        pfn = pairs[2 * i]
        if pfn < 0 or <uint64_t>pfn >= r.nframes:
            status[i] = -EFAULT
            continue
        if seen == NULL:
            again = _named_before(pairs, i)
        else:
            again = _seen(seen, pfn)
            seen[pfn >> 6] |= 1ull << (pfn & 63)
        if again:
            status[i] = -EINVAL
        elif <uint64_t>pfn - start < frames:
            status[i] = _there_already(r, pfn)
        else:
            status[i] = PENDING


cdef inline bint _shorter(const pgx_region *r, int64_t n) noexcept nogil:
    """Whether n pairs name fewer words of the bitmap than it has."""
    return <uint64_t>(2 * n) < (r.nframes >> 6) + 1


cdef void _clear(const pgx_region *r, const int64_t *pairs, uint64_t *seen, int64_t n) noexcept nogil:
    """Clears the bits that `_screen` has set. A list that is `_shorter` must be private: it is gone through once more."""
    cdef int64_t i
    if not _shorter(r, n):
        memset(seen, 0, ((r.nframes >> 6) + 1) * 8)
        return
    for i in range(2 * n):
        if 0 <= pairs[i] and <uint64_t>pairs[i] < r.nframes:
            seen[pairs[i] >> 6] = 0


cdef void _gather(Share *s, int64_t *position) noexcept nogil:
    """Takes the next pairs of a list for a batch: as many as fit, or up to the first whose frame the batch has already."""
    cdef Worker *w = s.w
    cdef Work *p
    cdef int64_t a, b
    cdef int64_t at = position[0]
    cdef uint32_t most = PGX_BATCH if s.hi - s.lo <= PGX_BATCH else BATCH
    cdef int rc
    w.n = 0
    while at < s.hi and w.n < most:
        if s.status[at] != PENDING:
            at += 1
            continue
        a = s.pairs[2 * at]
        b = s.pairs[2 * at + 1]
        rc = _range(w.r, a, b)  # the list may lie in shared memory: what was screened is not what is used
        if rc != 0:
            s.status[at] = rc
            at += 1
            continue
        if s.seen != NULL:
            if _seen(s.seen, a) or _seen(s.seen, b):
                break
            s.seen[a >> 6] |= 1ull << (a & 63)
            s.seen[b >> 6] |= 1ull << (b & 63)
        pgx_prefetch(&w.r.entries[a])
        pgx_prefetch(&w.r.entries[b])
        p = &w.work[w.n]
        p.pfn[0] = <uint32_t>(a if a < b else b)
        p.pfn[1] = <uint32_t>(b if a < b else a)
        p.at = at
        w.n += 1
        at += 1
    position[0] = at
    w.ahead = s.pairs + 2 * at
    w.n_ahead = <uint32_t>(s.hi - at if s.hi - at < BATCH else BATCH)


cdef void _gather_pages(Share *s, int64_t *position) noexcept nogil:
    """`_gather` of a migration: a batch has no more base pages than Linux migrates at one time, but for one large folio."""
    cdef Worker *w = s.w
    cdef Work *p
    cdef int64_t at = position[0]
    cdef int64_t pfn
    cdef uint32_t most = PGX_BATCH if s.hi - s.lo <= PGX_BATCH else BATCH
    cdef uint64_t frames = 0
    w.n = 0
    while at < s.hi and w.n < most:
        pfn = s.pairs[2 * at]
        if s.status[at] == PENDING and not 0 <= pfn < <int64_t>w.r.nframes:
            s.status[at] = -EFAULT  # as in `_gather`
        if s.status[at] == PENDING:
            if pgx_load8(&w.r.entries[pfn].state) == PGX_USED:  # what a free block's frame calls its order is the allocator's
                frames += 1ull << min(<uint32_t>pgx_load8(&w.r.entries[pfn].order), <uint32_t>PGX_MAX_ORDER)
            if frames > MIGRATED and w.n:
                break
            p = &w.work[w.n]
            p.pfn[0] = <uint32_t>pfn
            p.at = at
            w.n += 1
        at += 1
    position[0] = at
    w.ahead = s.pairs + 2 * at
    w.n_ahead = <uint32_t>(s.hi - at if s.hi - at < BATCH else BATCH)


cdef inline void _take_targets(Worker *w, int32_t *status) noexcept nogil:
    """Takes the batch's free frames, within the cost of the data as the temporary page's are."""
    cdef uint64_t start = now_ns()
    take_targets(w, status)
    w.ns[T_DATA] += now_ns() - start


cdef void _place(Share *s) noexcept nogil:
    """Writes where the pages of a batch lie that went."""
    cdef const Work *p
    cdef uint32_t i
    for i in range(s.w.n):
        p = &s.w.work[i]
        if p.status == 0:
            s.placed[2 * p.at + 1] = p.pfn[1 - page_side(p)]


cdef void _open(Worker *w) noexcept nogil:
    """Begins the record of a batch: its frames, and nothing that an earlier one has left."""
    cdef uint32_t i
    cdef Work *p
    cdef pgx_pair *rec
    for i in range(w.n):
        p = &w.work[i]
        p.status = 0
        p.done = 0
        p.mapping[0] = 0
        p.mapping[1] = 0
        rec = &w.rec.pair[i]
        rec.side[0].pfn = p.pfn[0]
        rec.side[1].pfn = p.pfn[1]
        rec.side[0].mapping = 0
        rec.side[1].mapping = 0
        rec.status = 0
        # `temp` is 0, or names a folio that its mover could not give back, and finds again; of a migration it is side's.
    w.mover = 0


cdef void _next_movers(Share *s) noexcept nogil:
    """Gives statuses. Pairs that a mover could not serve go to the chain's next one, as a batch of their own."""
    cdef Worker *w = s.w
    cdef int32_t *status = s.status
    cdef uint32_t i, kept, mover
    while True:
        kept = 0
        if s.placed != NULL:
            _place(s)
        for i in range(w.n):
            if w.work[i].status == NEXT_MOVER:
                w.work[kept] = w.work[i]
                if s.placed != NULL:
                    w.work[kept].pfn[0] = w.work[i].pfn[page_side(&w.work[i])]
                kept += 1
            else:
                status[w.work[i].at] = w.work[i].status
                w.moved[w.mover] += w.work[i].status == 0
        w.n = kept
        if kept == 0:
            return
        mover = w.mover + 1
        if s.placed != NULL:
            _take_targets(w, status)
        _open(w)
        w.mover = mover
        w.n_ahead = 0
        run_batch(w)


cdef uint64_t _thread_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef void *_run_share(void *job) noexcept nogil:
    cdef Share *s = <Share *>job
    cdef uint64_t wall, cpu
    if s.spent == NULL:
        _run_list(s)
        return NULL
    wall = now_ns()
    cpu = _thread_ns()
    _run_list(s)
    s.spent[1] = _thread_ns() - cpu
    s.spent[0] = now_ns() - wall
    return NULL


cdef void _run_list(Share *s) noexcept nogil:
    cdef Worker *w = s.w
    cdef int64_t at = s.lo
    cdef uint32_t i
    cdef uint32_t batches = 0
    while at < s.hi:
        if s.placed == NULL:
            _gather(s, &at)
        else:
            _gather_pages(s, &at)
            _take_targets(w, s.status)
        _open(w)
        run_batch(w)
        if s.seen != NULL:
            for i in range(w.n):
                s.seen[w.work[i].pfn[0] >> 6] = 0
                s.seen[w.work[i].pfn[1] >> 6] = 0
        _next_movers(s)
        if w.failed:
            pgx_store32(s.stop, 1)
        batches += 1
        if s.lead and batches % POLL == 0 and _signalled(s.self):
            pgx_store32(s.stop, 2)
        if pgx_load32(s.stop):
            while at < s.hi:
                if s.status[at] == PENDING:
                    s.status[at] = -ECANCELED if pgx_load32(s.stop) == 1 else -EINTR
                at += 1


cdef bint _signalled(void *self) noexcept nogil:
    with gil:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            (<Exchanger>self).error = error
            return True
    return False


cdef int _python_move(void *strategy, Worker *w) noexcept nogil:
    with gil:
        return _python_move_gil(<Exchanger>strategy, w)


cdef int _python_move_gil(Exchanger self, Worker *w) noexcept:
    try:
        return self.python_batch(w)
    except BaseException as error:
        self.error = error
        self.error_from = self.movers[w.mover]
        return -EBADMSG


cdef int _check_lists(object pairs, object status) except -1:
    """Refuses lists that do not fit together."""
    if extent(pairs, 1) != 2:
        raise ValueError(f"pairs: want shape (n, 2), got ({extent(pairs, 0)}, {extent(pairs, 1)})")
    if extent(status, 0) != extent(pairs, 0):
        raise ValueError(f"status: want {extent(pairs, 0)} elements, got {extent(status, 0)}")
    return 0


cdef uint64_t *_take_bits(Exchanger self) except NULL:
    """A bit per frame, all clear: those that are kept, or their own for calls that run at the same time."""
    cdef uint64_t *seen = self.seen
    cdef uint64_t words = (self.arena.region.nframes >> 6) + 1
    self.seen = NULL
    if seen == NULL:
        seen = <uint64_t *>calloc(words, 8)
    if seen == NULL:
        raise MemoryError(f"no memory for a bit per frame: {words * 8} bytes")
    return seen


cdef void _keep_bits(Exchanger self, uint64_t *seen) noexcept:
    """Takes bits back, all clear."""
    if self.seen == NULL:
        self.seen = seen
    else:
        free(seen)


cdef uint32_t _claim_workers(Exchanger self, Share *share, uint32_t want) except 0:
    """Claims up to `want` workers, one for each share; how many it got. Fewer are no error: only none at all is one.

    While none is free it waits for one, as long as a batch may wait for locks.
    """
    cdef pgx_region *r = self.arena.region
    cdef uint32_t got = 0
    cdef int64_t slot = 0
    cdef uint64_t until = 0
    while got < want:
        slot = claim_worker(r)
        if slot < 0 and got == 0:
            if until == 0:
                until = now_ns() + self.plan.timeout_ns
            slot = _wait_for_worker(r, until)
        if slot < 0:
            break
        share[got].w = self.worker(<uint32_t>slot)
        if share[got].w == NULL:
            release_slot(r, <uint32_t>slot)
            break
        got += 1
    if got:
        return got
    if slot >= 0:
        raise MemoryError(f"no memory for a worker: {sizeof(Worker)} bytes")
    raise ArenaFullError(
        EUSERS, f"all {r.workers} workers of the arena were busy for {self.plan.timeout_ns / 1e9:g} s; "
        "create it with more (workers=...), or let the call wait longer (timeout=...)"
    )


cdef int64_t _wait_for_worker(pgx_region *r, uint64_t until) except? -1:
    """A worker's slot, or -EUSERS after `until`; raises what a signal's handler raises meanwhile."""
    cdef int64_t slot = -EUSERS
    cdef uint64_t now = now_ns()
    cdef uint64_t look
    cdef uint32_t turn
    while slot < 0 and now < until:
        turn = 0
        look = min(until, now + LOOK)
        with nogil:
            while slot < 0 and wait_until(&turn, look):
                slot = claim_worker(r)
        if slot < 0:
            PyErr_CheckSignals()
        now = now_ns()
    return slot


cdef void _expect_all(const Share *whole) noexcept nogil:
    """Marks every pair of a list in order as not yet looked at: what is wrong with one is found when its turn comes."""
    cdef int64_t i
    for i in range(whole.hi):
        whole.status[i] = PENDING


cdef void _share_out(const Share *whole, Share *share, uint32_t n, uint32_t split) noexcept nogil:
    """Cuts a list into n parts that differ by one pair at most."""
    cdef Worker *w
    cdef uint32_t k
    for k in range(n):
        w = share[k].w
        w.split = split
        w.node = whole.node
        share[k] = whole[0]
        share[k].w = w
        share[k].lo = whole.hi * k // n
        share[k].hi = whole.hi * (k + 1) // n
        share[k].lead = k == 0
        share[k].spent = NULL if n == 1 or whole.spent == NULL else whole.spent + 2 * k


cdef void _sum_up(pgx_region *r, const Share *share, uint32_t n, Counts *counts) noexcept nogil:
    """Adds up what the workers counted, and gives their slots back."""
    cdef Worker *w
    cdef uint32_t k
    cdef int i
    for k in range(n):
        w = share[k].w
        for i in range(T_PARTS):
            counts.ns[i] += w.ns[i]
        for i in range(MOVERS):
            counts.moved[i] += w.moved[i]
        counts.asked += w.asked
        counts.got += w.got
        counts.retries += w.retries + w.tries
        counts.violation |= w.violation
        release_slot(r, w.slot)
    counts.workers = n


cdef tuple numbers_of(const Counts *counts, uint32_t movers, const uint64_t *spent):
    """What `exchange` returns."""
    cdef uint32_t i
    cdef uint32_t told = 0 if spent == NULL or counts.workers == 1 else counts.workers
    return (counts.wall, tuple([counts.ns[i] for i in range(T_PARTS)]), counts.asked, counts.got, counts.retries,
            counts.violation, counts.workers, tuple([counts.moved[i] for i in range(movers)]),
            tuple([(spent[2 * i], spent[2 * i + 1]) for i in range(told)]))


cdef str _not_moved(int64_t a, int64_t b, bint copies):
    if copies:
        return f"piece {a} was not copied to piece {b}, or was changed; all pages are where they were"
    return f"piece {a} and piece {b} were not exchanged; all pages were put back"


cdef pgx_mover_ops _table(object mover, int number, bint copies) except *:
    """The table of a mover, or of a copier where the first one of the chain is one."""
    cdef pgx_mover_ops ops
    if not isinstance(mover, DataCopier if copies else DataMover):
        wanted = "DataCopier" if copies else "DataMover"
        raise TypeError(f"data mover {number}: want a {wanted}, got {type(mover).__name__}")
    ops = (<DataCopier>mover).ops if copies else (<DataMover>mover).ops
    if ops.abi != PGX_ABI:
        raise ValueError(f"{mover.name}: built for ABI {ops.abi}, this is ABI {PGX_ABI}; build it again")
    return ops


cdef class Exchanger:
    """A flag policy, a chain of data movers and a mapping updater, bound to an arena.

    Parameters
    ----------
    arena : Region
    flags : FlagPolicy
    movers : sequence of DataMover, or of DataCopier
        Asked in turn: a pair that one refuses with -ENOMEM goes to the next. Copiers make it one that migrates.
    mapping : MappingUpdater
    mode : {"async", "sync-light", "sync"}
        May it wait: never; for page locks; for locks and write-back.
    timeout : float
        Seconds that one batch may wait in all.
    threads : int
        Workers that share a list, or helpers that share one large folio.
    """

    def __cinit__(self, Region arena not None, FlagPolicy flags not None, movers, MappingUpdater mapping not None, *,
                  mode="async", timeout=1.0, threads=1):
        cdef DataMover mover
        cdef Use use = arena.use()
        if mode not in MODES:
            raise ValueError(f"mode {mode!r}: choose one of {', '.join(MODES)}")
        if not 1 <= int(threads) <= MAX_THREADS:
            raise ValueError(f"threads {threads}: want 1 to {MAX_THREADS}")
        if not 0 <= float(timeout) <= 3600:
            raise ValueError(f"timeout {timeout}: want 0 to 3600 seconds")
        self.arena = arena
        self.flags = flags
        self.mapping = mapping
        self.movers = list(movers)
        if not 1 <= len(self.movers) <= MOVERS:
            raise ValueError(f"{len(self.movers)} data movers: want 1 to {MOVERS}")
        for question, theirs in [("flags", flags.ops.abi), ("mapping", mapping.ops.abi)]:
            if theirs != PGX_ABI:
                raise ValueError(f"{question}: built for ABI {theirs}, this is ABI {PGX_ABI}; build the plug-in again")
        if flags.ops.exchange == NULL or mapping.ops.find == NULL:
            raise ValueError("a flag policy or a mapping updater without a function")
        self.plan.flags = flags.ops
        self.plan.mapping = mapping.ops
        self.plan.strategy = <void *>self
        self.plan.mode = MODES[mode]
        self.plan.timeout_ns = <uint64_t>(float(timeout) * 1e9)
        self.threads = int(threads)
        self.plan.copies = isinstance(self.movers[0], DataCopier)
        for i in range(len(self.movers)):
            self.plan.movers[i] = _table(self.movers[i], i, self.plan.copies)
            if isinstance(self.movers[i], (PythonMover, PythonCopier)):
                self.plan.python[i] = _python_move
            elif self.plan.movers[i].move == NULL:
                raise ValueError(f"{self.movers[i].name}: a data mover without a function")
            if self.plan.movers[i].threads > self.threads:
                self.threads = min(self.plan.movers[i].threads, MAX_THREADS)
        self.plan.n_movers = len(self.movers)
        self.workers = <Worker **>calloc(arena.region.nslots, sizeof(Worker *))
        if self.workers == NULL:
            raise MemoryError(f"no memory for {arena.region.nslots} workers' addresses")
        self.nworkers = arena.region.nslots
        objects = [flags, mapping, *self.movers]
        self.native = not any(isinstance(each, (PythonFlags, PythonMapping, PythonMover, PythonCopier)) for each in objects)

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.nworkers):  # the arena may be closed or, in a cycle, gone by now
            free(self.workers[i])
        free(self.workers)
        free(self.seen)

    cdef Worker *worker(self, uint32_t slot) noexcept nogil:
        cdef Worker *w = self.workers[slot]
        cdef int i
        if w == NULL:
            w = <Worker *>calloc(1, sizeof(Worker))
            if w == NULL:
                return NULL
            self.workers[slot] = w
        w.r = self.arena.region
        w.plan = &self.plan
        w.rec = pgx_slot_at(w.r, slot)
        w.slot = slot
        w.split = 1
        w.asked = 0
        w.got = 0
        w.retries = 0
        w.tries = 0
        for i in range(MOVERS):
            w.moved[i] = 0
        w.violation = 0
        w.failed = 0
        for i in range(T_PARTS):
            w.ns[i] = 0
        return w

    def exchange(self, pairs, status, *, bint sequential=False, threads=None):
        """Exchange pairs of pages; write one status each.

        Parameters
        ----------
        pairs : int64[n, 2], C-contiguous
            Frames. What is out of range gets -EFAULT.
        status : int32[n], writable
            0 or -errno, written for every pair.
        sequential : bool
            Pairs may share frames and are done in order. Otherwise a frame's second use gets -EINVAL.

        Returns
        -------
        tuple
            (wall ns, (lock, flags, data, mapping, finish) ns summed over workers, frames asked, frames got, retries,
            violation mask, workers used, pairs that each mover exchanged, (wall ns, CPU ns) of each worker's thread,
            the caller's first: of one worker none, since who called knows its own)
        """
        cdef Counts counts
        cdef uint64_t[2 * MOST_THREADS] spent
        cdef Use use = self.arena.use()  # it says first that an arena is closed
        pairs = view_of(pairs, "pairs", INT64, 2)
        status = view_of(status, "status", INT32, 1, writable=True)
        _check_lists(pairs, status)
        cdef int64_t n = extent(pairs, 0)
        cdef const char *numbers = <const char *>items(pairs)
        if _shorter(self.arena.region, n):  # else it may be the caller's, which may change meanwhile
            private = PyBytes_FromStringAndSize(numbers, 16 * n)
            numbers = PyBytes_AS_STRING(private)
        self.run(<const int64_t *>numbers, <int32_t *>items(status), n, sequential,
                 self.threads if threads is None else <uint32_t>int(threads), EXCHANGE, &counts, spent)
        return numbers_of(&counts, self.plan.n_movers, spent)

    def migrate(self, pairs, status, int node, *, threads=None):
        """Migrate pages to a node; write one status each, and where each page lies.

        Parameters
        ----------
        pairs : int64[n, 2], writable, C-contiguous, outside of the arena
            A page's frame, twice; the second one becomes the frame that the page lies in afterwards.
        status : int32[n], writable
            0 or -errno, written for every page.
        node : int
            Number of the node.

        Returns
        -------
        tuple
            As of `exchange`.
        """
        cdef Counts counts
        cdef uint64_t[2 * MOST_THREADS] spent
        cdef Use use = self.arena.use()
        pairs = view_of(pairs, "pairs", INT64, 2, writable=True)
        status = view_of(status, "status", INT32, 1, writable=True)
        _check_lists(pairs, status)
        self.run(<const int64_t *>items(pairs), <int32_t *>items(status), extent(pairs, 0), False,
                 self.threads if threads is None else <uint32_t>int(threads), node, &counts, spent)
        return numbers_of(&counts, self.plan.n_movers, spent)

    cdef int run(self, const int64_t *pairs, int32_t *status, int64_t n, bint sequential, uint32_t threads, int node,
                 Counts *counts, uint64_t *spent) except -1:
        """`exchange` or `migrate`, of plain memory that the caller holds, and to which nobody else writes if it migrates.

        `pairs` of a list that is `_shorter` are private. `node`: EXCHANGE, or where the pages go to.
        `spent` has room for wall and CPU time of as many threads as are asked for, and is written if several worked;
        with NULL nobody asks.
        """
        cdef Share[MOST_THREADS] share
        cdef Share whole
        cdef uint32_t stop = 0
        cdef uint32_t split = 1
        cdef uint64_t start
        cdef Use use = self.arena.use()
        memset(counts, 0, sizeof(Counts))
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads {threads}: want 1 to {MOST_THREADS}")
        if self.plan.copies != (node != EXCHANGE):
            raise ValueError("a chain of data movers exchanges, one of data copiers migrates")
        if node != EXCHANGE and not 0 <= node < <int>self.arena.region.nnodes:
            raise ValueError(f"node {node}: there are {self.arena.region.nnodes}")
        if _running:
            refuse_plugin_of(self.arena, "exchange pages")
        if n == 0:
            return 0
        start = now_ns()
        if start - self.guarded > GUARDED:  # another library may have taken the signal since
            guard_install()
            self.guarded = start
        if sequential:
            threads = 1
        if n < threads:  # fewer pairs than threads: the threads share each folio instead
            split = threads
            threads = 1
        whole.self = <void *>self
        whole.pairs = pairs
        whole.status = status
        whole.placed = <int64_t *>pairs if self.plan.copies else NULL
        whole.node = <uint32_t>node if self.plan.copies else 0
        whole.seen = NULL
        whole.lo = 0
        whole.hi = n
        whole.stop = &stop
        whole.spent = spent
        cdef uint64_t *seen = NULL
        if n > FEW or (sequential and n > 1):
            seen = _take_bits(self)
        if sequential:
            whole.seen = seen
        try:
            threads = _claim_workers(self, share, threads)
            with nogil:
                if self.plan.copies:
                    _screen_pages(self.arena.region, pairs, status, seen, n, whole.node)
                elif sequential:
                    _expect_all(&whole)
                elif seen != NULL:
                    _screen(self.arena.region, pairs, status, seen, n)
                else:
                    _screen_few(self.arena.region, pairs, status, n)
                _share_out(&whole, share, threads, split)
                run_jobs(_run_share, share, sizeof(Share), threads)
                if seen != NULL and not sequential:
                    _clear(self.arena.region, pairs, seen, n)
                counts.wall = now_ns() - start
                _sum_up(self.arena.region, share, threads, counts)
        finally:
            if seen != NULL:
                _keep_bits(self, seen)
        if self.error is not None or not self.native:
            self._raise()
        return 0

    def _raise(self):
        """Raise what a Python plug-in raised during the call."""
        for plugin in (self.flags, self.mapping):
            error = getattr(plugin, "error", None)
            if error is not None:
                plugin.error = None
                self.error = error
                self.error_from = plugin
        error, self.error = self.error, None
        origin, self.error_from = self.error_from, None
        if error is not None:
            if origin is not None:  # else a signal's handler raised it, and no plug-in is to blame
                object.__setattr__(error, "pagexchange_plugin", origin.name)  # its class may refuse, a frozen one does
            raise error

    cdef int python_batch(self, Worker *w) except? -1:
        """Moves or copies a batch with a callable, under the whole-page log; see `worker.pyx`, data."""
        cdef pgx_region *r = w.r
        cdef uint64_t total = pieces_of(w)
        cdef uint64_t per = r.page_size // pgx_piece(r)
        cdef uint64_t g, first, end, moved
        cdef uint32_t side
        cdef int64_t j = 0
        cdef uint32_t k
        cdef Work *p
        cdef int64_t *a
        cdef int64_t *b
        all_a = np.empty(total, dtype=np.int64)
        all_b = np.empty(total, dtype=np.int64)
        a = <int64_t *>address(all_a)
        b = <int64_t *>address(all_b)
        for k in range(w.n_live):
            p = &w.work[w.live[k]]
            side = page_side(p)
            for first in range(per << p.order):
                a[j] = <int64_t>(p.pfn[side] * per + first)
                b[j] = <int64_t>(p.pfn[1 - side] * per + first)
                j += 1
        pieces = self.arena.frames.reshape(-1, pgx_piece(r) // 8)
        function = self.movers[w.mover].function
        try:
            for g in range((total + PGX_PIECES - 1) // PGX_PIECES):
                first, end = g * PGX_PIECES, g * PGX_PIECES + in_group(g, total)
                save_group(w, g, total)
                pgx_publish(&w.rec.state, ((2 * g + 1) << 8) | PGX_DATA)
                try:
                    with plugin_of(self.arena):
                        function(pieces, all_a[first:end].copy(), all_b[first:end].copy())
                    moved = first + (copied_in_group if self.plan.copies else exchanged_in_group)(w, g, total)
                    if moved < end:
                        raise RuntimeError(_not_moved(a[moved], b[moved], self.plan.copies))
                except BaseException:
                    put_open_group_back(w, g, total, False)
                    put_groups_back(w, g, total)
                    raise
                pgx_publish(&w.rec.state, ((2 * (g + 1)) << 8) | PGX_DATA)
        finally:
            del pieces
        return 0
