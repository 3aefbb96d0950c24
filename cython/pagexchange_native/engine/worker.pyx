# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The steps of one exchange, for a batch of pairs at once, on a worker's slot.

`steps.py` beside this file lists them: order, who serves each, what a failure leaves. One function here per step, in
that order: lock, check, unmap, freeze, hold, flags, mapping, record, prepare; then, beyond the point of no return
(publishing DATA), data, apply under META, finish under UNLOCK, and IDLE. A mover written in Python is the exception:
it works above that point, under the whole-page log, and is checked.

Each step is a pass over the live pairs, so that the next pairs' cache lines are on their way while one is worked on.
A pair that cannot go on is put back by `drop`, the mirror of everything above the line; the others do not notice.
Works on private copies of pfns, orders and numbers: what lies in shared memory is read once and checked.
"""

import os

from libc.errno cimport (
    EAGAIN, EBADMSG, EBUSY, EINVAL, ENOMEM, EOPNOTSUPP, ETIMEDOUT, EUCLEAN,
)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from posix.unistd cimport usleep

from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.references cimport structural_refs
from pagexchange_native.engine.guarded_move cimport move_guarded, readable
from pagexchange_native.engine.helpers cimport move_split
from pagexchange_native.format cimport *
from pagexchange_native.pages.page_tables cimport pte_at, rewrite
from pagexchange_native.plugin cimport pgx_find, pgx_log, pgx_mover_ops
from pagexchange_native.xarray.tree cimport xa_release, xa_tryhold

cdef extern from "<sched.h>" nogil:
    int sched_yield()


cdef extern from "pagexchange/guard.h" nogil:
    int pgx_guard_install()


cdef int guard_install() except -1:
    cdef int rc = pgx_guard_install()
    if rc != 0:
        raise OSError(-rc, f"SIGBUS cannot be caught: {os.strerror(-rc)}")
    return 0


# ---- lock ------------------------------------------------------------------------------------------------------------

cdef inline bint _trylock(Worker *w, uint32_t pfn) noexcept nogil:
    cdef pgx_entry *e = &w.r.entries[pfn]
    if not pgx_cas32(&e.owner, 0, w.slot + 1):
        return False
    if pgx_or64(&e.flags, w.r.layout.locked) & w.r.layout.locked:
        pgx_store32(&e.owner, 0)  # set by hand, not by a lock: it is not ours to clear
        return False
    return True


cdef inline void _unlock(Worker *w, uint32_t pfn) noexcept nogil:
    cdef pgx_entry *e = &w.r.entries[pfn]
    if pgx_load32(&e.owner) == w.slot + 1:
        pgx_and64(&e.flags, ~w.r.layout.locked)
        pgx_store32(&e.owner, 0)


cdef bint _wait(Worker *w, uint32_t *turn) noexcept nogil:
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


cdef bint _lock_wait(Worker *w, uint32_t pfn) noexcept nogil:
    cdef uint32_t turn = 0
    while not _trylock(w, pfn):
        if not _wait(w, &turn):
            return False
    return True


cdef void _sort(uint64_t *keys, uint32_t n) noexcept nogil:
    """Insertion sort; n <= 256, and only a batch that met a held lock comes here."""
    cdef uint32_t i, j
    cdef uint64_t key
    for i in range(1, n):
        key = keys[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


cdef void _lock(Worker *w) noexcept nogil:
    """Locks the frames of every pair.

    Trying never waits, so its order does not matter; when all are got at once there is nothing to sort. When one is
    held and the mode may wait, everything is let go and taken again in ascending pfn: no cycle of waiters can form.
    """
    cdef uint32_t i, k, side
    cdef uint32_t n = 0
    cdef Work *p
    cdef bint held = False
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        if _trylock(w, p.pfn[0]):
            p.done |= LOCKED_0
            if _trylock(w, p.pfn[1]):
                p.done |= LOCKED_1
                continue
        held = True
        if w.plan.mode == ASYNC:
            drop(w, i, -EAGAIN)
        else:
            break
    if not held or w.plan.mode == ASYNC:
        return
    for i in range(w.n):
        p = &w.work[i]
        if p.done & LOCKED_1:
            _unlock(w, p.pfn[1])
        if p.done & LOCKED_0:
            _unlock(w, p.pfn[0])
        p.done &= ~<uint32_t>(LOCKED_0 | LOCKED_1)
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
        if p.status != 0:
            continue
        if _lock_wait(w, p.pfn[side]):
            p.done |= LOCKED_0 << side
        else:
            drop(w, i, -EAGAIN)


# ---- check -----------------------------------------------------------------------------------------------------------

cdef int _wait_writeback(Worker *w, pgx_entry *e) noexcept nogil:
    if w.plan.mode != SYNC:
        return -EBUSY
    while pgx_load64(&e.flags) & w.r.layout.writeback:
        if now_ns() > w.deadline:
            return -ETIMEDOUT
        usleep(20)
    return 0


cdef int _check_side(Worker *w, Work *p, uint32_t side) noexcept nogil:
    """Everything about one locked page that forbids moving it."""
    cdef pgx_region *r = w.r
    cdef pgx_entry *e = &r.entries[p.pfn[side]]
    cdef uint32_t order = 0
    cdef int rc = peek(r, p.pfn[side], &order)
    cdef uint64_t flags, tag
    cdef pgx_mapping *m
    if rc != 0:
        return rc
    if order != p.order:
        return -EINVAL
    flags = pgx_load64(&e.flags)
    if flags & r.layout.writeback:
        rc = _wait_writeback(w, e)
        if rc != 0:
            return rc
        flags = pgx_load64(&e.flags)
    if flags & r.layout.refuse:
        return -EOPNOTSUPP
    if flags & r.layout.swapcache and flags & r.layout.swapbacked:
        return -EOPNOTSUPP  # in the swap cache: its second identity has no home in this model
    tag = pgx_load64(&e.mapping)
    p.mapping[side] = 0
    if tag == 0:
        return -EOPNOTSUPP if flags & r.layout.private_ else 0
    if tag & 3 == PGX_ANON:
        return -EOPNOTSUPP if flags & r.layout.private_ else 0
    if tag & 3:
        return -EOPNOTSUPP
    if (tag >> 2) - 1 >= r.nmappings:
        return -EUCLEAN
    m = &r.mappings[(tag >> 2) - 1]
    if not m.used:
        return -EUCLEAN
    if m.aops == PGX_AOPS_UNMOVABLE:
        return -EOPNOTSUPP
    if m.aops == PGX_AOPS_NONE:
        if flags & r.layout.private_:
            return -EOPNOTSUPP
        if flags & r.layout.dirty:
            return -EBUSY
    p.mapping[side] = tag >> 2
    return 0


cdef int _check_tails(Worker *w, Work *p) noexcept nogil:
    """What the words of two folios' tails forbid; and in which bits they differ that belong to the page."""
    cdef const pgx_layout *layout = &w.r.layout
    cdef const pgx_entry *a = &w.r.entries[p.pfn[0]]
    cdef const pgx_entry *b = &w.r.entries[p.pfn[1]]
    cdef uint64_t either = 0
    cdef uint64_t differ = 0
    cdef uint64_t x, y
    cdef uint32_t i
    for i in range(1, 1u << p.order):
        x = pgx_load64(&a[i].flags)
        y = pgx_load64(&b[i].flags)
        either |= x | y
        differ |= x ^ y
    p.tails = differ & layout.tail_swap
    if not either & layout.tail_refuse:
        return 0
    if either & layout.tail_broken:
        return -EHWPOISON
    return -EBUSY if either & layout.tail_refuse & layout.reserved else -EOPNOTSUPP


