# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""Bare loops over many pairs, timed without Python in between: what the strategies are compared with."""

import os

from libc.errno cimport errno as c_errno
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.stdlib cimport posix_memalign
from posix.time cimport CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from pagexchange_native.arena.mapping cimport MAP_FAILED
from pagexchange_native.arena.undo cimport Undo, put64, undo_commit
from pagexchange_native.buffers cimport INT64, UINT64, UINT8, extent, items, view_of
from pagexchange_native.movers.mover cimport isa_of
from pagexchange_native.movers.moves cimport (
    PGX_SHARE,
    pgx_ahead,
    pgx_auto_swap,
    pgx_copy_page,
    pgx_isa,
    pgx_pairs_ahead,
    pgx_rfc_swap,
    pgx_temp_exchange,
    pgx_unless_neighbour,
)
from pagexchange_native.plugin cimport pgx_log
from pagexchange_native.format cimport (
    PGX_CHUNK,
    PGX_DATA,
    PGX_MAX_ORDER,
    PGX_PAGE_MIN,
    PGX_SAVED,
    pgx_region,
    pgx_saved,
    pgx_store64,
)

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/mman.h>
    #ifndef MREMAP_DONTUNMAP
    #define MREMAP_DONTUNMAP 4  /* Linux 5.7; the C library's headers may be older */
    #endif
    """
    void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...) nogil
    enum:
        MREMAP_MAYMOVE
        MREMAP_FIXED
        MREMAP_DONTUNMAP

LOOPS = {
    "rfc": "8 bytes at a time, not vectorised: the loop of the 2019 RFC",
    "auto": "the same loop as the compiler vectorises it for the baseline",
    "copy3": "a temporary page and three memcpy",
    "copy3-log": "the same, each step published",
    "bare": "in place with the registers of an instruction set, no log",
    "bare-two": "the same, two pairs at once, chunk by chunk in turn: with prefetch the fastest one known from DRAM",
    "undo": "in place as `bare`, under the undo log",
    "read": "reads both folios: a limit, with and without prefetch",
    "memcpy": "copies as many bytes as an exchange moves, one way: a limit",
    "memcpy-one": "one memcpy from the second folio to the first, half of the bytes: a limit of folios of 2 MiB",
    "none": "only fetches the pair's numbers: the loop around the others",
}

cdef enum:
    RFC, AUTO, COPY3, COPY3_LOG, BARE, BARE_TWO, UNDO, READ, MEMCPY, MEMCPY_ONE, NONE

_NUMBERS = {"rfc": RFC, "auto": AUTO, "copy3": COPY3, "copy3-log": COPY3_LOG, "bare": BARE, "bare-two": BARE_TWO,
            "undo": UNDO, "read": READ, "memcpy": MEMCPY, "memcpy-one": MEMCPY_ONE, "none": NONE}
USES_ISA = ("bare", "bare-two", "undo", "read")

cdef struct Pairs:
    uint8_t *frames
    uint64_t frame_size
    const int64_t *numbers
    size_t n
    uint64_t size  # of a folio, bytes


cdef inline int64_t now(int clock) noexcept nogil:
    cdef timespec t
    clock_gettime(clock, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef inline pgx_ahead at(const Pairs *p, size_t i) noexcept nogil:
    """Where pair i lies; NULL behind the last one."""
    cdef pgx_ahead where
    where.a = NULL
    where.b = NULL
    if i < p.n:
        where.a = p.frames + <uint64_t>p.numbers[2 * i] * p.frame_size
        where.b = p.frames + <uint64_t>p.numbers[2 * i + 1] * p.frame_size
    return where


cdef void run_two(const pgx_isa *isa, bint prefetch, const Pairs *p) noexcept nogil:
    """Pairs 2k and 2k + 1 at once; a last one alone."""
    cdef pgx_ahead[2] here, ahead
    cdef uint8_t *a[2]
    cdef uint8_t *b[2]
    cdef size_t i, k
    for i in range(0, p.n, 2):
        for k in range(2):
            here[k] = at(p, i + k)
            ahead[k] = pgx_unless_neighbour(at(p, i + 2 + k), at(p, i + 1 + k), p.size)
            a[k] = <uint8_t *>here[k].a
            b[k] = <uint8_t *>here[k].b
        if a[1] == NULL:
            isa.bare(a[0], b[0], p.size, NULL)
        else:
            isa.two(a, b, p.size, ahead if prefetch else NULL)


cdef uint64_t run_loop(int loop, const pgx_isa *isa, bint prefetch, const Pairs *p, uint8_t *temp,
                       const pgx_log *log) noexcept nogil:
    cdef uint64_t sum = 0
    cdef uint64_t size = p.size
    cdef pgx_ahead here, ahead, other
    cdef pgx_ahead *next_pair = &ahead if prefetch else NULL
    cdef size_t i
    cdef size_t further = pgx_pairs_ahead(size)
    cdef uint8_t *a
    cdef uint8_t *b
    if loop == BARE_TWO:
        run_two(isa, prefetch, p)
        return 0
    for i in range(p.n):
        here = at(p, i)
        ahead = pgx_unless_neighbour(at(p, i + further), at(p, i + further - 1), size)
        a = <uint8_t *>here.a
        b = <uint8_t *>here.b
        if loop == RFC:
            pgx_rfc_swap(a, b, size)
        elif loop == AUTO:
            pgx_auto_swap(a, b, size)
        elif loop == COPY3:
            pgx_copy_page(temp, a, size)
            pgx_copy_page(a, b, size)
            pgx_copy_page(b, temp, size)
        elif loop == COPY3_LOG:
            pgx_temp_exchange(a, b, temp, size, 0, log, <uint32_t>i & 0x7f)
        elif loop == BARE:
            isa.bare(a, b, size, next_pair)
        elif loop == UNDO:
            isa.undo(a, b, size, 0, log, <uint32_t>i & 0x7f, next_pair)
        elif loop == READ:
            sum ^= isa.read(a, b, size, next_pair)
        elif loop == MEMCPY:
            other = at(p, (i + p.n // 2) % p.n)  # far away in the list, so not in the cache when the list is not
            pgx_copy_page(a, other.a, size)
            pgx_copy_page(b, other.b, size)
        elif loop == MEMCPY_ONE:
            pgx_copy_page(a, b, size)
        else:
            sum ^= <uint64_t>a ^ <uint64_t>b
    return sum


def time_loop(str loop, frames, object pairs not None, *, str isa="auto", bint prefetch=False, order=0):
    """Run one loop over all pairs and return the nanoseconds that it took.

    Parameters
    ----------
    loop : str
        A name of `LOOPS`. "memcpy" and "memcpy-one" overwrite contents; all others exchange them or leave them.
    frames : uint64[n, page_size / 8] or uint8[n, page_size], C-contiguous, writable
        As `Region.frames`, or any buffer.
    pairs : int64[m, 2], C-contiguous
        Numbers of frames. "bare-two" works on pairs 2k and 2k + 1 at once: they must have no frame in common.
    isa : str
        For the loops in `USES_ISA`.
    prefetch : bool
        For the same: fetch as `ListExchange` does. Without it no loop has a prefetch of its own.
    order : int
        A pair's folios have 2^order frames.

    Returns
    -------
    cpu_ns, wall_ns : int
        CLOCK_THREAD_CPUTIME_ID and CLOCK_MONOTONIC of the calling thread.
    """
    cdef int number
    if loop not in _NUMBERS:
        raise ValueError(f"loop '{loop}': unknown; use one of {', '.join(_NUMBERS)}")
    number = _NUMBERS[loop]
    if not 0 <= order <= PGX_MAX_ORDER:
        raise ValueError(f"order {order}: want 0 to {PGX_MAX_ORDER}")
    cdef const pgx_isa *isa_loops = isa_of(isa)
    memory = view_of(frames.view("u1"), "frames", UINT8, 2, writable=True)
    table = view_of(pairs, "pairs", INT64, 2)
    cdef const int64_t *pair = <const int64_t *>items(table)
    cdef size_t n = extent(table, 0), i
    cdef uint64_t frame_size = extent(memory, 1)
    cdef uint64_t size = frame_size << <int>order
    cdef Pairs listed = Pairs(<uint8_t *>items(memory), frame_size, pair, n, size)
    cdef int64_t last = extent(memory, 0) - (1 << <int>order)
    cdef int64_t cpu, wall
    cdef uint64_t sum
    cdef void *scratch = NULL
    cdef pgx_log log
    if extent(table, 1) != 2:
        raise ValueError(f"pairs has {extent(table, 1)} columns; it must have 2")
    if size % PGX_SHARE or size < PGX_PAGE_MIN:
        raise ValueError(f"a folio of {size} bytes: it must be a multiple of {PGX_SHARE}, at least {PGX_PAGE_MIN}")
    for i in range(n):
        if not (0 <= pair[2 * i] <= last and 0 <= pair[2 * i + 1] <= last):
            raise IndexError(f"pair {i} ({pair[2 * i]}, {pair[2 * i + 1]}): "
                             f"frames go from 0 to {last} at order {order}")
    if n == 0:
        return 0, 0
    # The temporary page, then the log's two chunks, then the state word.
    if posix_memalign(&scratch, 4096, size + 4096):
        raise MemoryError("the temporary page of a bare loop")
    memset(scratch, 0, size + 4096)
    log.chunk = <uint8_t *>scratch + size
    log.state = <uint64_t *>(<uint8_t *>scratch + size + 2 * PGX_CHUNK)
    log.phase = PGX_DATA
    log.slot = 0
    log.region = NULL
    with nogil:
        wall = now(CLOCK_MONOTONIC)
        cpu = now(CLOCK_THREAD_CPUTIME_ID)
        sum = run_loop(number, isa_loops, prefetch, &listed, <uint8_t *>scratch, &log)
        cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu
        wall = now(CLOCK_MONOTONIC) - wall
    # The sum is used, so that no reading loop can be optimised away.
    (<uint64_t *>scratch)[0] = sum
    free(scratch)
    return cpu, wall


cdef struct RecordScratch:
    uint64_t count
    pgx_saved saved[PGX_SAVED]
    uint64_t words[PGX_SAVED]


def time_record(int words, int operations, *, bint save):
    """Time operations that store to some words each: what an undo record costs is the difference of `save`.

    Parameters
    ----------
    words : int
        Words of one operation, 0 to 256: the call's own, in cache.
    operations : int
    save : bool
        Save each word before the store, and commit after the last.

    Returns
    -------
    cpu_ns : int
        CLOCK_THREAD_CPUTIME_ID of the calling thread.
    """
    cdef pgx_region region
    cdef RecordScratch *s
    cdef Undo undo
    cdef int64_t cpu
    cdef int i, j
    if not 0 <= words <= PGX_SAVED or operations < 0:
        raise ValueError(f"{operations} operations of {words} words: want 0 or more, and 0 to {PGX_SAVED}")
    s = <RecordScratch *>calloc(1, sizeof(RecordScratch))
    if not s:
        raise MemoryError("the words of a timed record")
    region.base = <uint8_t *>s
    undo = Undo(&region, &s.count, &s.saved[0], PGX_SAVED, 0)
    with nogil:
        cpu = now(CLOCK_THREAD_CPUTIME_ID)
        if save:
            for i in range(operations):
                for j in range(words):
                    put64(&undo, &s.words[j], <uint64_t>i)
                undo_commit(&undo)
        else:
            for i in range(operations):
                for j in range(words):
                    pgx_store64(&s.words[j], <uint64_t>i)
        cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu
    free(s)
    return cpu


def time_remap(object pairs, uint64_t size, uint64_t through):
    """Let two pages of each pair trade their addresses, by three calls of mremap each, and time it.

    Parameters
    ----------
    pairs : uint64[n, 2]
        Addresses of private anonymous memory of this process.
    size : int
        Bytes at each address: multiples of the page size.
    through : int
        Where as many bytes are mapped that nobody needs.

    Returns
    -------
    cpu_ns, wall_ns : int
        CLOCK_THREAD_CPUTIME_ID and CLOCK_MONOTONIC of the calling thread.

    Raises
    ------
    OSError
        Linux refused a call. Pairs before that one were exchanged; of that one, pages may lie at `through`.
    """
    cdef object view = view_of(pairs, "pairs", UINT64, 2)
    cdef const uint64_t *pair = <const uint64_t *>items(view)
    cdef int64_t i = 0, n = extent(view, 0), cpu, wall
    cdef int code = 0
    if extent(view, 1) != 2:
        raise ValueError(f"pairs: want uint64[n, 2], got {extent(view, 1)} columns")
    with nogil:
        wall = now(CLOCK_MONOTONIC)
        cpu = now(CLOCK_THREAD_CPUTIME_ID)
        for i in range(n):
            code = remap(pair[2 * i], through, size) or remap(pair[2 * i + 1], pair[2 * i], size) \
                or remap(through, pair[2 * i + 1], size)
            if code:
                break
        cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu
        wall = now(CLOCK_MONOTONIC) - wall
    if code:
        raise OSError(code, f"mremap, pair {i}: {os.strerror(code)}")
    return cpu, wall


cdef inline int remap(uint64_t old, uint64_t new, uint64_t size) noexcept nogil:
    """Moves a range's pages to where another range is mapped; 0, or an errno."""
    # The range that is left stays mapped, without pages: else another thread could get the hole, and lose it again.
    if mremap(<void *>old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, <void *>new) == MAP_FAILED:
        return c_errno
    return 0
