# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=False
"""A reader: looks virtual pages up and reads them while others move them, and says how long each read took.

It is what a program on other CPUs is to an exchange or a migration. It takes no lock: a page that is on its way is a
migration entry, which the reader waits for as a page fault would, and what it has read counts only if the page is still
where it was looked up. Each word that it reads is compared with what must be there.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from posix.unistd cimport usleep

from pagexchange_native.arena.locks cimport now_ns, wait_turn
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.buffers cimport INT64, UINT64, extent, items, view_of
from pagexchange_native.format cimport *
from pagexchange_native.integers import as_number
from pagexchange_native.pages.page_tables cimport pte_word

cdef enum:
    FINE = 16  # buckets of an octave: neighbours differ by 4.4 %
    OCTAVES = 48
    IDLE_US = 20  # between two looks whether it is to read

cdef enum:
    IDLE, READING, ENDED

cdef struct Seen:
    uint64_t reads
    uint64_t waits     # for a migration entry, or for a page that moved while it was read
    uint64_t missing   # no entry at all
    uint64_t wrong     # another word than must be there
    uint64_t longest   # ns


cdef inline void one_more(uint64_t *count) noexcept nogil:
    """Adds 1 to what only the reader writes and others may look at meanwhile."""
    pgx_relaxed_store64(count, count[0] + 1)


cdef inline uint32_t bucket(uint64_t ns) noexcept nogil:
    """Number of a time's bucket: its octave, and which sixteenth of that."""
    cdef uint32_t octave = 0
    cdef uint64_t high = ns
    while high > 1:
        high >>= 1
        octave += 1
    if octave >= OCTAVES:
        return OCTAVES * FINE - 1
    return octave * FINE + <uint32_t>(((ns - (1ull << octave)) * FINE) >> octave if ns else 0)


cdef uint64_t read_word(pgx_region *r, uint32_t space, uint64_t vpn, uint64_t word, const uint32_t *state,
                        Seen *seen, bint *there) noexcept nogil:
    """A word of a page, from wherever that lies; `there` is False if it has no entry, or the reader is to end."""
    cdef uint64_t pte, pfn, value
    there[0] = False
    while pgx_load32(state) != ENDED:
        pte = pte_word(r, space, vpn)
        if pte & PGX_PTE_MIGRATION:
            one_more(&seen.waits)
            pgx_pause()
            continue
        pfn = pte >> 12
        if not pte & PGX_PTE_PRESENT or pfn >= r.nframes:
            one_more(&seen.missing)
            return 0
        value = pgx_load64_in_motion(<const uint64_t *>pgx_frame_at(r, pfn) + word)
        if pte_word(r, space, vpn) == pte:
            there[0] = True
            return value
        one_more(&seen.waits)
    return 0


