"""`pagexchange explain`: each step of an exchange in order, who serves it, and what it will allocate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from pagexchange.arena import given_nodes
from pagexchange.cli import results
from pagexchange.cli.completion import strategy_names
from pagexchange.cli.options import blocks_plugins, logs
from pagexchange.cli.terminal import print_json, say
from pagexchange.host import read
from pagexchange.host.build import Facts, PagexchangeHost
from pagexchange.host.discovery import OWN
from pagexchange.model.words import counted
from pagexchange_native.arena.places import as_place
from pagexchange_native.engine.steps import POINT_OF_NO_RETURN, STEPS

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pagexchange.cli.layout import Words
    from pagexchange.host.blocking import Blocking
    from pagexchange.host.built import BuiltStrategy, Served
    from pagexchange.model.config import Config

LOCK: Final = {
    "async": "if one is held, the pair gets EAGAIN",
    "sync-light": "if one is held, all are let go and waited for in the order of their numbers",
}
WRITEBACK: Final = {"async": "EBUSY at once", "sync": "waited for, then ETIMEDOUT"}
"""What the mode changes; where it has no line, as the mode before it."""


@click.command(cls=results.Verb, short_help="Show who serves each step of a strategy.")
@click.argument("strategy", shell_complete=strategy_names)
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As with `run`; may be repeated.")
@blocks_plugins
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@logs
def explain(strategy: str, file: str | None, overrides: tuple[str, ...], blocking: Blocking, as_json: bool) -> None:
    """Explain STRATEGY of FILE: each step in order, who serves it, and what it will allocate.

    The plug-ins are asked as in a run, for the arena that the file describes, so that the answer is what a run would
    use here: the instruction set that this CPU has, the fall-backs that did not serve, the wrappers.
    Without FILE the packaged file is used.
    """
    # Only this strategy: an error in another one of the file does not stand in the way of explaining it.
    config = read.load(file, overrides=overrides, only=[strategy], blocking=blocking)
    host = PagexchangeHost(config.block, blocking=blocking)
    built = host.build(config.strategy(strategy), Facts.of(config))
    for wrong in host.registry.wrong:
        say(f"note: {wrong}", err=True)
    if as_json:
        print_json(values(built, config))
        return
    from pagexchange.cli.layout import show  # imports rich

    show(blocks(built, config))


def values(built: BuiltStrategy, config: Config) -> dict[str, Any]:
    """The explanation for programs."""
    spec = built.spec
    return {
        "schema": 1,
        "strategy": spec.name,
        "origin": config.origin,
        "summary": spec.summary,
        "expect": spec.expect,
        "mode": spec.mode,
        "threads": spec.threads,
        "native": built.native,
        "layout": config.layout.name,
        "nodes": {
            name: {"bytes": config.arena.sizes[name], "place": _place(config, name)} for name in config.arena.nodes
        },
        "nodes_wanting": _wanting(config),
        "plugins": [
            {
                "question": served.question,
                "name": served.plugin,
                "distribution": served.distribution,
                "version": served.version,
                "file": served.file,
                "native": served.native,
                "options": served.options,
                "details": served.describe(),
                "wrappers": list(served.wrappers),
            }
            for served in built.answers
        ],
        "skipped": [{"question": s.question, "name": s.plugin, "reason": s.reason} for s in built.skipped],
        "wrappers": list(built.wrappers),
    }


def blocks(built: BuiltStrategy, config: Config) -> list[RenderableType]:
    """The explanation for people."""
    from rich.text import Text

    from pagexchange.cli.layout import Layouts, Paragraph, table

    spec = built.spec
    threads = counted(spec.threads, "thread")
    python = "no Python in a batch" if built.native else "Python in each batch, under a whole-page log"
    facts = f"mode {spec.mode}; {threads}; {python}; flags as in {config.layout.name}"
    heads = ("step", "served by", "what happens")
    lines: list[tuple[str, Words, Words]] = []
    lines += [(served.question, (served.plugin, "bold"), _about(served)) for served in built.answers]
    lines += [(skipped.question, skipped.plugin, f" does not serve: {skipped.reason}") for skipped in built.skipped]
    if built.wrappers:
        lines.append(("wrapped by", ", ".join(built.wrappers), " (outermost first)"))
    if bound := [f"{name} {place}" for name in config.arena.nodes if (place := _place(config, name))]:
        wanting = _wanting(config)
        lines.append(("nodes", ", ".join(bound), f"; not here: {wanting}" if wanting else ""))
    indent = max(len(label) for label, *_ in lines) + 2
    return [
        Paragraph((spec.name, "bold"), f"  {spec.summary}"),
        Paragraph(f"from {config.origin}; expected to be {spec.expect}; {facts}"),
        Text(),
        Layouts([table(_steps(built), heads, left=heads[:2], prose=heads[2])]),
        Text(),
        *(Paragraph(*words, label=(f"{label}: ", "dim"), indent=indent) for label, *words in lines),
    ]


def _place(config: Config, name: str) -> str:
    """Where the frames of a node are to lie; empty: nothing is said."""
    place = as_place(config.placed()[name])
    return f"{'in' if place.path else 'on'} {place}" if place else ""


def _wanting(config: Config) -> str:
    arena, places = config.arena, config.placed()
    nodes = {name: {"size": size, **places[name]} for name, size in arena.sizes.items()}
    return given_nodes.wanting(
        nodes, int(arena.page_size), huge=arena.huge, path=arena.path and config.resolve(arena.path)
    )


def _steps(built: BuiltStrategy) -> list[dict[str, Words]]:
    """The rows of the table: the engine's steps, with what mode and chain change about them."""
    mode = built.spec.mode
    # The table of steps is the engine's and knows no mode; what a mode or a chain changes is said here.
    last = len(built.movers) == 1
    without = "gets ENOMEM" if last else "goes to the next mover"
    details = {
        "claim": f"{LOCK.get(mode, LOCK['sync-light'])}; write-back: {WRITEBACK.get(mode, WRITEBACK['async'])}",
        "prepare": f"a pair that finds no frame {without}",
    }
    if built.spec.migrates:
        details |= {
            "validate": "then takes free frames for up to 512 base pages at a time; a page that finds none gets ENOMEM",
            "prepare": f"a page that is refused with ENOMEM {'gets it' if last else 'goes to the next copier'}",
            "finish": "the frame that a page has left is freed",
        }
    rows: list[dict[str, Words]] = []
    for number, step in enumerate(STEPS, 1):
        if step.name == POINT_OF_NO_RETURN:
            line = "the point of no return: nothing below may fail, allocate, block or run Python"
            rows.append({"step": ("-" * 11, "dim"), "served by": ("-" * 9, "dim"), "what happens": (line, "warn")})
        server = "copy" if step.server == "data" and built.spec.migrates else step.server
        servers = [served.plugin for served in built.served if served.question == server]
        detail = details.get(step.name)
        rows.append(
            {
                "step": f"{number:>2} {step.name}",
                "served by": (" then ".join(servers), "bold") if servers else (step.server, "dim"),
                "what happens": (f"{step.action}; {detail}" if detail else step.action, "dim"),
            }
        )
    return rows


def _about(served: Served) -> str:
    origin = f"built in, {served.version}" if served.distribution == OWN else f"{served.distribution} {served.version}"
    parts = [origin, "native" if served.native else "Python"]
    parts += [f"{key}: {value}" for key, value in served.describe().items() if key != "name"]
    if served.options:
        parts.append("options " + ", ".join(f"{key} = {value!r}" for key, value in served.options.items()))
    else:
        parts.append("no options given")
    if served.wrappers:
        parts.append("wrapped by " + ", ".join(served.wrappers))
    return f" ({'; '.join(parts)})"
