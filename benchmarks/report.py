"""What a run found: the rows with their verdicts, a table of cells for each arena, the same as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.cells import BARE, NULL, RFC, WORDS
from benchmarks.ratios import Ratio, ratio, spread
from benchmarks.rows import Row
from pagexchange.bench.scenes import Setting
from pagexchange.model.sizes import format_size


@dataclass(frozen=True, slots=True)
class Line:
    """A row and what was found."""

    row: Row
    ratio: Ratio | None
    why: str = ""
    """Why there is no ratio."""

    @property
    def verdict(self) -> str:
        """One of within, unclear, beyond, not measured."""
        return self.ratio.verdict(self.row.limit) if self.ratio else "not measured"


@dataclass(frozen=True, slots=True)
class Table:
    """All cells of one arena."""

    setting: Setting
    huge_bytes: int | None
    """Bytes of frames in huge pages; None where Linux does not say."""
    pairs: int
    samples: dict[str, list[float]] = field(repr=False)
    """ns per pair by cell, one a round."""


def line(row: Row, samples: tuple[Sequence[float], Sequence[float]] | str) -> Line:
    """Judge a row by the samples above and below the line of its ratio, or say why there are none."""
    return Line(row, None, samples) if isinstance(samples, str) else Line(row, ratio(*samples))


def failed(lines: Sequence[Line]) -> bool:
    """Whether a row is beyond its limit with its whole interval."""
    return any(found.verdict == "beyond" for found in lines)


def rows_as_text(lines: Sequence[Line]) -> str:
    """Return the table of rows."""
    head = f"{'what':42}{'against':28}{'ratio':>7}  {'95 %':13}{'at most':>8}  verdict"
    return "\n".join([head, *(_line(found) for found in lines)])


def _line(found: Line) -> str:
    row = found.row
    names = f"{row.what:42}{row.against:28}"
    if found.ratio is None:
        return f"{names}{'-':>7}  {'':13}{row.limit:>8.2f}  not measured: {found.why}"
    span = f"{found.ratio.low:.3f}-{found.ratio.high:.3f}"
    return f"{names}{found.ratio.value:>7.3f}  {span:13}{row.limit:>8.2f}  {found.verdict}"


def floor(samples: Mapping[str, Sequence[float]]) -> tuple[str, list[float]] | None:
    """Return the fastest bare exchange's name, and its time plus that of the engine alone, by round.

    What an exchange with everything on can hardly be below. None where the table has not both.
    """
    bare = [name for name in BARE if name in samples]
    if not bare or NULL not in samples:
        return None
    fastest = min(bare, key=lambda name: statistics.median(samples[name]))
    return fastest, [a + b for a, b in zip(samples[fastest], samples[NULL], strict=True)]


def table_as_text(table: Table) -> str:
    """Return one arena's cells with their time and their ratio to the loop of 2019."""
    huge = table.huge_bytes
    came = "unknown" if huge is None else format_size(huge) if huge else "none"
    rounds = len(table.samples[RFC])
    lines = [
        f"{table.setting} ({came} in huge pages), {rounds} rounds of {table.pairs} pairs",
        f"  {'':20}{'ns/pair':>10}  ratio to the {RFC}",
    ]
    shown = [(name, samples, WORDS[name]) for name, samples in table.samples.items()]
    if least := floor(table.samples):
        shown.append(("floor", least[1], f"{least[0]} + {NULL}: the sum of the two parts"))
    for name, samples, words in shown:
        against = ratio(samples, table.samples[RFC])
        span = f"{against.value:.3f} ({against.low:.3f}-{against.high:.3f})"
        lines.append(f"  {name:20}{spread(samples).value:>10.0f}  {span:21}  {words}")
    return "\n".join(lines)


def as_json(lines: Sequence[Line], tables: Sequence[Table], facts: dict[str, Any]) -> dict[str, Any]:
    """Return everything, raw samples included."""
    return {
        "schema": 2,
        **facts,
        "rows": [
            {
                "key": found.row.key,
                "what": found.row.what,
                "against": found.row.against,
                "limit": found.row.limit,
                "ratio": asdict(found.ratio) if found.ratio else None,
                "verdict": found.verdict,
                "why": found.why,
            }
            for found in lines
        ],
        "tables": [
            {
                "setting": str(table.setting),
                **asdict(table.setting),
                "huge_bytes": table.huge_bytes,
                "pairs": table.pairs,
                "ns_per_pair": table.samples,
            }
            for table in tables
        ],
    }
