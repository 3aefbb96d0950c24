"""Who has what a call waits for, in words."""

from typing import Final

_PHASES: Final = ("IDLE", "INTENT", "DATA", "META", "HELP", "BACK", "TAILS")


def who(slot: int, phase: int, workers: int) -> str:
    """Return the words for the owner of a slot: 1 to `workers` exchange, those behind them are calls'; 0 is unknown."""
    if slot == 0:
        return "another call"
    if slot > workers:
        return f"another call (slot {slot})"
    return f"an exchange (slot {slot}, {_PHASES[phase] if phase < len(_PHASES) else f'phase {phase}'})"
