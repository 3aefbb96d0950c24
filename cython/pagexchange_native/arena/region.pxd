"""The mapped region of an arena, for other native modules and for strangers."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.format cimport pgx_entry, pgx_region

cdef class Use:
    cdef Region region


cdef class CallSlot:
    cdef Region region
    cdef uint32_t number  # of the slot
    cdef uint64_t until   # `Region.deadline` of the call that claimed it


cdef class Region:
    cdef pgx_region *region  # private geometry; NULL after close()
    cdef int fd
    cdef int pid             # of the process that mapped it
    cdef int exports         # live views: close() is refused meanwhile
    cdef int users           # calls that run Python, or without the GIL: meanwhile, too
    cdef readonly object path
    cdef readonly str backing
    cdef readonly object collapsed  # of huge pages that were asked for; None: none were, or Linux makes none on demand
    cdef object __weakref__

    # Raises when the region is closed or belongs to a parent process; otherwise 0.
    cdef int check(self) except -1
    # The entry of a frame number from Python, checked. IndexError when out of range.
    cdef pgx_entry *entry(self, object pfn) except NULL
    # The same check; the region stays open for as long as the answer lives.
    cdef Use use(self)
    # Until when a call that begins now waits for a page's lock; 0 for a plug-in of this arena.
    cdef uint64_t deadline(self) except? 1
    # A `use` with a slot for what the call locks and changes, until the answer dies: one for each call. ArenaBusyError.
    cdef CallSlot call_slot(self)
    cdef int enter(self, CallSlot slot, const int64_t *pfns, int64_t n, uint32_t *firsts) except -1
    cdef object busy(self, int64_t pfn, uint64_t until)
    cdef int enter_structure(self, CallSlot call) except -1
    cdef int in_range(self, object pfns) except -1
    cdef str _node_name(self, uint32_t i)
    cdef int _take(self, CallSlot slot, uint32_t node, uint32_t order, int64_t *taken, int64_t n, int64_t *done) except -1
    cdef int _give_back(self, CallSlot slot, const int64_t *taken, int64_t n, object error) except -1
    cdef int _put(self, CallSlot slot, const int64_t *pfns, int64_t n, int64_t *done) except -2
    cdef object _not_put(self, CallSlot slot, int64_t pfn, int why, bint shared, int64_t done)
    cdef object _no_pin(self)
