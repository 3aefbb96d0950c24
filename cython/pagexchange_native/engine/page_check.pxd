# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What forbids to exchange a page: looked at before it is locked, and again, or for the first time, under its lock."""

from libc.errno cimport EBUSY, EINVAL, ENOENT, ENXIO, EOPNOTSUPP, EUCLEAN
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pagexchange_native.format cimport *

cdef extern from "<errno.h>":
    enum:
        EHWPOISON

cdef enum:  # not errors: whether it is one depends on how long the exchange may wait
    IS_HELD = 1       # locked, or frozen
    IS_REFERENCED = 2  # has another number of references than those that are accounted for
    IS_WRITTEN = 3    # under write-back

cdef struct MapsFields:  # these two of an entry, side by side there
    uint32_t mapcount
    uint32_t rmap

cdef union Maps:
    uint64_t word
    MapsFields field

cdef struct TailFields:  # and these four
    uint32_t head
    uint8_t order
    uint8_t state
    uint16_t held

cdef union Tail:
    uint64_t word
    TailFields field

cdef struct Page:  # one look at a frame's entry
    uint64_t word      # `refs` and `owner`
    uint64_t flags
    uint64_t mapping
    uint64_t maps      # `mapcount` and `rmap`
    uint64_t tail      # `head`, `order`, `state`, `held`
    uint32_t mapcount
    uint32_t order
    uint32_t state
    uint32_t held
    uint32_t file      # mapping number + 1 of a file page, else 0
    uint32_t refs      # what it has at rest


cdef inline void look(const pgx_region *r, uint32_t pfn, Page *page) noexcept nogil:
    cdef pgx_entry *e = &r.entries[pfn]
    cdef Maps maps
    cdef Tail tail
    page.word = pgx_load64(pgx_state_word(e))
    page.flags = pgx_load64(&e.flags)
    page.mapping = pgx_load64(&e.mapping)
    maps.word = pgx_load64(<const uint64_t *>&e.mapcount)
    tail.word = pgx_load64(<const uint64_t *>&e.head)
    page.maps = maps.word
    page.tail = tail.word
    page.mapcount = maps.field.mapcount
    page.order = tail.field.order
    page.state = tail.field.state
    page.held = tail.field.held


cdef inline bint same(const Page *a, const Page *b) noexcept nogil:
    """Whether two looks saw the same page in the same state, but for who has it locked."""
    return ((a.flags ^ b.flags) | (a.mapping ^ b.mapping) | (a.maps ^ b.maps) | (a.tail ^ b.tail)) == 0


cdef inline int exists(const pgx_region *r, uint32_t pfn, const Page *page) noexcept nogil:
    """Whether a page that could be exchanged begins in this frame: 0 or -errno."""
    cdef uint32_t state = page.state
    if state == PGX_USED and not page.flags & (r.layout.hwpoison | r.layout.reserved) and (
            page.order == 0 or (page.order <= PGX_MAX_ORDER and pfn + (1ull << page.order) <= r.nframes
                                and not pfn & ((1u << page.order) - 1))):
        return 0
    if state == PGX_FREE:
        return -ENOENT
    if state == PGX_TAIL:
        return -EINVAL
    if state == PGX_OFFLINE:
        return -ENXIO
    if state == PGX_RESERVED:
        return -EBUSY
    if state != PGX_USED:
        return -EUCLEAN
    if page.flags & r.layout.hwpoison:
        return -EHWPOISON
    return -EBUSY if page.flags & r.layout.reserved else -EUCLEAN


cdef inline int _odd_flags(const pgx_region *r, const Page *page) noexcept nogil:
    """For a page with one of the flags that can forbid it: 0, -errno or IS_WRITTEN."""
    cdef const pgx_layout *l = &r.layout
    if page.flags & l.writeback:
        return IS_WRITTEN
    if page.flags & l.refuse:
        return -EOPNOTSUPP
    if page.flags & l.swapcache and page.flags & l.swapbacked:
        return -EOPNOTSUPP  # in the swap cache: its second identity has no home in this model
    if page.flags & l.private_ and (page.mapping == 0 or page.mapping & 3):
        return -EOPNOTSUPP
    return 0


cdef inline int movable(const pgx_region *r, Page *page) noexcept nogil:
    """Everything else that forbids to move a page: 0, -errno or IS_WRITTEN.

    Sets the mapping, and the references that the page has at rest (`folio_expected_ref_count`).
    """
    cdef const pgx_layout *l = &r.layout
    cdef const pgx_mapping *m
    cdef uint64_t number
    # Numbers, not branches: which pages are of files cannot be foretold.
    cdef uint64_t file = <uint64_t>(page.mapping & 3 == 0) & <uint64_t>(page.mapping != 0)
    cdef int rc
    page.file = 0
    # A reference by `get` that alone keeps the page counts as one too many here, also while its `put` looks for the page
    # without a pin, to free it: it must not find another page in the frame.
    page.refs = page.mapcount + (page.held != 0) + page.held // PGX_HELD_BY_GET
    if page.flags & (l.refuse | l.writeback | l.swapcache | l.private_):
        rc = _odd_flags(r, page)
        if rc != 0:
            return rc
        page.refs += (page.flags & l.private_) != 0
    if page.mapping & 3 > PGX_ANON:
        return -EOPNOTSUPP
    number = ((page.mapping >> 2) - file) & -file
    if number >= r.nmappings:
        return -EUCLEAN
    m = &r.mappings[number]
    if file & <uint64_t>((m.used != 1) | (m.aops != PGX_AOPS_MIGRATE)):
        if m.used != 1:
            return -EUCLEAN
        if m.aops == PGX_AOPS_UNMOVABLE or page.flags & l.private_:
            return -EOPNOTSUPP
        if page.flags & l.dirty:
            return -EBUSY
    page.file = <uint32_t>(number + file)
    page.refs += <uint32_t>file << page.order
    return 0


cdef inline int tails_forbid(const pgx_region *r, uint32_t pfn_0, uint32_t pfn_1, uint32_t order,
                             uint64_t *differ) noexcept nogil:
    """What the words of two folios' tails forbid; and in which bits they differ that belong to the page."""
    cdef const pgx_layout *l = &r.layout
    cdef const pgx_entry *a = &r.entries[pfn_0]
    cdef const pgx_entry *b = &r.entries[pfn_1]
    cdef uint64_t either = 0
    cdef uint64_t x, y
    cdef uint32_t i
    differ[0] = 0
    for i in range(1, 1u << order):
        x = pgx_load64(&a[i].flags)
        y = pgx_load64(&b[i].flags)
        either |= x | y
        differ[0] |= x ^ y
    differ[0] &= l.tail_swap
    if not either & l.tail_refuse:
        return 0
    if either & l.tail_broken:
        return -EHWPOISON
    return -EBUSY if either & l.tail_refuse & l.reserved else -EOPNOTSUPP
