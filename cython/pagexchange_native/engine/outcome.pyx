# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A call's list and what became of it, kept as numbers: one block of memory and one struct.

Arrays and tuples are made of them when they are asked for: to make them costs more than to exchange a pair of pages.
"""

import numpy as np

from cpython.buffer cimport (
    PyBUF_RECORDS, PyBUF_RECORDS_RO, PyBUF_WRITABLE, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.exc cimport PyErr_Clear
from cpython.type cimport PyType_IsSubtype
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pagexchange_native.arena.region cimport Region
from pagexchange_native.buffers cimport INT32, INT64, has_items
from pagexchange_native.engine.exchange cimport EXCHANGE, Counts, Exchanger, numbers_of
from pagexchange_native.engine.threads cimport MOST_THREADS
from pagexchange_native.engine.work cimport MOVERS, T_PARTS

cdef extern from *:
    """
    /* What `cls.__new__(cls)` does, without looking the method up. */
    static PyObject *pgx_new(PyObject *cls, PyObject *no_arguments) {
        return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, no_arguments, NULL);
    }
    """
    object pgx_new(object cls, object no_arguments)
    int get_buffer "PyObject_GetBuffer"(object array, Py_buffer *buffer, int kind) noexcept

cdef object _ndarray = np.ndarray
cdef object _frombuffer = np.frombuffer
cdef object _int32 = np.dtype(np.int32)
cdef object _int64 = np.dtype(np.int64)


cdef class Outcome:
    """A list of pairs and what became of it; made by `begin`, filled by `run`.

    The first 16 n bytes of `memory` are the pairs, int64[n, 2]; 4 n more the statuses, int32[n], unless the caller gave
    an array for them.
    """

    cdef readonly object _about  # whatever the maker wants to find here again
    cdef bytearray memory
    cdef Py_ssize_t n
    cdef bint own                # the statuses lie in `memory`
    cdef object array            # what `status` is: the caller's array, or made when first asked for
    cdef Counts counts
    cdef uint32_t movers
    cdef uint64_t *spent         # in `times`; NULL where only one thread was asked for
    cdef bytearray times         # uint64[workers, 2]: wall and CPU time of each thread

    @property
    def status(self):
        """int32[n]: 0 exchanged, -errno refused with both pages as they were."""
        if self.array is None:
            self.array = self._part(_int32, self.n, 16 * self.n)
        return self.array

    @property
    def _pairs(self):
        """The list, int64[n, 2]."""
        return self._part(_int64, 2 * self.n, 0).reshape(-1, 2)

    @property
    def _numbers(self):
        """As `Exchanger.exchange` returns them."""
        return numbers_of(&self.counts, self.movers, self.spent)

    @property
    def workers(self):
        """Threads that shared the list."""
        return self.counts.workers

    @property
    def frames_asked(self):
        """Frames that the data mover asked the allocator for."""
        return self.counts.asked

    @property
    def frames_got(self):
        """Frames that the allocator gave."""
        return self.counts.got

    @property
    def retries(self):
        """Locks and references that had to be tried again."""
        return self.counts.retries

    def __copy__(self):
        cdef Outcome made = pgx_new(type(self), ())
        made._about = self._about
        made.memory = self.memory
        made.n = self.n
        made.own = self.own
        made.array = self.status  # one array for both
        made.counts = self.counts
        made.movers = self.movers
        made.times = self.times
        made.spent = self.spent
        return made

    cdef int time_threads(self, uint32_t threads) except -1:
        """Makes room for the times of so many."""
        self.times = PyByteArray_FromStringAndSize(NULL, 16 * threads)
        self.spent = <uint64_t *>PyByteArray_AS_STRING(self.times)
        return 0

    cdef object _part(self, object dtype, Py_ssize_t n, Py_ssize_t offset):
        """Part of the memory as an array; NumPy refuses to make one of none."""
        return _frombuffer(self.memory, dtype, n, offset) if n else np.empty(0, dtype)


def begin(type cls not None, about, pairs, out=None, Region arena=None):
    """Copy a list of pairs: another thread may change the caller's during the call.

    Parameters
    ----------
    cls : subclass of Outcome
        What is returned.
    about : object
        Its `_about`.
    pairs : int64[n, 2], C-contiguous
    out : int32[n], writable, C-contiguous, outside of the arena; or None
        Where the statuses go.
    arena : Region, optional

    Returns
    -------
    Outcome or None
        None: an argument is no such array.
    """
    cdef Py_buffer buffer
    cdef Outcome made = None
    if not PyType_IsSubtype(cls, Outcome):
        raise TypeError(f"want a subclass of Outcome, got {cls.__name__}")
    if not PyObject_CheckBuffer(pairs) or not _buffer_of(pairs, &buffer, PyBUF_RECORDS_RO):
        return None
    try:
        if buffer.ndim == 2 and buffer.shape[1] == 2 and has_items(&buffer, INT64) \
                and PyBuffer_IsContiguous(&buffer, c'C') \
                and (out is None or _takes_statuses(out, buffer.shape[0], arena)):
            made = _begun(cls, about, <const int64_t *>buffer.buf, buffer.shape[0], False, out)
    finally:
        PyBuffer_Release(&buffer)
    return made


def begin_pages(type cls not None, about, pfns, out=None, Region arena=None):
    """`begin` of a migration: `pfns`, int64[n], are where the pages lie, and its `_pairs` have each of them twice."""
    cdef Py_buffer buffer
    cdef Outcome made = None
    if not PyType_IsSubtype(cls, Outcome):
        raise TypeError(f"want a subclass of Outcome, got {cls.__name__}")
    if not PyObject_CheckBuffer(pfns) or not _buffer_of(pfns, &buffer, PyBUF_RECORDS_RO):
        return None
    try:
        if buffer.ndim == 1 and has_items(&buffer, INT64) and PyBuffer_IsContiguous(&buffer, c'C') \
                and (out is None or _takes_statuses(out, buffer.shape[0], arena)):
            made = _begun(cls, about, <const int64_t *>buffer.buf, buffer.shape[0], True, out)
    finally:
        PyBuffer_Release(&buffer)
    return made


cdef bint _buffer_of(object array, Py_buffer *buffer, int kind) noexcept:
    """Whether an object has a buffer of this kind, and takes it; else what it raises is forgotten: it has none."""
    if get_buffer(array, buffer, kind) == 0:
        return True
    PyErr_Clear()
    return False


cdef Outcome _begun(type cls, object about, const int64_t *frames, Py_ssize_t n, bint twice, object out):
    """`frames`: n pairs, or n frames of which each is to be there twice."""
    cdef Outcome made = pgx_new(cls, ())
    cdef Py_ssize_t statuses = 4 * n if out is None else 0
    cdef int64_t *pairs
    cdef Py_ssize_t i
    made.own = out is None
    made._about = about
    made.n = n
    made.array = out
    made.memory = PyByteArray_FromStringAndSize(NULL, 16 * n + statuses)
    pairs = <int64_t *>PyByteArray_AS_STRING(made.memory)
    if twice:
        for i in range(n):
            pairs[2 * i] = frames[i]
            pairs[2 * i + 1] = frames[i]
    else:
        memcpy(pairs, frames, 16 * n)
    memset(<char *>pairs + 16 * n, 0, statuses)
    return made


cdef bint _takes_statuses(object out, Py_ssize_t n, Region arena):
    """Whether statuses of n pairs can be written there: not where the pages and their entries are."""
    cdef Py_buffer buffer
    cdef size_t at, base
    if not isinstance(out, _ndarray):
        return False
    if not _buffer_of(out, &buffer, PyBUF_RECORDS):
        return False
    at = <size_t>buffer.buf
    fits = buffer.ndim == 1 and buffer.shape[0] == n and has_items(&buffer, INT32) \
        and PyBuffer_IsContiguous(&buffer, c'C') and at % 4 == 0
    if arena is not None and arena.region != NULL:
        base = <size_t>arena.region.base
        fits = fits and (at + 4 * n <= base or at >= base + arena.region.total)
    PyBuffer_Release(&buffer)
    return fits


def run(Outcome outcome not None, Exchanger engine not None, bint sequential=False, threads=None, int node=EXCHANGE):
    """Exchange the pairs of an outcome, or migrate its pages to a node. Arguments and errors as of `Exchanger`."""
    cdef Py_buffer buffer
    cdef char *memory
    cdef uint32_t workers = engine.threads if threads is None else <uint32_t>int(threads)
    if outcome.memory is None:
        raise ValueError("want an outcome that `begin` made")
    memory = PyByteArray_AS_STRING(outcome.memory)
    outcome.movers = engine.plan.n_movers
    if 1 < workers <= MOST_THREADS:
        outcome.time_threads(workers)
    if outcome.own:
        engine.run(<int64_t *>memory, <int32_t *>(memory + 16 * outcome.n), outcome.n, sequential, workers, node,
                   &outcome.counts, outcome.spent)
        return
    PyObject_GetBuffer(outcome.array, &buffer, PyBUF_WRITABLE)
    try:
        if buffer.len != 4 * outcome.n:
            raise ValueError(f"out: want room for {outcome.n} statuses, got {buffer.len} bytes")
        engine.run(<int64_t *>memory, <int32_t *>buffer.buf, outcome.n, sequential, workers, node, &outcome.counts,
                   outcome.spent)
    finally:
        PyBuffer_Release(&buffer)


def restore(type cls not None, about, pairs not None, status not None, tuple numbers not None, out=None):
    """Make an outcome of what another one said: its `_pairs`, `status` and `_numbers`, which are copied; `out` as of `begin`."""
    cdef Outcome made = begin(cls, about, pairs, out)
    if made is None or len(status) != made.n:
        raise ValueError("want pairs as int64[n, 2] and as many statuses")
    made.status[:] = status
    made.counts.wall, parts, made.counts.asked, made.counts.got, made.counts.retries, made.counts.violation, \
        made.counts.workers, moved, spent = numbers
    if len(parts) != T_PARTS or len(moved) > MOVERS:
        raise ValueError(f"want {T_PARTS} parts and at most {MOVERS} movers, got {len(parts)} and {len(moved)}")
    if spent and len(spent) != made.counts.workers:
        raise ValueError(f"want the times of {made.counts.workers} threads, got {len(spent)}")
    for i in range(T_PARTS):
        made.counts.ns[i] = parts[i]
    made.movers = len(moved)
    for i in range(made.movers):
        made.counts.moved[i] = moved[i]
    if spent:
        made.time_threads(made.counts.workers)
        for i, (wall, cpu) in enumerate(spent):
            made.spent[2 * i] = wall
            made.spent[2 * i + 1] = cpu
    return made
