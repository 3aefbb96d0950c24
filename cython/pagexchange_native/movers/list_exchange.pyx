# cython: language_level=3
# cython: freethreading_compatible=False
"""The list exchange: the whole list in one call, so that later pairs are fetched while one is moved."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.movers.mover cimport DataMover, isa_of
from pagexchange_native.movers.moves cimport (
    PGX_FETCHED, pgx_ahead, pgx_isa, pgx_pairs_ahead, pgx_ticks, pgx_unless_neighbour,
)
from pagexchange_native.plugin cimport init_was_called, pgx_log, pgx_move
from pagexchange_native.format cimport PGX_CHUNK, PGX_DATA, pgx_load32, pgx_store32

cdef enum:
    MOST_THREADS = 32  # as `vm.limit_mt_num` allowed
    FEW = 4            # pairs that say nothing of a list
    HOT_TRIES = 64
    NEAR = 5           # halves of the time from L1: from L2 a page takes up to 1.5 times as long, from L3 more than four times

cdef struct list_options:
    const pgx_isa *isa
    bint prefetch
    uint64_t hot     # ticks of one pair of PGX_FETCHED bytes in L1; 0: not known
    uint32_t cached  # whether the last pairs came as fast as out of L2: then hints cost more than they bring


cdef uint64_t _hot(const pgx_isa *isa) noexcept nogil:
    """Ticks that one pair takes when nothing has to be fetched: the fastest of some."""
    cdef uint8_t[2 * PGX_FETCHED + 64] pages
    cdef uint8_t[2 * PGX_CHUNK + 64] chunks
    cdef uint8_t *a = <uint8_t *>((<uint64_t>pages + 63) & ~<uint64_t>63)
    cdef uint64_t state = 0
    cdef uint64_t best = 0
    cdef uint64_t start, spent
    cdef pgx_log log
    memset(pages, 0, sizeof(pages))
    log.state = &state
    log.chunk = <uint8_t *>((<uint64_t>chunks + 63) & ~<uint64_t>63)
    log.phase = PGX_DATA
    log.slot = 0
    log.region = NULL
    for _ in range(HOT_TRIES):
        start = pgx_ticks()
        isa.undo(a, a + PGX_FETCHED, PGX_FETCHED, 0, &log, 0, NULL)
        spent = pgx_ticks() - start
        if best == 0 or spent < best:
            best = spent
    return best


cdef inline pgx_ahead _ahead_of(const pgx_move *moves, size_t n, size_t i) noexcept nogil:
    """What to fetch while pair i moves."""
    cdef pgx_ahead pair, before
    cdef size_t other = i + pgx_pairs_ahead(moves[i].bytes)
    if other >= n:
        pair.a = pair.b = NULL
        return pair
    pair.a, pair.b = moves[other].a, moves[other].b
    before.a, before.b = moves[other - 1].a, moves[other - 1].b
    return pgx_unless_neighbour(pair, before, moves[other - 1].bytes)


cdef void exchange_list(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef list_options *options = <list_options *>ctx
    cdef uint32_t cached = pgx_load32(&options.cached)
    cdef bint fetch = options.prefetch and not cached
    cdef uint64_t start = pgx_ticks()
    cdef pgx_ahead ahead
    cdef size_t i
    for i in range(n):
        ahead = _ahead_of(moves, n, i)
        options.isa.undo(moves[i].a, moves[i].b, moves[i].bytes, 0, log, moves[i].pair, &ahead if fetch else NULL)
    if options.hot and n >= FEW and moves[0].bytes == PGX_FETCHED:
        # Threads of one list may take turns in saying so: it decides about hints, and nothing else.
        if (2 * (pgx_ticks() - start) < n * NEAR * options.hot) != cached:
            pgx_store32(&options.cached, not cached)


cdef class ListExchange(DataMover):
    """Exchanges a list of folio pairs in place under the undo log; allocates nothing.

    Parameters
    ----------
    isa : str
        "auto" (the widest of this CPU), "scalar", "sse2", "avx2", "avx512" or "neon".
    prefetch : bool
        While the last 4 KiB of a folio move, fetch the first 4 KiB of the next pair into L2, and where folios have no
        more than that, of the next but one. Not inside a folio, nor a pair that lies right behind the one before it on
        both sides: the hardware follows there, and hints cost more than they bring; nor while pages come as fast as out
        of L2, by the time that the pairs before have taken.
    threads : int
        How many workers may share a list, or one large folio: 1 to 32. The engine runs them; each works in a slot of
        its own on a range that `mover.shares` cuts.

    Raises
    ------
    ValueError
        An unknown name, or a number of threads outside 1 to 32.
    NotImplementedError
        This CPU does not have the instruction set.
    """

    cdef list_options options

    def __init__(self, str isa="auto", bint prefetch=True, int threads=1):
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads is {threads}; it must be 1 to {MOST_THREADS}")
        self.options.isa = isa_of(isa)
        self.options.prefetch = prefetch
        self.options.hot = _hot(self.options.isa) if prefetch else 0
        self.options.cached = 0
        self.name = "list-exchange"
        self.ops.threads = threads
        self.ops.ctx = &self.options
        self.ops.move = exchange_list

    cpdef dict describe(self):
        """Return the instruction set chosen and how the loop works."""
        init_was_called(self, self.options.isa != NULL)
        return {
            "isa": self.options.isa.name.decode(),
            "width": f"{self.options.isa.width} bytes",
            "prefetch": "two pairs ahead, folios one; 4 KiB, to L2; none while pages are there" if self.options.prefetch else "none",
            "threads": str(self.ops.threads),
            "log": f"undo, {PGX_CHUNK}-byte chunks",
            "takes frames": "none",
        }
