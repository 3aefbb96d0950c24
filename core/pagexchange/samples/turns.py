"""Which samples a cell's figures are made of, and what each of them says: nanoseconds per pair, by one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pagexchange.measure import trust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pagexchange.samples.schema import Clock, Sample

Key: TypeAlias = tuple[str, str]
"""A cell's id, and the host that it ran on."""


def by_cell(samples: Iterable[Sample]) -> dict[Key, list[Sample]]:
    """Return the samples of each cell on each host, in the order in which they are given."""
    found: dict[Key, list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.cell, sample.host), []).append(sample)
    return found


def final(samples: Iterable[Sample]) -> list[Sample]:
    """Return of each turn of one cell the attempt that counts, in the order of rounds, as `trust.chosen` does.

    By the mark that whoever measured has made: the limit was his.
    """
    rounds: dict[int, list[Sample]] = {}
    for sample in sorted(samples, key=lambda each: (each.round, each.attempt)):
        rounds.setdefault(sample.round, []).append(sample)
    return [next((each for each in turns if not each.aside), min(turns, key=_off_cpu)) for turns in rounds.values()]


def counted(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples that figures of one cell are made of.

    Turns that stayed pushed aside are left out where most turns were not; else all stand, and `trust.clean` says of
    their marks that nothing can be made of them.
    """
    turns = final(samples)
    if not trust.clean([sample.aside for sample in turns]):
        return turns
    return [sample for sample in turns if not sample.aside]


def costs(samples: Iterable[Sample], clock: Clock) -> dict[int, float]:
    """Return nanoseconds per pair that was exchanged, by round; a sample that exchanged none has no cost."""
    return {
        sample.round: (sample.cpu_ns if clock == "cpu" else sample.wall_ns) / sample.exchanged
        for sample in samples
        if sample.exchanged
    }


def _off_cpu(sample: Sample) -> float:
    return trust.off_cpu(sample.threads or ((sample.wall_ns, sample.cpu_ns),))
