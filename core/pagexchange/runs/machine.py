"""This machine as a run folder has it: an id that people can tell from others, and all that results depend on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pagexchange.host.installed import version_of
from pagexchange.measure import pressure
from pagexchange.runs.environment import collect
from pagexchange.samples.schema import Host, Versions
from pagexchange.version import VERSION

VARIABLE: Final = "PAGEXCHANGE_HOST"
"""Name of this machine in run folders, where its own says nothing: a container has another one each time."""
_OF_CPU: Final = (
    "model", "family", "stepping", "microcode", "flags", "caches", "online", "isolated", "nohz_full", "governor",
    "driver", "boost", "smt", "mitigations",
)  # fmt: skip
_OF_MEMORY: Final = (
    "numa_nodes", "tiers", "demotion", "numa_balancing", "thp_enabled", "thp_shmem_enabled", "thp_defrag", "ksm",
)  # fmt: skip
_GRAIN: Final = 26
"""Of the memory's size: what Linux keeps for itself differs by some pages from boot to boot."""


def this_host() -> Host:
    """Return this machine as it is now."""
    environment = collect()
    mark = fingerprint(environment)
    name = os.environ.get(VARIABLE, "").strip() or platform.node() or "host"
    return Host(
        id=f"{_fit(name)}-{mark[:6]}",
        fingerprint=mark,
        environment=environment,
        before=pressure.at(pressure.read()),
    )


def versions(distributions: Mapping[str, str]) -> Versions:
    """Return what runs here; `distributions`: those whose plug-ins take part, name -> version."""
    return Versions(
        pagexchange=VERSION,
        python=platform.python_version(),
        numpy=version_of(np) or "",
        distributions=dict(sorted(distributions.items())),
    )


def fingerprint(environment: dict[str, Any]) -> str:
    """Return 12 hexadecimal digits of what does not change from run to run: processor, memory, Linux, huge pages."""
    cpu, memory = environment["cpu"], environment["memory"]
    kept = [
        [cpu[key] for key in _OF_CPU],
        [memory[key] for key in _OF_MEMORY],
        (memory["total"] or 0) >> _GRAIN,
        environment["kernel"],
        environment["limits"],
    ]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def _fit(name: str) -> str:
    """Return a name that can be one of a file, and begins like one."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name.partition(".")[0]).strip("-")[:100] or "host"
