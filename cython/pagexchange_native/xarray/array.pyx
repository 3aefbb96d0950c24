# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, freethreading_compatible=False
"""The XArray of the arena, as Python sees it. Semantics: Linux's xa_ functions; the C level is in `tree` and `store`."""

import enum
import operator
import os

import numpy as np

from pagexchange_native.arena.owners import who
from pagexchange_native.arena.reentry import in_plugin_of
from pagexchange_native.errors import ArenaBusyError, ArenaError, ArenaFullError, stays_here
from pagexchange_native.integers import as_number

from libc.errno cimport EAGAIN, EBUSY, EINVAL, ENOMEM, EUSERS
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.arena.structure cimport (
    STRUCTURE_PATIENCE,
    Owner,
    owner_of_structure,
    structure_lock,
    structure_unlock,
)
from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport (
    PGX_XA_MARKS,
    pgx_load32,
    pgx_load64,
    pgx_region,
    pgx_xa_entry,
    pgx_xa_value,
    pgx_xarray,
)
from pagexchange_native.xarray.change cimport Change, change_begin, change_end
from pagexchange_native.xarray.search cimport XA_PRESENT, xa_find, xa_find_after, xa_get_mark, xa_get_order
from pagexchange_native.xarray.store cimport (
    xa_alloc,
    xa_clear_mark,
    xa_cmpxchg,
    xa_commit,
    xa_destroy,
    xa_insert,
    xa_reserve,
    xa_set_mark,
    xa_store,
    xa_store_range,
    xa_unreserve,
)
from pagexchange_native.xarray.tree cimport (
    XA_MAX_ORDER,
    XA_ZERO,
    xa_cursor,
    xa_find_word,
    xa_load,
    xas_find_word,
    xas_init,
)

MAX_INDEX = 2**64 - 1
MAX_ID = 2**32 - 1  # largest index that `alloc` gives out when no other is named: xa_limit_32b
MAX_VALUE = 2**62 - 2


class Reserved(enum.Enum):
    """What a reserved slot holds, where it can be seen: cursors, and the first argument of `cmpxchg`."""

    RESERVED = "reserved"


RESERVED = Reserved.RESERVED


# ---- the border ------------------------------------------------------------------------------------------------------

cdef uint64_t index_of(object index) except? 0:
    number = operator.index(index)
    if not 0 <= number <= MAX_INDEX:
        raise ValueError(f"index {number}: give one from 0 to 2**64 - 1")
    return number


cdef uint32_t order_of(object order) except? 64:  # no order
    number = operator.index(order)
    if not 0 <= number <= XA_MAX_ORDER:
        raise ValueError(f"order {number}: give one from 0 to {XA_MAX_ORDER}")
    return number


cdef int mark_of(object mark) except -1:
    number = operator.index(mark)
    if not 0 <= number < PGX_XA_MARKS:
        raise ValueError(f"mark {number}: give 0, 1 or 2")
    return number


cdef uint64_t entry_of(object value) except? 1:
    if value is None:
        return 0
    if value is RESERVED:
        return XA_ZERO
    number = operator.index(value)
    if not 0 <= number <= MAX_VALUE:
        raise ValueError(f"value {number}: give one from 0 to 2**62 - 2, or None for nothing")
    return pgx_xa_entry(number)


cdef object value_of(uint64_t entry):
    if entry == 0:
        return None
    if entry == XA_ZERO:
        return RESERVED
    return entry >> 1 if entry & 1 else pgx_xa_value(entry)


cdef int raise_on(int code, Region region, str what) except -1:
    """Make an exception of a code of the C level: the one place that does."""
    if code == 0:
        return 0
    if code == -ENOMEM:
        raise ArenaFullError(
            ENOMEM, f"{what}: no XArray node left, the arena has {region.region.nxanodes}; create it with more xa_nodes"
        )
    if code == -EBUSY:
        raise OSError(EBUSY, f"{what}: already used or reserved")
    if code == -EINVAL:
        raise OSError(EINVAL, f"{what}: not a range or not an entry that can be stored")
    raise OSError(-code, f"{what}: {os.strerror(-code)}, the array's tree is damaged")


cdef object busy(int code, Region region, str what, Owner owner, uint64_t until):
    """The error for a tree, or the structure lock, that was not had until a `deadline`."""
    if code == -EUSERS:
        return ArenaBusyError(EAGAIN, f"{what}: all slots for calls are in use; nothing was changed; try again")
    if until == 0:
        return ArenaBusyError(
            EAGAIN, f"{what} is in an exchange, and a plug-in that it calls cannot wait for its end; nothing was changed"
        )
    return ArenaBusyError(
        EAGAIN, f"{what}: {who(owner.slot, owner.phase, region.region.workers)} did not let it go; nothing was changed; "
        "try again"
    )


