"""Options that several verbs share; each is a decorator that stands among a verb's own options."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from pagexchange.cli.logs import logging_to
from pagexchange.host.blocking import Blocking
from pagexchange.host.discovery import Registry

if TYPE_CHECKING:
    from collections.abc import Callable


def _names(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of `no:NAME`, as pytest has it."""
    for word in given:
        if not word.startswith("no:") or word == "no:":
            hint = "want no:NAME, which leaves out a plug-in; those that are used are named in the strategies file"
            raise click.BadParameter(f"{word!r}: {hint}", ctx, param)
    return tuple(word.removeprefix("no:") for word in given)


def _blockable(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [word for name in Registry().names() if (word := f"no:{name}").startswith(incomplete)]


def blocks_plugins(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-p no:NAME` and `--no-external-plugins`; the verb gets `blocking`, for `read.load` and `PagexchangeHost`."""

    @click.option("-p", "refused", metavar="no:NAME", multiple=True, callback=_names, shell_complete=_blockable,
                  help="Leave this plug-in out, as if it declined; may be repeated.")  # fmt: skip
    @click.option("--no-external-plugins", "built_in", is_flag=True, help="Leave out all that are not built in.")
    @functools.wraps(verb)
    def with_blocking(*args: Any, refused: tuple[str, ...], built_in: bool, **given: Any) -> Any:  # noqa: ANN401
        return verb(*args, blocking=Blocking(refused, built_in), **given)

    return with_blocking


def logs(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-v` and `--log-file`; while the verb works, what it logs goes where they say."""

    @click.option("-v", "--verbose", count=True,
                  help="Say on stderr what happens when; -vv: each call of a plug-in's hook, too.")  # fmt: skip
    @click.option("--log-file", metavar="FILE", type=click.Path(), help="Append that to FILE instead.")
    @functools.wraps(verb)
    def with_logs(*args: Any, verbose: int, log_file: str | None, **given: Any) -> Any:  # noqa: ANN401
        with logging_to(log_file, verbose, " ".join(click.get_current_context().find_root().obj or ())):
            return verb(*args, **given)

    return with_logs
