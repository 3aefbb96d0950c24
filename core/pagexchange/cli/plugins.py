"""`pagexchange list` and `pagexchange explain`: which plug-ins there are, and who serves a strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pagexchange.cli.terminal import plugin_names, print_blocks, print_json, strategy_names
from pagexchange.host.discovery import OWN

if TYPE_CHECKING:
    from pagexchange.cli.report import Block, Style
    from pagexchange.host.discovery import PluginInfo


def _origin(distribution: str, version: str) -> str:
    return f"{'built in' if distribution == OWN else distribution} {version}".strip()


@click.command("list", short_help="List the installed plug-ins and their state.")
@click.argument("names", metavar="[PLUG-IN]...", nargs=-1, shell_complete=plugin_names)
@click.option("--block", metavar="NAME", multiple=True, shell_complete=plugin_names, help="As if it could not be used.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def list_plugins(ctx: click.Context, names: tuple[str, ...], block: tuple[str, ...], as_json: bool) -> None:
    """List the installed plug-ins: what they answer, where they come from, and whether they can be used.

    All of them are imported. With names: these only, and their options.

    \b
    States:
      ok        it can be used
      blocked   by --block or the variable PAGEXCHANGE_BLOCK
      failed    it cannot be imported; the reason is given
      shadowed  another plug-in has the same name and comes first
      no hooks  nothing in it is marked as a hook, or pluggy cannot see it
    """
    from pagexchange.errors import UnknownPluginError
    from pagexchange.host.discovery import Registry

    registry = Registry(block)
    for name in names:
        if name not in registry.names():
            raise UnknownPluginError(name, registry.names())
    found = [info for info in registry.list() if not names or info.name in names]
    if as_json:
        print_json({"schema": 1, "plugins": [_plain(info) for info in found]})
        return
    print_blocks(_listing(found, options=bool(names)))


def _plain(info: PluginInfo) -> dict[str, Any]:
    keys = ("name", "state", "reason", "distribution", "version", "value", "file", "summary")
    options = [{"name": o.name, "type": o.type, "default": _default(o.default)} for o in info.options]
    return {key: getattr(info, key) for key in keys} | {"hooks": list(info.hooks), "options": options}


def _default(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


SHORT = {"exchange_flags": "flags", "exchange_data": "data", "update_mapping": "mapping"}


def _hooks(hooks: tuple[str, ...]) -> str:
    """Hooks in a few words: `data`, or `wraps data; observes`; one that wraps all three answers just `wraps`."""
    answers = [SHORT[name] for name in SHORT if name in hooks]
    wraps = [SHORT[name] for name in SHORT if f"{name} (wrapper)" in hooks]
    wrapped = "wraps" if len(wraps) == len(SHORT) else f"wraps {', '.join(wraps)}"
    parts = [", ".join(answers), wrapped if wraps else ""]
    if any(hook.partition(" ")[0] not in SHORT for hook in hooks):
        parts.append("observes")
    return "; ".join(part for part in parts if part) or "-"


def _listing(found: list[PluginInfo], *, options: bool) -> list[Block]:
    from pagexchange.cli.report import Cell, Column, Line, Table

    table = Table(
        (
            Column("plug-in", left=True),
            Column("state", left=True),
            Column("hooks", left=True),
            Column("origin", left=True),
            Column("what it is", left=True, rank=1, prose=True),
        )
    )
    notes: list[Block] = []
    for info in found:
        style: Style = "good" if info.state == "ok" else "bad" if info.state in ("failed", "no hooks") else "warn"
        table.rows.append(
            [
                Cell(info.name, "bold"),
                Cell(info.state, style),
                Cell(_hooks(info.hooks)),
                Cell(_origin(info.distribution, info.version)),
                Cell(info.summary, "dim"),
            ]
        )
        pad = len(info.name) + 2
        if info.reason:
            notes.append(
                Line([Cell(f"{info.name}: ", "bold"), Cell(f"{info.state}, {info.reason}", style)], indent=pad)
            )
        if options:
            notes.append(Line([Cell(info.name, "bold")]))
            for option in info.options:
                default = "required" if option.required else f"default {option.default!r}"
                notes.append(Line([Cell(f"    {option.name}: {option.type}, {default}")], indent=6))
            if not info.options and info.state == "ok":
                notes.append(Line([Cell("    takes no options")], indent=6))
    return [table, *([Line([]), *notes] if notes else [])]


@click.command(short_help="Show who serves each step of a strategy.")
@click.argument("strategy", shell_complete=strategy_names)
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As with `run`; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def explain(strategy: str, file: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Explain STRATEGY of FILE: each step in order, who serves it, and what it will allocate.

    The plug-ins are asked as in a run, for the arena that the file describes, so that the answer is what a run would
    use here: the instruction set that this CPU has, the fall-backs that did not serve, the wrappers.
    """
    from pagexchange.host import read
    from pagexchange.host.build import Facts, PagexchangeHost

    config = read.load(file, overrides=overrides, only=[strategy])
    spec = config.strategy(strategy)
    built = PagexchangeHost(config.block).build(spec, Facts.of(config))
    from pagexchange.cli.explain import blocks, plain

    if as_json:
        print_json(plain(built, config))
    else:
        print_blocks(blocks(built, config))
