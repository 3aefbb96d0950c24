"""What a survivor makes of what a dead process left, in Python and from the arena's bytes alone: `recover`, `rebuild`.

Written from `arena.h` and docs/architecture.md, "Recovery", and sharing no code with the engine's own recovery, so that
each can be judged by the other. For dumps: nothing is atomic here, and nobody else may be at work on the memory.
"""

from pagexchange.oracle.recovery.image import StoppedError
from pagexchange.oracle.recovery.rebuild import rebuild
from pagexchange.oracle.recovery.recover import Outcome, recover, recover_all

__all__ = ["Outcome", "StoppedError", "rebuild", "recover", "recover_all"]
