"""Why a pair was refused, in words: which of its two frames, and what to do about it."""

import errno
from typing import TYPE_CHECKING, Final

import numpy as np

from pagexchange.arena.frame import Frame
from pagexchange.model.statuses import reason

if TYPE_CHECKING:
    from pagexchange.arena.arena import Arena

_WAITING_HELPS: Final = ("is under write-back", "is locked")
_PIN: Final = (1 << 63) - 1
"""A word of the pin table without the bit that says "for long": pfn + 1."""


def why(arena: "Arena", code: int, pair: tuple[int, int], *, waited: bool) -> str:
    """Return why a pair has this errno, from what its frames look like now; what is over by now is not seen.

    `waited`: the call was one that waits for write-back, so to advise that one is no use.
    """
    if code == errno.EINVAL:
        return _invalid(arena, *pair)
    if code not in (errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT):
        return reason(code)
    seen = [(pfn, what) for pfn in pair for what in _busy(arena.frame(pfn))]
    if not seen:
        return reason(code)
    said = "; ".join(f"frame {pfn} {what}" for pfn, what in seen)
    helps = not waited and any(what in _WAITING_HELPS or "references" in what for _, what in seen)
    return f"{said}; retry, or pass mode='sync'" if helps else f"{said}; retry when that is over"


def _invalid(arena: "Arena", a: int, b: int) -> str:
    if a == b:
        return f"frame {a} with itself"
    frames = [arena.frame(pfn) for pfn in (a, b)]
    for frame in frames:
        if frame.state == "tail":
            return f"frame {frame.pfn} is a tail; the folio starts at frame {frame.head}"
    if frames[0].order != frames[1].order:
        return f"order {frames[0].order} against order {frames[1].order}"
    return "an earlier pair of the list uses one of the frames; pass order='sequential' for chains"


def _busy(frame: Frame) -> list[str]:
    """What keeps the page in a frame from being exchanged just now."""
    arena, word = frame.arena, int(frame.arena.entries["flags"][frame.pfn])
    flags = set(frame.flags)
    swapcached = arena.layout.word("swapcache", "swapbacked") if "swapcache" in arena.layout else 0
    found = []
    if _pinned(frame):
        found.append("is pinned")
    if "writeback" in flags:
        found.append("is under write-back")
    if swapcached and word & swapcached == swapcached:
        found.append("is in the swap cache")
    if "locked" in flags or arena.entries["owner"][frame.pfn]:
        found.append("is locked")
    expected = arena.expected_refs(frame.pfn)
    if frame.state == "used" and frame.refs != expected:
        found.append(f"has {frame.refs} references, {expected} at rest")
    if not found and frame.kind == "file" and "dirty" in flags:
        found.append("is dirty, and may have a mapping that cannot write it back")
    return found


def _pinned(frame: Frame) -> bool:
    """Whether a pin names any frame of the folio."""
    offset, count, size = frame.arena.geometry()["pins"]
    pins = frame.arena.memory[offset : offset + count * size].view(np.uint64) & np.uint64(_PIN)
    inside = (pins > np.uint64(frame.pfn)) & (pins <= np.uint64(frame.pfn + (1 << frame.order)))
    return bool(inside.any())
