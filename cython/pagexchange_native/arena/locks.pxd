"""Spin locks in shared memory. The word names its owner, slot + 1, so that recovery can tell who died with it."""

from libc.stdint cimport uint32_t

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


cdef inline void spin_lock(uint32_t *word, uint32_t owner) noexcept nogil:
    cdef uint32_t turn = 0
    # The load first: a waiter that only reads leaves the cache line to the owner.
    while pgx_load32(word) != 0 or not pgx_cas32(word, 0, owner):
        wait_turn(turn)
        turn += turn < SPINS


cdef inline void spin_unlock(uint32_t *word) noexcept nogil:
    pgx_store32(word, 0)
