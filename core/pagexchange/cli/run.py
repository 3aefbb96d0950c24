"""`pagexchange run`: the main job on the command line."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from pagexchange import trail
from pagexchange.arena import hugepages
from pagexchange.arena.strategy import bind
from pagexchange.cli import results, stopping, terminal
from pagexchange.cli.completion import strategy_names
from pagexchange.cli.kept import told
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.progress import progress_bar
from pagexchange.exits import EXIT_OK, EXIT_UNTRUSTED
from pagexchange.host import read
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.watchdog import Watchdog
from pagexchange.runs import inputs
from pagexchange.runs.contenders import contenders
from pagexchange.runs.keep import Kept
from pagexchange.runs.plan import plan
from pagexchange.runs.run import run as run_all
from pagexchange.runs.verdict import Stamping
from pagexchange.samples.folder import Folder
from pagexchange.samples.naming import now, out_path

if TYPE_CHECKING:
    from pathlib import Path

    from pagexchange.host.blocking import Blocking
    from pagexchange.runs.plan import RunPlan

MOST = 1 << 40
"""Of a count, as in the file: here, so that the message names the option."""


@click.command(cls=results.Verb, short_help="Run strategies on the same pages, check them, show the cost.")
@click.argument("file", metavar="[STRATEGIES.TOML]", required=False, type=click.Path(dir_okay=False))
@click.option("--input", "snapshot", metavar="FILE", type=click.Path(),
              help="Pages of this snapshot, or of a machine saved in this folder: see `snapshot`.")  # fmt: skip
@click.option("--live", is_flag=True, help="Pages of this machine as it is now. Root sees all, others only themselves.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
@click.option("--strategy", "names", metavar="NAME", multiple=True, shell_complete=strategy_names,
              help="Only this one; may be repeated.")  # fmt: skip
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True,
              help="Override a key of the file, as strategy.word-swap.threads=2; may be repeated.")  # fmt: skip
@click.option("--free", metavar="N", type=click.IntRange(0, MOST), help="Leave N free frames on each node: pressure.")
@click.option("--pairs", metavar="N", type=click.IntRange(1, MOST), help="Exchange N pairs.")
@click.option("--rounds", metavar="N", type=click.IntRange(min=0),
              help="Timed rounds, each strategy once in each; 0 only checks. Default: 3 to 15, by time.")  # fmt: skip
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, (1 << 63) - 1),
    help="Chooses pages, pairs and the order in the rounds.",
)
@click.option("--verify", type=click.Choice(["once", "all", "none"]),
              help="Compare everything once per strategy (default), after every call, or never.")  # fmt: skip
@click.option("--out", metavar="DIR", type=click.Path(),
              help="Keep every sample in a new run folder; with a / at its end, in one below it.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done, and exchange nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No table, no progress: the exit code is the answer.")
@blocks_plugins
@logs
@click.pass_context
def run(
    ctx: click.Context,
    file: str | None,
    snapshot: str | None,
    live: bool,
    as_json: bool,
    names: tuple[str, ...],
    overrides: tuple[str, ...],
    free: int | None,
    pairs: int | None,
    rounds: int | None,
    seed: int | None,
    verify: str | None,
    out: str | None,
    dry_run: bool,
    quiet: bool,
    blocking: Blocking,
) -> None:
    """Run strategies against each other on the same pages, check every page, and show what it cost.

    Without a file the shipped strategies run on the packaged snapshot of a real machine: the 2019 review, answered.
    Each strategy exchanges the whole list once and an oracle compares everything; then come the timed rounds, in turns.

    Exit codes: 0 every strategy did what its `expect` says, 1 one did not, 2 usage or configuration, 3 the input
    cannot be read, 4 a plug-in failed, 5 the pages were wrong before the first exchange, 6 all as expected, but others
    had the CPU for so long that the times cannot be trusted, 130 interrupted (what was measured until then is
    printed, and kept). A run folder that cannot be written is 3, and the table is printed.
    """
    if snapshot is not None and live:
        raise click.UsageError("--input and --live exclude each other")
    started, command = now(), ["pagexchange", *(ctx.find_root().obj or ())]
    folder = None if out is None else out_path(out, "run", started, command)
    if folder is not None:
        Folder.check(folder)
    given = [("workload.free", free), ("workload.pairs", pairs), ("run.seed", seed)]
    settings = [*overrides, *(f"{key}={value}" for key, value in given if value is not None)]
    # A plug-in that cannot be loaded fails its own strategy; the others run.
    config = read.load(file, overrides=settings, only=names or None, broken=False, blocking=blocking)
    watchdog = Watchdog.from_environment()
    specs = contenders(config, names)
    host = PagexchangeHost(config.block, blocking=blocking)
    verify = verify or ("once" if config.run.verify else "none")
    rounds = config.run.rounds if rounds is None else rounds
    as_run = dataclasses.replace(config.run, verify=verify != "none", rounds=rounds)
    config = dataclasses.replace(config, run=as_run)
    if dry_run:
        with watchdog:
            bench = inputs.workbench(inputs.in_memory(config), file=snapshot, live=live)
            _say(plan(bench, config, specs, partial(bind, host, watchdog=watchdog)), folder, as_json=as_json)
            bench.close()
        return
    with watchdog, progress_bar(show=not quiet) as progress:
        progress(0, 0, "making the arena")
        bench = inputs.workbench(config, file=snapshot, live=live)
        if bench.arena.path is not None and (page := trail.page()) is not None:
            page.made = os.fsencode(bench.arena.path)
        kept = None
        if folder is not None:
            kept = Kept(folder, config, specs, bench.info, started=started, command=command, snapshot=snapshot)
        with stopping.remove_at_last(bench.arena.path):
            result = run_all(
                bench,
                specs,
                partial(bind, host, watchdog=watchdog),
                None if verify == "none" else Stamping(config.run.seed),
                rounds=rounds,
                seed=config.run.seed,
                verify_all=verify == "all",
                progress=progress,
                keep=None if kept is None else kept.sample,
            )
    installed = [*host.registry.clashes({use.plugin for spec in specs for use in spec.uses()}), *host.registry.wrong]
    result = msgspec.structs.replace(result, warnings=[*result.warnings, *installed, *hugepages.missing(bench.arena)])
    if as_json:
        terminal.print_json(result)
    elif not quiet:
        from pagexchange.cli import layout, run_table  # they import rich

        layout.show(run_table.blocks(result, ascii_only=not terminal.speaks_unicode(results.stream())))
    bench.close()
    code = EXIT_OK
    if kept is not None:
        kept.finish(result)
        code = told(kept, quiet=quiet)
    ctx.exit(code if code and result.exit_code in (EXIT_OK, EXIT_UNTRUSTED) else result.exit_code)


def _say(planned: RunPlan, folder: Path | None, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(planned)
        return
    from pagexchange.cli import layout, run_plan

    layout.show(run_plan.blocks(planned, folder))
