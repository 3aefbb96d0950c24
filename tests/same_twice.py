"""Does `compare` cry wolf? Pairs of runs of the same code are compared, for real, and false alarms are counted.

    python -m tests.same_twice --pairs 50                 make the runs, in turns, and compare each pair
    python -m tests.same_twice --kept DIR                 compare those that were made before

A false alarm is a pair in which any cell is called faster or slower. It also says how much the same runs see: with a
slowdown planted in the times of one strategy, of each pair and of sides of several runs, how often it is found, and how
often anything else is blamed. It ends with 1 if more than 2 pairs in 50 are false alarms.
"""

import argparse
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import structs

from pagexchange.compare.cells import series
from pagexchange.compare.compare import compare
from pagexchange.compare.result import Comparison
from pagexchange.compare.sides import Side
from pagexchange.samples.folder import Folder
from pagexchange.samples.reading import contents
from pagexchange.samples.statistics import ratio, relation

STRATEGIES = ("rfc-2019", "copy-page", "word-swap", "list-exchange")
PLANTED = "word-swap"
SYNTHETIC = ("--set", "workload.source=synthetic", "--set", 'arena.nodes={fast="16 MiB", slow="16 MiB"}')
RUN = ("run", "-q", "--rounds", "15", *SYNTHETIC)
BENCH = ("bench", "-q", "--rounds", "9", "--no-verify", "--size", "8388608", "--batch", "128",
         "--peers", "read-both,memcpy,rfc-loop", "--reference", "rfc-loop")  # fmt: skip
SIDES = (1, 2, 5, 10)
SLOWER = (1.1, 1.2, 1.5, 2.0)
ALLOWED = 2 / 50


def make(place: Path, pairs: int, verb: Sequence[str]) -> None:
    """Make the runs of all pairs, one after the other: what a minute is like hits both of a pair."""
    chosen = [word for name in STRATEGIES for word in ("--strategy", name)]
    for number in range(pairs):
        for side in "ab":
            out = str(place / f"{side}-{number:03}")
            command = [sys.executable, "-P", "-m", "pagexchange", *verb, *chosen, "--out", out]
            code = subprocess.run(command, check=False).returncode
            if code not in (0, 6):  # 6: the machine is busy, which is what this is about
                sys.exit(f"{' '.join(command)}: exit code {code}")
        print(f"\rpair {number + 1} of {pairs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def sides(place: Path, runs: int) -> Iterator[tuple[Side, Side]]:
    """Yield pairs of sides of so many runs; no run is in two of them."""
    names = sorted(path.name.partition("-")[2] for path in place.glob("a-*"))
    for start in range(0, len(names) - runs + 1, runs):
        chosen = names[start : start + runs]
        old, new = ([place / f"{side}-{name}" for name in chosen] for side in "ab")
        yield Side.open(old), Side.open(new)


def slowed(side: Side, name: str, factor: float) -> Side:
    """Return a side on which a strategy takes longer."""
    return Side(tuple(_slowed(folder, name, factor) for folder in side.folders))


def _slowed(folder: Folder, name: str, factor: float) -> Folder:
    ids = {cell.id for cell in folder.manifest.cells if cell.name == name}
    whole = contents(folder.path)
    whole.samples = [
        structs.replace(sample, wall_ns=round(sample.wall_ns * factor), cpu_ns=round(sample.cpu_ns * factor))
        if sample.cell in ids
        else sample
        for sample in whole.samples
    ]
    return Folder(folder.path, whole)


def alarms(found: Comparison, but: str = "") -> list[str]:
    """Return the cells that are called faster or slower."""
    return [c.name for c in found.cells if c.verdict in ("faster", "slower") and c.name != but]


def by_rounds(pair: tuple[Side, Side]) -> bool:
    """Whether a pair would be called different if two runs lay no further apart than the rounds of one say."""
    old, new = ({key[1]: one for key, one in series(side, {}, ()).items()} for side in pair)
    ratios = [
        ratio(*(np.exp(list(one.runs[0].values())) for one in (new[name], old[name]) if one.runs[0]))
        for name in old
        if old[name].timed and new[name].timed
    ]
    return any(relation(found) in ("below", "above") for found in ratios)


def width(found: Comparison) -> float:
    """Return by how much a cell must differ to be outside of its interval, as a share: the geometric mean of all."""
    logs = [math.log(cell.high / cell.ratio) for cell in found.cells if cell.high]
    return math.expm1(sum(logs) / len(logs))


def judge(place: Path) -> int:
    """Compare, print what came out, and return the exit code."""
    code = 0
    for runs in SIDES:
        pairs = list(sides(place, runs))
        if not pairs:
            continue
        same = [compare(*pair) for pair in pairs]
        false = [names for found in same if (names := alarms(found))]
        reach = sum(map(width, same)) / len(same)
        failed = sum(bool(compare(*pair, ci=True).failed) for pair in pairs)
        print(
            f"{len(pairs)} pairs of {runs} run(s) a side: {len(false)} false alarms {false or ''}, {failed} with --ci"
        )
        print(f"    95 % intervals reach {reach:.0%} up; of a slowdown of {PLANTED} are found:")
        for factor in SLOWER:
            seen = [compare(old, slowed(new, PLANTED, factor)) for old, new in pairs]
            hits = sum(any(c.name == PLANTED and c.verdict == "slower" for c in found.cells) for found in seen)
            others = sum(bool(alarms(found, but=PLANTED)) for found in seen)
            print(f"    {factor - 1:.0%}: {hits} of {len(pairs)}; in {others} of them another strategy is blamed")
        if runs == 1:
            print(f"    intervals from the rounds of one run alone would call {sum(map(by_rounds, pairs))} different")
        if runs == 1 and len(false) > ALLOWED * len(pairs):
            code = 1
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Make and judge, or judge only."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--bench", action="store_true", help="runs with limits and peers in them, which take longer")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs, which stay there")
    parser.add_argument("--kept", type=Path, help="a folder of runs that were made before")
    given = parser.parse_args(arguments)
    if given.kept:
        return judge(given.kept)
    with tempfile.TemporaryDirectory() as passing:
        place = given.keep or Path(passing)
        make(place, given.pairs, BENCH if given.bench else RUN)
        return judge(place)


if __name__ == "__main__":
    sys.exit(main())
