"""In the guest: moves of pages of all kinds, then those of pagexchange's commands that depend on the machine."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = (
    "python -P -m tests.guest.inside.differential classic",
    "python -P -m tests.guest.inside.differential mglru",
)
COMMANDS = (
    "python -P -m tests.guest.inside.real_nodes",
    "python -P -m tests.guest.inside.own_pages",
    "pagexchange env",
    "pagexchange snapshot /guest/taken.pgxsnap",
    "pagexchange run --live --pairs 64 --rounds 1 --strategy list-exchange --strategy rfc-2019",
    f"pagexchange tier {HERE}/tiered.toml",
    f"pagexchange bench {HERE}/tiered.toml --out /guest/bench",
)
BUSY = 6  # the exit code of a run that was pushed aside, and whose times mean nothing: here they never do


def main() -> int:
    """Return how many of the commands failed."""
    _pages_on_the_slow_node()
    failed = []
    for command in FLAGS if sys.argv[1:] == ["--flags"] else FLAGS + COMMANDS:
        print(f"\n-- {command}", flush=True)
        began = time.monotonic()
        code = subprocess.run(shlex.split(command)).returncode
        print(f"-- exit code {code} after {time.monotonic() - began:.0f} s", flush=True)
        if code not in (0, BUSY):
            failed.append(command)
    print("\n".join(f"FAILED: {command}" for command in failed))
    return len(failed)


def _pages_on_the_slow_node() -> None:
    """Without them a snapshot would have no page of the node without a processor."""
    folder = Path("/guest/slow")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mpol=bind:2", "slow", folder], check=True)
    (folder / "file").write_bytes(bytes(16 << 20))


if __name__ == "__main__":
    sys.exit(main())
