"""The axes of the matrix, and which of their cells each clause is judged in: never the full product."""

from dataclasses import dataclass
from typing import Final, Literal

from pagexchange.model.config import Mode
from pagexchange.model.sizes import format_size
from pagexchange.testing.scene.layouts import OWN, SHIPPED, UNKNOWN

Kind = Literal["anon", "file", "shmem", "raw"]

ORDERS: Final = (0, 1, 4, 9)
PAGE_SIZE: Final = 4096
"""Of a cell that does not say another one."""
PAGE_SIZES: Final = (1024, 2048, 16384, 65536, 2 << 20)
"""The others that cells have."""
NEWEST: Final = SHIPPED[-1]


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in the matrix."""

    layout: str = NEWEST
    left: Kind = "anon"
    """Kind of the pages on the slow node."""
    right: Kind = "file"
    """Kind of the pages on the fast node."""
    order: int = 0
    page_size: int = PAGE_SIZE
    one_mapping: bool = False
    """File pages of both sides belong to one mapping."""
    pairs: int = 4
    mode: Mode = "async"

    def __str__(self) -> str:
        parts = [self.layout, self.left, self.right, f"order{self.order}"]
        parts += ["one-mapping"] if self.one_mapping else []
        parts += [format_size(self.page_size).replace(" ", "")] if self.page_size != PAGE_SIZE else []
        parts += [self.mode] if self.mode != "async" else []
        return "-".join(parts)


# Left, right, and whether both belong to one mapping. Not all combinations: an exchange handles its two sides one after
# the other, so each kind beside a file or an anonymous page is enough; two files share a mapping or do not.
_KINDS: Final[tuple[tuple[Kind, Kind, bool], ...]] = (
    ("anon", "anon", False),
    ("anon", "file", False),
    ("file", "anon", False),
    ("file", "file", False),
    ("file", "file", True),
    ("shmem", "anon", False),
    ("raw", "file", False),
)


def _kinds(layout: str, order: int = 0, pairs: int = 4) -> tuple[Cell, ...]:
    return tuple(Cell(layout, left, right, order, one_mapping=same, pairs=pairs) for left, right, same in _KINDS)


def exchange_cells(own_layout: bool) -> tuple[Cell, ...]:
    """Every kind under every layout at order 0, larger orders and page sizes under the newest one; some of the rest."""
    cells: list[Cell] = []
    for layout in (*SHIPPED, *([OWN] if own_layout else [])):
        cells += _kinds(layout)
    # At order 9 a page has 2 MiB: two combinations are enough to see that the last byte and the last slot go along.
    for order in ORDERS[1:]:
        some = _kinds(NEWEST, order, pairs=2)
        cells += some if order < 9 else [cell for cell in some if (cell.left, cell.right) in _LARGEST]
    cells += [Cell(mode=mode) for mode in ("sync-light", "sync")]
    cells += [Cell(page_size=size, pairs=2, left="file") for size in PAGE_SIZES]
    return (*cells, *_PAIRWISE)


# Faults that need three unusual things at once are rare; a full product would take hours.
_PAIRWISE: Final = (
    Cell(SHIPPED[0], order=9, pairs=2),
    Cell(SHIPPED[0], left="shmem", right="anon", order=4, pairs=2, mode="sync-light"),
    Cell(left="file", order=1, pairs=2, mode="sync"),
    Cell(UNKNOWN, left="shmem", order=1, pairs=2, mode="sync"),
)
"""What differs from the usual in two things at once: layout, order, mode."""

_LARGEST: Final = (("anon", "file"), ("file", "file"))


def unknown_flag_cells() -> tuple[Cell, ...]:
    """Every kind under the layout with flags that no plug-in knows, and larger orders."""
    return (*_kinds(UNKNOWN), Cell(UNKNOWN, order=4, pairs=2), Cell(UNKNOWN, left="file", order=9, pairs=2))


SHAPES: Final = ("empty", "one", "many", "many-odd", "chain", "duplicates", "self-pairs", "last-frame")
"""Of a list of pairs."""
MANY: Final = 202
"""Pairs of a list that takes several batches."""
