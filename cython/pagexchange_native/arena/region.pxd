"""The mapped region of an arena, for other native modules and for strangers."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport pgx_entry, pgx_region

cdef class Region:
    cdef pgx_region *region  # private geometry; NULL after close()
    cdef int fd
    cdef int pid             # of the process that mapped it
    cdef int exports         # live views, and calls that run without the GIL: close() is refused meanwhile
    cdef readonly object path
    cdef readonly str backing
    cdef object __weakref__

    # Raises when the region is closed or belongs to a parent process; otherwise 0.
    cdef int check(self) except -1
    # The entry of a frame number from Python, checked. IndexError when out of range.
    cdef pgx_entry *entry(self, object pfn) except NULL
