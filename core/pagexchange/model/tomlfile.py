"""Read a TOML file and know the line and column of every key and value in it."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli

from pagexchange.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
"""`("strategy", "fast", "data", 0)`: names of tables, numbers in arrays."""

MAX_BYTES = 16 << 20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")


@dataclass
class TomlFile:
    """A parsed TOML file that can say where each of its keys and values stands."""

    origin: str
    text: str
    data: dict[str, Any]
    _lines: list[int] = field(default_factory=list, repr=False)
    _keys: dict[KeyPath, int] = field(default_factory=dict, repr=False)
    _values: dict[KeyPath, int] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path | str, origin: str | None = None) -> "TomlFile":
        """Read and parse a file; errors as of `read` and `from_bytes`."""
        origin = str(path) if origin is None else origin
        return cls.from_bytes(read(path, origin), origin)

    @classmethod
    def from_bytes(cls, raw: bytes, origin: str) -> "TomlFile":
        """Parse bytes; a UTF-8 byte-order mark and CRLF line ends are taken as they come.

        Raises
        ------
        ConfigError
            It is not UTF-8, is too large, or is not TOML: with line and column where there are any.
        """
        if len(raw) > MAX_BYTES:
            raise ConfigError(Problem(origin, f"is larger than {MAX_BYTES >> 20} MiB: not a configuration file"))
        if raw[:2] in _UTF16:
            raise ConfigError(Problem(origin, "is UTF-16, not UTF-8: save it as UTF-8", 1, 1))
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = raw[: error.start]
            line = before.count(b"\n") + 1
            column = error.start - (before.rfind(b"\n") + 1) + 1
            problem = f"is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}"
            raise ConfigError(Problem(origin, problem, line, column)) from None
        return cls.from_text(text, origin)

    @classmethod
    def from_text(cls, text: str, origin: str) -> "TomlFile":
        """Parse a string."""
        text = text.replace("\r\n", "\n")  # as tomli does, so that offsets are those of the text that it parsed
        try:
            data = tomli.loads(text)
        except tomli.TOMLDecodeError as error:
            message = getattr(error, "msg", str(error))
            line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
            raise ConfigError(Problem(origin, f"not TOML: {message}", line, column)) from None
        except RecursionError:
            raise ConfigError(Problem(origin, "not a configuration file: nested too deeply")) from None
        except ValueError as error:  # an integer of thousands of digits, a date that does not exist
            raise ConfigError(Problem(origin, f"not TOML: {error}")) from None
        return cls(origin, text, data)

    def place(self, path: KeyPath, *, value: bool = False) -> tuple[int, int]:
        """Return (line, column), 1-based, of a key or of its value; of the nearest table above if it is not there.

        The index of the whole file is built in one pass, the first time it is asked for.
        """
        if not self._lines:  # only a file with something wrong in it pays for the scan
            self._lines = [0, *(m.end() for m in re.finditer("\n", self.text))]
            _Scanner(self.text, self._keys, self._values).scan()
        for end in range(len(path), 0, -1):  # what is missing has no place: the table that lacks it has one
            offset = (self._values if value else self._keys).get(path[:end])
            if offset is not None:
                row = bisect_right(self._lines, offset)
                return row, offset - self._lines[row - 1] + 1
        return 1, 1

    def problem(self, path: KeyPath, what: str, *, value: bool = False) -> Problem:
        """Return a Problem that points at a key, or at its value."""
        return Problem(self.origin, what, *self.place(path, value=value), dotted(path))


def read(path: Path | str, origin: str) -> bytes:
    """Return the bytes of a file, one more than `MAX_BYTES` at most. ConfigError: it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)  # /dev/zero, or a snapshot given by mistake, must not fill the memory
    except IsADirectoryError:
        raise ConfigError(Problem(origin, "is a directory, not a TOML file")) from None
    except FileNotFoundError:
        raise ConfigError(Problem(origin, "no such file")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(Problem(origin, f"cannot be read: {reason}")) from None


def unwritable(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str, bool]]:  # noqa: ANN401 - TOML's
    """Yield where a key or a string holds what no name, path or C string can: (path, problem, whether in a value).

    TOML can say `\\u0000`; a lone surrogate comes from bytes of a command line that are no text.
    """
    if isinstance(value, str):
        found = _UNWRITABLE.search(value)
        if found:
            yield path, f"holds the character U+{ord(found[0]):04X}, which no string here can", True
    elif isinstance(value, dict):
        for key, part in value.items():
            if _UNWRITABLE.search(key):
                yield (*path, key), "its name holds a character that none can", False
            yield from unwritable(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from unwritable(part, (*path, number))


def written(value: str) -> str:
    """Write a string as TOML has it, on one line: a value, or a key of any characters."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
    return f'"{escaped}"'


def dotted(path: KeyPath) -> str:
    """Write a path as a reader of the file would: `strategy.fast.data.0`, quoted where TOML needs quotes."""
    return ".".join(
        str(part) if isinstance(part, int) or _BARE_KEY.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
        for part in path
    )


class _Scanner:
    """One pass over text that tomli has already accepted: so nothing here has to be checked again."""

    def __init__(self, text: str, keys: dict[KeyPath, int], values: dict[KeyPath, int]) -> None:
        self.text, self.keys, self.values = text, keys, values
        self.at = 0  # offset of the next character to be read
        self.last: dict[KeyPath, int] = {}  # array of tables -> number of its newest element

    def scan(self) -> None:
        prefix: KeyPath = ()
        self.blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                prefix = self.header()
            else:
                self.pair(prefix)
            self.blank()

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def header(self) -> KeyPath:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        parts = self.key()
        self.at += 2 if array else 1
        path: KeyPath = ()
        for number, part in enumerate(parts):
            path += (part,)
            if array and number == len(parts) - 1:
                self.keys.setdefault(path, start)
                self.values.setdefault(path, start)
                self.last[path] = self.last.get(path, -1) + 1
            else:
                # What is only implied, `a` of [a.b], points at the header that implies it, until its own comes.
                self.keys.setdefault(path, start)
                self.values.setdefault(path, start)
            if path in self.last:
                path += (self.last[path],)
                self.keys.setdefault(path, start)
                self.values.setdefault(path, start)
        self.keys[path] = self.values[path] = start  # its own header: better than one that implied it
        return path

    def key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self.spaces()
            quote = self.text[self.at]
            if quote in "\"'":
                start = self.at
                self.string()
                raw = self.text[start : self.at]
                # A literal string is as it stands; escapes of a basic one are tomli's to read.
                parts.append(str(tomli.loads(f"k = {raw}")["k"]) if quote == '"' else raw[1:-1])
            else:
                match = _BARE_KEY.match(self.text, self.at)
                assert match is not None
                parts.append(match[0])
                self.at = match.end()
            self.spaces()
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def spaces(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def pair(self, prefix: KeyPath) -> None:
        self.spaces()
        start = self.at
        path = prefix
        for part in self.key():
            path += (part,)
            self.keys.setdefault(path, start)  # of a.b = 1 and a.c = 2, `a` is where it came first
        self.at += 1  # the equals sign
        self.spaces()
        for end in range(len(prefix) + 1, len(path) + 1):
            self.values.setdefault(path[:end], self.at)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        mark = self.text[self.at]
        if mark in "\"'":
            self.string()
        elif mark == "[":
            self.at += 1
            number = 0
            self.blank()
            while self.text[self.at] != "]":
                self.keys[*path, number] = self.values[*path, number] = self.at
                self.value((*path, number))
                number += 1
                self.separator()
            self.at += 1
        elif mark == "{":
            self.at += 1
            self.blank()
            while self.text[self.at] != "}":
                self.pair(path)
                self.separator()
            self.at += 1
        else:
            # A number, a date, true, false: where it ends is enough.
            match = _BARE_VALUE.match(self.text, self.at)
            self.at = match.end() if match else self.at + 1

    def separator(self) -> None:
        self.blank()
        if self.text[self.at] == ",":
            self.at += 1
            self.blank()

    def string(self) -> None:
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if long else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(end)
        while long and self.text.startswith(quote, self.at):  # """""" may end with up to two quotes of its own
            self.at += 1
