"""Hits and residence, tick by tick, are those of a model in plain Python that knows pages and nodes and no arena."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.strategy import bind
from pagexchange.host.build import PagexchangeHost
from pagexchange.tier.run import stream_of
from pagexchange.tier.scene import Scene, room
from pagexchange.tier.way import Playing, Way
from tests.core.tier.small import config_of

PAIRS = 8
HOT = 1.5


class Pairing:
    """The hottest pages of the slow node against the coldest of the fast one, the lower page first where two tie."""

    def __init__(self, scene):
        self.scene = scene

    def __call__(self, view):
        page = dict(zip(self.scene.where.tolist(), range(len(self.scene.where)), strict=True))
        heat = np.rint(view.heat)  # almost nothing is forgotten, so that heat is a count, and exact
        slow = sorted((-heat[frame], page[frame], frame) for frame in view.slow if frame in page)
        fast = sorted((heat[frame], page[frame], frame) for frame in view.fast if frame in page)
        pairs = [
            (hot[2], cold[2])
            for hot, cold in zip(slow[: view.limit], fast[: view.limit], strict=False)
            if -hot[0] > HOT * cold[0] + 0.5
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class Model:
    """Which pages are on the fast node, and how hot each is: a set and a list."""

    def __init__(self, where, fast_end, spare):
        self.fast = {page for page, frame in enumerate(where) if frame < fast_end}
        self.heat = [0] * len(where)
        self.spare = spare
        """Frames of the fast node that are free and may be used: a migration demotes less by so many."""

    def tick(self, pages):
        hits = 0
        for page in pages:
            hits += page in self.fast
            self.heat[page] += 1
        everybody = range(len(self.heat))
        hot = sorted((page for page in everybody if page not in self.fast), key=lambda page: (-self.heat[page], page))
        cold = sorted(self.fast, key=lambda page: (self.heat[page], page))
        trading = [
            (up, down)
            for up, down in zip(hot[:PAIRS], cold[:PAIRS], strict=False)
            if self.heat[up] > HOT * self.heat[down] + 0.5
        ]
        stay = min(self.spare, len(trading))
        self.spare -= stay
        self.fast |= {up for up, _ in trading}
        self.fast -= {down for _, down in trading[: len(trading) - stay]}
        return hits


@pytest.mark.parametrize("name", ["list-exchange", "copy-page", "migrate"])
def test_hits_and_places_are_those_of_the_model(name):
    config = config_of(f"tier.pairs={PAIRS}", "tier.accesses=400", "tier.ticks=30", "tier.half_life=1e6")
    stream, _ = stream_of(config)
    scene = Scene(config, room(config), 5)
    fast = scene.nodes[0]
    spare = fast.free - fast.low if config.strategy(name).migrates else 0
    model = Model(scene.where.tolist(), scene.fast_end, spare)
    policy: Any = Pairing(scene)  # a callable serves where a plug-in's name does
    way = Way(name, name, config.strategy(name), policy)
    playing = Playing.begin(way, scene, config.tier, partial(bind, PagexchangeHost(config.block)))
    expected = []
    for tick, pages in enumerate(stream.play(0)):
        playing.touch(pages)
        playing.step(tick * 0.01)
        expected.append(model.tick(pages.tolist()))
        assert set(np.flatnonzero(scene.where < scene.fast_end).tolist()) == model.fast, f"after tick {tick}"
    assert playing.hits == expected
    assert playing.moved().done > 20
    assert scene.check() == ""
    playing.tier = None
    scene.close()
