"""What is not the same on both sides, but for the times: machine, versions, configuration, input, how they were run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import tomli

from pagexchange.compare.result import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.compare.sides import Side
    from pagexchange.samples.schema import Host, Manifest

_Kind: TypeAlias = Literal["environment", "versions", "configuration", "input", "run"]

PASSING: Final = ("load", "memory.available", "memory.hugepages_free", "memory.nodes_available")
"""Of an environment: what changes from minute to minute. What of it matters is in the pressure."""
PRESSURE: Final = {"some_cpu": 0.1, "some_memory": 0.05, "some_io": 0.1, "steal": 0.02, "throttled": 0.02}
"""Share of time -> how far apart it must be to be said."""


def differences(old: Side, new: Side) -> list[Difference]:
    """Return all that differs, the machine first; of several runs of a side the first one is asked.

    What one side does not know, as the configuration of a file that `run --json` printed, is no difference.
    """
    was, now = old.first.manifest, new.first.manifest
    return [
        *_machines(old, new),
        *_named("versions", _versions(was), _versions(now)),
        *(_named("configuration", *_configurations(was, now)) if was.config and now.config else ()),
        *_named("input", *_inputs(was, now)),
        *_named("run", {"verb": was.verb, "seed": was.seed}, {"verb": now.verb, "seed": now.seed}),
    ]


def _machines(old: Side, new: Side) -> Iterator[Difference]:
    pairs = hosts(old, new)
    for before, after in pairs:
        many = f"{before.id}: " if len(pairs) > 1 else ""
        if before.id != after.id and before.fingerprint != after.fingerprint:
            yield Difference(kind="environment", what="machine", old=before.id, new=after.id)
        known = [_lasting(host) for host in (before, after)]
        both = known[0].keys() & known[1].keys()  # what an old version did not look at is no difference
        for change in _named("environment", *({what: one[what] for what in one if what in both} for one in known)):
            yield Difference(kind="environment", what=f"{many}{change.what}", old=change.old, new=change.new)
        was, now = (_pressure(side, host) for side, host in ((old, before), (new, after)))
        for what, least in PRESSURE.items():
            if what in was and what in now and abs(was[what] - now[what]) >= least:
                shares = f"{was[what]:.0%}", f"{now[what]:.0%}"
                yield Difference(kind="environment", what=f"{many}pressure.{what}", old=shares[0], new=shares[1])


def hosts(old: Side, new: Side) -> list[tuple[Host, Host]]:
    """Return machines that are compared with each other: by their ids; where each side has one, whatever it is."""
    was, now = (_hosts(side) for side in (old, new))
    if len(was) == len(now) == 1:
        return list(zip(was.values(), now.values(), strict=True))
    return [(host, now[name]) for name, host in was.items() if name in now]


def _hosts(side: Side) -> dict[str, Host]:
    return {name: host for folder in reversed(side.folders) for name, host in folder.hosts.items()}


def _lasting(host: Host) -> dict[str, Any]:
    return {what: value for what, value in flat(host.environment).items() if what not in PASSING}


def _pressure(side: Side, host: Host) -> dict[str, float]:
    """Means over the runs of what the machine did meanwhile."""
    found: dict[str, list[float]] = {}
    for folder in side.folders:
        after = folder.hosts[host.id].after if host.id in folder.hosts else None
        for what in PRESSURE:
            if (value := getattr(after, what, None)) is not None:
                found.setdefault(what, []).append(value)
    return {what: sum(values) / len(values) for what, values in found.items()}


def _versions(manifest: Manifest) -> dict[str, Any]:
    versions = manifest.versions
    own = {"pagexchange": versions.pagexchange, "python": versions.python, "numpy": versions.numpy}
    return own | {f"plug-ins of {name}": version for name, version in versions.distributions.items() if name not in own}


def _configurations(was: Manifest, now: Manifest) -> list[dict[str, Any]]:
    try:
        tables = [tomli.loads(manifest.config) for manifest in (was, now)]
    except tomli.TOMLDecodeError:
        return [{"text": manifest.config} for manifest in (was, now)]
    strategies = [table.get("strategy", {}) for table in tables]
    for mine, theirs in (strategies, strategies[::-1]):
        for name in mine.keys() - theirs.keys():
            mine[name] = "there"  # what is in it differs from nothing
    return [flat(table) for table in tables]


def _inputs(was: Manifest, now: Manifest) -> list[dict[str, Any]]:
    known = bool(was.input.digest and now.input.digest)
    return [
        {"name": one.input.name, "kind": one.input.kind, "digest": one.input.digest[:12] if known else ""}
        for one in (was, now)
    ]


def _named(kind: _Kind, was: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    for what in dict.fromkeys((*was, *now)):
        old, new = (_text(side.get(what)) for side in (was, now))
        if old != new:
            yield Difference(kind=kind, what=what, old=old, new=new)


def flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def _text(value: object) -> str:
    if value is None or value == "":
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
