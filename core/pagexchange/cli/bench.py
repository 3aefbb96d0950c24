"""`pagexchange bench`: strategies beside peers and limits, over axes, into a run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import click

from pagexchange.cli import results, terminal
from pagexchange.cli.completion import strategy_names
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.progress import progress_bar
from pagexchange.errors import FolderError
from pagexchange.exits import EXIT_INTERRUPTED
from pagexchange.host import read
from pagexchange.model.config import CACHES, Backing, Load, Population, Sorting
from pagexchange.model.tomltext import value
from pagexchange.runs.contenders import contenders
from pagexchange.runs.environment import collect
from pagexchange.samples.naming import now, out_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pagexchange.bench.plan import Plan
    from pagexchange.host.blocking import Blocking
    from pagexchange.model.config import StrategySpec
    from pagexchange.samples.folder import Folder

QUICK: Final = {"size": ("l2", "l3", "dram"), "batch": (128,), "rounds": 10}
"""What `--quick` says where nobody else does."""
NAMED: Final[dict[str, tuple[str, ...]]] = {
    "backing": get_args(Backing), "sorting": get_args(Sorting), "pages": get_args(Population), "load": get_args(Load),
}  # fmt: skip
NUMBERS: Final = ("order", "batch", "threads")


def _axis(name: str, metavar: str, words: str) -> Callable[[Any], Any]:
    return click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=words, shell_complete=_values)


def _values(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The words of an axis behind the last comma: for shell completion."""
    before, comma, word = incomplete.rpartition(",")
    return [f"{before}{comma}{known}" for known in _words(param.name or "") if known.startswith(word)]


