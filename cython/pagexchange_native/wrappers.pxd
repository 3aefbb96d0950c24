"""Wrappers around the three native objects: what they keep, so that a compiled plug-in can wrap in the same way."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.plugin cimport pgx_flags_ops, pgx_mapping_ops, pgx_mover_ops

cdef struct batch_record: # one call, in the ring of the last ones
    uint64_t start        # ns of CLOCK_MONOTONIC
    uint64_t n            # pairs, or pages
    uint64_t took         # ns
    uint64_t claim        # 1 while somebody writes or copies it

cdef struct call_meter: # added to by all worker threads at once, atomically
    uint64_t calls
    uint64_t items
    uint64_t took       # ns
    uint64_t prepares
    uint64_t prepare_took
    uint64_t refused
    uint64_t keep       # records in the ring; 0 none
    batch_record *ring

cdef struct fault_plan:
    uint64_t seen       # pairs so far
    uint64_t nth        # this one fails, counted from 1; 0 none
    uint64_t every      # and every so many; 0 none
    uint64_t failed
    int32_t error       # positive errno

cdef struct timed_flags:
    pgx_flags_ops inner
    call_meter meter

cdef struct timed_mover:
    pgx_mover_ops inner
    call_meter meter

cdef struct timed_updater:
    pgx_mapping_ops inner
    call_meter meter

cdef struct faulty_flags:
    pgx_flags_ops inner
    fault_plan plan

cdef struct faulty_mover:
    pgx_mover_ops inner
    fault_plan plan

cdef struct faulty_updater:
    pgx_mapping_ops inner
    fault_plan plan

cdef class TimedFlags(FlagPolicy):
    cdef readonly FlagPolicy inner
    cdef timed_flags context

cdef class TimedMover(DataMover):
    cdef readonly DataMover inner
    cdef timed_mover context

cdef class TimedUpdater(MappingUpdater):
    cdef readonly MappingUpdater inner
    cdef timed_updater context

cdef class FaultyFlags(FlagPolicy):
    cdef readonly FlagPolicy inner
    cdef faulty_flags context

cdef class FaultyMover(DataMover):
    cdef readonly DataMover inner
    cdef faulty_mover context

cdef class FaultyUpdater(MappingUpdater):
    cdef readonly MappingUpdater inner
    cdef faulty_updater context
