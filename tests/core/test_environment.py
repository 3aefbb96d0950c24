"""What the machine is: every field may be missing, and nothing is ever written."""

import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pluggy
import pytest

from pagexchange.model.sizes import format_size
from pagexchange.runs.environment import collect, lines
from pagexchange_native.arena.region import makes_huge_pages


def test_a_machine_that_says_nothing_is_not_an_error(tmp_path: Path) -> None:
    environment = collect(tmp_path)
    assert environment["cpu"]["model"] is None
    assert environment["memory"]["thp_shmem_enabled"] is None
    assert dict(lines(environment))["NUMA nodes"] == "not available"


def test_the_fields_are_read(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: sse2 erms avx2 hypervisor\n",
        "proc/meminfo": "MemTotal:       1024 kB\nMemAvailable:    512 kB\nHugePages_Free:        3\n",
        "proc/loadavg": "0.50 0.25 0.12 1/100 42\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "sys/kernel/mm/transparent_hugepage/shmem_enabled": "always within_size advise [never] deny force\n",
        "sys/devices/system/node/node0/x": "",
        "sys/devices/system/node/node1/x": "",
        "sys/devices/system/cpu/cpu0/cache/index0/level": "1\n",
        "sys/devices/system/cpu/cpu0/cache/index0/type": "Data\n",
        "sys/devices/system/cpu/cpu0/cache/index0/size": "48K\n",
    }
    caches = [("1", "Instruction", "512"), ("2", "Unified", "2M"), ("3", "Unified", "1G"), ("4", "Unified", "lots")]
    for number, words in enumerate(caches, 1):
        for name, word in zip(("level", "type", "size"), words, strict=True):
            files[f"sys/devices/system/cpu/cpu0/cache/index{number}/{name}"] = f"{word}\n"
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    environment = collect(tmp_path)
    cpu, memory = environment["cpu"], environment["memory"]
    assert cpu["model"] == "Some CPU"
    assert cpu["flags"]["avx2"] is True
    assert cpu["caches"] == {"L1d": 48 << 10, "L1i": 512, "L2": 2 << 20, "L3": 1 << 30}
    assert (memory["total"], memory["available"], memory["numa_nodes"]) == (1 << 20, 1 << 19, 2)
    assert (memory["thp_enabled"], memory["thp_shmem_enabled"]) == ("madvise", "never")
    assert memory["hugepages_free"] == 3
    assert environment["kernel"]["hypervisor"] is True
    assert environment["load"] == [0.5, 0.25, 0.12]
    rows = dict(lines(environment))
    assert rows["CPU"] == "Some CPU"
    assert "avx2" in rows["CPU flags"].split()
    assert "no-avx2" not in rows["CPU flags"].split()
    assert rows["caches"] == "L1d 48 KiB, L1i 512 bytes, L2 2 MiB, L3 1 GiB"
    assert (rows["memory"], rows["hugetlb pages free"]) == ("1 MiB, 512 KiB available", "3")
    assert (rows["NUMA nodes"], rows["NUMA balancing"]) == ("2", "not available")
    assert (rows["huge pages, anonymous"], rows["huge pages, shared"]) == ("madvise", "never")
    assert rows["huge pages on demand"] == ("yes" if makes_huge_pages() else "no")
    assert (rows["machine"], rows["load"]) == (f"{platform.machine()}, virtual", "0.50 0.25 0.12")
    (tmp_path / "proc/cpuinfo").write_text("flags\t\t: sse2\n")
    assert dict(lines(collect(tmp_path)))["machine"] == platform.machine()


def test_words_that_nobody_expects_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("low lower lowest\n")
    assert collect(tmp_path)["load"] is None


def test_versions_that_nothing_tells_are_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("_cython_")]:
        monkeypatch.delitem(sys.modules, name)
    environment = collect()
    software = environment["software"]
    assert software["cython_built_with"] is None
    assert dict(lines(environment))["Cython at the build"] == "not available"


def test_versions_are_those_of_the_code_that_runs_whatever_metadata_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(name: str) -> str:
        raise UnicodeDecodeError("utf-8", name.encode(), 0, 1, "broken")

    monkeypatch.setattr(metadata, "version", old)
    software = collect()["software"]
    monkeypatch.undo()
    assert software["numpy"] == np.__version__
    assert software["pluggy"] in (None, pluggy.__version__)  # newer ones ask their metadata only now


def test_this_machine_is_described() -> None:
    rows = dict(lines(collect()))
    assert rows["Python"].startswith("CPython")
    assert rows["NumPy"] != "not available"


def test_sizes_are_short() -> None:
    assert [format_size(n) for n in (0, 4096, 1 << 21, 1010 << 10, 3 << 29, 5 << 39, 1 << 50)] == [
        "0 bytes", "4 KiB", "2 MiB", "1010 KiB", "1.5 GiB", "2.5 TiB", "1024 TiB"
    ]  # fmt: skip