cdef void _check(Worker *w) noexcept nogil:
    cdef uint32_t i, side
    cdef int rc
    cdef Work *p
    cdef pgx_entry *e
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        rc = 0
        for side in range(2):
            rc = _check_side(w, p, side)
            if rc != 0:
                break
        p.tails = 0
        if rc == 0 and p.order:
            rc = _check_tails(w, p)
        if rc != 0:
            drop(w, i, rc)
            continue
        for side in range(2):
            e = &w.r.entries[p.pfn[side]]
            if e.rmap and e.rmap <= <uint64_t>w.r.ntables * PGX_TABLE_SLOTS:
                pgx_prefetch(pte_at(w.r, e.rmap))


cdef void _hold(Worker *w) noexcept nogil:
    """Holds the shape of the mappings' trees, after all waiting is over: a writer of a tree waits for its holders.

    In every mode: a writer is done in a moment. Only one that has died is waited for in vain, until the deadline.
    """
    cdef uint32_t i, side, turn
    cdef Work *p
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        for side in range(2):
            if p.mapping[side] == 0:
                continue
            turn = 0
            while not xa_tryhold(&w.r.mappings[p.mapping[side] - 1].pages):
                if not _wait(w, &turn):
                    break
            else:
                p.done |= HELD_0 << side
                continue
            drop(w, i, -EAGAIN)
            break


