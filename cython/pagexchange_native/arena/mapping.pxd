# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""An arena's file in memory: mapped where huge pages fit, and made of them a block of 2 MiB at a time."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint64_t
from posix.unistd cimport _SC_PAGESIZE, sysconf

cdef extern from "<fcntl.h>" nogil:
    int fallocate(int fd, int mode, long offset, long size)

cdef extern from "<sys/mman.h>" nogil:
    """
    #ifndef MADV_COLLAPSE
    #define MADV_COLLAPSE 25  /* Linux 6.1; the C library's headers may be older */
    #endif
    """
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int madvise(void *addr, size_t length, int advice)
    enum:
        PROT_NONE
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MAP_PRIVATE
        MAP_ANONYMOUS
        MAP_NORESERVE
        MAP_FIXED
        MADV_COLLAPSE
        MADV_DONTFORK
        MADV_HUGEPAGE
    void *MAP_FAILED

cdef enum:
    BLOCK = 2 << 20  # bytes of a huge page
    TRIES = 3
    GIVE_UP = 8  # blocks in a row that did not become a huge page: the next would not, either, and a try may take long


cdef inline void *map_at_border(int fd, uint64_t total) noexcept nogil:
    """Maps a file, shared, at an address that is a multiple of BLOCK. MAP_FAILED: errno says why.

    A huge page needs an address and an offset in the file that are congruent, which mmap promises of base pages only.
    """
    cdef uint64_t page = <uint64_t>sysconf(_SC_PAGESIZE)
    cdef uint64_t size = (total + page - 1) & ~(page - 1)
    cdef uint64_t lead
    cdef uint8_t *room
    cdef void *base
    cdef int code
    room = <uint8_t *>mmap(NULL, size + BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if room == MAP_FAILED:
        return MAP_FAILED
    lead = -<uint64_t>room & (BLOCK - 1)
    base = mmap(room + lead, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
    if base == MAP_FAILED:
        code = errno
        munmap(room, size + BLOCK)
        (&errno)[0] = code
        return MAP_FAILED
    if lead:
        munmap(room, lead)
    munmap(room + lead + size, BLOCK - lead)
    return base


cdef inline bint can_collapse() noexcept nogil:
    """Whether this Linux makes huge pages on demand: of no byte at all it refuses only an advice that it does not know."""
    return madvise(NULL, 0, MADV_COLLAPSE) == 0


cdef inline int collapse_block(int fd, uint8_t *base, uint64_t offset) noexcept nogil:
    """Makes a huge page of the block at an offset of the file, which lies at `base + offset`. 0, or an errno.

    What is in its pages stays; holes are filled with zeros, so that it takes 2 MiB whatever was there.
    """
    cdef int tries, code = 0
    # A block without any page is refused with EINVAL.
    while fallocate(fd, 0, <long>offset, 1) != 0:
        if errno != EINTR:
            return errno
    for tries in range(TRIES):
        if madvise(base + offset, BLOCK, MADV_COLLAPSE) == 0:
            return 0
        code = errno
        if code != EAGAIN:  # a page of it was locked, or on its way to one of Linux's lists
            break
    return code
