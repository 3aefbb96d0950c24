# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The steps of one exchange, for a batch of pairs at once, on a worker's slot.

`steps.py` beside this file lists them: order, who serves each, what a failure leaves. A batch is a few passes over its
pairs, each a file or a function here, in this order: `claim` (lock, freeze, check and record, at once; `patience` where it
may wait), pins, ready (unmap, hold, what is asked of the plug-ins), `settle` (their answers), prepare; then, beyond the
point of no return (publishing DATA), data, tails, and under META `finish`: apply and let go; IDLE. A mover written in Python
is the exception: it works above that point, under the whole-page log, and is checked. A migration is the same with pairs of
a page and a free frame (`targets`), of which the second is freed at the end.

What a pass will need is fetched by the one before it: page-table words and slots by `claim`, the next batch's entries
before this one's data are moved. A pair that cannot go on is put back by `drop`; the others do not notice. Works on private
copies of pfns, orders and numbers: what lies in shared memory is read once and checked.
"""

import os

from libc.errno cimport EAGAIN, EBUSY, ENOMEM
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.engine.claim cimport claim, refused_as
from pagexchange_native.engine.data_log cimport log_of, move_of
from pagexchange_native.engine.drop cimport drop
from pagexchange_native.engine.finish cimport finish, give_back_all, store_counters
from pagexchange_native.engine.guarded_move cimport move_guarded, readable
from pagexchange_native.engine.helpers cimport move_split
from pagexchange_native.engine.page_check cimport IS_REFERENCED
from pagexchange_native.engine.patience cimport claim_patiently, still_referenced, wait_a_turn
from pagexchange_native.engine.recovery cimport recover_exchange
from pagexchange_native.engine.settle cimport as_errno, kind_of, set_targets, take_flags, take_slots
from pagexchange_native.engine.tails cimport exchange_tails
from pagexchange_native.engine.targets cimport free_frames
from pagexchange_native.engine.work cimport *
from pagexchange_native.format cimport *
from pagexchange_native.pages.page_tables cimport rewrite
from pagexchange_native.plugin cimport pgx_find, pgx_log, pgx_mover_ops
from pagexchange_native.xarray.tree cimport xa_held, xa_release, xa_tryhold

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef extern from "pagexchange/guard.h" nogil:
    int pgx_guard_install()


cdef int guard_install() except -1:
    cdef int rc = pgx_guard_install()
    if rc != 0:
        raise OSError(-rc, f"SIGBUS cannot be caught: {os.strerror(-rc)}")
    return 0


# ---- pins ------------------------------------------------------------------------------------------------------------

cdef inline void _meets(Worker *w, const uint64_t *word, uint64_t kind) noexcept nogil:
    """Drops the pair that a pin of a kind is of; a reference is waited for, as long as the mode says, and may go."""
    cdef uint64_t pin = pgx_load64(word)
    cdef uint64_t first = pgx_pin_pfn(pin)
    cdef uint32_t i, side
    cdef Work *p
    if pin == 0 or pin & PGX_PIN_LONG != kind:
        return
    for i in range(w.n):
        p = &w.work[i]
        for side in range(2):
            if p.status == 0 and first >= p.pfn[side] and first < <uint64_t>p.pfn[side] + (1u << p.order):
                if kind == PGX_PIN_LONG:
                    drop(w, i, -EBUSY)
                elif still_referenced(w, word, pin):
                    drop(w, i, refused_as(w, IS_REFERENCED))
                return


cdef inline void _look_through(Worker *w, uint32_t process, uint64_t kind) noexcept nogil:
    cdef uint32_t k = 0
    while k < min(pgx_load32(&w.r.pin_tops[process]), <uint32_t>PGX_PINS):
        _meets(w, &w.r.pins[process * PGX_PINS + k], kind)
        k += 1


cdef void _pins(Worker *w) noexcept nogil:
    """Drops the pairs with a pinned frame. A pin is stored first and looks at `refs` second, we the other way round.

    Who has a page by `get` may pin it for long although we have it frozen, and put it then, in whichever places: pins for long
    are looked at when all references have been. There are no new ones to a frozen page.
    """
    cdef uint32_t process
    pgx_fence()
    for process in range(PGX_CALL_SLOTS):
        if pgx_load32(&w.r.pin_tops[process]):
            _look_through(w, process, 0)
            _look_through(w, process, PGX_PIN_LONG)


# ---- ready: unmap, hold, and what is asked of the plug-ins --------------------------------------------------------------

cdef inline bint _hold(Worker *w, uint32_t mapping) noexcept nogil:
    """Holds the shape of a mapping's tree, once a batch: a writer of the tree waits for its holders.

    In every mode: a writer is done in a moment. Only one that has died is waited for in vain, until the deadline.
    """
    cdef pgx_xarray *xa = &w.r.mappings[mapping - 1].pages
    cdef uint32_t turn = 0
    if xa_held(xa, w.slot):
        return True
    while not xa_tryhold(xa, w.slot):
        if not wait_a_turn(w, &turn):
            return False
    w.holds[w.n_holds] = mapping
    w.n_holds += 1
    return True


cdef inline void _release_holds(Worker *w) noexcept nogil:
    cdef uint32_t k
    for k in range(w.n_holds):
        xa_release(&w.r.mappings[w.holds[k] - 1].pages, w.slot)
    w.n_holds = 0


cdef inline void _sort_by_kind(Worker *w) noexcept nogil:
    """Lists the pages of files and the mapped ones. Without a branch on what a page is."""
    cdef uint32_t i, side
    cdef Work *p
    cdef pgx_side *rec
    w.n_find = 0
    w.n_mapped = 0
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        for side in range(2):
            rec = &w.rec.pair[i].side[side]
            rec.slot = 0
            p.slot[side] = 0
            p.kind[side] = <uint8_t>kind_of(w.r, p.mapping[side], rec.mapcount)
            w.files[w.n_find] = i << 1 | side
            w.n_find += p.mapping[side] != 0
            w.mapped[w.n_mapped] = i << 1 | side
            w.n_mapped += (rec.rmap | rec.mapcount) != 0


cdef inline void _unmap(Worker *w) noexcept nogil:
    """Turns the page-table entries of mapped pages into migration entries."""
    cdef uint32_t k, i, side
    cdef Work *p
    cdef const pgx_side *rec
    cdef int rc
    for k in range(w.n_mapped):
        i = w.mapped[k] >> 1
        side = w.mapped[k] & 1
        p = &w.work[i]
        if p.status != 0:
            continue
        rec = &w.rec.pair[i].side[side]
        p.done |= UNMAPPED_0 << side
        rc = rewrite(w.r, rec.rmap, rec.mapcount, p.order, p.pfn[side], p.pfn[side], False)
        if rc != 0:
            drop(w, i, rc)


cdef inline void _ask_for_slots(Worker *w) noexcept nogil:
    """Holds the trees of pages of files, and fills in the question where they are pointed at."""
    cdef uint32_t k, i, side
    cdef uint32_t n = 0
    cdef Work *p
    cdef pgx_find *f
    for k in range(w.n_find):
        i = w.files[k] >> 1
        side = w.files[k] & 1
        p = &w.work[i]
        if p.status != 0:
            continue
        if not _hold(w, p.mapping[side]):
            drop(w, i, -EAGAIN)
            continue
        f = &w.find[n]
        f.mapping = p.mapping[side] - 1
        f.index = w.rec.pair[i].side[side].index
        f.pfn = p.pfn[side]
        f.status = -EAGAIN
        f.slot = 0
        f.found = 0
        w.files[n] = w.files[k]
        n += 1
    w.n_find = n


cdef void _ready(Worker *w) noexcept nogil:
    cdef uint32_t k
    cdef const Work *p
    _sort_by_kind(w)
    _unmap(w)
    _ask_for_slots(w)
    _collect_live(w)
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        w.fa[k] = pgx_load64(&w.r.entries[p.pfn[0]].flags)
        w.fb[k] = pgx_load64(&w.r.entries[p.pfn[1]].flags)
        w.na[k] = w.fa[k]
        w.nb[k] = w.fb[k]


cdef void _collect_live(Worker *w) noexcept nogil:
    cdef uint32_t i
    w.n_live = 0
    for i in range(w.n):
        if w.work[i].status == 0:
            w.live[w.n_live] = i
            w.n_live += 1


# ---- prepare -----------------------------------------------------------------------------------------------------------

cdef void _prepare(Worker *w) noexcept nogil:
    """Lets the mover take what it needs. A pair that it refuses with -ENOMEM is left to the chain's next mover."""
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef uint32_t i
    cdef uint32_t last = 0
    cdef int rc
    for i in range(w.n):
        w.rec.pair[i].order = <uint8_t>w.work[i].order
        w.rec.pair[i].kind = <uint8_t>ops.kind
    for i in range(w.n if ops.prepare != NULL else 0):
        if w.work[i].status != 0:
            continue
        rc = ops.prepare(ops.ctx, w.r, w.slot, &w.rec.pair[i])
        if rc == -ENOMEM and not w.plan.copies:
            w.asked += 1ull << w.work[i].order
        if rc == 0:
            w.work[i].done |= PREPARED
            if not w.plan.copies and w.rec.pair[i].temp and w.rec.pair[i].temp != last:  # else it shares the frame of a pair before it
                last = w.rec.pair[i].temp
                w.asked += 1ull << w.work[i].order
                w.got += 1ull << w.work[i].order
        elif rc == -ENOMEM and w.mover + 1 < w.plan.n_movers:
            drop(w, i, NEXT_MOVER)
        else:
            drop(w, i, as_errno(rc))
    _collect_live(w)


