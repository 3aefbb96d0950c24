"""How fast pages are exchanged: strategies with everything on, bare loops, and the limits, on the same pairs.

    python benchmarks/bench_exchange.py            # 1 MiB, 32 MiB and 1 GiB; takes a minute or two
    python benchmarks/bench_exchange.py --quick

One thread, pairs in random order, 4 KiB folios unless --order says otherwise. Each size is a table of its own: in cache
and from DRAM the winners differ, so sizes are never averaged. Within a round the cells run in an order shuffled by the
seed; a cell's ratio is taken round by round against the RFC's loop of the same round. Only the ratios mean anything on
another machine. CPU time is the thread's own; wall time beside it shows how busy the machine was.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pagexchange.arena import hugepages
from pagexchange.arena.arena import Arena
from pagexchange.model.sizes import format_size, parse_size
from pagexchange_native.bench import time_loop
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.steps import COSTS
from pagexchange_native.movers.mover import NullMover, available_isas
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT = "list-exchange"
LIMIT = 1.20  # of the default strategy, in the time of the RFC's loop
WORK = 32 << 20  # bytes that one sample moves at least: small sets are exchanged again and again
RFC = "RFC u64 loop"

Run = Callable[[], tuple[int, int]]
"""Runs all pairs once; returns CPU and wall nanoseconds."""


@dataclass
class Cell:
    """One row of a table."""

    kind: str
    name: str
    run: Run
    cpu: list[float] = field(default_factory=list)
    """ns per pair, one a round."""
    wall: list[float] = field(default_factory=list)


def make_arena(size: int, order: int) -> tuple[Arena, NDArray[np.int64]]:
    """An arena of two equal nodes full of pages, half of them of a file and half anonymous, all of them in pairs."""
    frames = size // 4096
    folios = frames // 2 >> order
    arena = Arena.create(
        nodes=[("fast", frames // 2 + 256), ("slow", frames // 2 + 256)], watermarks=(0, 0, 0), huge="thp"
    )
    rng = np.random.default_rng(1)
    file, space = arena.new_mapping("bench"), arena.new_space("bench")
    sides = []
    for number, node in enumerate(("fast", "slow")):
        pfns = arena.alloc(node, folios, order)
        where = np.arange(number * folios, (number + 1) * folios, dtype=np.int64) << order
        half = rng.permutation(folios) < folios // 2
        arena.cache_add(file, where[half], pfns[half])
        arena.map(space, where[~half], pfns[~half])
        sides.append(rng.permutation(pfns))
    arena.frames[:] = 1  # every page is there before anything is timed
    return arena, np.ascontiguousarray(np.column_stack(sides))


def bare(
    arena: Arena, pairs: NDArray[np.int64], order: int, loop: str, isa: str = "auto", prefetch: bool = False
) -> Run:
    """A loop without any engine."""
    frames = arena.frames
    return lambda: time_loop(loop, frames, pairs, isa=isa, prefetch=prefetch, order=order)


def timed(call: Callable[[], object]) -> tuple[int, int]:
    """CPU time of this thread, and wall time."""
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    call()
    return time.thread_time_ns() - cpu, time.perf_counter_ns() - wall


def strategy(arena: Arena, pairs: NDArray[np.int64], name: str, parts: list[dict[str, int]]) -> Run:
    """A strategy of the shipped file, as a user calls it."""

    def call() -> None:
        result = arena.exchange(pairs, name)
        result.raise_for_status()
        parts.append(result.ns)

    return lambda: timed(call)


def null(arena: Arena, pairs: NDArray[np.int64]) -> Run:
    """The engine with everything on and no data moved: what it costs itself."""
    engine = Exchanger(arena, MaskedWord(arena.layout.native()["swap"]), [NullMover()], XArrayCursor())
    status = np.empty(len(pairs), np.int32)

    def call() -> None:
        engine.exchange(pairs, status)
        if status.any():
            raise RuntimeError(f"null: {np.count_nonzero(status)} pairs were refused")

    return lambda: timed(call)


def cells_of(
    arena: Arena, pairs: NDArray[np.int64], order: int, strategies: list[str], parts: dict[str, list[dict[str, int]]]
) -> list[Cell]:
    """All rows for one size."""
    cells = [Cell("2019", RFC, bare(arena, pairs, order, "rfc"))]
    cells.append(Cell("2019", "the same, vectorised by the compiler", bare(arena, pairs, order, "auto")))
    cells.append(Cell("2019", "temporary page, three memcpy", bare(arena, pairs, order, "copy3")))
    for isa in available_isas():
        cells.append(Cell("bare", f"in place, {isa}", bare(arena, pairs, order, "bare", isa)))
    best = available_isas()[0]
    cells.append(Cell("bare", f"in place, {best}, prefetch", bare(arena, pairs, order, "bare", best, True)))
    cells.append(Cell("bare", f"under the log, {best}", bare(arena, pairs, order, "undo", best)))
    cells.append(Cell("bare", f"under the log, {best}, prefetch", bare(arena, pairs, order, "undo", best, True)))
    for name in strategies:
        cells.append(Cell("strategy", name, strategy(arena, pairs, name, parts.setdefault(name, []))))
    cells.append(Cell("engine", "null: the engine, no data", null(arena, pairs)))
    cells.append(Cell("limit", f"read both, {best}, prefetch", bare(arena, pairs, order, "read", best, True)))
    cells.append(Cell("limit", "memcpy of as many bytes", bare(arena, pairs, order, "memcpy")))
    return cells


def interval(samples: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float, float]:
    """Median and its 95 % bootstrap interval."""
    drawn = np.median(rng.choice(samples, (2000, len(samples))), axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.median(samples)), float(low), float(high)


def measure(size: int, args: argparse.Namespace, rng: np.random.Generator) -> dict[str, Any]:
    """Run all cells of one size; return its table."""
    arena, pairs = make_arena(size, args.order)
    huge = hugepages.mapped(arena)
    parts: dict[str, list[dict[str, int]]] = {}
    cells = cells_of(arena, pairs, args.order, args.strategies, parts)
    moved = len(pairs) * 2 * (4096 << args.order)
    repeats = max(1, WORK // moved)
    shuffle = random.Random(f"{args.seed}/{size}")
    for turn in range(args.rounds + 1):
        for cell in shuffle.sample(cells, len(cells)):
            total = np.sum([cell.run() for _ in range(1 if turn == 0 else repeats)], axis=0)
            if turn:  # the first round warms up
                cell.cpu.append(float(total[0]) / repeats / len(pairs))
                cell.wall.append(float(total[1]) / repeats / len(pairs))
    base = np.array(next(cell.cpu for cell in cells if cell.name == RFC))
    rows = []
    for cell in cells:
        ns, low, high = interval(np.array(cell.cpu), rng)
        ratio, ratio_low, ratio_high = interval(np.array(cell.cpu) / base, rng)
        rows.append(
            {
                "kind": cell.kind, "name": cell.name, "ns": ns, "ns_low": low, "ns_high": high,
                "wall_ns": float(np.median(cell.wall)), "ratio": ratio, "ratio_low": ratio_low,
                "ratio_high": ratio_high, "samples": cell.cpu,
            }
        )  # fmt: skip
    return {
        "bytes": size,
        "huge_bytes": huge,
        "pairs": len(pairs),
        "order": args.order,
        "rows": rows,
        "parts": {
            name: {part: float(np.median([ns[part] for ns in seen])) / len(pairs) for part in COSTS}
            for name, seen in parts.items()
        },
    }


def show(table: dict[str, Any]) -> None:
    """Print one size."""
    folio = format_size(4096 << table["order"])
    huge = table["huge_bytes"]
    backing = "" if huge is None else f", {format_size(huge) if huge else 'nothing'} of it in huge pages"
    print(f"\n{format_size(table['bytes'])}{backing}, {table['pairs']} pairs of {folio}, random order, one thread")
    print(f"  {'':42}{'CPU ns/pair':>12}  {'95 %':>15}{'wall':>9}   ratio to the RFC's loop")
    kind = ""
    for row in table["rows"]:
        label = row["kind"] if row["kind"] != kind else ""
        kind = row["kind"]
        span = f"{row['ns_low']:.0f} - {row['ns_high']:.0f}"
        ratio = f"{row['ratio']:.2f}  ({row['ratio_low']:.2f} - {row['ratio_high']:.2f})"
        print(f"  {label:10}{row['name']:34}{row['ns']:>10.0f}  {span:>15}{row['wall_ns']:>9.0f}   {ratio}")
    for name, parts in table["parts"].items():
        split = ", ".join(f"{part} {ns:.0f}" for part, ns in parts.items())
        print(f"  {name}, wall ns/pair: {split}")


def acceptance(table: dict[str, Any]) -> tuple[str, bool]:
    """Return the line that the project is held to, and whether it holds."""
    ratio = next(row["ratio"] for row in table["rows"] if row["name"] == DEFAULT)
    folio = format_size(4096 << table["order"])
    where = f"{folio} pairs, random order, {table['bytes'] / (1 << 30):g} GiB, one thread"
    held = ratio <= LIMIT
    how = "within" if held else "ABOVE"
    return f"default strategy / RFC u64 loop = {ratio:.2f} ({how} the limit, {LIMIT:.2f}), {where}", held


def main() -> int:
    """Measure, print a table per size and the acceptance line; 1 when the default strategy is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument(
        "--sizes", default="1 MiB,32 MiB,1 GiB", help="working sets, the largest decides (default: %(default)s)"
    )
    parser.add_argument("--order", type=int, default=0, help="folios of 2^ORDER base pages, 0 to 9")
    parser.add_argument("--rounds", type=int, default=11, help="samples of each cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--strategies", default="list-exchange,word-swap,copy-page,rfc-2019", help="of the shipped file"
    )
    parser.add_argument("--quick", action="store_true", help="1 MiB and 64 MiB, three rounds: to see that it works")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, raw samples included, and nothing else"
    )
    args = parser.parse_args()
    if not 0 <= args.order <= 9 or args.rounds < 1:
        parser.error("--order goes from 0 to 9, --rounds from 1")
    if args.quick:
        args.sizes, args.rounds = "1 MiB,64 MiB", 3
    try:
        sizes = sorted({parse_size(text) for text in args.sizes.split(",")})
    except ValueError as error:
        parser.error(str(error))
    least = 16384 << args.order
    if sizes[0] < least or any(size % least for size in sizes):
        parser.error(f"--sizes: each must be a multiple of {format_size(least)}, two pairs")
    args.strategies = [name for name in args.strategies.split(",") if name]
    if DEFAULT not in args.strategies:
        args.strategies.insert(0, DEFAULT)
    rng = np.random.default_rng(args.seed)
    tables = []
    for size in sizes:
        tables.append(measure(size, args, rng))
        if not args.json:
            show(tables[-1])
    line, held = acceptance(tables[-1])
    if args.json:
        print(json.dumps({"schema": 1, "seed": args.seed, "tables": tables, "acceptance": line}))
    else:
        print(f"\n{line}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
