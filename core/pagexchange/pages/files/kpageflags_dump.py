"""A copy of /proc/kpageflags, as `dd` or `page-types` takes it: a word of 64 bits for each frame, from frame 0 on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from pagexchange.pages.files import flag_state
from pagexchange.pages.files.form import About, Form, Words
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access
from pagexchange.pages.snapshot.proc import kpageflags

_WORD: Final = 8
_KNOWN: Final = kpageflags.mask(*kpageflags.BITS)


def _fits(source: Source) -> bool:
    words = np.frombuffer(source.head[: len(source.head) // _WORD * _WORD], dtype=np.uint64)
    # either order of bytes, so that a dump from another machine gets an answer
    return bool(len(words)) and (_plausible(words) or _plausible(words.byteswap()))


def _plausible(words: np.typing.NDArray[np.uint64]) -> bool:
    return not bool((words & ~_KNOWN).any()) and bool(words.any())


def _words(source: Source, about: About) -> Iterator[Words]:
    at, rest, before = 0, b"", 0
    while data := source.read():
        data = rest + data
        whole = len(data) // _WORD * _WORD
        raw, rest = np.frombuffer(data[:whole], dtype=np.uint64), data[whole:]
        if not len(raw):
            continue
        if bool((strange := raw & ~_KNOWN).any()):
            number = int(np.argmax(strange != 0))
            if _plausible(raw.byteswap()):
                raise source.error("words in the other order of bytes: read it on a machine like the one it is of")
            wrong = f"frame {at + number}: {int(raw[number]):#x} has bits that no word of /proc/kpageflags has"
            raise source.error(wrong, byte=(at + number) * _WORD)
        flags = kpageflags.with_heads(raw, before)
        before = int(flags[-1])
        yield Words(np.arange(at, at + len(flags)), np.ones(len(flags), dtype=np.int64), flags, None)
        at += len(flags)
    if rest:
        raise source.error(f"cut short: {len(rest)} bytes of the last word of {_WORD}", byte=at * _WORD)


def _rows(source: Source, about: About) -> Iterator[Access]:
    return flag_state.rows(_words(source, about), about)


FORM: Final = Form(
    "kpageflags dump", "words of 64 bits that have only bits of /proc/kpageflags, as `dd if=/proc/kpageflags`", _fits,
    _rows, _words,
)  # fmt: skip
