"""`pagexchange list`: which plug-ins are installed, what they answer, and whether they can be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from pagexchange.cli import results
from pagexchange.cli.completion import plugin_names
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.terminal import print_json, say
from pagexchange.errors import UnknownPluginError
from pagexchange.hookspecs import ANSWERS
from pagexchange.host.discovery import OWN, Registry
from pagexchange.strangers import said

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.host.blocking import Blocking
    from pagexchange.host.discovery import PluginInfo

SHORT: Final = {hook: key for key, hook in ANSWERS.items()}
LEFT: Final = ("plug-in", "state", "hooks", "origin")
PROSE: Final = "what it is"


@click.command("list", cls=results.Verb, short_help="List the installed plug-ins and their state.")
@click.argument("names", metavar="[PLUG-IN]...", nargs=-1, shell_complete=plugin_names)
@click.option("--block", metavar="NAME", multiple=True, shell_complete=plugin_names, help="The same as -p no:NAME.")
@blocks_plugins
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@logs
def list_plugins(names: tuple[str, ...], block: tuple[str, ...], blocking: Blocking, as_json: bool) -> None:
    """List the installed plug-ins: what they answer, where they come from, and whether they can be used.

    All of them are imported. With names: these only, and their options.

    \b
    States:
      ok        it can be used
      blocked   by an option or the variable PAGEXCHANGE_BLOCK; the reason is given
      failed    it cannot be imported; the reason is given
      shadowed  another plug-in has the same name and comes first
      no hooks  nothing in it is marked as a hook, or pluggy cannot see it

    \b
    Hooks:
      flags, data, mapping  the question that it answers: a strategy names a plug-in for each
      copy                  the same in the place of data, for a strategy that migrates
      pairing               it says which pages of a tier trade places: a strategy may name one
      wraps                 it may stand around the plug-in of each question, or of those named
      observes              it is told of runs and exchanges, or reports at their end
    """
    # Names are looked up before anything is imported: a mistyped one costs no import of strangers.
    registry = Registry(blocking=replace(blocking, names=(*blocking.names, *block)))
    for name in names:
        if name not in registry.names():
            raise UnknownPluginError(name, registry.names(), registry.wrong)
    plugins = [info for info in registry.list() if not names or info.name in names]
    if as_json:
        print_json({"schema": 1, "plugins": [_values(info) for info in plugins], "warnings": registry.wrong})
        return
    for wrong in registry.wrong:
        say(f"note: {wrong}", err=True)
    from pagexchange.cli.layout import show  # imports rich

    show(_blocks(plugins, options=bool(names)))


def _values(info: PluginInfo) -> dict[str, Any]:
    keys = ("name", "state", "reason", "distribution", "version", "value", "file", "summary")
    options = [{"name": o.name, "type": o.type, "default": _default(o.default)} for o in info.options]
    return {key: getattr(info, key) for key in keys} | {"hooks": list(info.hooks), "options": options}


def _default(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else said(value)


def _blocks(plugins: list[PluginInfo], *, options: bool) -> list[RenderableType]:
    from rich.text import Text

    from pagexchange.cli.layout import Layouts, Paragraph, table, text

    rows, narrow = [], []
    notes: list[RenderableType] = []
    for info in plugins:
        style = {"ok": "good", "failed": "bad", "no hooks": "bad"}.get(info.state, "warn")
        origin = f"{'built in' if info.distribution == OWN else info.distribution} {info.version}".strip()
        name: Words = (info.name, "bold")
        row = {
            "plug-in": name,
            "state": (info.state, style),
            "hooks": _hooks(info.hooks),
            "origin": origin,
            PROSE: (info.summary, "dim"),
        }
        rows.append(row)
        facts = text(f"{_hooks(info.hooks)}; {origin}")
        narrow.append(row | {PROSE: Text("\n").join([*([text(row[PROSE])] if info.summary else []), facts])})
        if info.reason:
            notes.append(Paragraph((f"{info.state}, {info.reason}", style), label=(f"{info.name}: ", "bold")))
        if options:
            notes += [Paragraph(line, label=label) for label, line in _options(info)]
    wide = table(rows, (*LEFT, PROSE), left=LEFT, prose=PROSE, room=40)
    # Beside four columns of facts a sentence would get a quarter of a narrow terminal: there the facts follow it.
    tables = Layouts([wide], [table(narrow, ("plug-in", "state", PROSE), left=LEFT, prose=PROSE)])
    return [tables, *([Text(), *notes] if notes else [])]


def _hooks(hooks: tuple[str, ...]) -> str:
    """Hooks in a few words: `data`, or `wraps data; observes`; one that wraps all questions just `wraps`."""
    answers = [SHORT[name] for name in SHORT if name in hooks]
    wraps = [SHORT[name] for name in SHORT if f"{name} (wrapper)" in hooks]
    wrapped = "wraps" if wraps == [*ANSWERS] else f"wraps {', '.join(wraps)}"
    parts = [", ".join(answers), wrapped if wraps else ""]
    if any(hook.partition(" ")[0] not in SHORT for hook in hooks):
        parts.append("observes")
    return "; ".join(part for part in parts if part) or "-"


def _options(info: PluginInfo) -> list[tuple[Words, Words]]:
    """Lines on what a plug-in may be told in a strategies file: (label, words)."""
    lines: list[tuple[Words, Words]] = [("", (info.name, "bold"))]
    for option in info.options:
        default = "required" if option.required else f"default {said(option.default, repr)}"
        lines.append((f"    {option.name}: ", f"{option.type}, {default}"))
    if not info.options and info.state == "ok":
        lines.append(("    ", "takes no options"))
    return lines
