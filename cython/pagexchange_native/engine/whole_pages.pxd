# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The whole-page log, under which a mover in Python works: groups of pieces are saved, moved by it, and looked at.

    DATA 2g + 1   group g is saved, and in the mover's hands
    DATA 2g       the groups below g are exchanged
    BACK 2g + 1   group g is saved, and being exchanged back
    BACK 2g       the groups below g are still exchanged

A group is up to PGX_PIECES pieces of both sides, in the order of the live pairs. A piece has `pgx_piece` bytes, and its
place in the log PGX_PIECE.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from pagexchange_native.engine.work cimport Work, Worker, page_side
from pagexchange_native.format cimport *


cdef inline uint64_t pieces_of(const Worker *w) noexcept nogil:
    """Pieces of each side of the live pairs."""
    cdef uint64_t total = 0
    cdef uint32_t k
    for k in range(w.n_live):
        total += (w.r.page_size << w.work[w.live[k]].order) // pgx_piece(w.r)
    return total


cdef inline uint64_t in_group(uint64_t g, uint64_t total) noexcept nogil:
    return min(<uint64_t>PGX_PIECES, total - g * PGX_PIECES)


cdef inline const Work *_pair_of(const Worker *w, uint64_t number, uint64_t *offset) noexcept nogil:
    """The pair that a piece is of, and where in its folios the piece begins."""
    cdef uint32_t k = 0
    cdef uint64_t pieces
    while True:
        pieces = (w.r.page_size << w.work[w.live[k]].order) // pgx_piece(w.r)
        if number < pieces:
            break
        number -= pieces
        k += 1
    offset[0] = number * pgx_piece(w.r)
    return &w.work[w.live[k]]


cdef inline void _piece(const Worker *w, uint64_t number, uint8_t **a, uint8_t **b) noexcept nogil:
    cdef uint64_t offset = 0
    cdef const Work *p = _pair_of(w, number, &offset)
    a[0] = pgx_frame_at(w.r, p.pfn[0]) + offset
    b[0] = pgx_frame_at(w.r, p.pfn[1]) + offset


cdef inline uint32_t _page_side_of(const Worker *w, uint64_t number) noexcept nogil:
    cdef uint64_t offset = 0
    return page_side(_pair_of(w, number, &offset))


cdef inline uint8_t *_saved(const Worker *w, uint64_t k, uint32_t side) noexcept nogil:
    """The place in the log of the k-th piece of a group, of one side."""
    return w.r.pieces + ((<uint64_t>(w.slot - 1) * PGX_PIECES + k) * 2 + side) * PGX_PIECE


cdef inline void save_group(const Worker *w, uint64_t g, uint64_t total) noexcept nogil:
    cdef uint64_t k
    cdef uint8_t *a
    cdef uint8_t *b
    for k in range(in_group(g, total)):
        _piece(w, g * PGX_PIECES + k, &a, &b)
        memcpy(_saved(w, k, 0), a, pgx_piece(w.r))
        memcpy(_saved(w, k, 1), b, pgx_piece(w.r))


cdef inline void store_group(const Worker *w, uint64_t g, uint64_t total, bint crosswise) noexcept nogil:
    """Stores a saved group to where it was saved from, or to the other side."""
    cdef uint64_t k
    cdef uint8_t *a
    cdef uint8_t *b
    for k in range(in_group(g, total)):
        _piece(w, g * PGX_PIECES + k, &a, &b)
        memcpy(a, _saved(w, k, crosswise), pgx_piece(w.r))
        memcpy(b, _saved(w, k, 1 - crosswise), pgx_piece(w.r))


cdef inline uint64_t exchanged_in_group(const Worker *w, uint64_t g, uint64_t total) noexcept nogil:
    """How many pieces of a saved group, from its first one on, are where the other side's were."""
    cdef uint64_t k
    cdef uint8_t *a
    cdef uint8_t *b
    for k in range(in_group(g, total)):
        _piece(w, g * PGX_PIECES + k, &a, &b)
        if memcmp(a, _saved(w, k, 1), pgx_piece(w.r)) or memcmp(b, _saved(w, k, 0), pgx_piece(w.r)):
            return k
    return in_group(g, total)


cdef inline uint64_t copied_in_group(const Worker *w, uint64_t g, uint64_t total) noexcept nogil:
    """How many pieces of a saved group of a migration, from its first one on, are in the free frame and unchanged."""
    cdef uint64_t k
    cdef uint8_t *a
    cdef uint8_t *b
    cdef const uint8_t *saved
    for k in range(in_group(g, total)):
        _piece(w, g * PGX_PIECES + k, &a, &b)
        saved = _saved(w, k, _page_side_of(w, g * PGX_PIECES + k))
        if memcmp(a, saved, pgx_piece(w.r)) or memcmp(b, saved, pgx_piece(w.r)):
            return k
    return in_group(g, total)


cdef inline void put_open_group_back(const Worker *w, uint64_t g, uint64_t total, bint crosswise) noexcept nogil:
    """Of a saved group that a mover, or who puts back, was at work with."""
    store_group(w, g, total, crosswise)
    pgx_publish(&w.rec.state, ((2 * g) << 8) | PGX_BACK)


cdef inline void put_groups_back(const Worker *w, uint64_t g, uint64_t total) noexcept nogil:
    """Exchanges the groups below g back, each under the log; then the batch is as it was before its data step."""
    while g > 0:
        g -= 1
        save_group(w, g, total)
        pgx_publish(&w.rec.state, ((2 * g + 1) << 8) | PGX_BACK)
        put_open_group_back(w, g, total, True)
    pgx_publish(&w.rec.state, PGX_INTENT)