cdef int _filter(object mark) except -1:
    return XA_PRESENT if mark is None else mark_of(mark)


# ---- the array -------------------------------------------------------------------------------------------------------

cdef class XArray:
    """A sparse array from index (0 to 2**64 - 1) to value (0 to 2**62 - 2), with entries of 2^order indexes and 3 marks.

    Nothing stored is None. Each call is atomic: changes lock the array, `load` and `bulk_load` need no lock.

    Parameters
    ----------
    region : Region
        The arena that holds it.
    mapping : int, optional
        Number of the mapping whose pages it is. Default: an array of its own, in a new mapping without pages.
    space : int, optional
        Number of the address space whose page tables it is, instead.

    Raises
    ------
    IndexError
        No such mapping or space.
    ArenaFullError
        No unused mapping is left for an array of its own.
    """

    def __init__(self, Region region not None, mapping=None, *, space=None):
        if mapping is not None and space is not None:
            raise ValueError("give a mapping or a space, not both")
        cdef bint of_space = space is not None
        kind = "space" if of_space else "mapping"
        number = space if of_space else mapping
        if number is None:
            number = region.new_mapping("xarray")
        number = as_number(number, kind)
        region.check()
        count = region.region.nspaces if of_space else region.region.nmappings
        if not 0 <= number < count:
            raise IndexError(f"{kind} {number}: the arena has 0 to {count - 1}")
        if not (pgx_load32(&region.region.spaces[<uint32_t>number].used) if of_space
                else pgx_load32(&region.region.mappings[<uint32_t>number].used)):
            raise IndexError(f"{kind} {number}: unknown; new_{kind}() makes one")
        # All at once: a second call that raises must leave a number that fits the kind.
        self.of_space, self.number, self.region = of_space, number, region
        self.generation = self._generation()

    def __reduce__(self):
        raise stays_here("an XArray", "send what it holds: dict(array.items())")

    def __repr__(self):
        if self.region is None:
            return "<XArray that was not made>"
        return f"<XArray of {'space' if self.of_space else 'mapping'} {self.number} of {self.region!r}>"

    cdef uint32_t _generation(self):
        if self.of_space:
            return pgx_load32(&self.region.region.spaces[self.number].generation)
        return pgx_load32(&self.region.region.mappings[self.number].generation)

    cdef Region arena(self):
        if self.region is None:
            raise TypeError("XArray.__init__ was not called")
        self.region.check()
        return self.region

    cdef pgx_xarray *head(self) except NULL:
        self.arena()
        self.check_generation()
        if self.of_space:
            return &self.region.region.spaces[self.number].tables
        return &self.region.region.mappings[self.number].pages

    cdef int check_generation(self) except -1:
        if self._generation() != self.generation:
            kind = "space" if self.of_space else "mapping"
            raise ArenaError(f"{kind} {self.number}: it was removed, and with it this array; make one of a new {kind}")
        return 0

    cdef int begin(self, Change *change) except -1:
        # Whoever has it may need the GIL to go on (a mover in Python): wait without it, and keep the arena open meanwhile.
        cdef pgx_xarray *xa = self.head()
        cdef pgx_region *r = self.region.region
        cdef Owner owner
        cdef uint64_t until
        cdef int rc = -EAGAIN
        cdef Use use
        if pgx_load64(&xa.lock) == 0 and pgx_load32(&r.header.structure) == 0:
            rc = change_begin(r, xa, 0, change, &owner)
        if rc != 0:
            use = self.region.use()
            until = self.region.deadline()
            with nogil:
                rc = change_begin(r, xa, until, change, &owner)
            if rc != 0:
                raise busy(rc, self.region, "the array", owner, until)
        if self._generation() != self.generation:
            change_end(change)
            self.check_generation()
        return 0  # nobody gives it up from here on

    cdef pgx_xarray *hold(self) except NULL:
        cdef pgx_xarray *xa = self.head()
        cdef pgx_region *r = self.region.region
        cdef int rc
        cdef Use use
        if structure_lock(r, r.self, 0) != 0:
            use = self.region.use()
            with nogil:  # also in a plug-in of an exchange: who has the structure lock waits for none
                rc = structure_lock(r, r.self, now_ns() + STRUCTURE_PATIENCE)
            if rc != 0:
                raise busy(rc, self.region, "the array", owner_of_structure(r), 1)
        if self._generation() != self.generation:
            structure_unlock(r)
            self.check_generation()
        return xa

    cdef void let_go(self) noexcept:
        structure_unlock(self.region.region)

    cdef bint has_mark(self, uint64_t index, int mark) except -1:
        cdef pgx_xarray *xa = self.hold()
        cdef bint found = xa_get_mark(self.region.region, xa, index, mark)
        self.let_go()
        return found

    cdef int change_mark(self, uint64_t index, int mark, bint on) except -1:
        cdef Change change
        self.begin(&change)
        if on:
            xa_set_mark(&change.undo, change.xa, index, mark)
        else:
            xa_clear_mark(&change.undo, change.xa, index, mark)
        change_end(&change)
        return 0

    # ---- one index -----------------------------------------------------------------------------------------------

    def load(self, index):
        """Value that covers `index`, or None. Without a lock. Source: xa_load."""
        cdef uint64_t i = index_of(index)
        cdef pgx_xarray *xa = self.head()
        return value_of(xa_load(self.region.region, xa, i))

    def store(self, index, value, order=0):
        """Store over the 2^order indexes round `index`; the value that covered `index` before. Source: xa_store.

        An entry that covers the whole range is replaced whole and keeps its order and marks; smaller ones are dropped
        and leave the union of their marks. None deletes every entry that touches the range.

        Raises
        ------
        ArenaFullError
            ENOMEM, no node left; nothing has changed.
        """
        cdef uint64_t i = index_of(index)
        cdef uint32_t o = order_of(order)
        cdef uint64_t entry = entry_of(value)
        cdef uint64_t old = 0
        cdef Change change
        self.begin(&change)
        cdef int code = xa_store(&change.undo, change.xa, i, o, entry, &old)
        change_end(&change)
        raise_on(code, self.region, f"store of order {o} at index {i}")
        return value_of(old)

    def erase(self, index):
        """Delete the entry that covers `index`, whole, or its reservation; the value it had. Source: xa_erase."""
        return self.store(index, None)

    def cmpxchg(self, index, old, new):
        """Store `new` when `old` is what covers `index`; the value found. Source: xa_cmpxchg.

        A reservation reads as None and is equal to `RESERVED` only.
        """
        cdef uint64_t i = index_of(index)
        cdef uint64_t expected = entry_of(old)
        cdef uint64_t entry = entry_of(new)
        cdef uint64_t found = 0
        cdef Change change
        self.begin(&change)
        cdef int code = xa_cmpxchg(&change.undo, change.xa, i, expected, entry, &found)
        change_end(&change)
        raise_on(code, self.region, f"cmpxchg at index {i}")
        return None if found == XA_ZERO else value_of(found)

    def insert(self, index, value, order=0):
        """Store where nothing is; None reserves. OSError with EBUSY when any index is used or reserved. Source: xa_insert."""
        cdef uint64_t i = index_of(index)
        cdef uint32_t o = order_of(order)
        cdef uint64_t entry = entry_of(value)
        cdef Change change
        self.begin(&change)
        cdef int code = xa_insert(&change.undo, change.xa, i, o, entry)
        change_end(&change)
        raise_on(code, self.region, f"insert of order {o} at index {i}")

    def alloc(self, value, first=0, last=MAX_ID, start=None):
        """Store at the lowest index of first..last where nothing is; that index. None reserves it. Source: xa_alloc.

        With `start`, the search begins there and goes round to `first` at the end: an index below `start` tells that it
        did. Source: xa_alloc_cyclic. Every array can do this, since no mark is taken for it; storing `RESERVED` where
        an entry was keeps its index from being given out.

        Raises
        ------
        OSError
            EBUSY, no index of the range is free, or last < first.
        ArenaFullError
            ENOMEM, no node left; nothing has changed.
        """
        cdef uint64_t low = index_of(first)
        cdef uint64_t high = index_of(last)
        cdef uint64_t begin = low if start is None else max(low, index_of(start))
        cdef uint64_t entry = entry_of(value)
        cdef uint64_t i = 0
        cdef Change change
        self.begin(&change)
        cdef int code = xa_alloc(&change.undo, change.xa, begin, high, entry, &i)
        if code == -EBUSY and begin > low:
            code = xa_alloc(&change.undo, change.xa, low, min(begin - 1, high), entry, &i)
        change_end(&change)
        raise_on(code, self.region, f"allocation of an index from {low} to {high}")
        return i

    def reserve(self, index):
        """Take the memory for a later store at `index`, which reads as None until then. A used index stays as it is."""
        cdef uint64_t i = index_of(index)
        cdef Change change
        self.begin(&change)
        cdef int code = xa_reserve(&change.undo, change.xa, i)
        change_end(&change)
        raise_on(code, self.region, f"reservation of index {i}")

    def release(self, index):
        """Give a reservation back. A used index stays as it is. Source: xa_release."""
        cdef uint64_t i = index_of(index)
        cdef Change change
        self.begin(&change)
        cdef int code = xa_unreserve(&change.undo, change.xa, i)
        change_end(&change)
        raise_on(code, self.region, f"release of index {i}")

    def store_range(self, first, last, value):
        """Store over first..last, both included: one entry per largest aligned piece. Source: xa_store_range.

        The pieces are entries of their own: a mark set at one index is on that piece only, and `erase` takes that piece
        only. `RESERVED` may be stored, which Linux refuses.

        OSError with EINVAL when last < first. After an ENOMEM the pieces before the one that failed stay.
        """
        cdef uint64_t i = index_of(first)
        cdef uint64_t j = index_of(last)
        cdef uint64_t entry = entry_of(value)
        cdef Change change
        self.begin(&change)
        cdef int code = xa_store_range(&change.undo, change.xa, i, j, entry)
        change_end(&change)
        raise_on(code, self.region, f"store over indexes {i} to {j}")

    def get_order(self, index):
        """Order of the entry that covers `index`; 0 for none. Source: xa_get_order."""
        cdef uint64_t i = index_of(index)
        cdef pgx_xarray *xa = self.hold()
        cdef uint32_t order = xa_get_order(self.region.region, xa, i)
        self.let_go()
        return order

    # ---- marks ---------------------------------------------------------------------------------------------------

    def get_mark(self, index, mark):
        """Tell whether the entry that covers `index` has mark 0, 1 or 2."""
        return self.has_mark(index_of(index), mark_of(mark))

    def set_mark(self, index, mark):
        """Set a mark of the entry that covers `index`; nothing happens where no entry is."""
        self.change_mark(index_of(index), mark_of(mark), True)

    def clear_mark(self, index, mark):
        """Clear a mark of the entry that covers `index`."""
        self.change_mark(index_of(index), mark_of(mark), False)

    def marked(self, mark):
        """Tell whether any entry has the mark. Without a lock."""
        cdef int m = mark_of(mark)
        return bool((pgx_load32(&self.head().flags) >> m) & 1)

    # ---- the whole -----------------------------------------------------------------------------------------------

    @property
    def empty(self):
        """True when nothing is stored and nothing reserved."""
        return pgx_load64(&self.head().head) == 0

    @property
    def nodes_in_use(self):
        """Nodes that all arrays of the arena use together."""
        cdef Region arena = self.arena()
        return arena.region.header.xanodes.fresh - arena.region.header.xanodes.free

    def destroy(self):
        """Delete everything; what the values stand for is not touched. Source: xa_destroy."""
        cdef Change change
        self.begin(&change)
        xa_destroy(&change.undo, change.xa)
        change_end(&change)

    def find(self, start=0, max=MAX_INDEX, mark=None):
        """First (index, value) from `start` to `max`, with `mark` when given; None at the end. Source: xa_find.

        An entry that begins before `start` and covers it is found with `start` as its index, by a mark too;
        `Cursor.find_marked` gives the entry's first index.
        """
        cdef uint64_t i = index_of(start)
        cdef uint64_t last = index_of(max)
        cdef int which = _filter(mark)
        cdef pgx_xarray *xa = self.hold()
        cdef uint64_t entry = xa_find(self.region.region, xa, &i, last, which, NULL)
        self.let_go()
        return (i, value_of(entry)) if entry else None

    def find_after(self, start, max=MAX_INDEX, mark=None):
        """First (index, value) after the entry that covers `start`. Source: xa_find_after.

        By a mark too: Linux's marked search that begins inside an entry of several indexes gives that entry again.
        """
        cdef uint64_t i = index_of(start)
        cdef uint64_t last = index_of(max)
        cdef int which = _filter(mark)
        cdef pgx_xarray *xa = self.hold()
        cdef uint64_t entry = xa_find_after(self.region.region, xa, &i, last, which, NULL)
        self.let_go()
        return (i, value_of(entry)) if entry else None

    def items(self, start=0, max=MAX_INDEX, mark=None):
        """Yield (first index, value) in the order of indexes. The array may change meanwhile. Source: xa_for_each."""
        found = self.find(start, max, mark)
        while found is not None:
            yield found
            found = self.find_after(found[0], max, mark)

    def __iter__(self):
        for index, _ in self.items():
            yield index

    # ---- many indexes at once, without the GIL -------------------------------------------------------------------

    def bulk_store(self, indexes, values):
        """Store values[k] at indexes[k] (order 0), all under one lock. After an ENOMEM those before it stay."""
        indexes = _words(indexes, "indexes", MAX_INDEX)
        values = _words(values, "values", MAX_VALUE)
        cdef const uint64_t *index = <const uint64_t *>address(indexes)
        cdef const uint64_t *value = <const uint64_t *>address(values)
        cdef Py_ssize_t n = len(indexes)
        cdef Py_ssize_t k = 0
        cdef int code = 0
        if len(values) != n:
            raise ValueError(f"{n} indexes and {len(values)} values: give as many of each")
        cdef Use use = self.arena().use()
        cdef Change change
        self.begin(&change)
        with nogil:
            while k < n:
                code = xa_store(&change.undo, change.xa, index[k], 0, pgx_xa_entry(value[k]), NULL)
                if code != 0:
                    break
                xa_commit(&change.undo, change.xa)
                k += 1
            change_end(&change)
        raise_on(code, self.region, f"store at index {index[k] if k < n else 0}, number {k} of {n}")

    def bulk_load(self, indexes):
        """Values at the indexes as int64[n], -1 for none. Each is loaded separately, without a lock."""
        indexes = _words(indexes, "indexes", MAX_INDEX)
        cdef const uint64_t *index = <const uint64_t *>address(indexes)
        cdef Py_ssize_t n = len(indexes)
        cdef Py_ssize_t k
        cdef uint64_t entry
        cdef Use use = self.arena().use()
        cdef pgx_xarray *xa = self.head()
        cdef pgx_region *r = self.region.region
        out = np.empty(n, np.int64)
        cdef int64_t *value = <int64_t *>address(out)
        with nogil:
            for k in range(n):
                entry = xa_load(r, xa, index[k])
                value[k] = <int64_t>pgx_xa_value(entry) if entry != 0 else -1
        return out

    def words(self, indexes, *, cursor=True):
        """Byte offsets in the arena of the words that hold the entries, as uint64[n]; 0 for none.

        With a cursor that stays in its node while it can, or by a fresh walk for each (radix_tree_lookup_slot). An
        offset is good as long as the array's shape does not change.
        """
        indexes = _words(indexes, "indexes", MAX_INDEX)
        cdef const uint64_t *index = <const uint64_t *>address(indexes)
        cdef Py_ssize_t n = len(indexes)
        cdef Py_ssize_t k
        cdef bint stay = cursor
        cdef xa_cursor xas
        cdef uint64_t *word
        out = np.zeros(n, np.uint64)
        cdef uint64_t *offset = <uint64_t *>address(out)
        cdef Use use = self.arena().use()
        cdef pgx_xarray *xa = self.hold()
        cdef pgx_region *r = self.region.region
        with nogil:
            xas_init(&xas, xa)
            for k in range(n):
                word = xas_find_word(r, &xas, index[k], NULL) if stay else xa_find_word(r, xa, index[k], NULL)
                if word != NULL:
                    offset[k] = <uint64_t>(<uint8_t *>word - r.base)
            structure_unlock(r)
        return out


def _words(array, name, limit):
    """Return the array as contiguous uint64[n], or say why it cannot be one."""
    given = array
    array = np.asarray(given)
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, np.uint64)
    if array.ndim == 1 and array.dtype.kind in "fO" and all(isinstance(i, (int, np.integer)) for i in given):
        # NumPy makes floats of a list with numbers on both sides of 2**63, and objects beyond 2**64
        if all(0 <= i <= limit for i in given):
            array = np.array(given, np.uint64)
        else:
            raise ValueError(f"{name}: give numbers from 0 to {limit}")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name}: a one-dimensional integer array is needed, this is {array.dtype}{list(array.shape)}")
    if int(array.min()) < 0 or int(array.max()) > limit:
        raise ValueError(f"{name}: {array.min()} to {array.max()}, give numbers from 0 to {limit}")
    return np.ascontiguousarray(array, np.uint64)
