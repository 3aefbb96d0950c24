"""The XArray of the arena: one place from which its C level (tree, store) and its Python face are cimported."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.region cimport Region
from pagexchange_native.format cimport pgx_xarray
from pagexchange_native.xarray.store cimport (
    xa_alloc,
    xa_clear_mark,
    xa_cmpxchg,
    xa_destroy,
    xa_erase,
    xa_insert,
    xa_reserve,
    xa_set_mark,
    xa_store,
    xa_store_range,
    xa_unreserve,
)
from pagexchange_native.xarray.tree cimport (
    XA_PRESENT,
    XA_ZERO,
    pool_lock,
    pool_unlock,
    xa_cursor,
    xa_find,
    xa_find_after,
    xa_find_raw,
    xa_find_word,
    xa_get_mark,
    xa_get_order,
    xa_hold,
    xa_load,
    xa_lock,
    xa_release,
    xa_tryhold,
    xa_trylock,
    xa_unlock,
    xa_walk,
    xas_find_word,
    xas_init,
    xas_reset,
)

cdef class XArray:
    cdef readonly Region region
    cdef uint32_t number  # of the mapping or space
    cdef bint of_space

    # The head in the mapped arena; raises when the region is closed. Good until the GIL is let go.
    cdef pgx_xarray *head(self) except NULL
    # The same, locked for changes or held for reading: pair them with xa_unlock and xa_release.
    cdef pgx_xarray *lock(self) except NULL
    cdef pgx_xarray *hold(self) except NULL

# What crosses the border to Python: checked arguments, entries, error codes.
cdef uint64_t index_of(object index) except? 0
cdef uint32_t order_of(object order) except? 64
cdef int mark_of(object mark) except -1
cdef uint64_t entry_of(object value) except? 1
cdef object value_of(uint64_t entry)
cdef int raise_on(int code, Region region, str what) except -1
