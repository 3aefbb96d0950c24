# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a copier fetches while it copies: the first bytes of a later page. Where the pages of a list lie one behind the
other the hardware is there already."""

from libc.stddef cimport size_t

from pagexchange_native.movers.moves cimport pgx_ahead, pgx_pairs_ahead
from pagexchange_native.plugin cimport pgx_move


cdef inline pgx_ahead next_source(const pgx_move *moves, size_t n, size_t i) noexcept nogil:
    """What to fetch while move i is done: nothing near the end of a list."""
    cdef pgx_ahead ahead
    cdef size_t other = i + pgx_pairs_ahead(moves[i].bytes)
    ahead.a = ahead.b = NULL
    if other < n and moves[other].a != moves[other - 1].a + moves[other - 1].bytes:
        ahead.a = moves[other].a
    return ahead
