"""What a worker says of itself, and what of it does not fit the sweep: asked before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pagexchange.host.discovery import Registry
from pagexchange.runs.machine import this_host, versions
from pagexchange.sweep import inputs
from pagexchange.sweep.wire import Asked, Survey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pagexchange.sweep.plan import Plan

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def survey(asked: Asked) -> Survey:
    """Say what this worker is; it runs there."""
    registry = Registry()
    plugins = {name: registry.origin(name) for name in asked.plugins if name in registry.names()}
    cache = inputs.Cache()
    host = this_host()
    return Survey(
        host=host,
        machine=_machine() or host.id,
        versions=versions(dict(plugins.values())),
        plugins=plugins,
        files=[name for name in asked.files if cache.find(name)],
        packaged=inputs.packaged_digest() if asked.packaged else "",
    )


def asked(plan: Plan) -> Asked:
    """Return what a plan needs to know of each worker."""
    return Asked(plugins=sorted(plan.plugins), files=sorted(plan.files), packaged=bool(plan.packaged))


def misfits(found: Survey, plan: Plan) -> Iterator[str]:
    """Yield what of a worker does not fit, in words: cells of the same id must be the same cells everywhere."""
    here = plan.manifest.versions.pagexchange
    if found.versions.pagexchange != here:
        yield f"has pagexchange {found.versions.pagexchange}, and {here} is here; install the same on both"
        return
    for name, (distribution, version) in plan.plugins.items():
        wanted = f"plug-in {name!r} of {distribution} {version}"
        there = found.plugins.get(name)
        if there is None:
            yield f"lacks {wanted}; install it there"
        elif there != (distribution, version):
            yield f"has {name!r} of {' '.join(there)}, and here it is the {wanted}; install the same on both"
    if found.packaged != plan.packaged:
        yield "has another packaged snapshot than is here, though the version is the same; install the same on both"


def _machine() -> str:
    """Return which running kernel this is, in a container too; empty where it is not said."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
