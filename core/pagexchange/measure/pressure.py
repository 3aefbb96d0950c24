"""What the machine did meanwhile: load, pressure stall information, stolen time, throttling. Read, never changed.

What a kernel, a container or a virtual machine does not say is `None`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import Final, NamedTuple

import msgspec

from pagexchange_native import procfs

RESOURCES: Final = ("cpu", "memory", "io")
_STEAL: Final = 7
"""Place of the column in a line `cpu` of /proc/stat; the guests' behind it are in `user` and `nice` already."""


class Pressure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=False):
    """What the machine did, at one moment or between two."""

    load: list[float] | None = None
    """Averages of 1, 5 and 15 minutes."""
    some_cpu: float | None = None
    """Share of time, 0 to 1, in which somebody waited for a CPU (PSI `some`)."""
    some_memory: float | None = None
    some_io: float | None = None
    steal: float | None = None
    """Share of the CPUs' time that the hypervisor gave to others."""
    throttled: float | None = None
    """Share in which the control group was not allowed to run."""


class Reading(NamedTuple):
    """Counters at one moment; each `None` where the machine does not say."""

    at_ns: int
    """Monotonic clock."""
    load: tuple[float, ...] | None
    stalled_us: dict[str, int]
    """Resource -> microseconds in which somebody waited for it, since boot; those that are missing are left out."""
    lately: dict[str, float]
    """Resource -> the same as a share of the last ten seconds."""
    ticks: tuple[int, int] | None
    """Of all CPUs together: stolen, and all."""
    throttled_us: tuple[int, ...] | None
    """Of this control group, and of those that it is part of."""


def read(root: Path = Path("/"), *, at_ns: int | None = None) -> Reading:
    """Read the counters.

    Parameters
    ----------
    root
        Where /proc and /sys are; tests put a made-up machine there.
    at_ns
        When that is; None: now.
    """
    stalls = {resource: _stall(_text(root / "proc/pressure" / resource)) for resource in RESOURCES}
    known = {resource: stall for resource, stall in stalls.items() if stall is not None}
    return Reading(
        at_ns=monotonic_ns() if at_ns is None else at_ns,
        load=_load(_text(root / "proc/loadavg")),
        stalled_us={resource: total for resource, (_, total) in known.items()},
        lately={resource: share for resource, (share, _) in known.items()},
        ticks=_ticks(_text(root / "proc/stat")),
        throttled_us=_throttled(root),
    )


def at(reading: Reading) -> Pressure:
    """Return the pressure at one moment: of the last ten seconds, as Linux averages it."""
    lately = reading.lately
    return Pressure(
        load=None if reading.load is None else list(reading.load),
        some_cpu=lately.get("cpu"),
        some_memory=lately.get("memory"),
        some_io=lately.get("io"),
    )


def between(before: Reading, after: Reading) -> Pressure:
    """Return the pressure between two readings; the load is that at the end."""
    elapsed_us = (after.at_ns - before.at_ns) / 1000

    def stalled(resource: str) -> float | None:
        return _share(before.stalled_us.get(resource), after.stalled_us.get(resource), elapsed_us)

    throttled = [
        share
        for pair in zip(before.throttled_us or (), after.throttled_us or (), strict=False)
        if (share := _share(*pair, elapsed_us)) is not None
    ]
    steal = None
    if before.ticks is not None and after.ticks is not None:
        steal = _share(before.ticks[0], after.ticks[0], after.ticks[1] - before.ticks[1])
    return Pressure(
        load=None if after.load is None else list(after.load),
        some_cpu=stalled("cpu"),
        some_memory=stalled("memory"),
        some_io=stalled("io"),
        steal=steal,
        throttled=max(throttled, default=None),
    )


def _share(before: int | None, after: int | None, whole: float) -> float | None:
    """Of `whole`, 0 to 1; None: not known, or the clock of the whole has not moved."""
    if before is None or after is None or whole <= 0:
        return None
    return round(min(max((after - before) / whole, 0.0), 1.0), 4)


def _text(path: Path) -> str:
    try:
        return procfs.text(path.read_bytes())
    except OSError:  # not there, not for us, or PSI is switched off: EOPNOTSUPP
        return ""


def _load(text: str) -> tuple[float, ...] | None:
    with suppress(ValueError):
        numbers = tuple(float(word) for word in text.split()[:3])
        return numbers if len(numbers) == 3 else None
    return None


def _stall(text: str) -> tuple[float, int] | None:
    """Share of the last ten seconds, and microseconds since boot, of the line `some`."""
    match = re.search(r"^some avg10=(\d+(?:\.\d+)?) .*total=(\d+)$", text, re.M)
    return (round(float(match.group(1)) / 100, 4), int(match.group(2))) if match else None


def _ticks(text: str) -> tuple[int, int] | None:
    match = re.search(r"^cpu +(\d+(?: \d+)*)", text, re.M)
    columns = [int(word) for word in match.group(1).split()] if match else []
    return (columns[_STEAL], sum(columns[: _STEAL + 1])) if len(columns) > _STEAL else None


def _throttled(root: Path) -> tuple[int, ...] | None:
    """Of the process's control group and its ancestors, in the unified hierarchy (v2)."""
    match = re.search(r"^0::(/.*)$", _text(root / "proc/self/cgroup"), re.M)
    if match is None:
        return None
    found = []
    for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):  # the latter beside v1
        place = Path(match.group(1).lstrip("/"))
        for group in (place, *place.parents) if place.parts else (place,):
            used = re.search(r"^throttled_usec (\d+)$", _text(root / mount / group / "cpu.stat"), re.M)
            if used:
                found.append(int(used.group(1)))
    return tuple(found) or None
