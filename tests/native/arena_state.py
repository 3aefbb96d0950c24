"""What tests of the arena's parts share: has a call changed anything, and is the whole still sound?"""

import contextlib
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pagexchange.oracle import check
from pagexchange_native.arena.region import Region

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def facts(region: Region) -> dict[str, Any]:
    """All that a refused call must leave: entries with their free lists, nodes, pins, page tables in use, contents."""
    memory, parts = region.memory, region.geometry()

    def part(name: str) -> Any:
        offset, count, size = parts[name]
        return memory[offset : offset + count * size].reshape(count, size)

    return {
        "entries": region.entries.tobytes(),
        "nodes": region.nodes,
        "pins": part("pins").tobytes(),
        # not the tree's lock and sequence: a refused call takes and bumps them
        "mappings": [part("mappings")[:, :8].tobytes(), part("mappings")[:, 20:].tobytes()],
        "spaces": [part("spaces")[:, :8].tobytes(), part("spaces")[:, 20:].tobytes()],
        "tables": part("tables")[:, :4].tobytes(),
        "frames": zlib.crc32(part("frames")[:256].reshape(-1)),  # to read is to touch: the first MiB says enough
    }


@contextlib.contextmanager
def unchanged(region: Region, *, is_sound: bool = True) -> Iterator[None]:
    """Around a call that must be refused: nothing differs after it, and the arena is as sound as it should be."""
    before = facts(region)
    yield
    after = facts(region)
    for name, was in before.items():
        assert after[name] == was, name
    if is_sound:
        sound(region)


def sound(region: Region, *, at_rest: bool = False) -> None:
    """The oracle, which reads the bytes itself, counts again: references, counters, trees, chains, free lists."""
    assert check(region, at_rest=at_rest) == []


def open_files() -> dict[str, str]:
    """Number -> target of this process's open files."""
    found = {}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208  # Path.iterdir leaves its own file open in the list
        with contextlib.suppress(OSError):
            found[number] = str(Path("/proc/self/fd", number).readlink())
    return found


def run_python(code: str, *arguments: str, returncode: int = 0, timeout: float = 60) -> str:
    """Run code in a process of its own; what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # the tests' helpers are found as here
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == returncode, done.stderr
    return done.stdout
