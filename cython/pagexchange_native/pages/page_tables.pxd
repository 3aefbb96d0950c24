# cython: cdivision=True
"""Page tables: the entry of a virtual page, looked up without a lock; those of a page, by its reverse map, rewritten."""

from libc.errno cimport ENOENT, EUCLEAN
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.format cimport *
from pagexchange_native.xarray.tree cimport xa_load


cdef inline int64_t table_of(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    """Number of the table that covers `vpn`, or -ENOENT, -EUCLEAN."""
    cdef uint64_t entry = xa_load(r, &r.spaces[space].tables, vpn // PGX_TABLE_SLOTS)
    cdef uint64_t number
    if entry == 0:
        return -ENOENT
    number = pgx_xa_value(entry)
    return <int64_t>number if number < r.ntables else -EUCLEAN


cdef inline uint64_t pte_word(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    """The page-table entry of a virtual page, 0 for none: a moment's, an exchange may store another one now."""
    cdef int64_t number = table_of(r, space, vpn)
    return pgx_load64(&r.tables[number].pte[vpn % PGX_TABLE_SLOTS].pte) if number >= 0 else 0


cdef inline pgx_pte *pte_at(pgx_region *r, uint32_t number) noexcept nogil:
    """Page-table entry by number + 1."""
    return &r.tables[(number - 1) // PGX_TABLE_SLOTS].pte[(number - 1) % PGX_TABLE_SLOTS]


cdef inline pgx_table *_next_table(pgx_region *r, pgx_table *base) noexcept nogil:
    """The table of a large folio's later entries: looked up in the space, as it may lie anywhere."""
    cdef uint64_t entry, number
    if base.space == 0 or base.space > r.nspaces:
        return NULL
    entry = xa_load(r, &r.spaces[base.space - 1].tables, base.base // PGX_TABLE_SLOTS + 1)
    if entry == 0:
        return NULL
    number = pgx_xa_value(entry)
    if number >= r.ntables:
        return NULL
    return &r.tables[number]


cdef inline int rewrite(pgx_region *r, uint32_t rmap, uint32_t mapcount, uint32_t order, uint64_t old_pfn, uint64_t new_pfn,
                        bint present) noexcept nogil:
    """Points every page-table entry of a page at `new_pfn`: as a migration entry, or as a present one.

    The chain is walked `mapcount` times at most. -EUCLEAN, with the entries so far rewritten, when one does not name
    `old_pfn` or `new_pfn` or leads out of the tables: the caller puts them back by calling again.
    """
    cdef uint32_t number = rmap
    cdef uint32_t seen = 0
    cdef uint64_t i, word, target, tables
    cdef pgx_table *table
    cdef pgx_pte *pte
    tables = <uint64_t>r.ntables * PGX_TABLE_SLOTS
    while number:
        if number > tables or seen == mapcount:
            return -EUCLEAN
        seen += 1
        table = &r.tables[(number - 1) // PGX_TABLE_SLOTS]
        pte = pte_at(r, number)
        for i in range(1ull << order):
            if i and i % PGX_TABLE_SLOTS == 0:
                table = _next_table(r, table)
                if table == NULL:
                    return -EUCLEAN
            if i < PGX_TABLE_SLOTS:
                word = pgx_load64(&(pte + i).pte)
            else:
                word = pgx_load64(&table.pte[i % PGX_TABLE_SLOTS].pte)
            target = word >> 12
            # `new_pfn` passes, too: after a failure half-way the caller repeats the call the other way round.
            if target != old_pfn + i and target != new_pfn + i:
                return -EUCLEAN
            word &= PGX_PTE_BITS & ~(PGX_PTE_PRESENT | PGX_PTE_MIGRATION)
            word |= (new_pfn + i) << 12 | (PGX_PTE_PRESENT if present else PGX_PTE_MIGRATION)
            if i < PGX_TABLE_SLOTS:
                pgx_store64(&(pte + i).pte, word)
            else:
                pgx_store64(&table.pte[i % PGX_TABLE_SLOTS].pte, word)
        number = pte.next
    return 0 if seen == mapcount else -EUCLEAN
