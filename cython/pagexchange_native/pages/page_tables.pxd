"""The page-table entries of a page, by its reverse map: what an exchange makes of them."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport PGX_TABLE_SLOTS, pgx_pte, pgx_region

cdef inline pgx_pte *pte_at(pgx_region *r, uint32_t number) noexcept nogil:
    """Page-table entry by number + 1."""
    return &r.tables[(number - 1) // PGX_TABLE_SLOTS].pte[(number - 1) % PGX_TABLE_SLOTS]

# Points every page-table entry of a page at `new_pfn`: as a migration entry, or as a present one.
#
# The chain is walked `mapcount` times at most. -EUCLEAN, with the entries so far rewritten, when one does not name
# `old_pfn` or `new_pfn` or leads out of the tables: the caller puts them back by calling again.
cdef int rewrite(pgx_region *r, uint32_t rmap, uint32_t mapcount, uint32_t order, uint64_t old_pfn, uint64_t new_pfn,
                 bint present) noexcept nogil
