# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""The mapping updaters: they find the XArray word that points at a page. The core stores it."""

from libc.errno cimport EAGAIN, EUCLEAN
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

import numpy as np

from pagexchange_native.arena.owners import who
from pagexchange_native.errors import ArenaBusyError

from pagexchange_native.arena.locks cimport wait_until
from pagexchange_native.arena.region cimport CallSlot, Region
from pagexchange_native.arena.structure cimport Owner, owner_of_structure
from pagexchange_native.buffers cimport address
from pagexchange_native.plugin cimport PGX_ABI, NativeObject, pgx_find, pgx_mapping_ops
from pagexchange_native.format cimport (
    pgx_entry, pgx_load32, pgx_load64, pgx_mapping, pgx_region, pgx_xa_entry, pgx_xarray,
)
from pagexchange_native.xarray.tree cimport (
    xa_cursor, xa_find_word, xa_release, xa_slot_word, xa_tryhold, xa_word_is_at, xas_find_word, xas_init,
)

# A table of pgx_find, its fields in their order.
_FIND = np.dtype([("mapping", "u8"), ("index", "u8"), ("pfn", "u4"), ("status", "i4"), ("slot", "u8"), ("found", "u8")])

cdef enum:
    CURSORS = 4  # of different mappings: the two sides of a list are often of two, and take turns


cdef inline pgx_xarray *array_of(pgx_region *region, pgx_find *page) noexcept nogil:
    """The page cache to look in; NULL, and the status set, when there is none."""
    cdef pgx_mapping *mapping
    page.slot = 0
    page.found = 0
    page.status = -EUCLEAN
    if page.mapping >= region.nmappings:
        return NULL
    mapping = &region.mappings[page.mapping]
    page.status = -EAGAIN
    return &mapping.pages if pgx_load32(&mapping.used) else NULL


cdef inline void note(pgx_region *region, pgx_find *page, uint64_t *word) noexcept nogil:
    if word == NULL:
        return
    page.found = pgx_load64(word)
    page.slot = <uint64_t>(<uint8_t *>word - region.base)
    if page.found == pgx_xa_entry(page.pfn):
        page.status = 0


cdef inline bint found_by_hint(pgx_region *region, pgx_xarray *xa, pgx_find *page) noexcept nogil:
    """Whether the word that the page's entry names is the one: of this array, at this index, and pointing back."""
    cdef const pgx_entry *e
    cdef uint64_t *word
    if page.pfn >= region.nframes:
        return False
    e = &region.entries[page.pfn]
    word = xa_slot_word(region, xa, e.slot)
    if e.index != page.index or e.mapping != (page.mapping + 1) << 2:
        return False
    if word == NULL or not xa_word_is_at(region, xa, word, page.index):
        return False
    note(region, page, word)
    return page.status == 0


cdef void find_through_cursors(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef xa_cursor[CURSORS] cursors
    cdef xa_cursor *cursor
    cdef pgx_xarray *xa
    cdef size_t i
    for i in range(CURSORS):
        xas_init(&cursors[i], NULL)
    for i in range(n):
        xa = array_of(region, &pages[i])
        if xa == NULL or found_by_hint(region, xa, &pages[i]):
            continue
        cursor = &cursors[pages[i].mapping % CURSORS]
        if cursor.xa != xa:
            xas_init(cursor, xa)
        note(region, &pages[i], xas_find_word(region, cursor, pages[i].index, NULL))


cdef void find_from_the_top(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef pgx_xarray *xa
    cdef size_t i
    for i in range(n):
        xa = array_of(region, &pages[i])
        if xa != NULL:
            note(region, &pages[i], xa_find_word(region, xa, pages[i].index, NULL))


cdef size_t hold_trees(pgx_region *region, uint32_t slot, const uint64_t *mappings, size_t n, uint64_t until) noexcept nogil:
    """Holds the arrays of n mappings for a call's slot: n, or the number of the first that had a writer still at `until`.

    No record says so: recovery looks at every mapping for the bits of a call's slot.
    """
    cdef size_t i
    cdef uint32_t turn = 0
    for i in range(n):
        while not xa_tryhold(&region.mappings[mappings[i]].pages, slot):
            if not wait_until(&turn, until):
                return i
    return n


cdef class MappingUpdater(NativeObject):
    """Finds the slots that point at pages; a subclass fills in `ops`.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mapping_ops)

    cdef str wrong_table(self):
        return self.wrong_header(self.ops.abi, self.ops.size, sizeof(pgx_mapping_ops), self.ops.find != NULL, "find")

    def __call__(self, pages, Region arena not None):
        """Return where in the arena the words lie that point at the pages.

        Parameters
        ----------
        pages : structured array of n with the fields mapping, index (base pages) and pfn
            Pages of files, by the number of their mapping.
        arena : Region
            Where to look.

        Returns
        -------
        offset, found : uint64[n]
            Byte offset of the word and the entry in it; 0 and 0 where there is none. The entry may name another frame.

        Raises
        ------
        ArenaBusyError
            Another call changes one of the mappings, and did not come to an end.
        """
        if self.ops.find == NULL:
            raise TypeError(f"{type(self).__name__} has no find function")
        cdef CallSlot call = arena.call_slot()
        cdef Owner owner
        mapping = np.ascontiguousarray(pages["mapping"], dtype=np.uint64).reshape(-1)
        table = np.zeros(len(mapping), dtype=_FIND)
        table["mapping"] = mapping
        table["index"] = np.asarray(pages["index"]).reshape(-1)
        table["pfn"] = np.asarray(pages["pfn"]).reshape(-1)
        # The caller's part of the contract: each array is held, once, so that its shape stays during the look-up.
        held = np.unique(mapping[mapping < arena.region.nmappings])
        cdef pgx_find *wanted = <pgx_find *>address(table)
        cdef const uint64_t *hold = <const uint64_t *>address(held)
        cdef size_t n = len(table), h = len(held), i, got
        if n:
            with nogil:
                got = hold_trees(arena.region, call.number, hold, h, call.until)
                if got == h:
                    self.ops.find(self.ops.ctx, arena.region, wanted, n)
                for i in range(got):
                    xa_release(&arena.region.mappings[hold[i]].pages, call.number)
            if got < h:
                owner = owner_of_structure(arena.region)
                raise ArenaBusyError(
                    EAGAIN, f"mapping {hold[got]}: {who(owner.slot, owner.phase, arena.region.workers)} did not let it go"
                )
        return np.ascontiguousarray(table["slot"]), np.ascontiguousarray(table["found"])


cdef class XArrayCursor(MappingUpdater):
    """Looks where the page's entry says that its slot is, and checks it; else through a cursor (XA_STATE).

    The hint is as good as the array's shape is old; a cursor finds a neighbour in the same node without a walk.
    """

    def __init__(self):
        self.name = "xarray"
        self.ops.find = find_through_cursors

    cpdef dict describe(self):
        """Return how it looks up."""
        return {"look-up": f"the page's hint, then cursors, {CURSORS} mappings at a time", "takes nodes": "none"}


cdef class RadixTree(MappingUpdater):
    """Walks from the top for each page and hands back a slot pointer, as in the 2019 RFC."""

    def __init__(self):
        self.name = "radix-tree"
        self.ops.find = find_from_the_top

    cpdef dict describe(self):
        """Return how it looks up."""
        return {"look-up": "a walk from the top per page", "takes nodes": "none"}
