"""What machine this is: read once per run and kept with the result. Nothing is ever changed.

Every field may be `None`: "not available" here. A container without /sys, another architecture, a kernel without
transparent huge pages are all normal.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pluggy

from pagexchange.host.installed import version_of
from pagexchange.model.sizes import format_size
from pagexchange_native import procfs
from pagexchange_native.arena.region import makes_huge_pages

FLAGS_OF_INTEREST = ("sse2", "avx2", "avx512f", "erms", "fsrm", "asimd", "sve", "mops")


def collect(root: Path = Path("/")) -> dict[str, Any]:
    """The environment as plain values, `None` where the machine does not say.

    Parameters
    ----------
    root
        Where /proc and /sys are; tests put a made-up machine there.
    """
    return {
        "cpu": _cpu(root),
        "memory": _memory(root),
        "kernel": {
            "release": _read(root / "proc/sys/kernel/osrelease") or platform.release() or None,
            "machine": platform.machine() or None,
            "hypervisor": _hypervisor(root),
        },
        "software": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "numpy": version_of(np),
            "pluggy": version_of(pluggy),
            "msgspec": version_of(msgspec),
            "cython_built_with": _cython(),
            "libc": _libc(),
            "glibc_tunables": os.environ.get("GLIBC_TUNABLES"),
        },
        "load": _load(root),
    }


def _read(path: Path) -> str | None:
    try:
        return procfs.text(path.read_bytes()).strip()
    except OSError:
        return None


def _cpu(root: Path) -> dict[str, Any]:
    info = _read(root / "proc/cpuinfo") or ""
    words = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", info, re.M)
    have = set(words.group(1).split()) if words else None
    model = re.search(r"^(?:model name|Processor|cpu model)\s*:\s*(.*)$", info, re.M)
    affinity = None
    with suppress(AttributeError, OSError):
        affinity = len(os.sched_getaffinity(0))
    return {
        "model": model.group(1).strip() if model else None,
        "flags": None
        if have is None
        else {name: name in have for name in FLAGS_OF_INTEREST if name in have or _x86(name)},
        "caches": _caches(root),
        "online": _read(root / "sys/devices/system/cpu/online"),
        "usable": affinity,
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read(root / "sys/devices/system/cpu/smt/control"),
    }


def _x86(flag: str) -> bool:
    """Whether the absence of `flag` is worth saying: on x86 it is, for x86 flags."""
    return platform.machine() in ("x86_64", "AMD64") and flag not in ("asimd", "sve", "mops")


def _caches(root: Path) -> dict[str, int] | None:
    """Bytes by name: L1d, L1i, L2, L3 of the first CPU."""
    sizes: dict[str, int] = {}
    with suppress(OSError):
        for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
            level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
            match = re.fullmatch(r"(\d+)([KMG]?)", size or "")
            if level and kind and match:
                name = f"L{level}" + {"Data": "d", "Instruction": "i"}.get(kind, "")
                sizes[name] = int(match.group(1)) << {"": 0, "K": 10, "M": 20, "G": 30}[match.group(2)]
    return sizes or None


def _memory(root: Path) -> dict[str, Any]:
    info = _read(root / "proc/meminfo") or ""
    sizes = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", info, re.M)}
    thp = root / "sys/kernel/mm/transparent_hugepage"
    nodes = None
    with suppress(OSError):
        nodes = sorted(path.name for path in (root / "sys/devices/system/node").glob("node[0-9]*")) or None
    return {
        "total": sizes.get("MemTotal"),
        "available": sizes.get("MemAvailable"),
        "numa_nodes": nodes and len(nodes),
        "numa_balancing": _read(root / "proc/sys/kernel/numa_balancing"),
        "thp_enabled": _chosen(_read(thp / "enabled")),
        "thp_shmem_enabled": _chosen(_read(thp / "shmem_enabled")),
        "thp_on_demand": makes_huge_pages(),
        "thp_defrag": _chosen(_read(thp / "defrag")),
        "hugepages_free": _number(re.search(r"^HugePages_Free:\s+(\d+)$", info, re.M)),
        "ksm": _read(root / "sys/kernel/mm/ksm/run"),
    }


def _number(match: re.Match[str] | None) -> int | None:
    return int(match.group(1)) if match else None


def _chosen(text: str | None) -> str | None:
    """The word in brackets of `always [madvise] never`."""
    match = re.search(r"\[(\w+)\]", text or "")
    return match.group(1) if match else None


def _hypervisor(root: Path) -> bool | None:
    info = _read(root / "proc/cpuinfo")
    return None if info is None else bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.M))


def _load(root: Path) -> list[float] | None:
    text = _read(root / "proc/loadavg")
    with suppress(ValueError):
        return [float(word) for word in text.split()[:3]] if text else None
    return None


def _cython() -> str | None:
    """Version of the Cython that compiled the native modules: their shared runtime module is named after it."""
    for name in sys.modules:
        match = re.fullmatch(r"_cython_(\d+(?:_\d+)*\w*)", name)
        if match:
            return match.group(1).replace("_", ".")
    return None


def _libc() -> str | None:
    name = None
    with suppress(ValueError, OSError, AttributeError):
        name = os.confstr("CS_GNU_LIBC_VERSION")
    return name or " ".join(platform.libc_ver()).strip() or None


def lines(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """The environment for people: (what, value) with units; "not available" where it is."""
    cpu, memory = environment["cpu"], environment["memory"]
    kernel, software = environment["kernel"], environment["software"]
    flags = cpu["flags"] and " ".join(name if on else f"no-{name}" for name, on in cpu["flags"].items())
    caches = cpu["caches"] and ", ".join(f"{name} {format_size(size)}" for name, size in cpu["caches"].items())
    load = environment["load"]
    rows: list[tuple[str, Any]] = [
        ("CPU", cpu["model"]),
        ("CPU flags", flags),
        ("caches", caches),
        ("CPUs online / usable", f"{_word(cpu['online'])} / {_word(cpu['usable'])}"),
        ("frequency governor", cpu["governor"]),
        (
            "memory",
            memory["total"] and f"{format_size(memory['total'])}, {format_size(memory['available'] or 0)} available",
        ),
        ("NUMA nodes", memory["numa_nodes"]),
        ("NUMA balancing", memory["numa_balancing"]),
        ("huge pages, anonymous", memory["thp_enabled"]),
        ("huge pages, shared", memory["thp_shmem_enabled"]),
        ("huge pages on demand", "yes" if memory["thp_on_demand"] else "no"),
        ("hugetlb pages free", memory["hugepages_free"]),
        ("Linux", kernel["release"]),
        ("machine", kernel["machine"] and kernel["machine"] + (", virtual" if kernel["hypervisor"] else "")),
        ("load", load and " ".join(f"{value:.2f}" for value in load)),
        ("Python", f"{software['implementation']} {software['python']}"),
        ("NumPy", software["numpy"]),
        ("pluggy", software["pluggy"]),
        ("Cython at the build", software["cython_built_with"]),
        ("C library", software["libc"]),
    ]
    return [(what, _word(value)) for what, value in rows]


def _word(value: object) -> str:
    return "not available" if value is None or value == "" else str(value)
