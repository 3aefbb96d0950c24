"""How to do it again: what was typed, on what, with which versions and which configuration."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts

FOLDED: Final = 40
"""Lines from which on a configuration is folded; on paper it is shown all the same."""


def view(facts: Facts) -> Element:
    """Everything that decides what is measured."""
    manifest = facts.manifest
    versions = {
        "pagexchange": manifest.versions.pagexchange,
        "Python": manifest.versions.python,
        "NumPy": manifest.versions.numpy,
        **manifest.versions.distributions,
    }
    rows = {
        "seed": str(manifest.seed),
        "input": f"{manifest.input.name} ({manifest.input.kind})",
        "input's sha256": manifest.input.digest or "not recorded",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "began": manifest.started,
    }
    config = manifest.config.rstrip("\n")
    table = element(
        "table",
        element(
            "tbody",
            *(
                element("tr", element("th", name, scope="row", class_="words"), element("td", value, class_="words"))
                for name, value in rows.items()
            ),
        ),
        class_="facts",
    )
    return element(
        "div",
        element("pre", element("code", shlex.join(manifest.command)), id="command"),
        figures(table),
        element(
            "details",
            element("summary", "Configuration, with every default written out"),
            element("pre", element("code", config), id="config"),
            open="" if config.count("\n") < FOLDED else None,
        ),
    )
