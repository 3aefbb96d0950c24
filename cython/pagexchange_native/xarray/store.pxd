"""Changes of an XArray: store, erase, cmpxchg, insert, reservations, marks. The caller has the array locked (xa_lock)."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport pgx_region, pgx_xarray

# All give 0 or -errno, and after an error array and pool are as they were: -EINVAL order above 63 or an internal entry,
# -ENOMEM no node left, -EUCLEAN the tree is damaged. `old` and `found` may be NULL; in *old a reservation is 0.
#
# Stores `entry` over the 2^order indexes round `index`. An entry that covers them all is replaced whole, by one 64-bit
# store, and keeps its order and marks; smaller ones are dropped and leave the union of their marks. Entry 0 deletes
# every entry that touches the range, whole. XA_ZERO reserves. *old is what covered `index`.
cdef int xa_store(pgx_region *r, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry,
                  uint64_t *old) noexcept nogil
cdef int xa_erase(pgx_region *r, pgx_xarray *xa, uint64_t index, uint64_t *old) noexcept nogil
# Stores when what covers `index` is `expected` (raw: a reservation is XA_ZERO, not 0). *found is what was there, raw too.
cdef int xa_cmpxchg(pgx_region *r, pgx_xarray *xa, uint64_t index, uint64_t expected, uint64_t entry,
                    uint64_t *found) noexcept nogil
# -EBUSY when any index of the range is used or reserved. Entry 0 reserves.
cdef int xa_insert(pgx_region *r, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry) noexcept nogil
# Stores at the lowest index of first..last where nothing is; *index is that one. -EBUSY when there is none. Entry 0 reserves.
cdef int xa_alloc(pgx_region *r, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry,
                  uint64_t *index) noexcept nogil
cdef int xa_reserve(pgx_region *r, pgx_xarray *xa, uint64_t index) noexcept nogil  # 0 also when already used
cdef int xa_unreserve(pgx_region *r, pgx_xarray *xa, uint64_t index) noexcept nogil  # Linux's xa_release
# One entry per largest aligned piece of first..last; what was stored before an -ENOMEM stays. -EINVAL if last < first.
cdef int xa_store_range(pgx_region *r, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry) noexcept nogil
cdef void xa_set_mark(pgx_region *r, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil  # nothing there: no-op
cdef void xa_clear_mark(pgx_region *r, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil
cdef void xa_destroy(pgx_region *r, pgx_xarray *xa) noexcept nogil  # every node goes back to the pool
