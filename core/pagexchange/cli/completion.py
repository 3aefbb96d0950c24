"""`pagexchange completion`: the lines that a shell needs to complete verbs, options, strategies and plug-ins."""

from __future__ import annotations

import click

WHERE = {
    "bash": 'eval "$(pagexchange completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(pagexchange completion zsh)"    in ~/.zshrc',
    "fish": "pagexchange completion fish > ~/.config/fish/completions/pagexchange.fish",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell:5} {line}" for shell, line in WHERE.items()))
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    click.echo(kind(root, {}, "pagexchange", "_PAGEXCHANGE_COMPLETE").source())
