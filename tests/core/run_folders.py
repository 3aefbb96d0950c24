"""Run folders as bench and run leave them, with made-up samples: the same in every process."""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pagexchange.measure.pressure import Pressure
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import cell_id
from pagexchange.samples.schema import Cell, Host, Input, Kind, Manifest, Planned, Sample, Tiered, Versions

CONTENDERS: dict[str, tuple[Kind, float]] = {
    "list-exchange": ("strategy", 210.0),
    "word-swap": ("strategy", 265.0),
    "temp-page": ("strategy", 290.0),
    "per-flag-loop": ("strategy", 268.0),
    "rfc-2019": ("peer", 300.0),
    "memcpy-three": ("peer", 340.0),
    "read-both": ("limit", 150.0),
}
"""Name -> kind, and nanoseconds per pair."""
SIZES = [32 << 10, 512 << 10, 8 << 20, 256 << 20]
THREADS = [1, 2, 4]
ENVIRONMENT: dict[str, Any] = {
    "cpu": {
        "model": "AMD EPYC 9354", "flags": {"avx2": True, "erms": True}, "caches": {"L1d": 32768, "L2": 1 << 20},
        "online": "0-7", "usable": 8, "governor": None, "smt": "off",
    },
    "memory": {
        "total": 64 << 30, "available": 60 << 30, "numa_nodes": 2, "numa_balancing": "0", "thp_enabled": "madvise",
        "thp_shmem_enabled": "never", "thp_on_demand": True, "thp_defrag": "madvise", "hugepages_free": 0, "ksm": "0",
    },
    "kernel": {"release": "6.12.10", "machine": "x86_64", "hypervisor": False},
    "software": {
        "python": "3.13.0", "implementation": "CPython", "numpy": "2.4.0", "pluggy": "1.6.0", "msgspec": "0.20.0",
        "cython_built_with": "3.1.4", "libc": "glibc 2.36", "glibc_tunables": None,
    },
    "load": [0.2, 0.3, 0.3],
}  # fmt: skip
QUIET = Pressure(load=[0.2, 0.3, 0.3], some_cpu=0.002, some_memory=0.0, some_io=0.0, steal=0.0)


def host(id: str, environment: dict[str, Any] = ENVIRONMENT, after: Pressure | None = QUIET) -> Host:
    return Host(id=id, fingerprint=id.rpartition("-")[2], environment=environment, before=QUIET, after=after)


def planned(name: str, kind: Kind = "strategy", **point: Any) -> Planned:
    found = cell_id({"name": name}, digest="d", distributions={}, point=point)
    return Planned(id=found, name=name, kind=kind, point=point, clock="wall" if point.get("threads", 1) > 1 else "cpu")


def manifest(verb: str, cells: list[Planned], **fields: Any) -> Manifest:
    plain = {
        "name": f"{verb}-20261129-101500-3f29c1",
        "started": "2026-11-29T10:15:00Z",
        "command": ["pagexchange", verb, "mine.toml", "--seed", "7"],
        "config": 'schema = 1\n\n[strategy.list-exchange]\nflags = "masked-word"\ndata = "list-exchange"\n',
        "seed": 7,
        "input": Input(name="machine.pgxsnap", kind="snapshot", digest="5c" * 32),
        "versions": Versions(pagexchange="0.11", python="3.13.0", numpy="2.4.0"),
    }
    return Manifest(verb=verb, cells=cells, **{**plain, **fields})


def cell(one: Planned, host: str, **fields: Any) -> Cell:
    plain = {"started": "2026-11-29T10:15:07Z", "seconds": 2.5, "verdict": "exact" if one.kind == "strategy" else ""}
    return Cell(id=one.id, host=host, name=one.name, kind=one.kind, point=one.point, **{**plain, **fields})


