# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine's face: takes a list of pairs, cuts it into batches, runs them on one or more workers, gives statuses.

Between the first pair and the last no Python runs for a native strategy, and no Python object is made: the list is
read through a buffer, statuses are written into one, workers are private C structs that the strategy keeps.
"""

import numpy as np

from pagexchange_native.errors import ArenaFullError
from pagexchange_native.engine.python_objects import PythonMover
from pagexchange_native.arena.reentry import plugin_of, refuse_plugin_of

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBADMSG, EFAULT, EINTR, EINVAL
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from pagexchange_native.arena.region cimport Region
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.engine.guarded_move cimport guard_install
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.buffers cimport INT32, INT64, address, extent, items, view_of
from pagexchange_native.format cimport *
from pagexchange_native.arena.slots cimport claim_slot, release_slot
from pagexchange_native.engine.worker cimport (
    ASYNC, MOVERS, SYNC, SYNC_LIGHT, T_PARTS, Plan, Work, Worker, now_ns, peek, run_batch,
)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t *thread, void *attr, void *(*start)(void *) noexcept nogil, void *arg)
    int pthread_join(pthread_t thread, void **value)

cdef extern from "<errno.h>":
    enum:
        ECANCELED
        EUSERS

MODES = {"async": ASYNC, "sync-light": SYNC_LIGHT, "sync": SYNC}
MAX_THREADS = 64

cdef enum:
    PENDING = 1   # status of a pair that nobody has looked at yet
    POLL = 64     # batches between two looks at pending signals

cdef struct Share:  # what one worker thread gets of a list
    Worker *w
    void *self
    const int64_t *pairs
    int32_t *status
    uint64_t *seen      # one bit per frame: the frames of the batch, in sequential order; else NULL
    int64_t lo
    int64_t hi
    bint lead           # runs in the caller's own thread
    uint32_t *stop      # set when the call shall end


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


cdef void _peek_batch(Worker *w) noexcept nogil:
    """Refuses what cannot be exchanged before anything is locked."""
    cdef uint32_t i, order_0, order_1
    cdef int rc
    cdef Work *p
    for i in range(w.n):
        p = &w.work[i]
        order_0 = 0
        order_1 = 0
        rc = peek(w.r, p.pfn[0], &order_0)
        if rc == 0:
            rc = peek(w.r, p.pfn[1], &order_1)
        if rc == 0 and order_0 != order_1:
            rc = -EINVAL
        p.order = order_0
        p.status = rc


cdef void _run_share(Share *s) noexcept nogil:
    cdef Worker *w = s.w
    cdef Work *p
    cdef int64_t at = s.lo
    cdef int64_t a, b
    cdef uint32_t i, kept
    cdef uint32_t batches = 0
    cdef int rc
    while at < s.hi:
        w.n = 0
        while at < s.hi and w.n < PGX_BATCH:
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
            p = &w.work[w.n]
            p.pfn[0] = <uint32_t>(a if a < b else b)
            p.pfn[1] = <uint32_t>(b if a < b else a)
            p.at = at
            p.done = 0
            pgx_prefetch(&w.r.entries[a])
            pgx_prefetch(&w.r.entries[b])
            w.n += 1
            at += 1
        _peek_batch(w)
        w.mover = 0
        run_batch(w)
        if s.seen != NULL:
            for i in range(w.n):
                s.seen[w.work[i].pfn[0] >> 6] = 0
                s.seen[w.work[i].pfn[1] >> 6] = 0
        # Pairs that this mover could not serve go to the chain's next one, as a batch of their own.
        while True:
            kept = 0
            for i in range(w.n):
                if w.work[i].status == 1:
                    w.work[kept] = w.work[i]
                    w.work[kept].status = 0
                    w.work[kept].done = 0
                    kept += 1
                else:
                    s.status[w.work[i].at] = w.work[i].status
                    w.moved[w.mover] += w.work[i].status == 0
            w.n = kept
            if kept == 0:
                break
            w.mover += 1
            run_batch(w)
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


cdef void *_thread(void *arg) noexcept nogil:
    _run_share(<Share *>arg)
    return NULL


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


cdef class Exchanger:
    """A flag policy, a chain of data movers and a mapping updater, bound to an arena.

    Parameters
    ----------
    arena : Region
    flags : FlagPolicy
    movers : sequence of DataMover
        Asked in turn: a pair that one refuses with -ENOMEM goes to the next.
    mapping : MappingUpdater
    mode : {"async", "sync-light", "sync"}
        May it wait: never; for page locks; for locks and write-back.
    timeout : float
        Seconds that one batch may wait in all.
    threads : int
        Workers that share a list, or helpers that share one large folio.
    """

    def __cinit__(self, Region arena, FlagPolicy flags, movers, MappingUpdater mapping, *, mode="async", timeout=1.0,
                  threads=1):
        cdef DataMover mover
        arena.check()
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
        for what, theirs in [("flags", flags.ops.abi), ("mapping", mapping.ops.abi)]:
            if theirs != PGX_ABI:
                raise ValueError(f"{what}: built for ABI {theirs}, this is ABI {PGX_ABI}; build the plug-in again")
        if flags.ops.exchange == NULL or mapping.ops.find == NULL:
            raise ValueError("a flag policy or a mapping updater without a function")
        self.plan.flags = flags.ops
        self.plan.mapping = mapping.ops
        self.plan.strategy = <void *>self
        self.plan.mode = MODES[mode]
        self.plan.timeout_ns = <uint64_t>(float(timeout) * 1e9)
        self.threads = int(threads)
        for i, one in enumerate(self.movers):
            mover = one
            if mover.ops.abi != PGX_ABI:
                raise ValueError(f"{mover.name}: built for ABI {mover.ops.abi}, this is ABI {PGX_ABI}; build it again")
            self.plan.movers[i] = mover.ops
            if isinstance(one, PythonMover):
                self.plan.python[i] = _python_move
            elif mover.ops.move == NULL:
                raise ValueError(f"{mover.name}: a data mover without a function")
            if mover.ops.threads > self.threads:
                self.threads = min(mover.ops.threads, MAX_THREADS)
        self.plan.n_movers = len(self.movers)
        self.workers = <Worker **>calloc(arena.region.nslots, sizeof(Worker *))
        if self.workers == NULL:
            raise MemoryError(f"no memory for {arena.region.nslots} workers' addresses")
        self.nworkers = arena.region.nslots

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.nworkers):  # the arena may be closed or, in a cycle, gone by now
            free(self.workers[i])
        free(self.workers)

    @property
    def native(self):
        """True when no Python runs between the first pair of a list and the last."""
        return not any(type(o).__name__.startswith("Python") for o in [self.flags, self.mapping, *self.movers])

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
            violation mask, workers used, pairs that each mover exchanged)
        """
        cdef Region arena = self.arena
        pairs = view_of(pairs, "pairs", INT64, 2)
        status = view_of(status, "status", INT32, 1, writable=True)
        cdef const int64_t *pair = <const int64_t *>items(pairs)
        cdef int32_t *outcome = <int32_t *>items(status)
        cdef int64_t n = extent(pairs, 0)
        cdef uint32_t want = self.threads if threads is None else <uint32_t>int(threads)
        cdef uint32_t k
        cdef uint32_t got = 0
        cdef int64_t slot
        cdef int i
        cdef Share[64] share
        cdef pthread_t[64] thread
        cdef bint[64] started
        cdef uint32_t stop = 0
        cdef uint64_t *seen = NULL
        cdef uint64_t t0
        cdef uint64_t wall
        cdef uint64_t[5] parts
        cdef uint64_t asked = 0
        cdef uint64_t frames = 0
        cdef uint64_t retries = 0
        cdef uint64_t violation = 0
        cdef uint64_t[MOVERS] moved
        cdef uint32_t split = 1
        arena.check()
        if extent(pairs, 1) != 2:
            raise ValueError(f"pairs: want shape (n, 2), got ({n}, {extent(pairs, 1)})")
        if extent(status, 0) != n:
            raise ValueError(f"status: want {n} elements, got {extent(status, 0)}")
        if not 1 <= want <= MAX_THREADS:
            raise ValueError(f"threads {want}: want 1 to {MAX_THREADS}")
        refuse_plugin_of(arena, "exchange pages")
        if n == 0:
            return 0, (0, 0, 0, 0, 0), 0, 0, 0, 0, 0, (0,) * len(self.movers)
        guard_install()
        if sequential:
            want = 1
        if n < want:  # fewer pairs than threads: the threads share each folio instead
            split = want
            want = 1
        seen = <uint64_t *>calloc((arena.region.nframes >> 6) + 1, 8)
        if seen == NULL:
            raise MemoryError(f"no memory for a bit per frame: {(arena.region.nframes >> 6) * 8 + 8} bytes")
        while got < want:
            slot = claim_slot(arena.region)
            if slot < 0:
                break
            share[got].w = self.worker(<uint32_t>slot)
            if share[got].w == NULL:
                release_slot(arena.region, <uint32_t>slot)
                break
            got += 1
        if got == 0:
            free(seen)
            if slot >= 0:
                raise MemoryError(f"no memory for a worker: {sizeof(Worker)} bytes")
            raise ArenaFullError(
                EUSERS, f"all {arena.region.nslots - 1} workers of the arena are busy; create it with more (workers=...)"
            )
        arena.exports += 1
        for i in range(T_PARTS):
            parts[i] = 0
        for i in range(MOVERS):
            moved[i] = 0
        t0 = now_ns()
        with nogil:
            if sequential:
                for k in range(n):
                    outcome[k] = PENDING
            else:
                _screen(arena.region, pair, outcome, seen, n)
            for k in range(got):
                share[k].w.split = split
                share[k].self = <void *>self
                share[k].pairs = pair
                share[k].status = outcome
                share[k].seen = seen if sequential else NULL
                share[k].lo = n * k // got
                share[k].hi = n * (k + 1) // got
                share[k].lead = k == 0
                share[k].stop = &stop
            for k in range(1, got):
                started[k] = pthread_create(&thread[k], NULL, _thread, &share[k]) == 0
            _run_share(&share[0])
            for k in range(1, got):
                if started[k]:
                    pthread_join(thread[k], NULL)
                else:
                    _run_share(&share[k])
        wall = now_ns() - t0
        free(seen)
        for k in range(got):
            for i in range(T_PARTS):
                parts[i] += share[k].w.ns[i]
            asked += share[k].w.asked
            frames += share[k].w.got
            retries += share[k].w.retries + share[k].w.tries
            violation |= share[k].w.violation
            for i in range(MOVERS):
                moved[i] += share[k].w.moved[i]
            release_slot(arena.region, share[k].w.slot)
        arena.exports -= 1
        self._raise()
        return (wall, (parts[0], parts[1], parts[2], parts[3], parts[4]), asked, frames, retries, violation, got,
                tuple([moved[i] for i in range(<int>self.plan.n_movers)]))

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
            if origin is not None:  # else a signal's handler raised it: nobody's plug-in
                error.pagexchange_plugin = origin.name
            raise error

    cdef int python_batch(self, Worker *w) except? -1:
        """Moves a batch with a Python mover, under the whole-page log; see `worker.pyx`, data."""
        cdef pgx_region *r = w.r
        cdef uint8_t *log = r.pieces + <uint64_t>w.slot * PGX_PIECES * 2 * PGX_PIECE
        cdef int64_t per
        cdef int64_t k, j, g, first, count, total
        cdef int64_t done = 0
        cdef Work *p
        cdef int64_t *a
        cdef int64_t *b
        total = 0
        for k in range(w.n_live):
            total += <int64_t>(r.page_size << w.work[w.live[k]].order) // PGX_PIECE
        all_a = np.empty(total, dtype=np.int64)
        all_b = np.empty(total, dtype=np.int64)
        a = <int64_t *>address(all_a)
        b = <int64_t *>address(all_b)
        j = 0
        for k in range(w.n_live):
            p = &w.work[w.live[k]]
            per = <int64_t>r.page_size // PGX_PIECE
            for first in range(per << p.order):
                a[j] = p.pfn[0] * per + first
                b[j] = p.pfn[1] * per + first
                j += 1
        pieces = self.arena.frames.reshape(-1, PGX_PIECE // 8)
        function = self.movers[w.mover].function
        g = 0
        try:
            while done < total:
                count = min(PGX_PIECES, total - done)
                for k in range(count):
                    memcpy(log + 2 * k * PGX_PIECE, r.frames + a[done + k] * PGX_PIECE, PGX_PIECE)
                    memcpy(log + (2 * k + 1) * PGX_PIECE, r.frames + b[done + k] * PGX_PIECE, PGX_PIECE)
                pgx_publish(&w.rec.state, ((2 * <uint64_t>g + 1) << 8) | PGX_DATA)
                try:
                    with plugin_of(self.arena):
                        function(pieces, all_a[done:done + count].copy(), all_b[done:done + count].copy())
                    for k in range(count):
                        if memcmp(r.frames + a[done + k] * PGX_PIECE, log + (2 * k + 1) * PGX_PIECE, PGX_PIECE) or \
                                memcmp(r.frames + b[done + k] * PGX_PIECE, log + 2 * k * PGX_PIECE, PGX_PIECE):
                            raise RuntimeError(
                                f"piece {a[done + k]} and piece {b[done + k]} were not exchanged; all pages were put back"
                            )
                except BaseException:
                    _put_back(w, log, a, b, done, count, g)
                    raise
                done += count
                g += 1
                pgx_publish(&w.rec.state, ((2 * <uint64_t>g) << 8) | PGX_DATA)
        finally:
            del pieces
        return 0


cdef void _put_back(Worker *w, uint8_t *log, const int64_t *a, const int64_t *b, int64_t done, int64_t count,
                    int64_t g) noexcept:
    """Restores the group that failed from the log, then exchanges the earlier groups back, each under the log."""
    cdef pgx_region *r = w.r
    cdef int64_t k
    for k in range(count):
        memcpy(r.frames + a[done + k] * PGX_PIECE, log + 2 * k * PGX_PIECE, PGX_PIECE)
        memcpy(r.frames + b[done + k] * PGX_PIECE, log + (2 * k + 1) * PGX_PIECE, PGX_PIECE)
    pgx_publish(&w.rec.state, ((2 * <uint64_t>g) << 8) | PGX_BACK)
    while g > 0:
        g -= 1
        done -= PGX_PIECES
        for k in range(PGX_PIECES):
            memcpy(log + 2 * k * PGX_PIECE, r.frames + a[done + k] * PGX_PIECE, PGX_PIECE)
            memcpy(log + (2 * k + 1) * PGX_PIECE, r.frames + b[done + k] * PGX_PIECE, PGX_PIECE)
        pgx_publish(&w.rec.state, ((2 * <uint64_t>g + 1) << 8) | PGX_BACK)
        for k in range(PGX_PIECES):
            memcpy(r.frames + a[done + k] * PGX_PIECE, log + (2 * k + 1) * PGX_PIECE, PGX_PIECE)
            memcpy(r.frames + b[done + k] * PGX_PIECE, log + 2 * k * PGX_PIECE, PGX_PIECE)
        pgx_publish(&w.rec.state, ((2 * <uint64_t>g) << 8) | PGX_BACK)
    pgx_publish(&w.rec.state, PGX_INTENT)
