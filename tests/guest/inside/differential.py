"""Moves pages of all kinds to the other node and back, and says what became of each piece of their state.

`python -m tests.guest.inside.differential LISTS`: with the `classic` lists of pages or the multi-generational, `mglru`.
Writes one line of JSON to the second serial console.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pagexchange.model.layout import Layout
from pagexchange.pages.snapshot.proc.kpageflags import BITS
from tests.guest.inside import calls
from tests.guest.inside.pages import Linux, State
from tests.guest.inside.populations import ALL, Population, settle
from tests.guest.verdicts import Facts, verdicts

SWITCH = Path("/sys/kernel/mm/lru_gen/enabled")
LISTS = {"classic": "0", "mglru": "7"}
TAILS = (1, 2, 511)  # of a folio of 2 MiB: the first two have words of their own
# What /proc/kpageflags shows beyond flags of the word. KSM is not among them: 6.12.117 sets it on every anonymous page.
SHOWN = ("ANON", "MMAP", "THP", "HUGE", "SWAPCACHE", "ZERO_PAGE")
COMPUTED = ("lru_gen",)  # anew at each move, from a sequence of the node: pages of one kind get different numbers
# Bits of /proc/kpageflags that are flags of the word under another name, or computed from more than it
_NO_FLAG = {"OWNER_2", "IDLE", "SLAB", "LOCKED"}


def main() -> int:
    """Return 0; what is wrong is judged by who reads the report."""
    lists = sys.argv[1]
    SWITCH.write_text(LISTS[lists])
    linux = Linux()
    found = {}
    for kind, make in ALL.items():
        found.update(_moved(linux, kind, make))
    with Path("/dev/ttyS1").open("w", encoding="ascii") as out:
        out.write(json.dumps({"lists": lists, "layout": linux.layout.text, "populations": found}) + "\n")
    return 0


def _moved(linux: Linux, kind: str, make: Population) -> dict[str, dict[str, str]]:
    """Verdicts about the folios of one population, and about their tails."""
    try:
        pages = make()
    except OSError as error:
        return {kind: {"none": str(error)}}
    settle()
    large = pages[-1] - pages[0] >= len(pages) // 2 * (2 << 20)
    tails = [page + tail * calls.PAGE for page in pages for tail in TAILS] if large else []
    heads_seen, tails_seen = [linux.states(pages)], [linux.states(tails)]
    moved = []
    for node in (1, 0):
        moved.append(f"{calls.move(pages, node).count(node)} of {len(pages)}")
        heads_seen.append(linux.states(pages))
        tails_seen.append(linux.states(tails))
    found = {kind: {"moved": ", ".join(moved), **_verdicts(heads_seen, lambda state: _facts(linux.layout, state))}}
    found[kind]["/proc/kpageflags"] = _disagreement(linux.layout, [state for turn in heads_seen for state in turn])
    if tails:
        found[f"{kind}, tails"] = _verdicts(tails_seen, lambda state: _tail_facts(linux.layout, state))
    return found


def _verdicts(turns: list[list[State | None]], facts: Any) -> dict[str, str]:
    whole = [seen for seen in zip(*turns, strict=True) if None not in seen]  # a part of a folio may not be mapped
    return verdicts([[facts(state) for state in seen] for seen in whole])


def _facts(layout: Layout, state: State) -> Facts:
    """Flags that are set, fields that say something, how often it is mapped."""
    own = {field.name: field for field in layout.fields if field.policy == "swap" and field.name not in COMPUTED}
    values = {name: value for name, value in layout.values(state.word).items() if name in own}
    said = {name: value for name, value in values.items() if value not in (0, (1 << own[name].width) - 1)}
    flags = dict.fromkeys([*layout.names(state.word), *(name for name in SHOWN if name in state.shown)], 1)
    return {**flags, **said, "mapcount": state.mapcount}


def _tail_facts(layout: Layout, state: State) -> Facts:
    """In a tail a bit is a flag only where the layout says so; the others are about how the frames were allocated."""
    flags = [flag.name for flag in layout.flags if flag.tail != "stay" and state.word & flag.mask]
    return {**dict.fromkeys([*flags, *(name for name in SHOWN if name in state.shown)], 1), "mapcount": state.mapcount}


def _disagreement(layout: Layout, states: list[State | None]) -> str:
    """Flags of which /proc/kpageflags says something else than the word."""
    both = {flag.name for flag in layout.flags if flag.name.upper() not in _NO_FLAG}
    wrong = set()
    for state in states:
        if state is not None:
            word = both & set(layout.names(state.word))
            shown = both & {name.lower() for name in state.shown}
            wrong |= {name for name in word ^ shown if name.upper() in BITS}
    return " ".join(sorted(wrong)) or "agrees"


if __name__ == "__main__":
    sys.exit(main())
