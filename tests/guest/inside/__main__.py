"""What runs in the guest: each of pagexchange's commands that depends on the machine, one after the other."""

from __future__ import annotations

import subprocess
import sys
import time

COMMANDS = (
    "pagexchange env",
    "pagexchange snapshot /guest/taken.pgxsnap",
    "pagexchange run --live --pairs 64 --rounds 1",
)


def main() -> int:
    """Return how many of the commands failed."""
    failed = 0
    for command in COMMANDS:
        print(f"\n-- {command}", flush=True)
        began = time.monotonic()
        code = subprocess.run(command.split()).returncode
        print(f"-- exit code {code} after {time.monotonic() - began:.0f} s", flush=True)
        failed += code not in (0, 6)  # 6: the machine was busy, and the table says so
    return failed


if __name__ == "__main__":
    sys.exit(main())
