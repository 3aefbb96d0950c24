"""Why a pair was refused, in words: which of its two frames, and what to do about it."""

import errno
from typing import Final

import numpy as np

from pagexchange.arena.frame import Frame, LaidOutRegion
from pagexchange.model.statuses import reason

_WAITING_HELPS: Final = ("is under write-back", "is locked")
_PIN: Final = (1 << 63) - 1
"""A word of the pin table without the bit that says "for long": pfn + 1."""


def why(
    arena: LaidOutRegion | None, code: int, pair: tuple[int, int], *, waited: bool, touched: tuple[str, ...] = ()
) -> str:
    """Return why a pair has this errno, from what its frames look like now; what is over by now is not seen.

    `arena`: None, closed, or of the parent process, it cannot be looked at: then what the errno means in general.
    `waited`: the call was one that waits for write-back, so to advise that one is no use.
    `touched`: what the flag policy would have moved and may not, by name.
    """
    if code == errno.EBADMSG and touched:
        return f"the flag policy touched {', '.join(touched)}, which the layout says stays with the frame"
    if arena is None or arena.closed or arena.forked:
        return reason(code)
    if code == errno.EINVAL:
        return _invalid(arena, *pair)
    if code not in (errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT):
        return reason(code)
    obstacles = [(pfn, obstacle) for pfn in pair for obstacle in _obstacles(Frame(arena, pfn))]
    if not obstacles:
        return reason(code)
    sentence = "; ".join(f"frame {pfn} {obstacle}" for pfn, obstacle in obstacles)
    helps = not waited and any(text in _WAITING_HELPS or "references" in text for _, text in obstacles)
    return f"{sentence}; retry, or pass mode='sync'" if helps else f"{sentence}; retry when that is over"


def touched_names(arena: LaidOutRegion, mask: int) -> tuple[str, ...]:
    """Return the names of the flags and upper fields that have a bit in the mask."""
    layout = arena.layout
    names = [flag.name for flag in layout.flags if flag.mask & mask]
    names += [part.name for part in layout.fields if part.mask & mask]
    return tuple(names) or (f"unnamed bits {mask:#x}",)


def _invalid(arena: LaidOutRegion, a: int, b: int) -> str:
    # Tails are looked for before orders are compared: a tail has no order of its own.
    if a == b:
        return f"frame {a} with itself"
    frames = [Frame(arena, pfn) for pfn in (a, b)]
    for frame in frames:
        if frame.state == "tail":
            return f"frame {frame.pfn} is a tail; the folio starts at frame {frame.head}"
    if frames[0].order != frames[1].order:
        return f"order {frames[0].order} against order {frames[1].order}"
    return "an earlier pair of the list uses one of the frames; pass order='sequential' for chains"


def _obstacles(frame: Frame) -> list[str]:
    """What keeps the page in a frame from being exchanged just now."""
    arena, word = frame.arena, int(frame.arena.entries["flags"][frame.pfn])
    flags = set(frame.flags)
    # Linux gives the bit of `swapcache` another meaning on pages that are not swap-backed: both must be set.
    swapcached = arena.layout.word("swapcache", "swapbacked") if "swapcache" in arena.layout else 0
    obstacles = []
    if _pinned(frame):
        obstacles.append("is pinned")
    if "writeback" in flags:
        obstacles.append("is under write-back")
    if swapcached and word & swapcached == swapcached:
        obstacles.append("is in the swap cache")
    if "locked" in flags or arena.entries["owner"][frame.pfn]:
        obstacles.append("is locked")
    expected = arena.expected_refs(frame.pfn)
    if frame.state == "used" and frame.refs != expected:
        obstacles.append(f"has {frame.refs} references, {expected} at rest")
    # A guess, so only where nothing else explains it: a mapping's operations are not looked at here.
    if not obstacles and frame.kind == "file" and "dirty" in flags:
        obstacles.append("is dirty, and may have a mapping that cannot write it back")
    return obstacles


def _pinned(frame: Frame) -> bool:
    """Whether a pin names any frame of the folio."""
    offset, count, size = frame.arena.geometry()["pins"]
    pins = frame.arena.memory[offset : offset + count * size].view(np.uint64) & np.uint64(_PIN)
    # A pin holds pfn + 1, so the frames pfn to pfn + 2^order - 1 are the words pfn + 1 to pfn + 2^order; 0 is no pin.
    inside = (pins > np.uint64(frame.pfn)) & (pins <= np.uint64(frame.pfn + (1 << frame.order)))
    return bool(inside.any())
