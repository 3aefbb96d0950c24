# cython: language_level=3
# cython: freethreading_compatible=False
"""The flag policies: pure functions on flags words, the four answers of the 2019 thread."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

import numpy as np

from pagexchange_native.buffers cimport UINT64, address, extent, items, view_of
from pagexchange_native.plugin cimport PGX_ABI, NativeObject, pgx_flags_ops

# What `exchange_page_flags` (2019) reads and clears, in its order. Where two names are one bit, the order decides.
cdef tuple RFC_TAKEN = ("error", "referenced", "uptodate", "active", "unevictable", "checked", "mappedtodisk", "dirty",
                        "young", "idle")
# Moved by other functions of the proposal: swapbacked with the mapping, private with the buffers, and mlocked by the
# reverse map's code, which clears it on the last unmap and sets it when the entry comes back.
cdef tuple RFC_ELSEWHERE = ("swapbacked", "private", "mlocked")

# What `folio_migrate_flags` (2026) copies, in its order.
cdef tuple HELPER = ("referenced", "lru_refs", "uptodate", "active", "unevictable", "workingset", "checked",
                     "mappedtodisk", "dirty", "young", "idle", "last_cpupid", "swapcache", "readahead")

cdef enum:
    ACTIVE = 3       # positions in RFC_TAKEN
    UNEVICTABLE = 4


cdef uint64_t mask_of(object masks, str name) except? 0:
    mask = masks.get(name, 0)
    if not 0 <= mask < 1 << 64:
        raise ValueError(f"mask of '{name}' is {mask:#x}; it must fit into 64 bits")
    return mask


cdef class FlagPolicy(NativeObject):
    """Computes the flags words of a pair after its exchange; a subclass fills in `ops`.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_flags_ops)

    cdef str wrong_table(self):
        return self.wrong_header(self.ops.abi, self.ops.size, sizeof(pgx_flags_ops), self.ops.exchange != NULL,
                                 "exchange")

    def __call__(self, a, b):
        """Return what the frames with the words `a` and `b` are to have after the exchange of their pages.

        Parameters
        ----------
        a, b : array of uint64[n]
            Words before the exchange.

        Returns
        -------
        new_a, new_b : uint64[n]
            Words of the same frames after it.
        """
        if self.ops.exchange == NULL:
            raise TypeError(f"{type(self).__name__} has no exchange function")
        before_a = view_of(np.ascontiguousarray(a, dtype=np.uint64).reshape(-1), "a", UINT64, 1)
        before_b = view_of(np.ascontiguousarray(b, dtype=np.uint64).reshape(-1), "b", UINT64, 1)
        cdef size_t n = extent(before_a, 0)
        cdef int rc
        if extent(before_b, 0) != <Py_ssize_t>n:
            raise ValueError(f"a has {n} words and b {extent(before_b, 0)}; they must be equally long")
        new_a = np.empty(n, dtype=np.uint64)
        new_b = np.empty(n, dtype=np.uint64)
        cdef const uint64_t *word_a = <const uint64_t *>items(before_a)
        cdef const uint64_t *word_b = <const uint64_t *>items(before_b)
        cdef uint64_t *new_word_a = <uint64_t *>address(new_a)
        cdef uint64_t *new_word_b = <uint64_t *>address(new_b)
        if n:
            with nogil:
                rc = self.ops.exchange(self.ops.ctx, word_a, word_b, new_word_a, new_word_b, n)
            if rc:
                raise OSError(-rc, f"{self.name}: the policy refused the batch")
        return new_a, new_b


# ---- masked-word ----------------------------------------------------------------------------------------------------

cdef int masked(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                size_t n) noexcept nogil:
    cdef uint64_t swap = (<uint64_t *>ctx)[0]
    cdef uint64_t differ
    cdef size_t i
    for i in range(n):
        differ = (a[i] ^ b[i]) & swap
        new_a[i] = a[i] ^ differ
        new_b[i] = b[i] ^ differ
    return 0


