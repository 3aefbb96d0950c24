"""Walks through JSON that is larger than memory: value by value, each as its bytes, none of them looked into here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from pagexchange.pages.files.source import Source

MAX_VALUE: Final = 1 << 28
"""Bytes of one value that is taken as a whole."""
_WINDOW: Final = 1 << 12
_LARGEST_WINDOW: Final = 1 << 20
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[-+.0-9a-zA-Z]+")


class JsonStream:
    """A place in a JSON text, which moves forward only.

    Every method raises TraceError, with the byte, where the text is no JSON or ends too early.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._held = b""
        self._next = 0
        self._begins = 0
        """Byte of the file where `_held` begins."""

    @property
    def at(self) -> int:
        """Byte of the file that comes next."""
        return self._begins + self._next

    def peek(self) -> bytes:
        """The next byte that is no space, which stays; empty at the end of the file."""
        while True:
            space = _SPACE.match(self._held, self._next)
            self._next = space.end() if space else self._next
            if self._next < len(self._held):
                return self._held[self._next : self._next + 1]
            if not self._more():
                return b""

    def take(self, wanted: bytes) -> None:
        """Go over one byte, which must be one of these."""
        byte = self.peek()
        if not byte or byte not in wanted:
            expected = " or ".join(repr(chr(one)) for one in wanted)
            found = repr(byte.decode(errors="backslashreplace")) if byte else "the end of the file"
            raise self.source.error(f"{expected} is expected, not {found}", byte=self.at)
        self._next += 1

    def end(self) -> None:
        """Nothing but space may follow."""
        if self.peek():
            raise self.source.error("more follows the end of the JSON", byte=self.at)

    def elements(self) -> Iterator[None]:
        """Stop in front of each element of an array, which the caller takes."""
        self.take(b"[")
        if self.peek() == b"]":
            self.take(b"]")
            return
        while True:
            yield
            last = self.peek() == b"]"
            self.take(b",]")
            if last:
                return

    def members(self) -> Iterator[str]:
        """The keys of an object; the caller takes the value of each."""
        self.take(b"{")
        if self.peek() == b"}":
            self.take(b"}")
            return
        while True:
            if self.peek() != b'"':
                self.take(b'"')
            at = self.at
            try:
                key = msgspec.json.decode(self.value(), type=str)
            except msgspec.DecodeError as error:
                raise self.source.error(f"not a key: {error}", byte=at) from None
            self.take(b":")
            yield key
            last = self.peek() == b"}"
            self.take(b",}")
            if last:
                return

    def value(self) -> bytes:
        """The bytes of the next value, whatever it is; that it is sound shows itself when it is decoded."""
        first = self.peek()
        if first in (b"{", b"["):
            size = self._nested()
        elif first == b'"':
            size = self._matched(_STRING)
        else:
            size = self._matched(_SCALAR) if first else 0
            if not size:
                raise self.source.error("a value is expected", byte=self.at)
        self._next += size
        return self._held[self._next - size : self._next]

    def _matched(self, pattern: re.Pattern[bytes]) -> int:
        """Bytes of what the pattern fits here; what reaches to the end of what is held may go on."""
        while True:
            match = pattern.match(self._held, self._next)
            if match and match.end() < len(self._held):
                return match.end() - self._next
            if not self._more():
                if match:
                    return match.end() - self._next
                if pattern is _STRING:
                    raise self.source.error("cut short in a value", byte=self.at)
                return 0

    def _nested(self) -> int:
        """Bytes of the object or array that begins here: until as many brackets are closed as were opened."""
        depth, at, window, inside = 0, 0, _WINDOW, np.uint8(0)
        while True:
            text = self._held[self._next + at : self._next + at + window]
            # what a backslash escapes is no bracket and no quote; one at the end waits for what it escapes
            plain = text.replace(rb"\\", b"..").replace(rb"\"", b"..")
            if plain.endswith(b"\\"):
                text, plain = text[:-1], plain[:-1]
            if not text:
                if at + window > MAX_VALUE:
                    raise self.source.error(f"a value of more than {MAX_VALUE} bytes: not believed", byte=self.at)
                if not self._more():
                    raise self.source.error("cut short in a value that begins here", byte=self.at)
                continue
            byte = np.frombuffer(plain, dtype=np.uint8)
            quoted = np.bitwise_xor.accumulate((byte == ord('"')).astype(np.uint8)) ^ inside
            inside = quoted[-1]
            # { and [ differ in one bit, and so do } and ]
            folded = np.where(quoted != 0, np.uint8(0), byte | np.uint8(0x20))
            places = np.flatnonzero((folded == ord("{")) | (folded == ord("}")))
            depths = depth + np.cumsum(np.where(folded[places] == ord("{"), 1, -1))
            closed = np.flatnonzero(depths == 0)
            if len(closed):
                return at + int(places[closed[0]]) + 1
            depth = int(depths[-1]) if len(depths) else depth
            at += len(text)
            window = min(2 * window, _LARGEST_WINDOW)

    def _more(self) -> bool:
        data = self.source.read()
        if data:
            self._begins += self._next
            self._held = self._held[self._next :] + data
            self._next = 0
        return bool(data)
