# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Finishes or puts back what a dead worker's record says of its exchange: docs/architecture.md, Recovery, point 3.

The record is read into a worker's private state and checked as a whole before anything is changed; then the steps of the
engine do the rest, each of them only where a frame still carries the slot's mark.
"""

from libc.errno cimport EAGAIN, EUCLEAN
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.references cimport structural_refs
from pagexchange_native.engine.data_log cimport log_of, move_of
from pagexchange_native.engine.finish cimport arrive, store_counters
from pagexchange_native.engine.guarded_move cimport Call, broken_in, mark_broken, move_guarded, put_back, run_call
from pagexchange_native.engine.settle cimport kind_of, set_targets
from pagexchange_native.engine.tails cimport chunks_of, exchange_tails, store_tails
from pagexchange_native.engine.whole_pages cimport pieces_of, put_groups_back, put_open_group_back
from pagexchange_native.engine.work cimport UNMAPPED_0, UNMAPPED_1, Work, Worker
from pagexchange_native.format cimport *
from pagexchange_native.movers.moves cimport pgx_isa, pgx_temp_exchange
from pagexchange_native.pages.page_tables cimport rewrite
from pagexchange_native.plugin cimport pgx_log, pgx_log_step, pgx_move, pgx_mover_ops
from pagexchange_native.xarray.tree cimport xa_release, xa_slot_word

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef extern from "pagexchange/guard.h" nogil:
    ctypedef void (*pgx_body_fn)(void *arg) noexcept nogil
    const uint8_t *pgx_guarded(pgx_body_fn body, void *arg, const uint8_t *lo, uint64_t size)

cdef enum:
    BUCKETS = 1024   # for the frames of a record: four times as many


# ---- the record, checked ---------------------------------------------------------------------------------------------

cdef inline bint _is_new(uint32_t *bucket, uint32_t pfn) noexcept nogil:
    """Whether no frame before this one was the same. `bucket` has BUCKETS words, all 0 at first."""
    cdef uint32_t at = pfn * 2654435761u % BUCKETS
    while bucket[at]:
        if bucket[at] == pfn + 1:
            return False
        at = (at + 1) % BUCKETS
    bucket[at] = pfn + 1
    return True


cdef inline bint marked(const Worker *w, uint32_t pfn) noexcept nogil:
    """Whether a frame carries the slot's mark: until then nobody else has it."""
    return pgx_load64(pgx_state_word(&w.r.entries[pfn])) == pgx_state_of(PGX_FROZEN | w.slot, w.slot + 1)


