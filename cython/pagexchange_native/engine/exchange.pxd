"""The engine's face: a strategy's objects bound to an arena."""

from libc.stdint cimport uint32_t

from pagexchange_native.arena.region cimport Region
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.engine.worker cimport Plan, Worker

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
    cdef Worker *worker(self, uint32_t slot) noexcept nogil
    cdef int python_batch(self, Worker *w) except? -1
