"""timing: a wrapper that counts calls, pairs and nanoseconds per question."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Protocol

from pagexchange.hookspecs import hookimpl
from pagexchange_native.plugin import NativeObject
from pagexchange_native.wrappers import Meter, wrap
from pagexchange_plugins.wrapping import Wrapped, Wrapping, is_callable, pairs_of


class Metered(Protocol):
    """What was counted of one object."""

    def counts(self) -> dict[str, int]:
        """Return at least calls, items (pairs) and ns."""
        ...

    def records(self) -> Any:  # noqa: ANN401 - tuples, or a NumPy array of such rows
        """Return the last calls, oldest first: start_ns, n, ns."""
        ...


@dataclass(frozen=True)
class Timing(Wrapping):
    """Count calls, pairs and ns of each question; what it found goes into the report."""

    _meters: list[tuple[str, Metered]] = field(default_factory=list, init=False, repr=False, compare=False)

    @hookimpl
    def strategy_report(self) -> dict[str, object]:
        """Return `{"timing": {"data": {"calls": ..., "items": ..., "ns": ..., ...}}}`, added up per object's name."""
        out: dict[str, dict[str, int]] = {}
        for key, meter in self._meters:
            entry = out.setdefault(key, {})
            for unit, number in meter.counts().items():
                entry[unit] = entry.get(unit, 0) + number
        return {"timing": out}

    def _wrap(self, question: str, answer: Any) -> Any:  # noqa: ANN401 - any answer
        wrapped, meter = metered(answer, question)
        if meter:
            # The first object of a question has its plain name; the others of a chain, or of another arena, add theirs.
            known = question in dict(self._meters)
            key = f"{question}: {getattr(answer, 'name', 'python')}" if known else question
            self._meters.append((key, meter))
        return wrapped


def metered(answer: Any, question: str, keep: int = 0) -> tuple[Any, Metered | None]:  # noqa: ANN401 - any answer
    """Return the answer wrapped, by a native object if it is one, and what counts its calls.

    What is no answer is returned as it is, with None: for the host to refuse, which then says what it was.
    """
    if isinstance(answer, NativeObject):
        meter = Meter(keep)
        return wrap(answer, meter), meter
    if not is_callable(answer):
        return answer, None
    measured = Measured(answer, question, keep)
    return measured, measured


class Measured(Wrapped):
    """A Python object with its calls counted."""

    def __init__(self, inner: Callable[..., Any], question: str, keep: int) -> None:
        super().__init__(inner)
        self._question = question
        self._lock = threading.Lock()
        self._keep = keep
        self._records: list[tuple[int, int, int]] = []
        self._calls = self._items = self._ns = 0

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401 - whatever the wrapped one takes
        """Forward the call and count it."""
        answer: Any = None
        start = perf_counter_ns()
        try:
            answer = self.inner(*args)
            return answer
        finally:
            took = perf_counter_ns() - start
            n = pairs_of(self._question, args, answer)
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
