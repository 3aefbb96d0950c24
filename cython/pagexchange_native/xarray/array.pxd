"""The XArray as Python sees it, and what crosses the border: checked arguments, entries, error codes."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.region cimport Region
from pagexchange_native.arena.structure cimport Owner
from pagexchange_native.format cimport pgx_xarray
from pagexchange_native.xarray.change cimport Change

cdef class XArray:
    cdef readonly Region region
    cdef uint32_t number  # of the mapping or space
    cdef bint of_space
    cdef uint32_t generation  # of that number when the array was made

    # Its region, checked. TypeError when __init__ was not called.
    cdef Region arena(self)
    # The head in the mapped arena; raises when the region is closed, or the mapping or space was given up. Good until the
    # GIL is let go.
    cdef pgx_xarray *head(self) except NULL
    cdef uint32_t _generation(self)
    cdef int check_generation(self) except -1
    # For a change, until `change_end`. No Python in between: a second call of the thread would wait for the first.
    cdef int begin(self, Change *change) except -1
    # The head, of which nobody changes the shape until `let_go`; again no Python in between.
    cdef pgx_xarray *hold(self) except NULL
    cdef void let_go(self) noexcept
    cdef bint has_mark(self, uint64_t index, int mark) except -1
    cdef int change_mark(self, uint64_t index, int mark, bint on) except -1

cdef uint64_t index_of(object index) except? 0
cdef uint32_t order_of(object order) except? 64
cdef int mark_of(object mark) except -1
cdef uint64_t entry_of(object value) except? 1
cdef object value_of(uint64_t entry)
cdef int raise_on(int code, Region region, str what) except -1
cdef object busy(int code, Region region, str what, Owner owner, uint64_t until)