# ---- unmap ---------------------------------------------------------------------------------------------------------------

cdef void _unmap(Worker *w) noexcept nogil:
    cdef uint32_t i, side
    cdef Work *p
    cdef pgx_entry *e
    cdef int rc
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        for side in range(2):
            e = &w.r.entries[p.pfn[side]]
            w.rec.pair[i].side[side].rmap = e.rmap
            w.rec.pair[i].side[side].mapcount = e.mapcount
            if e.rmap == 0 and e.mapcount == 0:
                continue
            p.done |= UNMAPPED_0 << side
            rc = rewrite(w.r, e.rmap, e.mapcount, p.order, p.pfn[side], p.pfn[side], False)
            if rc != 0:
                drop(w, i, rc)
                break


# ---- freeze ------------------------------------------------------------------------------------------------------------

cdef inline uint32_t _expected(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """References of a page at rest: held + cache + private + mapcount (`folio_expected_ref_count`)."""
    return structural_refs(r, e) + pgx_load8(&e.held)


cdef int _freeze_side(Worker *w, Work *p, uint32_t i, uint32_t side) noexcept nogil:
    cdef pgx_entry *e = &w.r.entries[p.pfn[side]]
    cdef uint32_t tries = 1 if w.plan.mode == ASYNC else (3 if w.plan.mode == SYNC_LIGHT else 10)
    cdef uint32_t t, expected
    for t in range(tries):
        expected = _expected(w.r, e)
        w.rec.pair[i].side[side].refs = expected  # before the swap: recovery must know what to put back
        if expected and pgx_cas32(&e.refs, expected, PGX_FROZEN | w.slot):
            p.done |= FROZEN_0 << side
            return 0
        w.tries += 1
        if t + 1 < tries:
            if w.plan.mode == SYNC:
                usleep(20)
            else:
                sched_yield()
    return -EBUSY if w.plan.mode == SYNC else -EAGAIN


cdef void _freeze(Worker *w) noexcept nogil:
    cdef uint32_t i
    cdef Work *p
    cdef int rc
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        rc = _freeze_side(w, p, i, 0)
        if rc == 0:
            rc = _freeze_side(w, p, i, 1)
        if rc != 0:
            drop(w, i, rc)
    pgx_fence()
    _refuse_pinned(w)


cdef void _refuse_pinned(Worker *w) noexcept nogil:
    """Drops the pairs with a pinned frame. A pin is stored first and looks at `refs` second, we the other way round."""
    cdef uint64_t pin, first
    cdef uint32_t k, i, side
    cdef Work *p
    for k in range(w.r.nslots * PGX_PINS):
        pin = pgx_load64(&w.r.pins[k])
        if pin == 0:
            continue
        first = (pin & ~PGX_PIN_LONG) - 1
        for i in range(w.n):
            p = &w.work[i]
            if p.status != 0:
                continue
            for side in range(2):
                if first >= p.pfn[side] and first < <uint64_t>p.pfn[side] + (1u << p.order):
                    drop(w, i, -EBUSY if pin & PGX_PIN_LONG else -EAGAIN)
                    break


# ---- compute -------------------------------------------------------------------------------------------------------------

cdef void _collect_live(Worker *w) noexcept nogil:
    cdef uint32_t i
    w.n_live = 0
    for i in range(w.n):
        if w.work[i].status == 0:
            w.live[w.n_live] = i
            w.n_live += 1


cdef inline int _errno(int rc) noexcept nogil:
    """What a plug-in's object answered, as a status: a positive number would send the pair to a mover that may not be there."""
    return rc if rc < 0 else -EBADMSG


cdef void _compute_flags(Worker *w) noexcept nogil:
    """Asks the flag policy, and refuses what touches a bit that must stay."""
    cdef uint32_t k, i
    cdef uint64_t swap = w.r.layout.swap
    cdef uint64_t touched
    cdef Work *p
    cdef int rc
    _collect_live(w)
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        w.fa[k] = pgx_load64(&w.r.entries[p.pfn[0]].flags)
        w.fb[k] = pgx_load64(&w.r.entries[p.pfn[1]].flags)
        w.na[k] = w.fa[k]
        w.nb[k] = w.fb[k]
    if w.n_live == 0:
        return
    rc = w.plan.flags.exchange(w.plan.flags.ctx, w.fa, w.fb, w.na, w.nb, w.n_live)
    if rc < 0:
        w.failed = rc if rc == -EBADMSG else w.failed
    for k in range(w.n_live):
        i = w.live[k]
        touched = ((w.na[k] ^ w.fa[k]) | (w.nb[k] ^ w.fb[k])) & ~swap
        if rc != 0:
            drop(w, i, _errno(rc))
        elif touched:
            w.violation |= touched
            drop(w, i, -EBADMSG)
        else:
            w.work[i].old_flags[0] = w.fa[k]
            w.work[i].old_flags[1] = w.fb[k]
            w.rec.pair[i].side[0].flags = w.na[k]
            w.rec.pair[i].side[1].flags = w.nb[k]


cdef inline bint _is_slot(const pgx_region *r, uint64_t mapping, uint64_t offset) noexcept nogil:
    """Is this the offset of a word that the mapping's array keeps its entries in?

    Entries look alike in all arrays: a page table's number in a space could be taken for the page's frame.
    """
    cdef uint64_t start = <uint64_t>(<uint8_t *>r.xanodes - r.base)
    cdef const pgx_xanode *node
    if offset == <uint64_t>(<uint8_t *>&r.mappings[mapping].pages.head - r.base):
        return True
    if offset < start or offset & 7:
        return False
    offset -= start
    if offset // sizeof(pgx_xanode) >= r.nxanodes or offset % sizeof(pgx_xanode) < 64:
        return False
    node = &r.xanodes[offset // sizeof(pgx_xanode)]
    return node.used and node.array == <uint64_t>(<uint8_t *>&r.mappings[mapping].pages - r.base)


cdef bint _accept(Worker *w, pgx_find *f, uint32_t i, uint32_t side) noexcept nogil:
    """Writes a found slot to the record when it holds what it must."""
    cdef uint64_t entry = pgx_xa_entry(f.pfn)
    if f.status != 0 or not _is_slot(w.r, f.mapping, f.slot):
        return False
    if f.found != entry or pgx_load64(<uint64_t *>(w.r.base + f.slot)) != entry:
        return False
    w.work[i].slot[side] = f.slot
    w.rec.pair[i].side[side].slot = f.slot
    w.rec.pair[i].side[side].slot_old = entry
    w.rec.pair[i].side[side].slot_new = pgx_xa_entry(w.work[i].pfn[1 - side])
    return True


cdef void _compute_mapping(Worker *w) noexcept nogil:
    cdef uint32_t k, i, side
    cdef uint32_t n = 0
    cdef Work *p
    cdef pgx_entry *e
    cdef pgx_find *f
    for i in range(w.n):
        p = &w.work[i]
        if p.status != 0:
            continue
        for side in range(2):
            p.slot[side] = 0
            w.rec.pair[i].side[side].slot = 0
            if p.mapping[side] == 0:
                continue
            e = &w.r.entries[p.pfn[side]]
            f = &w.find[n]
            f.mapping = p.mapping[side] - 1
            f.index = e.index
            f.pfn = p.pfn[side]
            f.status = -EAGAIN
            f.slot = 0
            f.found = 0
            w.find_of[n] = i << 1 | side
            n += 1
    if n == 0:
        return
    w.plan.mapping.find(w.plan.mapping.ctx, w.r, w.find, n)
    for k in range(n):
        i = w.find_of[k] >> 1
        side = w.find_of[k] & 1
        if w.work[i].status != 0 or _accept(w, &w.find[k], i, side):
            continue
        if w.find[k].status != 0 and w.find[k].status != -EAGAIN:
            if w.find[k].status == -EBADMSG:
                w.failed = -EBADMSG
            drop(w, i, _errno(w.find[k].status))
            continue
        w.retries += 1
        w.find[k].status = -EAGAIN
        w.plan.mapping.find(w.plan.mapping.ctx, w.r, &w.find[k], 1)
        if not _accept(w, &w.find[k], i, side):
            drop(w, i, -EUCLEAN)


cdef void _record(Worker *w) noexcept nogil:
    """Writes what moves to the record: absolute values, so that redoing them is harmless."""
    cdef uint32_t i, side
    cdef Work *p
    cdef pgx_entry *e
    for i in range(w.n):
        p = &w.work[i]
        w.rec.pair[i].status = p.status
        if p.status != 0:
            continue
        w.rec.pair[i].order = p.order
        w.rec.pair[i].kind = w.plan.movers[w.mover].kind
        for side in range(2):
            e = &w.r.entries[p.pfn[side]]
            w.rec.pair[i].side[side].mapping = e.mapping
            w.rec.pair[i].side[side].index = e.index
            w.rec.pair[i].side[side].private_ = e.private_
            w.rec.pair[i].side[side].held = e.held


cdef void _prepare(Worker *w) noexcept nogil:
    """Lets the mover take what it needs. A pair that it refuses with -ENOMEM is left to the chain's next mover."""
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef uint32_t i
    cdef uint32_t last = 0
    cdef int rc
    if ops.prepare == NULL:
        return
    for i in range(w.n):
        if w.work[i].status != 0:
            continue
        w.rec.pair[i].temp = 0
        w.rec.pair[i].order = w.work[i].order
        rc = ops.prepare(ops.ctx, w.r, w.slot, &w.rec.pair[i])
        if rc == -ENOMEM:
            w.asked += 1ull << w.work[i].order
        if rc == 0:
            w.work[i].done |= PREPARED
            if w.rec.pair[i].temp and w.rec.pair[i].temp != last:  # else it shares the frame of a pair before it
                last = w.rec.pair[i].temp
                w.asked += 1ull << w.work[i].order
                w.got += 1ull << w.work[i].order
        elif rc == -ENOMEM and w.mover + 1 < w.plan.n_movers:
            drop(w, i, NEXT_MOVER)
        else:
            drop(w, i, _errno(rc))


# ---- undo ----------------------------------------------------------------------------------------------------------------

cdef void _drop_side(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    cdef Work *p = &w.work[i]
    cdef pgx_entry *e = &w.r.entries[p.pfn[side]]
    if p.done & (FROZEN_0 << side):
        pgx_cas32(&e.refs, PGX_FROZEN | w.slot, w.rec.pair[i].side[side].refs)
    if p.done & (UNMAPPED_0 << side):
        rewrite(w.r, e.rmap, e.mapcount, p.order, p.pfn[side], p.pfn[side], True)
    if p.done & (HELD_0 << side):
        xa_release(&w.r.mappings[p.mapping[side] - 1].pages)
    if p.done & (LOCKED_0 << side):
        _unlock(w, p.pfn[side])


cdef void drop(Worker *w, uint32_t i, int status) noexcept nogil:
    """Puts a pair back as it was and gives it its status: everything above the point of no return, backwards."""
    cdef Work *p = &w.work[i]
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    p.status = status
    if p.done & PREPARED and ops.release != NULL:
        ops.release(ops.ctx, w.r, w.slot, &w.rec.pair[i])
    _drop_side(w, i, 1)
    _drop_side(w, i, 0)
    p.done = 0
    w.rec.pair[i].status = status


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
    cdef uint32_t k, i
    cdef size_t broken = 0
    cdef int rc
    cdef Work *p
    if ops.kind == PGX_LOG_NONE:
        return
    log.state = &w.rec.state
    log.chunk = &w.rec.log[0][0]
    log.phase = PGX_DATA
    log.slot = w.slot
    log.region = w.r
    for k in range(w.n_live):
        i = w.live[k]
        p = &w.work[i]
        w.moves[k].a = pgx_frame_at(w.r, p.pfn[0])
        w.moves[k].b = pgx_frame_at(w.r, p.pfn[1])
        w.moves[k].temp = NULL
        if w.rec.pair[i].temp and w.rec.pair[i].temp <= w.r.nframes:
            w.moves[k].temp = pgx_frame_at(w.r, w.rec.pair[i].temp - 1)
        w.moves[k].bytes = w.r.page_size << p.order
        w.moves[k].pair = i
    if w.split > 1 and ops.kind == PGX_LOG_UNDO:
        for k in range(w.n_live):
            rc = move_split(ops, w.r, w.slot, w.split, &w.moves[k], &log)
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


# ---- apply and finish ------------------------------------------------------------------------------------------------------

cdef inline void _merge_flags(pgx_entry *e, uint64_t new, uint64_t swap) noexcept nogil:
    """Takes a word's bits that move. Who changes one of them needs the page's lock, which we have; the others are changed
    without it, and kept."""
    cdef uint64_t current = pgx_load64(&e.flags)
    while not pgx_cas64(&e.flags, current, (current & ~swap) | (new & swap)):
        current = pgx_load64(&e.flags)


cdef void _apply_flags(Worker *w) noexcept nogil:
    cdef uint32_t k, i, side
    for k in range(w.n_live):
        i = w.live[k]
        for side in range(2):
            _merge_flags(&w.r.entries[w.work[i].pfn[side]], w.rec.pair[i].side[side].flags, w.r.layout.swap)


cdef void _apply_tails(Worker *w) noexcept nogil:
    """Exchanges what the words of tails say of the page (`tail` in a layout), where they differ.

    Under the log, as data are: what some tails are to have is saved, the step is published, and then it is stored.
    """
    cdef uint32_t k, i, chunk
    for k in range(w.n_live):
        i = w.live[k]
        if w.work[i].tails == 0:
            continue
        for chunk in range(((1u << w.work[i].order) + PGX_TAIL_WORDS - 1) // PGX_TAIL_WORDS):
            _exchange_tails(w, i, chunk)


cdef inline void _exchange_tails(Worker *w, uint32_t i, uint32_t chunk) noexcept nogil:
    """The words of up to 16 frames of each side; the first frame of a folio is no tail."""
    cdef Work *p = &w.work[i]
    cdef pgx_entry *a = &w.r.entries[p.pfn[0]]
    cdef pgx_entry *b = &w.r.entries[p.pfn[1]]
    cdef uint64_t *log = <uint64_t *>&w.rec.log[chunk & 1][0]
    cdef uint32_t first = chunk * PGX_TAIL_WORDS
    cdef uint32_t n = PGX_TAIL_WORDS if (1u << p.order) > PGX_TAIL_WORDS else 1u << p.order
    cdef uint32_t t
    for t in range(n):
        log[2 * t] = pgx_load64(&b[first + t].flags)
        log[2 * t + 1] = pgx_load64(&a[first + t].flags)
    pgx_publish(&w.rec.state, <uint64_t>i << 48 | <uint64_t>chunk << 8 | PGX_TAILS)
    for t in range(1 if first == 0 else 0, n):
        _merge_flags(&a[first + t], log[2 * t], w.r.layout.tail_swap)
        _merge_flags(&b[first + t], log[2 * t + 1], w.r.layout.tail_swap)


cdef void _apply_identity(Worker *w) noexcept nogil:
    """Identity, slots, and the counters of the nodes: what each frame held before is taken off, what it holds added."""
    cdef uint32_t k, i, side, n, c
    cdef int node
    cdef pgx_entry *e
    cdef Work *p
    cdef pgx_pair *rec
    cdef int64_t[16][4] change
    for n in range(w.r.nnodes):
        for c in range(PGX_NR_COUNTERS):
            change[n][c] = 0
    for k in range(w.n_live):
        i = w.live[k]
        p = &w.work[i]
        rec = &w.rec.pair[i]
        for side in range(2):
            e = &w.r.entries[p.pfn[side]]
            pgx_store64(&e.mapping, rec.side[1 - side].mapping)
            e.index = rec.side[1 - side].index
            e.private_ = rec.side[1 - side].private_
            e.rmap = rec.side[1 - side].rmap
            pgx_store32(&e.mapcount, rec.side[1 - side].mapcount)
            pgx_store8(&e.held, <uint8_t>rec.side[1 - side].held)
            if p.slot[side]:
                pgx_store64(<uint64_t *>(w.r.base + p.slot[side]), pgx_xa_entry(p.pfn[1 - side]))
            node = pgx_node_of(w.r, p.pfn[side])
            _count(w, p, side, rec.side[side].mapcount, p.old_flags[side], -(<int64_t>1 << p.order), change[node])
            _count(w, p, 1 - side, rec.side[1 - side].mapcount, pgx_load64(&e.flags), <int64_t>1 << p.order,
                   change[node])
    for n in range(w.r.nnodes):
        for c in range(PGX_NR_COUNTERS):
            if change[n][c]:
                pgx_add64(&w.r.nodes[n].counter[c], <uint64_t>change[n][c])


cdef inline void _count(Worker *w, Work *p, uint32_t page, uint32_t mapcount, uint64_t flags, int64_t frames,
                        int64_t *change) noexcept nogil:
    """Adds the page that was on side `page`, with these flags, to a node's counters (`__folio_migrate_mapping`)."""
    if p.mapping[page]:
        change[PGX_NR_FILE] += frames
        if w.r.mappings[p.mapping[page] - 1].shmem:
            change[PGX_NR_SHMEM] += frames
        if flags & w.r.layout.dirty:
            change[PGX_NR_DIRTY] += frames
    elif mapcount:
        change[PGX_NR_ANON] += frames


cdef void _finish(Worker *w) noexcept nogil:
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef uint32_t k, i, side
    cdef Work *p
    cdef pgx_entry *e
    for k in range(w.n_live):
        i = w.live[k]
        p = &w.work[i]
        for side in range(2):
            if p.done & (UNMAPPED_0 << side):
                rewrite(w.r, w.rec.pair[i].side[side].rmap, w.rec.pair[i].side[side].mapcount, p.order, p.pfn[side],
                         p.pfn[1 - side], True)
        for side in range(2):
            e = &w.r.entries[p.pfn[side]]
            pgx_cas32(&e.refs, PGX_FROZEN | w.slot, w.rec.pair[i].side[1 - side].refs)
            if p.done & (HELD_0 << side):
                xa_release(&w.r.mappings[p.mapping[side] - 1].pages)
            _unlock(w, p.pfn[side])
        if p.done & PREPARED and ops.release != NULL:
            ops.release(ops.ctx, w.r, w.slot, &w.rec.pair[i])


# ---- the batch -------------------------------------------------------------------------------------------------------------

cdef void run_batch(Worker *w) noexcept nogil:
    """Exchanges the pairs in `w.work[:w.n]` that have status 0; each has its final status afterwards."""
    cdef uint64_t t0, t1
    cdef uint32_t i
    cdef int rc
    t0 = now_ns()
    w.deadline = t0 + w.plan.timeout_ns
    for i in range(w.n):
        w.rec.pair[i].side[0].pfn = w.work[i].pfn[0]
        w.rec.pair[i].side[1].pfn = w.work[i].pfn[1]
        w.rec.pair[i].status = w.work[i].status
        w.rec.pair[i].temp = 0
    w.rec.n = w.n
    pgx_publish(&w.rec.state, PGX_INTENT)
    _lock(w)
    _check(w)
    _unmap(w)
    _freeze(w)
    _hold(w)
    t1 = now_ns()
    w.ns[T_LOCK] += t1 - t0
    _compute_flags(w)
    t0 = now_ns()
    w.ns[T_FLAGS] += t0 - t1
    _compute_mapping(w)
    t1 = now_ns()
    w.ns[T_MAPPING] += t1 - t0
    _record(w)
    t0 = now_ns()
    w.ns[T_FINISH] += t0 - t1  # what the core does is the same whoever answers the questions
    t1 = t0
    _prepare(w)
    _collect_live(w)
    if w.n_live and w.plan.python[w.mover] != NULL:
        _refuse_unreadable(w)
    if w.n_live and w.plan.python[w.mover] != NULL:
        # A Python mover works before the point of no return, under the whole-page log, and is checked.
        rc = w.plan.python[w.mover](w.plan.strategy, w)
        if rc != 0:
            w.failed = rc
            for i in range(w.n):
                if w.work[i].status == 0:
                    drop(w, i, rc)
            w.n_live = 0
    elif w.n_live:
        pgx_publish(&w.rec.state, PGX_DATA)
        _data(w)
    t0 = now_ns()
    w.ns[T_DATA] += t0 - t1
    if w.n_live:
        _apply_tails(w)
        pgx_publish(&w.rec.state, PGX_META)
        _apply_flags(w)
        _apply_identity(w)
        pgx_publish(&w.rec.state, PGX_UNLOCK)
        _finish(w)
        t1 = now_ns()
        w.ns[T_FINISH] += t1 - t0
    pgx_publish(&w.rec.state, PGX_IDLE)
