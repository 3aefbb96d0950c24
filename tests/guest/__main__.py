"""`python -m tests.guest [-- COMMAND ...]`: a guest with NUMA nodes runs one command, or all of tests/guest/inside."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.guest import golden, judge, machine, root
from tests.guest.errors import SkippedError
from tests.guest.parts import parts

FOLDER = Path(__file__).parents[2] / "build" / "guest"
SKIPPED = 75  # EX_TEMPFAIL of sysexits.h


def main() -> int:
    """Return the command's exit code; 75: no guest can be had here; 1: it did not come to an end."""
    parser = argparse.ArgumentParser(prog="python -m tests.guest", description=__doc__)
    parser.add_argument("--linux", default="6.12", help="series of the guest's kernel")
    parser.add_argument("--seconds", type=float, default=1800, help="after which the guest is stopped")
    parser.add_argument(
        "--flags", action="store_true", help="only the moves of pages, and none of pagexchange's commands"
    )
    parser.add_argument(
        "--accept", action="store_true", help="keep what the guest shows as the golden table of its series"
    )
    parser.add_argument("command", nargs="*", help="what to run there instead of the tests")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = parts(FOLDER, given.linux)
        disk = root.image(FOLDER)
    except SkippedError as error:
        print(f"SKIPPED: no guest: {error}", file=sys.stderr)
        return SKIPPED
    print(f"guest: Linux {made.version}, ready to boot after {time.monotonic() - began:.0f} s", flush=True)
    command = given.command or ["python", "-P", "-m", "tests.guest.inside", *(["--flags"] if given.flags else [])]
    outcome = machine.run(made, disk, command, FOLDER / "run", seconds=given.seconds)
    wrong = 0
    if outcome.code is not None and not given.command:
        seen = judge.read(outcome.results)
        if given.accept:
            here = golden.Golden(made.version, "linux-6.18" if "owner_2" in seen.layout else "linux-5.0", seen.tables)
            print(f"golden table: {golden.save(given.linux, here)}")
        wrong = judge.judge(given.linux, seen)
    print(f"\nguest: {time.monotonic() - began:.0f} s in all; console and results are in {FOLDER / 'run'}")
    if outcome.code is None:
        said = (FOLDER / "run" / "console").read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        print(f"guest: it did not come to an end: see its console, which ends with {said!r}", file=sys.stderr)
    return 1 if outcome.code is None or wrong else outcome.code


if __name__ == "__main__":
    sys.exit(main())