cdef class MaskedWord(FlagPolicy):
    """Exchanges all bits of a mask at once, and no other: every bit by the policy that its layout declares.

    Parameters
    ----------
    swap : int
        The layout's mask of bits that belong to the page.
    """

    cdef uint64_t swap

    def __init__(self, uint64_t swap):
        self.swap = swap
        self.name = "masked-word"
        self.ops.ctx = &self.swap
        self.ops.exchange = masked

    cpdef dict describe(self):
        """Return the mask."""
        return {"moves": f"{bin(self.swap).count('1')} bits, mask {self.swap:#x}"}


# ---- whole-word ------------------------------------------------------------------------------------------------------

cdef int whole(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
               size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        new_a[i] = b[i]
        new_b[i] = a[i]
    return 0


cdef class WholeWord(FlagPolicy):
    """Exchanges the whole words, node and zone included: the reviewer's first idea. An arena with nodes refuses it."""

    def __init__(self):
        self.name = "whole-word"
        self.ops.exchange = whole

    cpdef dict describe(self):
        """Return what it does."""
        return {"moves": "64 bits, node and zone included"}


# ---- per-flag --------------------------------------------------------------------------------------------------------

cdef struct rfc_masks:
    uint64_t[10] taken       # read and cleared, in the order of the source
    uint64_t swapcache       # sampled after them, cleared and set at the end
    uint64_t writeback       # cleared, never set again
    uint64_t elsewhere       # moved by other steps of the exchange
    uint64_t last_cpupid


cdef inline uint64_t rfc_take(const rfc_masks *m, uint64_t *word, uint64_t *swapcache) noexcept nogil:
    """Reads and clears flag by flag; returns those that were set, as a number with one bit per name."""
    cdef uint64_t flags = 0
    cdef int i
    for i in range(10):
        if word[0] & m.taken[i]:
            flags |= 1 << i
            word[0] &= ~m.taken[i]
    swapcache[0] = word[0] & m.swapcache
    word[0] &= ~m.writeback
    return flags


cdef inline void rfc_set(const rfc_masks *m, uint64_t *word, uint64_t flags) noexcept nogil:
    cdef int i
    for i in range(10):
        if flags & (1 << i) and not (i == UNEVICTABLE and flags & (1 << ACTIVE)):
            word[0] |= m.taken[i]


cdef int rfc(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
             size_t n) noexcept nogil:
    cdef const rfc_masks *m = <const rfc_masks *>ctx
    cdef uint64_t x, y, flags_x, flags_y, swapcache_x, swapcache_y, differ
    cdef size_t i
    for i in range(n):
        differ = (a[i] ^ b[i]) & m.elsewhere  # before the flags, as in the proposal
        x = a[i] ^ differ
        y = b[i] ^ differ
        flags_x = rfc_take(m, &x, &swapcache_x)
        flags_y = rfc_take(m, &y, &swapcache_y)
        rfc_set(m, &y, flags_x)
        rfc_set(m, &x, flags_y)
        differ = (x ^ y) & m.last_cpupid
        x = (x ^ differ) & ~m.swapcache
        y = (y ^ differ) & ~m.swapcache
        new_a[i] = x | swapcache_y
        new_b[i] = y | swapcache_x
    return 0


cdef class PerFlag(FlagPolicy):
    """Exchanges a fixed list of flags one by one: `exchange_page_flags` of the 2019 RFC, with what it got wrong.

    Parameters
    ----------
    masks : dict of str to int
        Masks of a layout by name. Names that a layout lacks are skipped; names that the RFC does not know (see
        `PerFlag.names()`) are ignored, because that is what happens to a flag that is added later: it stays with
        the frame.

    Notes
    -----
    Where `checked` and `swapcache` are one bit, it is lost on both pages: `checked` is read and cleared first, so
    `swapcache` is then read as clear, and clearing `swapcache` at the end removes what `checked` had set crosswise.
    `workingset` and `reclaim` (readahead) stay behind, and what is newer: `dropbehind`, `lru_gen`, `lru_refs`. So does
    `private_2`, with which no page is exchanged. `writeback` is cleared and never set again.
    Of a page that is active and unevictable, `unevictable` is lost (Linux asserts that there is none).
    """

    cdef rfc_masks masks
    cdef tuple used

    def __init__(self, masks):
        cdef int i
        for i, name in enumerate(RFC_TAKEN):
            self.masks.taken[i] = mask_of(masks, name)
        self.masks.swapcache = mask_of(masks, "swapcache")
        self.masks.writeback = mask_of(masks, "writeback")
        self.masks.last_cpupid = mask_of(masks, "last_cpupid")
        self.masks.elsewhere = 0
        for name in RFC_ELSEWHERE:
            self.masks.elsewhere |= mask_of(masks, name)
        self.used = tuple(name for name in PerFlag.names() if masks.get(name))
        self.name = "per-flag"
        self.ops.ctx = &self.masks
        self.ops.exchange = rfc

    @staticmethod
    def names():
        """Return the names of flags that it looks up."""
        return (*RFC_TAKEN, "swapcache", "writeback", *RFC_ELSEWHERE, "last_cpupid")

    cpdef dict describe(self):
        """Return the names that this layout has."""
        return {"moves": ", ".join(self.used)}


# ---- two-pass --------------------------------------------------------------------------------------------------------

cdef struct helper_masks:
    uint64_t[14] copied      # by today's helper, in its order
    uint64_t swap            # of the layout
    uint64_t added           # of it, what the helper does not know


cdef inline uint64_t migrated(const helper_masks *m, uint64_t new, uint64_t old) noexcept nogil:
    """The word of the frame `new`, which holds no page, after the page state of `old` was migrated to it."""
    cdef int i
    for i in range(14):
        new |= old & m.copied[i]
    return new | (old & m.added)


cdef int two_pass(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                  size_t n) noexcept nogil:
    cdef const helper_masks *m = <const helper_masks *>ctx
    cdef uint64_t scratch
    cdef size_t i
    for i in range(n):
        # Between two passes the word that was left is emptied, as a page is that migration leaves behind.
        scratch = migrated(m, 0, a[i])
        new_a[i] = migrated(m, a[i] & ~m.swap, b[i])
        new_b[i] = migrated(m, b[i] & ~m.swap, scratch)
    return 0


cdef class TwoPass(FlagPolicy):
    """Calls today's state-migration helper (`folio_migrate_flags`) through a scratch word: the author's idea.

    Parameters
    ----------
    masks : dict of str to int
        Masks of a layout by name; names that it lacks are skipped (see `TwoPass.names()`).
    swap : int
        The layout's mask of bits that belong to the page.

    Notes
    -----
    The helper alone does not move `swapbacked`, `private`, `mlocked`, `dropbehind`, `lru_gen` and, in older layouts,
    `error`: migration moves some of them in other steps, forgets one (`dropbehind`), and computes one anew when the
    page is put back (`lru_gen`). So that nothing is lost the helper is extended here with whatever of `swap` it does not cover (`added`).
    Of a page that is active and unevictable, which Linux asserts never to exist, it moves both.
    """

    cdef helper_masks masks
    cdef tuple used

    def __init__(self, masks, uint64_t swap):
        cdef int i
        cdef uint64_t covered = 0
        for i, name in enumerate(HELPER):
            self.masks.copied[i] = mask_of(masks, name) & swap
            covered |= self.masks.copied[i]
        self.masks.swap = swap
        self.masks.added = swap & ~covered
        self.used = tuple(name for name in HELPER if masks.get(name))
        self.name = "two-pass"
        self.ops.ctx = &self.masks
        self.ops.exchange = two_pass

    @staticmethod
    def names():
        """Return the names of flags that the helper copies."""
        return HELPER

    @property
    def added(self):
        """The bits of `swap` that the helper does not cover, and that are moved all the same."""
        return self.masks.added

    cpdef dict describe(self):
        """Return what the helper moves in this layout, and what was added."""
        return {"moves": ", ".join(self.used), "added": f"mask {self.masks.added:#x}"}
