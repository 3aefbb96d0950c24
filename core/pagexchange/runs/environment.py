"""What machine this is: read once per run and kept with the result. Nothing is ever changed.

Every field may be `None`: "not available" here. A container without /sys, another architecture, a kernel without
transparent huge pages are all normal.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pluggy

from pagexchange.host.installed import version_of
from pagexchange.model.sizes import format_size
from pagexchange.runs import hardware
from pagexchange.runs.limits import limits
from pagexchange.runs.sysfs import read
from pagexchange_native import procfs
from pagexchange_native.engine import exchange

_PARAMETERS: Final = re.compile(
    r"(?:isolcpus|nohz|rcu_nocbs|mitigations|nosmt|maxcpus|mem|memmap|numa|hugepages|default_hugepagesz|hugepagesz|"
    r"transparent_hugepage|idle|processor\.|intel_|amd_|tsc|clocksource|preempt|threadirqs|nokaslr|movablecore)\S*"
)
"""Of Linux's command line: those that speed depends on. Others may be nobody's business, as names of disks."""


def collect(root: Path = Path("/")) -> dict[str, Any]:
    """The environment as plain values, `None` where the machine does not say.

    Parameters
    ----------
    root
        Where /proc and /sys are; tests put a made-up machine there.
    """
    return {
        "cpu": hardware.cpu(root),
        "memory": hardware.memory(root),
        "kernel": {
            "release": read(root / "proc/sys/kernel/osrelease") or platform.release() or None,
            "machine": platform.machine() or None,
            "hypervisor": _hypervisor(root),
            "parameters": _parameters(root),
            "clocksource": read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
            "aslr": read(root / "proc/sys/kernel/randomize_va_space"),
        },
        "limits": limits(root),
        "software": {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "numpy": version_of(np),
            "pluggy": version_of(pluggy),
            "msgspec": version_of(msgspec),
            "cython_built_with": _cython(),
            "compiler": _compiler(),
            "libc": _libc(),
            "glibc_tunables": os.environ.get("GLIBC_TUNABLES"),
        },
        "load": _load(root),
    }


def _hypervisor(root: Path) -> bool | None:
    info = read(root / "proc/cpuinfo")
    return None if info is None else bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.M))


def _parameters(root: Path) -> list[str] | None:
    text = read(root / "proc/cmdline")
    return None if text is None else [word for word in text.split() if _PARAMETERS.fullmatch(word)]


def _load(root: Path) -> list[float] | None:
    text = read(root / "proc/loadavg")
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


@functools.cache
def _compiler() -> str | None:
    """The C compiler of the native modules, as it has signed them; None where that was stripped."""
    with suppress(OSError):
        match = re.search(rb"GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+", Path(exchange.__file__).read_bytes())
        return procfs.text(match.group()) if match else None
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
    nodes = memory["nodes"] and ", ".join(f"{node['name']}: {_node(node)}" for node in memory["nodes"])
    free, weights = memory["nodes_available"], memory["interleave_weights"]
    mitigations = cpu["mitigations"] and [name for name, words in cpu["mitigations"].items() if "Mitigation" in words]
    given = environment["limits"]
    rows: list[tuple[str, Any]] = [
        ("CPU", cpu["model"]),
        ("family, stepping", cpu["family"] and f"{cpu['family']}, {_word(cpu['stepping'])}"),
        ("microcode", cpu["microcode"]),
        ("CPU flags", flags),
        ("caches", caches),
        ("CPUs online / usable", f"{_word(cpu['online'])} / {_word(cpu['usable'])}"),
        ("isolated / tickless", f"{_some(cpu['isolated'])} / {_some(cpu['nohz_full'])}"),
        ("frequency governor", cpu["governor"] and f"{cpu['governor']} of {_word(cpu['driver'])}"),
        ("frequency boost", _yes(cpu["boost"])),
        ("hyper-threading", cpu["smt"]),
        ("mitigations", mitigations and ", ".join(mitigations)),
        (
            "memory",
            memory["total"] and f"{format_size(memory['total'])}, {format_size(memory['available'] or 0)} available",
        ),
        ("NUMA nodes", memory["numa_nodes"]),
        ("nodes", nodes),
        ("available by node", free and ", ".join(f"{node} {format_size(size)}" for node, size in free.items())),
        ("nodes allowed", memory["nodes_allowed"]),
        ("binding to nodes", memory["binding"]),
        ("weights of nodes", weights and ", ".join(f"{node} {weight}" for node, weight in weights.items())),
        ("DAX devices", memory["dax"] and ", ".join(f"{name}: {_device(at)}" for name, at in memory["dax"].items())),
        ("memory tiers", memory["tiers"] and ", ".join(f"{tier}: {on}" for tier, on in memory["tiers"].items())),
        ("demotion", memory["demotion"]),
        ("NUMA balancing", memory["numa_balancing"]),
        ("huge pages, anonymous", memory["thp_enabled"]),
        ("huge pages, shared", memory["thp_shmem_enabled"]),
        ("huge pages on demand", "yes" if memory["thp_on_demand"] else "no"),
        ("hugetlb pages free", memory["hugepages_free"]),
        ("hugetlb pools", memory["huge_pools"] and _pools(memory["huge_pools"])),
        ("swap", None if memory["swap"] is None else format_size(memory["swap"])),
        ("zswap / KSM", f"{_word(memory['zswap'])} / {_word(memory['ksm'])}"),
        ("Linux", kernel["release"]),
        ("Linux's parameters", kernel["parameters"] and " ".join(kernel["parameters"])),
        ("clock source", kernel["clocksource"]),
        ("address randomization", kernel["aslr"]),
        ("machine", kernel["machine"] and kernel["machine"] + (", virtual" if kernel["hypervisor"] else "")),
        ("limit of CPU time", given["cpu"]),
        ("limit of CPUs", given["cpus"]),
        ("limit of memory", given["memory"] and f"{given['memory']}, reclaim from {_word(given['memory_high'])}"),
        ("load", load and " ".join(f"{value:.2f}" for value in load)),
        ("Python", f"{software['implementation']} {software['python']}"),
        ("NumPy", software["numpy"]),
        ("pluggy", software["pluggy"]),
        ("Cython at the build", software["cython_built_with"]),
        ("C compiler", software["compiler"]),
        ("C library", software["libc"]),
        ("GLIBC_TUNABLES", software["glibc_tunables"]),
    ]
    return [(what, _word(value)) for what, value in rows]


def _node(node: dict[str, Any]) -> str:
    size = "not available" if node["bytes"] is None else format_size(node["bytes"])
    cpus = f"CPUs {node['cpus']}" if node["cpus"] else "no CPU"
    return f"{size}, {cpus}, distances {' '.join(map(str, node['distances'] or ['not available']))}"


def _device(device: dict[str, int | None]) -> str:
    size = "not available" if device["bytes"] is None else format_size(device["bytes"])
    return size if device["node"] is None else f"{size}, of node {device['node']}"


def _pools(pools: dict[str, int | None]) -> str:
    return ", ".join(f"{_word(total)} of {size}" for size, total in pools.items())


def _some(cpus: str | None) -> str:
    return "none" if cpus == "" else _word(cpus)


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _word(value: object) -> str:
    return "not available" if value is None or value == "" else str(value)
