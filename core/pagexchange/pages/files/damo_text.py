"""A damo record as text: DAMON's trace events, as `perf script` and `trace-cmd report` print them.

    kdamond.0  4452 [000] 82877.315633: damon:damon_aggregated: target_id=0 nr_regions=17 4096-8192: 0 3
    kdamond.0-4452 [005] ..... 101005.778382: damon_aggregated:     target_id=0 nr_regions=11 4096-8192: 0 974

The two numbers at the end are accesses and age (missing before Linux 5.17). Each line is a region; those of one
snapshot follow each other, and the first one's time is that of all. `damon_region_aggregated` has `probe_hits=`
behind; `damos_before_apply` has only the regions that a scheme asked for. Of several of these events one is read, so
that no region counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from pagexchange.pages.files import damon
from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.lines import found
from pagexchange.pages.files.source import Source
from pagexchange.pages.files.table import Access

_EVENTS: Final = (b"damon_aggregated", b"damon_region_aggregated", b"damos_before_apply")
"""The better one first."""
_EVENT: Final = re.compile(rb"(?m)^.*?\d+\.\d+: +(?:damon:)?(%s): " % b"|".join(_EVENTS))
_WANTED: Final = "a region is expected: TIME: EVENT: target_id=N nr_regions=N START-END: ACCESSES AGE"


def _pattern(event: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"(?m)^.*?(\d{1,10})\.(\d{1,9}): +(?:damon:)?%s: +(?:ctx_idx=\d+ scheme_idx=\d+ )?target_idx?=(-?\d{1,20}) "
        rb"nr_regions=(\d{1,10}) (\d{1,20})-(\d{1,20}): (-?\d{1,10})(?: -?\d{1,10})?(?: probe_hits=[0-9a-f ]*)?[ \r]*$"
        % event
    )


def _fits(source: Source) -> bool:
    return _EVENT.search(source.head) is not None


def _rows(source: Source, about: About) -> Iterator[Access]:
    present = set(_EVENT.findall(source.head))
    event = next(name for name in _EVENTS if name in present)
    targets = damon.Targets(about)
    if event == b"damos_before_apply":
        about.notes.append("regions of damos_before_apply: only those that a scheme asked for are in the file.")

    def passes(line: bytes) -> bool:
        if event + b":" in line:
            return False
        other = next((name for name in _EVENTS if name + b":" in line), None)
        about.passed[f"lines of {other.decode()}" if other else "lines that are no regions"] += 1
        return True

    time, target, left = 0, b"", 0
    for number, lines in found(source, _pattern(event), _WANTED, passes):
        at = number
        for (whose, regions), together in groupby(lines, key=lambda line: (line[2], line[3])):
            group = list(together)
            while group:
                if not left or whose != target:
                    time, target, left = _ns(group[0]), whose, max(int(regions), 1)
                part, group = group[:left], group[left:]
                left -= len(part)
                rows = _regions(targets, time, whose, part)
                if isinstance(rows, str):
                    raise source.error(f"near this line: {rows}", line=at)
                if rows is not None:
                    yield rows
                at += len(part)


def _regions(targets: damon.Targets, time: int, target: bytes, lines: list[tuple[bytes, ...]]) -> Access | str | None:
    """The rows of these lines of one snapshot; None where damo only wanted to say a time."""
    regions = [(int(line[4]), int(line[5]), int(line[6])) for line in lines]
    regions = [region for region in regions if region[1:] != (0, -1)]
    if not regions:
        return None
    first, last, heat = zip(*regions, strict=True)
    return targets.rows(target, [time] * len(regions), first, last, heat)


def _ns(line: tuple[bytes, ...]) -> int:
    """The time of a line: seconds, and a fraction of six or nine digits."""
    return int(line[0]) * 1_000_000_000 + int(line[1].ljust(9, b"0"))


FORM: Final = Form(
    "damo record (text)", "lines with damon_aggregated:, damon_region_aggregated: or damos_before_apply:", _fits, _rows
)
