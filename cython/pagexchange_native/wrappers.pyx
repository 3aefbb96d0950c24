# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""Wrappers around native objects: they measure, or make fail, what the wrapped one does, without Python.

A wrapper keeps the wrapped object and a copy of its table, and forwards every function past a watch: a `Meter` counts
what comes back, a `FaultPlan` says which pairs of a call fail. Worker threads share one wrapper, so all counting is
atomic.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

import numpy as np

from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport pgx_add64, pgx_cas64, pgx_load64, pgx_pair, pgx_region, pgx_store64
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.plugin cimport (
    init_was_called,
    pgx_find,
    pgx_flags_ops,
    pgx_log,
    pgx_mapping_ops,
    pgx_move,
    pgx_mover_ops,
)
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.tier.format cimport pgx_pairing_ops, pgx_tier
from pagexchange_native.tier.pairing cimport Pairing

RECORD = np.dtype([("start_ns", "<u8"), ("n", "<u8"), ("ns", "<u8")])


# ---- what watches ----------------------------------------------------------------------------------------------------

cdef struct record_row:  # an item of RECORD
    uint64_t start
    uint64_t n
    uint64_t took

cdef struct batch_record:  # one call, in the ring of the last ones
    record_row row         # ns of CLOCK_MONOTONIC; pairs, or pages; ns
    uint64_t claim         # 1 while a thread writes or copies it

cdef struct call_meter:  # added to by all worker threads at once, atomically
    uint64_t calls
    uint64_t items
    uint64_t took        # ns
    uint64_t prepares
    uint64_t prepare_took
    uint64_t refused
    uint64_t keep        # records in the ring; 0 none
    batch_record *ring

cdef struct fault_plan:
    uint64_t seen        # pairs so far
    uint64_t nth         # this one fails, counted from 1; 0 none
    uint64_t every       # and every so many; 0 none
    uint64_t failed
    int32_t error        # positive errno

cdef struct watches:     # one of the two; the other is NULL
    call_meter *meter
    fault_plan *plan


cdef inline uint64_t now(const call_meter *meter) noexcept nogil:
    """Nanoseconds of CLOCK_MONOTONIC; 0 where nothing is measured, so that a fault plan does not pay for the clock."""
    cdef timespec t
    if meter == NULL:
        return 0
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef void count(call_meter *meter, uint64_t start, size_t n) noexcept nogil:
    cdef uint64_t took, number
    cdef batch_record *record
    if meter == NULL:
        return
    took = now(meter) - start
    number = pgx_add64(&meter.calls, 1)
    pgx_add64(&meter.items, n)
    pgx_add64(&meter.took, took)
    if meter.keep:
        record = &meter.ring[number % meter.keep]
        # Who finds it claimed was overtaken by a whole ring, or is being read: a record is left out, and none is mixed.
        if pgx_cas64(&record.claim, 0, 1):
            record.row.start = start
            record.row.n = n
            record.row.took = took
            pgx_store64(&record.claim, 0)


cdef inline void refuse(call_meter *meter, uint64_t n) noexcept nogil:
    if meter != NULL and n:
        pgx_add64(&meter.refused, n)


cdef bint due(fault_plan *plan) noexcept nogil:
    cdef uint64_t number
    if plan == NULL:
        return False
    number = pgx_add64(&plan.seen, 1) + 1
    if number == plan.nth or (plan.every and number % plan.every == 0):
        pgx_add64(&plan.failed, 1)
        return True
    return False


cdef class Meter:
    """Counts calls, items (pairs, or pages of a mapping updater) and ns, and keeps the last `keep` calls."""

    cdef call_meter meter

    def __cinit__(self, keep=0):  # once: a second __init__ would free the ring of the threads that are counting
        if not 0 <= keep <= 1 << 24:
            raise ValueError(f"keep is {keep}; it must be 0 to {1 << 24} records")
        self.meter.ring = <batch_record *>calloc(max(keep, 1), sizeof(batch_record))
        if self.meter.ring == NULL:
            raise MemoryError(f"no memory for {keep} records")
        self.meter.keep = keep

    def __dealloc__(self):
        free(self.meter.ring)

    def counts(self):
        """Return calls, items, ns, prepares (pairs), prepare_ns (with `release`), refused.

        `refused` are pairs; pages that were not found; of a pairing the calls that failed.
        """
        cdef call_meter *meter = &self.meter
        return {
            "calls": pgx_load64(&meter.calls),
            "items": pgx_load64(&meter.items),
            "ns": pgx_load64(&meter.took),
            "prepares": pgx_load64(&meter.prepares),
            "prepare_ns": pgx_load64(&meter.prepare_took),
            "refused": pgx_load64(&meter.refused),
        }

    def records(self):
        """Return the last calls, oldest first: start_ns, n, ns; without those that are being written at this moment."""
        cdef uint64_t calls = pgx_load64(&self.meter.calls)
        cdef uint64_t n = min(calls, self.meter.keep), copied = 0, i
        rows = np.zeros(n, RECORD)
        cdef record_row *row = <record_row *>address(rows)
        cdef batch_record *record
        for i in range(n):
            record = &self.meter.ring[(calls - n + i) % self.meter.keep]
            if pgx_cas64(&record.claim, 0, 1):
                if record.row.start:  # else its call is counted, and not written yet
                    row[copied] = record.row
                    copied += 1
                pgx_store64(&record.claim, 0)
        return rows[:copied]


