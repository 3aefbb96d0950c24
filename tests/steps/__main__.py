"""The table of states by phase; exit status 1 when one is not recovered, or the control finds too little to recover."""

import argparse
import sys
import time

import numpy as np

from tests.steps.deaths import CONTROL, Deaths, die
from tests.steps.judge import Native, Nobody, Python, Survivor
from tests.steps.rows import ROWS

PHASES = ("idle", "undo", "intent", "data", "tails", "back", "meta", "again")


def cell(deaths: Deaths, phase: str) -> str:
    """States, then how many of those that were looked at are lost: native, Python."""
    if not deaths.seen[phase]:
        return ""
    lost = "/".join(str(deaths.lost[who][phase]) for who in ("native", "python"))
    return f"{deaths.seen[phase]}: {lost}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.steps", description=__doc__)
    parser.add_argument(
        "--share", type=float, default=1.0, help="part of the states in DATA and BACK that is looked at"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name has one of these in it")
    parser.add_argument(
        "--again", action="store_true", help="also a death in the recovery from one state of each phase"
    )
    parser.add_argument("--reasons", type=int, default=3, help="how many lost states of a row are explained")
    options = parser.parse_args(arguments)
    survivors: dict[str, Survivor] = {"native": Native(), "python": Python(), CONTROL: Nobody()}
    random = np.random.default_rng(options.seed)
    print("states seen: not recovered by the native core/by the Python recoverer; control: not whole without recovery")
    print(f"{'':34}" + "".join(f"{phase:>14}" for phase in PHASES) + f"{'control':>16}")
    failed, weak = 0, 0
    for name in ROWS:
        if not any(part in name for part in options.only):
            continue
        start = time.monotonic()
        deaths = die(name, survivors, options.share, random, again=options.again)
        tried, control = deaths.tried.total(), deaths.lost[CONTROL].total()
        row = "".join(f"{cell(deaths, phase):>14}" for phase in PHASES)
        print(f"{name:34}{row}{f'{control} of {tried}':>16}  {time.monotonic() - start:.0f} s", flush=True)
        for who in ("native", "python"):
            failed += deaths.lost[who].total()
        weak += control * 2 < tried
        reasons = [reason for reason in deaths.reasons if f", {CONTROL}: " not in reason]
        print(*(f"    {reason}" for reason in reasons[: options.reasons]), sep="\n", end="\n" if reasons else "")
    print(f"seed {options.seed}, share {options.share:g}; {failed} not recovered; rows with a weak control: {weak}")
    return 1 if failed or weak else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
