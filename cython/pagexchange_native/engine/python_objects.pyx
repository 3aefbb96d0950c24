# cython: language_level=3
"""Python callables in the place of native objects: they take the GIL once per batch, and what they return is checked.

An exception, a wrong shape or a wrong dtype is kept in `error` and ends the call after the batch, with every page of
the batch as it was.
"""

from libc.errno cimport EBADMSG
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from pagexchange_native.arena.reentry import plugin_of
from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport PGX_LOG_WHOLE, pgx_region
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.plugin cimport pgx_find
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy

PAGE = np.dtype([("mapping", "<u8"), ("index", "<u8"), ("pfn", "<u4"), ("status", "<i4")])

cdef struct page_row:  # an item of PAGE
    uint64_t mapping
    uint64_t index
    uint32_t pfn
    int32_t status


def _words(value, n, what):
    """A plug-in's array as uint64[n], or TypeError."""
    array = np.asarray(value)
    if array.dtype != np.uint64 or array.shape != (n,):
        raise TypeError(f"{what}: want uint64[{n}], got {array.dtype}{list(array.shape)}")
    return np.ascontiguousarray(array)


def _name_of(function):
    return getattr(function, "__name__", type(function).__name__)


cdef object _copied(const uint64_t *words, size_t n):
    """Words of the engine as an array that a plug-in may keep and write to."""
    array = np.empty(n, dtype=np.uint64)
    memcpy(address(array), words, n * 8)
    return array


cdef class PythonFlags(FlagPolicy):
    """Flag policy from a callable: (a: uint64[n], b: uint64[n]) -> (new_a, new_b)."""

    cdef readonly object function
    cdef readonly object arena
    cdef public object error

    def __init__(self, function, arena):
        self.function = function
        self.arena = arena
        self.name = _name_of(function)
        self.ops.ctx = <void *>self
        self.ops.exchange = _exchange_flags


cdef int _exchange_flags(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                         size_t n) noexcept nogil:
    with gil:
        return _call_flags(<PythonFlags>ctx, a, b, new_a, new_b, n)


cdef int _call_flags(PythonFlags self, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                     size_t n) noexcept:
    try:
        with plugin_of(self.arena):
            result = self.function(_copied(a, n), _copied(b, n))
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"want (new_a, new_b), got {type(result).__name__}")
        words = _words(result[0], n, "new_a")
        memcpy(new_a, address(words), n * 8)
        words = _words(result[1], n, "new_b")
        memcpy(new_b, address(words), n * 8)
        return 0
    except BaseException as error:
        self.error = error
        return -EBADMSG


cdef class PythonMapping(MappingUpdater):
    """Mapping updater from a callable: (pages: structured[n], arena) -> (offset: uint64[n], found: uint64[n])."""

    cdef readonly object function
    cdef readonly object arena
    cdef public object error

    def __init__(self, function, arena):
        self.function = function
        self.arena = arena
        self.name = _name_of(function)
        self.ops.ctx = <void *>self
        self.ops.find = _find


cdef void _find(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    with gil:
        _call_find(<PythonMapping>ctx, pages, n)


cdef void _call_find(PythonMapping self, pgx_find *pages, size_t n) noexcept:
    cdef size_t i
    cdef const uint64_t *slot
    cdef const uint64_t *entry
    cdef page_row *row
    try:
        table = np.zeros(n, dtype=PAGE)
        row = <page_row *>address(table)
        for i in range(n):
            row[i].mapping, row[i].index, row[i].pfn = pages[i].mapping, pages[i].index, pages[i].pfn
        with plugin_of(self.arena):
            result = self.function(table, self.arena)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"want (offset, found), got {type(result).__name__}")
        offset, found = _words(result[0], n, "offset"), _words(result[1], n, "found")
        slot, entry = <const uint64_t *>address(offset), <const uint64_t *>address(found)
        for i in range(n):
            pages[i].slot = slot[i]
            pages[i].found = entry[i]
            pages[i].status = 0
    except BaseException as error:
        self.error = error
        for i in range(n):
            pages[i].status = -EBADMSG


cdef class PythonMover(DataMover):
    """Data mover from a callable: (pieces: uint64[m, words], a: int64[k], b: int64[k]) -> None.

    `pieces` are all frames of the arena cut into pieces of 4096 bytes, or frames that are smaller; piece a[i] and piece b[i]
    trade their contents.
    """

    cdef readonly object function

    def __cinit__(self, *args, **kwargs):
        self.ops.kind = PGX_LOG_WHOLE

    def __init__(self, function):
        self.function = function
        self.name = _name_of(function)

    cpdef dict describe(self):
        """Return the log that it runs under."""
        return {"log": "whole page: both pages are saved before the call and compared after it"}


cdef class PythonCopier(DataCopier):
    """Data copier from a callable: (pieces: uint64[m, words], source: int64[k], target: int64[k]) -> None.

    Piece target[i] gets what piece source[i] has.
    """

    cdef readonly object function

    def __cinit__(self, *args, **kwargs):
        self.ops.kind = PGX_LOG_WHOLE

    def __init__(self, function):
        self.function = function
        self.name = _name_of(function)

    cpdef dict describe(self):
        """Return the log that it runs under."""
        return {"log": "whole page: both sides are saved before the call and compared after it"}
