"""Whose code is running: a trail in memory that outlives the process, for the one that started it.

Without a page, which only a supervised process has, nothing is written.
"""

import json
import mmap
import os
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple

_HEAD: Final = struct.Struct("=qqqqI")
"""1 + exit code when the work is done, else 0; how often Ctrl-C was heard; bytes of the file's name, the folder's, the
text."""
_SIZE: Final = 1 << 17
_NAME: Final = _HEAD.size
_FOLDER: Final = 1 << 15
_TEXT: Final = 1 << 16


class Who(NamedTuple):
    """A plug-in, as far as it is named."""

    plugin: str
    distribution: str
    version: str
    file: str = ""


class Place(NamedTuple):
    """Where the process was."""

    strategy: str
    """Empty: in none, a plug-in was imported or looked at."""
    what: str
    """`exchange_data`, `an exchange`, `its import`."""
    who: tuple[Who, ...]
    """Whose code it may have been; none: ours."""


class Page:
    """The trail, shared by a process and its children."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def _head(self) -> list[int]:
        return list(_HEAD.unpack_from(self._memory))

    def _set(self, at: int, value: int) -> None:
        head = self._head()
        head[at] = value
        _HEAD.pack_into(self._memory, 0, *head)

    @property
    def done(self) -> int | None:
        """The exit code, once the work is done."""
        code = self._head()[0]
        return code - 1 if code else None

    @done.setter
    def done(self, code: int) -> None:
        self._set(0, code + 1)

    @property
    def presses(self) -> int:
        """How often Ctrl-C was heard."""
        return self._head()[1]

    def press(self) -> None:
        """Count one."""
        self._set(1, self.presses + 1)

    @property
    def made(self) -> bytes:
        """The path of the file that the arena is in; empty if it has none that would stay."""
        return self._memory[_NAME : _NAME + self._head()[2]]

    @made.setter
    def made(self, path: bytes) -> None:
        self._memory[_NAME : _NAME + len(path)] = path
        self._set(2, len(path))

    @property
    def kept(self) -> bytes:
        """The path of the run folder that was begun; empty if there is none."""
        return self._memory[_FOLDER : _FOLDER + self._head()[3]]

    @kept.setter
    def kept(self, path: bytes) -> None:
        self._memory[_FOLDER : _FOLDER + len(path)] = path
        self._set(3, len(path))

    def write(self, place: Place | None) -> None:
        """Say where the process is now."""
        text = b"" if place is None else json.dumps(place).encode()[: _SIZE - _TEXT]
        self._memory[_TEXT : _TEXT + len(text)] = text
        self._set(4, len(text))

    def read(self) -> Place | None:
        """Return where the process was last; None: in no plug-in, or its text cannot be read."""
        text = self._memory[_TEXT : _TEXT + self._head()[4]]
        try:
            strategy, what, who = json.loads(text)
            return Place(strategy, what, tuple(Who(*one) for one in who))
        except (ValueError, TypeError):
            return None


_state: dict[str, Any] = {"page": None, "owner": 0}
_places: list[Place] = []
_seen: dict[Who, None] = {}


def follow(page: Page | None) -> None:
    """From now on leave the trail on a page."""
    _state.update(page=page, owner=os.getpid())
    _places.clear()
    _seen.clear()


def page() -> Page | None:
    """Return the page that the trail is left on; none in a process that a plug-in has forked: it is another's."""
    found: Page | None = _state["page"]
    return found if found is None or os.getpid() == _state["owner"] else None


class at:  # noqa: N801 - read as a preposition: `with at(...)`
    """A `with` block in which others' code may run: what for, whose it is, in which strategy (None: as outside)."""

    __slots__ = ("_strategy", "_what", "_who")

    def __init__(self, what: str, who: Iterable[Who] = (), strategy: str | None = None) -> None:
        self._what, self._who, self._strategy = what, tuple(who), strategy

    def __enter__(self) -> None:
        trail = page()
        if trail is None:
            return
        outside = _places[-1].strategy if _places else ""
        place = Place(outside if self._strategy is None else self._strategy, self._what, self._who)
        _places.append(place)
        _seen.update(dict.fromkeys(place.who))
        trail.write(place)

    def __exit__(self, _kind: object, _error: object, _traceback: TracebackType | None) -> None:
        trail = page()
        if trail is not None and _places:
            _places.pop()
            trail.write(_places[-1] if _places else None)


def finished(code: int) -> None:
    """Say that the work is done; what ends the process now is one of those whose code was run."""
    trail = page()
    if trail is not None:
        trail.write(Place("", "the end of the process", tuple(_seen)))
        trail.done = code
