"""The steps of an exchange, and recovery of one, on a worker's private state. See `worker.pyx`."""

from libc.stdint cimport uint64_t

from pagexchange_native.engine.work cimport Worker

# Catches SIGBUS in frames from now on, unless that is done; OSError when it cannot be.
cdef int guard_install() except -1
# Exchanges the pairs in `w.work[:w.n]`, whose frames are in the record; each has its final status afterwards.
cdef void run_batch(Worker *w) noexcept nogil
# Ends the exchange that a dead worker's record describes: 0, or -EUCLEAN when it makes no sense.
cdef int recover_batch(Worker *w, uint64_t until) noexcept nogil
