"""Run the benchmark: `python -m benchmarks`, some minutes; `--quick` for less than two.

One process, one thread unless a row says two, CPU time of the thread, random pairs, a new list for each sample. All
cells of an arena take turns in an order drawn by the seed, and a ratio is taken round by round, so that what the
machine does meanwhile hits both sides of it. Exit code 1 when a row is beyond its limit with its whole 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report import as_json, failed, rows_as_text, table_as_text
from benchmarks.run import Plan, run
from pagexchange.runs.environment import collect, lines
from pagexchange_native.movers.mover import available_isas


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter lists, the cells of the rows only")
    parser.add_argument("--large", action="store_true", help="also an arena of 16 GiB, where 19 GiB are available")
    parser.add_argument("--only", metavar="WORD", default="", help="the rows with WORD in their key or text")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write everything, with all samples")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _machine(environment: dict[str, Any]) -> str:
    """The facts without which no ratio can be read."""
    facts = dict(lines(environment))
    wanted = ("CPU", "caches", "CPUs online / usable", "huge pages, shared", "Linux", "load")
    return "\n".join([*(f"{what:22}{facts[what]}" for what in wanted), f"{'widest registers':22}{available_isas()[0]}"])


def main() -> int:
    """Measure, print, and say by the exit code whether a row is beyond its limit."""
    args = _arguments()
    plan = Plan.quick(args.seed) if args.quick else Plan.full(args.seed)
    start, environment = time.monotonic(), collect()
    rows, tables = run(plan, word=args.only, large=args.large, say=lambda text: print(text, file=sys.stderr))
    if not rows:
        print(f"--only {args.only}: no row has this word", file=sys.stderr)
        return 2
    print(_machine(environment))
    print(f"{'load at the end':22}{dict(lines(collect()))['load']}", end="\n\n")
    for table in tables:
        print(table_as_text(table), end="\n\n")
    print(rows_as_text(rows))
    if args.json:
        facts = {"seed": args.seed, "seconds": round(time.monotonic() - start, 1), "environment": environment}
        args.json.write_text(json.dumps(as_json(rows, tables, facts), indent=1) + "\n")
    return 1 if failed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
