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


def machine(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def unknown(value: object) -> bool:
    return all(map(unknown, value.values())) if isinstance(value, dict) else value is None


def test_what_a_machine_does_not_say_is_none_each_by_itself(tmp_path: Path) -> None:
    here = {
        ("cpu", "usable"),
        ("memory", "thp_on_demand"),
        ("memory", "binding"),
        ("kernel", "release"),
        ("kernel", "machine"),
    }
    environment = collect(tmp_path)
    for part in ("cpu", "memory", "kernel", "limits"):
        assert {name for name, value in environment[part].items() if not unknown(value)} <= {
            name for table, name in here if table == part
        }


def test_what_speed_depends_on_is_read(tmp_path: Path) -> None:
    cpus = "sys/devices/system/cpu/"
    nodes, tiers = "sys/devices/system/node/node", "sys/devices/virtual/memory_tiering/memory_tier"
    machine(
        tmp_path,
        {
            "proc/cpuinfo": "cpu family\t: 6\nstepping\t: 4\nmicrocode\t: 0x2007006\n",
            "proc/meminfo": "SwapTotal:       2048 kB\n",
            "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=1-2-3 isolcpus=2,3 quiet mitigations=off amd_pstate=active",
            "proc/sys/kernel/randomize_va_space": "2\n",
            f"{cpus}isolated": "2-3\n",
            f"{cpus}nohz_full": "\n",
            f"{cpus}cpu0/cpufreq/scaling_governor": "performance\n",
            f"{cpus}cpu0/cpufreq/scaling_driver": "intel_pstate\n",
            f"{cpus}intel_pstate/no_turbo": "1\n",
            f"{cpus}vulnerabilities/meltdown": "Not affected\n",
            f"{cpus}vulnerabilities/retbleed": "Mitigation: IBRS\n",
            f"{nodes}0/cpulist": "0-3\n",
            f"{nodes}0/distance": "10 20\n",
            f"{nodes}0/meminfo": "Node 0 MemTotal:       1024 kB\nNode 0 MemFree:        1024 kB\n",
            f"{nodes}10/cpulist": "\n",
            f"{nodes}10/distance": "20 10\n",
            "proc/self/status": "Mems_allowed_list:\t0,10\n",
            "sys/bus/dax/devices/dax1.0/size": "2097152\n",
            "sys/bus/dax/devices/dax1.0/target_node": "10\n",
            "sys/kernel/mm/mempolicy/weighted_interleave/node0": "3\n",
            "sys/devices/system/node/has_memory": "0,10\n",
            f"{tiers}4/nodelist": "0\n",
            f"{tiers}22/nodelist": "10\n",
            "sys/kernel/mm/numa/demotion_enabled": "true\n",
            "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "64\n",
            "sys/module/zswap/parameters/enabled": "N\n",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
        },
    )
    environment = collect(tmp_path)
    cpu, memory, kernel = (environment[part] for part in ("cpu", "memory", "kernel"))
    assert (cpu["family"], cpu["stepping"], cpu["microcode"]) == ("6", "4", "0x2007006")
    assert (cpu["isolated"], cpu["nohz_full"], cpu["driver"], cpu["boost"]) == ("2-3", "", "intel_pstate", False)
    assert cpu["mitigations"] == {"meltdown": "Not affected", "retbleed": "Mitigation: IBRS"}
    assert memory["nodes"] == [
        {"name": "node0", "cpus": "0-3", "bytes": 1 << 20, "distances": [10, 20]},
        {"name": "node10", "cpus": "", "bytes": None, "distances": [20, 10]},
    ]
    assert (memory["nodes_allowed"], memory["nodes_available"]) == ("0,10", {"node0": (1 << 20) - (1 << 14)})
    assert memory["interleave_weights"] == {"node0": 3, "node10": 1}
    assert memory["dax"] == {"dax1.0": {"bytes": 2 << 20, "node": 10}}
    assert memory["tiers"] == {"memory_tier4": "0", "memory_tier22": "10"}
    assert (memory["demotion"], memory["zswap"], memory["swap"]) == ("true", "N", 2 << 20)
    assert memory["huge_pools"] == {"2048kB": 64}
    assert (kernel["clocksource"], kernel["aslr"]) == ("tsc", "2")
    assert kernel["parameters"] == ["isolcpus=2,3", "mitigations=off", "amd_pstate=active"]  # and no disk's name
    rows = dict(lines(environment))
    assert rows["nodes"] == ("node0: 1 MiB, CPUs 0-3, distances 10 20, node10: not available, no CPU, distances 20 10")
    assert (rows["isolated / tickless"], rows["frequency boost"], rows["mitigations"]) == (
        "2-3 / none",
        "no",
        "retbleed",
    )
    assert rows["frequency governor"] == "performance of intel_pstate"
    assert max(map(len, rows)) < 24


@pytest.mark.parametrize(("pstate", "boost", "said"), [("0", None, True), (None, "1", True), (None, "0", False)])
def test_boost_is_told_by_either_driver(tmp_path: Path, pstate: str | None, boost: str | None, said: bool) -> None:
    cpus = "sys/devices/system/cpu/"
    given = {f"{cpus}intel_pstate/no_turbo": pstate, f"{cpus}cpufreq/boost": boost}
    machine(tmp_path, {name: word for name, word in given.items() if word is not None})
    assert collect(tmp_path)["cpu"]["boost"] is said


def test_a_limit_is_that_of_the_nearest_group_that_has_one(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/"
    machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/work/job\n",
            f"{group}work/job/cpu.max": "max 100000\n",
            f"{group}work/cpu.max": "150000 100000\n",
            f"{group}work/job/memory.max": "max\n",
            f"{group}memory.max": "max\n",
            f"{group}work/job/cpuset.cpus.effective": "0-1\n",
        },
    )
    limits = collect(tmp_path)["limits"]
    assert limits == {"cpu": "150000 100000", "cpus": "0-1", "memory": "max", "memory_high": None}
    assert dict(lines(collect(tmp_path)))["limit of memory"] == "max, reclaim from not available"


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
