"""What a wrapper is judged around besides the neutral partners: native objects, which are called without Python."""

from dataclasses import dataclass
from typing import Any, Final

from pagexchange.hookspecs import ArenaFacts, hookimpl
from pagexchange_native.movers.folio_copy import FolioCopy
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord

# Wrapped native objects go another way than Python ones: their tables are called without the GIL. And a mover that
# works through a frame has functions (take and give back) that one in place leaves empty.
FLAGS: Final = "native-flags"
DATA: Final = "native-data"
TEMP: Final = "native-temp"
COPY: Final = "native-copy"
UPDATER: Final = "native-mapping"


@dataclass(frozen=True)
class NativeFlags:
    """Exchange the bits whose policy is swap."""

    @hookimpl
    def exchange_flags(self, arena: ArenaFacts) -> Any:  # noqa: ANN401 - as a stranger's
        """Take the layout's mask."""
        return MaskedWord(arena.layout.mask("swap"))


@dataclass(frozen=True)
class NativeData:
    """Exchange in place."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> Any:  # noqa: ANN401
        """Serve any arena."""
        return WordSwap()


@dataclass(frozen=True)
class NativeTemp:
    """Exchange through a frame that is taken before and given back after."""

    @hookimpl
    def exchange_data(self, arena: ArenaFacts) -> Any:  # noqa: ANN401
        """Serve any arena."""
        return TempPage()


@dataclass(frozen=True)
class NativeCopy:
    """Copy to a free frame."""

    @hookimpl
    def copy_data(self, arena: ArenaFacts) -> Any:  # noqa: ANN401
        """Serve any arena."""
        return FolioCopy()


@dataclass(frozen=True)
class NativeMapping:
    """Walk with a cursor."""

    @hookimpl
    def update_mapping(self, arena: ArenaFacts) -> Any:  # noqa: ANN401
        """Serve any arena."""
        return XArrayCursor()


PARTNERS: Final = {
    FLAGS: NativeFlags, DATA: NativeData, TEMP: NativeTemp, COPY: NativeCopy, UPDATER: NativeMapping,
}  # fmt: skip
"""Name in a strategy -> plug-in."""
