"""The oracle's look at contents alone: for what exchanges bytes and leaves the arena's entries as they were."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pagexchange.bench.scenes import Pairs, Scene
from pagexchange.bench.turn import WrongError
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.stamp import stamp, verify_stamps


def check_exchanged(scene: Scene, pairs: Pairs, exchange: Callable[[], object]) -> None:
    """Stamp all pages, let them be exchanged, and compare.

    Raises
    ------
    WrongError
        A page is not where it belongs.
    """
    stamps = stamp(scene.arena, seed=1)
    exchange()
    source = np.arange(scene.arena.nframes)
    within = np.arange(1 << scene.setting.order)
    first, second = ((pairs[:, side, None] + within).ravel() for side in (0, 1))
    source[first], source[second] = second, first
    findings = Collector()
    verify_stamps(scene.arena, stamps.moved(source), findings)
    verdict = findings.verdict()
    if verdict.kind == "wrong":
        raise WrongError(
            f"{verdict.total:,} pages are not where they belong, the first: {verdict.findings[0].sentence}"
        )
