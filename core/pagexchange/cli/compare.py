"""`pagexchange compare`: what has become faster or slower between two runs, and what else is not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pagexchange.cli.folders import Repeated
from pagexchange.cli.terminal import print_json
from pagexchange.compare.compare import compare as compared
from pagexchange.compare.sides import Side
from pagexchange.exits import EXIT_OK, EXIT_UNEXPECTED

if TYPE_CHECKING:
    from pathlib import Path


def _share(_ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    """Return `5%` as 0.05."""
    if given is None:
        return None
    try:
        percent = float(given.strip().removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 1000:
        raise click.BadParameter(f"{given!r}: want percent above 0, as 5%", param=param)
    return percent / 100


@click.command(short_help="Say what is faster or slower in new runs than in old ones.")
@click.argument("old", type=Repeated())
@click.argument("new", type=Repeated())
@click.option("--threshold", metavar="PERCENT", callback=_share,
              help="The least difference that counts. Default: 3%, with --ci 5%.")  # fmt: skip
@click.option("--ci", is_flag=True, help="End with 1 if a cell is slower beyond noise and threshold, and repeated.")
@click.option("--force", is_flag=True, help="Also if the two did not exchange the same pages.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def compare(
    ctx: click.Context,
    old: list[Path],
    new: list[Path],
    threshold: float | None,
    ci: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Compare runs of two versions, machines or configurations: OLD and NEW.

    Each is a run folder, or several that repeat each other: a folder that they lie in, or their names joined by
    commas. The more there are, the smaller are the differences that can be told from noise.

    First comes what differs beside the times: machine, versions, configuration, input. Then each cell of both sides
    with the ratio of its medians, NEW to OLD. It is faster or slower only if that is beyond the noise between runs and
    beyond the threshold.

    Exit codes: 0 they were compared, whatever came out of it; 1 with --ci, if a cell is slower by more than the
    threshold, beyond noise, and in both halves of the runs of each side, which are at least two; 2 they cannot be
    compared; 3 a folder cannot be read.
    """
    found = compared(Side.open(old), Side.open(new), threshold=threshold, ci=ci, force=force)
    if as_json:
        print_json(found)
    else:
        _show(found, plain=ci)
    ctx.exit(EXIT_UNEXPECTED if found.failed else EXIT_OK)


def _show(found: Any, *, plain: bool) -> None:  # noqa: ANN401 - see below
    from pagexchange.cli import changes, layout, results, terminal  # they import rich

    blocks = changes.blocks(found)
    if plain:
        terminal.write(layout.render(blocks, terminal.width(results.stream())))
    else:
        layout.show(blocks)
