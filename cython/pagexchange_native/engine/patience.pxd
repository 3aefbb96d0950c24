# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The first pass of a batch that met a page which is not at rest, in a mode that may wait: lock, check, freeze, record.

Frames are locked in ascending order, so that no cycle of waiters can form; write-back and references are waited for
under the lock. Bounded: by the batch's deadline, and by a number of tries.
"""

from libc.errno cimport EAGAIN, EBUSY, EINVAL, ETIMEDOUT
from libc.stdint cimport uint32_t, uint64_t
from posix.unistd cimport usleep

from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.engine.claim cimport let_go, other_order, record_side, refused_as
from pagexchange_native.engine.page_check cimport IS_REFERENCED, IS_WRITTEN, Page, exists, look, movable, tails_forbid
from pagexchange_native.engine.work cimport ASYNC, FROZEN_0, LOCKED_0, SYNC, Work, Worker
from pagexchange_native.format cimport *

cdef extern from "<sched.h>" nogil:
    int sched_yield()


cdef inline bint wait_a_turn(Worker *w, uint32_t *turn) noexcept nogil:
    """Waits a little, longer after a while. False once the batch's deadline has passed."""
    turn[0] += 1
    w.tries += 1
    if turn[0] < 200:
        pgx_pause()
        return True
    if now_ns() > w.deadline:
        return False
    usleep(20)
    return True


cdef inline bint still_referenced(Worker *w, const uint64_t *word, uint64_t pin) noexcept nogil:
    """Whether somebody keeps a reference of `get` on a frozen page, looked at as often as the mode says."""
    cdef uint32_t tries = tries_of(w)
    cdef uint32_t t
    cdef uint64_t now
    for t in range(tries):
        now = pgx_load64(word)  # how often it is taken may change meanwhile
        if now == 0 or pgx_pin_pfn(now) != pgx_pin_pfn(pin):
            return False
        w.tries += 1
        if t + 1 < tries:
            _pause(w)
    return True


cdef inline uint32_t tries_of(const Worker *w) noexcept nogil:
    return 1 if w.plan.mode == ASYNC else (10 if w.plan.mode == SYNC else 3)


cdef inline void _pause(const Worker *w) noexcept nogil:
    if w.plan.mode == SYNC:
        usleep(20)
    else:
        sched_yield()


cdef inline bint _trylock(Worker *w, uint32_t pfn) noexcept nogil:
    cdef pgx_entry *e = &w.r.entries[pfn]
    if not pgx_change_owner(e, 0, w.slot + 1):
        return False
    if pgx_load64(&e.flags) & w.r.layout.locked:
        pgx_change_owner(e, w.slot + 1, 0)  # set by hand, not by a lock: it is not ours to clear
        return False
    return True


cdef inline void _sort(uint64_t *keys, uint32_t n) noexcept nogil:
    """Insertion sort; n <= 256, and only a batch that waits comes here."""
    cdef uint32_t i, j
    cdef uint64_t key
    for i in range(1, n):
        key = keys[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


cdef inline void _refuse(Worker *w, uint32_t i, int status) noexcept nogil:
    let_go(w, i)
    w.work[i].status = status
    w.rec.pair[i].status = status


cdef inline void _lock_all(Worker *w) noexcept nogil:
    cdef uint32_t i, k, side, turn
    cdef uint32_t n = 0
    cdef Work *p
    for i in range(w.n):
        p = &w.work[i]
        if p.status == 0:
            w.keys[n] = <uint64_t>p.pfn[0] << 16 | i << 1
            w.keys[n + 1] = <uint64_t>p.pfn[1] << 16 | i << 1 | 1
            n += 2
    _sort(w.keys, n)
    w.retries += 1
    for k in range(n):
        i = (w.keys[k] & 0xffff) >> 1
        side = w.keys[k] & 1
        p = &w.work[i]
        if p.status != 0 or p.owner[side]:  # a free frame is ours already
            continue
        turn = 0
        while not _trylock(w, p.pfn[side]):
            if not wait_a_turn(w, &turn):
                _refuse(w, i, -EAGAIN)
                break
        else:
            p.done |= LOCKED_0 << side


cdef inline int _check_side(Worker *w, uint32_t pfn, uint32_t order, Page *page) noexcept nogil:
    cdef int rc
    while True:
        look(w.r, pfn, page)
        rc = exists(w.r, pfn, page)
        if rc == 0 and page.order != order:
            rc = -EINVAL
        if rc == 0:
            rc = movable(w.r, page)
        if rc != IS_WRITTEN:
            return rc
        if w.plan.mode != SYNC:
            return -EBUSY
        if now_ns() > w.deadline:
            return -ETIMEDOUT
        usleep(20)


cdef inline int _freeze_side(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    cdef Work *p = &w.work[i]
    cdef uint64_t *word = pgx_state_word(&w.r.entries[p.pfn[side]])
    cdef uint64_t mark = pgx_state_of(PGX_FROZEN | w.slot, w.slot + 1)
    cdef uint32_t tries = tries_of(w)
    cdef uint32_t t
    cdef Page page
    cdef int rc
    for t in range(tries):
        rc = _check_side(w, p.pfn[side], p.order, &page)
        if rc != 0:
            return rc
        if page.refs and pgx_cas64(word, pgx_state_of(page.refs, w.slot + 1), mark):
            p.done |= FROZEN_0 << side
            record_side(w, i, side, &page)
            return 0
        w.tries += 1
        if t + 1 < tries:
            _pause(w)
    return refused_as(w, IS_REFERENCED)


cdef inline int _exist(Worker *w, uint32_t i) noexcept nogil:
    """Whether two pages of one size begin in a pair's frames: 0 and their order, or -errno."""
    cdef Work *p = &w.work[i]
    cdef Page a, b
    cdef int rc
    look(w.r, p.pfn[0], &a)
    look(w.r, p.pfn[1], &b)
    rc = exists(w.r, p.pfn[0], &a)
    if rc == 0:
        rc = exists(w.r, p.pfn[1], &b)
    p.order = a.order
    return other_order(w) if rc == 0 and a.order != b.order else rc


cdef inline int _take(Worker *w, uint32_t i) noexcept nogil:
    """Checks and freezes a pair whose frames are locked."""
    cdef Work *p = &w.work[i]
    cdef Page page
    cdef uint32_t side
    cdef int rc = _exist(w, i)
    if rc != 0:
        return rc
    for side in range(2):
        rc = _check_side(w, p.pfn[side], p.order, &page)
        if rc != 0:
            return rc
    if p.order:
        rc = tails_forbid(w.r, p.pfn[0], p.pfn[1], p.order, &w.tails[i])
        if rc != 0:
            return rc
    rc = _freeze_side(w, i, 0)
    return _freeze_side(w, i, 1) if rc == 0 else rc


cdef inline void claim_patiently(Worker *w) noexcept nogil:
    cdef uint32_t i
    cdef int rc
    for i in range(w.n):
        if w.work[i].status == 0:
            rc = _exist(w, i)
            if rc != 0:
                _refuse(w, i, rc)
    _lock_all(w)
    for i in range(w.n):
        if w.work[i].status == 0:
            rc = _take(w, i)
            if rc != 0:
                _refuse(w, i, rc)
