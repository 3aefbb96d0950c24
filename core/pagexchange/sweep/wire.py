"""What goes between a sweep and its workers: plain values, no code, no path."""

from __future__ import annotations

import msgspec

from pagexchange.samples.schema import Cell, Host, Planned, Sample, Versions


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is asked about itself."""

    plugins: list[str]
    files: list[str]
    """Names of files that points need, `DIGEST.SUFFIX`."""
    packaged: bool
    """Whether a point runs on the packaged snapshot."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself."""

    host: Host
    machine: str
    """Which running kernel it is on: workers of one may have host names of their own, as containers have."""
    versions: Versions
    plugins: dict[str, tuple[str, str]]
    """Plug-in -> name and version of its distribution, of those asked for that are there."""
    files: list[str]
    """Which files it has already."""
    packaged: str = ""
    """Digest of its packaged snapshot."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One point, for one host."""

    token: str
    """Of this execution, no other has it: samples carry it."""
    host: str
    """Id of the host that it is for."""
    text: str
    files: list[str]
    cells: list[Planned]
    arguments: list[str] = []
    """Further ones of `pagexchange run`."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task."""

    cells: list[Cell]
    samples: list[Sample]
    missing: list[str] = []
    """Files that are not there any more: nothing was done, they have to be sent again."""
    stopped: bool = False
    """Somebody asked for it to be stopped: nothing of it counts."""
