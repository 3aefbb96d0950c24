"""Run folders as arguments of a verb: found by path, or by their name in runs/; completed by the shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from pagexchange.samples.naming import RUNS
from pagexchange.samples.reading import MANIFEST, run_folders

if TYPE_CHECKING:
    from collections.abc import Iterator


class RunFolder(click.Path):
    """A run folder: its path, or its name where it lies in runs/. Whether it is one, whoever opens it says."""

    name = "run folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Return its path as a `Path`."""
        return found(os.fspath(value))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Run folders beside what is typed, and those one folder further down."""
        return [*map(CompletionItem, sorted(_beginning_with(incomplete)))] or [CompletionItem(incomplete, type="dir")]


class Repeated(RunFolder):
    """Run folders that repeat each other: a folder that they lie in, or several joined by commas."""

    name = "run folders"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Return their paths, `list[Path]`."""
        whole = found(os.fspath(value))
        if whole.exists():  # a name may have a comma in it
            return [whole]
        return [found(name) for name in os.fspath(value).split(",") if name] or [whole]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """As of one folder, behind the last comma."""
        before, comma, last = incomplete.rpartition(",")
        items = super().shell_complete(ctx, param, last)
        return [CompletionItem(f"{before}{comma}{item.value}", type="plain" if comma else item.type) for item in items]


def found(path: str) -> Path:
    """Return the path of a run folder that is given by its path, or by its name in runs/."""
    return RUNS / path if os.sep not in path and not os.path.lexists(path) and (RUNS / path).exists() else Path(path)


def _beginning_with(typed: str) -> Iterator[str]:
    folder, _, start = typed.rpartition("/")
    above = Path(f"{folder}/" if "/" in typed else ".")
    try:
        places = sorted(place for place in above.iterdir() if place.name.startswith(start) and place.is_dir())
        for place in places:
            shown = typed.removesuffix(start) + place.name
            if (place / MANIFEST).exists():
                yield shown
            elif start or not place.name.startswith("."):
                yield from (f"{shown}/{inner.name}" for inner in run_folders(place))
        if "/" not in typed:
            yield from (inner.name for inner in run_folders(RUNS) if start and inner.name.startswith(start))
    except OSError:  # a folder that cannot be read has nothing to offer
        return
