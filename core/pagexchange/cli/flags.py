"""`pagexchange layout`: which flag is which bit, and what an exchange does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pagexchange.cli.terminal import print_json, say
from pagexchange.model import live
from pagexchange.model.layout import Layout, live_file

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pagexchange.cli.layout import Words


def layout_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of layouts: for shell completion."""
    return [name for name in (*Layout.available(), live.NAME) if name.startswith(incomplete)]


@click.command(short_help="Show a layout of the flags word.")
@click.argument("name", required=False, shell_complete=layout_names)
@click.option("--toml", "as_toml", is_flag=True, help="The running kernel's as a layout file, to be kept or changed.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def layout(name: str | None, as_toml: bool, as_json: bool) -> None:
    """Show the layout NAME: each flag with its bit, what an exchange does with it, and what it means.

    NAME is that of a shipped layout, the path of a .toml file, or `live`: the running kernel's, as its BTF tells.
    Without NAME the shipped ones are listed. `page` is the policy in the word of a page, `tails` that in the words of
    a large folio's later frames: swap, it goes with the page; stay, it is the frame's; refuse, no such page is moved.
    """
    if as_toml:
        if as_json or name not in (None, live.NAME):
            raise click.UsageError(f"--toml writes the layout '{live.NAME}' and nothing else")
        say(live_file().rstrip("\n"))
        return
    if name is None:
        _list(as_json)
        return
    shown = Layout.load(name)
    shipped = nearest(shown)
    if as_json:
        print_json(values(shown, shipped))
        return
    from pagexchange.cli.layout import show  # imports rich

    show(blocks(shown, shipped))


def _list(as_json: bool) -> None:
    found = [Layout.load(name) for name in Layout.available()]
    if as_json:
        print_json({"schema": 1, "layouts": [{"name": each.name, "summary": each.summary} for each in found]})
        return
    for each in found:
        say(f"{each.name:12}{each.summary}")
    say(f"{live.NAME:12}the running kernel's, read from {live.FILE} when it is asked for")


def nearest(layout: Layout) -> Layout:
    """The shipped layout that has the most flags at the same bits."""
    places = {(flag.name, flag.bit) for flag in layout.flags}
    shipped = [Layout.load(name) for name in Layout.available()]
    return max(shipped, key=lambda other: len(places & {(flag.name, flag.bit) for flag in other.flags}))


def values(layout: Layout, shipped: Layout) -> dict[str, Any]:
    """A layout for programs."""
    return {
        "schema": 1,
        "name": layout.name,
        "summary": layout.summary,
        "flags": [
            {"name": f.name, "bit": f.bit, "policy": f.policy, "tail": f.tail, "meaning": f.meaning}
            for f in layout.flags
        ],
        "fields": [
            {"name": f.name, "shift": f.shift, "width": f.width, "policy": f.policy, "meaning": f.meaning}
            for f in layout.fields
        ],
        "aliases": layout.aliases,
        "notes": list(layout.notes),
        "nearest": shipped.name,
        "differences": layout.differences(shipped),
    }


def blocks(layout: Layout, shipped: Layout) -> list[RenderableType]:
    """A layout for people."""
    from rich.text import Text

    from pagexchange.cli.layout import Paragraph, table

    rows: list[dict[str, Words]] = []
    for flag in layout.flags:
        also = [alias for alias, name in layout.aliases.items() if name == flag.name]
        meaning = f"{flag.meaning}; also {', '.join(also)}" if also else flag.meaning
        rows.append(_row(str(flag.bit), flag.name, flag.policy, flag.tail, meaning))
    for field in reversed([field for field in layout.fields if field.width]):
        bits = f"{field.shift}-{field.shift + field.width - 1}"
        rows.append(_row(bits, field.name, field.policy, "stay", field.meaning))
    heads = ("bit", "name", "page", "tails", "meaning")
    shown: list[RenderableType] = [
        Paragraph((layout.name, "bold"), f"  {layout.summary}"),
        Text(),
        table(rows, heads, left=heads[1:], prose="meaning"),
    ]
    differences = layout.differences(shipped)
    if differences or layout.notes:
        shown.append(Text())
    shown += [Paragraph(line, label=(f"not as {shipped.name}: ", "warn")) for line in differences]
    shown += [Paragraph(line, label=("note: ", "dim")) for line in layout.notes]
    return shown


def _row(bit: str, name: str, page: str, tails: str, meaning: str) -> dict[str, Words]:
    style = {"swap": "good", "refuse": "warn"}
    return {
        "bit": bit,
        "name": (name, "bold"),
        "page": (page, style.get(page, "dim")),
        "tails": (tails, style.get(tails, "dim")),
        "meaning": (meaning, "dim"),
    }
