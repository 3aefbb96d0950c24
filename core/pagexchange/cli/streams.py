"""The three streams that a process is given: there from the start, and never a reason for another exit code.

Whoever starts a command may have closed any of them, pass a disk that is full, or leave while it writes. None of that
changes what came out of it: what cannot be written is dropped, and the exit code is still the answer. Only a result
that no disk has room for is an error of its own, see `lost`.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY_READS: Final = (errno.EPIPE, errno.EBADF)
"""A reader that has seen enough (`| head`), or a stream that was closed before we began: nothing is missed."""


class Kept(io.FileIO):
    """A descriptor that is written to as long as it takes anything; what comes after is dropped."""

    failed: OSError | None = None
    """Why it takes nothing any more."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - whatever has bytes
        """Write some of the bytes; never raises OSError."""
        while self.failed is None:
            try:
                written: int | None = super().write(data)
            except OSError as error:
                self.failed = error
            else:
                if written is not None:
                    return written
                # Someone who shares the pipe has made it non-blocking: there it is full, not broken.
                poll = select.poll()
                poll.register(self.fileno(), select.POLLOUT)
                poll.poll()
        return memoryview(data).nbytes


@contextmanager
def standard() -> Iterator[None]:
    """Within it the descriptors 0 to 2 are open, and stdout and stderr never raise for what the other end does.

    A stream that someone in this process has replaced is left as it is.
    """
    _reserve()
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    kept = {name: _kept(number, stream) for number, (name, stream) in enumerate(before.items(), 1)}
    for name, stream in kept.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in kept.items():
            with suppress(ValueError):  # closed by someone
                stream.flush()
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])


def lost(stream: Any) -> OSError | None:  # noqa: ANN401 - a text stream
    """Write what is still to be written; return why the other end, which is there, could not take everything."""
    with suppress(ValueError):
        stream.flush()
    failed: OSError | None = getattr(getattr(getattr(stream, "buffer", None), "raw", None), "failed", None)
    return None if failed is None or failed.errno in NOBODY_READS else failed


def _reserve() -> None:
    """Let no file of ours, an arena least of all, become the descriptor that everybody takes for stdin or stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # a root directory without /dev/null: nothing better to be had
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _kept(number: int, stream: Any) -> Any:  # noqa: ANN401 - text streams
    if stream is None:  # closed when Python started; the number may be another file's by now
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123
    ours: Any = (sys.__stdout__, sys.__stderr__)[number - 1]
    if stream is not ours:
        return stream
    with suppress(ValueError, OSError):
        stream.flush()
    return written_on(Kept(number, "wb", closefd=False), stream, line_buffering=number == 2)


def written_on(raw: Kept, like: Any, *, line_buffering: bool = False) -> io.TextIOWrapper:  # noqa: ANN401
    """Return a text stream on a descriptor, in the encoding of another stream."""
    # No character is a reason to fail either: one that the encoding lacks is written as its escape.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), like.encoding, "backslashreplace", line_buffering=line_buffering or raw.isatty()
    )
