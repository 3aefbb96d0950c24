"""What the oracle says: one finding per thing that is wrong, a verdict over all, and the collector that caps them."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["exact", "loses", "wrong"]
Known = Mapping[str, set[tuple[int, Any]]]

HELD: Final = frozenset({"lock", "frozen", "slot", "pin", "mapping-lock", "space-lock", "node-lock", "structure-lock"})
"""Kinds of findings that say that something is in use: no fault where a page is held on purpose."""

_REMEMBERED: Final = 100_000
"""Findings of a kind that are looked at one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    what: str
    """Short name of the kind: "contents", "mapping", "pte", "lock", ..."""
    pfn: int
    """The frame; for things that are not frames their own number (slot, node, mapping, space); -1 for none."""
    expected: Any
    got: Any
    sentence: str
    """All of it in words, with what would be right."""

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, repr=False)
class Verdict:
    """What an exchange did to an arena, by comparison of everything."""

    kind: Kind
    """"exact": nothing lost. "loses": only flags that belong to a page did not go along. "wrong": anything else."""
    lost: dict[str, int] = field(default_factory=dict)
    """Flag or field of the flags word -> number of pages that it did not go along with."""
    findings: list[Finding] = field(default_factory=list)
    """The first of what is wrong, a few of each kind; `total` says how many there were."""
    total: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    """Kind of finding -> how many."""
    checked: dict[str, int] = field(default_factory=dict)
    """What was compared -> how many: frames (with pages), idle (frames without), bytes, places, ptes, pairs, ..."""
    unsound_before: list[Finding] = field(default_factory=list)
    """What was not at rest or not sound before the exchange; what is still just so is not held against it."""

    def __bool__(self) -> bool:
        return self.kind == "exact"

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    def __str__(self) -> str:
        if not self.unsound_before:
            return self._in_words()
        return f"{self._in_words()}; in use or not sound before, and no fault of it: {self.unsound_before[0]}"

    def _in_words(self) -> str:
        if self.kind == "exact":
            return f"exact: {self.checked.get('frames', 0)} frames compared in full, nothing lost"
        lost = ", ".join(f"{name} ({pages} pages)" for name, pages in self.lost.items())
        if self.kind == "loses":
            return f"loses: {lost}"
        first = self.findings[0].sentence if self.findings else ""
        return f"wrong: {self.total} findings; the first: {first}" + (f"; also loses {lost}" if lost else "")


def _plain(value: Any) -> Any:  # noqa: ANN401 (a word, a number or a name)
    return value.item() if isinstance(value, np.generic) else value


class Collector:
    """Takes findings by the array, counts them all and keeps the first few of each kind.

    One fault can break a rule in each of a million frames. So sentences are made only for what is kept, and beyond
    100,000 rows of one array even the numbers are only counted.

    Parameters
    ----------
    cap, cap_per_kind
        How many findings to keep, in all and of each kind.
    known
        Kind -> (number, value): findings that are not taken, because they were there before the exchange. One with
        another value is new.
    """

    def __init__(self, cap: int = 100, cap_per_kind: int = 20, known: Known | None = None) -> None:
        self.cap = cap
        self.cap_per_kind = cap_per_kind
        self.known: Known = known or {}
        self.kept: list[Finding] = []
        self.by_kind: dict[str, int] = {}
        self.reported: dict[str, set[tuple[int, Any]]] = {}
        """What `known` of a later collector takes."""

    @property
    def total(self) -> int:
        """How many findings there were, kept or not."""
        return sum(self.by_kind.values())

    def verdict(self) -> Verdict:
        """All of them as a verdict on what they were found in."""
        kind: Kind = "wrong" if self.total else "exact"
        return Verdict(kind, findings=self.kept, total=self.total, by_kind=self.by_kind)

    def add(self, kind: str, pfn: SupportsIndex, expected: object, got: object, sentence: str) -> None:
        """Takes one finding."""
        expected, got, number = _plain(expected), _plain(got), operator.index(pfn)
        if (number, got) in self.known.get(kind, ()):
            return
        count = self.by_kind.get(kind, 0)
        self.by_kind[kind] = count + 1
        if count < _REMEMBERED:
            self.reported.setdefault(kind, set()).add((number, got))
        if count < self.cap_per_kind and len(self.kept) < self.cap:
            self.kept.append(Finding(kind, number, expected, got, sentence))

    def add_where(
        self,
        kind: str,
        bad: NDArray[np.bool_],
        pfns: ArrayLike,
        expected: ArrayLike,
        got: ArrayLike,
        say: Callable[[int, Any, Any], str],
    ) -> None:
        """Takes one finding per row for which `bad` is true; `say(pfn, expected, got)` makes the sentence."""
        rows = np.flatnonzero(bad)
        if not len(rows):
            return
        where = np.broadcast_to(np.asarray(pfns), bad.shape)[rows]
        want = np.broadcast_to(np.asarray(expected), bad.shape)[rows]
        have = np.broadcast_to(np.asarray(got), bad.shape)[rows]
        for i, (p, w, h) in enumerate(
            zip(where[:_REMEMBERED].tolist(), want[:_REMEMBERED].tolist(), have[:_REMEMBERED].tolist(), strict=True)
        ):
            # `add` refuses what is known, so with `known` any row may turn out to be among the first few
            self.add(kind, p, w, h, say(p, w, h) if i < self.cap_per_kind or self.known else "")
        if len(rows) > _REMEMBERED:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + len(rows) - _REMEMBERED
