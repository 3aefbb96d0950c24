"""A tier in plain Python, page by page: it shares no code with the one that it is compared with.

Half-life is one step, so that weights are powers of two and heat is exact in any float.
"""

import dataclasses


@dataclasses.dataclass
class Page:
    """A page: where it lies, how hot it is, and when it came there."""

    place: int
    heat: float = 0.0
    came: int | None = None


class TierModel:
    """Pages of a fast node (places below `fast`) and a slow one, paired hottest against coldest."""

    def __init__(self, places, fast, *, batch, hysteresis, rest):
        self.pages = [Page(place) for place in places]
        self.fast, self.batch, self.hysteresis, self.rest = fast, batch, hysteresis, rest
        self.number = 0

    def touch(self, pages):
        for page in pages:
            self.pages[page].heat += 1.0
        return sum(self.pages[page].place < self.fast for page in pages)

    def pairs(self):
        """Begin a step; return (hot page, cold page), the best first."""
        self.number += 1
        may = [p for p in self.pages if p.came is None or self.number - p.came > self.rest]
        hot = sorted((p for p in may if p.place >= self.fast and p.heat), key=lambda p: (-p.heat, p.place))
        cold = sorted((p for p in may if p.place < self.fast), key=lambda p: (p.heat, p.place))
        pairs = list(zip(hot[: self.batch], cold[: self.batch], strict=False))
        return [(a, b) for a, b in pairs if a.heat > self.hysteresis * b.heat]

    def step(self, refused=()):
        """Exchange; `refused`: places whose page does not let itself be moved. Returns (places, places) that traded."""
        traded = []
        for a, b in self.pairs():
            if not {a.place, b.place} & set(refused):
                traded.append((a.place, b.place))
                a.place, b.place = b.place, a.place
            a.came = b.came = self.number
        for page in self.pages:
            page.heat /= 2
        return traded

    def migrate(self, free_fast, free_slow, low):
        """Demote, then promote, each to any free frame. Returns how many were promoted, demoted, and found no frame."""
        pairs = self.pairs()
        wanted = max(0, len(pairs) + low - free_fast) if pairs else 0
        demoted = promoted = 0
        for _, cold in pairs[:wanted]:
            cold.came = self.number
            if demoted < free_slow:
                cold.place, demoted = self.fast, demoted + 1
        for hot, _ in pairs:
            hot.came = self.number
            if promoted < free_fast + demoted:
                hot.place, promoted = 0, promoted + 1
        for page in self.pages:
            page.heat /= 2
        return promoted, demoted, len(pairs) - promoted