cdef class FaultPlan:
    """Which pairs or pages fail, and with which errno: the nth, counted from 1, and every so many."""

    cdef fault_plan plan

    def __init__(self, error, nth=0, every=0):
        if not 1 <= error <= 4095:
            raise ValueError(f"error is {error}; it must be an errno, 1 to 4095")
        if nth < 0 or every < 0:
            raise ValueError(f"nth is {nth} and every {every}; they must not be negative")
        self.plan.error = error
        self.plan.nth = nth
        self.plan.every = every

    @property
    def failed(self):
        """How many pairs, or pages, were made to fail."""
        return pgx_load64(&self.plan.failed)


cdef watches watches_of(object watch) except *:
    """Return the watch as C sees it. The wrapper keeps `watch`, which owns the memory."""
    cdef watches pointers
    pointers.meter, pointers.plan = NULL, NULL
    if isinstance(watch, Meter):
        pointers.meter = &(<Meter>watch).meter
    elif isinstance(watch, FaultPlan):
        pointers.plan = &(<FaultPlan>watch).plan
    else:
        raise TypeError(f"watch: want a Meter or a FaultPlan, got {type(watch).__name__}")
    return pointers


# ---- what is wrapped -------------------------------------------------------------------------------------------------

cdef struct wrapped_flags:
    pgx_flags_ops inner
    watches watch

cdef struct wrapped_mover:
    pgx_mover_ops inner
    watches watch

cdef struct wrapped_updater:
    pgx_mapping_ops inner
    watches watch

cdef struct wrapped_pairing:
    pgx_pairing_ops inner
    watches watch


cdef int forward_exchange(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                          size_t n) noexcept nogil:
    cdef wrapped_flags *c = <wrapped_flags *>ctx
    cdef uint64_t start
    cdef bint fail = False
    cdef size_t i
    cdef int rc
    if c.watch.plan != NULL:
        for i in range(n):
            if due(c.watch.plan):
                fail = True
        if fail:  # a policy answers for a batch as a whole
            return -c.watch.plan.error
    start = now(c.watch.meter)
    rc = c.inner.exchange(c.inner.ctx, a, b, new_a, new_b, n)
    count(c.watch.meter, start, n)
    if rc:
        refuse(c.watch.meter, n)
    return rc


cdef class WrappedFlags(FlagPolicy):
    """Watches a flag policy. A fault plan refuses every batch that contains a pair that is to fail."""

    cdef readonly FlagPolicy inner
    cdef object watch
    cdef wrapped_flags context

    def __init__(self, FlagPolicy inner not None, watch):
        self.context = wrapped_flags(inner.ops, watches_of(watch))
        self.inner, self.watch, self.name = inner, watch, inner.name
        self.ops.ctx = &self.context
        self.ops.exchange = forward_exchange

    cpdef dict describe(self):
        """Return what the wrapped policy says."""
        init_was_called(self, self.inner is not None)
        return self.inner.describe()


