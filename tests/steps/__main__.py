"""The table of states by phase; exit status 1 when one is not recovered, or the control finds too little to recover."""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.steps.deaths import AGAIN, CONTROL, Deaths, die_by_seed
from tests.steps.rows import ROWS

PHASES = ("idle", "undo", "intent", "data", "help", "tails", "back", "meta", AGAIN)
WIDTH = 19


def cell(deaths: Deaths, phase: str) -> str:
    """States, with those that were looked at if not all; then how many are lost: native, Python."""
    if not deaths.seen[phase]:
        return ""
    lost = "/".join(str(deaths.lost[who][phase]) for who in ("native", "python"))
    tried = "" if deaths.tried[phase] == deaths.seen[phase] else f" ({deaths.tried[phase]})"
    return f"{deaths.seen[phase]}{tried}: {lost}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.steps", description=__doc__)
    parser.add_argument(
        "--share", type=float, default=1.0, help="part of the states in DATA, HELP and BACK that is looked at"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name has one of these in it")
    parser.add_argument(
        "--again", action="store_true", help="also a death in the recovery from one state of each phase"
    )
    parser.add_argument("--reasons", type=int, default=3, help="how many lost states of a row are explained")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="rows at a time")
    options = parser.parse_args(arguments)
    names = [name for name in ROWS if any(part in name for part in options.only)]
    width = max(map(len, names)) + 1
    print("states seen (looked at, if not all): not recovered by the native core/by the Python recoverer")
    print("control: not whole without recovery")
    print(f"{'':{width}}" + "".join(f"{phase:>{WIDTH}}" for phase in PHASES) + f"{'control':>{WIDTH}}")
    failed, weak, all_tried, start = 0, 0, 0, time.monotonic()
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        how = options.seed, options.share, options.again
        submitted = [(name, pool.submit(die_by_seed, name, *how)) for name in names]
        for name, work in submitted:
            deaths, seconds = work.result()
            tried, control = deaths.tried.total(), deaths.lost[CONTROL].total()
            row = "".join(f"{cell(deaths, phase):>{WIDTH}}" for phase in PHASES)
            print(f"{name:{width}}{row}{f'{control} of {tried}':>{WIDTH}}  {seconds:.0f} s", flush=True)
            for who in ("native", "python"):
                failed += deaths.lost[who].total()
            weak += control * 2 < tried
            all_tried += tried
            reasons = [reason for reason in deaths.reasons if f", {CONTROL}: " not in reason]
            print(*(f"    {reason}" for reason in reasons[: options.reasons]), sep="\n", end="\n" if reasons else "")
    took = f"{len(names)} rows, {all_tried} states in {(time.monotonic() - start) / 60:.0f} min"
    print(f"{took}; seed {options.seed}, share {options.share:g}; {failed} not recovered; weak controls: {weak}")
    return 1 if failed or weak else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
