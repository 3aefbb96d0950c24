"""The cells of a configuration: one for each strategy, with an id that says what is measured."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pagexchange.host.discovery import Registry
from pagexchange.host.resolved import resolved
from pagexchange.model.layout import is_file_name
from pagexchange.runs.figures import clock_of
from pagexchange.samples.naming import cell_id
from pagexchange.samples.schema import Planned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pagexchange.model.config import Config, StrategySpec


def cells(
    config: Config,
    specs: Sequence[StrategySpec],
    digest: str,
    point: Mapping[str, str | int | float | bool] | None = None,
) -> list[Planned]:
    """Return a cell for each strategy, in their order.

    What a cell's id depends on: the strategy's own table but for its summary, `[arena]` and `[workload]`, mode and seed
    of `[run]`, what its plug-ins' distributions are called and which versions they have, and the input. Files count by
    what is in them, and not by their paths.

    Parameters
    ----------
    digest
        Of the input.
    point
        Axis -> value, the same for all of them.
    """
    data = resolved(config, specs)
    arena = data["arena"] | {"path": None}
    if is_file_name(config.arena.layout):
        arena["layout"] = hashlib.sha256(config.layout.text.encode()).hexdigest()
    common = {"arena": arena, "workload": data["workload"] | {"snapshot": None}, "seed": config.run.seed}
    registry = Registry(config.block)
    clock = clock_of(spec.threads for spec in specs)
    return [
        Planned(
            id=cell_id(
                common | {"strategy": {spec.name: data["strategy"][spec.name] | {"summary": ""}}},
                digest=digest,
                distributions=distributions(registry, [spec]),
                point=point,
            ),
            name=spec.name,
            point=dict(point or {}),
            clock=clock,
        )
        for spec in specs
    ]


def distributions(registry: Registry, specs: Sequence[StrategySpec]) -> dict[str, str]:
    """Return name -> version of the distributions whose plug-ins these strategies name."""
    found: dict[str, Any] = dict(registry.origin(use.plugin) for spec in specs for use in spec.uses())
    return dict(sorted(found.items()))
