"""Rounds: all ways play the same stream from the same start, in turns from tick to tick, each on a scene of its own.

In an order that is drawn anew for each tick, so that what the machine does meanwhile hits all of them alike. After each
round every page is looked at. The last round is played beside a reader and is not timed; rounds in which somebody was
pushed aside are played again, within a budget, by those that were.
"""

from __future__ import annotations

import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pagexchange.arena import lying
from pagexchange.errors import PagexchangeError
from pagexchange.host.blame import with_cure
from pagexchange.measure import trust
from pagexchange.measure.affinity import Pinning
from pagexchange.tier.figures import cost_ns
from pagexchange.tier.reader import Beside
from pagexchange.tier.result import Played
from pagexchange.tier.scene import Scene
from pagexchange.tier.tally import Tally
from pagexchange.tier.way import Playing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagexchange.arena.arena import Arena
    from pagexchange.arena.lying import Lying
    from pagexchange.arena.strategy import Strategy
    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.runs.in_turns import Progress
    from pagexchange.tier.result import NodeInfo
    from pagexchange.tier.scene import Room
    from pagexchange.tier.stream import Pages, Stream
    from pagexchange.tier.way import Way

_LOG: Final = logging.getLogger(__name__)
ROUNDS: Final = (3, 5)
"""Least and most where nobody says how many."""
BUDGET: Final = 20.0
"""Seconds after which no further round begins then."""
AGAIN: Final = (0.5, 10.0)
"""What rounds that were pushed aside may cost once more: this share of the time of all rounds, and so many seconds."""
ATTEMPTS: Final = 2
"""How often one is played again."""
QUIET_NS: Final = 500_000
"""How long the reader reads beside a way that does nothing, where no other way has stepped yet."""