# ---- data ----------------------------------------------------------------------------------------------------------------

cdef void _refuse_unreadable(Worker *w) noexcept nogil:
    """Drops the pairs with a frame whose memory is broken: foreign code cannot be cut off while it works on one."""
    cdef uint32_t k, side
    cdef Work *p
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        for side in range(2):
            if not readable(w.r, p.pfn[side], p.order):
                drop(w, w.live[k], -EHWPOISON)
                break
    _collect_live(w)


cdef void _give_up(Worker *w, uint32_t i, int status) noexcept nogil:
    """Drops a pair after the point of no return: its data are back already. The next pair's step is published first, so
    that recovery does not take this one for open."""
    w.rec.pair[i].status = status
    pgx_publish(&w.rec.state, ((<uint64_t>i + 1) << 48) | PGX_DATA)
    drop(w, i, status)


cdef void _data(Worker *w) noexcept nogil:
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef pgx_log log
    cdef uint32_t k
    cdef size_t broken = 0
    cdef int rc
    if ops.kind == PGX_LOG_NONE:
        return
    log_of(w.r, w.slot, PGX_DATA, &log)
    for k in range(w.n_live):
        move_of(w, w.live[k], &w.moves[k])
    if w.split > 1 and ops.kind == PGX_LOG_UNDO:
        for k in range(w.n_live):
            rc = move_split(ops, w.r, w.slot, w.split, w.plan.copies, &w.moves[k], &log)
            if rc != 0:
                _give_up(w, w.live[k], rc)
    else:
        k = 0
        while k < w.n_live:
            rc = move_guarded(ops, w.r, &w.moves[k], w.n_live - k, &log, &broken)
            if rc == 0:
                break
            k += <uint32_t>broken
            _give_up(w, w.live[k], rc)
            k += 1
    _collect_live(w)


