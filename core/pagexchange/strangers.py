"""Code and objects that are not ours: whose an exception is, what an object says of itself, and what may be shown.

Everything that comes from a stranger passes through here once: an exception on its way to an error of ours, a text on
its way to a terminal.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

from pagexchange import trail
from pagexchange.signals import handled

LONGEST: Final = 2000
"""Characters of a stranger's text that are kept: an exception may quote all that it was working on."""
_ONE_PRESS: Final = 0.3
"""Seconds within which two SIGINT are one: of a terminal, or of `kill` to a whole group of processes."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another SIGINT. A KeyboardInterrupt that is none of these was raised by code, and nobody pressed."""


@contextmanager
def listening() -> Iterator[None]:
    """Tell Ctrl-C from a KeyboardInterrupt that code raises; without this both are taken for Ctrl-C."""
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else somebody has other plans
    with handled(signal.SIGINT, _Press()) if ours else nullcontext():
        yield


class _Press:
    """The handler of SIGINT."""

    def __init__(self) -> None:
        self._last = -_ONE_PRESS

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        before, self._last = self._last, time.monotonic()
        if (page := trail.page()) is not None:
            page.press()
        if self._last - before >= _ONE_PRESS:
            raise Interrupted


def interrupt_in(error: BaseException) -> BaseException | None:
    """Return the Ctrl-C that an exception is, or holds in a group, or was raised while handling; None: it is another's.

    Everything else that ends a stranger's code is its failure: SystemExit, which is not the stranger's to decide, what
    derives from BaseException alone (a panic of compiled code), MemoryError.
    """
    handler = signal.getsignal(signal.SIGINT)
    heard = isinstance(handler, _Press) or handler is signal.SIG_IGN  # of a shell's background job: nobody can press
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Interrupted) or (not heard and isinstance(one, KeyboardInterrupt)):
            return one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [one.__cause__, one.__context__]
    return None


class Guard:
    """A `with` block around a stranger's code: what it raises becomes the error that `blame` makes of it, or stays.

    Ctrl-C passes, also where the stranger made another exception of it. So does all that is raised in a process that
    the stranger has forked: how that one ends is its own affair, and it must not go on with ours.

    `at`: what is left on the trail meanwhile.
    """

    __slots__ = ("_at", "_blame", "_pid")

    def __init__(self, blame: Callable[[BaseException], BaseException], at: trail.at | None = None) -> None:
        self._blame = blame
        self._at = at

    def __enter__(self) -> None:
        self._pid = os.getpid()
        if self._at is not None:
            self._at.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._at is not None:
            self._at.__exit__(kind, error, traceback)
        if error is None or os.getpid() != self._pid:
            return
        interrupt = interrupt_in(error)
        if interrupt is error:
            return
        if interrupt is not None:
            raise interrupt
        blamed = self._blame(error)
        if blamed is not error:
            raise blamed from error


def said(value: object, speak: Callable[[Any], str] = str, limit: int = LONGEST) -> str:
    """Return what `speak` makes of a stranger's object, cut to `limit` characters: a plain str, whatever happens."""
    try:
        text = "".join([speak(value)])  # of a class derived from str, the characters alone
    except BaseException as error:
        if interrupt_in(error):
            raise
        return f"<{kind(value)}, whose {speak.__name__}() raises {kind(error)}>"
    return text if len(text) <= limit else f"{text[:limit]}…"


def kind(value: object) -> str:
    """Return the name of an object's class, as it was defined: a metaclass may say something else, or nothing."""
    return str(type.__dict__["__name__"].__get__(type(value)))


def in_characters(text: str) -> str:
    r"""Return a text without lone surrogates: Python carries the bytes of a name that are no UTF-8 so; here `\xff`."""
    return _SURROGATE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def visible(words: str) -> str:
    """Return words as one line that does nothing to a terminal: white space is a space, a control character its escape.

    Escape sequences could hide or forge what is printed after them; so could characters that turn the direction.
    """
    line = in_characters(re.sub(r"[\t\n\v\f\r]+", " ", words))
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def visible_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def is_in(code: CodeType, file: str) -> bool:
    """Whether code was compiled from a file, an absolute path without links; never of an empty one."""
    return bool(file) and _resolved(code.co_filename) == file


@lru_cache(maxsize=4096)
def _resolved(name: str) -> str:
    try:
        return os.path.realpath(name)
    except (OSError, ValueError):  # what was compiled from a string may be named anything
        return ""
