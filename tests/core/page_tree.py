"""A page as a tree, read as a browser reads it; and what stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

Element = ElementTree.Element
VOID = ("meta", "br", "wbr", "hr", "img", "link", "input")
_NUMBER = r"-?\d+(?:\.\d+)?"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tree = ElementTree.TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.tree.end(tag)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        self.tree.end(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.tree.data(data)


def read(page: str) -> Element:
    """Return the element `html` of a page in which every element is closed where it must be."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.tree.close()


def text(element: Element) -> str:
    """All words of an element, without its descriptions of pictures."""
    parts = [element.text or ""]
    for child in element:
        parts += ["" if child.tag == "title" else text(child), child.tail or ""]
    return "".join(parts)


def by_id(page: Element, id: str) -> Element | None:
    return next((element for element in page.iter() if element.get("id") == id), None)


def with_class(element: Element, name: str) -> list[Element]:
    return [inner for inner in element.iter() if name in inner.get("class", "").split()]


def rows(table: Element) -> dict[str, list[Element]]:
    """Cells of the body's rows, by the row's head."""
    found = {}
    for row in (row for body in table.iter("tbody") for row in body.iter("tr")):
        head, *cells = list(row)
        found[text(head)] = cells
    return found


def data(page: Element) -> dict[str, Any]:
    element = by_id(page, "data")
    assert element is not None
    decoded: dict[str, Any] = json.loads(element.text or "")
    return decoded


def points(path: str) -> Iterator[tuple[float, float]]:
    """Where the dots of a path are."""
    for x, y in re.findall(rf"M({_NUMBER}) ({_NUMBER})h0", path):
        yield float(x), float(y)


def crosses(path: str) -> Iterator[tuple[float, float]]:
    """Where the middles of its crosses are."""
    for x, y, side in re.findall(rf"M({_NUMBER}) ({_NUMBER})l({_NUMBER}) \3m", path):
        yield float(x) + float(side) / 2, float(y) + float(side) / 2


def arrows(path: str) -> Iterator[tuple[float, float]]:
    """Where its marks of what lies beyond the axis are."""
    for x, y in re.findall(rf"M({_NUMBER}) ({_NUMBER})l4 ", path):
        yield float(x) + 4, float(y) + 2.6
