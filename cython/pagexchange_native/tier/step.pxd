"""What came of a tier's step: numbers, and the list and statuses that its moves are made of."""

from libc.stdint cimport int64_t

cdef class TierStep:
    cdef readonly int64_t asked, done, refused, left, promoted, demoted, stalls, frames_taken, back_and_forth, bytes
    cdef readonly int64_t choose_ns, move_ns, cpu_ns
    cdef object pairs     # int64[n, 2], blocks; or None: `made` was given
    cdef object statuses  # int32[n], of the blocks
    cdef object made      # int64[m, 2], once somebody has asked
    cdef int64_t run

    cdef void add(self, TierStep other) noexcept
