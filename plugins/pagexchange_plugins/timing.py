"""timing: a wrapper that counts calls, pairs and nanoseconds per question."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from pagexchange.hookspecs import hookimpl
from pagexchange_plugins.wrapping import Wrapped, Wrapping, one_for

Counts = Callable[[], dict[str, int]]


@dataclass(frozen=True)
class Timing(Wrapping):
    """Count calls, pairs and ns of each question; what it found goes into the report."""

    _counts: list[tuple[str, Counts]] = field(default_factory=list, init=False, repr=False, compare=False)

    @hookimpl
    def strategy_report(self) -> dict[str, object]:
        """Return `{"timing": {"data": {"calls": ..., "items": ..., "ns": ..., ...}}}`, added up per object's name."""
        out: dict[str, dict[str, int]] = {}
        for key, counts in self._counts:
            entry = out.setdefault(key, {})
            for what, number in counts().items():
                entry[what] = entry.get(what, 0) + number
        return {"timing": out}

    def _wrap(self, question: str, found: Any) -> Any:  # noqa: ANN401 - any answer
        if found is None:
            return None
        wrapped = measured(found, question)
        key = question if question not in dict(self._counts) else f"{question}: {getattr(found, 'name', 'python')}"
        self._counts.append((key, wrapped.counts))
        return wrapped


def measured(found: Any, question: str, keep: int = 0) -> Any:  # noqa: ANN401 - any answer
    """Return the answer wrapped in something that has `counts()` and `records()`, native if the answer is."""
    from pagexchange_native import wrappers

    native = one_for(found, wrappers.TimedFlags, wrappers.TimedMover, wrappers.TimedUpdater)
    if native:
        return native(found, keep)
    # what a plug-in returned wrongly is for the host to refuse, so it is passed on as it is
    return Measured(found, question, keep) if callable(found) and not isinstance(found, type) else Passed(found)


class Measured(Wrapped):
    """A Python object with its calls counted."""

    def __init__(self, found: Callable[..., Any], question: str, keep: int) -> None:
        super().__init__(found)
        self._sized = 1 if question == "data" else 0  # the argument whose length is the number of pairs
        self._lock = threading.Lock()
        self._keep = keep
        self._records: list[tuple[int, int, int]] = []
        self._calls = self._items = self._ns = 0

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401 - whatever the wrapped one takes
        """Forward the call and count it."""
        start = perf_counter_ns()
        try:
            return self.inner(*args)
        finally:
            took = perf_counter_ns() - start
            n = len(args[self._sized])
            with self._lock:
                self._calls += 1
                self._items += n
                self._ns += took
                if self._keep:
                    self._records = [*self._records[1 - self._keep :], (start, n, took)]

    def counts(self) -> dict[str, int]:
        """Return calls, items (pairs), ns."""
        return {"calls": self._calls, "items": self._items, "ns": self._ns}

    def records(self) -> list[tuple[int, int, int]]:
        """Return the last calls, oldest first: start_ns, n, ns."""
        return list(self._records)


class Passed:
    """What is no answer at all: not callable, so that the host refuses it and can say what it was."""

    def __init__(self, found: object) -> None:
        self.inner = found

    def __repr__(self) -> str:
        return f"{type(self.inner).__qualname__}: {self.inner!r}"

    def counts(self) -> dict[str, int]:
        """Return nothing."""
        return {}

    def records(self) -> list[tuple[int, int, int]]:
        """Return nothing."""
        return []
