# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One large folio, shared over helper threads with slots of their own.

The worker that owns the pair waits in its DATA phase; each helper has a slot in phase HELP with its byte range and its
own undo log, so that recovery can finish the helpers first. Range k of T is [pieces*k/T, pieces*(k+1)/T): nothing is
lost whatever the count (the 2019 code divided and dropped the remainder). When one range meets a memory error, all are
put back.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.slots cimport claim_worker, release_slot
from pagexchange_native.engine.data_log cimport log_of
from pagexchange_native.engine.guarded_move cimport move_guarded, put_back
from pagexchange_native.engine.threads cimport run_jobs
from pagexchange_native.format cimport *
from pagexchange_native.plugin cimport pgx_log, pgx_log_step, pgx_move, pgx_mover_ops

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef enum:
    MOST = 32          # helper threads
    SMALL = 128 << 10  # bytes below which a folio is not worth a thread

cdef struct Share:  # what one helper thread gets of a folio pair
    const pgx_mover_ops *ops
    pgx_region *r
    uint32_t slot
    int status
    pgx_move move


cdef inline void *_help(void *arg) noexcept nogil:
    cdef Share *s = <Share *>arg
    cdef pgx_log log
    cdef size_t broken
    log_of(s.r, s.slot, PGX_HELP, &log)
    s.status = move_guarded(s.ops, s.r, &s.move, 1, &log, &broken)
    return NULL


cdef inline int _put_back_all(Share *share, uint32_t n) noexcept nogil:
    """Exchanges back the ranges that came to their end, since another one did not."""
    cdef pgx_log log
    cdef uint32_t k
    for k in range(n):
        if share[k].status == 0:
            log_of(share[k].r, share[k].slot, PGX_HELP, &log)
            put_back(share[k].ops, share[k].r, &share[k].move, &log, share[k].move.bytes // PGX_CHUNK * 2)
    return -EHWPOISON


cdef inline int move_split(const pgx_mover_ops *ops, pgx_region *r, uint32_t slot, uint32_t threads, bint copies,
                           const pgx_move *move, const pgx_log *own) noexcept nogil:
    """Moves one folio pair with `threads` threads, or with the caller's alone when it is small or no slot is free.

    0; or -EHWPOISON, and both folios are as they were but for what is lost; of a copy also -EAGAIN, as `move_guarded`.
    """
    cdef Share[MOST] share
    cdef uint32_t n = 0
    cdef uint32_t k
    cdef int64_t got
    cdef uint64_t pieces = move.bytes // PGX_PIECE
    cdef uint64_t lo, hi
    cdef size_t broken
    cdef int rc = 0
    cdef pgx_slot *rec
    if threads > MOST:
        threads = MOST
    while move.bytes >= SMALL and n < threads and n < pieces:
        got = claim_worker(r)
        if got < 0:
            break
        share[n].slot = <uint32_t>got
        n += 1
    if n < 2:
        if n:
            release_slot(r, share[0].slot)
        return move_guarded(ops, r, move, 1, own, &broken)
    for k in range(n):
        lo = pieces * k // n * PGX_PIECE
        hi = pieces * (k + 1) // n * PGX_PIECE
        share[k].ops = ops
        share[k].r = r
        share[k].move = move[0]
        share[k].move.a += lo
        share[k].move.b += lo
        if copies:
            share[k].move.temp += lo
        share[k].move.bytes = hi - lo
        share[k].move.pair = 0
        rec = pgx_slot_at(r, share[k].slot)
        rec.parent = slot + 1
        rec.n = 1
        rec.pair[0] = pgx_slot_at(r, slot).pair[move.pair]
        rec.lo = lo
        rec.hi = hi
        pgx_publish(&rec.state, PGX_HELP)
    # The owner's step says that this pair is in the helpers' hands.
    pgx_log_step(own, move.pair, PGX_SPLIT)
    run_jobs(_help, share, sizeof(Share), n)
    for k in range(n):
        if share[k].status != 0:
            rc = share[k].status if copies else _put_back_all(share, n)  # of a copied page nothing has changed
            pgx_slot_at(r, slot).pair[move.pair].status = rc
            break
    # The next pair's step is published before the helpers' records go: from here this pair is done.
    pgx_log_step(own, move.pair + 1, 0)
    for k in range(n):
        rec = pgx_slot_at(r, share[k].slot)
        pgx_publish(&rec.state, PGX_IDLE)  # first: a step of its own in BACK would be a worker's, not a helper's
        rec.parent = 0
        release_slot(r, share[k].slot)
    return rc
