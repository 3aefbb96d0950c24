"""Why a pair was refused, in words: which of its two frames, and what to do about it, if anything can be done."""

import errno
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np

from pagexchange.arena.frame import Frame, LaidOutRegion
from pagexchange.model.layout import Flag
from pagexchange.model.statuses import EHWPOISON, reason

Cure = Literal["wait", "retry", "none"]
"""What helps: a mode that waits; to try again when it is over; nothing that the caller of an exchange does."""

_LONG: Final = 1 << 63
"""In a word of the pin table: by `pin`, for long; otherwise a reference by `get`. The low 32 bits are pfn + 1,"""
_TIMES: Final = (1 << 31) - 1
"""and these bits, above them, say how often."""


class _Obstacle(NamedTuple):
    """What stands in the way of a page."""

    says: str
    cure: Cure


def why(
    arena: LaidOutRegion | None, code: int, pfns: tuple[int, ...], *, waited: bool, touched: tuple[str, ...] = ()
) -> str:
    """Return why a pair has this errno, from what its frames look like now; what is over by now is not seen.

    Of a migration there is one frame, the page's.

    `arena`: None, closed, or of the parent process, it cannot be looked at: then what the errno means in general.
    `waited`: the call was one that waits for write-back, so to advise that one is no use.
    `touched`: what the flag policy would have moved and may not, by name.
    """
    if code == errno.EBADMSG and touched:
        return f"the flag policy touched {', '.join(touched)}, which the layout says stays with the frame"
    if arena is None or arena.closed or arena.forked:
        return reason(code)
    if code == errno.EINVAL:
        return _invalid(arena, *pfns) if len(pfns) == 2 else _named_again(arena, *pfns)
    if code in (EHWPOISON, errno.EOPNOTSUPP):
        look = _broken if code == EHWPOISON else _unmovable
        found = [says for pfn in pfns for says in look(Frame(arena, pfn))]
        return "; ".join(found) or reason(code)
    if code not in (errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT):
        return reason(code)
    obstacles = [(pfn, obstacle) for pfn in pfns for obstacle in _obstacles(Frame(arena, pfn))]
    if not obstacles:
        return reason(code)
    sentence = "; ".join(f"frame {pfn} {obstacle.says}" for pfn, obstacle in obstacles)
    cures = {obstacle.cure for _, obstacle in obstacles}
    if "none" in cures:  # a retry would meet it again
        return sentence
    helps = not waited and "wait" in cures
    return f"{sentence}; retry, or pass mode='sync'" if helps else f"{sentence}; retry when that is over"


def stands_in_the_way(arena: LaidOutRegion, pfn: int) -> bool:
    """Whether something can be seen of the page in a frame that keeps every strategy from exchanging it."""
    frame = Frame(arena, pfn)
    return bool(_obstacles(frame)) or any(True for look in (_broken, _unmovable) for _ in look(frame))


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


def _named_again(arena: LaidOutRegion, pfn: int) -> str:
    frame = Frame(arena, pfn)
    if frame.state == "tail":
        return f"frame {pfn} is a tail; the folio starts at frame {frame.head}"
    return f"the list names frame {pfn} before"


