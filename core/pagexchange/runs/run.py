"""The main job: every strategy on the same pages, checked page by page, then timed in turns.

First each strategy exchanges the whole list once, and the oracle compares everything before and after: that is the
verdict, and the warm-up. Then come the timed rounds. In each round every strategy runs once, in an order shuffled by
the seed, always from the same state of the arena; so what the machine does meanwhile hits all of them alike, and the
ratios within a run can be trusted where absolute times cannot. Nothing but the call lies between the clock readings.
A turn that others have pushed aside is taken again, within a budget of time; what stays so is not to be trusted.
At the end the oracle compares the whole arena with how it was before the first timed round.

Between two calls nobody may write. So the oracle also looks before each checked call: what is wrong there is put to the
strategy that ran last, and before the first call of all to nobody.
"""

import time
from collections.abc import Sequence

import msgspec

from pagexchange import __version__
from pagexchange.arena import lying
from pagexchange.measure import pressure
from pagexchange.model.config import StrategySpec
from pagexchange.oracle import Verdict as Comparison
from pagexchange.runs.environment import collect
from pagexchange.runs.figures import clock_of, with_figures
from pagexchange.runs.in_turns import InTurns, Keep, Progress, UnsoundError
from pagexchange.runs.result import InputInfo, Meanwhile, RunResult
from pagexchange.runs.tally import Bind, Tally
from pagexchange.runs.verdict import Stamping, losses, unsound
from pagexchange.runs.workbench import Workbench


def run(
    bench: Workbench,
    specs: Sequence[StrategySpec],
    bind: Bind,
    oracle: Stamping | None,
    *,
    rounds: int | None = None,
    seed: int = 0,
    verify_all: bool = False,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> RunResult:
    """Run every strategy on the workbench's pairs.

    Parameters
    ----------
    bind
        Makes a strategy ready for an arena; called again when the arena had to be made anew.
    oracle
        None: nothing is compared, and the verdict of a strategy that exchanges something is `unchecked`.
    rounds
        Timed calls per strategy; 0 checks only. None: as many as fit into `BUDGET`.
    seed
        Decides the order within the rounds.
    verify_all
        Let the oracle compare everything after each timed call too, not only once per strategy.
    progress
        Called before each exchange.
    keep
        Called after each timed call.

    Returns
    -------
    RunResult
        Also when a plug-in failed (that strategy's verdict is `failed`) and when Ctrl-C was pressed (`interrupted`; the
        state that was reached is in it).
    """
    started = time.perf_counter()
    environment = collect()
    before = pressure.read()
    turns = InTurns(bench, [Tally(spec) for spec in specs], bind, oracle, rounds, seed, progress, keep)
    interrupted, drift = False, ""
    broken: Comparison | None = None
    try:
        turns.check_all()
        drift = turns.time_all(verify_all=verify_all)
    except KeyboardInterrupt:
        interrupted = True
    except UnsoundError as error:
        broken = error.comparison
    turns.finish_all()
    after = pressure.read()
    lay = [] if bench.arena.closed else lying.lie(bench.arena)  # all pages that will ever be written are by now
    clock = clock_of(tally.threads for tally in turns.tallies)
    results, reference = with_figures([tally.result(bench) for tally in turns.tallies], clock)
    return RunResult(
        pagexchange=__version__,
        seed=seed,
        environment=environment,
        input=_where_it_lay(bench.info, lay),
        rounds=turns.rounds or 0,
        interrupted=interrupted,
        rounds_done=max((len({timed.round for timed in result.rounds}) for result in results), default=0),
        as_expected=all(result.as_expected is not False for result in results) and not drift and broken is None,
        unsound=losses(broken),
        warnings=[
            *(f"{sentence}." for sentence in (drift, "" if broken is None else unsound(broken)) if sentence),
            *lying.remarks(lay),
        ],
        seconds=round(time.perf_counter() - started, 3),
        strategies=results,
        clock=clock,
        reference=reference,
        machine=Meanwhile(before=pressure.at(before), during=pressure.between(before, after), after=pressure.at(after)),
    )


def _where_it_lay(info: InputInfo, lay: Sequence[lying.Lying]) -> InputInfo:
    nodes = [node | {"lies": one.values()} for node, one in zip(info.nodes, lay, strict=False)]
    return msgspec.structs.replace(info, nodes=nodes or info.nodes, real_nodes=lying.words(lay))
