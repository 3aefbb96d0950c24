"""The nodes of an arena as a user gives them: sizes or numbers of frames, and where the frames are to lie."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Any, TypeAlias, cast

from pagexchange.errors import ArenaError
from pagexchange.model.sizes import parse_size
from pagexchange_native.arena.places import Place, Span, as_place, refuse

NodeTable: TypeAlias = Mapping[str, Any]
"""A node as a table. How large it is: `size`, in bytes or as a text, or `frames`. Where its frames lie: `numa`, a real
node that they are bound to, or several, over which they are interleaved, `interleave`, "even" or "weighted" by what the
machine has for its nodes; or `path`, a DAX device or a folder in which a file without a name is made.
"""
Nodes: TypeAlias = Mapping[str, int | str | NodeTable] | Iterable[tuple[str, int]]
"""By name, bytes (64 << 20, "64 MiB") or a table; or pairs of a name and a number of frames."""


def as_nodes(nodes: Nodes, page_size: int) -> tuple[list[tuple[str, int]], list[Place]]:
    """Return (name, frames) of each node, and where its frames lie; no places where none is given.

    Raises
    ------
    TypeError, ValueError
        With what is wrong with the first node that is. What is wrong with numbers of frames is for the region to say.
    """
    if not isinstance(nodes, Mapping):
        return list(nodes), []
    counts: list[tuple[str, int]] = []
    places: list[Place] = []
    by_name = cast("Mapping[str, int | str | NodeTable]", nodes)  # an Iterable of pairs is no Mapping
    for name, given in by_name.items():
        table: NodeTable = given if isinstance(given, Mapping) else {"size": given}
        if ("size" in table) == ("frames" in table):
            raise ValueError(f"node {name!r}: want size or frames, one of the two")
        counts.append((name, table["frames"] if "frames" in table else _frames(name, table["size"], page_size)))
        try:
            places.append(as_place({key: value for key, value in table.items() if key not in ("size", "frames")}))
        except (TypeError, ValueError) as error:
            raise type(error)(f"node {name!r}: {error}") from None
    return counts, places if any(places) else []


def _frames(name: str, size: int | str, page_size: int) -> int:
    amount = parse_size(size)
    if page_size and amount % page_size:
        raise ValueError(f"node {name!r}: {size} is not a multiple of the page size {page_size}")
    return amount // page_size if page_size else 0


def wanting(nodes: Nodes, page_size: int, *, huge: str = "", path: str | bytes | PathLike[str] | None = None) -> str:
    """Return what this machine has not of what the nodes of an arena are to lie on, in words; empty: it has all."""
    counts, places = as_nodes(nodes, page_size)
    spans = [
        Span(name, 0, frames * page_size, place) for (name, frames), place in zip(counts, places, strict=bool(places))
    ]
    try:
        refuse(spans, None if path is None else fspath(path), hugetlb=huge == "hugetlb", thp=huge == "thp")
    except ArenaError as error:
        return error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return ""
