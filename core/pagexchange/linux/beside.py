"""What Linux's own exchange takes on the nodes of an arena, in a sentence that stands beside the arena's figures."""

from __future__ import annotations

from typing import Final

import numpy as np

from pagexchange.linux.move_pages import MovePages, warnings
from pagexchange.linux.own_pages import OwnPages, two_nodes

_TIMES: Final = 5


def beside(wanted: tuple[int, ...], pairs: int) -> str:
    """Exchange pairs of base pages of this process by two calls of move_pages; say what it took, or why not.

    Parameters
    ----------
    wanted
        Real nodes, as of `two_nodes`.
    pairs
        Of a list.
    """
    try:
        pages = OwnPages(pairs, nodes=two_nodes(wanted), spare=pairs)
        moves = MovePages(pages)
        call, _ = moves.fixed_cost(pairs)
        halves = [np.arange(pairs), np.arange(pairs, 2 * pairs)]
        done = [moves.exchange(*(halves if turn % 2 == 0 else halves[::-1])) for turn in range(_TIMES)]
    except LookupError as error:
        return f"Linux itself is not here: {error}."
    except OSError as error:
        return f"Linux itself is not here: it does not say where pages are ({error.strerror})."
    took = float(np.median([each.wall_ns for each in done])) / pairs
    left = sum(pairs - each.pairs for each in done)
    return (
        f"Linux itself, two calls of move_pages for {pairs:,} pairs of this process's own pages of 4 KiB between node "
        f"{moves.fast} and node {moves.slow}: {took / 1e3:.3g} us of wall time per pair, of which each call takes "
        f"{call / 1e3:.3g} us whatever it moves"
        + (f"; {left:,} pairs of {_TIMES * pairs:,} could not be moved" if left else "")
        + "".join(f"; {sentence}" for sentence in warnings())
        + "."
    )
