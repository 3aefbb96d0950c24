"""A way to react: nothing, or a strategy with a policy that says who trades with whom, on a scene of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pagexchange.measure import clocks
from pagexchange.model.config import NOTHING
from pagexchange.runs.contenders import plugin_of, plugins
from pagexchange.tier.result import Moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from pagexchange.arena.arena import Arena
    from pagexchange.arena.strategy import Strategy
    from pagexchange.arena.tier import Tier
    from pagexchange.model.config import StrategySpec, TierConfig
    from pagexchange.runs.result import PlugIn
    from pagexchange.tier.scene import Scene
    from pagexchange.tier.stream import Pages


@dataclass(frozen=True)
class Way:
    """A way, before it plays."""

    name: str
    way: str
    spec: StrategySpec | None = None
    """None: nothing is done."""
    policy: str = ""
    """Plug-in; empty: the strategy's own."""


def ways(specs: list[StrategySpec], policies: tuple[str, ...]) -> list[Way]:
    """Return nothing, and each strategy with each policy."""
    several = len(policies) > 1
    return [
        Way(NOTHING, NOTHING),
        *(
            Way(f"{spec.name}/{policy}" if several else spec.name, spec.name, spec, policy)
            for spec in specs
            for policy in policies or ("",)
        ),
    ]


@dataclass
class Playing:
    """A way in one round."""

    way: Way
    scene: Scene
    tier: Tier | None
    """None: nothing is done."""
    config: TierConfig
    plugins: list[PlugIn]
    hits: list[int] = field(default_factory=list)
    """By tick."""
    step_ns: int = 0
    """Wall time of the last step."""
    _sums: Counter[str] = field(default_factory=Counter)

    @classmethod
    def begin(
        cls, way: Way, scene: Scene, config: TierConfig, bind: Callable[[StrategySpec, Arena], Strategy]
    ) -> Playing:
        """Bind a way to its scene."""
        if way.spec is None:
            return cls(way, scene, None, config, [])
        strategy = bind(way.spec, scene.arena)
        fast, slow = (str(node["name"]) for node in scene.arena.nodes)
        tier = scene.arena.tier(
            fast=fast, slow=slow, strategy=strategy, pairing=way.policy or None, half_life=config.half_life
        )
        served = [plugin for plugin in plugins(strategy.built) if plugin.question != "pairing"]
        return cls(way, scene, tier, config, [*served, plugin_of(tier.pairing)])

    def touch(self, pages: Pages) -> None:
        """Take note of accesses: which of them hit the fast node."""
        frames = np.take(self.scene.where, pages)
        hits = self.tier.touch(frames) if self.tier is not None else int((frames < self.scene.fast_end).sum())
        self.hits.append(hits)
        self._sums["accesses"] += len(pages)
        self._sums["hits"] += hits

    def step(self, now: float) -> None:
        """Let the tier move what it wants to.

        Parameters
        ----------
        now
            Seconds of the stream: a policy with a budget per second goes by them.
        """
        if self.tier is None:
            return
        before = clocks.start()
        did = self.tier.step(pairs=self.config.pairs, max_us=self.config.max_step_us, now=now)
        took = clocks.since(before)
        self.step_ns = took.wall_ns
        self.scene.moved(did.moves)
        self._sums.update(
            asked=did.asked, done=did.done, refused=did.refused, left=did.left, promoted=did.promoted,
            demoted=did.demoted, back_and_forth=did.back_and_forth, stalls=did.stalls, bytes=did.bytes,
            choose_ns=did.choose_ns, move_ns=did.move_ns, wall_ns=took.wall_ns, cpu_ns=took.process_ns,
        )  # fmt: skip

    def finish(self) -> dict[str, Any]:
        """Tell the observers that it is over; return what the plug-ins report. PluginError: one of them raised."""
        return {} if self.tier is None else self.tier.strategy.finish()

    def moved(self) -> Moved:
        """What it did so far."""
        counted = self.scene.statistics()
        sums = {name: self._sums[name] for name in Moved.__struct_fields__}
        return Moved(
            **sums | {"frames": counted["got"], "below_low": counted["below_low"], "below_min": counted["below_min"]}
        )
