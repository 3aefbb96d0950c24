"""The engine's face: a strategy's objects bound to an arena."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from pagexchange_native.arena.region cimport Region
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.engine.work cimport MOVERS, T_PARTS, Plan, Worker

cdef struct Counts:     # what a call cost, all its workers together
    uint64_t wall       # ns of the call
    uint64_t[T_PARTS] ns
    uint64_t asked      # frames
    uint64_t got
    uint64_t retries
    uint64_t violation  # bits that the flag policy touched and may not
    uint64_t[MOVERS] moved
    uint32_t workers

cdef enum:
    EXCHANGE = -1  # instead of the node that pages migrate to

cdef tuple numbers_of(const Counts *counts, uint32_t movers, const uint64_t *spent)


cdef class Exchanger:
    cdef readonly Region arena
    cdef readonly FlagPolicy flags
    cdef readonly MappingUpdater mapping
    cdef readonly list movers
    cdef Plan plan
    cdef Worker **workers  # by slot, made when first used
    cdef uint32_t nworkers
    cdef uint32_t threads
    cdef object error      # the exception that a Python plug-in raised, until exchange() raises it
    cdef object error_from # and the object that raised it
    cdef readonly bint native  # no Python runs between the first pair of a list and the last
    cdef uint64_t *seen    # a bit per frame, all clear, for the next call of many pairs; NULL while one has it
    cdef uint64_t guarded  # when the handler of SIGBUS was looked at
    cdef Worker *worker(self, uint32_t slot) noexcept nogil
    cdef int run(self, const int64_t *pairs, int32_t *status, int64_t n, bint sequential, uint32_t threads, int node,
                 Counts *counts, uint64_t *spent) except -1
    cdef int python_batch(self, Worker *w) except? -1