cdef class Reader:
    """A reader of some virtual pages, each with the word that all words of its page carry.

    Parameters
    ----------
    arena : Region
    space : int
        The address space that the pages are looked up in.
    vpns : int64[n], C-contiguous
        Virtual pages, in the order in which they are read, over and over.
    bases : uint64[n], C-contiguous
        Word w of page i is `bases[i] ^ pattern[w]`.
    pattern : uint64[page_size / 8], C-contiguous
    """

    cdef Region arena
    cdef Use use
    cdef uint32_t space
    cdef object vpns, bases, pattern, buckets
    cdef Seen seen
    cdef uint32_t state, resting

    def __cinit__(self, *args, **kwargs):
        self.state, self.resting = IDLE, 1

    def __init__(self, Region arena not None, space, vpns, bases, pattern):
        cdef Py_ssize_t i
        cdef const int64_t *vpn
        self.use = arena.use()  # the region stays open for as long as the reader lives
        self.arena = arena
        number = as_number(space, "space")
        if not 0 <= number < arena.region.nspaces:
            raise LookupError(f"space {number}: unknown; new_space() makes one")
        self.space = <uint32_t>number
        self.vpns = view_of(vpns, "vpns", INT64, 1)
        self.bases = view_of(bases, "bases", UINT64, 1)
        self.pattern = view_of(pattern, "pattern", UINT64, 1)
        if not extent(self.vpns, 0) or extent(self.vpns, 0) != extent(self.bases, 0):
            raise ValueError(f"{extent(self.vpns, 0)} virtual pages and {extent(self.bases, 0)} bases: want as many of "
                             "both, at least one")
        if extent(self.pattern, 0) * 8 != arena.region.page_size:
            raise ValueError(f"a pattern of {extent(self.pattern, 0)} words: a page has {arena.region.page_size // 8}")
        vpn = <const int64_t *>items(self.vpns)
        for i in range(extent(self.vpns, 0)):
            if not 0 <= vpn[i] < 1 << 52:
                raise ValueError(f"virtual page {vpn[i]}: want 0 to 2^52 - 1")
        self.buckets = np.zeros(OCTAVES * FINE, np.uint64)

    def run(self):
        """Read whenever it is told to, until `end`: in a thread of its own, without the GIL."""
        cdef object counts = view_of(self.buckets, "buckets", UINT64, 1, writable=True)
        cdef uint64_t *count = <uint64_t *>items(counts)
        cdef const int64_t *vpn = <const int64_t *>items(self.vpns)
        cdef const uint64_t *base = <const uint64_t *>items(self.bases)
        cdef const uint64_t *pattern = <const uint64_t *>items(self.pattern)
        cdef Py_ssize_t n = extent(self.vpns, 0)
        cdef uint64_t words = <uint64_t>extent(self.pattern, 0)
        cdef uint64_t start, took, value, word = 0
        cdef Py_ssize_t at = 0
        cdef bint there = False
        cdef pgx_region *r = self.arena.region
        cdef Seen *seen = &self.seen
        with nogil:
            while pgx_load32(&self.state) != ENDED:
                # Who pauses it stores `state` and then looks at `resting`: one of the two sees what the other stored.
                pgx_store32(&self.resting, 0)
                pgx_fence()
                if pgx_load32(&self.state) == IDLE:
                    pgx_store32(&self.resting, 1)
                    usleep(IDLE_US)
                    continue
                start = now_ns()
                value = read_word(r, self.space, <uint64_t>vpn[at], word, &self.state, seen, &there)
                took = now_ns() - start
                if there:
                    one_more(&seen.reads)
                    one_more(&count[bucket(took)])
                    if took > seen.longest:
                        pgx_relaxed_store64(&seen.longest, took)
                    if value != base[at] ^ pattern[word]:
                        one_more(&seen.wrong)
                at = at + 1 if at + 1 < n else 0
                word = (word + 8 * 37) % words  # another cache line each time

    def begin(self):
        """Let it read."""
        pgx_store32(&self.state, READING)

    def pause(self):
        """Let it rest: the read that has begun is finished when this returns, and its arrays may be written."""
        cdef uint32_t turn = 0
        pgx_store32(&self.state, IDLE)
        pgx_fence()
        with nogil:
            while not pgx_load32(&self.resting):
                wait_turn(turn)
                turn += 1

    def end(self):
        """Let `run` return."""
        pgx_store32(&self.state, ENDED)

    @property
    def counts(self):
        """uint64[buckets]: reads by how long they took; bucket b begins at `edges[b]`."""
        return self.buckets

    @property
    def facts(self):
        """reads, waits, missing, wrong, longest (ns), as a dict."""
        return {
            "reads": pgx_load64(&self.seen.reads), "waits": pgx_load64(&self.seen.waits),
            "missing": pgx_load64(&self.seen.missing), "wrong": pgx_load64(&self.seen.wrong),
            "longest": pgx_load64(&self.seen.longest),
        }


def edges():
    """float64[buckets]: the nanoseconds at which each bucket of `Reader.counts` begins."""
    octave, part = np.divmod(np.arange(OCTAVES * FINE), FINE)
    return np.ldexp(1.0 + part / FINE, octave)
