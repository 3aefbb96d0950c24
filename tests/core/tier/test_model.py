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
    """The hottest pages of the slow node against the coldest of the fast one, the lower frame first where two tie."""

    def __init__(self, arena):
        self.used = arena.entries["state"] == 2

    def __call__(self, view):
        heat = np.rint(view.heat)  # almost nothing is forgotten, so that heat is a count, and exact
        slow = sorted(view.slow, key=lambda frame: (-heat[frame], frame))
        fast = sorted((frame for frame in view.fast if self.used[frame]), key=lambda frame: (heat[frame], frame))
        pairs = [
            (hot, cold)
            for hot, cold in zip(slow[: view.limit], fast[: view.limit], strict=False)
            if heat[hot] > HOT * heat[cold] + 0.5
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class Model:
    """Which page is on which frame, and how hot it is: dictionaries."""

    def __init__(self, where, fast_end):
        self.frame = dict(enumerate(where))
        self.heat = dict.fromkeys(self.frame, 0)
        self.fast_end = fast_end

    def tick(self, pages):
        hits = 0
        for page in pages:
            hits += self.frame[page] < self.fast_end
            self.heat[page] += 1
        by_heat = [(self.heat[page], frame, page) for page, frame in self.frame.items()]
        hot = sorted((-heat, frame, page) for heat, frame, page in by_heat if frame >= self.fast_end)[:PAIRS]
        cold = sorted(entry for entry in by_heat if entry[1] < self.fast_end)[:PAIRS]
        for (minus, there, up), (cool, here, down) in zip(hot, cold, strict=False):
            if -minus > HOT * cool + 0.5:
                self.frame[up], self.frame[down] = here, there
        return hits


@pytest.mark.parametrize("name", ["list-exchange", "copy-page"])
def test_hits_and_places_are_those_of_the_model(name):
    config = config_of(f"tier.pairs={PAIRS}", "tier.accesses=400", "tier.ticks=30", "tier.half_life=1e6")
    stream, _ = stream_of(config)
    scene = Scene(config, room(config), 5)
    model = Model(scene.where.tolist(), scene.fast_end)
    policy: Any = Pairing(scene.arena)  # a callable serves where a plug-in's name does
    way = Way(name, name, config.strategy(name), policy)
    playing = Playing.begin(way, scene, config.tier, partial(bind, PagexchangeHost(config.block)))
    expected = []
    for tick, pages in enumerate(stream.play(0)):
        playing.touch(pages)
        playing.step(tick * 0.01)
        expected.append(model.tick(pages.tolist()))
        assert scene.where.tolist() == list(model.frame.values()), f"after tick {tick}"
    assert playing.hits == expected
    assert playing.moved().done > 20
    assert scene.check() == ""
    playing.tier = None
    scene.close()
