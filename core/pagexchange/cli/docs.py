"""`pagexchange docs`: the manual, which is installed with the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import click

from pagexchange.cli.terminal import say, write
from pagexchange.errors import did_you_mean

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def pages() -> dict[str, Traversable]:
    """The installed pages by name, in alphabetical order."""
    files = (resources.files("pagexchange") / "docs").iterdir()
    found = {file.name.removesuffix(".md"): file for file in files if file.name.endswith(".md")}
    return dict(sorted(found.items()))


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in pages() if name.startswith(incomplete)]


@click.command(short_help="Print a page of the manual.")
@click.argument("page", required=False, shell_complete=_complete)
def docs(page: str | None) -> None:
    """Print a PAGE of the manual as Markdown; without one, which pages there are and where they are installed.

    The pages are those of this version. `pagexchange docs write-a-plugin | less` reads one.
    """
    there = pages()
    if page is None:
        for name, file in there.items():
            title = file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            say(f"{name:28}{title}")
        say(f"\nInstalled in {resources.files('pagexchange') / 'docs'}")
        return
    name = page.removeprefix("docs/").removesuffix(".md")
    if name not in there:
        raise click.UsageError(f"no page {page!r} in the manual{did_you_mean(name, there)}")
    write(there[name].read_text(encoding="utf-8"))