cdef void forward_move(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef wrapped_mover *c = <wrapped_mover *>ctx
    cdef uint64_t start = now(c.watch.meter)
    c.inner.move(c.inner.ctx, moves, n, log)  # past the point of no return nothing may fail
    count(c.watch.meter, start, n)


cdef int forward_prepare(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef wrapped_mover *c = <wrapped_mover *>ctx
    cdef call_meter *meter = c.watch.meter
    cdef uint64_t start = now(meter)
    cdef int rc = 0
    if due(c.watch.plan):
        return -c.watch.plan.error
    if c.inner.prepare != NULL:
        rc = c.inner.prepare(c.inner.ctx, region, slot, pair)
    if meter != NULL:
        pgx_add64(&meter.prepare_took, now(meter) - start)
        pgx_add64(&meter.prepares, 1)
        refuse(meter, rc != 0)
    return rc


cdef void forward_release(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil:
    cdef wrapped_mover *c = <wrapped_mover *>ctx
    cdef call_meter *meter = c.watch.meter
    cdef uint64_t start = now(meter)
    c.inner.release(c.inner.ctx, region, slot, pair)
    if meter != NULL:
        pgx_add64(&meter.prepare_took, now(meter) - start)


cdef class WrappedMover(DataMover):
    """Watches a data mover, its `prepare` and `release` apart. A fault plan refuses pairs in `prepare`, one by one.

    -ENOMEM sends them to the next mover of the chain.
    """

    cdef readonly DataMover inner
    cdef object watch
    cdef wrapped_mover context

    def __init__(self, DataMover inner not None, watch):
        self.context = wrapped_mover(inner.ops, watches_of(watch))
        self.inner, self.watch, self.name = inner, watch, inner.name
        self.ops.kind = inner.ops.kind  # recovery reads the log as the wrapped one writes it
        self.ops.threads = inner.ops.threads
        self.ops.ctx = &self.context
        self.ops.move = forward_move
        # A plan counts pairs in `prepare`; a meter is not to count calls that the engine would not make.
        if inner.ops.prepare != NULL or self.context.watch.plan != NULL:
            self.ops.prepare = forward_prepare
        if inner.ops.release != NULL:
            self.ops.release = forward_release

    cpdef dict describe(self):
        """Return what the wrapped mover says."""
        init_was_called(self, self.inner is not None)
        return self.inner.describe()


cdef class WrappedCopier(DataCopier):
    """Watches a data copier. A fault plan refuses pages in `prepare`, one by one, as of a mover."""

    cdef readonly DataCopier inner
    cdef object watch
    cdef wrapped_mover context

    def __init__(self, DataCopier inner not None, watch):
        self.context = wrapped_mover(inner.ops, watches_of(watch))
        self.inner, self.watch, self.name = inner, watch, inner.name
        self.ops.kind = inner.ops.kind
        self.ops.threads = inner.ops.threads
        self.ops.ctx = &self.context
        self.ops.move = forward_move
        if inner.ops.prepare != NULL or self.context.watch.plan != NULL:
            self.ops.prepare = forward_prepare

    cpdef dict describe(self):
        """Return what the wrapped copier says."""
        init_was_called(self, self.inner is not None)
        return self.inner.describe()


cdef void forward_find(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef wrapped_updater *c = <wrapped_updater *>ctx
    cdef uint64_t start = now(c.watch.meter)
    cdef size_t refused = 0, i
    c.inner.find(c.inner.ctx, region, pages, n)
    count(c.watch.meter, start, n)
    for i in range(n):
        if due(c.watch.plan):
            pages[i].status = -c.watch.plan.error
            pages[i].slot = 0
            pages[i].found = 0
        refused += pages[i].status != 0
    refuse(c.watch.meter, refused)


cdef class WrappedUpdater(MappingUpdater):
    """Watches a mapping updater. A fault plan says of some pages that they were not found."""

    cdef readonly MappingUpdater inner
    cdef object watch
    cdef wrapped_updater context

    def __init__(self, MappingUpdater inner not None, watch):
        self.context = wrapped_updater(inner.ops, watches_of(watch))
        self.inner, self.watch, self.name = inner, watch, inner.name
        self.ops.ctx = &self.context
        self.ops.find = forward_find

    cpdef dict describe(self):
        """Return what the wrapped updater says."""
        init_was_called(self, self.inner is not None)
        return self.inner.describe()


cdef int64_t forward_pair(void *ctx, const pgx_tier *tier, int64_t *pairs) noexcept nogil:
    cdef wrapped_pairing *c = <wrapped_pairing *>ctx
    cdef uint64_t start = now(c.watch.meter)
    cdef int64_t n = c.inner.pair(c.inner.ctx, tier, pairs), i
    cdef bint fail = False
    count(c.watch.meter, start, <size_t>max(n, 0))
    refuse(c.watch.meter, n < 0)
    for i in range(n):
        if due(c.watch.plan):
            fail = True
    return -c.watch.plan.error if fail else n


cdef class WrappedPairing(Pairing):
    """Watches a pairing, whose items are the pairs that it returns. A fault plan fails the calls that return a pair which is to fail."""

    cdef readonly Pairing inner
    cdef object watch
    cdef wrapped_pairing context

    def __init__(self, Pairing inner not None, watch):
        self.context = wrapped_pairing(inner.ops, watches_of(watch))
        self.inner, self.watch, self.name = inner, watch, inner.name
        self.ops.ctx = &self.context
        self.ops.most = inner.ops.most
        self.ops.pair = forward_pair

    cpdef dict describe(self):
        """Return what the wrapped pairing says."""
        init_was_called(self, self.inner is not None)
        return self.inner.describe()


def wrap(inner, watch):
    """Return a native object around a native object that behaves as `inner` does, watched by a Meter or a FaultPlan."""
    if isinstance(inner, FlagPolicy):
        return WrappedFlags(inner, watch)
    if isinstance(inner, DataMover):
        return WrappedMover(inner, watch)
    if isinstance(inner, DataCopier):
        return WrappedCopier(inner, watch)
    if isinstance(inner, MappingUpdater):
        return WrappedUpdater(inner, watch)
    if isinstance(inner, Pairing):
        return WrappedPairing(inner, watch)
    raise TypeError(f"{type(inner).__name__} is not a native object")