class Rounds:
    """The rounds of all ways.

    Parameters
    ----------
    bind
        Makes a strategy ready for an arena.
    progress
        Is told before each tick.
    keep
        Is told the name of a way and each timed round of it.
    """

    def __init__(
        self,
        config: Config,
        size: Room,
        stream: Stream,
        ways: Sequence[Way],
        bind: Callable[[StrategySpec, Arena], Strategy],
        progress: Progress | None = None,
        keep: Callable[[str, Played], None] | None = None,
    ) -> None:
        self.config, self.size, self.stream, self.bind = config, size, stream, bind
        self.tallies = [Tally(way) for way in ways]
        self.progress, self.keep = progress, keep
        self.random = random.Random(config.run.seed)  # an order, not a secret
        self.began = time.monotonic_ns()
        self.aside = trust.limit()
        self.threads = max((way.spec.threads for way in ways if way.spec is not None), default=1)
        self.nodes: list[NodeInfo] = []
        """As they are when a round begins; empty until the first one has begun."""
        self.lay: list[Lying] = []
        """Where their frames really lie; empty until a round has ended."""
        self.rounds = ROUNDS[1] if config.tier.rounds is None else config.tier.rounds
        """Asked for; or at most, and those that there were time for once they are over."""
        self.total = (self.rounds + 1) * stream.ticks
        self.done = 0

    def play_all(self) -> None:
        """All rounds, those that were pushed aside once more, and the one beside a reader."""
        pinning = Pinning()
        try:
            pinning.to(self.threads)
            self._timed(pinning)
        finally:
            pinning.release()
        self.play(0, self._playing(), None)  # not pinned: the reader is to have a CPU of its own

    def _timed(self, pinning: Pinning) -> None:
        began = time.monotonic()
        for number in range(self.rounds):
            self.play(number, self._playing(), 0)
            late = number + 1 >= ROUNDS[0] and time.monotonic() - began > BUDGET
            if late and self.config.tier.rounds is None:
                self.total -= (self.rounds - number - 1) * self.stream.ticks
                self.rounds = number + 1
                break
        took = time.monotonic() - began
        budget, each = trust.Budget(min(AGAIN[0] * took, AGAIN[1])), took / self.rounds
        for attempt in range(1, ATTEMPTS + 1):
            for number in range(self.rounds):
                pushed = [tally for tally in self._playing() if self._pushed(tally, number)]
                if pushed and budget.left >= each:
                    pinning.choose()
                    pinning.to(self.threads)
                    self.total += self.stream.ticks
                    budget.spend(partial(self.play, number, pushed, attempt))

    def _playing(self) -> list[Tally]:
        return [tally for tally in self.tallies if tally.plays]

    def _pushed(self, tally: Tally, number: int) -> bool:
        """Whether every attempt of a round was pushed aside."""
        return all(played.aside for played in tally.rounds if played.round == number)

    def play(self, number: int, who: list[Tally], attempt: int | None) -> None:
        """Play one round.

        Parameters
        ----------
        attempt
            How often it was played before; None: beside a reader, and not timed.
        """
        started = time.monotonic_ns() - self.began
        what = "beside a reader" if attempt is None else f"round {number + 1} of {self.rounds}"
        playing: dict[int, Playing] = {}
        beside: dict[int, Beside] = {}
        first: list[int] = []
        try:
            for n, tally in enumerate(who):
                self._tell(f"{what}: making the pages of {tally.way.name}")
                self._begin(n, tally, playing)
            if attempt is None:
                beside = {n: Beside(play.scene) for n, play in playing.items()}
            for tick, pages in enumerate(self.stream.play(number)):
                self._tell(what)
                self.done += 1
                order = [n for n in range(len(who)) if n in playing]
                self.random.shuffle(order)
                first = first or order
                now = tick * self.stream.tick_ns / 1e9
                for n in order:
                    self._turn(n, who[n], playing, pages, beside.get(n), now)
            for n, play in playing.items():
                self._tell(f"{what}: looking at the pages of {who[n].way.name}")
                self._end(who[n], play, number, attempt, first.index(n) if n in first else 0, started)
        except KeyboardInterrupt:
            for n, play in playing.items():
                _finished(who[n], play)
            raise
        finally:
            for n, reader in beside.items():
                who[n].reads = reader.close()
            for play in playing.values():
                play.tier = None  # it holds views of the arena
                play.scene.close()

    def _begin(self, n: int, tally: Tally, playing: dict[int, Playing]) -> None:
        scene = Scene(self.config, self.size, self.config.run.seed)
        self.nodes = self.nodes or scene.nodes
        try:
            playing[n] = Playing.begin(tally.way, scene, self.config.tier, self.bind)
        except PagexchangeError as error:
            tally.failed = with_cure(error)
            scene.close()
        else:
            tally.plugins = playing[n].plugins

    def _turn(
        self, n: int, tally: Tally, playing: dict[int, Playing], pages: Pages, beside: Beside | None, now: float
    ) -> None:
        play = playing[n]
        play.touch(pages)
        try:
            if beside is None:
                play.step(now)
                return
            beside.reads(pages)
            beside.begin()
            if play.tier is None:
                time.sleep(max((other.step_ns for other in playing.values()), default=0) / 1e9 or QUIET_NS / 1e9)
            else:
                play.step(now)
        except PagexchangeError as error:
            _LOG.info("%s failed: %s", tally.way.name, error)
            tally.failed = with_cure(error)
            _finished(tally, play)
            del playing[n]
            play.tier = None
            play.scene.close()
        finally:
            if beside is not None:
                beside.pause()

    def _end(self, tally: Tally, play: Playing, number: int, attempt: int | None, position: int, started: int) -> None:
        report = _finished(tally, play)
        if tally.failed:
            return
        tally.wrong = play.scene.check()
        self.lay = self.lay or lying.lie(play.scene.arena)
        if attempt is None:
            return
        if not tally.rounds:
            tally.report = report
        moved = play.moved()
        played = Played(
            round=number,
            position=position,
            attempt=attempt,
            aside=trust.pushed_aside([(moved.wall_ns, moved.cpu_ns)], self.aside),
            started_ns=started,
            moved=moved,
            cost_ns=round(cost_ns(moved, self.config.tier.slow_ns, self.stream.weight)),
        )
        tally.rounds.append(played)
        if not tally.over_time:
            tally.over_time = [hits / max(self.stream.accesses, 1) for hits in play.hits]
        if self.keep is not None:
            self.keep(tally.way.name, played)

    def _tell(self, what: str) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total, what)


def _finished(tally: Tally, play: Playing) -> dict[str, Any]:
    """Tell the observers that a round is over, also one that failed or was interrupted; return what they report."""
    try:
        return play.finish()
    except PagexchangeError as error:
        tally.failed = tally.failed or with_cure(error)
        return {}
