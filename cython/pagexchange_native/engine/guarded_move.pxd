# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A data step that survives memory errors: the pair that met one is put back, the others go on.

The log that makes a death harmless says all that is needed. A chunk that was open is restored from it, and the chunks
before it are exchanged again, the last one first, each under the log:

    BACK 2k + 1   the log has A's chunk k; B's chunk k is being copied from A
    BACK 2k       A's chunk k is being copied from the log; the chunks below k are still exchanged

so that a death meanwhile can be finished too. A mover may load from both folios before it publishes the chunk: what it
cannot read is then met at the step of the chunk before, or of the pair before, which has done its last store. What lies
in broken memory is lost, and no more: except that an exchange in place may have moved a part of the healthy page into
the broken frame before it met the error. Such a part reads as zeros afterwards, and the frame that lacks it is marked as
well: a frame without the mark has lost nothing. The temporary page has no such case. Source: `folio_mc_copy` and
`memory_failure` of Linux 6.18, which copy before they remap.
"""

from libc.errno cimport EAGAIN
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from posix.unistd cimport _SC_PAGESIZE, sysconf

from pagexchange_native.plugin cimport pgx_log, pgx_log_step, pgx_move, pgx_mover_ops
from pagexchange_native.format cimport *

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef extern from "pagexchange/guard.h" nogil:
    ctypedef void (*pgx_body_fn)(void *arg) noexcept nogil
    const uint8_t *pgx_guarded(pgx_body_fn body, void *arg, const uint8_t *lo, uint64_t size)
    const uint8_t *pgx_guarded_copy(uint8_t *to, const uint8_t *source, uint64_t size, const uint8_t *lo, uint64_t all)
    const uint8_t *pgx_guarded_read(const uint8_t *source, uint64_t size, const uint8_t *lo, uint64_t all)

cdef struct Call:
    const pgx_mover_ops *ops
    const pgx_move *moves
    size_t n
    const pgx_log *log


cdef inline uint64_t _frames_size(const pgx_region *r) noexcept nogil:
    return r.nframes << r.page_shift


cdef inline const uint8_t *_unreadable(const pgx_region *r, const uint8_t *start, uint64_t size) noexcept nogil:
    """The first line from `start` on, a place in a frame, that cannot be read; NULL: all can."""
    return pgx_guarded_read(start, size, r.frames, _frames_size(r))


cdef inline void mark_broken(pgx_region *r, const uint8_t *where) noexcept nogil:
    """Marks the frame at an address, and its folio's first one, which is the one that is asked."""
    cdef uint64_t pfn = <uint64_t>(where - r.frames) >> r.page_shift
    cdef uint32_t head
    if pfn >= r.nframes:  # a log's chunk, which is not guarded
        return
    head = pgx_load32(&r.entries[pfn].head)
    pgx_or64(&r.entries[pfn].flags, r.layout.hwpoison)
    if pgx_load8(&r.entries[pfn].state) == PGX_TAIL and head and head <= r.nframes:
        pgx_or64(&r.entries[head - 1].flags, r.layout.hwpoison)


cdef inline const uint8_t *broken_in(const pgx_region *r, const pgx_move *move, const uint8_t *where) noexcept nogil:
    """Where the memory of a move is broken that met an error at `where`; NULL: it is not this one's.

    Frames that are smaller than the machine's page break together, and the page is all that `where` may say: so they are
    read. Only those that an exchange touches are marked; the others are met when they are touched.
    """
    cdef const uint8_t *found
    if r.page_size >= <uint64_t>sysconf(_SC_PAGESIZE):
        return where
    found = _unreadable(r, move.a, move.bytes)
    if found == NULL:
        found = _unreadable(r, move.b, move.bytes)
    if found == NULL and move.temp != NULL:
        found = _unreadable(r, move.temp, move.bytes)
    return found


cdef inline bint _copy(pgx_region *r, uint8_t *to, const uint8_t *source, uint64_t size) noexcept nogil:
    """Copies chunk by chunk; what cannot be read becomes zeros. True when everything could be read."""
    cdef uint64_t at = 0
    cdef bint whole = True
    cdef const uint8_t *where
    cdef uint8_t[PGX_CHUNK] zeros
    memset(zeros, 0, PGX_CHUNK)
    while at < size:
        where = pgx_guarded_copy(to + at, source + at, PGX_CHUNK, r.frames, _frames_size(r))
        if where != NULL and _unreadable(r, source + at, PGX_CHUNK) != NULL:  # which side it is, reading says
            mark_broken(r, source + at)
            whole = False
            where = pgx_guarded_copy(to + at, zeros, PGX_CHUNK, r.frames, _frames_size(r))
        if where != NULL:
            mark_broken(r, to + at)
        at += PGX_CHUNK
    return whole


