"""Processor and memory as Linux describes them: what the cost of an exchange depends on. Fields as of `environment`."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pagexchange.runs.sysfs import chosen, each, number, read
from pagexchange_native.arena import numa, real_nodes
from pagexchange_native.arena.real_nodes import Machine
from pagexchange_native.arena.region import makes_huge_pages

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS: Final = ("sse2", "avx2", "avx512f", "erms", "fsrm", "asimd", "sve", "mops")
_UNITS: Final = {"": 0, "K": 10, "M": 20, "G": 30}


def cpu(root: Path) -> dict[str, Any]:
    """The processor, and what slows it down or speeds it up."""
    info = read(root / "proc/cpuinfo") or ""
    words = _line(info, "flags|Features")
    have = None if words is None else set(words.split())
    usable = None
    with suppress(AttributeError, OSError):
        usable = len(os.sched_getaffinity(0))
    system = root / "sys/devices/system/cpu"
    flaws = {path.name: read(path) for path in each(system / "vulnerabilities", "*")}
    return {
        "model": _line(info, "model name|Processor|cpu model"),
        "family": _line(info, "cpu family|CPU architecture"),
        "stepping": _line(info, "stepping|CPU revision"),
        "microcode": _line(info, "microcode"),
        "flags": None if have is None else {name: name in have for name in _FLAGS if name in have or _x86(name)},
        "caches": _caches(root),
        "online": read(system / "online"),
        "usable": usable,
        "isolated": read(system / "isolated"),
        "nohz_full": read(system / "nohz_full"),
        "governor": read(system / "cpu0/cpufreq/scaling_governor"),
        "driver": read(system / "cpu0/cpufreq/scaling_driver"),
        "boost": _boost(system),
        "smt": read(system / "smt/control"),
        "mitigations": flaws or None,
    }


def memory(root: Path) -> dict[str, Any]:
    """Memory, its nodes, and what Linux does with it by itself."""
    info = read(root / "proc/meminfo") or ""
    sizes = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", info, re.M)}
    mm = root / "sys/kernel/mm"
    free = re.search(r"^HugePages_Free:\s+(\d+)$", info, re.M)
    nodes = [_node(path) for path in each(root / "sys/devices/system/node", "node[0-9]*")]
    tiers = {
        path.name: read(path / "nodelist") for path in each(root / "sys/devices/virtual/memory_tiering", "*_tier*")
    }
    pools = each(mm / "hugepages", "hugepages-*")
    return {
        "total": sizes.get("MemTotal"),
        "available": sizes.get("MemAvailable"),
        "numa_nodes": len(nodes) or None,
        "nodes": nodes or None,
        "nodes_available": _available(root, nodes) or None,
        "nodes_allowed": _line(read(root / "proc/self/status") or "", "Mems_allowed_list"),
        "binding": _binding(),
        "interleave_weights": _weights(root) or None,
        "dax": _dax(root) or None,
        "tiers": tiers or None,
        "demotion": read(mm / "numa/demotion_enabled"),
        "numa_balancing": read(root / "proc/sys/kernel/numa_balancing"),
        "thp_enabled": chosen(read(mm / "transparent_hugepage/enabled")),
        "thp_shmem_enabled": chosen(read(mm / "transparent_hugepage/shmem_enabled")),
        "thp_on_demand": makes_huge_pages(),
        "thp_defrag": chosen(read(mm / "transparent_hugepage/defrag")),
        "hugepages_free": int(free.group(1)) if free else None,
        "huge_pools": {path.name.removeprefix("hugepages-"): number(path / "nr_hugepages") for path in pools} or None,
        "swap": sizes.get("SwapTotal"),
        "zswap": read(root / "sys/module/zswap/parameters/enabled"),
        "ksm": read(mm / "ksm/run"),
    }


def _line(info: str, names: str) -> str | None:
    match = re.search(rf"^(?:{names})\s*:\s*(.*)$", info, re.M)
    return match.group(1).strip() if match else None


def _x86(flag: str) -> bool:
    """Whether the absence of `flag` is worth saying: on x86 it is, for x86 flags."""
    return platform.machine() in ("x86_64", "AMD64") and flag not in ("asimd", "sve", "mops")


def _caches(root: Path) -> dict[str, int] | None:
    """Bytes by name: L1d, L1i, L2, L3 of the first CPU."""
    sizes: dict[str, int] = {}
    for index in each(root / "sys/devices/system/cpu/cpu0/cache", "index*"):
        level, kind, size = (read(index / name) for name in ("level", "type", "size"))
        match = re.fullmatch(r"(\d+)([KMG]?)", size or "")
        if level and kind and match:
            name = f"L{level}" + {"Data": "d", "Instruction": "i"}.get(kind, "")
            sizes[name] = int(match.group(1)) << _UNITS[match.group(2)]
    return sizes or None


def _boost(system: Path) -> bool | None:
    """Whether the processor may go beyond its base frequency."""
    forbidden = read(system / "intel_pstate/no_turbo")
    word = {"0": "1", "1": "0"}.get(forbidden or "") or read(system / "cpufreq/boost")
    return {"0": False, "1": True}.get(word or "")


def _node(path: Path) -> dict[str, Any]:
    """One node: without CPUs where `cpus` is empty."""
    total = re.search(r"MemTotal:\s+(\d+) kB", read(path / "meminfo") or "")
    distances = (read(path / "distance") or "").split()
    return {
        "name": path.name,
        "cpus": read(path / "cpulist"),
        "bytes": int(total.group(1)) * 1024 if total else None,
        "distances": [int(word) for word in distances if word.isdecimal()] or None,
    }


def _available(root: Path, nodes: list[dict[str, Any]]) -> dict[str, int]:
    """Bytes that an arena can take, by node."""
    machine = Machine(root)
    known = [int(node["name"].removeprefix("node")) for node in nodes if node["bytes"]]
    return {f"node{each_node}": machine.available(each_node) for each_node in known}


def _binding() -> str:
    """`yes`, or why this process cannot bind memory to a node."""
    try:
        real_nodes.HERE.mbind(0, 0, numa.BIND, real_nodes.HERE.allowed()[:1])  # nothing at all: Linux checks the rest
    except OSError as error:
        return f"no: {error.strerror}"
    return "yes"


def _weights(root: Path) -> dict[str, int]:
    return {f"node{node}": weight for node, weight in (Machine(root).weights() or {}).items()}


def _dax(root: Path) -> dict[str, dict[str, int | None]]:
    """DAX devices: bytes, and the node that Linux has them for."""
    return {
        path.name: {"bytes": number(path / "size"), "node": number(path / "target_node")}
        for path in each(root / "sys/bus/dax/devices", "dax*")
    }
