"""What became of each fact about pages that were moved there and back: kept, lost, gained, changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Facts = Mapping[str, int]
"""What is true of a page at one moment: a flag that is set (1), the value of a field or of a counter."""

Table = dict[str, dict[str, str]]
"""Population -> verdict -> the facts of which it holds, in alphabetical order."""


def verdict(name: str, moments: Sequence[Facts]) -> str:
    """One fact about one page over all moments: `kept`; or a word for each move, as `gained, kept`; -: not there."""
    words = [_moved(before.get(name), after.get(name)) for before, after in pairwise(moments)]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _moved(before: int | None, after: int | None) -> str:
    if before is None:
        return "-" if after is None else "gained"
    return "lost" if after is None else "kept" if after == before else "changed"


def verdicts(pages: Iterable[Sequence[Facts]]) -> dict[str, str]:
    """Verdict -> facts of which it holds on every page that ever has them; where pages differ, the verdict counts."""
    found: dict[str, Counter[str]] = {}
    for moments in pages:
        for name in set().union(*moments):
            found.setdefault(name, Counter())[verdict(name, moments)] += 1
    by_verdict: dict[str, list[str]] = {}
    for name, counts in sorted(found.items()):
        said = (
            next(iter(counts)) if len(counts) == 1 else "; ".join(f"{n} {word}" for word, n in sorted(counts.items()))
        )
        by_verdict.setdefault(said, []).append(name)
    return {said: " ".join(names) for said, names in sorted(by_verdict.items())}


def cells(table: Table) -> dict[tuple[str, str], str]:
    """(population, fact) -> verdict; what is said of a whole population stands under its own name."""
    found = {}
    for population, row in table.items():
        for said, names in row.items():
            if said in WHOLE:
                found[population, said] = names
            else:
                found.update({(population, name): said for name in names.split()})
    return found


WHOLE = ("moved", "none", "/proc/kpageflags")
"""Rows about a population and not about its facts."""
