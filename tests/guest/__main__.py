"""`python -m tests.guest [-- COMMAND ...]`: a guest with NUMA nodes runs one command, or all of tests/guest/inside."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.guest import machine, root
from tests.guest.errors import SkippedError
from tests.guest.parts import parts

FOLDER = Path(__file__).parents[2] / "build" / "guest"
SKIPPED = 75  # EX_TEMPFAIL of sysexits.h


def main() -> int:
    """Return the command's exit code; 75: no guest can be had here; 1: it did not come to an end."""
    parser = argparse.ArgumentParser(prog="python -m tests.guest", description=__doc__)
    parser.add_argument("--linux", default="6.12", help="series of the guest's kernel")
    parser.add_argument("--seconds", type=float, default=1800, help="after which the guest is stopped")
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
    command = given.command or ["python", "-P", "-m", "tests.guest.inside"]
    outcome = machine.run(made, disk, command, FOLDER / "run", seconds=given.seconds)
    print(f"guest: {time.monotonic() - began:.0f} s in all; console and results are in {FOLDER / 'run'}")
    return 1 if outcome.code is None else outcome.code


if __name__ == "__main__":
    sys.exit(main())
