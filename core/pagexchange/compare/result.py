"""What a comparison says, as plain values: `pagexchange compare --json` prints them.

Fields may be added within a schema.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from pagexchange.samples.schema import Clock, Kind

SCHEMA: Final = 1

Verdict: TypeAlias = Literal["faster", "slower", "level", "unclear"]
"""faster, slower: beyond noise, and by more than the threshold. level: nothing that counts, and the runs are good
enough to say so. unclear: they are not."""

Point: TypeAlias = dict[str, str | int | float | bool]


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that is not the same on both sides."""

    kind: Literal["environment", "versions", "configuration", "input", "run"]
    what: str
    """Dotted name, as `cpu.model`."""
    old: str
    """Empty: not there."""
    new: str


class Change(Struct, frozen=True, kw_only=True):
    """A cell of both sides. Times are nanoseconds per pair that was exchanged, by `clock`."""

    name: str
    kind: Kind
    point: Point
    host: str
    """As the old side calls it."""
    clock: Clock
    old_ns: float
    """Geometric mean of the runs' medians."""
    new_ns: float
    ratio: float
    """New to old: above 1 is slower; what `against` did is taken out."""
    low: float | None
    """95 %; null: there is one round, and nothing says how sure it is."""
    high: float | None
    verdict: Verdict
    repeated: bool
    """Both halves of the runs say the same, each beyond the threshold."""
    against: list[str]
    """Limits and peers that were measured beside it on both sides; what the machine did to them is taken out."""
    reason: str = ""
    """Why it is unclear, where it is not the noise."""


class Mean(Struct, frozen=True, kw_only=True):
    """The geometric mean of the strategies' ratios."""

    ratio: float
    low: float | None
    high: float | None
    verdict: Verdict
    cells: int


class Missing(Struct, frozen=True, kw_only=True):
    """A cell of one side."""

    name: str
    kind: Kind
    point: Point
    side: Literal["old", "new"]
    reason: str
    """Why the other side has no time of it."""


class Outcome(Struct, frozen=True, kw_only=True):
    """A cell whose pages fared differently on the two sides."""

    name: str
    point: Point
    old: str
    new: str


class Comparison(Struct, frozen=True, kw_only=True):
    """All of it."""

    schema: int = SCHEMA
    old: list[str]
    """Folders, in the order in which they were made."""
    new: list[str]
    threshold: float
    """The least difference that counts, as a share."""
    differences: list[Difference]
    cells: list[Change]
    mean: Mean | None
    missing: list[Missing]
    outcomes: list[Outcome]
    warnings: list[str]
    ci: bool = False
    failed: list[int] = []
    """With `--ci`: places in `cells` of those that are slower, and repeated."""
