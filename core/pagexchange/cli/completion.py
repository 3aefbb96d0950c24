"""`pagexchange completion`: the lines that a shell needs to complete, and the names that it then asks for."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from pagexchange.errors import PagexchangeError
from pagexchange.host import read
from pagexchange.host.discovery import Registry

WHERE: Final = {
    "bash": 'eval "$(pagexchange completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(pagexchange completion zsh)"    in ~/.zshrc',
    "fish": "pagexchange completion fish > ~/.config/fish/completions/pagexchange.fish",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell:5} {line}" for shell, line in WHERE.items()))
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "pagexchange", "_PAGEXCHANGE_COMPLETE").source())


def strategy_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Strategies of the file that the command line names, or of the packaged one: for shell completion."""
    # While an option still lacks its value, click leaves the arguments unsorted.
    file = ctx.params.get("file") or next(iter(ctx.args), None)
    # Without plug-ins: a broken one must not cost the completion, nor a slow one a second at each key.
    try:
        names = read.load(file, plugins=False).strategies
    except PagexchangeError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def plugin_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Installed plug-ins, none of which is imported: for shell completion."""
    return [name for name in Registry().names() if name.startswith(incomplete)]
