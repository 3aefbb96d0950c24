# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, freethreading_compatible=False
"""A cursor over an XArray: Linux's xa_state and the xas_ functions, for Python.

It remembers an index and a state and looks its entry up again in each call, because other threads may change the tree
between two calls. (The C level's `xa_cursor` stays in its node: there the caller holds the tree's shape.)
"""

import errno

from pagexchange_native.errors import stays_here

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport PGX_XA_MARKS, pgx_load64, pgx_xanode, pgx_xarray
from pagexchange_native.xarray.array cimport XArray, entry_of, index_of, mark_of, order_of, raise_on, value_of
from pagexchange_native.xarray.change cimport Change, change_end
from pagexchange_native.xarray.search cimport XA_PRESENT, xa_find_raw, xa_get_order
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_is_node, xa_order_at, xa_walk

from pagexchange_native.xarray.array import MAX_INDEX

cdef enum:
    RESTART = 0
    BOUNDS = 1
    HEAD = 2
    NODE = 3
    ERROR = 4

STATES = ("RESTART", "BOUNDS", "HEAD", "NODE", "ERROR")


cdef inline uint64_t _last(uint64_t index, uint32_t order) noexcept nogil:
    return index | ((<uint64_t>1 << order) - 1)


cdef class Cursor:
    """XA_STATE: where one stands in an array. A reserved slot shows as `RESERVED` here.

    An operation that fails puts its errno into `error`; from then on every operation does nothing and gives None, until
    `set`, `set_order` or `reset`. So a caller may go through a sequence and look at `error`, or call `check`, once.

    Parameters
    ----------
    array : XArray
        The array.
    index, order : int
        As `set_order` takes them.
    """

    cdef readonly XArray array
    cdef uint64_t _index
    cdef uint32_t _order
    cdef int _state
    cdef int _error

    def __init__(self, XArray array not None, index=0, order=0):
        self.array = array
        self.set_order(index, order)

    def __reduce__(self):
        raise stays_here("a Cursor", "send what its array holds: dict(array.items())")

    def __repr__(self):
        return f"<Cursor {self.state} at index {self._index} of {self.array!r}>"

    cdef XArray _made(self):
        if self.array is None:
            raise TypeError("Cursor.__init__ was not called")
        return self.array

    @property
    def index(self):
        """Where it stands, or will begin."""
        return self._index

    @property
    def order(self):
        """Order with which it stores."""
        return self._order

    @property
    def state(self):
        """RESTART (will walk from the head), BOUNDS (ran off the end), HEAD, NODE (stands there), or ERROR."""
        return STATES[self._state]

    @property
    def error(self):
        """Sticky errno, 0 for none."""
        return self._error

    def check(self):
        """Raise the error that it carries, if any: ArenaFullError for ENOMEM, else OSError."""
        raise_on(-self._error, self._made().arena(), f"cursor at index {self._index}")

    def set_error(self, number):
        """Carry an errno, so that what follows does nothing. Source: xas_set_err."""
        if not isinstance(number, int) or number not in errno.errorcode:
            raise ValueError(f"errno {number!r}: give a number that errno knows")
        self._error = number
        self._state = ERROR

    def set(self, index):
        """Stand before `index`, with order 0 and no error."""
        self.set_order(index, 0)

    def set_order(self, index, order):
        """Stand before the 2^order indexes round `index`, without an error."""
        cdef uint64_t i = index_of(index)
        cdef uint32_t o = order_of(order)
        self._index = i >> o << o
        self._order = o
        self.reset()

    def reset(self):
        """Walk from the head at the next operation, at the same index; clears an error."""
        self._state = RESTART
        self._error = 0

    cdef uint64_t _walk(self, pgx_xarray *xa):
        """Look the index up and stand there; the raw entry. The array is held."""
        cdef pgx_xanode *node = NULL
        cdef uint32_t offset = 0
        cdef uint64_t entry = xa_walk(self.array.region.region, xa, self._index, &node, &offset)
        if node != NULL:
            self._state = NODE
        elif self._index == 0 and not xa_is_node(pgx_load64(&xa.head)):
            self._state = HEAD
        else:
            self._state = BOUNDS
        return entry

    cdef bint _stands(self):
        return self._state == HEAD or self._state == NODE

    def load(self):
        """Value that covers the index, or None; stands there afterwards. Source: xas_load."""
        cdef pgx_xarray *xa
        cdef uint64_t entry
        if self._error:
            return None
        xa = self._made().hold()
        entry = self._walk(xa)
        self.array.let_go()
        return value_of(entry)

    def reload(self):
        """Value that covers the index now; the cursor stays as it is. Source: xas_reload."""
        cdef pgx_xarray *xa
        cdef pgx_xanode *node = NULL
        cdef uint32_t offset = 0
        cdef uint64_t entry
        if self._error:
            return None
        xa = self._made().hold()
        entry = xa_walk(self.array.region.region, xa, self._index, &node, &offset)
        self.array.let_go()
        return value_of(entry)

    def store(self, value):
        """Store with the cursor's order as `XArray.store` does; the value before. A failure goes to `error`.

        Deleting the last entry, or one whose going makes the tree lower, leaves the cursor in BOUNDS. Source: xas_store.
        """
        cdef uint64_t entry = entry_of(value)
        cdef uint64_t old, head
        cdef Change change
        cdef int code
        if self._error:
            return None
        self._made().begin(&change)
        head = change.xa.head
        old = self._walk(change.xa)
        code = xa_store(&change.undo, change.xa, self._index, self._order, entry, NULL)
        if code == 0:
            self._walk(change.xa)
            if entry == 0 and head != change.xa.head:
                self._state = BOUNDS
        change_end(&change)
        if code != 0:
            self._error = -code
            self._state = ERROR
            return None
        return value_of(old)

    def get_order(self):
        """Order of the entry that covers the index; 0 for none. Source: xas_get_order."""
        cdef pgx_xarray *xa
        cdef uint32_t order
        if self._error:
            return 0
        xa = self._made().hold()
        order = xa_get_order(self.array.region.region, xa, self._index)
        self.array.let_go()
        return order

    # ---- going on ------------------------------------------------------------------------------------------------

    cdef uint64_t _past(self, pgx_xarray *xa):
        """Last index of the entry, or of the empty slot, that it stands on."""
        cdef pgx_xanode *node = NULL
        cdef uint32_t offset = 0
        cdef uint64_t entry = xa_walk(self.array.region.region, xa, self._index, &node, &offset)
        if node == NULL:
            return self._index
        return _last(self._index, xa_order_at(node, offset) if entry != 0 else node.shift)

    def _find(self, max, int which):
        cdef uint64_t last = index_of(max)
        cdef uint64_t at = self._index
        cdef uint64_t entry = 0
        cdef uint32_t order = 0
        cdef bint begins = self._state == RESTART
        cdef pgx_xarray *xa
        if self._error or self._state == BOUNDS:
            return None
        if at > last:
            self._state = BOUNDS if which == XA_PRESENT else RESTART
            return None
        xa = self._made().hold()
        if not begins:
            at = self._past(xa) + 1
        if begins or at != 0:
            entry = xa_find_raw(self.array.region.region, xa, &at, last, which, &order)
        if entry != 0:
            if which != XA_PRESENT:
                at = at >> order << order
            self._index = at
            self._state = NODE if xa_is_node(xa.head) else HEAD
        elif last == <uint64_t>MAX_INDEX:
            self._state = BOUNDS
        else:
            if self._index <= last:
                self._index = last + 1
            self._state = RESTART
        self.array.let_go()
        return value_of(entry)

    def find(self, max=MAX_INDEX):
        """First value from the index on, then the one after it, and so on to `max`; None at the end. Source: xas_find.

        After None the cursor stands behind `max`, and a search to a later `max` goes on from there; after a search to
        the very end it is out of bounds and stays where it was.
        """
        return self._find(max, XA_PRESENT)

    def find_marked(self, max, mark):
        """The same among the entries that have the mark; the index is then the entry's first. Source: xas_find_marked.

        Begun inside an entry of several indexes it gives that entry once and goes on; Linux's gives it again for ever.
        """
        return self._find(max, mark_of(mark))

    def next(self):
        """Value at the index when the cursor was just set, else at the next index (after the last comes 0); or None."""
        if not self._error and self._state != RESTART:
            self._index += 1
        return self.load()

    def prev(self):
        """The same, going down."""
        if not self._error and self._state != RESTART:
            self._index -= 1
        return self.load()

    def pause(self):
        """Stand before what follows the entry, for a pause in a forward iteration. Source: xas_pause."""
        cdef pgx_xarray *xa
        if not self._stands():
            return
        xa = self._made().hold()
        self._index = self._past(xa) + 1
        self._state = BOUNDS if self._index == 0 else RESTART
        self.array.let_go()

    def for_each_conflict(self):
        """Yield (first index, order, value) of the entries that overlap the cursor's range. Source: xas_for_each_conflict.

        The cursor stays where it is. They are collected first, so that the caller may store in between.
        """
        cdef uint64_t at = self._index >> self._order << self._order
        cdef uint64_t last = _last(at, self._order)
        cdef uint64_t entry
        cdef uint32_t order = 0
        cdef pgx_xarray *xa
        found = []
        if self._error:
            return iter(found)
        while True:
            xa = self._made().hold()  # for each anew: making a tuple may run Python
            entry = xa_find_raw(self.array.region.region, xa, &at, last, XA_PRESENT, &order)
            self.array.let_go()
            if entry == 0:
                break
            found.append((at >> order << order, order, value_of(entry)))
            at = _last(at, order)
            if at >= last:
                break
            at += 1
        return iter(found)

    # ---- marks of the entry that it stands on; elsewhere nothing happens ------------------------------------------

    def get_mark(self, mark):
        """Tell whether the entry has mark 0, 1 or 2."""
        cdef int m = mark_of(mark)
        return self.array.has_mark(self._index, m) if self._stands() else False

    def set_mark(self, mark):
        """Set a mark."""
        cdef int m = mark_of(mark)
        if self._stands():
            self.array.change_mark(self._index, m, True)

    def clear_mark(self, mark):
        """Clear a mark."""
        cdef int m = mark_of(mark)
        if self._stands():
            self.array.change_mark(self._index, m, False)

    def init_marks(self):
        """Clear all marks."""
        cdef int m
        if self._stands():
            for m in range(PGX_XA_MARKS):
                self.array.change_mark(self._index, m, False)
