"""Which samples a cell's figures are made of, and what each says: nanoseconds per pair, or access, by a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from pagexchange.measure import trust
from pagexchange.samples.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pagexchange.samples.schema import Clock

Key: TypeAlias = tuple[str, str]
"""A cell's id, and the host that it ran on."""


class Turn(Protocol):
    """A timed turn of a cell: a `Sample`, or a round of `run`, whose fields these are."""

    # As properties: a field of a frozen struct can be read only.
    @property
    def round(self) -> int: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102
    @property
    def exchanged(self) -> int: ...  # noqa: D102
    @property
    def wall_ns(self) -> int: ...  # noqa: D102
    @property
    def cpu_ns(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> Sequence[tuple[int, int]]: ...  # noqa: D102
    @property
    def aside(self) -> bool: ...  # noqa: D102


T = TypeVar("T", bound=Turn)


def by_cell(samples: Iterable[Sample]) -> dict[Key, list[Sample]]:
    """Return the samples of each cell on each host, in the order in which they are given."""
    found: dict[Key, list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.cell, sample.host), []).append(sample)
    return found


def final(turns: Iterable[T]) -> list[T]:
    """Return of each turn of one cell the attempt that counts, in the order of rounds: the first clean one.

    By the mark that whoever measured has made: the limit was his. If there is none, the one that had most of its CPU.
    """
    rounds: dict[int, list[T]] = {}
    for turn in sorted(turns, key=lambda each: (each.round, each.attempt)):
        rounds.setdefault(turn.round, []).append(turn)
    return [next((each for each in tried if not each.aside), min(tried, key=off_cpu)) for tried in rounds.values()]


def counted(turns: Iterable[T]) -> list[T]:
    """Return the turns that figures of one cell are made of.

    Those that stayed pushed aside are left out where most turns were not; else all stand, and `trust.clean` says of
    their marks that nothing can be made of them.
    """
    last = final(turns)
    if not trust.clean([turn.aside for turn in last]):
        return last
    return [turn for turn in last if not turn.aside]


def costs(turns: Iterable[Turn], clock: Clock) -> dict[int, float]:
    """Return nanoseconds per pair that was exchanged, or by the clock `cost` those lost per access, by round.

    A turn that exchanged none has no cost, nor has one in which the clock has not moved.
    """
    times = ((turn, *_measured(turn, clock)) for turn in turns)
    return {turn.round: ns / n for turn, ns, n in times if n and ns > 0}


def _measured(turn: Turn, clock: Clock) -> tuple[int, int]:
    """Nanoseconds, and of how many pairs or accesses."""
    if clock == "cost":
        tier = turn.tier if isinstance(turn, Sample) else None
        return (tier.cost_ns, tier.accesses) if tier is not None else (0, 0)
    return (turn.cpu_ns if clock == "cpu" else turn.wall_ns), turn.exchanged


def off_cpu(turn: Turn) -> float:
    """Return the share of its time in which a turn had no CPU, 0 to 1."""
    return trust.off_cpu(turn.threads or ((turn.wall_ns, turn.cpu_ns),))