def _references(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Limits, peers and strategies: for shell completion."""
    from pagexchange.bench.catalogue import OTHERS

    return [*(name for name in OTHERS if name.startswith(incomplete)), *strategy_names(ctx, param, incomplete)]


def _words(axis: str) -> tuple[str, ...]:
    from pagexchange.bench.catalogue import OTHERS

    words = {"size": CACHES, "peers": (*OTHERS, "none"), **NAMED}
    return words.get(axis, ())


@click.command(cls=results.Verb, short_help="Measure strategies beside peers and limits.")
@click.argument("file", metavar="[STRATEGIES.TOML]", required=False, type=click.Path(dir_okay=False))
@_axis("size", "A,B,...", "Bytes of pages, or l1, l2, l3, dram: half of that cache, and more than any holds.")
@_axis("page_size", "A,B,...", "Bytes of a frame.")
@_axis("order", "A,B,...", "Folios of 2^order frames, 0 to 9.")
@_axis("batch", "A,B,...", "Pairs of one call.")
@_axis("threads", "A,B,...", "Worker threads.")
@_axis("backing", "A,B,...", "base, thp, hugetlb.")
@_axis("sorting", "A,B", "random, sorted: the order of the pairs of a list.")
@_axis("pages", "A,B,...", "half, anon, file: kind of the pages.")
@_axis("load", "A,B", "idle, busy: with another process that copies memory.")
@_axis("peers", "A,B,...", "Only these limits and peers beside the strategies; `none` for none.")
@click.option(
    "--reference",
    metavar="NAME",
    shell_complete=_references,
    help="Strategy, peer or limit that ratios are to. Default: rfc-loop.",
)
@click.option("--strategy", "names", metavar="NAME", multiple=True, shell_complete=strategy_names,
              help="Only this one; may be repeated.")  # fmt: skip
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True,
              help="Override a key of the file, as bench.deadline=10; may be repeated.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Three sizes, one batch, 10 rounds: about a minute.")
@click.option("--rounds", metavar="N", type=click.IntRange(1, 1_000_000), help="Turns of each cell. Default: 15.")
@click.option(
    "--seed", metavar="N", type=click.IntRange(0, (1 << 63) - 1), help="Chooses pages, pairs, and whose turn it is."
)
@click.option("--no-verify", is_flag=True, help="Let the oracle not look at a first call of each cell.")
@click.option("--out", metavar="DIR", type=click.Path(), help="Run folder to make. Default: a new one in runs/.")
@click.option("--dry-run", is_flag=True, help="Print what would be measured, the memory and the time it takes.")
@click.option("--tune", is_flag=True, help="Say which strategy wins where, and what to set in strategies.toml.")
@click.option("-q", "--quiet", is_flag=True, help="No table, no progress.")
@blocks_plugins
@logs
@click.pass_context
def bench(
    ctx: click.Context,
    /,
    file: str | None,
    names: tuple[str, ...],
    overrides: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    seed: int | None,
    no_verify: bool,
    out: str | None,
    dry_run: bool,
    tune: bool,
    quiet: bool,
    blocking: Blocking,
    reference: str | None,
    **axes: str | None,
) -> None:
    """Measure strategies beside peers and limits at all combinations of the axes; keep all samples in a run folder.

    Each cell is a pinned process of its own, and the cells of a point take turns in an order drawn by the seed: what
    the machine does meanwhile hits them alike. What costs is counted in CPU time, what takes long in wall time. Turns
    in which others had the CPU are taken again within a budget. A cell that crashes, hangs or runs out of memory is
    named with its exit status, and the others go on.

    Exit codes: 0 everything was measured, 1 a strategy did not do as expected, 2 usage or configuration, 3 nothing
    could be measured or kept, 4 a cell failed, 6 figures that cannot be trusted, 130 interrupted (what was finished is
    kept).
    """
    from pagexchange.bench.affinity import usable
    from pagexchange.bench.plan import plan
    from pagexchange.bench.record import manifest
    from pagexchange.samples.folder import Folder

    started, command = now(), ["pagexchange", *(ctx.find_root().obj or ())]
    path = out_path(out, "bench", started, command)
    if not dry_run:
        Folder.check(path)
    settings = [*overrides, *_settings(axes, quick=quick)]
    given = [("run.seed", seed), ("bench.rounds", rounds), ("bench.reference", reference)]
    settings += [f"{key}={value(item)}" for key, item in given if item is not None]
    config = read.load(file, overrides=settings, only=names or None, broken=False, blocking=blocking)
    specs = contenders(config, names)
    planned = plan(config, specs, caches=collect()["cpu"]["caches"], cpus=len(usable()))
    if dry_run:
        from pagexchange.cli import bench_table, layout

        layout.show(bench_table.plan_blocks(planned))
        return
    kept = Folder.create(path, manifest(planned, specs, path, started, command))
    ctx.exit(_measure(planned, specs, kept, verify=not no_verify, tune=tune, quiet=quiet))


def _settings(axes: dict[str, str | None], *, quick: bool) -> Iterator[str]:
    """`--set` texts for what was given by options of their own."""
    for axis, text in axes.items():
        if text is not None:
            yield f"bench.{axis}={_listed(axis, text)}"
        elif quick and axis in QUICK:
            yield f"bench.{axis}={value(QUICK[axis])}"
    if quick:
        yield f"bench.rounds={QUICK['rounds']}"


def _listed(axis: str, text: str) -> str:
    """`a,b` as a list of TOML: numbers where the axis has numbers, else strings."""
    if axis == "peers" and text == "none":
        return "[]"
    items = [item.strip() for item in text.split(",")]
    whole = axis in NUMBERS or (axis.endswith("size") and all(item.isdigit() for item in items))
    if axis == "size" and not whole:
        items = [item.lower() if item.lower() in CACHES else item for item in items]
    return value([int(item) if whole and item.isdecimal() else item for item in items])


def _measure(plan: Plan, specs: list[StrategySpec], folder: Folder, *, verify: bool, tune: bool, quiet: bool) -> int:
    from pagexchange.bench.bench import Bench
    from pagexchange.bench.summary import exit_code, summary
    from pagexchange.cli import bench_table, layout
    from pagexchange.runs.machine import this_host

    host = this_host()
    folder.add_host(host)
    interrupted, lost = False, None
    with progress_bar(show=not quiet) as progress:
        try:
            Bench(plan, folder, host, verify=verify, progress=progress).run()
        except KeyboardInterrupt:
            interrupted = True
        except FolderError as error:  # the disk is full: what was finished is there, and is shown
            lost = error
    found = summary(folder)
    if not quiet:
        ascii_only = not terminal.speaks_unicode(results.stream())
        layout.show(bench_table.blocks(folder, found, plan, ascii_only=ascii_only, interrupted=interrupted))
        if tune:
            layout.show(bench_table.tuning(found, plan))
    if lost:
        raise lost
    return EXIT_INTERRUPTED if interrupted else exit_code(found, specs)
