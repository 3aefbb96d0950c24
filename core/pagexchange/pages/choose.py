"""Chooses what to exchange: pages that are hot on the slow node against pages that are cold on the fast one."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.pages.placement import Population

ORDERINGS: Final = ("random", "sorted", "adjacent")


def choose(
    arena: Arena,
    population: Population,
    pairs: int | None = None,
    *,
    seed: int = 0,
    ordering: Literal["random", "sorted", "adjacent"] = "random",
    fast: str | int = 0,
    slow: str | int = 1,
    order: int | None = None,
) -> list[NDArray[np.int64]]:
    """Pairs (from, to): a hot page of the slow node, a cold page of the fast one, both folios of one order.

    The hottest page is paired with the coldest, and so on; pages that are equally hot are drawn. No frame is twice in
    one list. Where more pairs are asked for than there are pages, further rounds pair all frames anew, at random: each
    round is meant to be exchanged as a whole before the next.

    Parameters
    ----------
    arena : Arena
    population : Population
    pairs : int, optional
        How many, over all rounds. Default: those in which the slow node's page is the hotter one; one round.
    seed : int
    ordering : {"random", "sorted", "adjacent"}
        Of the list: drawn; by `from`; or by `from` with the i-th frame of the fast node as its partner, so that both
        sides run through memory.
    fast, slow : str or int
        Nodes, by name or number.
    order : int, optional
        Only folios of this order.

    Returns
    -------
    list of int64[k, 2]
        The rounds; empty where no pair can be made.

    Raises
    ------
    ValueError, LookupError
        `pairs` is negative, an ordering or a node is unknown.
    """
    if ordering not in ORDERINGS:
        raise ValueError(f"ordering {ordering!r}: choose one of {', '.join(ORDERINGS)}")
    if pairs is not None and pairs < 0:
        raise ValueError(f"pairs {pairs}: 0 or more are expected")
    to_node, from_node = arena.node_number(fast), arena.node_number(slow)
    if to_node == from_node:
        raise ValueError(f"node {fast!r} is both the fast and the slow one")
    random = np.random.default_rng(seed)
    candidates = [np.flatnonzero(population.node == node) for node in (from_node, to_node)]
    if order is not None:
        candidates = [rows[population.order[rows] == order] for rows in candidates]
    first = _match(population, candidates, random, by_heat=True)
    gain = population.hot[first[:, 0]].astype(np.int64) - population.hot[first[:, 1]]
    # Best gain first. Heat has 8 values, so most pairs tie: the permutation draws among them, where argsort would
    # favour low frame numbers.
    best = np.lexsort((random.permutation(len(first)), -gain))
    first = first[best[gain[best] > 0]] if pairs is None else first[best[:pairs]]
    rounds = [first]
    left = 0 if pairs is None else pairs - len(first)
    while left > 0 and len(first):  # without a first round there is no pair at all, and never will be
        more = _match(population, candidates, random, by_heat=False)
        more = more[random.permutation(len(more))[:left]]
        rounds.append(more)
        left -= len(more)
    return [
        _arrange(population.pfns[rows], population.order[rows[:, 0]], ordering, random) for rows in rounds if len(rows)
    ]


def leave_free(arena: Arena, n: int) -> NDArray[np.int64]:
    """Take all frames but `n` of each node, in order 0; a node that has fewer stays as it is.

    Returns
    -------
    int64[k]
        What was taken: give it back with `arena.free`.
    """
    if n < 0:
        raise ValueError(f"{n} free frames: 0 or more are expected")
    taken = [arena.alloc(int(node["number"]), node["free"] - n) for node in arena.nodes if node["free"] > n]
    return np.concatenate([np.zeros(0, dtype=np.int64), *taken])


def _match(
    population: Population, candidates: list[NDArray[np.int64]], random: np.random.Generator, *, by_heat: bool
) -> NDArray[np.int64]:
    """int64[k, 2]: rows (from, to) of one order each, from these two lists: hottest with coldest, or at random."""
    parts = [np.zeros((0, 2), dtype=np.int64)]
    source, target = (random.permutation(rows) for rows in candidates)
    for order in np.unique(population.order):
        here = source[population.order[source] == order]
        there = target[population.order[target] == order]
        if by_heat:  # stable: pages that are equally hot stay as they were drawn
            here = here[np.argsort(-population.hot[here].astype(np.int64), kind="stable")]
            there = there[np.argsort(population.hot[there], kind="stable")]
        k = min(len(here), len(there))
        parts.append(np.stack([here[:k], there[:k]], axis=1))
    return np.concatenate(parts)


def _arrange(
    pairs: NDArray[np.int64], order: NDArray[np.uint8], ordering: str, random: np.random.Generator
) -> NDArray[np.int64]:
    """The pairs of frames in the order asked for; `order` is uint8[k], of the folios of each pair."""
    if ordering == "random":
        pairs = pairs[random.permutation(len(pairs))]
    elif ordering == "sorted":
        pairs = pairs[np.argsort(pairs[:, 0])]
    else:
        # Both sides ascend, so the pairs are made anew; only within one order, as a pair has folios of one order.
        ascending = [np.lexsort((pairs[:, side], order)) for side in (0, 1)]
        pairs = np.stack([pairs[ascending[0], 0], pairs[ascending[1], 1]], axis=1)
    return np.ascontiguousarray(pairs)
