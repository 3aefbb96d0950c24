"""Statuses of pairs: their names and what each means."""

import errno
import os
from typing import Final

EHWPOISON: Final = 133  # Python's errno module has it from 3.14 on

REASONS: Final[dict[int, str]] = {
    errno.EFAULT: "out of range; frames are numbered from 0 to nframes - 1",
    errno.EINVAL: "a pair with itself, a frame that an earlier pair uses, a tail, or folios of different orders",
    errno.ENOENT: "a free frame; there is no page to exchange",
    errno.ENXIO: "an offline frame; there is no memory to use",
    errno.EBUSY: "pinned, being written, referenced for long, reserved, or dirty where nobody can write it",
    errno.EAGAIN: "locked or referenced at this moment; retry, or pass mode='sync'",
    errno.ETIMEDOUT: "still being written when the time was over; retry, or pass a longer timeout",
    EHWPOISON: "a memory error in a frame of the page; free it, and that frame goes offline",
    errno.EOPNOTSUPP: "an unmovable mapping, private data or a flag that cannot move, or the swap cache",
    errno.ENOMEM: "the data mover needs a frame and found none above the min watermark",
    errno.EBADMSG: "the flag policy touched bits that stay with the frame, or a plug-in failed",
    errno.EUCLEAN: "the arena's metadata contradict each other; ask pagexchange.oracle.check(arena)",
    errno.EXDEV: "frames of different arenas",
    errno.ECANCELED: "not tried: a plug-in failed before",
    errno.ETIME: "not reached before the call's time was over (max_call_us); call again with what is left",
    errno.EINTR: "not tried: interrupted",
}
"""Why a pair was refused, by errno."""

_NAMES: Final = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN", EHWPOISON: "EHWPOISON"}


def errno_name(code: int) -> str:
    """Return the name of an errno, with or without its sign: "EBUSY" for 16 and for -16."""
    return _NAMES.get(abs(code)) or errno.errorcode.get(abs(code), str(abs(code)))


def reason(code: int) -> str:
    """Return in words why a pair has this status."""
    return REASONS.get(abs(code), os.strerror(abs(code)))