cdef inline bint _side_makes_sense(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """Checks what a recorded page is, and keeps a private copy. `status` 0 and a phase from DATA on: all of it counts."""
    cdef pgx_region *r = w.r
    cdef Work *p = &w.work[i]
    cdef const pgx_side *rec = &w.rec.pair[i].side[side]
    cdef uint64_t mapping = rec.mapping
    p.mapping[side] = 0
    p.slot[side] = 0
    p.refs[side] = rec.refs
    if mapping and mapping & 3 == 0:
        if (mapping >> 2) - 1 >= r.nmappings:
            return False
        p.mapping[side] = <uint32_t>(mapping >> 2)
        p.slot[side] = rec.slot
        if xa_slot_word(r, &r.mappings[p.mapping[side] - 1].pages, rec.slot) == NULL:
            return False
    elif mapping & 3 > PGX_ANON:
        return False
    if rec.rmap or rec.mapcount:
        p.done |= UNMAPPED_0 << side
    return rec.refs != 0 and rec.refs < PGX_FROZEN and rec.rmap <= <uint64_t>r.ntables * PGX_TABLE_SLOTS


cdef inline int read_record(Worker *w, uint64_t state) noexcept nogil:
    """Fills the worker's pairs from its record: 0, or -EUCLEAN when it makes no sense, and nothing has been changed."""
    cdef pgx_region *r = w.r
    cdef uint32_t[BUCKETS] bucket
    cdef uint32_t phase = state & 0xff
    cdef uint32_t i, side
    cdef Work *p
    w.n = w.rec.n
    w.n_live = 0
    if w.n > PGX_BATCH or state >> 48 > w.n:
        return -EUCLEAN
    memset(bucket, 0, sizeof(bucket))
    for i in range(w.n):
        p = &w.work[i]
        memset(p, 0, sizeof(Work))
        p.status = w.rec.pair[i].status
        for side in range(2):
            p.pfn[side] = w.rec.pair[i].side[side].pfn
            if p.pfn[side] >= r.nframes or not _is_new(bucket, p.pfn[side]):
                return -EUCLEAN
        if phase == PGX_INTENT or p.status != 0:
            continue
        p.order = w.rec.pair[i].order
        if p.order > PGX_MAX_ORDER or (p.pfn[0] | p.pfn[1]) & ((1u << p.order) - 1):
            return -EUCLEAN
        for side in range(2):
            if p.pfn[side] + (1ull << p.order) > r.nframes:
                return -EUCLEAN
            # A frame that was let go is anybody's, and so are the words that lead to the page in it.
            if phase == PGX_META and not marked(w, p.pfn[1 - side]):
                continue
            if not _side_makes_sense(w, i, side):
                return -EUCLEAN
        if phase != PGX_META and not (marked(w, p.pfn[0]) and marked(w, p.pfn[1])):
            return -EUCLEAN
        w.live[w.n_live] = i
        w.n_live += 1
    return 0


# ---- back ------------------------------------------------------------------------------------------------------------

cdef inline int _give_temp(Worker *w, uint32_t i, uint64_t until) noexcept nogil:
    """Gives a recorded temporary frame back, once: several pairs may name it. 0, or -EAGAIN: another slot has its node."""
    cdef uint32_t *word = &w.rec.pair[i].temp
    cdef uint32_t temp = word[0]
    cdef const pgx_entry *e
    if temp == 0 or temp > w.r.nframes:
        return 0
    e = &w.r.entries[temp - 1]
    if e.state == PGX_USED and pgx_load32(&e.owner) == w.slot + 1 and e.mapping == 0 and e.mapcount == 0 and \
            not pgx_load32(&e.refs) & PGX_FROZEN:
        return -EAGAIN if pgx_free(w.r, temp - 1, w.slot, until, word) == -EAGAIN else 0
    pgx_store32(word, 0)
    return 0


cdef inline int _give_temps(Worker *w, uint64_t until) noexcept nogil:
    """The same for all pairs that there is room for: a slot may have kept one through later, shorter batches, and idle."""
    cdef uint32_t i
    cdef int rc = 0
    for i in range(PGX_BATCH):
        if _give_temp(w, i, until) != 0:
            rc = -EAGAIN
    return rc


cdef inline bint _was_taken(const Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """Whether a side's frame is the free one that a migration has taken."""
    return w.rec.pair[i].temp == w.work[i].pfn[side] + 1


cdef inline void _put_back_frame(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """Lets a frame go as it was. One that was taken stays locked, for `_give_temps`."""
    cdef uint32_t pfn = w.work[i].pfn[side]
    cdef pgx_entry *e = &w.r.entries[pfn]
    cdef uint32_t owner = w.slot + 1 if _was_taken(w, i, side) else 0
    cdef bint frozen = marked(w, pfn)
    if not frozen and pgx_load32(&e.owner) != w.slot + 1:
        return
    if e.order <= PGX_MAX_ORDER:
        rewrite(w.r, e.rmap, e.mapcount, e.order, pfn, pfn, True)
    if frozen:
        pgx_store64(pgx_state_word(e), pgx_state_of(structural_refs(w.r, e) + (e.held != 0), owner))
    else:
        pgx_change_owner(e, w.slot + 1, owner)


cdef inline void put_back_pairs(Worker *w, bint all) noexcept nogil:
    """Every pair, or those that had been dropped."""
    cdef uint32_t i
    for i in range(w.n):
        if all or w.work[i].status != 0:
            _put_back_frame(w, i, 1)
            _put_back_frame(w, i, 0)


cdef inline void drop_open(Worker *w, uint32_t k, int32_t status) noexcept nogil:
    """Gives up the k-th live pair, whose data are back: as the engine does, its status and the next step first."""
    cdef uint32_t i = w.live[k]
    w.work[i].status = status
    w.rec.pair[i].status = status
    pgx_publish(&w.rec.state, ((<uint64_t>i + 1) << 48) | PGX_DATA)
    _put_back_frame(w, i, 1)
    _put_back_frame(w, i, 0)
    w.n_live -= 1  # its temporary frame may be that of later pairs: given back with theirs
    while k < w.n_live:
        w.live[k] = w.live[k + 1]
        k += 1


# ---- data ------------------------------------------------------------------------------------------------------------

cdef struct Resume:  # what `_move` does: the context of a mover's table
    const pgx_isa *isa
    uint32_t kind
    uint64_t step     # of the first pair


cdef inline void _move(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    """Exchanges pairs under one of the core's logs, the first one from a step on."""
    cdef Resume *how = <Resume *>ctx
    cdef size_t i
    for i in range(n):
        if how.kind == PGX_LOG_TEMP:
            pgx_temp_exchange(moves[i].a, moves[i].b, moves[i].temp, moves[i].bytes, how.step, log, moves[i].pair)
        else:
            how.isa.undo(moves[i].a, moves[i].b, moves[i].bytes, how.step, log, moves[i].pair, NULL)
        how.step = 0


cdef inline void table_of(Resume *how, pgx_mover_ops *ops) noexcept nogil:
    memset(ops, 0, sizeof(pgx_mover_ops))
    ops.kind = how.kind
    ops.ctx = how
    ops.move = _move


cdef inline bint sound_move_of(Worker *w, uint32_t i, pgx_move *move) noexcept nogil:
    """`move_of`; False when its temporary frame makes no sense."""
    cdef uint32_t temp = w.rec.pair[i].temp
    cdef const pgx_entry *e
    move_of(w, i, move)
    if w.rec.pair[i].kind != PGX_LOG_TEMP:
        return True
    if move.temp == NULL:
        return False
    e = &w.r.entries[temp - 1]
    return e.state == PGX_USED and pgx_load32(&e.owner) == w.slot + 1 and w.work[i].order <= e.order <= PGX_MAX_ORDER


cdef inline uint64_t last_step(uint32_t kind, uint64_t bytes) noexcept nogil:
    return 2 if kind == PGX_LOG_TEMP else bytes // PGX_CHUNK * 2


cdef inline int resume_pair(pgx_region *r, Resume *how, const pgx_move *move, const pgx_log *log) noexcept nogil:
    """Finishes one pair, or one range of a pair, from a step on: 0; or -errno, and it is put back: see `move_guarded`."""
    cdef pgx_mover_ops ops
    cdef Call call
    cdef const uint8_t *where
    cdef const uint8_t *found
    table_of(how, &ops)
    call.ops = &ops
    call.moves = move
    call.n = 1
    call.log = log
    where = pgx_guarded(run_call, &call, r.frames, r.nframes << r.page_shift)
    if where == NULL:
        return 0
    found = broken_in(r, move, where)
    mark_broken(r, found if found != NULL else where)
    put_back(&ops, r, move, log, pgx_step_of(pgx_load64(log.state)))
    return -EHWPOISON


# ---- helpers ---------------------------------------------------------------------------------------------------------

cdef inline bint _helps(Worker *w, uint32_t slot) noexcept nogil:
    cdef const pgx_slot *rec = pgx_slot_at(w.r, slot)
    cdef uint32_t phase = pgx_load64(&rec.state) & 0xff
    return slot != w.slot and rec.parent == w.slot + 1 and (phase == PGX_HELP or phase == PGX_BACK)


cdef inline void put_back_before(Worker *w, const pgx_mover_ops *ops, uint32_t end, const pgx_move *move) noexcept nogil:
    """Puts back the ranges of the helpers in slots below `end`, which have come to their end."""
    cdef pgx_log log
    cdef pgx_move part
    cdef pgx_slot *rec
    cdef uint32_t slot
    for slot in range(1, end):
        if not _helps(w, slot):
            continue
        rec = pgx_slot_at(w.r, slot)
        part = move[0]
        part.a += rec.lo
        part.b += rec.lo
        part.bytes = rec.hi - rec.lo
        part.pair = 0
        log_of(w.r, slot, PGX_HELP, &log)
        put_back(ops, w.r, &part, &log, last_step(PGX_LOG_UNDO, part.bytes))


cdef inline int _finish_helpers(Worker *w, uint32_t i) noexcept nogil:
    """Finishes the pair that is in its helpers' hands, or puts it back: 0, -EHWPOISON, or -EUCLEAN with nothing changed."""
    cdef Resume how
    cdef pgx_mover_ops ops
    cdef pgx_move move, part
    cdef pgx_log log
    cdef pgx_slot *rec
    cdef uint32_t slot
    cdef uint64_t state, step
    cdef uint64_t covered = 0
    cdef bint back = False
    cdef int rc = 0
    move_of(w, i, &move)
    how.isa = w.isa
    how.kind = PGX_LOG_UNDO
    table_of(&how, &ops)
    for slot in range(1, w.r.workers + 1):
        if not _helps(w, slot):
            continue
        rec = pgx_slot_at(w.r, slot)
        state = pgx_load64(&rec.state)
        if rec.lo >= rec.hi or rec.hi > move.bytes or (rec.lo | rec.hi) % PGX_PIECE or \
                pgx_step_of(state) > last_step(PGX_LOG_UNDO, rec.hi - rec.lo):
            return -EUCLEAN
        covered += rec.hi - rec.lo
        back |= state & 0xff == PGX_BACK
    if covered != move.bytes:
        return -EUCLEAN
    for slot in range(1, w.r.workers + 1):
        if not _helps(w, slot):
            continue
        rec = pgx_slot_at(w.r, slot)
        state = pgx_load64(&rec.state)
        step = pgx_step_of(state)
        part = move
        part.a += rec.lo
        part.b += rec.lo
        part.bytes = rec.hi - rec.lo
        part.pair = 0
        log_of(w.r, slot, PGX_HELP, &log)
        if back or rc != 0:
            put_back(&ops, w.r, &part, &log, step + 1 if state & 0xff == PGX_BACK else step)
            continue
        how.step = step
        rc = resume_pair(w.r, &how, &part, &log)
        if rc != 0:  # the ranges before it have come to their end: all go back
            back = True
            put_back_before(w, &ops, slot, &move)
    return -EHWPOISON if back else 0


cdef inline void release_helpers(Worker *w) noexcept nogil:
    """The records of those who helped a slot are done with, once its own step does not name them any more."""
    cdef uint32_t slot
    for slot in range(1, w.r.workers + 1):
        if _helps(w, slot):
            pgx_publish(&pgx_slot_at(w.r, slot).state, PGX_IDLE)
            pgx_store32(&pgx_slot_at(w.r, slot).parent, 0)


# ---- the whole-page log of a Python mover ------------------------------------------------------------------------------

cdef inline int put_pages_back(Worker *w, uint64_t state) noexcept nogil:
    """Puts back what a Python mover has done: 0, or -EUCLEAN with nothing changed."""
    cdef uint64_t total = pieces_of(w)
    cdef uint64_t step = pgx_step_of(state)
    cdef uint64_t g = step >> 1
    if g * PGX_PIECES > total + PGX_PIECES - 1 or (step & 1 and g * PGX_PIECES >= total):
        return -EUCLEAN
    if step & 1:
        put_open_group_back(w, g, total, state & 0xff == PGX_BACK)
    put_groups_back(w, g, total)
    return 0


# ---- forward -----------------------------------------------------------------------------------------------------------

cdef inline uint32_t _first_from(const Worker *w, uint64_t pair) noexcept nogil:
    cdef uint32_t k = 0
    while k < w.n_live and w.live[k] < pair:
        k += 1
    return k


cdef inline int _open_pair(Worker *w, uint32_t k, uint64_t state, Resume *how) noexcept nogil:
    """Ends what is open of the k-th live pair, in DATA or BACK: 1 it is done, 0 it is dropped, or -EUCLEAN."""
    cdef uint32_t i = w.live[k]
    cdef uint64_t step = pgx_step_of(state)
    cdef pgx_mover_ops ops
    cdef pgx_log log
    cdef int rc
    log_of(w.r, w.slot, PGX_DATA, &log)
    table_of(how, &ops)
    if state & 0xff == PGX_BACK:
        if step >= last_step(how.kind, w.moves[k].bytes):
            return -EUCLEAN
        put_back(&ops, w.r, &w.moves[k], &log, step + 1)
        drop_open(w, k, -EHWPOISON)
        return 0
    if step == PGX_SPLIT:
        rc = _finish_helpers(w, i)
        if rc == -EUCLEAN:
            return rc
    elif step > last_step(how.kind, w.moves[k].bytes):
        return -EUCLEAN
    else:
        how.step = step
        rc = resume_pair(w.r, how, &w.moves[k], &log)
    if rc == 0:
        pgx_log_step(&log, i + 1, 0)
    else:
        drop_open(w, k, rc)
    return rc == 0


cdef inline int resume_data(Worker *w, uint64_t state) noexcept nogil:
    """Moves what is still to be moved: 0, or -EUCLEAN with nothing changed."""
    cdef Resume how
    cdef pgx_mover_ops ops
    cdef pgx_log log
    cdef size_t broken = 0
    cdef uint32_t k, i
    cdef int rc
    how.isa = w.isa
    how.kind = w.rec.pair[w.live[0]].kind
    how.step = 0
    for k in range(w.n_live):
        if w.rec.pair[w.live[k]].kind != how.kind or not sound_move_of(w, w.live[k], &w.moves[k]):
            return -EUCLEAN
    if how.kind == PGX_LOG_NONE:
        return 0
    if how.kind != PGX_LOG_UNDO and how.kind != PGX_LOG_TEMP:
        return -EUCLEAN
    k = _first_from(w, state >> 48)
    if k < w.n_live and w.live[k] == state >> 48:
        rc = _open_pair(w, k, state, &how)
        if rc < 0:
            return rc
        if rc == 0:
            for k in range(w.n_live):
                move_of(w, w.live[k], &w.moves[k])
            k = _first_from(w, state >> 48)
        else:
            k += 1
    log_of(w.r, w.slot, PGX_DATA, &log)
    table_of(&how, &ops)
    while k < w.n_live:
        how.step = 0
        rc = move_guarded(&ops, w.r, &w.moves[k], w.n_live - k, &log, &broken)
        if rc == 0:
            break
        k += <uint32_t>broken
        drop_open(w, k, rc)
        for i in range(k, w.n_live):
            move_of(w, w.live[i], &w.moves[i])
    return 0


cdef inline void resume_tails(Worker *w, uint64_t state) noexcept nogil:
    """Words of tails: from an open chunk on, or all of them after DATA."""
    cdef uint32_t k
    cdef uint64_t step = pgx_step_of(state)
    for k in range(w.n_live):
        w.tails[w.live[k]] = w.r.layout.tail_swap
    if state & 0xff != PGX_TAILS:
        exchange_tails(w, 0, 0, 0)
        return
    k = _first_from(w, state >> 48)
    if k < w.n_live and w.live[k] == state >> 48:
        store_tails(w, w.live[k], <uint32_t>(step >> 1), step & 1)
        exchange_tails(w, k, <uint32_t>(step >> 1) + 1, <uint32_t>(step & 1) ^ 1)


cdef inline void _finish_migration(Worker *w, uint32_t i, uint32_t target) noexcept nogil:
    """The same of a page and the free frame that was taken for it: the frame that it leaves keeps the mark.

    The page's new frame is let go first: when one frame carries the mark, that is the one that was left.
    """
    cdef Work *p = &w.work[i]
    cdef uint32_t side
    if marked(w, p.pfn[0]) and marked(w, p.pfn[1]):
        arrive(w, i, target)
        pgx_store64(pgx_state_word(&w.r.entries[p.pfn[target]]), pgx_state_of(p.refs[1 - target], 0))
    for side in range(2):
        if marked(w, p.pfn[side]):
            arrive(w, i, side)


cdef inline int _free_left(Worker *w, uint64_t until) noexcept nogil:
    """Frees what the pages of migrations have left: 0, or -EAGAIN when another slot has a node."""
    cdef uint32_t k, side
    cdef uint32_t *temp
    cdef int rc = 0
    for k in range(w.n_live):
        temp = &w.rec.pair[w.live[k]].temp
        for side in range(2):
            if marked(w, w.work[w.live[k]].pfn[side]):
                if pgx_free(w.r, w.work[w.live[k]].pfn[side], w.slot, until, temp) == -EAGAIN:
                    rc = -EAGAIN
    return rc


cdef inline void finish_marked(Worker *w) noexcept nogil:
    """What `finish` does, on the frames that it had not let go."""
    cdef uint32_t k, side
    cdef Work *p
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        if _was_taken(w, w.live[k], 0) or _was_taken(w, w.live[k], 1):
            _finish_migration(w, w.live[k], _was_taken(w, w.live[k], 1))
            continue
        for side in range(2):
            if marked(w, p.pfn[side]):
                arrive(w, w.live[k], side)
                pgx_store64(pgx_state_word(&w.r.entries[p.pfn[side]]), pgx_state_of(p.refs[1 - side], 0))


cdef inline void count_all(Worker *w) noexcept nogil:
    """The new counters, as if every pair changed them."""
    cdef uint32_t k, side
    cdef Work *p
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        w.counted[k] = w.live[k]
        for side in range(2):
            p.kind[side] = <uint8_t>kind_of(w.r, p.mapping[side], w.rec.pair[w.live[k]].side[side].mapcount)
    w.n_counted = w.n_live
    set_targets(w)


cdef inline void release_named_holds(Worker *w) noexcept nogil:
    cdef uint32_t i, side
    cdef uint64_t mapping
    for i in range(w.n):
        for side in range(2):
            mapping = w.rec.pair[i].side[side].mapping
            if mapping and mapping & 3 == 0 and (mapping >> 2) - 1 < w.r.nmappings:
                xa_release(&w.r.mappings[(mapping >> 2) - 1].pages, w.slot)


cdef inline int recover_exchange(Worker *w, uint64_t until) noexcept nogil:
    """Ends a dead worker's exchange: 0; -EUCLEAN when its record makes no sense, and nothing has been changed; -EAGAIN when
    all is done but that another slot has a node, to which a frame is to be given back: to be begun again.

    `until`: how long it waits for a node's lock.
    """
    cdef uint64_t state = pgx_load64(&w.rec.state)
    cdef uint32_t phase = state & 0xff
    cdef int rc = 0
    if phase == PGX_IDLE:
        return _give_temps(w, until)
    if phase > PGX_TAILS or phase == PGX_HELP:
        return -EUCLEAN
    rc = read_record(w, state)
    if rc == 0 and (phase == PGX_DATA or phase == PGX_BACK) and w.n_live:
        if w.rec.pair[w.live[0]].kind == PGX_LOG_WHOLE:
            rc = put_pages_back(w, state)
            phase = PGX_INTENT
        else:
            rc = resume_data(w, state)
    if rc == 0 and phase == PGX_TAILS and (state >> 48 >= w.n or w.work[state >> 48].status != 0
                                           or pgx_step_of(state) >> 1 >= chunks_of(&w.work[state >> 48])):
        rc = -EUCLEAN
    if rc != 0:
        return rc
    if phase == PGX_DATA or phase == PGX_BACK or phase == PGX_TAILS:
        resume_tails(w, state)
        count_all(w)
        pgx_publish(&w.rec.state, PGX_META)
    if phase != PGX_INTENT:
        store_counters(w)
        finish_marked(w)
        w.rec.targets = 0
    put_back_pairs(w, phase == PGX_INTENT)
    if phase != PGX_INTENT and _free_left(w, until) != 0:
        return -EAGAIN
    rc = _give_temps(w, until)
    if rc != 0:
        return rc
    release_named_holds(w)
    release_helpers(w)  # the step does not name them any more
    pgx_publish(&w.rec.state, PGX_IDLE)
    return 0
