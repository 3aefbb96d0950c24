# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""The temporary page: take a frame, copy three times, as the review of the 2019 RFC asked for."""

from libc.errno cimport EAGAIN, ENOMEM
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from pagexchange_native.arena.taken cimport give_frame_back, is_taken, take_frame
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.movers.moves cimport pgx_temp_exchange
from pagexchange_native.plugin cimport pgx_log, pgx_move
from pagexchange_native.format cimport (
    PGX_BATCH,
    PGX_LOG_TEMP,
    pgx_pair,
    pgx_region,
    pgx_slot,
    pgx_slot_at,
)

cdef void move_through(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef size_t i
    for i in range(n):
        pgx_temp_exchange(moves[i].a, moves[i].b, moves[i].temp, moves[i].bytes, 0, log, moves[i].pair)


cdef int take(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    """Take a folio of the pair's order from the first node that gives one, as a zone list does.

    It is locked: no worker can exchange it. `pair.temp` names it from the moment on when it is taken.
    """
    cdef int64_t pfn = -ENOMEM
    cdef uint32_t node
    if is_taken(region, slot, pair.temp):  # one that could not be given back
        if region.entries[pair.temp - 1].order >= pair.order:
            return 0
        give_back(ctx, region, slot, pair)
        if pair.temp:
            return -EAGAIN
    pair.temp = 0
    for node in range(region.nnodes):
        pfn = take_frame(region, node, pair.order, slot, &pair.temp)
        if pfn >= 0:
            return 0
    return <int>pfn


cdef void give_back(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    """Frees the folio, and clears `pair.temp` with it. It stays recorded when the node is not let go: for the next pair here."""
    give_frame_back(region, slot, &pair.temp)


cdef inline pgx_slot *record_of(pgx_region *region, uint32_t slot, const pgx_pair *pair, size_t *number) noexcept nogil:
    """The slot's record and the pair's number in it; NULL when the pair lies elsewhere."""
    cdef pgx_slot *record
    cdef size_t distance
    if slot >= region.nslots:
        return NULL
    record = pgx_slot_at(region, slot)
    distance = <size_t>pair - <size_t>&record.pair[0]
    number[0] = distance / sizeof(pgx_pair)
    return NULL if number[0] >= PGX_BATCH else record


cdef int take_or_share(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    """The folio that an earlier pair of this batch took, if it is large enough; else a new one."""
    cdef size_t i = 0
    cdef pgx_slot *record = record_of(region, slot, pair, &i)
    cdef uint32_t temp
    while record != NULL and i > 0:
        i -= 1
        temp = record.pair[i].temp
        if temp and is_taken(region, slot, temp) and region.entries[temp - 1].order >= pair.order:
            pair.temp = temp
            return 0
    return take(ctx, region, slot, pair)


cdef void give_back_last(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    """Gives the folio back once no pair of the batch names it any more."""
    cdef size_t number = 0, i
    cdef pgx_slot *record = record_of(region, slot, pair, &number)
    if record != NULL:
        for i in range(number + 1, PGX_BATCH):
            if record.pair[i].temp == pair.temp:
                pair.temp = 0
                return
        for i in range(number):
            if record.pair[i].temp == pair.temp:
                pair.temp = 0
                return
    give_back(ctx, region, slot, pair)


cdef class TempPage(DataMover):
    """Exchanges through a temporary folio and three `memcpy`; the folio is taken before the point of no return.

    Parameters
    ----------
    source : str
        "local": a folio for each pair, given back when the pair is done. It comes from the first node that has one
        above its min watermark, in the arena's order: the model has no CPUs, and its first node is the nearest one.
        "per-worker": one folio per worker, kept from pair to pair of a batch ("one temp page per copying thread").

    Notes
    -----
    A pair for which no folio is found is refused with -ENOMEM. With "per-worker" the steps stay safe because step 0
    of a pair is published before its first copy: until then the folio may be what the pair before still needs.
    """

    cdef bint shared

    def __init__(self, str source="local"):
        if source not in ("local", "per-worker"):
            raise ValueError(f"source '{source}': unknown; use 'local' or 'per-worker'")
        self.shared = source == "per-worker"
        self.name = "temp-page"
        self.ops.kind = PGX_LOG_TEMP
        self.ops.prepare = take_or_share if self.shared else take
        self.ops.release = give_back_last if self.shared else give_back
        self.ops.move = move_through

    cpdef dict describe(self):
        """Return where the folio comes from and how the loop works."""
        return {
            "source": "per-worker" if self.shared else "local",
            "log": "temp, three copies",
            "takes frames": "one folio per worker and batch" if self.shared else "one folio per pair",
        }