cdef inline int put_back(const pgx_mover_ops *ops, pgx_region *r, const pgx_move *move, const pgx_log *log,
                         uint64_t step) noexcept nogil:
    """Exchanges back what a move has done up to `step`. 0, or -EHWPOISON: something is lost, and its frame is marked."""
    cdef pgx_log back = log[0]
    cdef bint through_temp = ops.kind == PGX_LOG_TEMP
    cdef uint64_t size = move.bytes if through_temp else PGX_CHUNK
    cdef uint64_t k
    cdef uint8_t *a
    cdef uint8_t *b
    cdef uint8_t *saved
    cdef bint have_a = True
    cdef bint have_b = True
    if step == 0:
        return 0
    back.phase = PGX_BACK
    k = (step - 1) >> 1
    while True:
        a = move.a + k * size
        b = move.b + k * size
        saved = move.temp if through_temp else log.chunk + (k & 1) * PGX_CHUNK
        if step == 0:  # an exchanged chunk; the open one is saved already
            have_a &= _copy(r, saved, b, size)
        if step & 1 == 0:
            pgx_log_step(&back, move.pair, 2 * k + 1)
            have_b &= _copy(r, b, a, size)
        pgx_log_step(&back, move.pair, 2 * k)
        have_a &= _copy(r, a, saved, size)
        if k == 0:
            break
        k -= 1
        step = 0
    if not have_a:
        mark_broken(r, move.a)
    if not have_b:
        mark_broken(r, move.b)
    return 0 if have_a and have_b else -EHWPOISON


cdef inline void run_call(void *arg) noexcept nogil:
    cdef Call *call = <Call *>arg
    call.ops.move(call.ops.ctx, call.moves, call.n, call.log)


cdef inline bint _within(const uint8_t *where, const uint8_t *start, uint64_t size) noexcept nogil:
    return start != NULL and where >= start and where < start + size


cdef inline int move_guarded(const pgx_mover_ops *ops, pgx_region *r, const pgx_move *moves, size_t n, const pgx_log *log,
                             size_t *broken) noexcept nogil:
    """Moves n folio pairs. 0; or -errno, and `broken` is the number of the one that is as it was before:
    those before it are done, those after it not begun. -EHWPOISON: a frame of it is marked now. -EAGAIN: only its
    temporary page is. `log` names the step from which a survivor would go on."""
    cdef Call call
    cdef const uint8_t *where
    cdef const uint8_t *found
    cdef uint64_t state, step
    cdef size_t at = 0
    cdef uint32_t pair
    pgx_log_step(log, moves[0].pair, 0)
    call.ops = ops
    call.moves = moves
    call.n = n
    call.log = log
    where = pgx_guarded(run_call, &call, r.frames, _frames_size(r))
    if where == NULL:
        return 0
    state = pgx_load64(log.state)
    pair = <uint32_t>(state >> 48)
    step = pgx_step_of(state)
    while at + 1 < n and moves[at].pair != pair:
        at += 1
    found = broken_in(r, &moves[at], where)
    if found == NULL and at + 1 < n:
        found = broken_in(r, &moves[at + 1], where)
    where = found if found != NULL else where
    mark_broken(r, where)
    if at + 1 < n and ops.kind == PGX_LOG_UNDO and step == moves[at].bytes // PGX_CHUNK * 2 and \
            (_within(where, moves[at + 1].a, moves[at + 1].bytes) or _within(where, moves[at + 1].b, moves[at + 1].bytes)):
        # The error is the next pair's, in what is loaded before its first publish: this one's last store had been done.
        at += 1
        step = 0
    broken[0] = at
    if put_back(ops, r, &moves[at], log, step) == 0 and _within(where, moves[at].temp, moves[at].bytes):
        return -EAGAIN
    return -EHWPOISON


cdef inline bint readable(pgx_region *r, uint64_t pfn, uint32_t order) noexcept nogil:
    """Whether every line of a folio can be read; if not, its frame is marked."""
    cdef const uint8_t *where = pgx_guarded_read(pgx_frame_at(r, pfn), r.page_size << order, r.frames, _frames_size(r))
    if where != NULL:
        mark_broken(r, where)
    return where == NULL
