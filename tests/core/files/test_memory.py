"""A file is read in bounded memory, however long it is."""

import json
import subprocess
import sys
import zlib

import pytest

from tests.core.files import damo_made

MIB = 1 << 20
SNAPSHOTS = [
    (k * 100_000_000, [((4 + j) << 22, (5 + j) << 22, (j * k) % 20, k) for j in range(200)]) for k in range(1, 41)
]
READ = """
import resource, sys
from pagexchange.pages.files import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(map(len, read(sys.argv[1]).chunks()))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def write_json(path, times):
    text = json.dumps(damo_made.record(SNAPSHOTS)["snapshots"], indent=4)[1:-1].encode()
    with path.open("wb") as file:
        file.write(b'[{"target_id": 0, "snapshots": [')
        for k in range(times):
            file.write((b"," if k else b"") + text)
        file.write(b"]}]")


def write_packed(path, times):
    write_json(path, times)
    path.write_bytes(zlib.compress(path.read_bytes(), 1))


def write_text(path, times):
    text = damo_made.as_text(SNAPSHOTS)
    with path.open("wb") as file:
        for _ in range(times):
            file.write(text)


@pytest.mark.plain_build
@pytest.mark.parametrize(("write", "mib"), [(write_json, 3), (write_packed, 3), (write_text, 0.8)])
def test_a_record_of_60_mib_takes_no_more_memory_than_one_of_a_tenth(tmp_path, write, mib):
    path = tmp_path / "record"
    taken = []
    for size in (6, 60):
        write(path, round(size / mib))
        done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
        rows, kib = map(int, done.stdout.split())
        assert rows == round(size / mib) * 8000
        taken.append(kib)
    assert taken[1] < taken[0] + 16 * 1024  # of 60 MiB
