# cython: language_level=3
# cython: freethreading_compatible=False
"""The folio copy: as `folio_mc_copy` of Linux, with the widest registers; the next page's first bytes are fetched meanwhile."""

from libc.stddef cimport size_t

from pagexchange_native.movers.ahead cimport next_source
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport isa_of
from pagexchange_native.movers.moves cimport pgx_ahead, pgx_isa
from pagexchange_native.plugin cimport init_was_called, pgx_log, pgx_log_step, pgx_move


cdef void copy(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef const pgx_isa *isa = <const pgx_isa *>ctx
    cdef pgx_ahead ahead
    cdef size_t i
    for i in range(n):
        pgx_log_step(log, moves[i].pair, 0)
        ahead = next_source(moves, n, i)
        isa.copy(moves[i].a, moves[i].b, moves[i].bytes, &ahead)


cdef class FolioCopy(DataCopier):
    """Copies folios through the caches.

    Parameters
    ----------
    isa : str
        "auto" (the widest of this CPU), "scalar", "sse2", "avx2", "avx512" or "neon".

    Raises
    ------
    ValueError
        An unknown name.
    NotImplementedError
        This CPU does not have it.
    """

    cdef const pgx_isa *isa

    def __init__(self, str isa="auto"):
        self.isa = isa_of(isa)
        self.name = "folio-copy"
        self.ops.ctx = <void *>self.isa
        self.ops.move = copy

    cpdef dict describe(self):
        """Return the instruction set chosen."""
        init_was_called(self, self.isa != NULL)
        return {"isa": self.isa.name.decode(), "width": f"{self.isa.width} bytes"}
