"""Why a page cannot be placed in a mapping or a space, or be taken out of it, in words."""

import errno
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange_native.arena.region import MAX_ORDER, STATES
from pagexchange_native.errors import ArenaBusyError, ArenaError, ArenaFullError

_FREE, _TAIL, _RESERVED = (STATES[name] for name in ("free", "tail", "reserved"))


@dataclass(frozen=True, slots=True)
class Places:
    """The words for where pages go: positions of a mapping, or virtual pages of a space."""

    kind: str
    """`mapping` or `space`."""
    place: str
    plural: str
    bits: int
    """Places lie below 2 to this power."""
    lacking: str
    """What there is too little of, when it is, and what of an arena's options gives more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The first page of a call that cannot be placed, and what was seen of it while nobody could change it.

    The fields from `code` to `holder` are those of the loop's `Refusal`.
    """

    pfn: object
    """As the caller gave it, and where it was to go."""
    at: object
    k: int
    """Its number in the lists, which are long `n`."""
    n: int
    code: int
    state: int
    order: int
    head: int
    mapping: int
    index: int
    taken: int
    holder: int
    owner: str
    """Who had the page, or the tree, in words."""


def not_placed(
    places: Places, number: int, page: Refused, before: NDArray[np.int64], stay: NDArray[np.int64], nframes: int
) -> Exception:
    """Return the error for a page that cannot be placed; `before`: the frames that the same call placed before it.

    Those of them whose numbers are in `stay` could not be taken back. ValueError is for what no repetition makes right,
    ArenaError for what may be otherwise later.
    """
    error = _not_placed(places, number, page, before, nframes)
    if len(stay) == 0:
        return error
    few = ", ".join(str(k) for k in stay[:8]) + (", ..." if len(stay) > 8 else "")
    *rest, words = error.args
    return type(error)(*rest, f"{words}; {len(stay)} before it could not be taken back and stay: elements {few}")


def _not_placed(places: Places, number: int, page: Refused, before: NDArray[np.int64], nframes: int) -> Exception:
    which = f"frame {page.pfn} at {places.place} {page.at}" + (f" (element {page.k})" if page.n > 1 else "")
    code = page.code
    if code == errno.ENOMEM:
        return ArenaFullError(code, f"{which}: {places.lacking}")
    if code == errno.ESTALE:
        return LookupError(f"{places.kind} {number}: removed while pages were placed in it")
    if code == errno.EUCLEAN:
        return ArenaError(f"{which}: a tree or a free list is damaged; check() the arena")
    if code == errno.EAGAIN:
        return ArenaBusyError(code, f"{which}: {page.owner} has the page; try again")
    if code == errno.ETIMEDOUT:
        return ArenaBusyError(errno.EAGAIN, f"{which}: {page.owner} has the {places.kind}; try again")
    if code == errno.EBUSY:
        return ArenaError(f"{which}: the page is locked; try again")
    if code == errno.EADDRINUSE:
        by = _earlier(before, page.holder)
        return ArenaError(f"{which}: {places.place} {page.taken} is taken by frame {page.holder}{by}")
    return ValueError(f"{which}: {_wrong(places, page, before, nframes)}")


def _wrong(places: Places, page: Refused, before: NDArray[np.int64], nframes: int) -> str:
    size = 1 << min(page.order, MAX_ORDER)
    words: Final = {
        errno.EFAULT: f"there is no such frame; the arena has frames 0 to {nframes - 1}",
        errno.ERANGE: f"want 0 to 2^{places.bits} - 1",
        errno.ENOENT: no_page(page.state, page.head),
        errno.EINVAL: f"a folio of {size} frames goes to a multiple of {size}",
        errno.EXDEV: f"the anonymous page is mapped at virtual page {page.index} already, and has the same one in every"
        " space",
        errno.EEXIST: f"the page is {identity(page.mapping, page.index)} already"
        + _earlier(before, int(page.pfn) if isinstance(page.pfn, int | np.integer) else -1),
    }
    return words[page.code]


def _earlier(before: NDArray[np.int64], pfn: int) -> str:
    """Say that it is the same call that put a frame's page there."""
    at = np.flatnonzero(before == pfn)
    return f", by element {at[-1]} of the same call" if len(at) else ""


def no_page(state: int, head: int) -> str:
    """Say what a frame is where no page in use starts."""
    if state == _FREE:
        return "the frame is free; alloc() gives frames in use"
    if state == _TAIL:
        return f"the frame is a tail; its folio starts at frame {head - 1}"
    if state == _RESERVED:
        return "the frame is reserved, and holds no page"
    return "the frame is offline, or its entry is damaged"


def identity(mapping: int, index: int) -> str:
    """Say where a page is by the two words of its entry."""
    if mapping == 0:
        return "mapped by page tables"
    number = (mapping >> 2) - 1
    return f"anonymous, at virtual page {index}" if mapping & 1 else f"in mapping {number}, at index {index}"


_NOT_TAKEN: Final = {
    errno.EFAULT: "points outside the arena; check() it",
    errno.EBUSY: "the page is locked; try again",
    errno.ENOTEMPTY: "page tables map the page; unmap it first",
    errno.EINVAL: "not the first page of a folio",
}


def not_taken(where: str, code: int, pinned: str, owner: str) -> Exception:
    """Return the error for a page that cannot be taken out of a mapping or a space; `pinned` is said for ETXTBSY.

    `owner`: in words, who had the tree when the code is ETIMEDOUT.
    """
    if code == errno.ETIMEDOUT:
        return ArenaBusyError(errno.EAGAIN, f"{where}: {owner} did not let the tree go; try again")
    if code == errno.EAGAIN:
        return ArenaBusyError(code, f"{where}: an exchange or another call has the page, or moved it; try again")
    kind = ValueError if code == errno.EINVAL else ArenaError
    return kind(f"{where}: {_NOT_TAKEN.get(code, pinned)}")


def not_removed(kind: str, number: int, code: int, n: int, owner: str) -> Exception:
    """Return the error for a mapping or a space that cannot be given up; `n` counts what is in the way.

    `owner`: in words, who had the tree when the code is ETIMEDOUT.
    """
    if code == errno.ETIMEDOUT:
        return ArenaBusyError(errno.EAGAIN, f"{kind} {number}: {owner} did not let the tree go; try again")
    words: Final = {
        errno.ENOTEMPTY: f"it has {n} pages; cache_remove() or unmap() them first",
        errno.EEXIST: "an XArray has stored entries in it; destroy() that first",
        errno.EMLINK: f"{n} anonymous pages that it mapped first live on in other spaces, and carry its number",
        errno.ESTALE: "removed meanwhile",
    }
    if code == errno.ESTALE:
        return LookupError(f"{kind} {number}: {words[code]}")
    return ArenaError(f"{kind} {number}: {words[code]}")
