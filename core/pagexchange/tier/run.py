"""The experiment: a stream, ways that play it, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pagexchange import __version__
from pagexchange.arena import lying
from pagexchange.linux.beside import beside
from pagexchange.measure import pressure
from pagexchange.model.config import NOTHING
from pagexchange.runs.environment import collect
from pagexchange.runs.result import Meanwhile
from pagexchange.tier import answer, figures, price
from pagexchange.tier.moving import MovingHotSet
from pagexchange.tier.play import Rounds
from pagexchange.tier.recorded import from_file, packaged
from pagexchange.tier.result import StreamInfo, TierResult
from pagexchange.tier.scene import Room, room

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pagexchange.arena.arena import Arena
    from pagexchange.arena.strategy import Strategy
    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.runs.in_turns import Progress
    from pagexchange.tier.result import Played
    from pagexchange.tier.stream import Stream
    from pagexchange.tier.way import Way


def stream_of(config: Config, progress: Progress | None = None) -> tuple[Stream, Room]:
    """Return the stream that a configuration names, and the nodes that it is played on.

    Raises
    ------
    TraceError
        A file cannot be read, or has nothing to play.
    ArenaError
        No page is left on one of the nodes.
    """
    tier, size, seed = config.tier, room(config), config.run.seed
    if tier.source == "drawn":
        return MovingHotSet(tier, size.pages, seed), size
    if tier.input is None:
        stream = packaged(tier, size.pages, seed)
    else:
        stream = from_file(config.resolve(tier.input), tier, size.pages, seed, progress)
    return stream, room(config, stream.pages)


def run(
    config: Config,
    stream: Stream,
    size: Room,
    ways: Sequence[Way],
    bind: Callable[[StrategySpec, Arena], Strategy],
    *,
    progress: Progress | None = None,
    keep: Callable[[str, Played], None] | None = None,
) -> TierResult:
    """Play the stream by all ways.

    Parameters
    ----------
    stream, size
        As `stream_of` returns them.
    bind
        Makes a strategy ready for an arena.
    progress
        Is told how far it is, never within a step.
    keep
        Is told the name of a way and each timed round of it.

    Returns
    -------
    TierResult
        Also when a plug-in failed (that way's verdict is `failed`) and when Ctrl-C was pressed (`interrupted`).
    """
    started, before, environment = time.perf_counter(), pressure.read(), collect()
    rounds = Rounds(config, size, stream, ways, bind, progress, keep)
    interrupted = False
    try:
        rounds.play_all()
    except KeyboardInterrupt:
        interrupted = True
    after = pressure.read()
    results, best = figures.results(rounds.tallies, stream)
    lost = {
        tally.way.name: figures.costs(tally.rounds, stream.weight)
        for tally, way in zip(rounds.tallies, results, strict=True)
        if way.verdict == "exact"
    }
    return TierResult(
        pagexchange=__version__,
        seed=config.run.seed,
        environment=environment,
        stream=described(stream, config),
        nodes=rounds.nodes,
        real_nodes=lying.words(rounds.lay),
        slow_ns=config.tier.slow_ns,
        slow_source=price.source(config.tier.slow_ns, rounds.lay),
        pairs=config.tier.pairs,
        rounds=rounds.rounds,
        rounds_done=max((len({played.round for played in way.rounds}) for way in results), default=0),
        interrupted=interrupted,
        seconds=round(time.perf_counter() - started, 3),
        ways=results,
        reference=NOTHING,
        best=best,
        answer=answer.sentences(lost, config.tier.slow_ns),
        linux="" if interrupted else beside(config.real_nodes, config.tier.pairs),
        warnings=lying.remarks(rounds.lay),
        machine=Meanwhile(before=pressure.at(before), during=pressure.between(before, after), after=pressure.at(after)),
    )


def described(stream: Stream, config: Config) -> StreamInfo:
    """Return what a stream is, as a result has it."""
    return StreamInfo(
        name=stream.given.name,
        kind=stream.given.kind,
        digest=stream.given.digest,
        pages=stream.pages,
        page_size=int(config.arena.page_size),
        ticks=stream.ticks,
        tick_ns=stream.tick_ns,
        seconds=stream.seconds,
        accesses=stream.accesses,
        weight=stream.weight,
        notes=list(stream.notes),
    )
