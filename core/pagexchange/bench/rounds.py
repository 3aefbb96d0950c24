"""Cells in turns: in each round every cell runs as often as the others, in an order drawn by the seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator


def turns(cells: Iterable[str], seed: str, repeats: int = 1) -> Iterator[list[str]]:
    """Yield the order of one round after the other, without end; in the first one, which warms up, each comes once."""
    shuffle = random.Random(seed)  # an order, not a secret
    names, times = list(cells), 1
    while True:
        order = names * times
        shuffle.shuffle(order)
        yield order
        times = repeats
