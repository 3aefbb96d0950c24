"""The cells of a tier's run: one for each way, with an id that says what it plays."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.model.layout import is_file_name
from pagexchange.runs.cells import distributions
from pagexchange.samples.naming import cell_id
from pagexchange.samples.schema import Planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagexchange.model.config import Config
    from pagexchange.tier.way import Way

ONLY_HERE: Final = ("ways", "policies", "rounds", "input")
"""Keys of `[tier]` that decide which ways play how often, and not what one of them does."""


def planned(config: Config, ways: Sequence[Way], digest: str) -> list[Planned]:
    """Return a cell for each way. Its id depends on `[tier]`, `[arena]`, the pages' kinds, the way and the stream."""
    specs = [way.spec for way in ways if way.spec is not None]
    data = resolved(config, specs)
    tier = {key: value for key, value in data["tier"].items() if key not in ONLY_HERE}
    arena = data["arena"] | {"path": None}
    if is_file_name(config.arena.layout):
        arena["layout"] = hashlib.sha256(config.layout.text.encode()).hexdigest()
    pages = {key: data["workload"][key] for key in ("kinds", "shared")}
    common = {"tier": tier, "arena": arena, "pages": pages, "seed": config.run.seed}
    registry = Registry(config.block)
    return [
        Planned(
            id=cell_id(
                common | {"way": way.name, "policy": way.policy, "strategy": _own(way, data)},
                digest=digest,
                distributions=distributions(registry, [way.spec] if way.spec is not None else []),
            ),
            name=way.name,
            clock="cost",
        )
        for way in ways
    ]


def _own(way: Way, data: dict[str, Any]) -> dict[str, Any]:
    return {} if way.spec is None else data["strategy"][way.spec.name] | {"summary": ""}
