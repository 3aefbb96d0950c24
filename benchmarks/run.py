"""The whole run: one arena after the other, the rows that need several, and what cannot be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.call_path import calls_of
from benchmarks.cells import LIST, NULL, RFC, samples_of, shape
from benchmarks.large import large_against_small
from benchmarks.records import records
from benchmarks.recovery import recovery
from benchmarks.report import Line, Table, line
from benchmarks.rounds import interleave
from benchmarks.rows import (
    CALL_ROWS,
    CELL_ROWS,
    GIB,
    LARGE,
    MIB,
    PEERS,
    RECORDS,
    RECOVERY,
    TABLES,
    THREADS_LIST,
    THREADS_NULL,
    TIER_LOOP,
    TIER_LOOP_64K,
    TIER_TOUCH,
    CellRow,
    Row,
)
from benchmarks.threads import two_against_one
from benchmarks.tier import tier
from pagexchange.bench.scenes import Scene, Setting
from pagexchange.model.sizes import format_size

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seed: int
    rounds: int
    """Of arenas that do not fit into a cache."""
    cached_rounds: int
    repeats: int
    """Samples of a cell in each round of an arena that does."""
    seconds: float
    """For each arena, and for each row of two threads, at most: then there are fewer rounds."""
    peers: bool
    """All cells for the settings of `TABLES`, not only those of the rows."""
    share: int
    """The part of all pairs in a sample from DRAM: 1/share."""

    @classmethod
    def full(cls, seed: int) -> Plan:
        """Some minutes."""
        return cls(seed, rounds=21, cached_rounds=31, repeats=5, seconds=40.0, peers=True, share=1)

    @classmethod
    def quick(cls, seed: int) -> Plan:
        """Less than two."""
        return cls(seed, rounds=9, cached_rounds=11, repeats=3, seconds=6.0, peers=False, share=4)


def run(plan: Plan, word: str, large: bool, say: Say) -> tuple[list[Line], list[Table]]:
    """Measure all rows with the word in their key or text, and the tables that they need."""
    wanted = [row for row in CELL_ROWS if _asked(row, word)]
    peers = plan.peers and not word
    settings = list(dict.fromkeys([row.setting for row in wanted] + (list(TABLES) if peers else [])))
    tables: list[Table] = []
    lines: dict[str, Line] = {}
    for setting in settings:
        say(f"{setting} ...")
        rows = [row for row in wanted if row.setting == setting]
        scene = Scene(setting, plan.seed)
        table = measure(scene, plan, rows, PEERS if peers and setting in TABLES else ())
        tables.append(table)
        lines.update((row.key, judged(row, table)) for row in rows)
    found = [lines[row.key] for row in wanted]
    found += _calls(plan, word, say)
    found += _threads(plan, word, say)
    found += _records(plan, word, say)
    found += _others(plan, word, large, say)
    return found, tables


def _asked(row: Row, word: str) -> bool:
    return word in row.key or word in row.what or word in row.against


def measure(scene: Scene, plan: Plan, rows: Iterable[CellRow], peers: Iterable[str]) -> Table:
    """Time the cells of some rows on one scene, and their peers."""
    setting = scene.setting
    names = [*peers, *(name for row in rows for name in (row.above, row.below))]
    cached = setting.size <= 32 * MIB
    samples = interleave(
        samples_of(scene, dict.fromkeys((RFC, *names)), plan.share),
        plan.cached_rounds if cached else plan.rounds,
        plan.repeats if cached else 1,
        f"{plan.seed}/{setting}",
        plan.seconds,
    )
    return Table(setting, scene.huge_bytes, shape(setting, plan.share)[0], samples)


def judged(row: CellRow, table: Table) -> Line:
    """Return a row with what its table says."""
    size, huge = row.setting.size, table.huge_bytes
    if row.needs_huge and (huge is None or 2 * huge < size):
        came = "Linux does not say what came" if huge is None else f"{format_size(huge)} of {format_size(size)} came"
        return line(row, f"huge pages: {came}")
    return line(row, (table.samples[row.above], table.samples[row.below]))


def _calls(plan: Plan, word: str, say: Say) -> list[Line]:
    wanted = [row for row in CALL_ROWS if _asked(row, word)]
    if not wanted:
        return []
    say("calls with few pairs ...")
    scene = Scene(Setting("half", MIB), plan.seed)
    samples = {
        pairs: interleave(
            calls_of(scene, pairs), plan.cached_rounds, plan.repeats, f"{plan.seed}/{pairs}", plan.seconds
        )
        for pairs in sorted({row.pairs for row in wanted})
    }
    found = []
    for row in wanted:
        medians = samples[row.pairs]
        found.append(line(row, (medians[row.way], [row.loops * ns for ns in medians[RFC]])))
    return found


def _threads(plan: Plan, word: str, say: Say) -> list[Line]:
    rows = [(row, cell) for row, cell in ((THREADS_NULL, NULL), (THREADS_LIST, LIST)) if _asked(row, word)]
    if not rows:
        return []
    say("two threads ...")
    scene = Scene(Setting("half", GIB), plan.seed)
    return [line(row, two_against_one(scene, cell, 2 * plan.rounds, plan.seconds)) for row, cell in rows]


def _records(plan: Plan, word: str, say: Say) -> list[Line]:
    rows = {name: row for name, row in RECORDS.items() if _asked(row, word)}
    if not rows:
        return []
    say("undo records ...")
    samples = records(plan.rounds, plan.seed)
    return [line(row, samples[name]) for name, row in rows.items()]


def _others(plan: Plan, word: str, large: bool, say: Say) -> list[Line]:
    found = []
    if _asked(LARGE, word):
        say("16 GiB ..." if large else "16 GiB: left out")
        found.append(line(LARGE, large_against_small(plan.rounds, plan.seed) if large else "only with --large"))
    if _asked(RECOVERY, word):
        say("recovery ...")
        found.append(line(RECOVERY, recovery(plan.cached_rounds, plan.repeats, plan.seed)))
    tiers = [row for row in (TIER_LOOP, TIER_TOUCH) if _asked(row, word)]
    if tiers:
        say("a tier ...")
        samples = tier(plan.cached_rounds, plan.seed)
        found += [line(row, samples[row.key]) for row in tiers]
    if _asked(TIER_LOOP_64K, word):
        found.append(line(TIER_LOOP_64K, tier(plan.cached_rounds, plan.seed, order=4)[TIER_LOOP.key]))
    return found
