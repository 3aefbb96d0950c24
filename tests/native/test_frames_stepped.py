"""A call on frames that dies between two stores has happened or has not, once its slot's records are put back."""

import json
import mmap
import os
from pathlib import Path

import pytest

from tests.native.frame_calls import CALLS, LAYOUT
from tests.native.put_back import RECORD, Memory
from tests.stepping import Stepped

pytestmark = pytest.mark.slow

CHILD = Path(__file__).with_name("stepped_frames_child.py")
CALL = 3  # slot of a call: before it are no one's, the worker's and the process's


def one_call(folder: Path, name: str) -> list[dict[str, tuple[int, bytes]]]:
    """The arena's parts after each store of one call, the first before it and the last after it."""
    path = folder / "arena"
    with Stepped(CHILD, str(path), name) as child:
        parts = json.loads(child.line())
        fd = os.open(path, os.O_RDONLY)
        memory = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(fd)
        slots, _, size = parts["slots"]
        pins, processes, _ = parts["pins"]
        cut = {
            part: (parts[part][0], parts[part][0] + parts[part][1] * parts[part][2]) for part in ("nodes", "entries")
        }
        cut["slot"] = slots + CALL * size, slots + CALL * size + RECORD.itemsize
        cut["pins"] = pins + 4 * processes, pins + 4 * processes + 256  # the first of the process's

        def read() -> list[bytes]:
            return [memory[start:end] for start, end in cut.values()]

        images = [read()]
        running = True
        while running:
            running = child.step()
            now = read()
            if now != images[-1]:
                images.append(now)
    return [
        {part: (start, data) for (part, (start, _)), data in zip(cut.items(), image, strict=True)} for image in images
    ]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_dies_anywhere_has_happened_or_not(tmp_path: Path, name: str) -> None:
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    inside = folder / f"pagexchange-{os.getpid()}-{abs(hash(name))}"
    inside.mkdir()
    try:
        images = one_call(inside, name)
    finally:
        for file in inside.iterdir():
            file.unlink()
        inside.rmdir()
    memories = [Memory(image, LAYOUT) for image in images]
    before, after = memories[0].says(), memories[-1].says()
    assert before != after
    torn = 0
    for number, memory in enumerate(memories):
        torn += memory.says() not in (before, after)
        memory.put_back(CALL)
        said = memory.says()
        assert said in (before, after), (
            f"state {number} of {len(memories)}: {differing(said, before)}, {differing(said, after)}"
        )
    assert torn  # there was something to put back


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name, data in one.items() if data != other[name]]
