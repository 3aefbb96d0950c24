"""Says on stderr which plug-in does not return, and what can be done about it. It stops nothing and takes no lock.

A run arms it around every call that may enter a plug-in. Its thread looks a few times in `patience` seconds whether
anything was published since: each pair moves the state word of its worker's slot, so a long list is not a hang. A
plug-in in Python is found by its frame; of a compiled one the state word tells the step that it was called for.

Compiled code that keeps the GIL keeps this thread from running too; what the engine calls runs without it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pagexchange.hookspecs import ANSWERS, MOVES
from pagexchange.host.discovery import Plugin
from pagexchange.strangers import is_in, visible
from pagexchange.trail import at

VARIABLE: Final = "PAGEXCHANGE_PATIENCE"
PATIENCE: Final = 10.0
"""Seconds without progress until the first message; later ones come after twice as long each."""

LOOKS: Final = 4
"""In `patience` seconds."""

_INTENT, _DATA, _HELP = 1, 2, 5
_CALLED_IN: Final = {_INTENT: ("flags", "mapping", *MOVES), _DATA: MOVES, _HELP: MOVES}
"""Phase of a slot's record -> the questions whose objects are called in it."""


Suspects = Callable[[], Sequence[tuple[str, Plugin]]]


class Publishing(Protocol):
    """What shows progress: an arena."""

    def published(self) -> NDArray[np.uint64]:
        """Return the state words of all workers' slots."""
        ...


@dataclass(frozen=True, eq=False)
class Call:
    """What is being waited for."""

    strategy: str
    suspects: Suspects
    """(question, plug-in) for each plug-in that may have been called."""
    arena: Publishing | None
    thread: int
    """Where Ctrl-C is seen: the thread that called."""
    question: str = ""
    """Asked outside of an exchange; empty: the slots tell what was."""


def _print(text: str) -> None:
    # `print` would take None, a closed stderr, for stdout.
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(visible(text), file=sys.stderr, flush=True)


class Watchdog:
    """A thread that is told what is being waited for. Off (no thread) when `patience` is 0."""

    def __init__(self, patience: float = PATIENCE, say: Callable[[str], None] = _print) -> None:
        self.patience = patience
        self._say = say
        self._call: Call | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pagexchange-watchdog", daemon=True)

    @classmethod
    def from_environment(cls) -> Self:
        """Patience as the variable PAGEXCHANGE_PATIENCE says; what is no number in it is as if it were not set."""
        try:
            patience = float(os.environ.get(VARIABLE, ""))
        except ValueError:
            patience = PATIENCE
        return cls(patience if 0 <= patience <= threading.TIMEOUT_MAX else PATIENCE)

    def __enter__(self) -> Self:
        if self.patience:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self.patience:
            self._thread.join()

    @contextmanager
    def watch(
        self,
        strategy: str,
        suspects: Suspects,
        arena: Publishing | None = None,
        question: str = "",
    ) -> Iterator[None]:
        """Wait for what is done inside; where that is within another such wait, for the inner one first."""
        outer = self._call
        self._call = Call(strategy, suspects, arena, threading.get_ident(), question)
        try:
            with at(
                ANSWERS[question] if question else "an exchange",
                dict.fromkeys(plugin.who for _, plugin in suspects()),
                strategy,
            ):
                yield
        finally:
            self._call = outer

    def _watch(self) -> None:
        call, before, since, reported = None, b"", 0.0, 0.0
        while not self._end.wait(self.patience / LOOKS):
            now, current = time.monotonic(), self._call
            # Read without a lock: whoever is watched may hold it.
            states = b"" if current is None else published(current.arena)
            if current is None or current is not call or states != before:
                call, before, since, reported = current, states, now, 0.0
            elif now - since >= max(self.patience, 2 * reported):
                reported = now - since
                self._say(message(current, states, reported))


def published(arena: Publishing | None) -> bytes:
    """Return the state words of all workers' slots; nothing if there is no arena, or it is closed."""
    if arena is None:
        return b""
    try:
        words: bytes = arena.published().tobytes()
    except Exception:  # it may be closed at any time by the thread that is watched
        return b""
    return words


def message(call: Call, states: bytes, seconds: float) -> str:
    """Return the sentence: which strategy, how long, which plug-in, and the cure."""
    start = f"pagexchange: strategy {call.strategy!r}: nothing has moved for {seconds:.0f} s: "
    suspects = list(call.suspects())
    kill = f"It cannot be interrupted; end this process with `kill -9 {os.getpid()}`" + (
        "" if call.question else ". Until then it keeps its locks, and no other thread takes them"
    )
    put_back = "nothing was moved" if call.question else "the batch that it was called for is put back"
    running = _in_python(suspects, call.thread)
    if running:
        plugin, frame, interruptible = running
        where = f"does not return from {frame.f_code.co_name}, {frame.f_code.co_filename}:{frame.f_lineno}. "
        return start + f"{_named(plugin)} {where}" + (f"Ctrl-C stops it; {put_back}" if interruptible else kill)
    phases = {int(word) & 0xFF for word in np.frombuffer(states, dtype=np.uint64)}
    # Compiled code has no frame to be found by: the step that a worker is in leaves the plug-ins asked in that step.
    questions = {question for phase in phases for question in _CALLED_IN.get(phase, ())}
    if call.question:
        questions = {call.question}
    blamed = {plugin.name: plugin for question, plugin in suspects if question in questions}
    if not blamed:
        return start + "no plug-in is being called. " + kill
    names = ", ".join(_named(plugin) for plugin in blamed.values())
    which = "" if len(blamed) == 1 else "one of "
    step = "moving data" if questions == set(MOVES) else "computing flags, finding slots or preparing to move data"
    if call.question:
        step = ANSWERS[call.question]
    return start + f"{which}{names} does not return from {step}. " + kill


def _named(plugin: Plugin) -> str:
    return f"plug-in {plugin.name!r} ({plugin.distribution} {plugin.version}, {plugin.file})"


def _in_python(suspects: Sequence[tuple[str, Plugin]], caller: int) -> tuple[Plugin, FrameType, bool] | None:
    """Return the plug-in whose Python code runs, where, and whether that is the thread that sees Ctrl-C."""
    # The caller's thread first: if several run code of plug-ins, its is the one that Ctrl-C can stop.
    frames = sys._current_frames()
    for thread in sorted(frames, key=lambda thread: thread != caller):
        frame: FrameType | None = frames[thread]
        while frame is not None:
            for _, plugin in suspects:
                if is_in(frame.f_code, plugin.file):
                    return plugin, frame, thread == caller == threading.main_thread().ident
            frame = frame.f_back
    return None
