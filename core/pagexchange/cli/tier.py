"""`pagexchange tier`: ways to react to a full fast node, side by side on one stream of accesses."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pagexchange.cli import results, terminal
from pagexchange.cli.completion import strategy_names
from pagexchange.cli.kept import told
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.progress import progress_bar
from pagexchange.errors import ConfigError, Problem, UnknownPluginError
from pagexchange.exits import EXIT_OK, EXIT_UNTRUSTED
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.watchdog import Watchdog
from pagexchange.model.config import NOTHING
from pagexchange.model.tomltext import value
from pagexchange.runs.contenders import contenders
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import now, out_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pagexchange.host.blocking import Blocking
    from pagexchange.model.config import Config, StrategySpec


def _ways(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [*strategy_names(ctx, param, incomplete), *([NOTHING] if NOTHING.startswith(incomplete) else [])]


@click.command(cls=results.Verb, short_help="Migrate, exchange or do nothing, on a full fast node.")
@click.argument("file", metavar="[STRATEGIES.TOML]", required=False, type=click.Path(dir_okay=False))
@click.option("--input", "source", metavar="FILE", type=click.Path(),
              help="Accesses from this file: a damo record and others, see `pagexchange docs tiers`.")  # fmt: skip
@click.option("--free", metavar="N", type=click.IntRange(0, 1 << 40), help="Leave N free frames on each node.")
@click.option("--policy", "policies", metavar="NAME", multiple=True,
              help="Plug-in that says who trades with whom; several play each.")  # fmt: skip
@click.option("--way", "ways", metavar="NAME", multiple=True, shell_complete=_ways,
              help="Only this strategy, beside nothing; may be repeated.")  # fmt: skip
@click.option("--slow-ns", metavar="N", type=click.FloatRange(0, 1e9, min_open=True),
              help="Nanoseconds that an access to the slow node takes longer. Default: 80.")  # fmt: skip
@click.option(
    "--rounds", metavar="N", type=click.IntRange(1, 10_000), help="Timed rounds of each way. Default: 3 to 5, by time."
)
@click.option("--seed", metavar="N", type=click.IntRange(0, (1 << 63) - 1),
              help="Draws the accesses, where pages begin, and whose turn it is.")  # fmt: skip
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True,
              help="Override a key of the file, as tier.zipf=1.2; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
@click.option("--out", metavar="DIR", type=click.Path(),
              help="Keep every round in a new run folder; with a / at its end, in one below it.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be played, and move nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No table, no progress: the exit code is the answer.")
@blocks_plugins
@logs
@click.pass_context
def tier(
    ctx: click.Context,
    /,
    file: str | None,
    source: str | None,
    free: int | None,
    policies: tuple[str, ...],
    ways: tuple[str, ...],
    slow_ns: float | None,
    rounds: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
    out: str | None,
    dry_run: bool,
    quiet: bool,
    blocking: Blocking,
) -> None:
    """Play a stream of accesses on a full fast node and a slow one, and let each way react to it.

    A way is nothing, or a strategy: one that exchanges, or one that migrates through free frames. All play the same
    stream from the same start, with the same policy and budget, and real pages move. Shown is how many accesses hit the
    fast node, what moving took, and the time that each way loses in all, at an assumed price of a slow access.

    Without --input a packaged record is played: a hot set that moves, as DAMON saw it. With --set tier.source=drawn the
    accesses are drawn.

    Exit codes: 0 every page is where it should be, 1 one is not, 2 usage or configuration, 3 the input cannot be read,
    4 a plug-in failed, 6 others had the CPU for so long that the times cannot be trusted, 130 interrupted (what was
    played until then is printed, and kept).
    """
    from pagexchange.arena.strategy import bind
    from pagexchange.tier.keep import Kept
    from pagexchange.tier.plan import plan
    from pagexchange.tier.run import run, stream_of
    from pagexchange.tier.way import ways as ways_of

    started, command = now(), ["pagexchange", *(ctx.find_root().obj or ())]
    folder = None if out is None else out_path(out, "tier", started, command)
    if folder is not None:
        Folder.check(folder)
    given: list[tuple[str, Any]] = [
        ("tier.free", free), ("tier.policies", policies or None), ("tier.slow_ns", slow_ns), ("tier.rounds", rounds),
        ("tier.ways", ways or None), ("run.seed", seed),
    ]  # fmt: skip
    settings = [*overrides, *(f"{key}={value(item)}" for key, item in given if item is not None)]
    config = read.load(file, overrides=settings, broken=False, blocking=blocking)
    if source is not None:  # from the working directory, not from the file's folder
        config = dataclasses.replace(
            config, tier=dataclasses.replace(config.tier, source="record", input=_absolute(source))
        )
    chosen = ways_of(_strategies(config), config.tier.policies)
    host, watchdog = PagexchangeHost(config.block, blocking=blocking), Watchdog.from_environment()
    _refuse_unknown_policies(config, host.registry.names())
    binds = partial(bind, host, watchdog=watchdog)
    with watchdog, progress_bar(show=not quiet and not dry_run) as progress:
        progress(0, 0, "reading the accesses")
        stream, size = stream_of(config, progress)
        if dry_run:
            _say(plan(config, stream, size, chosen, binds), folder, as_json=as_json)
            return
        kept = None
        if folder is not None:
            kept = Kept(folder, config, chosen, stream, started=started, command=command)
        result = run(config, stream, size, chosen, binds, progress=progress, keep=None if kept is None else kept.sample)
    used = {use.plugin for way in chosen if way.spec is not None for use in way.spec.uses()}
    installed = [*host.registry.clashes(used), *host.registry.wrong]
    result = msgspec.structs.replace(result, warnings=[*result.warnings, *installed])
    if as_json:
        terminal.print_json(result)
    elif not quiet:
        from pagexchange.cli import layout, tier_table  # they import rich

        layout.show(tier_table.blocks(result, ascii_only=not terminal.speaks_unicode(results.stream())))
    code = EXIT_OK
    if kept is not None:
        kept.finish(result)
        code = told(kept, quiet=quiet)
    ctx.exit(code if code and result.exit_code in (EXIT_OK, EXIT_UNTRUSTED) else result.exit_code)


def _absolute(path: str) -> str:
    from pathlib import Path

    return str(Path(path).absolute())


def _strategies(config: Config) -> list[StrategySpec]:
    """Return the strategies that play, in the order in which they are named; by default all of the file."""
    names = [name for name in config.tier.ways if name != NOTHING]
    found = {spec.name: spec for spec in contenders(config, names)}
    return [found[name] for name in names] if names or config.tier.ways else [*found.values()]


def _refuse_unknown_policies(config: Config, known: Iterable[str]) -> None:
    """Before anything is made: a misspelt name would cost all rounds of the others."""
    unknown = [UnknownPluginError(name, known).reason for name in config.tier.policies if name not in known]
    if unknown:
        raise ConfigError(Problem(config.origin, reason, where="tier.policies") for reason in unknown)


def _say(planned: Any, folder: Path | None, *, as_json: bool) -> None:  # noqa: ANN401 - a TierPlan
    if as_json:
        terminal.print_json(planned)
        return
    from pagexchange.cli import layout, tier_plan

    layout.show(tier_plan.blocks(planned, folder))
