# cython: language_level=3
# cython: freethreading_compatible=False
"""The streaming copy: stores that go past the caches, so that a page on its way to the slow node displaces nothing there.

Each page has been stored when the next one is begun (`sfence`): what is published of one is true for every CPU.
"""

from libc.stddef cimport size_t

from pagexchange_native.movers.ahead cimport next_source
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport isa_of
from pagexchange_native.movers.moves cimport pgx_ahead, pgx_isa
from pagexchange_native.plugin cimport init_was_called, pgx_log, pgx_log_step, pgx_move


cdef void stream(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef const pgx_isa *isa = <const pgx_isa *>ctx
    cdef pgx_ahead ahead
    cdef size_t i
    for i in range(n):
        pgx_log_step(log, moves[i].pair, 0)
        ahead = next_source(moves, n, i)
        if <size_t>moves[i].b % isa.width:  # no frame: only `copy_rows` may have such
            isa.copy(moves[i].a, moves[i].b, moves[i].bytes, &ahead)
        else:
            isa.stream(moves[i].a, moves[i].b, moves[i].bytes, &ahead)


cdef class StreamingCopy(DataCopier):
    """Copies folios with non-temporal stores.

    Parameters
    ----------
    isa : str
        "auto" (the widest of this CPU), "sse2", "avx2" or "avx512".

    Raises
    ------
    ValueError
        An unknown name.
    NotImplementedError
        This CPU does not have it, or it has no such stores.
    """

    cdef const pgx_isa *isa

    def __init__(self, str isa="auto"):
        self.isa = isa_of(isa)
        if self.isa.stream == NULL:
            raise NotImplementedError(f"isa '{self.isa.name.decode()}' has no stores past the caches")
        self.name = "streaming-copy"
        self.ops.ctx = <void *>self.isa
        self.ops.move = stream

    cpdef dict describe(self):
        """Return the instruction set chosen and how it stores."""
        init_was_called(self, self.isa != NULL)
        return {"isa": self.isa.name.decode(), "width": f"{self.isa.width} bytes", "stores": "past the caches"}
