"""Waiting, and spin locks in shared memory.

The word of a lock names its owner, slot + 1, so that recovery can tell who died with it.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport usleep

from pagexchange_native.format cimport pgx_cas32, pgx_load32, pgx_pause, pgx_store32

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef enum:
    SPINS = 128  # turns with a pause before the processor is given away


cdef inline void wait_turn(uint32_t turn) noexcept nogil:
    if turn < SPINS:
        pgx_pause()
    else:
        sched_yield()


cdef inline uint64_t now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1000000000 + <uint64_t>t.tv_nsec


cdef inline bint wait_until(uint32_t *turn, uint64_t until) noexcept nogil:
    """Waits a little, longer after a while. False once `until` (ns of `now_ns`) has passed."""
    if turn[0] < SPINS:
        turn[0] += 1
        pgx_pause()
        return True
    if now_ns() >= until:
        return False
    usleep(20)
    return True


cdef inline int spin_lock(uint32_t *word, uint32_t owner, uint64_t until) noexcept nogil:
    """0, or -EAGAIN when another has it still at `until` (ns of `now_ns`)."""
    cdef uint32_t turn = 0
    # The load first: a waiter that only reads leaves the cache line to the owner.
    while pgx_load32(word) != 0 or not pgx_cas32(word, 0, owner):
        if not wait_until(&turn, until):
            return -EAGAIN
    return 0


cdef inline void spin_unlock(uint32_t *word) noexcept nogil:
    pgx_store32(word, 0)
