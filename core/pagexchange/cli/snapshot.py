"""`pagexchange snapshot`: this machine's page frames in a file that `run` can use."""

from __future__ import annotations

import os

import click

from pagexchange.cli.terminal import print_json, say
from pagexchange.model.sizes import format_size
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot import take


@click.command(short_help="Record this machine's page frames into a file.")
@click.argument("out", type=click.Path(dir_okay=False))
@click.option("--pid", "pids", metavar="N", type=click.IntRange(min=1), multiple=True,
              help="Only this process and the frames that it maps; may be repeated.")  # fmt: skip
@click.option("--contents", is_flag=True, help="Also what is in the pages. It may hold passwords and keys.")
@click.option("--names", is_flag=True, help="Also the names of files and processes.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N frames: a sample of whole processes.")
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Chooses the sample."
)
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def snapshot(
    out: str,
    pids: tuple[int, ...],
    contents: bool,
    names: bool,
    limit: int | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Record this machine's page frames into the file OUT.

    Flags, file positions and sharing come from /proc/kpageflags, /proc/kpagecount and each process's pagemap. Without
    --contents and --names nothing in the file tells what the pages hold or whose they are. Without root only this
    process can be seen; the file says so.

    Use it with `pagexchange run --input OUT`. Exit codes: 0 written, 2 wrong usage, 3 /proc or OUT cannot be used.
    """
    # Before recording: on a large machine that takes its time.
    if os.path.lexists(out) and not force:
        raise click.UsageError(f"{out} exists; give another name, or --force to replace it")
    file_format.check_place(out, replace=force)
    taken = take(pids=pids or None, contents=contents, names=names, limit=limit, seed=seed)
    size = file_format.save(taken, out, replace=force)
    summary = taken.summary()
    if as_json:
        print_json({"schema": 1, "path": out, "bytes": size, **summary})
        return
    processes = f"{summary['spaces']:,} process{'' if summary['spaces'] == 1 else 'es'}"
    say(
        f"{out}: {summary['frames']:,} frames ({summary['anonymous']:,} anonymous, {summary['file']:,} file, "
        f"{summary['shared_memory']:,} shared memory), {summary['mappings']:,} mappings of {processes}, "
        f"{format_size(size)}"
    )
    uses = taken.facts["uses"]
    if uses:
        others = {"pages": uses["pages"], "free": uses["free"], **taken.facts["others"]}
        what = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in others.items())
        say(f"{uses['looked_at']:,} frames were looked at: {what}")
    for note in filter(None, [*taken.notes, taken.unsaid]):
        say(f"note: {note}", err=True)
