"""Heat and last move of a tier's blocks."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.tier.format cimport pgx_block
from pagexchange_native.tier.step cimport TierStep

cdef class Heat:
    cdef Region region
    cdef object words        # uint32[n, 2]: heat's bits and state, by block
    cdef object bounds       # float32, by group of blocks
    cdef pgx_block *blocks
    cdef float *fast_bounds
    cdef float *slow_bounds
    cdef float nobody        # the bound of groups that have none to raise
    cdef uint64_t n          # blocks, of all nodes up to the later one of the two
    cdef uint64_t run
    cdef uint64_t fast, nfast, slow, nslow
    cdef uint32_t fast_node
    cdef double before       # when the last step was, in seconds of its clock; infinity: there was none
    cdef double weight       # of an access of this step
    cdef double growth       # of the weight in a step
    cdef readonly uint32_t step
    cdef readonly TierStep sums  # of all steps

    cdef Use used(self)
    cdef int look(self, const int64_t *pair, Py_ssize_t n, Py_ssize_t *at) noexcept nogil
    cdef bint lately(self, uint32_t state, double soon) noexcept nogil
    cdef int lay_bounds(self) except -1
    cdef float *bound_of(self, uint64_t block) noexcept nogil
    cdef void learn(self, uint64_t block) noexcept nogil
    cdef void trade(self, uint64_t a, uint64_t b) noexcept nogil
    cdef void put(self, uint64_t block, pgx_block page) noexcept nogil
    cdef bint knows(self, uint64_t block) noexcept nogil
    cdef void empty(self, uint64_t block) noexcept nogil
    cdef void refuse(self, uint64_t block) noexcept nogil