def samples(
    one: Planned, host: str, ns: float, *, rounds: int = 15, calls: int = 0, strewn: float = 0.015, pairs: int = 1000
) -> list[Sample]:
    """Turns of a cell that costs `ns` per pair: one in ten was pushed aside and taken again."""
    random = np.random.default_rng(int(one.id, 16) + len(host))
    threads = int(one.point.get("threads", 1))
    taken = []
    for number in range(rounds):
        for attempt in range(1 + (number % 10 == 4)):
            aside = number % 10 == 4 and attempt == 0
            cpu = ns * pairs * random.lognormal(0, strewn)
            wall = cpu / threads * (1 + random.exponential(0.06)) * (3.1 if aside else 1)
            shares = {"lock": 0.2, "flags": 0.1, "data": 0.5, "mapping": 0.12, "finish": 0.05}
            taken.append(
                Sample(
                    cell=one.id, host=host, round=number, position=number % 5, attempt=attempt,
                    started_ns=number * 10**8 + attempt, calls=max(calls, 1), pairs=pairs, exchanged=pairs,
                    wall_ns=int(wall), cpu_ns=int(cpu), aside=aside,
                    parts={part: cpu * share for part, share in shares.items()} if one.kind == "strategy" else {},
                    call_ns=[int(wall / calls * random.lognormal(0, 0.2)) for _ in range(calls)],
                )
            )  # fmt: skip
    return taken


def plain(path: Path, *, rounds: int = 11) -> Folder:
    """Of `run`: one point without axes, no latencies, one that loses flags and one that is refused."""
    names = {name: ns for name, (kind, ns) in CONTENDERS.items() if kind == "strategy"} | {
        "rfc": 301.0,
        "no-frame": 0.0,
    }
    plan = [planned(name) for name in names]
    folder = Folder.create(path, manifest("run", plan))
    folder.add_host(host("build-3f29c1"))
    for one in plan:
        known: dict[str, Any] = {}
        if one.name == "rfc":
            known = {"verdict": "loses", "lost": {"young": 812, "idle": 403, "workingset": 97, "active": 12}}
        if one.name == "no-frame":
            known = {"verdict": "starved", "refused": {"ENOMEM": 1000}}
        if names[one.name]:
            folder.append(samples(one, "build-3f29c1", names[one.name], rounds=rounds))
        folder.add_cell(cell(one, "build-3f29c1", **known))
    return folder


def tier(path: Path, *, rounds: int = 5) -> Folder:
    """Of `tier`: ways with long names that moved millions of pages, and a reader that waited long."""
    ways = {"nothing": 61.0, "migrate/hottest-coldest": 43.0, "list-exchange/hottest-coldest": 39.0}
    plan = [msgspec.structs.replace(planned(name), clock="cost") for name in ways]
    folder = Folder.create(path, manifest("tier", plan, reference="nothing"))
    folder.add_host(host("build-3f29c1"))
    waited = {"reads": 9000, "median_ns": 1204.0, "p99_ns": 187_000.0, "worst_ns": 123_400_000.0}
    for one, ns in zip(plan, ways.values(), strict=True):
        random = np.random.default_rng(int(one.id, 16))
        moved = 0 if one.name == "nothing" else 12_345_678
        for number in range(rounds):
            lost = int(10**9 * ns * random.lognormal(0, 0.002))
            folder.append([
                Sample(
                    cell=one.id, host="build-3f29c1", round=number, position=0, started_ns=number * 10**8,
                    pairs=moved, exchanged=moved, wall_ns=moved * 400, cpu_ns=moved * 390,
                    tier=Tiered(
                        accesses=10**9, hits=10**9 - lost // 80, cost_ns=lost, promoted=moved, demoted=moved,
                        back_and_forth=moved // 9, stalls=moved // 3, frames=2 * moved, below_low=moved // 2,
                        below_min=moved // 4, bytes=moved * 8192, choose_ns=moved * 40, move_ns=moved * 360,
                    ),
                )
            ])  # fmt: skip
        shares = [round(1000 * (1 - ns / 80) + 40 * (n % 3)) for n in range(40)]
        details = {"slow_ns": 80.0, "seconds": 40.0, "over_time": shares, "reads": waited, "notes": ["made up"]}
        folder.add_cell(cell(one, "build-3f29c1", details=details))
    return folder


