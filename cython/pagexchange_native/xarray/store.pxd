"""Changes of an XArray: store, erase, cmpxchg, insert, reservations, marks. The caller has entered the tree (`change`).

Every word is saved in the caller's undo record before it is stored to, about 200 at most in one call. Nothing counts before
the caller's `xa_commit`, which comes before the next of these calls.
"""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.undo cimport Undo
from pagexchange_native.format cimport pgx_xarray

# All give 0 or -errno, and after an error array and pool are as they were: -EINVAL order above 63 or an internal entry,
# -ENOMEM no node left, -EUCLEAN the tree is damaged. `old` and `found` may be NULL; in *old a reservation is 0.
#
# Stores `entry` over the 2^order indexes round `index`. An entry that covers them all is replaced whole, by one 64-bit
# store, and keeps its order and marks; smaller ones are dropped and leave the union of their marks. Entry 0 deletes
# every entry that touches the range, whole. XA_ZERO reserves. *old is what covered `index`.
cdef int xa_store(Undo *u, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry, uint64_t *old) noexcept nogil
cdef int xa_erase(Undo *u, pgx_xarray *xa, uint64_t index, uint64_t *old) noexcept nogil
# Stores when what covers `index` is `expected` (raw: a reservation is XA_ZERO, not 0). *found is what was there, raw too.
cdef int xa_cmpxchg(Undo *u, pgx_xarray *xa, uint64_t index, uint64_t expected, uint64_t entry,
                    uint64_t *found) noexcept nogil
# -EBUSY when any index of the range is used or reserved. Entry 0 reserves.
cdef int xa_insert(Undo *u, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry) noexcept nogil
# Stores at the lowest index of first..last where nothing is; *index is that one. -EBUSY when there is none. Entry 0 reserves.
cdef int xa_alloc(Undo *u, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry, uint64_t *index) noexcept nogil
cdef int xa_reserve(Undo *u, pgx_xarray *xa, uint64_t index) noexcept nogil  # 0 also when already used
cdef int xa_unreserve(Undo *u, pgx_xarray *xa, uint64_t index) noexcept nogil  # Linux's xa_release
# One entry per largest aligned piece of first..last, each in a commit of its own; what was stored before an -ENOMEM stays.
# -EINVAL if last < first.
cdef int xa_store_range(Undo *u, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry) noexcept nogil
cdef void xa_set_mark(Undo *u, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil  # nothing there: no-op
cdef void xa_clear_mark(Undo *u, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil
cdef void xa_destroy(Undo *u, pgx_xarray *xa) noexcept nogil  # every node goes back to the pool

# Makes what was done count. Sub-trees that the array has no more go back to the pool then, node by node, each in a commit
# of its own: the slot of the record names those that are left.
cdef void xa_commit(Undo *u, pgx_xarray *xa) noexcept nogil
# Takes back what was done since the last commit; readers without the lock look again.
cdef void xa_back(Undo *u, pgx_xarray *xa) noexcept nogil
