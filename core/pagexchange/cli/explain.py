"""A built strategy in words: each step of an exchange in order, who serves it, and what it will allocate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pagexchange.cli.report import Cell, Column, Line, Table
from pagexchange_native.engine.steps import POINT_OF_NO_RETURN, STEPS

if TYPE_CHECKING:
    from pagexchange.cli.report import Block
    from pagexchange.host.built import BuiltStrategy, Served
    from pagexchange.model.config import Config

LOCK = {
    "async": "if one is held, the pair gets EAGAIN",
    "sync-light": "if one is held, all are let go and waited for in the order of their numbers",
}
WRITEBACK = {"async": "EBUSY at once", "sync": "waited for, then ETIMEDOUT"}
"""What the mode changes; where it has no line, as the mode before it."""


def plain(built: BuiltStrategy, config: Config) -> dict[str, Any]:
    """The same as values, for --json."""
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
        "plugins": [
            {
                "question": one.question,
                "name": one.plugin,
                "distribution": one.distribution,
                "version": one.version,
                "file": one.file,
                "native": one.native,
                "options": one.options,
                "details": one.describe(),
                "wrappers": list(one.wrappers),
            }
            for one in built.served
        ],
        "skipped": [{"question": s.question, "name": s.plugin, "reason": s.reason} for s in built.skipped],
        "wrappers": list(built.wrappers),
    }


def blocks(built: BuiltStrategy, config: Config) -> list[Block]:
    """The explanation for people."""
    spec = built.spec
    out: list[Block] = [Line([Cell(spec.name, "bold"), Cell(f"  {spec.summary}")], indent=2)]
    threads = spec.threads
    how = "no Python in a batch" if built.native else "Python in each batch, under a whole-page log"
    out.append(
        Line(
            [
                Cell(f"from {config.origin}; expected to be {spec.expect}; mode {spec.mode}; "),
                Cell(f"{threads} thread{'' if threads == 1 else 's'}; {how}; flags as in {config.layout.name}"),
            ]
        )
    )
    table = Table(
        (Column("step", left=True), Column("served by", left=True), Column("what happens", left=True, prose=True))
    )
    notes: list[Block] = []
    answers = built.served
    notes_of = {
        "lock": LOCK.get(spec.mode, LOCK["sync-light"]),
        "check": f"write-back: {WRITEBACK.get(spec.mode, WRITEBACK['async'])}",
        "prepare": "a pair that finds no frame "
        + ("gets ENOMEM" if len(built.data) == 1 else "goes to the next mover"),
    }
    for number, step in enumerate(STEPS, 1):
        if step.name == POINT_OF_NO_RETURN:
            point = "the point of no return: nothing below may fail, allocate, block or run Python"
            table.rows.append([Cell("-" * 11, "dim"), Cell("-" * 9, "dim"), Cell(point, "warn")])
        names = [one.plugin for one in answers if one.question == step.server]
        server = " then ".join(names) if names else step.server
        action = "; ".join(filter(None, (step.action, notes_of.get(step.name))))
        row = [Cell(f"{number:>2} {step.name}"), Cell(server, "bold" if names else "dim"), Cell(action, "dim")]
        table.rows.append(row)
    for one in answers:
        notes.append(Line([Cell(f"{one.question}: ", "dim"), Cell(one.plugin, "bold"), Cell(_about(one))], indent=2))
    for skipped in built.skipped:
        notes.append(
            Line([Cell(f"{skipped.question}: ", "dim"), Cell(f"{skipped.plugin} does not serve: {skipped.reason}")])
        )
    if built.wrappers:
        notes.append(Line([Cell("wrapped by: ", "dim"), Cell(", ".join(built.wrappers) + " (outermost first)")]))
    return [*out, Line([]), table, Line([]), *notes]


def _about(one: Served) -> str:
    origin = f"built in, {one.version}" if one.distribution == "pagexchange" else f"{one.distribution} {one.version}"
    parts = [origin, "native" if one.native else "Python"]
    parts += [f"{key}: {value}" for key, value in one.describe().items() if key != "name"]
    if one.options:
        parts.append("options " + ", ".join(f"{key} = {value!r}" for key, value in one.options.items()))
    else:
        parts.append("no options given")
    if one.wrappers:
        parts.append("wrapped by " + ", ".join(one.wrappers))
    return f" ({'; '.join(parts)})"
