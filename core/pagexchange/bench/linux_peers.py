"""What Linux itself does with a process's own pages: it migrates them both ways, or they trade their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pagexchange.bench.scenes import Pairs, Setting, Stage
from pagexchange.bench.turn import Turn, WrongError, timed
from pagexchange.linux.move_pages import MovePages, migrated, warnings
from pagexchange.linux.own_pages import OwnPages, two_nodes
from pagexchange.linux.remap import Remap
from pagexchange.model.config import Config
from pagexchange.runs.tally import errno_names
from pagexchange_native.arena.real_nodes import several

_SPARE = 1024
"""Pages that a node has free besides: of a call's first half, before its second one gives any back."""


class OwnStage(Stage):
    """Anonymous pages of the process: the first half of the numbers is one side, the second half the other."""

    def __init__(self, setting: Setting, seed: int, nodes: tuple[int, int] | None) -> None:
        super().__init__(setting, seed)
        size = setting.page_size << setting.order
        self.pages = OwnPages(setting.folios, size=size, nodes=nodes, spare=min(setting.folios, _SPARE) if nodes else 0)
        self.sides = [np.arange(setting.folios) + side * setting.folios for side in (0, 1)]

    def details(self) -> dict[str, Any]:
        """Bytes of a page, and where each half began."""
        nodes = self.pages.nodes
        where = {"real_nodes": f"fast on node {nodes[0]}, slow on node {nodes[1]}"} if nodes else {}
        return {"page_size": self.pages.size, **where}


def two_places(setting: Setting, seed: int, config: Config) -> OwnStage:
    """Make pages of which one half begins on a real node, and the other on another: those of the file, if it says."""
    return OwnStage(setting, seed, two_nodes(config.real_nodes))


def one_place(setting: Setting, seed: int, config: Config) -> OwnStage:
    """Make pages wherever Linux puts them."""
    del config  # it has nothing to say of them
    return OwnStage(setting, seed, None)


def why_not_between_nodes(config: Config) -> str:
    """Say why Linux moves no page between nodes here, in a sentence; empty: it may."""
    try:
        OwnPages(1, nodes=two_nodes(config.real_nodes)).where(np.arange(2))
    except LookupError as error:
        return str(error)
    except OSError as error:
        return f"Linux does not say where pages are: {error.strerror}"
    return ""


class MovePagesCell:
    """Two calls of move_pages for each list, one each way; which comes first alternates."""

    def __init__(self, stage: OwnStage) -> None:
        self._pages, self._moves = stage.pages, MovePages(stage.pages)
        self._now = np.arange(2 * stage.pages.count)
        """Number of a list -> page that is at that place by now: the lists name places, which pages leave."""

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """Both calls for each list; what is timed is the calls."""
        call_ns: list[int] = []
        cpu_ns = exchanged = 0
        for pairs in lists:
            done = self._moves.exchange(*self._now[pairs].T)
            arrived = (done.status == 0).all(axis=1)
            self._now[pairs[arrived]] = self._now[pairs[arrived]][:, ::-1]
            call_ns.append(done.wall_ns)
            cpu_ns, exchanged = cpu_ns + done.cpu_ns, exchanged + done.pairs
        return Turn(
            calls=len(lists), pairs=sum(map(len, lists)), exchanged=exchanged, wall_ns=sum(call_ns), cpu_ns=cpu_ns,
            call_ns=call_ns,
        )  # fmt: skip

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Contents, the node of each page, and what Linux counted; before them the fixed cost of a call."""
        call, page = self._moves.fixed_cost()  # while the first half is on the fast node
        words, first, second = self._pages.words(), *self._now[pairs].T
        words[:, 0] = words[:, -1] = np.arange(len(words), dtype=np.uint64)
        before = migrated()
        done = self._moves.exchange(first, second)
        counted = migrated() - before
        arrived = (done.status == 0).all(axis=1)
        self._now[pairs[arrived]] = self._now[pairs[arrived]][:, ::-1]
        if not (words[:, (0, -1)] == np.arange(len(words), dtype=np.uint64)[:, None]).all():
            raise WrongError("move_pages has changed what is in pages")
        there = self._pages.where(np.concatenate([first[arrived], second[arrived]]))
        if set(there.tolist()) - {self._moves.fast, self._moves.slow}:
            raise WrongError(f"pages lie on {several(sorted(set(there.tolist())))}")
        refused = errno_names(done.status[~arrived].min(axis=1).astype(np.int32))
        return {
            "frames": 2 * int(arrived.sum()),
            "refused": refused,
            "details": {
                "call_ns": call,
                "page_ns": page,
                "pgmigrate_success": counted,
                "asked_again": done.failed,
                "remarks": [
                    f"a call takes {call / 1e3:.3g} us whatever it moves, and {page / 1e3:.3g} us for each page; of "
                    f"{len(pairs)} pairs Linux counted {counted} migrated base pages",
                    *warnings(),
                ],
            },
        }


class RemapCell:
    """Three calls of mremap for each pair."""

    def __init__(self, stage: OwnStage) -> None:
        self._pages, self._remap = stage.pages, Remap(stage.pages)

    def turn(self, lists: Sequence[Pairs]) -> Turn:
        """A native loop for each list."""
        call_ns, cpu_ns = timed(lambda pairs: self._remap.exchange(*pairs.T), lists)
        pairs = sum(map(len, lists))
        return Turn(
            calls=len(lists), pairs=pairs, exchanged=pairs, wall_ns=sum(call_ns), cpu_ns=cpu_ns, call_ns=call_ns
        )

    def check(self, pairs: Pairs) -> dict[str, Any]:
        """Contents, by address."""
        words = self._pages.words()
        stamps = np.arange(len(words), dtype=np.uint64)
        words[:, 0] = words[:, -1] = stamps
        self._remap.exchange(*pairs.T)
        stamps[pairs] = stamps[pairs[:, ::-1]]
        if not (words[:, (0, -1)] == stamps[:, None]).all():
            raise WrongError("pages are not at each other's addresses")
        return {"frames": 0}
