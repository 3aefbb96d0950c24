"""Elements of a page, as trees of the standard library: words are text or attributes there, and never become markup.

So a name that a stranger gave to a plug-in, a flag or a host is shown as it is, whatever it holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree

from pagexchange.strangers import visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

Element: TypeAlias = ElementTree.Element
Child: TypeAlias = "Element | str | None"


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """Return an element with its children; `None` is left out, of children and of attributes.

    `class_` is the attribute `class`, and `data_cell` is `data-cell`; numbers have one decimal at most.
    """
    made = ElementTree.Element(
        tag, {_attribute(name): _value(value) for name, value in attributes.items() if value is not None}
    )
    return extend(made, children)


def extend(made: Element, children: Iterable[Child]) -> Element:
    """Add children to an element, and return it."""
    for child in children:
        if child is None:
            continue
        if not isinstance(child, str):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + visible_lines(child)
        else:
            made.text = (made.text or "") + visible_lines(child)
    return made


def data(value: Any, **attributes: str) -> Element:  # noqa: ANN401 - plain values
    """Return values as JSON that a browser keeps and does not run."""
    # The text of a script is written as it is: what could end it, or begin a comment in it, is written as escapes.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c").replace(">", r"\u003e")
    return element("script", text, type="application/json", **attributes)


def document(root: Element) -> str:
    """Return an element `html` as the text of a file."""
    text = ElementTree.tostring(root, encoding="unicode", method="html")
    # What a picture is full of, in the shorter way: nothing but the end of such an element reads so.
    for tag in ("path", "rect", "use"):
        text = text.replace(f"></{tag}>", "/>")
    return f"<!DOCTYPE html>\n{text}\n"


def number(value: float) -> str:
    """Return a coordinate, to a tenth."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return visible_lines(value) if isinstance(value, str) else number(value)
