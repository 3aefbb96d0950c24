"""What is known of one way so far, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagexchange.runs.result import PlugIn
    from pagexchange.tier.result import Played, Reads
    from pagexchange.tier.way import Way


@dataclass
class Tally:
    """What is known of one way so far."""

    way: Way
    plugins: list[PlugIn] = field(default_factory=list)
    rounds: list[Played] = field(default_factory=list)
    over_time: list[float] = field(default_factory=list)
    """Share of hits by tick, of its first round."""
    reads: Reads | None = None
    report: dict[str, Any] = field(default_factory=dict)
    """What its plug-ins reported at the end of its first timed round."""
    wrong: str = ""
    failed: str = ""

    @property
    def plays(self) -> bool:
        """It has not failed, and lost no page."""
        return not self.wrong and not self.failed
