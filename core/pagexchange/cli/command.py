"""The command `pagexchange`: its verbs, its help, and what ends it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, NoReturn

import click

from pagexchange.cli import stopping
from pagexchange.cli.exits import report
from pagexchange.cli.streams import lost, standard
from pagexchange.cli.supervisor import supervise
from pagexchange.cli.terminal import say
from pagexchange.exits import EXIT_CODES, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK
from pagexchange.strangers import listening
from pagexchange.version import VERSION

DEBUG_VARIABLE: Final = "PAGEXCHANGE_DEBUG"

VERBS: Final = {
    "run": "run.run",
    "bench": "bench.bench",
    "tier": "tier.tier",
    "sweep": "sweep.sweep",
    "merge": "merge.merge",
    "compare": "compare.compare",
    "report": "report.report",
    "list": "list.list_plugins",
    "explain": "explain.explain",
    "check": "check.check",
    "export": "export.export",
    "snapshot": "snapshot.snapshot",
    "layout": "flags.layout",
    "env": "env.env",
    "schema": "schema.schema",
    "docs": "docs.docs",
    "completion": "completion.completion",
}
"""Verb -> module beside this one and the command in it; a module is imported when its verb is used."""

_CODES: Final = "\n".join(f"  {code:<3}  {meaning}" for code, meaning in EXIT_CODES.items())
EPILOG: Final = f"""\b
Examples:
  pagexchange run                              the shipped strategies on the packaged snapshot
  pagexchange run mine.toml --live             your strategies on this machine's own pages
  pagexchange run --strategy word-swap --strategy copy-page --free 0
                                               two of them, with no free frame left
  pagexchange run --json > result.json         the same as one JSON object
  pagexchange bench --quick && pagexchange report
                                               beside limits and peers, by size; as a page
  pagexchange compare runs/before runs/after   what is faster or slower, and what else differs
  pagexchange explain list-exchange            who serves each step of a strategy

\b
Exit codes:
{_CODES}

Documentation: `pagexchange docs` lists its pages. With PAGEXCHANGE_DEBUG=1 every error has a traceback."""


class Verbs(click.Group):
    """A group whose commands are imported when they are used, and whose errors end in the codes above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a first day's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].partition(".")
        command = getattr(importlib.import_module(f"pagexchange.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401 - click's own triple
        """Like click's, with the nearest verb in the message."""
        name = args[0] if args else ""
        if name not in VERBS and not name.startswith("-"):  # an option here is click's to complain about
            near = get_close_matches(name.lower(), VERBS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(VERBS)}"
            ctx.fail(f"No such command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override] # noqa: ANN401
        """Run a command line and exit with its code; `standalone_mode=False`: return it, errors raised as they are."""
        if not extra.pop("standalone_mode", True):
            return super().main(args, prog_name, standalone_mode=False, **extra)
        with listening():
            given = sys.argv[1:] if args is None else list(args)
            code = supervise(given, partial(self._unwound, args, prog_name, **extra))
        sys.exit(code)

    def _unwound(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> int:  # noqa: ANN401
        with stopping.unwinding():
            return self._guarded(args, prog_name, **extra)

    def _guarded(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> int:  # noqa: ANN401
        debug = os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
        try:
            # What was typed is the root context's object.
            given = sys.argv[1:] if args is None else list(args)
            code = super().main(args, prog_name, standalone_mode=False, obj=given, **extra)
        except (KeyboardInterrupt, click.Abort):
            say("pagexchange: interrupted", err=True)
            return stopping.exit_code(EXIT_INTERRUPTED)
        except SystemExit:  # of click's completion, or of a process that a plug-in has forked
            raise
        except BaseException as error:
            if debug:
                raise
            code = report(error)
        if code == EXIT_INTERRUPTED:
            return stopping.exit_code(EXIT_INTERRUPTED)
        missed = lost(sys.stdout)
        if missed is None or code:  # a code that says something already says more than this one
            return code if isinstance(code, int) else EXIT_OK
        say(f"pagexchange: stdout: cannot be written: {missed.strerror}", err=True)
        return EXIT_INPUT


@click.group(
    cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def cli() -> None:
    """Exchange live page frames in a shared arena: which strategy is fastest, and does it lose anything?

    Two pages trade places without a free frame. A strategy says how: which plug-in computes the flags, which moves
    the data, which finds the mapping's slots. `pagexchange run` puts every strategy through the same pages, checks
    each page afterwards, and shows what it cost.
    """


def command(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, the process's own if none is given, and end with its code."""
    with standard():
        cli.main(args=None if argv is None else list(argv), prog_name="pagexchange")
    raise AssertionError("unreachable")