def large(
    path: Path, *, sizes: list[int] = SIZES, threads: list[int] = THREADS, hosts: int = 2, rounds: int = 9
) -> Folder:
    """Of `bench`: sizes by threads, latencies, strategies with peers and limits, on two hosts, with two failures."""
    plan = [
        planned(name, kind, size=size, order=0, threads=count)
        for size in sizes
        for count in threads
        for name, (kind, _) in CONTENDERS.items()
    ]
    axes: dict[str, Any] = {"size": sizes, "order": [0], "threads": threads}
    folder = Folder.create(path, manifest("bench", plan, reference="rfc-2019", axes=axes))
    names = ["build-3f29c1", "rack7-81ab20"][:hosts]
    folder.add_host(host(names[0]))
    if hosts > 1:
        other = {**ENVIRONMENT, "cpu": {**ENVIRONMENT["cpu"], "model": "Ampere Altra", "caches": {"L1d": 65536}}}
        folder.add_host(host(names[1], other, Pressure(load=[5.2, 3.0, 1.0], some_cpu=0.18, steal=0.03)))
    for name in names:
        for one in plan:
            base = CONTENDERS[one.name][1]
            step = log2(float(one.point["size"])) - 15
            # In cache the swap in place is behind the loop of 2019, from 8 MiB on before it.
            factor = {"word-swap": 1.35 - 0.075 * step, "list-exchange": 1 - 0.02 * step}.get(one.name, 1.0)
            count = int(one.point["threads"])
            ns = base * factor * (1 + 0.25 * step) * (1 + 0.06 * (count - 1)) * (1.3 if name == names[-1] else 1)
            if one.name == "memcpy-three" and one.point == {"size": sizes[0], "order": 0, "threads": threads[-1]}:
                folder.append(samples(one, name, ns, rounds=2, calls=80))
                why = "crashed in the data of memcpy-three: Segmentation fault"
                folder.add_cell(cell(one, name, exit=-11, error=why))
                continue
            folder.append(samples(one, name, ns, rounds=rounds, calls=0 if one.kind == "limit" else 80))
            lost = {"young": 40, "workingset": 3} if one.name == "per-flag-loop" else {}
            folder.add_cell(cell(one, name, lost=lost, **({"verdict": "loses"} if lost else {})))
    return folder


HOSTILE = '</script ></title><script>alert(1)</script><img src=x onerror="alert(2)">\'"]]>&amp;\x1b[31m\u202e'


def hostile(path: Path) -> Folder:
    """A folder in which every text is an attack."""
    one = planned(HOSTILE, "strategy", **{HOSTILE: HOSTILE, "size": 4096})
    two = planned(HOSTILE, "strategy", **{HOSTILE: "other", "size": 4096})
    given = manifest(
        "run", [one, two], name=HOSTILE, command=["pagexchange", HOSTILE], config=HOSTILE, reference=HOSTILE,
        input=Input(name=HOSTILE, kind=HOSTILE, digest=HOSTILE), axes={HOSTILE: [HOSTILE, "other"]},
        versions=Versions(pagexchange=HOSTILE, python="3", numpy="2", distributions={HOSTILE: HOSTILE}),
    )  # fmt: skip
    folder = Folder.create(path, given)
    folder.add_host(host("build-3f29c1", {HOSTILE: {HOSTILE: HOSTILE}}))
    for each in (one, two):
        folder.append(samples(each, "build-3f29c1", 200.0, rounds=3, calls=20))
        folder.add_cell(
            cell(each, "build-3f29c1", error=HOSTILE, exit=1, verdict=HOSTILE, lost={HOSTILE: 7}, refused={HOSTILE: 1})
        )
    return folder