cdef inline void _fetch_ahead(Worker *w) noexcept nogil:
    """Fetches the entries of the pairs that come next, while this batch's data are moved: hints, of any numbers."""
    cdef uint32_t k
    cdef uint64_t nframes = w.r.nframes
    for k in range(2 * w.n_ahead):
        if <uint64_t>w.ahead[k] < nframes:
            pgx_prefetch(&w.r.entries[w.ahead[k]])


# ---- the batch -------------------------------------------------------------------------------------------------------------

cdef inline void _claim(Worker *w) noexcept nogil:
    if not claim(w):
        claim_patiently(w)


cdef inline void _move_in_python(Worker *w) noexcept nogil:
    """A Python mover works before the point of no return, under the whole-page log, and is checked."""
    cdef uint32_t i
    cdef int rc
    _refuse_unreadable(w)
    if w.n_live == 0:
        return
    rc = w.plan.python[w.mover](w.plan.strategy, w)
    if rc == 0:
        return
    w.failed = rc
    for i in range(w.n):
        if w.work[i].status == 0:
            drop(w, i, rc)
    w.n_live = 0


cdef inline void _flags(Worker *w) noexcept nogil:
    w.flags_rc = 0
    if w.n_live:
        w.flags_rc = w.plan.flags.exchange(w.plan.flags.ctx, w.fa, w.fb, w.na, w.nb, w.n_live)


cdef inline void _mapping(Worker *w) noexcept nogil:
    if w.n_find:
        w.plan.mapping.find(w.plan.mapping.ctx, w.r, w.find, w.n_find)


cdef inline void _settle(Worker *w) noexcept nogil:
    take_flags(w)
    take_slots(w)


cdef inline void _tails(Worker *w) noexcept nogil:
    exchange_tails(w, 0, 0, 0)


cdef inline void _finish(Worker *w) noexcept nogil:
    set_targets(w)
    pgx_publish(&w.rec.state, PGX_META)
    store_counters(w)
    finish(w)
    w.rec.targets = 0
    if not w.plan.copies:
        give_back_all(w)


cdef void run_batch(Worker *w) noexcept nogil:
    """Exchanges the pairs in `w.work[:w.n]`, whose frames are in the record; each has its final status afterwards."""
    cdef uint64_t t0, t1
    t0 = now_ns()
    w.deadline = t0 + w.plan.timeout_ns
    w.rec.n = w.n
    pgx_publish(&w.rec.state, PGX_INTENT)
    _claim(w)
    _pins(w)
    _ready(w)
    t1 = now_ns()
    w.ns[T_LOCK] += t1 - t0
    _flags(w)
    t0 = now_ns()
    w.ns[T_FLAGS] += t0 - t1
    _mapping(w)
    t1 = now_ns()
    w.ns[T_MAPPING] += t1 - t0
    _settle(w)
    t0 = now_ns()
    w.ns[T_FINISH] += t0 - t1  # what the core does is the same whoever answers the questions
    _prepare(w)
    _fetch_ahead(w)
    if w.n_live and w.plan.python[w.mover] != NULL:
        _move_in_python(w)
    elif w.n_live:
        pgx_publish(&w.rec.state, PGX_DATA)
        _data(w)
    t1 = now_ns()
    w.ns[T_DATA] += t1 - t0
    if w.n_live:
        _tails(w)
        _finish(w)
    if w.plan.copies:
        free_frames(w)
    _release_holds(w)
    pgx_publish(&w.rec.state, PGX_IDLE)
    w.ns[T_FINISH] += now_ns() - t1


cdef int recover_batch(Worker *w, uint64_t until) noexcept nogil:
    return recover_exchange(w, until)
