"""`pagexchange snapshot`: a machine's page frames in a file that `run` can use, or all that it is made from."""

from __future__ import annotations

import os
from typing import Any, Final

import click
from click.core import ParameterSource

from pagexchange.cli import from_files
from pagexchange.cli.terminal import print_json, say
from pagexchange.model.sizes import format_size, parse_size
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import nodes, take
from pagexchange.pages.snapshot.proc.tree import PROC
from pagexchange.pages.snapshot.save import save

_WITH_FROM: Final = frozenset({"out", "from_file", "force", "as_json"})
_UNSAID: Final = ParameterSource.DEFAULT


@click.command(short_help="Record a machine's page frames into a file.")
@click.argument("out", required=False, type=click.Path(dir_okay=False))
@click.option("--pid", "pids", metavar="N", type=click.IntRange(min=1), multiple=True,
              help="Only this process and the frames that it maps; may be repeated.")  # fmt: skip
@click.option("--contents", is_flag=True, help="Also what is in the pages. It may hold passwords and keys.")
@click.option("--names", is_flag=True, help="Also the names of files and processes.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N frames: a sample of whole processes.")
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Chooses the sample."
)
@click.option("--heat", "heat_file", metavar="FILE", type=click.Path(dir_okay=False),
              help="How hot pages are: lines of a frame number and a number.")  # fmt: skip
@click.option("--proc", metavar="DIR", default=str(PROC), type=click.Path(),
              help="Not this machine, but the one whose /proc and /sys are saved in DIR.")  # fmt: skip
@click.option("--page-size", metavar="SIZE", help="Of that machine's base page, where DIR does not say it.")
@click.option("--from", "from_file", metavar="FILE", type=click.Path(),
              help="Keep what a file of another tool says: damo, perf, page-types and more.")  # fmt: skip
@click.option("--save-proc", metavar="DIR", type=click.Path(), help="Save /proc and /sys in DIR, which must not exist.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def snapshot(
    ctx: click.Context,
    out: str | None,
    pids: tuple[int, ...],
    contents: bool,
    names: bool,
    limit: int | None,
    seed: int,
    heat_file: str | None,
    proc: str,
    page_size: str | None,
    from_file: str | None,
    save_proc: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Record page frames into the file OUT: this machine's, or those of one that was saved.

    Flags, file positions and sharing come from /proc/kpageflags, /proc/kpagecount and each process's pagemap. Without
    --contents and --names nothing in the file tells what the pages hold or whose they are. Without root only this
    process can be seen; the file says so.

    --save-proc saves what OUT is made from, as files that --proc and `run --input` take on any machine; OUT may be
    left out then.

    --from makes OUT of a file that another tool wrote: a snapshot of a dump of /proc/kpageflags or a listing of
    page-types, a small file of accesses (.pgxtrace) of all else.

    Use it with `pagexchange run --input OUT`. Exit codes: 0 written, 2 wrong usage, 3 /proc, DIR or OUT cannot be used.
    """
    if from_file is not None:
        others = [
            option.opts[0]
            for option in ctx.command.params
            if option.name not in _WITH_FROM and ctx.get_parameter_source(option.name or "") is not _UNSAID
        ]
        if others:
            raise click.UsageError(f"--from and {others[0]} exclude each other: FILE says all that OUT will say")
        if out is None:
            raise click.UsageError("Missing argument 'OUT': what --from makes has to lie somewhere")
    if out is None and save_proc is None:
        raise click.UsageError("Missing argument 'OUT'; or give --save-proc DIR")
    if out is None and heat_file is not None:
        raise click.UsageError("--heat is for OUT: --save-proc alone saves what Linux says")
    if save_proc is not None and contents:
        raise click.UsageError("--save-proc saves no contents: leave --contents out")
    # Before recording: on a large machine that takes its time.
    if out is not None and os.path.lexists(out) and not force:
        raise click.UsageError(f"{out} exists; give another name, or --force to replace it")
    if save_proc is not None and os.path.lexists(save_proc):
        raise click.UsageError(f"{save_proc} exists; give another name")
    if out is not None:
        file_format.check_place(out, replace=force)
    summary: dict[str, Any] = {"schema": 1}
    said, notes = [], []
    if save_proc is not None:
        saved = save(save_proc, pids=pids or None, names=names, proc=proc)
        notes += saved.notes
        summary |= {"tree": save_proc, "tree_bytes": saved.bytes, "tree_notes": saved.notes}
        said.append(f"{save_proc}: {_processes(saved.processes['saved'])}, {format_size(saved.bytes)}")
        proc = save_proc  # so that both are of one instant
    if from_file is not None and out is not None:
        kept, said, notes = from_files.keep(from_file, out, replace=force)
        summary |= kept
    elif out is not None:
        taken = take(
            pids=pids or None, contents=contents, names=names, limit=limit, seed=seed, proc=proc,
            page_size=_bytes(page_size), heat_file=heat_file,
        )  # fmt: skip
        size = file_format.save(taken, out, replace=force)
        counts = taken.summary()
        counts["pages_by_node"] = nodes.pages(taken.facts, taken.pfn)
        summary |= {"path": out, "bytes": size, **counts}
        said += _lines(out, size, counts)
        notes += [*taken.notes, taken.unsaid]
    if as_json:
        print_json(summary)
        return
    for line in said:
        say(line)
    for note in filter(None, notes):
        say(f"note: {note}", err=True)


def _bytes(size: str | None) -> int | None:
    """A page's size as it was given."""
    try:
        number = None if size is None else parse_size(size)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--page-size") from None
    if number is not None and (not 512 <= number <= 2 << 20 or number & (number - 1)):
        raise click.BadParameter(f"{number} bytes: a power of two is expected", param_hint="--page-size")
    return number


def _processes(n: int) -> str:
    return f"{n:,} process{'' if n == 1 else 'es'}"


def _lines(out: str, size: int, counts: dict[str, Any]) -> list[str]:
    """What a snapshot holds, for people."""
    lines = [
        f"{out}: {counts['frames']:,} frames ({counts['anonymous']:,} anonymous, {counts['file']:,} file, "
        f"{counts['shared_memory']:,} shared memory), {counts['mappings']:,} mappings of "
        f"{_processes(counts['spaces'])}, {format_size(size)}"
    ]
    by_node = counts["pages_by_node"]
    if by_node:
        lines.append("pages on nodes: " + ", ".join(f"{count:,} on {node}" for node, count in by_node.items()))
    facts = counts["facts"]
    if facts["uses"]:
        uses = {"pages": facts["uses"]["pages"], "free": facts["uses"]["free"], **facts.get("others", {})}
        what = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in uses.items())
        lines.append(f"{facts['uses']['looked_at']:,} frames were looked at: {what}")
    return lines