def _obstacles(frame: Frame) -> list[_Obstacle]:
    """What keeps the page in a frame from being exchanged just now, or for good where the status says only "busy"."""
    arena, flags, word = frame.arena, frame.flags, _word(frame)
    obstacles = []
    reserved = arena.layout.word("reserved") if "reserved" in arena.layout else 0
    if frame.state == "reserved" or any(word & reserved for _, word in _words(frame)):
        obstacles.append(_Obstacle("is reserved, and never moves", "none"))
    pins = _pins(frame)
    if any(pin & _LONG for pin in pins):
        obstacles.append(_Obstacle("is pinned", "retry"))
    written = [flag.name for flag in arena.layout.flags if flag.mask & word & arena.layout.waited_for]
    if written:
        words = "under write-back" if "writeback" in written else f"being written to a cache ({written[0]})"
        obstacles.append(_Obstacle(f"is {words}", "wait"))
    if "locked" in flags or arena.entries["owner"][frame.pfn]:
        obstacles.append(_Obstacle("is locked", "wait"))
    expected = arena.expected_refs(frame.pfn)
    refs = frame.refs + sum(pin >> 32 & _TIMES for pin in pins if not pin & _LONG)
    if frame.state == "used" and refs != expected:
        obstacles.append(_Obstacle(f"has {refs} references, {expected} at rest", "wait"))
    # A guess, so only where nothing else explains it: a mapping's operations are not looked at here.
    if not obstacles and frame.kind == "file" and "dirty" in flags:
        says = "is dirty, and may have a mapping that cannot write it back: it stays until somebody cleans it"
        obstacles.append(_Obstacle(says, "none"))
    return obstacles


def _unmovable(frame: Frame) -> Iterator[str]:
    """What will never be over by itself, as far as the flags tell."""
    layout, word = frame.arena.layout, _word(frame)
    # Linux gives the bit of `swapcache` another meaning on pages that are not swap-backed: both must be set.
    cached = layout.word("swapcache", "swapbacked") if "swapcache" in layout and "swapbacked" in layout else 0
    if cached and word & cached == cached:
        yield f"frame {frame.pfn} is in the swap cache, which an arena does not have"
    for flag in layout.flags:
        if flag.policy == "refuse" and flag.mask & word & ~layout.waited_for:
            yield f"frame {frame.pfn} has the flag {flag.name}, with which no page is moved"
    for pfn, tail in _words(frame)[1:]:
        for flag in layout.flags:
            if flag.tail == "refuse" and flag.mask & tail:
                yield f"frame {pfn} of the folio at {frame.pfn} has the flag {_in_a_tail(layout.aliases, flag)}"


def _in_a_tail(aliases: dict[str, str], flag: Flag) -> str:
    """The name of a flag in the word of a tail, where it has one of its own."""
    own = [alias for alias in ("partially_mapped", "has_hwpoisoned") if aliases.get(alias) == flag.name]
    return f"{flag.name} ({own[0]})" if own else flag.name


def _broken(frame: Frame) -> Iterator[str]:
    """The frames of the page whose memory is broken."""
    layout = frame.arena.layout
    mark = layout.word("hwpoison") if "hwpoison" in layout else 0
    broken = [pfn for pfn, word in _words(frame) if word & mark]
    if broken == [frame.pfn]:
        yield f"frame {frame.pfn} has a memory error; free it, and it goes offline"
    elif broken:
        names = ", ".join(str(pfn) for pfn in broken)
        where = f"frame{'s' if broken[1:] else ''} {names} of the folio at {frame.pfn}"
        pronoun = "they go" if broken[1:] else "it goes"
        yield f"{where} {'have' if broken[1:] else 'has'} a memory error; free the folio, and {pronoun} offline"


def _word(frame: Frame) -> int:
    return int(frame.arena.flags[frame.pfn])


def _words(frame: Frame) -> list[tuple[int, int]]:
    """(pfn, flags word) of each frame of the folio that starts here."""
    words = frame.arena.flags[frame.pfn : frame.pfn + (1 << frame.order)].tolist()
    return list(enumerate(words, frame.pfn))


def _pins(frame: Frame) -> list[int]:
    """The words of all processes' pins that name a frame of the folio."""
    offset, processes, size = frame.arena.geometry()["pins"]
    # In front of the pins there is a number of 32 bits for each process.
    pins = frame.arena.memory[offset + processes * 4 : offset + processes * size].view(np.uint64)
    # The words of frame pfn hold pfn + 1; 0 is no pin.
    named = pins & np.uint64(0xFFFFFFFF)
    inside = (named > np.uint64(frame.pfn)) & (named <= np.uint64(frame.pfn + (1 << frame.order)))
    return [int(pin) for pin in pins[inside]]
