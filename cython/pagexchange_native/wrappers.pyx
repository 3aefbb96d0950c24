# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=False
"""Wrappers around the three native objects: they measure, or make fail, what the wrapped one does, without Python.

Each keeps the wrapped object and a copy of its table, and forwards every function. Worker threads share one wrapper,
so all counting is atomic.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.plugin cimport (
    pgx_find,
    pgx_flags_ops,
    pgx_log,
    pgx_mapping_ops,
    pgx_move,
    pgx_mover_ops,
)
from pagexchange_native.format cimport (
    PGX_ABI,
    PGX_LOG_NONE,
    PGX_LOG_TEMP,
    PGX_LOG_UNDO,
    PGX_LOG_WHOLE,
    pgx_add64,
    pgx_cas64,
    pgx_load64,
    pgx_pair,
    pgx_region,
    pgx_store64,
)

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)
    enum:
        CLOCK_MONOTONIC

RECORD = np.dtype([("start_ns", "<u8"), ("n", "<u8"), ("ns", "<u8")])


def check_ops(native):
    """Return what is wrong with an object's table of functions, or an empty string.

    Parameters
    ----------
    native : FlagPolicy, DataMover or MappingUpdater
        What a plug-in returned.
    """
    cdef uint32_t abi, size, expected
    cdef bint there
    cdef str function
    if isinstance(native, FlagPolicy):
        abi, size, expected = (<FlagPolicy>native).ops.abi, (<FlagPolicy>native).ops.size, sizeof(pgx_flags_ops)
        there, function = (<FlagPolicy>native).ops.exchange != NULL, "exchange"
    elif isinstance(native, DataMover):
        abi, size, expected = (<DataMover>native).ops.abi, (<DataMover>native).ops.size, sizeof(pgx_mover_ops)
        there, function = (<DataMover>native).ops.move != NULL, "move"
    elif isinstance(native, MappingUpdater):
        abi, size, expected = (<MappingUpdater>native).ops.abi, (<MappingUpdater>native).ops.size, sizeof(pgx_mapping_ops)
        there, function = (<MappingUpdater>native).ops.find != NULL, "find"
    else:
        return f"{type(native).__name__} is not a native object"
    # A plug-in may state the ABI that it was compiled for, which the base class cannot know.
    stated = getattr(native, "abi", abi)
    if abi != PGX_ABI or stated != PGX_ABI:
        stated = abi if abi != PGX_ABI else stated
        return f"it was compiled for ABI {stated}, this pagexchange has ABI {PGX_ABI}: build it again"
    if size != expected:
        return f"its table has {size} bytes, this pagexchange's {expected}: build it again"
    if not there:
        return f"its table has no function '{function}'"
    if isinstance(native, DataMover):
        if (<DataMover>native).ops.kind not in (PGX_LOG_UNDO, PGX_LOG_TEMP, PGX_LOG_WHOLE, PGX_LOG_NONE):
            return f"log format {(<DataMover>native).ops.kind} is not one of the core's, so recovery could not read it"
        if (<DataMover>native).ops.threads < 1:
            return "its table says 0 threads: 1 is the smallest number"
    return ""


# ---- measuring ----------------------------------------------------------------------------------------------------------

cdef inline uint64_t now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef inline void count(call_meter *meter, uint64_t start, size_t n) noexcept nogil:
    cdef uint64_t took = now() - start
    cdef uint64_t number = pgx_add64(&meter.calls, 1)
    cdef batch_record *record
    pgx_add64(&meter.items, n)
    pgx_add64(&meter.took, took)
    if meter.keep:
        record = &meter.ring[number % meter.keep]
        # Who finds it claimed was overtaken by a whole ring, or is being read: a record is left out, and none is mixed.
        if pgx_cas64(&record.claim, 0, 1):
            record.start = start
            record.n = n
            record.took = took
            pgx_store64(&record.claim, 0)


cdef int make_ring(call_meter *meter, object keep) except -1:
    if not 0 <= keep <= 1 << 24:
        raise ValueError(f"keep is {keep}; it must be 0 to {1 << 24} records")
    free(meter.ring)
    meter.keep = keep
    meter.ring = <batch_record *>calloc(max(keep, 1), sizeof(batch_record))
    if meter.ring == NULL:
        meter.keep = 0
        raise MemoryError(f"no memory for {keep} records")
    return 0


cdef dict counts_of(call_meter *meter):
    return {
        "calls": pgx_load64(&meter.calls),
        "items": pgx_load64(&meter.items),
        "ns": pgx_load64(&meter.took),
        "prepares": pgx_load64(&meter.prepares),
        "prepare_ns": pgx_load64(&meter.prepare_took),
        "refused": pgx_load64(&meter.refused),
    }


cdef object records_of(call_meter *meter):
    """The records of the ring, oldest first, as a copy; without those that are being written at this moment."""
    cdef uint64_t calls = pgx_load64(&meter.calls)
    cdef uint64_t n = min(calls, meter.keep), i
    cdef uint64_t got = 0
    out = np.zeros(n, RECORD)
    cdef uint64_t[:, ::1] rows = out.view(np.uint64).reshape(n, 3)
    cdef batch_record *record
    for i in range(n):
        record = &meter.ring[(calls - n + i) % meter.keep]
        if pgx_cas64(&record.claim, 0, 1):
            if record.start:  # else its call is counted, and not written yet
                rows[got, 0] = record.start
                rows[got, 1] = record.n
                rows[got, 2] = record.took
                got += 1
            pgx_store64(&record.claim, 0)
    return out[:got]


cdef int timed_exchange(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                        size_t n) noexcept nogil:
    cdef timed_flags *c = <timed_flags *>ctx
    cdef uint64_t start = now()
    cdef int rc = c.inner.exchange(c.inner.ctx, a, b, new_a, new_b, n)
    count(&c.meter, start, n)
    if rc:
        pgx_add64(&c.meter.refused, n)
    return rc


cdef class TimedFlags(FlagPolicy):
    """Counts calls, words and ns of a flag policy; keeps the last `keep` calls."""

    def __init__(self, FlagPolicy inner not None, keep=0):
        make_ring(&self.context.meter, keep)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.ctx = &self.context
        self.ops.exchange = timed_exchange

    def __dealloc__(self):
        free(self.context.meter.ring)

    cpdef dict describe(self):
        """Return what the wrapped policy says."""
        return self.inner.describe()

    def counts(self):
        """Return calls, items (pairs), ns, refused (pairs)."""
        return counts_of(&self.context.meter)

    def records(self):
        """Return the last calls, oldest first: start_ns, n, ns."""
        return records_of(&self.context.meter)


cdef void timed_move(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef timed_mover *c = <timed_mover *>ctx
    cdef uint64_t start = now()
    c.inner.move(c.inner.ctx, moves, n, log)
    count(&c.meter, start, n)


cdef int timed_prepare(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef timed_mover *c = <timed_mover *>ctx
    cdef uint64_t start = now()
    cdef int rc = c.inner.prepare(c.inner.ctx, region, slot, pair)
    pgx_add64(&c.meter.prepare_took, now() - start)
    pgx_add64(&c.meter.prepares, 1)
    if rc:
        pgx_add64(&c.meter.refused, 1)
    return rc


cdef void timed_release(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef timed_mover *c = <timed_mover *>ctx
    cdef uint64_t start = now()
    c.inner.release(c.inner.ctx, region, slot, pair)
    pgx_add64(&c.meter.prepare_took, now() - start)


cdef class TimedMover(DataMover):
    """Counts calls, pairs and ns of a data mover, its `prepare` and `release` apart; keeps the last `keep` calls."""

    def __init__(self, DataMover inner not None, keep=0):
        make_ring(&self.context.meter, keep)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.kind = inner.ops.kind
        self.ops.threads = inner.ops.threads
        self.ops.ctx = &self.context
        self.ops.move = timed_move
        if inner.ops.prepare != NULL:
            self.ops.prepare = timed_prepare
        if inner.ops.release != NULL:
            self.ops.release = timed_release

    def __dealloc__(self):
        free(self.context.meter.ring)

    cpdef dict describe(self):
        """Return what the wrapped mover says."""
        return self.inner.describe()

    def counts(self):
        """Return calls, items (pairs), ns, prepares (pairs), prepare_ns, refused (pairs)."""
        return counts_of(&self.context.meter)

    def records(self):
        """Return the last calls, oldest first: start_ns, n, ns."""
        return records_of(&self.context.meter)


cdef void timed_find(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef timed_updater *c = <timed_updater *>ctx
    cdef uint64_t start = now()
    cdef uint64_t refused = 0
    cdef size_t i
    c.inner.find(c.inner.ctx, region, pages, n)
    count(&c.meter, start, n)
    for i in range(n):
        refused += pages[i].status != 0
    if refused:
        pgx_add64(&c.meter.refused, refused)


cdef class TimedUpdater(MappingUpdater):
    """Counts calls, pages and ns of a mapping updater; keeps the last `keep` calls."""

    def __init__(self, MappingUpdater inner not None, keep=0):
        make_ring(&self.context.meter, keep)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.ctx = &self.context
        self.ops.find = timed_find

    def __dealloc__(self):
        free(self.context.meter.ring)

    cpdef dict describe(self):
        """Return what the wrapped updater says."""
        return self.inner.describe()

    def counts(self):
        """Return calls, items (pages), ns, refused (pages not found)."""
        return counts_of(&self.context.meter)

    def records(self):
        """Return the last calls, oldest first: start_ns, n, ns."""
        return records_of(&self.context.meter)


# ---- faults -------------------------------------------------------------------------------------------------------------

cdef int make_plan(fault_plan *plan, object error, object nth, object every) except -1:
    if not 1 <= error <= 4095:
        raise ValueError(f"error is {error}; it must be an errno, 1 to 4095")
    if nth < 0 or every < 0:
        raise ValueError(f"nth is {nth} and every {every}; they must not be negative")
    plan.error = error
    plan.nth = nth
    plan.every = every
    return 0


cdef inline bint due(fault_plan *plan) noexcept nogil:
    cdef uint64_t number = pgx_add64(&plan.seen, 1) + 1
    if number == plan.nth or (plan.every and number % plan.every == 0):
        pgx_add64(&plan.failed, 1)
        return True
    return False


cdef int faulty_exchange(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                         size_t n) noexcept nogil:
    cdef faulty_flags *c = <faulty_flags *>ctx
    cdef bint fail = False
    cdef size_t i
    for i in range(n):
        if due(&c.plan):
            fail = True
    if fail:  # a policy answers for a batch as a whole
        return -c.plan.error
    return c.inner.exchange(c.inner.ctx, a, b, new_a, new_b, n)


cdef class FaultyFlags(FlagPolicy):
    """Refuses, with an errno, every batch that contains a pair whose turn it is to fail."""

    def __init__(self, FlagPolicy inner not None, error, nth=0, every=0):
        make_plan(&self.context.plan, error, nth, every)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.ctx = &self.context
        self.ops.exchange = faulty_exchange

    cpdef dict describe(self):
        """Return what the wrapped policy says."""
        return self.inner.describe()

    @property
    def failed(self):
        """Pairs whose turn it was."""
        return pgx_load64(&self.context.plan.failed)


cdef void faulty_move(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef faulty_mover *c = <faulty_mover *>ctx
    c.inner.move(c.inner.ctx, moves, n, log)  # past the point of no return nothing may fail


cdef int faulty_prepare(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef faulty_mover *c = <faulty_mover *>ctx
    if due(&c.plan):
        pair.temp = 0
        return -c.plan.error
    return c.inner.prepare(c.inner.ctx, region, slot, pair) if c.inner.prepare != NULL else 0


cdef void faulty_release(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef faulty_mover *c = <faulty_mover *>ctx
    c.inner.release(c.inner.ctx, region, slot, pair)


cdef class FaultyMover(DataMover):
    """Refuses pairs in `prepare`, one by one. -ENOMEM sends them to the next mover of the chain."""

    def __init__(self, DataMover inner not None, error, nth=0, every=0):
        make_plan(&self.context.plan, error, nth, every)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.kind = inner.ops.kind
        self.ops.threads = inner.ops.threads
        self.ops.ctx = &self.context
        self.ops.move = faulty_move
        self.ops.prepare = faulty_prepare
        if inner.ops.release != NULL:
            self.ops.release = faulty_release

    cpdef dict describe(self):
        """Return what the wrapped mover says."""
        return self.inner.describe()

    @property
    def failed(self):
        """Pairs that were made to fail."""
        return pgx_load64(&self.context.plan.failed)


cdef void faulty_find(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef faulty_updater *c = <faulty_updater *>ctx
    cdef size_t i
    c.inner.find(c.inner.ctx, region, pages, n)
    for i in range(n):
        if due(&c.plan):
            pages[i].status = -c.plan.error
            pages[i].slot = 0
            pages[i].found = 0


cdef class FaultyUpdater(MappingUpdater):
    """Says of some pages that it did not find them."""

    def __init__(self, MappingUpdater inner not None, error, nth=0, every=0):
        make_plan(&self.context.plan, error, nth, every)
        self.inner = inner
        self.name = inner.name
        self.context.inner = inner.ops
        self.ops.ctx = &self.context
        self.ops.find = faulty_find

    cpdef dict describe(self):
        """Return what the wrapped updater says."""
        return self.inner.describe()

    @property
    def failed(self):
        """Pages that were made to fail."""
        return pgx_load64(&self.context.plan.failed)
