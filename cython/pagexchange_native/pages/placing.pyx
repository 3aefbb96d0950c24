# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=False
"""Lists of places in a mapping or a space: pages are put there, all or nothing, and looked up there."""

import numpy as np

from pagexchange_native.arena.owners import who
from pagexchange_native.errors import ArenaBusyError
from pagexchange_native.integers import as_places, as_pfns, given, is_integer, listed
from pagexchange_native.pages.refusals import Refused, not_placed

from libc.errno cimport EAGAIN, EBUSY, ENOENT, ETIMEDOUT
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.locks cimport now_ns, wait_until
from pagexchange_native.arena.region cimport Region
from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport *

cdef enum:
    PATIENCE = 5_000_000_000  # ns that a call waits for pages that it has to take back


cdef bint _taken_back(const Target *t, uint64_t at, uint32_t was, uint64_t until, take_back_fn take_back) noexcept nogil:
    """Takes a page out again, and leaves it as it was. False: it stays, as others have it, or use it by now."""
    cdef uint32_t turn = 0
    cdef int rc
    while True:
        rc = take_back(t, at, was, until)
        if rc != -EBUSY and rc != -EAGAIN and rc != -ETIMEDOUT:
            return rc == 0 or rc == -ENOENT  # a call of another thread has taken it out
        if not wait_until(&turn, until):
            return False


cdef int64_t _place_all(const Target *t, const int64_t *at, const int64_t *pfn, int64_t n, uint32_t *was, Refusal *why,
                        place_fn place, take_back_fn take_back) noexcept nogil:
    """Places n pages: n. Or the number of the first that cannot be placed, and *why: those before it are taken back.

    One after another, each in a commit of its own: who dies in between leaves those placed that were.
    """
    cdef int64_t i, k
    cdef uint64_t until
    for i in range(n):
        why.code = -place(t, <uint64_t>at[i], <uint64_t>pfn[i], &was[i], why)
        if why.code != 0:
            until = now_ns() + PATIENCE
            for k in range(i - 1, -1, -1):
                if not _taken_back(t, <uint64_t>at[k], was[k], until, take_back):
                    was[k] |= STAYS
            return i
    return n


cdef int place_pages(Region arena, const Target *target, object places, object at, object pfns, place_fn place,
                     take_back_fn take_back) except -1:
    """Puts pages in places, all or nothing, or raises what `not_placed` makes of the first that cannot be put there.

    Those that others keep locked while they should be taken back stay: the error names them. The caller keeps the arena
    open.
    """
    cdef Refusal why
    cdef int64_t n, bad
    at, pfns = listed(at), listed(pfns)
    wanted, frames = as_places(at, pfns, places.plural)
    before = np.empty(len(wanted), dtype=np.uint32)
    cdef const int64_t *where = <const int64_t *>address(wanted)
    cdef const int64_t *pfn = <const int64_t *>address(frames)
    cdef uint32_t *was = <uint32_t *>address(before)
    n = len(wanted)
    memset(&why, 0, sizeof(why))
    with nogil:
        bad = _place_all(target, where, pfn, n, was, &why, place, take_back)
    if bad < n:
        page = Refused(
            pfn=given(pfns, bad), at=given(at, bad), k=bad, n=n, code=why.code, state=why.state, order=why.order,
            head=why.head, mapping=why.mapping, index=why.index, taken=why.taken, holder=why.holder,
            owner=who(why.owner.slot, why.owner.phase, target.r.workers),
        )
        stay = np.flatnonzero(before[:bad] & STAYS)
        raise not_placed(places, target.number, page, frames[:bad], stay, target.r.nframes)
    return 0


cdef object look_up(Region arena, uint32_t number, object places, object at, look_fn look):
    """Frames at places as int64 of the same shape, -1 for none; of one integer an int.

    Raises ValueError for a place that there is not, ArenaBusyError for a page that an exchange has. The caller keeps the
    arena open.
    """
    cdef int64_t i, n
    cdef int64_t found = -1
    cdef uint64_t one
    if is_integer(at):
        if not 0 <= at < 1 << places.bits:
            raise ValueError(f"{places.place} {at}: want 0 to 2^{places.bits} - 1")
        one = at
        found = look(arena.region, number, one)
        if found < -1:
            raise ArenaBusyError(EAGAIN, f"{places.place} {at}: an exchange has it; try again")
        return found
    at = listed(at)
    wanted = as_pfns(at, places.place)
    wrong = np.flatnonzero((wanted < 0) | (wanted >= 1 << places.bits))
    if len(wrong):
        raise ValueError(
            f"{places.place} {given(at, wrong[0])} (element {wrong[0]}): want 0 to 2^{places.bits} - 1"
        )
    out = np.empty(len(wanted), dtype=np.int64)
    cdef const int64_t *where = <const int64_t *>address(wanted)
    cdef int64_t *frame = <int64_t *>address(out)
    n = len(wanted)
    with nogil:
        for i in range(n):
            found = look(arena.region, number, <uint64_t>where[i])
            if found < -1:
                break
            frame[i] = found
    if n and found < -1:
        raise ArenaBusyError(EAGAIN, f"{places.place} {given(at, i)} (element {i}): an exchange has it; try again")
    shape = np.shape(at)
    return out.reshape(shape) if shape else int(out[0])
